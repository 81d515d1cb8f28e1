"""What changes between the points of a grid, and is no part of any residual there.

A source is looked for at scattered points, and coefficients there and at the points of the grid around are compared
with those at the nearest point, and what differs much counts times the size of the derivative that they stand before.
Where a source jumps from one point to the next, the place of the jump is known to a cell of the grid: its mass is
uncertain by a uniform share of that. Places in one column, or row, of cells are uncertain together, those in different
ones are not.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter, minimum_filter

from meshmove.geometry.arrays import Array
from meshmove.solvers.pde import UnitProblem
from meshmove.solvers.pde.unit import InteriorRows

from .field import Field
from .quadrature import Quadrature

__all__ = ["misplaced", "misplaced_of", "unseen_by"]

_FAR = 3.0  #: times the largest source at the grid points around: a source that the grid does not see
_STEP = 0.2  #: change of a coefficient between points of the grid, over its range, that is not resolved
_JETS = 500  #: points at which the size of derivatives is looked at
_JUMP, _ALONE = 0.2, 3.0  #: of the range of a source, and of the differences beside: a jump


def unseen_by(unit: UnitProblem, field: Field, fresh: Quadrature, scout: InteriorRows) -> float:
    """Integrals over the unit domain of what grids do not see of sources and coefficients.

    `fresh` and `scout` are the equation on a grid and at scattered points.
    """
    plain = unit.pde.frozen
    if plain is not unit.pde:
        x, there = unit.to_physical(fresh.points), unit.to_physical(scout.points)
        fresh = replace(fresh, coefficients=plain.coefficients_at(x) / unit.powers[:, None], source=plain.source_at(x))
        scout = scout._replace(
            coefficients=plain.coefficients_at(there) / unit.powers[:, None], source=plain.source_at(there)
        )
    return (
        _unseen(fresh, scout)
        + misplaced(fresh.spread(fresh.source), fresh.inside)
        + _unresolved(unit, field, fresh, scout)
    )


def misplaced(grid: Array, inside: NDArray[np.bool_]) -> float:
    """Uncertain mass, over the unit square, of a source (Qy, Qx) that jumps between the points of a grid."""
    known = grid[inside]
    wide = float(np.ptp(known)) if known.size else 0.0
    if wide <= 1e-9 * float(np.abs(known).max(initial=0.0)):
        return 0.0
    squares = 0.0
    for f, here in ((grid, inside), (grid.T, inside.T)):
        leaps = np.where(here[:, 1:] & here[:, :-1], np.diff(f, axis=1), 0.0)
        size = np.abs(leaps)
        large = size >= _JUMP * wide
        if not large.any():
            continue
        beside = np.maximum(np.pad(size[:, :-1], ((0, 0), (1, 0))), np.pad(size[:, 1:], ((0, 0), (0, 1))))
        leaps[~large | (size < _ALONE * beside)] = 0.0
        squares += float((leaps.sum(axis=0) ** 2).sum())
    return 4 / inside.size * float(np.sqrt(squares / 12))


def misplaced_of(sources: Array, inside: NDArray[np.bool_]) -> Array:
    """The same (k,) of sources (k, n) at the points inside: few jump anywhere, and only these are looked at closely."""
    grids, steepest = np.zeros((len(sources), *inside.shape)), np.zeros(len(sources))
    grids[:, inside] = sources
    for f, here in ((grids, inside), (grids.transpose(0, 2, 1), inside.T)):
        leaps = np.abs(np.diff(f, axis=2)) * (here[:, 1:] & here[:, :-1])
        steepest = np.maximum(steepest, leaps.max(axis=(1, 2), initial=0.0))
    out = np.zeros(len(sources))
    for i in np.flatnonzero(steepest >= _JUMP * np.ptp(sources, axis=1)):
        out[i] = misplaced(grids[i], inside)
    return out


def _unseen(fresh: Quadrature, scout: InteriorRows) -> float:
    """Integral of the sources that are far larger than those of all grid points around them."""
    around = maximum_filter(np.abs(fresh.spread(fresh.source)), size=3)
    size = np.abs(scout.source)
    return float((scout.weights * size)[size > _FAR * around[_cell(fresh, scout.points)]].sum())


def _unresolved(unit: UnitProblem, field: Field, fresh: Quadrature, scout: InteriorRows) -> float:
    """Integral of the terms of L u, by root mean square derivatives, that coefficients have between grid points."""
    if unit.pde.frozen.is_constant:
        return 0.0
    cell = _cell(fresh, scout.points)
    known = fresh.inside[cell]
    cell = cell[0][known], cell[1][known]
    size = np.sqrt((field.jets(scout.points[:, :_JETS]) ** 2).mean(axis=1))
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
