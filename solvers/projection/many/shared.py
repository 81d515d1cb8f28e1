r"""Many right-hand sides of one operator on one domain: one grid, one factor, a product and a solve for each.

Sources are given, sides hold what they held: A'A is factorised once, and every further source costs A'f, two
triangular solves and, where the first are not exact enough, one step of refinement with the residual (Bjorck, Numerical
Methods for Least Squares Problems, SIAM 1996), all as tensor products and for many sources together. `Duals` tell how
far each is from the solution on a finer grid; what is not solved is left to the next grid, and to the caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from meshmove.geometry.arrays import Array
from meshmove.solvers.pde import Statement, UnitProblem

from ..features.singular import corner_features, hole_features
from ..field import Expansion
from ..grids import SINGULAR, Projection, fit
from ..middles import Middles
from ..trust import weakest_of
from ..unseen import misplaced_of
from .duals import Duals
from .products import Products

__all__ = ["Settled", "alike", "settle"]

_CELLS = (24, 32, 40)  # to a side of the grids: what one does not solve goes to the next
_FINER = 1.5  # times as many to a side of the grids of the duals
_FEW, _WORTH = 16, 0.4  # so many sources first; solved are at least such a share, or none of the others is tried
_HOLES = 12.0  # cells: around holes of a smaller radius than so many there are series
_LEAST = 2  # problems that a grid is made for
_TOGETHER = 32  # sources whose tables are held at once
_SCOUT = 1_000  # scattered points at which sources are looked for that the grid misses
_FAR = 3.0  # times the largest source on the grid: a source that the grid does not see
#: of what duals tell of, in the estimate: a factor of 2 for chance, and 1.5 for what the finer grid misses, or 3 at
#: re-entrant corners and in time, where sources may not fit the initial values: there errors may fall no faster than h
_TOLD, _SLOW = 3.0, 6.0
_EXACT = 0.03  # of the tolerance: what refinement may change of solutions that do without


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
        and all(a.rows == b.rows or _same_rows(a.rows, b.rows) for a, b in zip(one.sides, other.sides, strict=True))
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
        if len(left) < _LEAST:
            break
        features = [*corner_features(unit), *hole_features(unit, _HOLES / cells)]
        now = fit(unit, (cells, cells), features, seed=seed)
        weakest = weakest_of(now, Middles(now))
        if weakest < SINGULAR * unit.largest_term:
            break
        shared = _Shared(unit, now, tolerance, seed, weakest)
        for some in _chunks(left):
            for i, one in zip(some, shared.solved([problems[i] for i in some]), strict=True):
                out[i] = one
            if cells < _CELLS[-1] and sum(out[i] is not None for i in some) < _WORTH * len(some):
                break  # a grid that solves few of some is too coarse for the others
    return out


def _chunks(left: Sequence[int]) -> list[Sequence[int]]:
    """Numbers in chunks, the first one of a few from everywhere."""
    few = left[:: max(len(left) // _FEW, 1)]
    rest = sorted(set(left) - set(few)) if len(left) > _FEW else []
    return [few] + [rest[i : i + _TOGETHER] for i in range(0, len(rest), _TOGETHER)]


class _Shared:
    """A factorised grid, and what tells of the error for any source.

    Sources, weights and residuals of several problems are rows, those inside the domain as whole tables.
    """

    def __init__(self, unit: UnitProblem, now: Projection, tolerance: float, seed: int, weakest: float) -> None:
        self.now, self.along, self.tolerance, self.weakest = now, unit.along, tolerance, weakest
        system, n = now.system, now.equation.points.shape[1]
        dense = system.dense.toarray()
        self.fit, self.dense = Products(now.equation, dense[:n]), dense[n:]
        self.middles = Middles(now)
        self.along_middles = [a.toarray() for a in self.middles.along]
        self.duals = Duals(unit, now, int(_FINER * now.equation.splines.cells[0]), seed)
        X = now.equation.points, self.duals.points, unit.interior(_SCOUT, seed=seed + 7919).points
        self.points = unit.to_physical(np.concatenate(X, axis=1))
        self.splits = np.cumsum([x.shape[1] for x in X[:2]])
        self.rows, self.columns = system.boundary, system.boundary.T.tocsr()
        self.told = _SLOW if unit.corners or unit.pde.timed else _TOLD
        self.exact = self._exact()

    def _exact(self) -> bool:
        """Whether solutions do without refinement, by that of the grid's own source."""
        weights = self.now.field.weights[None]
        once = self._solved(self.now.equation.source[None], refined=False)
        return bool((self._norms(once - weights) <= _EXACT * self.tolerance * self._norms(weights))[0])

    def solved(self, problems: Sequence[Statement]) -> list[Settled | None]:
        """Each problem's solution, where the estimate is below the tolerance."""
        sources = np.empty((len(problems), self.points.shape[1]))
        for row, problem in zip(sources, problems, strict=True):
            row[:] = problem.source_at(self.points)
        w = self._solved(sources[:, : self.splits[0]], refined=not self.exact)
        parts = self.now.field.splines, self.now.field.features
        return [
            Settled(Expansion(*parts, weights, self.along), float(e)) if e < self.tolerance else None
            for weights, e in zip(w, self._told(sources, w), strict=True)
        ]

    def _solved(self, sources: Array, refined: bool) -> Array:
        """Weights (k, unknowns) for sources (k, n) at the points of the grid."""
        now, system = self.now, self.now.system
        inside = self.fit.spread(sources * now.equation.weights)
        edge = np.repeat(now.conditions.values[None], len(sources), axis=0)
        z = system.precondition(self._transpose(inside, edge).T)
        if refined:
            w = (z * system.scales[:, None]).T
            z += system.precondition(self._transpose(inside - self.fit.apply(w), edge - self._edge(w)).T)
        return np.ascontiguousarray((z * system.scales[:, None]).T)

    def _edge(self, w: Array) -> Array:
        """What functions with weights (k, unknowns) are on the rows of the boundary (k, m)."""
        size = self.now.system.size
        return (self.rows @ w[:, :size].T).T + w[:, size:] @ self.dense.T

    def _transpose(self, inside: Array, edge: Array) -> Array:
        """Scaled gradients (k, unknowns) of residuals inside (k, Qy, Qx) and on the boundary (k, m)."""
        splines, dense = self.fit.transpose(inside)
        both = splines + (self.columns @ edge.T).T, dense + edge @ self.dense
        return np.concatenate(both, axis=1) * self.now.system.scales

    def _told(self, sources: Array, w: Array) -> Array:
        """Estimated relative errors."""
        _, finer, scout = np.split(sources, self.splits, axis=1)
        told = self.told * self.duals.told(finer, w) + misplaced_of(finer, self.duals.inside) / self.weakest
        told /= np.maximum(self._norms(w), 1e-300)
        seen = np.abs(scout).max(axis=1) <= _FAR * np.abs(finer).max(axis=1)
        return np.where(seen & (told < 1), told / np.maximum(1 - told, 1e-300), np.inf)

    def _norms(self, w: Array) -> Array:
        """L2 norms (k,) over the unit domain."""
        middles, size = self.middles, self.now.system.size
        along_x, along_y = self.along_middles
        u = along_y @ (self.fit.tables(w[:, :size]) @ along_x.T)
        return np.sqrt(middles.area) * np.linalg.norm(u[:, middles.inside] + w[:, size:] @ middles.dense.T, axis=1)
