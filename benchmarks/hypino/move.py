"""Predict, move, solve: the error of one finite element solve on a mesh that the prediction has adapted beforehand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import meshmove
from benchmarks.harness import Rows, row, square
from benchmarks.hypino.cases import Bench, seconds_of
from meshmove.geometry import Rectangle
from meshmove.solvers.fem.manufactured import PROBLEMS, Problem
from meshmove.solvers.fem.poisson import l2_error, solve_poisson
from meshmove.solvers.pde import Dirichlet, LinearPDE

__all__ = ["move", "stated"]

N = 40
Way = Callable[[], tuple[Any, Any]]


def stated(problem: Problem) -> LinearPDE:
    """A problem on the unit square, as HyPINO reads it."""
    conditions = {"outer": Dirichlet(problem.exact)}
    return LinearPDE(
        Rectangle((0, 0), (1, 1), name="outer"), uxx=-1, uyy=-1, source=problem.source, conditions=conditions
    )


def _ways(bench: Bench, problem: Problem) -> dict[str, Way]:
    """From the statement to a mesh and the nodal values of the finite element solution on it."""
    mesh = square(N)

    def solve(m: Any) -> Any:
        return solve_poisson(m, problem.source, problem.exact)

    def uniform() -> tuple[Any, Any]:
        return mesh, solve(mesh)

    def predicted(**how: Any) -> Way:
        def way() -> tuple[Any, Any]:
            moved = meshmove.adapt(mesh, bench.model.solve(stated(problem), **how)).mesh
            return moved, solve(moved)

        return way

    def looped(steps: int) -> Way:
        def way() -> tuple[Any, Any]:
            moved = meshmove.adapt_loop(mesh, solve, steps=steps).mesh
            return moved, solve(moved)

        return way

    return {
        "uniform mesh, one solve": uniform,
        "zero-shot prediction, one solve": predicted(project=False),
        "refined prediction, one solve": predicted(refine=5),
        "projected prediction, one solve": predicted(project=True),
        "loop of 1, two solves": looped(1),
        "loop of 3, four solves": looped(3),
    }


def move(bench: Bench) -> Rows:
    """L2 errors of P1 elements on 40 by 40 squares, and seconds in all, for sharp sources."""
    rows: Rows = []
    bench.model.solve(stated(PROBLEMS["saddle"]), project=False)  # the first call loads code
    for name in ("peak",) if bench.quick else ("peak", "two_peaks", "ring"):
        problem = PROBLEMS[name]
        uniform = None
        for way, run in _ways(bench, problem).items():
            seconds, (moved, u) = seconds_of(run)
            error = l2_error(moved, u, problem.exact)
            uniform = uniform or error
            better = error < uniform if "prediction" in way else None
            more = {"times_better": uniform / error, "seconds": seconds}
            rows.append(row(f"{name}: {way}", error, "< uniform" if better is not None else None, better, **more))
    return rows
