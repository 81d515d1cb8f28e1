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

from meshmove.solvers.pde import UnitProblem

__all__ = ["Conditions", "conditions"]

Array = NDArray[np.float64]


class Conditions(NamedTuple):
    """Weighted rows ``(coefficients * jets).sum(0) = values``: points (2, n), coefficients (5, n), values (n,).

    `weights` (n,) are those that coefficients and values have been multiplied by.
    """

    points: Array
    coefficients: Array
    values: Array
    weights: Array


def conditions(unit: UnitProblem, magnitude: Array, h: float, spacing: float, seed: int = 0) -> Conditions:
    """Rows about `spacing` apart for features of length h.

    `magnitude` (5,) are the root mean squares of the operator's coefficients.
    """
    rows = unit.boundary(max(int(unit._lengths.sum() / spacing), 8), seed)
    a, b, c = magnitude[3:].max(), magnitude[1:3].max(), magnitude[0]
    value, slope = max(a * h**-1.5, b * h**-0.5, c * h**0.5), max(a * h**-0.5, b * h**0.5)
    size = np.hypot(rows.coefficients[1], rows.coefficients[2])
    weights = np.where(rows.kinds > 0, slope / np.where(rows.kinds > 0, size, 1), value) * np.sqrt(rows.weights)
    both = np.concatenate([rows.coefficients, np.zeros((2, len(weights)))])
    return Conditions(rows.points, both * weights, rows.values * weights, weights)
