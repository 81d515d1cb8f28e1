r"""What a projection tells of its own error, looked for where it was not fitted.

With r = L u_h - f the error e solves L e = r. Expanded in cosines over [-1, 1]^2, r zero outside of the domain,

    |e|^2  ~  sum_k |r_k|^2 / (|L(k)|^2 + s^2),    L(k) = c_u - c_xx k_x^2 - c_yy k_y^2 + i (|c_x k_x| - |c_y k_y|),

the symbol L(k) with the smallest size of each coefficient over the domain (c_x and c_y against each other, as along a
characteristic; terms that not every operator has against these), s the smallest singular value of L with its
conditions, the reciprocal of the stability constant: what is missed in ripples counts less than what is missed on the
whole, and nothing counts more than stability allows. It is a norm of the residual of negative order, in which least
squares of order two are quasi-optimal (Bramble, Lazarov & Pasciak, Math. Comp. 66, 1997).

What changes between the points of the grid is no part of any residual, and looked for in `unseen`.

What is missed on the boundary is bounded through its integral, as by Poisson's kernel; near a resonance of an operator
without first derivatives by its part in the function phi that resounds, whose share is phi, or its slope, over s.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.fft import dctn

from meshmove.geometry.arrays import Array
from meshmove.solvers.pde import UnitProblem
from meshmove.solvers.pde.unit import BoundaryRows, InteriorRows

from .boundary_rows import ROWS_PER_CELL
from .features.singular import Local
from .features.splines import Splines
from .field import Field
from .middles import Middles, shares_of
from .quadrature import Quadrature, inside_of
from .unseen import unseen_by

if TYPE_CHECKING:
    from .grids import Projection

__all__ = ["Told", "along_weakest", "longest_column", "told", "weakest_of"]


_FRESH = 4  #: fresh points over the edge of a cell
_ITERATIONS = 4  #: of the inverse iteration for the smallest singular value
#: of missed boundary values and of missed normal derivatives
_VALUES, _SLOPES = 1.5, 0.15
_ROUNDING = 2 * np.finfo(float).eps
_UNSEEN = 2.0  #: of |L phi| at fresh points over that at those of the fit: phi is not what it seems
_NOISES = 8  #: right-hand sides of white noise
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


def told(
    unit: UnitProblem,
    now: Projection,
    middles: Middles,
    scout: InteriorRows,
    floor: float = 0.0,
    known: float = float("inf"),
) -> Told:
    """All that a fresh look at a projection tells of its error; `scout` is the equation at scattered points.

    Errors are relative to the L2 norm of u, or to `floor` where that is more; `known` is the least `weakest` that
    other grids have told of.
    """
    system = now.system
    size = max(middles.norm(middles.values(now.field.weights / system.scales)), floor, 1e-300)
    weakest, z = _weakest(now, middles)
    weakest = min(weakest, known * unit.largest_term)
    fresh, r, scale, applied = _residual(unit, now, z)
    interior, worst = _inverted(fresh, r, weakest)
    rounding = _rounded(unit, fresh) * size / max(weakest, 1e-300)
    interior = float(np.sqrt(interior**2 + along_weakest(fresh, r, applied, weakest) ** 2 + rounding**2))
    missed, on = _missed(unit, now, z, weakest)
    step = system.precondition(system.transpose(system.residual))
    shares = shares_of(fresh.splines, fresh.inside)
    relative = float(np.linalg.norm(r if shares is None else np.sqrt(shares) * r)) / max(scale, 1e-300)
    unsolved = middles.norm(middles.values(step)) / size
    unseen = unseen_by(unit, now.field, fresh, scout) / max(weakest * size, 1e-300)
    return Told(interior / size, unseen, missed / size, unsolved, relative, weakest / unit.largest_term, worst, on)


def longest_column(now: Projection) -> float:
    """The largest L2 norm over the unit domain of Green's function G(., y), as the mean squares of white noise, solved
    by the adjoint operator, tell it.
    """
    middles, n = Middles(now), now.equation.points.shape[1]
    rng, squares = np.random.default_rng(0), np.zeros(n)
    for _ in range(_NOISES):
        noise = np.sqrt(middles.area) * rng.standard_normal(middles.points.shape[1])
        weighted = noise if middles.shares is None else noise * np.sqrt(middles.shares)
        z = now.system.precondition(middles.transpose(weighted))
        squares += (now.system.apply(z)[:n] / now.equation.weights) ** 2
    return float(np.sqrt(squares.max() / _NOISES))


def weakest_of(now: Projection, middles: Middles) -> float:
    """min |A z| / |u| by inverse iteration with the factor that is there."""
    return _weakest(now, middles)[0]


def _weakest(now: Projection, middles: Middles) -> tuple[float, Array]:
    """The least singular value, and the scaled weights of the function of norm 1 that it belongs to."""
    u: Any = 1 + 0.3 * np.random.default_rng(0).standard_normal(middles.points.shape[1])
    z = np.zeros(0)
    for _ in range(_ITERATIONS):
        u = u / max(float(np.linalg.norm(u)), 1e-300)
        z = now.system.precondition(middles.transpose(u if middles.shares is None else u * middles.shares))
        u = middles.values(z)
    size = max(middles.norm(u), 1e-300)
    return float(np.linalg.norm(now.system.apply(z))) / size, z / size


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


def _residual(unit: UnitProblem, now: Projection, z: Array) -> tuple[Quadrature, Array, float, Array]:
    """L u - f at fresh points, the size of f and of the terms of L u together, and L phi, of scaled weights z."""
    splines, system = now.field.splines, now.system
    assert splines is not None
    fresh = _fresh_look(unit, splines)
    w = np.stack([now.field.weights, z * system.scales], axis=1)
    X, start = fresh.points, splines.size
    parts = fresh.parts(w[:start, 0])
    squares = sum((p**2 for p in parts), fresh.source**2)
    found = np.stack([sum(parts, np.zeros(X.shape[1])), fresh.apply(w[:start, 1])])
    for feature in now.field.features:
        of = w[start : start + feature.size]
        start += feature.size
        if isinstance(feature, Local) and feature.homogeneous:
            continue
        at = feature.support(X) if isinstance(feature, Local) else np.arange(X.shape[1])
        if len(at):
            rows = np.einsum("dn,dsn->sn", fresh.coefficients[:, at], feature.jets(X[:, at]), optimize=True)
            found[:, at] += of.T @ rows
    shares = shares_of(splines, fresh.inside)
    size = float(np.sqrt((squares if shares is None else shares * squares).sum()))
    return fresh, found[0] - fresh.source, size, found[1]


def along_weakest(fresh: Quadrature, r: Array, applied: Array, weakest: float) -> float:
    """What r is of L phi, phi (of norm 1) the function that the operator makes least of: no cosine near a resonance.

    Where L phi is far more at fresh points than at those of the fit, phi is no such function, but one that the fit does
    not see, in cells that a hole cuts: then it counts as what it is.
    """
    shares = shares_of(fresh.splines, fresh.inside)
    weights = 4 / fresh.inside.size * (np.ones(len(r)) if shares is None else shares)
    seen = max(weakest**2, float((weights * applied**2).sum()) / _UNSEEN**2)
    return abs(float((weights * applied * r).sum())) / max(seen, 1e-300)


def _rounded(unit: UnitProblem, fresh: Quadrature) -> float:
    """What rounding leaves of the mean of second derivatives of a function of norm 1, over its points."""
    n = np.array(fresh.splines.cells, float)
    points = max(fresh.points.shape[1], 1)
    return float(_ROUNDING * np.abs(unit.means[3:5]) @ n**2 / np.sqrt(points))


def _inverted(fresh: Quadrature, r: Array, weakest: float) -> tuple[float, Array]:
    """The root of the sum over k, and the point at which most of r is."""
    worst = fresh.points[:, int(np.abs(r).argmax())] if r.size else np.zeros(2)
    symbol = _symbol_of(fresh, weakest)
    if fresh.splines.knots is None:
        hat: Any = dctn(fresh.spread(r), norm="ortho")
        area = 4 / fresh.inside.size
        return float(np.sqrt((hat**2 / symbol).sum()) * np.sqrt(area)), worst
    shares = shares_of(fresh.splines, fresh.inside)
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


def _missed(unit: UnitProblem, now: Projection, z: Array, weakest: float) -> tuple[float, str]:
    """Integrals of what the conditions miss at points between the rows of the fit, and where most of that is.

    `z`: the scaled weights of the function of norm 1 whose equation is `weakest`.
    """
    rows = _boundary_look(unit, now)
    field: Field = now.field
    missed = np.abs((rows.coefficients * field.jets(rows.points)[:3]).sum(axis=0) - rows.values)
    share = _share_missed(rows)
    if unit.pde.kind == "elliptic" and not unit.means[1:3].any():
        resounds = replace(now.field, weights=z * now.system.scales).jets(rows.points)[:3]
        share = np.maximum(share, rows.weights * _resonance(unit, rows, resounds) / max(weakest, 1e-300))
    parts = missed * share
    names, which = np.unique(rows.names, return_inverse=True)
    on = str(names[np.bincount(which, parts).argmax()]) if len(names) else ""
    return float(parts.sum()), on


def _boundary_look(unit: UnitProblem, now: Projection) -> BoundaryRows:
    """The conditions at points between the rows of the fit."""
    splines = now.field.splines
    if splines is None or splines.knots is None:
        return unit.boundary(max(_BOUNDARY * now.conditions.points.shape[1], 60), seed=5)
    return unit.boundary_by(splines.index, _BOUNDARY * ROWS_PER_CELL, seed=5)


def _resonance(unit: UnitProblem, rows: BoundaryRows, phi: Array) -> Array:
    """What a function phi (3, n), value and gradient, turns missed values and normal derivatives into (n,), over s."""
    slopes = rows.kinds > 0
    size = np.hypot(rows.coefficients[1], rows.coefficients[2])
    second = np.abs(unit.means[3:5])
    flux = np.hypot(second[0] * phi[1], second[1] * phi[2])
    return np.where(slopes, second.max() * np.abs(phi[0]) / np.where(slopes, size, 1.0), flux)


def _share_missed(rows: BoundaryRows) -> Array:
    """What rows (n,) count in the error of u, times what they miss."""
    slopes = rows.kinds > 0
    size = np.hypot(rows.coefficients[1], rows.coefficients[2])
    return rows.weights * np.where(slopes, _SLOPES / np.where(slopes, size, 1.0), _VALUES)
