"""Grids that grow until the solution stands still: even ones, and graded ones where the solution has steep parts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from meshmove.geometry.arrays import Array
from meshmove.solvers.pde import UnitProblem

from .features.knots import Knots
from .features.splines import Splines
from .grading import counted, fewer, indicators, moved, regraded
from .grids import DEGREE, Feature, Projection
from .run import SCOUT, Run, told_of

__all__ = ["WORK", "project_unit", "refined"]

_COARSEST, _PROBING = 24, 32  # cells along each axis of the first grid, and of those that look for knots
_GROWTH = 1.8
WORK = 3.5e10  #: operations of the last solve
#: grading is looked into where the first grid has told of an error above this, or its own indicators differ by factors
_STEEP = 1e-2
_SEEKING, _SETTLED = 6, 1.35  # smeared rounds at most, and the largest factor by which settled knots move
_SEEN = 2_000  # scattered points that smeared rounds look at
#: factor between the longest and the shortest of the cells that are begun with, and the error that they may tell of
_UNEVEN, _HOPEFUL = 4.0, 0.3
_BETTER = 0.5  # of the error that the even grid tells of: what a graded one must fall below to be gone on with
_LONGEST, _LOWEST = 1.6, 10  # factor by which cells along an axis grow in a round, and their least number
_AIM, _SHARPEST = 0.1, 1e-4  # of the tolerance: errors along one axis, in the first round and at least
_ROUNDED = 1e-9  # errors below this that grow with the number of cells are those of rounding
_ROUNDING = 1e-15  # the least tolerance that cells are counted for: 0 asks for as many as are paid for
_ROUNDS, _FALLS = 9, 0.3  # graded grids at most; what errors fall by as long as rounds that spend all are gone on with
_TRUSTED = 1e-2  # estimates of graded grids below this are not compared with those of even ones


def project_unit(
    unit: UnitProblem,
    extra: Sequence[Feature] = (),
    *,
    tolerance: float = 1e-6,
    effort: float = 1.0,
    seed: int = 0,
    scout: int = SCOUT,
    start: tuple[Knots, Knots] | None = None,
    graded: bool = True,
) -> Projection:
    """Grids that grow until the estimated error is less than `tolerance` or the next would cost too much.

    What a grid may cost is counted in operations, not in seconds, so the result does not depend on the machine.

    Even grids come first: along the axis in which the solution is smoother they grow less. Where the first tells of
    a large error knots are looked for that make it smaller at the same number of cells. If there are some, graded
    grids go on from there; the better of both ends is taken.

    Parameters
    ----------
    scout
        How many scattered points look for sources that the grids miss.
    start
        Knots that graded grids may begin with, without looking for others: tried where they are uneven.
    graded
        Whether uneven cells are allowed.
    """
    return refined(Run(unit, extra, tolerance, WORK * effort, seed, scout), start, graded)


def refined(run: Run, start: tuple[Knots, Knots] | None = None, graded: bool = True) -> Projection:
    """The grids of a run: see `project_unit`."""
    tolerance, graded = run.tolerance, graded and not run.extra
    if start is not None and graded and max(k.contrast for k in start) > _UNEVEN:
        emitted = run.look(Splines.graded(start, DEGREE), ())
        if told_of(emitted) < _HOPEFUL:
            emitted = _graded(run, start, emitted)
            if emitted.error < max(tolerance, _TRUSTED):
                return emitted
    best = run.look(Splines((_COARSEST, _COARSEST), DEGREE), ())
    other = None
    if graded and best.error >= tolerance and told_of(best) > _STEEP:
        if run.instead is not None and run.instead(best):
            return best
        knots = _sought(run)
        first = run.look(Splines.graded(knots, DEGREE), ())
        if told_of(first) * run.size(first) < _BETTER * told_of(best) * run.size(best):
            other = _graded(run, knots, first)
            if other.error < max(tolerance, _TRUSTED):
                return other
    best = _even(run, best)
    return other if other is not None and not best.error < other.error else best


# -- graded grids -----------------------------------------------------------------------------------------------------


def _sought(run: Run) -> tuple[Knots, Knots]:
    """Knots that gather where the solution is steep: rounds in which layers are smeared to the width of a cell."""
    knots, cells = (Knots.even(_PROBING), Knots.even(_PROBING)), (_PROBING, _PROBING)
    for _ in range(_SEEKING):
        now = run.fitted(Splines.graded(knots, DEGREE), smeared=True)
        new = regraded(knots, indicators(run.unit, now, run.rows(_SEEN)), cells)
        far, knots = moved(knots, new), new
        if far < _SETTLED:
            break
    return knots


def _graded(run: Run, knots: tuple[Knots, Knots], now: Projection | None = None) -> Projection:
    """Graded grids that are placed anew in every round, until tolerance is met or the next would cost too much."""
    best = now = now or run.look(Splines.graded(knots, DEGREE), ())
    aim, whole = _AIM, False
    while now.error >= run.tolerance and len(now.levels) < _ROUNDS:
        size = run.size(now) / np.sqrt(run.unit.area)
        squares = indicators(run.unit, now, run.scattered)
        knots = counted(knots, squares, aim * max(run.tolerance, _ROUNDING) * size, _LOWEST, _LONGEST, DEGREE)
        spent, whole = whole, not run.affordable((knots[0].cells, knots[1].cells))
        while not run.affordable((knots[0].cells, knots[1].cells)):
            knots = fewer(knots, 0.9)
        if run.hopeless(now, (knots[0].cells, knots[1].cells)):
            break
        error = now.error
        now = run.look(Splines.graded(knots, DEGREE), now.levels, now.field)
        best = now if not best.error < now.error else best
        if spent and whole and not now.error < _FALLS * error:
            break
        aim = max(aim * float(np.clip(0.3 * run.tolerance / now.error, 0.03, 0.5)), _SHARPEST)
    return best


# -- even grids -------------------------------------------------------------------------------------------------------


def _even(run: Run, now: Projection) -> Projection:
    """Even grids that grow from the first, until rounding is all that they add."""
    while now.error >= run.tolerance:
        grown = _grown(run, now)
        if grown is None or run.hopeless(now, grown):
            break
        before, now = now, run.look(Splines(grown, DEGREE), now.levels, now.field)
        if told_of(before) < told_of(now) < _ROUNDED:
            return before if before.error < now.error else now
    return now


def _grown(run: Run, now: Projection) -> tuple[int, int] | None:
    """The next grid, or None; its cells are shared between the axes by the roughness of the splines along each."""
    splines = now.field.splines
    assert splines is not None
    cells = splines.cells
    rough = _roughness(now, splines)
    ratio = float(np.clip((rough[0] / rough[1]) ** (1 / (splines.degree + 1)), 0.25, 4.0))
    aspect = float(np.clip(ratio * cells[0] / cells[1], 0.25, 4.0))
    for growth in np.linspace(_GROWTH, 1.2, 7):
        total = np.prod(cells) * growth**2
        nx, ny = int(np.sqrt(total * aspect)), int(np.sqrt(total / aspect))
        grown = max(cells[0], nx), max(cells[1], ny)
        if run.affordable(grown):
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
