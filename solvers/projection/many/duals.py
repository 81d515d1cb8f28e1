r"""How far many solutions on one grid are from those on a finer one, without solving there.

On the finer grid, with rows A and data r = f - A u of what a solution u misses, the correction is e = (A'A)^-1 A'r. For
a function w of white noise, (e, w) has mean square |e|^2; and (e, w) = v . r with v = A (A'A)^-1 w, the solution of one
dual problem, which is the same for all sources. So a few of these tell the L2 norms of all errors, each for products of
vectors with what it misses (Smetana, Zahm & Patera, Randomized residual-based error estimators for parametrized
equations, SIAM J. Sci. Comput. 41, 2019).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from meshmove.geometry.arrays import Array
from meshmove.solvers.pde import UnitProblem

from ..features.splines import Splines
from ..grids import Projection, columns_of, rows_of
from ..least_squares import Arrow
from ..quadrature import quadrature

__all__ = ["Duals"]

_POINTS = 2  # Gauss points to a side of a cell
_NOISES = 20  # dual problems: of 1,000 norms all but one are at least half as large as they are told
_STEPS = 1  # of conjugate gradients for each


class Duals:
    """Dual problems on so many cells to a side, for solutions on the splines and features of a projection.

    `points` (2, n) are those at which sources are asked for, in unit coordinates; `inside` marks them in their grid.
    """

    def __init__(self, unit: UnitProblem, now: Projection, cells: int, seed: int = 0) -> None:
        splines, features = now.field.splines, now.field.features
        assert splines is not None
        finer = quadrature(unit, Splines((cells, cells), splines.degree), _POINTS)
        rows = rows_of(unit, finer, seed + 1)
        columns = [columns_of(f, finer, rows) for f in features]
        system, n = Arrow(finer, rows.points, rows.coefficients, columns), finer.points.shape[1]
        one = np.zeros_like(finer.coefficients)
        one[0] = 1.0
        mass, own = replace(finer, coefficients=one), replace(finer, splines=splines)
        dense = np.concatenate([np.zeros((0, n)), *(f.jets(finer.points)[0] for f in features)]) * finer.weights
        noise = np.random.default_rng(seed).standard_normal((_NOISES, n))
        right = np.stack([np.append(mass.transpose(w), dense @ w) for w in noise], axis=1)
        v = np.stack([system.apply(z) for z in np.ascontiguousarray(system.adjoint(right, _STEPS).T)])
        edge = splines.matrix(rows.points, rows.coefficients, unit.along)
        by_splines = np.stack([own.transpose(one) for one in v[:, :n]]) + (edge.T @ v[:, n:].T).T
        self.points, self.inside = finer.points, finer.inside
        self._source = v[:, :n] * finer.weights
        self._values = v[:, n:] @ rows.values
        self._weights = np.concatenate([by_splines, (system.dense.T @ v.T).T], axis=1)

    def told(self, sources: Array, weights: Array) -> Array:
        """L2 norms (k,) over the unit domain of the corrections to solutions with weights (k, unknowns).

        Sources (k, n) are those at `points`.
        """
        products = sources @ self._source.T + self._values - weights @ self._weights.T
        return np.sqrt((products**2).mean(axis=1))
