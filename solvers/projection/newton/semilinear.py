"""Semilinear problems on grids that grow: Newton's method on each, begun with what the last one found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from meshmove.solvers.pde import ProblemError, SemilinearPDE, UnitProblem
from meshmove.solvers.pde.functions import checked, evaluate
from meshmove.solvers.pde.unit import InteriorRows
from meshmove.solvers.pde.well_posed import check_posed

from ..features.splines import Splines
from ..field import Expansion, Field, Located
from ..grids import DEGREE, Level, Projection, fit
from ..refinement import WORK, refined
from ..run import SCOUT, Run
from ..trust import longest_column
from .budget import Budget
from .on_grid import OnGrid
from .state import Found
from .stuck import stuck

__all__ = ["project_semilinear"]

_CELLS = 24  # to a side of the grid that a start is brought to
_WITHIN, _LEAST = 1e-2, 1e-11  # of the tolerance, and at least: relative changes at which steps end
_SMEARED = 1e-2  # where layers are looked for
_SOLVES = 8.0  # linear solves on the finest grid that all of them may cost together
_SAMPLES = 1_000  # points at which the size of the start is looked at
_PROBING = 16  # cells along each axis of the grid of the first step
_AHEAD = 3  # linear solves that must be left for a grid that is finer
_CURVED = 0.1  # changes of the operator below this need no closer look
_ZERO = 1e-6  # of the sizes of the start and of the first step's end: what is smaller than both is compared with that


def project_semilinear(
    problem: SemilinearPDE, start: Any = None, *, tolerance: float = 3e-5, effort: float = 1.0, seed: int = 0
) -> tuple[Projection, UnitProblem]:
    """The solution, and the linear problem around it.

    Parameters
    ----------
    start
        A number, a function of points, or another solution; by default the solution without the reaction.
    """
    begun = _started(problem, start)
    unit = _around(problem, begun)  # its operator is not constant: corners ask for other functions than the linear one
    run = _NewtonRun(unit, (), tolerance, WORK * effort, seed, SCOUT, problem=problem, start=begun, now=begun)
    run.budget.left = _SOLVES * WORK * effort
    run.floor = _ZERO * min(_norm(problem.unit, begun), run.first())
    found = refined(run)
    last = run.results[id(found.field)]
    if not last.converged and run.best is None:
        raise stuck(problem, last, run.budget)
    found = found if last.converged or run.best is None else run.best
    return found, _around(problem, found.field)


def _norm(unit: UnitProblem, field: Field) -> float:
    """L2 norm over the unit domain."""
    values = field.jets(unit.interior(_SAMPLES, seed=1).points)[0]
    return float(np.sqrt(unit.area * (values**2).mean()))


def _around(problem: SemilinearPDE, field: Field) -> UnitProblem:
    """The linear problem around a function."""
    return problem.around(Located(problem.unit, field)).unit


@dataclass
class _NewtonRun(Run):
    """A run whose problem is the one around the last function that was found."""

    problem: SemilinearPDE = field(kw_only=True)
    start: Field = field(kw_only=True)
    now: Field = field(kw_only=True)
    solved: bool = False
    best: Projection | None = field(default=None, repr=False)
    budget: Budget = field(default_factory=Budget)
    results: dict[int, Found] = field(default_factory=dict, repr=False)
    fresh: dict[int, InteriorRows] = field(default_factory=dict, repr=False)

    def rows(self, n: int) -> InteriorRows:
        """The equation around the last function at so many scattered points."""
        if n not in self.fresh:
            known = self.samples.setdefault(n, self.problem.unit.interior(n, seed=self.seed + 7919))
            x = self.unit.to_physical(known.points)
            coefficients = self.unit.pde.coefficients_at(x) / self.unit.powers[:, None]
            self.fresh[n] = known._replace(coefficients=coefficients, source=self.unit.pde.source_at(x))
        return self.fresh[n]

    def fitted(self, splines: Splines, smeared: bool = False) -> Projection:
        """Newton's method on these splines, from the last function that was found."""
        grid = OnGrid(
            self.problem,
            splines,
            self.features(splines),
            self.now,
            seed=self.seed,
            smeared=smeared,
            floor=self.floor,
            budget=self.budget,
        )
        within = max(_WITHIN * self.tolerance, _SMEARED if smeared else _LEAST)
        found = self._found(grid, within)
        if smeared and not (found.converged or self.solved):
            raise stuck(self.problem, found, self.budget)
        now = found.projection
        if found.converged:
            self.now, self.solved = now.field, self.solved or not smeared
        self.unit = _around(self.problem, now.field)
        self.results[id(now.field)] = found
        self.fresh.clear()
        return now

    def first(self) -> float:
        """L2 norm of what the first step comes to, on a coarse grid: starts without the reaction may be too large."""
        splines = Splines((_PROBING, _PROBING), DEGREE)
        grid = OnGrid(self.problem, splines, self.features(splines), self.now, seed=self.seed, budget=self.budget)
        return _norm(self.problem.unit, grid.target(grid.around(self.now)).field)

    def _found(self, grid: OnGrid, within: float) -> Found:
        """Newton's method from the last function, else on the ways around."""
        found, smeared = grid.solve(self.now, within), grid.diffusion is not None
        if not (found.converged or self.budget.spent) and self.problem.kind == "elliptic":
            found = grid.relax(self.now, within)
        if not (found.converged or self.solved or smeared or self.budget.spent):
            found = grid.walk(self.start, within)
        return found

    def affordable(self, cells: tuple[int, int]) -> bool:
        """As of linear problems, and as long as the budget of all grids has so much left."""
        return super().affordable(cells) and _AHEAD * Budget.cost(Splines(cells, DEGREE), self.more) <= self.budget.left

    def look(self, splines: Splines, levels: Sequence[Level], before: Expansion | None = None) -> Projection:
        """As of linear problems; what has not converged tells of any error."""
        now = super().look(splines, levels, before)
        *others, level = now.levels
        found = self.results[id(now.field)]
        share = self._curved(now) if found.converged else float("inf")
        interior = level.interior / (1 - share) + found.to_come if share < 1 else float("inf")
        now = replace(now, levels=(*others, replace(level, interior=interior, steps=found.steps)))
        self.best = now if found.converged else self.best
        return now

    def _curved(self, now: Projection) -> float:
        """How much the operator changes within the error that is told of, in units of its smallest singular value.

        Below one Newton's method converges from there, and the linear problem tells the error (Kantorovich). Where it
        changes much at few points, as at the kink of |u|, its mean square counts instead, against the L2 norms of the
        columns of Green's function.
        """
        level, seen = now.levels[-1], now.seen
        assert seen is not None
        error = (level.interior + level.missed) * self.size(now) / np.sqrt(self.unit.area)
        rows = self.rows(self.scout)
        x = self.unit.to_physical(rows.points)
        state = Located(self.problem.unit, now.field).jets(x)[:3]
        reaction = self.problem.reaction
        there = reaction.slopes(state, x)[0]
        moved = [reaction.slopes(state + np.array([[d], [0], [0]]), x)[0] - there for d in (error, -error)]
        most = np.nanmax(np.abs(moved), axis=0) if np.isfinite(error) else np.array([np.inf])
        share = float(most.max() / max(seen.weakest * self.unit.largest_term, 1e-300))
        if not _CURVED < share < np.inf:
            return share
        return min(share, float(np.sqrt(self.unit.area * (most**2).mean())) * longest_column(now))


def _started(problem: SemilinearPDE, start: Any) -> Field:
    if start is None:
        return _without_reaction(problem)
    field, unit = getattr(start, "field", None), problem.unit
    if isinstance(field, Expansion):
        theirs = start.pde.unit
        same = np.array_equal(theirs.half, unit.half) and np.array_equal(theirs.center, unit.center)
        if same and tuple(field.along) == tuple(unit.along):
            return field
    grid = Splines((_CELLS, _CELLS), DEGREE)
    given = checked(start, "the start")
    return fit(problem.with_value(lambda x: evaluate(given, x, "the start")).unit, grid).field


def _without_reaction(problem: SemilinearPDE) -> Field:
    try:
        check_posed(problem.linear)
    except ProblemError:  # known up to a constant
        return fit(problem.with_value(0.0).unit, Splines((_CELLS, _CELLS), DEGREE)).field
    return fit(problem.unit, Splines((_CELLS, _CELLS), DEGREE)).field
