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
_TOGETHER = 64  # sources whose tables are held at once
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
    """A factorised grid, and what a fresh look at any source needs."""

    def __init__(self, unit: UnitProblem, now: Projection, seed: int) -> None:
        self.now, splines = now, now.field.splines
        assert splines is not None
        self.fit, self.middles = _Products(now.equation), Middles(now)
        look = fresh_look(unit, splines, _FRESH)
        self.look, self.fresh = _Products(look), look
        self.symbol = symbol_of(look, weakest_of(now, self.middles))
        self.at_fit, self.at_look = unit.to_physical(now.equation.points), unit.to_physical(look.points)
        self.scout = unit.to_physical(unit.interior(_SCOUT, seed=seed + 7919).points)
        rows = boundary_look(unit, now)
        more = np.zeros((len(unit.along) - 3, rows.points.shape[1]))
        self.edge = splines.matrix(rows.points, np.concatenate([rows.coefficients, more]), unit.along)
        jets = [f.jets(rows.points)[:3] for f in now.field.features]
        local = [np.einsum("dn,dsn->ns", rows.coefficients, j) for j in jets]
        self.edge_local = np.concatenate(local, axis=1) if local else np.zeros((rows.points.shape[1], 0))
        self.edge_values, self.edge_share = rows.values, share_missed(rows)
        self.along = unit.along

    def solved(self, problems: Sequence[Statement], tolerance: float) -> list[Settled | None]:
        """Each problem's solution, where the estimate is below the tolerance."""
        now, system = self.now, self.now.system
        inside = np.stack([p.source_at(self.at_fit) for p in problems], axis=1) * now.equation.weights[:, None]
        right = np.concatenate([inside, np.repeat(now.conditions.values[:, None], len(problems), axis=1)])
        z = system.precondition(self._transpose(right))
        z += system.precondition(self._transpose(right - self._apply(z)))
        w = z * system.scales[:, None]
        parts = now.field.splines, now.field.features
        return [
            Settled(Expansion(*parts, weights, self.along), float(e)) if e < tolerance else None
            for weights, e in zip(w.T.copy(), self._told(problems, z, w), strict=True)
        ]

    def _apply(self, z: Array) -> Array:
        system = self.now.system
        x = z[: system.size] * system.scale[:, None]
        y = np.concatenate([self.fit.apply(x), system.boundary @ x])
        return y + system.dense @ (z[system.size :] * system.dense_scale[:, None])

    def _transpose(self, r: Array) -> Array:
        system, n = self.now.system, self.now.equation.points.shape[1]
        a = self.fit.transpose(r[:n]) + system.boundary.T @ r[n:]
        return np.concatenate([a * system.scale[:, None], (system.dense.T @ r) * system.dense_scale[:, None]])

    def _told(self, problems: Sequence[Statement], z: Array, w: Array) -> Array:
        """Estimated relative errors."""
        size, shape = self.now.system.size, self.fresh.inside.shape
        f = np.stack([p.source_at(self.at_look) for p in problems], axis=1)
        table = np.zeros((len(problems), *shape))
        table[:, self.fresh.inside] = (self.look.apply(w[:size]) - f).T
        hat = dctn(table, axes=(1, 2), norm="ortho")
        interior = np.sqrt((hat**2 / self.symbol).sum(axis=(1, 2)) * (4 / np.prod(shape)))
        edge = self.edge @ w[:size] + self.edge_local @ w[size:] - self.edge_values[:, None]
        missed = self.edge_share @ np.abs(edge)
        norm = np.array([self.middles.norm(self.middles.values(column)) for column in z.T])
        told = _TOLD * (interior + missed) / np.maximum(norm, 1e-300)
        most = _FAR * np.abs(f).max(axis=0)
        seen = np.array([np.abs(p.source_at(self.scout)).max() for p in problems]) <= most
        return np.where(seen & (told < 1), told / np.maximum(1 - told, 1e-300), np.inf)


class _Products:
    """Products of a quadrature with many vectors at once."""

    def __init__(self, equation: Quadrature) -> None:
        self.equation = equation
        self.terms = [(y.toarray(), x.toarray(), c) for y, x, c in equation.terms]

    def apply(self, x: Array) -> Array:
        """A x, (n, k)."""
        q, s = self.equation, self.equation.splines
        sx, sy = s.sides
        X = x.T.reshape(-1, sy, sx) if s.strides[0] == 1 else x.T.reshape(-1, sx, sy).transpose(0, 2, 1)
        out = sum(c * (y @ (X @ along.T)) for y, along, c in self.terms)
        return out[:, q.inside].T

    def transpose(self, r: Array) -> Array:
        """A'r, (size, k)."""
        q, s = self.equation, self.equation.splines
        R = np.zeros((r.shape[1], *q.inside.shape))
        R[:, q.inside] = r.T
        out = sum((y.T @ (c * R)) @ along for y, along, c in self.terms)
        return (out if s.strides[0] == 1 else out.transpose(0, 2, 1)).reshape(r.shape[1], -1).T
