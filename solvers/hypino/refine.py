r"""Iterative refinement: what a solution misses is a problem of the same kind, which the hypernetwork solves again.

    L d = f - L u in the domain,  d = g - u on the boundary;   u <- sum_k a_k e_k over all rounds,

the factors a_k by least squares (Bischof et al., HyPINO, NeurIPS 2025, add d with factor 1), which look at the defect
averaged over cells of the coarse grid on which the networks see the problem: fine ripples of the residual say little of
the error. A lower defect is no lower error either. So a round is kept if it lowers the defect and the error too, as far
as a projection of what is missed onto coarse splines tells it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from meshmove.geometry.arrays import Array
from meshmove.solvers.pde import Statement, UnitProblem
from meshmove.solvers.projection.boundary_rows import conditions
from meshmove.solvers.projection.features.singular import corner_features, hole_features
from meshmove.solvers.projection.field import Field, Sum, as_array
from meshmove.solvers.projection.grids import fit
from meshmove.solvers.projection.middles import Middles
from meshmove.solvers.solution.remainder import remainder

__all__ = ["Round", "refine"]


_CELLS = 20


@dataclass(frozen=True)
class Round:
    """One round: the `defect` after it relative to that of u = 0, whether it was `kept`, and the relative L2 `error`
    after it as far as coarse splines tell it (NaN where none was looked at).
    """

    defect: float
    kept: bool
    error: float = float("nan")


class Defect:
    """What a function misses, as a vector whose squared length is to be small: linear in the function.

    Averages over cells of the equation's residual, and the conditions' residuals.
    """

    def __init__(self, unit: UnitProblem, points: int = 4000, seed: int = 17) -> None:
        self.interior = unit.interior(points, seed)
        magnitude = np.sqrt((self.interior.coefficients**2).mean(axis=1))
        self.rows = conditions(unit, magnitude, 2 / _CELLS, 0.5 / _CELLS)
        i, j = np.clip(((self.interior.points + 1) * _CELLS / 2).astype(int), 0, _CELLS - 1)
        _, self.cell = np.unique(j * _CELLS + i, return_inverse=True)
        self.area = np.bincount(self.cell, self.interior.weights)
        self.data = self._joined(self.interior.source, self.rows.values)

    def _joined(self, inside: Array, boundary: Array) -> Array:
        mean = np.bincount(self.cell, inside * self.interior.weights) / np.sqrt(self.area)
        return np.concatenate([mean, boundary])

    def of(self, field: Field) -> Array:
        """Rows applied to a function; `data` is what they should be."""
        inner, outer = as_array(field.jets(self.interior.points)), as_array(field.jets(self.rows.points))
        return self._joined((self.interior.coefficients * inner).sum(0), (self.rows.coefficients * outer).sum(0))


class Missing:
    """The error of a function as a coarse projection sees it: linear in the function, one factor for all of them."""

    def __init__(self, unit: UnitProblem, cells: int = 32) -> None:
        features = [*corner_features(unit), *hole_features(unit, 4.0 / cells)]
        self.fitted = fit(unit, (cells, cells), features)
        self.middles = Middles(self.fitted)
        equation, rows = self.fitted.equation, self.fitted.conditions
        self.data = self._solved(equation.source * equation.weights, rows.values)

    def _solved(self, inside: Array, boundary: Array) -> Array:
        system = self.fitted.system
        return self.middles.values(system.solve(np.concatenate([inside, boundary])) / system.scales)

    def of(self, field: Field) -> tuple[Array, Array]:
        """What of the solution, at some points, the function accounts for, and the function's own values there."""
        equation, rows = self.fitted.equation, self.fitted.conditions
        inner, outer = as_array(field.jets(equation.points)), as_array(field.jets(rows.points))
        found = self._solved(
            (equation.coefficients * inner).sum(axis=0) * equation.weights, (rows.coefficients * outer).sum(axis=0)
        )
        return found, as_array(field.jets(self.middles.points))[0]

    def error(self, seen: Sequence[tuple[Array, Array]], factors: Array) -> float:
        """Relative L2 error of a sum of functions."""
        parts = list(zip(factors, seen, strict=True))
        missing = self.data - sum((a * found for a, (found, _) in parts), np.zeros_like(self.data))
        u = missing + sum((a * values for a, (_, values) in parts), np.zeros_like(self.data))
        return float(np.linalg.norm(missing)) / max(float(np.linalg.norm(u)), 1e-300)


def _factors(
    trial: Array, data: Array, seen: Sequence[tuple[Array, Array]], missing: Missing, defect: float, error: float
) -> list[Array]:
    """Factors of the columns `trial`: those of the least defect; of the least sum of defect and error, as they were."""
    found = np.stack([values for values, _ in seen], axis=1)
    weight = defect / max(error * float(np.linalg.norm(missing.data)), 1e-300)
    both = np.concatenate([trial, weight * found])
    least = np.linalg.lstsq(trial, data, rcond=1e-10)[0]
    balanced = np.linalg.lstsq(both, np.concatenate([data, weight * missing.data]), rcond=1e-10)[0]
    return [np.asarray(least), np.asarray(balanced)]


def refine(pde: Statement, emit: Callable[[Statement], Any], rounds: int) -> tuple[Sum, list[Any], list[Round]]:
    """A first solution and `rounds` corrections.

    Parameters
    ----------
    emit
        From a problem to a network with ``jets(X)``, in unit coordinates.

    Returns
    -------
    Sum, list, list of Round
        The solution, the networks in it, and the history, the first solution included.
    """
    defect = Defect(pde.unit)
    first = emit(pde)
    fields, columns = [first], [defect.of(first)]
    factors: Array = np.ones(1)
    size = max(float(np.linalg.norm(defect.data)), 1e-300)
    now = float(np.linalg.norm(defect.data - columns[0])) / size
    if not rounds:
        return Sum((first,), (1.0,)), fields, [Round(now, True)]
    missing = Missing(pde.unit)
    seen = [missing.of(first)]
    error = missing.error(seen, factors)
    history = [Round(now, True, error)]
    for _ in range(rounds):
        new = emit(remainder(pde, Sum(tuple(fields), tuple(factors))))
        column, more = defect.of(new), missing.of(new)
        trial = np.stack([*columns, column], axis=1)
        for candidate in _factors(trial, defect.data, [*seen, more], missing, now * size, error):
            after = float(np.linalg.norm(defect.data - trial @ candidate)) / size
            left = missing.error([*seen, more], candidate)
            if kept := bool(after < (1 - 1e-3) * now and left < (1 - 1e-3) * error):
                break
        history.append(Round(after if kept else now, kept, left if kept else error))
        if not kept:
            break  # the same problem would give the same correction
        fields.append(new)
        columns.append(column)
        seen.append(more)
        factors, now, error = candidate, after, left
    return Sum(tuple(fields), tuple(float(a) for a in factors)), fields, history
