r"""Rows of the boundary conditions and what they weigh against the equation.

The residual of the equation is measured in L2 over the domain. Resolved at length h, Dirichlet rows weigh a h^(-3/2)
and rows of first derivatives a h^(-1/2), a the size of the second-order coefficients: the norms of the boundary data
that an elliptic problem is stable in, H^(3/2) and H^(1/2), at the finest wave that the features hold (Bochev &
Gunzburger, Least-Squares Finite Element Methods, Springer 2009). Lower orders have the powers of h of their scaling.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry.arrays import Array
from meshmove.solvers.pde import UnitProblem
from meshmove.solvers.pde.unit import BoundaryRows

from .features.splines import Splines

__all__ = ["ROWS_PER_CELL", "Conditions", "conditions", "graded_conditions"]

ROWS_PER_CELL = 3.0  #: boundary rows over the shorter edge of a cell


class Conditions(NamedTuple):
    """Weighted rows ``(coefficients * jets).sum(0) = values``: points (2, n), coefficients (terms, n), values (n,).

    `weights` (n,) are those that coefficients and values have been multiplied by. Absolute residuals of the weighted
    rows times `lengths` (n,) sum to integrals over the boundary, of what is missed of u where `slopes` (n,) is False,
    of what is missed of its derivative in unit coordinates where it is True. `arcs` (n,): the length that a row stands
    for.
    """

    points: Array
    coefficients: Array
    values: Array
    weights: Array
    lengths: Array
    slopes: NDArray[np.bool_]
    arcs: Array

    def missed(self, residual: Array) -> tuple[float, float]:
        """Integrals over the boundary of what u, and of what its derivative, misses: weighted residuals (n,)."""
        parts = np.abs(residual) * self.lengths
        return float(parts[~self.slopes].sum()), float(parts[self.slopes].sum())


def conditions(unit: UnitProblem, magnitude: Array, h: float, spacing: float, seed: int = 0) -> Conditions:
    """Rows about `spacing` apart for features of length h.

    `magnitude` (terms,) are the root mean squares of the operator's coefficients.
    """
    return _weighted(unit, magnitude, h, unit.boundary(max(int(unit.perimeter / spacing), 8), seed))


def graded_conditions(unit: UnitProblem, magnitude: Array, splines: Splines, seed: int = 0) -> Conditions:
    """Rows for uneven cells: as many on each, h the shorter edge of the cell that a row is on."""
    rows = unit.boundary_by(splines.index, ROWS_PER_CELL, seed)
    i, j = splines.cell(rows.points)
    h = np.minimum(splines.shares(0)[i] * 2 / splines.cells[0], splines.shares(1)[j] * 2 / splines.cells[1])
    return _weighted(unit, magnitude, h, rows)


def _weighted(unit: UnitProblem, magnitude: Array, h: float | Array, rows: BoundaryRows) -> Conditions:
    orders = [a + b for a, b in unit.along]
    value = np.max([m * h ** (0.5 - k) for m, k in zip(magnitude, orders, strict=True)], axis=0)
    slope = np.max([m * h ** (1.5 - k) for m, k in zip(magnitude, orders, strict=True) if k], axis=0)
    size = np.hypot(rows.coefficients[1], rows.coefficients[2])
    slopes = rows.kinds > 0
    strength, root = np.where(slopes, slope, value), np.sqrt(rows.weights)
    weights = strength * root / np.where(slopes, size, 1)
    both = np.concatenate([rows.coefficients, np.zeros((len(magnitude) - 3, len(weights)))])
    return Conditions(
        rows.points, both * weights, rows.values * weights, weights, root / strength, slopes, rows.weights
    )
