r"""Many right-hand sides of one operator on one domain: one grid, one factor, a product and a solve for each.

Sources are given, sides hold what they held: A'A is factorised once, and every further source costs A'f, two
triangular solves and one step of refinement with the residual (Bjorck, Numerical Methods for Least Squares Problems,
SIAM 1996), all as tensor products and for many sources together. A fresh look at each, as `trust` has one, says which
are solved; the others are left to the caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.fft import dctn

from meshmove.geometry.arrays import Array
from meshmove.solvers.pde import Statement, UnitProblem

from .features.singular import corner_features, hole_features
from .field import Expansion
from .grids import Projection, fit
from .quadrature import Quadrature
from .trust import Middles, boundary_look, fresh_look, share_missed, symbol_of, weakest_of

__all__ = ["Settled", "alike", "settle"]

_CELLS = (24, 40)  # to a side of the grids: what the first does not solve goes to the second
_FRESH = 2  # fresh points over the edge of a cell
_LEAST = 2  # problems that a grid is made for
_TOGETHER = 32  # sources whose tables are held at once
_SCOUT = 2_000  # scattered points at which sources are looked for that the grid misses
_FAR = 3.0  # times the largest source on the grid: a source that the grid does not see
_TOLD = 1.5  # of what a fresh look tells of, in the estimate: there is no change from a coarser grid beside it


class Settled(NamedTuple):
    """A solution on the shared grid, and its estimated relative L2 error."""

    field: Expansion
    estimate: float


def alike(one: Statement, other: Statement) -> bool:
    """Whether two problems differ in nothing but their sources."""
    return (
        (one.domain is other.domain or one.domain == other.domain)
        and one.timed == other.timed
        and not (one.regions or other.regions)
        and one.terms == other.terms
        and all(_same(a, b) for a, b in zip(one.coefficients, other.coefficients, strict=True))
        and len(one.sides) == len(other.sides)
        and all(_same_rows(a.rows, b.rows) for a, b in zip(one.sides, other.sides, strict=True))
    )


def _same(a: object, b: object) -> bool:
    return a is b or (not callable(a) and not callable(b) and a == b)


def _same_rows(one: Sequence, other: Sequence) -> bool:
    if len(one) != len(other):
        return False
    pairs = zip(one, other, strict=True)
    return all(a.kind == b.kind and _same(a.value, b.value) and _same(a.share, b.share) for a, b in pairs)


def settle(problems: Sequence[Statement], tolerance: float, seed: int = 0) -> list[Settled | None]:
    """Solutions of problems that are all `alike`; None for those whose estimate is not below `tolerance`."""
    unit = problems[0].unit
    out: list[Settled | None] = [None] * len(problems)
    for cells in _CELLS:
        left = [i for i, one in enumerate(out) if one is None]
        features = [*corner_features(unit), *hole_features(unit, 4.0 / cells)]
        if len(left) < _LEAST or not all(f.homogeneous for f in features):  # others would add to the equation
            break
        shared = _Shared(unit, fit(unit, (cells, cells), features, seed=seed), seed)
        for first in range(0, len(left), _TOGETHER):
            some = left[first : first + _TOGETHER]
            for i, one in zip(some, shared.solved([problems[i] for i in some], tolerance), strict=True):
                out[i] = one
    return out


class _Shared:
    """A factorised grid, and what a fresh look at any source needs.

    Sources, weights and residuals of several problems are rows, those inside the domain as whole tables.
    """

    def __init__(self, unit: UnitProblem, now: Projection, seed: int) -> None:
        self.now, self.along, splines = now, unit.along, now.field.splines
        assert splines is not None
        self.middles, system = Middles(now), now.system
        self.fit, self.look = _Products(now.equation), _Products(fresh_look(unit, splines, _FRESH))
        self.symbol = symbol_of(self.look.equation, weakest_of(now, self.middles))
        X = now.equation.points, self.look.equation.points, unit.interior(_SCOUT, seed=seed + 7919).points
        self.points = unit.to_physical(np.concatenate(X, axis=1))
        self.splits = np.cumsum([x.shape[1] for x in X[:2]])
        # no feature adds to the equation: dense columns are on the boundary alone
        self.rows, self.dense = system.boundary, system.dense[self.splits[0] :].toarray()
        self.columns = system.boundary.T.tocsr()
        rows = boundary_look(unit, now)
        more = np.zeros((len(unit.along) - 3, rows.points.shape[1]))
        self.edge = splines.matrix(rows.points, np.concatenate([rows.coefficients, more]), unit.along)
        jets = [f.jets(rows.points)[:3] for f in now.field.features]
        local = [np.einsum("dn,dsn->sn", rows.coefficients, j) for j in jets]
        self.edge_local = np.concatenate(local) if local else np.zeros((0, rows.points.shape[1]))
        self.edge_values, self.edge_share = rows.values, share_missed(rows)

    def solved(self, problems: Sequence[Statement], tolerance: float) -> list[Settled | None]:
        """Each problem's solution, where the estimate is below the tolerance."""
        now, system, n = self.now, self.now.system, self.splits[0]
        sources = np.empty((len(problems), self.points.shape[1]))
        for row, problem in zip(sources, problems, strict=True):
            row[:] = problem.source_at(self.points)
        inside = self.fit.spread(sources[:, :n] * now.equation.weights)
        edge = np.repeat(now.conditions.values[None], len(problems), axis=0)
        z = system.precondition(self._transpose(inside, edge).T)
        z += system.precondition(self._transpose(*self._left(inside, edge, (z * system.scales[:, None]).T)).T)
        w = np.ascontiguousarray((z * system.scales[:, None]).T)
        parts = now.field.splines, now.field.features
        return [
            Settled(Expansion(*parts, weights, self.along), float(e)) if e < tolerance else None
            for weights, e in zip(w, self._told(sources, w), strict=True)
        ]

    def _left(self, inside: Array, edge: Array, w: Array) -> tuple[Array, Array]:
        """Residuals inside (k, Qy, Qx) and on the boundary (k, m) of weights (k, unknowns)."""
        size = self.now.system.size
        on = (self.rows @ w[:, :size].T).T + w[:, size:] @ self.dense.T
        return inside - self.fit.apply(w[:, :size]), edge - on

    def _transpose(self, inside: Array, edge: Array) -> Array:
        """Scaled gradients (k, unknowns) of residuals inside (k, Qy, Qx) and on the boundary (k, m)."""
        splines = self.fit.transpose(inside) + (self.columns @ edge.T).T
        return np.concatenate([splines, edge @ self.dense], axis=1) * self.now.system.scales

    def _told(self, sources: Array, w: Array) -> Array:
        """Estimated relative errors."""
        size, shape = self.now.system.size, self.look.equation.inside.shape
        _, fresh, scout = np.split(sources, self.splits, axis=1)
        table = self.look.apply(w[:, :size]) - self.look.spread(fresh)
        hat = dctn(table, axes=(1, 2), norm="ortho", overwrite_x=True)
        interior = np.sqrt(np.einsum("kyx,kyx,yx->k", hat, hat, 1 / self.symbol) * (4 / np.prod(shape)))
        edge = (self.edge @ w[:, :size].T).T + w[:, size:] @ self.edge_local - self.edge_values
        missed = np.abs(edge) @ self.edge_share
        told = _TOLD * (interior + missed) / np.maximum(self._norms(w), 1e-300)
        seen = np.abs(scout).max(axis=1) <= _FAR * np.abs(fresh).max(axis=1)
        return np.where(seen & (told < 1), told / np.maximum(1 - told, 1e-300), np.inf)

    def _norms(self, w: Array) -> Array:
        """L2 norms (k,) over the unit domain."""
        middles, size = self.middles, self.now.system.size
        along_x, along_y = (a.toarray() for a in middles.along)
        u = along_y @ (self.fit.tables(w[:, :size]) @ along_x.T)
        return np.sqrt(middles.area) * np.linalg.norm(u[:, middles.inside] + w[:, size:] @ middles.dense.T, axis=1)


class _Products:
    """Products of a quadrature with many vectors at once; terms with the same coefficient are one."""

    def __init__(self, equation: Quadrature) -> None:
        self.equation = equation
        alike: dict[int, list[tuple[Array, Array, Array]]] = {}
        for y, x, c in equation.terms:
            alike.setdefault(id(c), []).append((y.toarray(), x.toarray(), c))
        self.terms = [
            (np.concatenate([y for y, _, _ in group], axis=1), [x for _, x, _ in group], group[0][2])
            for group in alike.values()
        ]

    def spread(self, values: Array) -> Array:
        """Values (k, n) at the points inside as tables (k, Qy, Qx), zero outside."""
        inside = self.equation.inside
        if inside.all():
            return values.reshape(-1, *inside.shape)
        out = np.zeros((len(values), *inside.shape))
        out[:, inside] = values
        return out

    def tables(self, x: Array) -> Array:
        """Coefficients of splines (k, size) as (k, side y, side x)."""
        s = self.equation.splines
        sx, sy = s.sides
        return x.reshape(-1, sy, sx) if s.strides[0] == 1 else x.reshape(-1, sx, sy).transpose(0, 2, 1)

    def apply(self, x: Array) -> Array:
        """A x as tables (k, Qy, Qx), of x (k, size)."""
        X, shape = self.tables(x), self.equation.inside.shape
        out = np.zeros((len(x), *shape))
        for y, along, c in self.terms:
            parts = np.empty((len(x), len(along), X.shape[1], shape[1]))
            for i, one in enumerate(along):
                np.matmul(X, one.T, out=parts[:, i])
            out += c * (y @ parts.reshape(len(x), -1, shape[1]))
        return out

    def transpose(self, r: Array) -> Array:
        """A'r, (k, size), of tables r (k, Qy, Qx)."""
        s = self.equation.splines
        out = np.zeros((len(r), *reversed(s.sides)))
        for y, along, c in self.terms:
            parts = (y.T @ (c * r)).reshape(len(r), len(along), -1, r.shape[2])
            for i, one in enumerate(along):
                out += parts[:, i] @ one
        return (out if s.strides[0] == 1 else out.transpose(0, 2, 1)).reshape(len(r), -1)
