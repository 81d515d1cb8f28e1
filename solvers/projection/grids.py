r"""Projection: of all combinations of features the one that fits equation and conditions best, by least squares.

    min over w of  |L u - f|^2 in L2(domain) + sum of weighted squares of the conditions,   u = sum_j w_j phi_j.

The features are smooth splines on a grid that is refined until the solution stands still, singular functions at the
corners, Laurent series around holes too small for the grid, and, where asked for, random tanh features and the hidden
layers of emitted networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from meshmove.solvers.pde import ProblemError, UnitProblem

from .boundary_rows import ROWS_PER_CELL, Conditions, conditions, graded_conditions
from .features.random_tanh import Tanh
from .features.singular import Local
from .features.splines import Splines
from .field import Emission, Expansion
from .least_squares import Arrow, Columns
from .quadrature import Quadrature, quadrature
from .trust import Told

__all__ = ["SINGULAR", "Level", "Projection", "columns_of", "estimated", "fit", "fitted", "rows_of"]

Feature = Local | Tanh | Emission

DEGREE = 6  #: of the splines
#: of what residual and conditions tell of, and of the changes to come, in the estimated error: calibrated on the seed
#: `CALIBRATION` of `benchmarks.hypino.hard`, which shows for others how many errors lie below, and how far
_TOLD, _TOLD_GRADED, _CHANGES = 1.0, 3.0, 1.0
_SLOWEST, _FASTEST = 0.9, 0.01  # factors by which errors fall from grid to grid that are believed
_ROUNDING = 1e-13
SINGULAR = 1e-8  #: of the operator's terms: the smallest singular value of a problem without a unique solution


@dataclass(frozen=True)
class Level:
    """One grid of the refinement.

    `cells` (along X, along Y), `unknowns`, `residual`: the root mean square of Lu - f at fresh points relative to
    that of f and of the terms of L u; `change`: of u from the coarser level, relative L2 (NaN on the first);
    `interior` and `missed`: the relative errors that the residual, and what is missed of the conditions, tell of;
    `seconds` since the start; `graded`: whether cells are uneven; `steps`: linear solves, those of Newton's method.
    """

    cells: tuple[int, int]
    unknowns: int
    residual: float
    change: float
    interior: float
    missed: float
    seconds: float
    graded: bool = False
    steps: int = 1


@dataclass(frozen=True, eq=False)
class Projection:
    """A projected solution: `field` on [-1, 1]^2, the `levels` that led to it, its system, what was `seen` of it."""

    field: Expansion
    levels: tuple[Level, ...]
    system: Arrow
    equation: Quadrature
    conditions: Conditions
    seen: Told | None = None

    @property
    def error(self) -> float:
        """Estimate of the relative L2 error, infinite where nothing is known of it, or any multiple of some function
        can be added to the solution.
        """
        singular = self.seen is not None and self.seen.weakest < SINGULAR
        return float("inf") if singular else estimated(self.levels)


def estimated(levels: Sequence[Level]) -> float:
    """The error of the last of several levels: what a fresh look tells of, or the sum of the changes to come.

    These fall as changes have fallen, or as slowly as the residual times h. Where the error may be as large as the
    solution, that may be zero, and the relative error anything.
    """
    if len(levels) < 2 or not np.isfinite(levels[-1].change):
        return float("inf")
    before, last = levels[-2:]
    finer = np.sqrt(np.prod(before.cells) / np.prod(last.cells))
    changes = before.change if np.isfinite(before.change) else 1.0
    rate = max(last.change / max(changes, 1e-300), last.residual / max(before.residual, 1e-300) * finer)
    rate = min(max(rate, _FASTEST), _SLOWEST)
    to_come = _CHANGES * last.change * rate / (1 - rate)
    share = max((_TOLD_GRADED if last.graded else _TOLD) * (last.interior + last.missed), to_come) + _ROUNDING
    return float(share / (1 - share)) if share < 1 else float("inf")


def fit(
    unit: UnitProblem,
    cells: tuple[int, int] | Splines,
    features: Sequence[Feature] = (),
    degree: int = DEGREE,
    seed: int = 0,
    smeared: bool = False,
) -> Projection:
    """The projection onto splines, or those on even cells, and further features.

    `smeared`: with as much diffusion as makes layers as wide as a cell.

    Raises
    ------
    ProblemError
        Conductivity jumps between regions: no spline has kinks where its solution has.
    """
    if unit.pde.regions:
        raise ProblemError(
            "Expected a problem without interfaces, for splines are smooth (got one whose conductivity jumps between "
            f"{len(unit.pde.regions)} regions); project(pde) solves it by finite elements"
        )
    splines = cells if isinstance(cells, Splines) else Splines(cells, degree)
    equation = quadrature(unit, splines)
    if smeared:
        equation = equation.smeared()
    return fitted(equation, rows_of(unit, equation, seed), features)


def rows_of(unit: UnitProblem, equation: Quadrature, seed: int = 0) -> Conditions:
    """The conditions, with as many rows and as much weight as the cells of the equation ask for."""
    splines, magnitude = equation.splines, np.sqrt((equation.coefficients**2).mean(axis=1))
    if splines.knots is not None:
        return graded_conditions(unit, magnitude, splines, seed)
    h = 2 / max(splines.cells)
    return conditions(unit, magnitude, h, h / ROWS_PER_CELL, seed)


def fitted(equation: Quadrature, rows: Conditions, features: Sequence[Feature] = ()) -> Projection:
    """The projection onto the splines that the equation is given for, and further features."""
    columns = [columns_of(f, equation, rows) for f in features]
    system = Arrow(equation, rows.points, rows.coefficients, columns)
    weights = system.solve(np.concatenate([equation.source * equation.weights, rows.values]))
    field = Expansion(equation.splines, tuple(features), weights, equation.along)
    return Projection(field, (), system, equation, rows)


def columns_of(feature: Feature, equation: Quadrature, rows: Conditions) -> Columns:
    X = np.concatenate([equation.points, rows.points], axis=1)
    at = feature.support(X) if isinstance(feature, Local) else np.arange(X.shape[1])
    if isinstance(feature, Local) and feature.homogeneous:
        at = at[at >= equation.points.shape[1]]
    coefficients = np.concatenate([equation.coefficients * equation.weights, rows.coefficients], axis=1)[:, at]
    jets = feature.jets(X[:, at])
    return at, np.einsum("dn,dsn->ns", coefficients, jets, optimize=True)
