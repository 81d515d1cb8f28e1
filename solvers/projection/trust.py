r"""What a projection tells of its own error, looked for where it was not fitted.

With r = L u_h - f the error e solves L e = r. Expanded in cosines over [-1, 1]^2, r zero outside of the domain,

    |e|^2  ~  sum_k |r_k|^2 / (|L(k)|^2 + s^2),    L(k) = c_u - c_xx k_x^2 - c_yy k_y^2 + i (|c_x k_x| - |c_y k_y|),

the symbol L(k) with the smallest size of each coefficient over the domain (c_x and c_y against each other, as along a
characteristic; terms that not every operator has against these), s the smallest singular value of L with its
conditions, the reciprocal of the stability constant: what is missed in ripples counts less than what is missed on the
whole, and nothing counts more than stability allows. It is a norm of the residual of negative order, in which least
squares of order two are quasi-optimal (Bramble, Lazarov & Pasciak, Math. Comp. 66, 1997).

What changes between the points of the grid is no part of any residual: a source is looked for at scattered points, and
coefficients there and at the points of the grid around are compared with those at the nearest point, and what differs
much counts times the size of the derivative that they stand before.

What is missed on the boundary is bounded through its integral, as by Poisson's kernel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn
from scipy.ndimage import maximum_filter, minimum_filter

from meshmove.geometry.arrays import Array
from meshmove.solvers.pde import UnitProblem
from meshmove.solvers.pde.unit import BoundaryRows, InteriorRows

from .boundary_rows import ROWS_PER_CELL
from .features.random_tanh import Tanh
from .features.singular import Local
from .features.splines import Splines
from .field import Emission, Field
from .quadrature import Quadrature, inside_of

if TYPE_CHECKING:
    from .grids import Projection

__all__ = ["Middles", "Told", "largest_term", "told", "weakest_of"]


_FRESH = 4  #: fresh points over the edge of a cell
_ITERATIONS = 4  #: of the inverse iteration for the smallest singular value
#: of missed boundary values and of missed normal derivatives
_VALUES, _SLOPES = 1.5, 0.15
_FAR = 3.0  #: times the largest source at the grid points around: a source that the grid does not see
_STEP = 0.2  #: change of a coefficient between points of the grid, over its range, that is not resolved
_JETS = 500  #: points at which the size of derivatives is looked at
_BOUNDARY = 3  #: fresh points on the boundary for each row there


class Told(NamedTuple):
    """What a fresh look tells, relative to the size of u.

    `interior`, `unseen`, `missed`: the errors that the equation's residual, sources and coefficients that change
    between the points of all grids, and the boundary tell of; `unsolved`: what one more step of the least-squares
    solver would change; `residual`: root mean square of L u - f relative to that of f and of the terms of L u.
    `weakest`: the least singular value of L with its conditions, relative to the largest term of L for a wave as
    long as the domain. `worst` (2,): where most of the residual is; `on`: the boundary of which most is missed.
    """

    interior: float
    unseen: float
    missed: float
    unsolved: float
    residual: float
    weakest: float
    worst: Array
    on: str


class Middles:
    """Values at the middles of the cells in the domain: `points` (2, n), each for its `shares` of the mean `area`."""

    def __init__(self, now: Projection) -> None:
        splines = now.field.splines
        assert splines is not None
        self.now, equation = now, now.equation
        self.inside = equation.inside[1::3, 1::3]
        j, i = np.nonzero(self.inside)
        lines = [line[1::3] for line in equation.lines]
        self.points: Array = np.stack([lines[0][i], lines[1][j]])
        self.area = 4 / float(np.prod(splines.cells))
        self.shares = _shares(splines, self.inside)
        self.along = [splines.line(axis, line)[0] for axis, line in enumerate(lines)]
        parts = [_values(part, self.points) for part in now.field.features]
        self.dense = np.concatenate(parts, axis=1) if parts else np.zeros((self.points.shape[1], 0))
        self.split = splines.size

    def values(self, z: Array) -> Array:
        """Values (n,) of the function with scaled weights z."""
        w = z * self.now.system.scales
        along_x, along_y = self.along
        table = self.now.equation.table(w[: self.split])
        return (along_y @ (along_x @ table.T).T)[self.inside] + self.dense @ w[self.split :]

    def transpose(self, u: Array) -> Array:
        """The adjoint of `values`."""
        along_x, along_y = self.along
        U = np.zeros(self.inside.shape)
        U[self.inside] = u
        flat = self.now.equation.flat(along_y.T @ (along_x.T @ U.T).T)
        return np.concatenate([flat, self.dense.T @ u]) * self.now.system.scales

    def norm(self, u: Array) -> float:
        """L2 norm over the unit domain."""
        return float(np.sqrt(self.area) * np.linalg.norm(u if self.shares is None else np.sqrt(self.shares) * u))


def told(unit: UnitProblem, now: Projection, middles: Middles, scout: InteriorRows) -> Told:
    """All that a fresh look at a projection tells of its error; `scout` is the equation at scattered points."""
    system = now.system
    size = max(middles.norm(middles.values(now.field.weights / system.scales)), 1e-300)
    weakest = weakest_of(now, middles)
    fresh, r, scale = _residual(unit, now)
    interior, worst = _inverted(fresh, r, weakest)
    missed, on = _missed(unit, now)
    step = system.precondition(system.transpose(system.residual))
    shares = _shares(fresh.splines, fresh.inside)
    relative = float(np.linalg.norm(r if shares is None else np.sqrt(shares) * r)) / max(scale, 1e-300)
    unsolved = middles.norm(middles.values(step)) / size
    unseen = (_unseen(fresh, scout) + _unresolved(unit, now, fresh, scout)) / max(weakest * size, 1e-300)
    return Told(interior / size, unseen, missed / size, unsolved, relative, weakest / largest_term(unit), worst, on)


def _values(part: Local | Tanh | Emission, X: Array) -> Array:
    out = np.zeros((X.shape[1], part.size))
    at = part.support(X) if isinstance(part, Local) else np.arange(X.shape[1])
    if len(at):
        out[at] = part.jets(X[:, at])[0].T
    return out


def largest_term(unit: UnitProblem) -> float:
    """The largest term of the operator for a wave as long as the domain."""
    k = np.pi / 2
    return float((np.abs(unit.means[:5]) * np.array([1, k, k, k**2, k**2])).max())


def weakest_of(now: Projection, middles: Middles) -> float:
    """min |A z| / |u| by inverse iteration with the factor that is there."""
    u: Any = 1 + 0.3 * np.random.default_rng(0).standard_normal(middles.points.shape[1])
    z = np.zeros(0)
    for _ in range(_ITERATIONS):
        u = u / max(float(np.linalg.norm(u)), 1e-300)
        z = now.system.precondition(middles.transpose(u if middles.shares is None else u * middles.shares))
        u = middles.values(z)
    return float(np.linalg.norm(now.system.apply(z))) / max(middles.norm(u), 1e-300)


def _fresh_look(unit: UnitProblem, splines: Splines) -> Quadrature:
    """The equation on a grid between the points of the fit, so many over the edge of a cell, evenly."""
    if splines.knots is None:
        lines = tuple((np.arange(_FRESH * n) + 0.5) * 2 / (_FRESH * n) - 1 for n in splines.cells)
    else:
        lines = tuple(k.nodes((2 * np.arange(_FRESH) + 1) / _FRESH - 1) for k in splines.knots)
    inside = inside_of(unit, splines, (lines[0], lines[1]), _FRESH)
    j, i = np.nonzero(inside)
    X = np.stack([lines[0][i], lines[1][j]])
    x = unit.to_physical(X)
    coefficients, source = unit.pde.coefficients_at(x) / unit.powers[:, None], unit.pde.source_at(x)
    return Quadrature(splines, (lines[0], lines[1]), inside, X, coefficients, source, np.ones(len(i)), unit.along)


def _residual(unit: UnitProblem, now: Projection) -> tuple[Quadrature, Array, float]:
    """L u - f at fresh points, and the size of f and of the terms of L u together."""
    splines = now.field.splines
    assert splines is not None
    fresh = _fresh_look(unit, splines)
    X, coefficients, source, inside = fresh.points, fresh.coefficients, fresh.source, fresh.inside
    start = splines.size
    parts = fresh.parts(now.field.weights[:start])
    found, squares = sum(parts, np.zeros(X.shape[1])), sum((p**2 for p in parts), source**2)
    for feature in now.field.features:
        w = now.field.weights[start : start + feature.size]
        start += feature.size
        if isinstance(feature, Local) and feature.homogeneous:
            continue
        at = feature.support(X) if isinstance(feature, Local) else np.arange(X.shape[1])
        if len(at):
            found[at] += np.einsum("dn,dsn,s->n", coefficients[:, at], feature.jets(X[:, at]), w, optimize=True)
    shares = _shares(splines, inside)
    return fresh, found - source, float(np.sqrt((squares if shares is None else shares * squares).sum()))


def _inverted(fresh: Quadrature, r: Array, weakest: float) -> tuple[float, Array]:
    """The root of the sum over k, and the point at which most of r is."""
    worst = fresh.points[:, int(np.abs(r).argmax())] if r.size else np.zeros(2)
    symbol = _symbol_of(fresh, weakest)
    if fresh.splines.knots is None:
        hat: Any = dctn(fresh.spread(r), norm="ortho")
        area = 4 / fresh.inside.size
        return float(np.sqrt((hat**2 / symbol).sum()) * np.sqrt(area)), worst
    shares = _shares(fresh.splines, fresh.inside)
    assert shares is not None
    areas = fresh.spread(shares) * (4 / fresh.inside.size)
    R = fresh.spread(r)
    kx, ky = (0.5 * np.pi * np.arange(n, dtype=float) for n in reversed(fresh.inside.shape))
    hat = _cosines(fresh.lines[1], ky) @ (areas * R) @ _cosines(fresh.lines[0], kx).T
    # shorter waves than those of the mean cell: what the sum has not found of |r|^2, by the least symbol beyond
    beyond = min(float(symbol[-1].min()), float(symbol[:, -1].min()))
    rest = max(float((areas * R**2).sum() - (hat**2).sum()), 0.0)
    return float(np.sqrt((hat**2 / symbol).sum() + rest / beyond)), worst


def _cosines(line: Array, k: Any) -> Array:
    """cos(k (s + 1)) of norm 1 in L2(-1, 1), (len(k), len(line))."""
    return np.cos(np.outer(k, line + 1)) * np.where(k > 0, 1.0, np.sqrt(0.5))[:, None]


def _symbol_of(fresh: Quadrature, weakest: float) -> Array:
    """|L(k)|^2 + s^2 for as many waves along Y and X as there are fresh points."""
    kx, ky = (0.5 * np.pi * np.arange(n) for n in reversed(fresh.inside.shape))
    ky = ky[:, None]
    least, sign = np.abs(fresh.coefficients).min(axis=1), np.sign(np.median(fresh.coefficients, axis=1))
    even = sign[3] * least[3] * kx**2 + sign[4] * least[4] * ky**2 - sign[0] * least[0]
    for i, (a, b) in enumerate(fresh.along[5:], 5):  # at worst such a term works against the others
        even = np.maximum(np.abs(even) - np.abs(fresh.coefficients[i]).max() * kx**a * ky**b, 0.0)
    odd = least[1] * kx - least[2] * ky
    return np.maximum(even**2 + odd**2 + weakest**2, 1e-300)


def _shares(splines: Splines, inside: NDArray[np.bool_]) -> Array | None:
    """Area (n,) of the cells of the points inside of a grid, relative to the mean; None where all are the same."""
    if splines.knots is None:
        return None
    x, y = (np.repeat(splines.shares(a), inside.shape[1 - a] // n) for a, n in enumerate(splines.cells))
    return np.outer(y, x)[inside]


def _unseen(fresh: Quadrature, scout: InteriorRows) -> float:
    """Integral of the sources that are far larger than those of all grid points around them."""
    around = maximum_filter(np.abs(fresh.spread(fresh.source)), size=3)
    size = np.abs(scout.source)
    return float((scout.weights * size)[size > _FAR * around[_cell(fresh, scout.points)]].sum())


def _unresolved(unit: UnitProblem, now: Projection, fresh: Quadrature, scout: InteriorRows) -> float:
    """Integral of the terms of L u, by root mean square derivatives, that coefficients have between grid points."""
    if unit.pde.is_constant:
        return 0.0
    cell = _cell(fresh, scout.points)
    known = fresh.inside[cell]
    cell = cell[0][known], cell[1][known]
    size = np.sqrt((now.field.jets(scout.points[:, :_JETS]) ** 2).mean(axis=1))
    out = 0.0
    for c, here, u in zip(fresh.coefficients, scout.coefficients[:, known], size, strict=True):
        wide = max(float(np.ptp(c)), float(np.ptp(here)))
        if wide <= 1e-9 * np.abs(c).max():
            continue
        grid = fresh.spread(c)
        most = maximum_filter(np.where(fresh.inside, grid, -np.inf), size=3)
        least = minimum_filter(np.where(fresh.inside, grid, np.inf), size=3)
        off = np.maximum(np.abs(here - grid[cell]), 0.5 * (most - least)[cell])
        out += u * float((scout.weights[known] * off)[off > _STEP * wide].sum())
    return out


def _cell(fresh: Quadrature, X: Array) -> tuple[Array, Array]:
    """Row and column of the grid point that is nearest to each of X (2, n)."""
    ny, nx = fresh.inside.shape
    if fresh.splines.knots is not None:
        X = fresh.splines.index(X) * (2 / np.array(fresh.splines.cells)[:, None]) - 1
    i, j = (np.clip(((x + 1) * (n / 2)).astype(int), 0, n - 1) for x, n in zip(X, (nx, ny), strict=True))
    return j, i


def _missed(unit: UnitProblem, now: Projection) -> tuple[float, str]:
    """Integrals of what the conditions miss at points between the rows of the fit, and where most of that is."""
    rows = _boundary_look(unit, now)
    field: Field = now.field
    missed = np.abs((rows.coefficients * field.jets(rows.points)[:3]).sum(axis=0) - rows.values)
    parts = missed * _share_missed(rows)
    names, which = np.unique(rows.names, return_inverse=True)
    on = str(names[np.bincount(which, parts).argmax()]) if len(names) else ""
    return float(parts.sum()), on


def _boundary_look(unit: UnitProblem, now: Projection) -> BoundaryRows:
    """The conditions at points between the rows of the fit."""
    splines = now.field.splines
    if splines is None or splines.knots is None:
        return unit.boundary(max(_BOUNDARY * now.conditions.points.shape[1], 60), seed=5)
    return unit.boundary_by(splines.index, _BOUNDARY * ROWS_PER_CELL, seed=5)


def _share_missed(rows: BoundaryRows) -> Array:
    """What rows (n,) count in the error of u, times what they miss."""
    slopes = rows.kinds > 0
    size = np.hypot(rows.coefficients[1], rows.coefficients[2])
    return rows.weights * np.where(slopes, _SLOPES / np.where(slopes, size, 1.0), _VALUES)
