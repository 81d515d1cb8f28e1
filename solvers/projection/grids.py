r"""Projection: of all combinations of features the one that fits equation and conditions best, by least squares.

    min over w of  |L u - f|^2 in L2(domain) + sum of weighted squares of the conditions,   u = sum_j w_j phi_j.

The features are smooth splines on a grid that is refined until the solution stands still, singular functions at the
corners, Laurent series around holes too small for the grid, and, where asked for, random tanh features and the hidden
layers of emitted networks.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from meshmove.geometry.arrays import Array
from meshmove.solvers.pde import ProblemError, UnitProblem

from .boundary_rows import Conditions, conditions
from .features.random_tanh import Tanh
from .features.singular import Local, corner_features, hole_features
from .features.splines import Splines
from .field import Emission, Expansion
from .least_squares import Arrow, Columns
from .quadrature import Quadrature, quadrature
from .trust import Middles, Told, told

if TYPE_CHECKING:
    pass

__all__ = ["Level", "Projection", "fit", "project_unit"]

Feature = Local | Tanh | Emission

_DEGREE = 6
_COARSEST = 24
_GROWTH = 1.8
#: of what residual and conditions tell of, and of the changes to come, in the estimated error: calibrated on the seed
#: `CALIBRATION` of `benchmarks.hypino.hard`, which shows for others how many errors lie below, and how far
_TOLD, _CHANGES = 1.0, 1.0
_SLOWEST, _FASTEST = 0.9, 0.01  # factors by which errors fall from grid to grid that are believed
_ROUNDING = 1e-13
_SCOUT = 20_000  # scattered points at which sources are looked for that all grids miss
_SINGULAR = 1e-8  # of the operator's terms: the smallest singular value of a problem without a unique solution
_WORK = 3.5e10  # operations of the last solve
_ROWS_PER_CELL = 3.0  # boundary rows over the shorter edge of a cell


@dataclass(frozen=True)
class Level:
    """One grid of the refinement.

    `cells` (along X, along Y), `unknowns`, `residual`: the root mean square of Lu - f at fresh points relative to
    that of f and of the terms of L u; `change`: of u from the coarser level, relative L2 (NaN on the first);
    `interior` and `missed`: the relative errors that the residual, and what is missed of the conditions, tell of;
    `seconds` since the start.
    """

    cells: tuple[int, int]
    unknowns: int
    residual: float
    change: float
    interior: float
    missed: float
    seconds: float


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
        singular = self.seen is not None and self.seen.weakest < _SINGULAR
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
    share = max(_TOLD * (last.interior + last.missed), to_come) + _ROUNDING
    return float(share / (1 - share)) if share < 1 else float("inf")


def fit(
    unit: UnitProblem, cells: tuple[int, int], features: Sequence[Feature] = (), degree: int = _DEGREE, seed: int = 0
) -> Projection:
    """The projection onto splines on one grid and further features.

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
    splines = Splines(cells, degree)
    equation = quadrature(unit, splines)
    magnitude = np.sqrt((equation.coefficients**2).mean(axis=1))
    h = 2 / max(cells)
    rows = conditions(unit, magnitude, h, h / _ROWS_PER_CELL, seed)
    columns = [columns_of(f, equation, rows) for f in features]
    system = Arrow(equation, rows.points, rows.coefficients, columns)
    weights = system.solve(np.concatenate([equation.source * equation.weights, rows.values]))
    return Projection(Expansion(splines, tuple(features), weights, unit.along), (), system, equation, rows)


def columns_of(feature: Feature, equation: Quadrature, rows: Conditions) -> Columns:
    X = np.concatenate([equation.points, rows.points], axis=1)
    at = feature.support(X) if isinstance(feature, Local) else np.arange(X.shape[1])
    if isinstance(feature, Local) and feature.homogeneous:
        at = at[at >= equation.points.shape[1]]
    coefficients = np.concatenate([equation.coefficients * equation.weights, rows.coefficients], axis=1)[:, at]
    jets = feature.jets(X[:, at])
    return at, np.einsum("dn,dsn->ns", coefficients, jets, optimize=True)


def project_unit(
    unit: UnitProblem,
    extra: Sequence[Feature] = (),
    *,
    tolerance: float = 1e-6,
    effort: float = 1.0,
    seed: int = 0,
    scout: int = _SCOUT,
) -> Projection:
    """Grids that grow until the estimated error is less than `tolerance` or the next would cost too much.

    What a grid may cost is counted in operations, not in seconds, so the result does not depend on the machine.

    Along the axis in which the solution is smoother the grid grows less. `scout`: how many scattered points look for
    sources that the grids miss.
    """
    start = time.perf_counter()
    scattered = unit.interior(scout, seed=seed + 7919)
    corners = corner_features(unit)
    more = sum(f.size for f in corners) + sum(f.size for f in extra)
    cells: tuple[int, int] = (_COARSEST, _COARSEST)
    levels: list[Level] = []
    before: Expansion | None = None
    while True:
        now = fit(unit, cells, [*corners, *hole_features(unit, 4.0 / max(cells)), *extra], seed=seed)
        middles = Middles(now)
        u = middles.values(now.field.weights / now.system.scales)
        change = float("nan") if before is None else _relative(before.jets(middles.points)[0] - u, u)
        seen = told(unit, now, middles, scattered)
        levels.append(
            Level(
                cells,
                len(now.field.weights),
                seen.residual,
                change,
                seen.interior + seen.unseen + seen.unsolved,
                seen.missed,
                time.perf_counter() - start,
            )
        )
        before = now.field
        best = replace(now, levels=tuple(levels), seen=seen)
        grown = _grown(now, cells, more, _WORK * effort)
        if best.error < tolerance or grown is None:
            return best
        cells = grown


def _relative(difference: Array, u: Array) -> float:
    return float(np.linalg.norm(difference)) / max(float(np.linalg.norm(u)), 1e-300)


def _cost(cells: tuple[int, int], more: int) -> float:
    """Operations of one solve: the Cholesky factor of the band, and the further columns that go through it."""
    splines = Splines(cells, _DEGREE)
    return splines.size * splines.band * (splines.band + 4.0 * more)


def _grown(now: Projection, cells: tuple[int, int], more: int, work: float) -> tuple[int, int] | None:
    """The next grid, or None; its cells are shared between the axes by the roughness of the splines along each."""
    splines = now.field.splines
    assert splines is not None
    rough = _roughness(now, splines)
    ratio = float(np.clip((rough[0] / rough[1]) ** (1 / (splines.degree + 1)), 0.25, 4.0))
    aspect = float(np.clip(ratio * cells[0] / cells[1], 0.25, 4.0))
    for growth in np.linspace(_GROWTH, 1.2, 7):
        total = np.prod(cells) * growth**2
        nx, ny = int(np.sqrt(total * aspect)), int(np.sqrt(total / aspect))
        grown = max(cells[0], nx), max(cells[1], ny)
        if _cost(grown, more) <= work:
            return grown
    return None


def _roughness(now: Projection, splines: Splines) -> Array:
    """Mean differences of order d+1 of the splines' weights along X and Y, where their supports are in the domain."""
    equation, d = now.equation, splines.degree
    table = equation.table(now.field.weights[: splines.size])
    used = equation.table(now.system.scale)
    inside = used < 3 * np.median(used)
    out = np.empty(2)
    for axis in (0, 1):
        along = 1 - axis
        difference = np.diff(table, d + 1, axis=along)
        whole = np.lib.stride_tricks.sliding_window_view(inside, d + 2, axis=along).all(-1)
        picked = np.abs(difference[whole])
        out[axis] = np.sqrt((picked**2).mean()) if picked.size else 1.0
    return np.maximum(out, 1e-14 * max(out.max(), 1e-300))
