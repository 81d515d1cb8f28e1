"""Whole loops on a mesh that moves and on meshes at rest, of more nodes and shorter steps, in the same seconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from benchmarks.harness import CPU, Rows, row, timed

import numpy as np  # isort: skip

from benchmarks.time.problems import PROBLEMS, Fixed, Problem, error, followed

__all__ = ["loops"]

#: cells a side and steps of the loops on a mesh that moves
MOVING = ((24, 24), (50, 24), (50, 48))
#: cells a side of meshes at rest: where the matrix is factorised but once, and where it is in each round; and steps
ONCE, EACH, STEPS = (36, 48, 60, 72, 88, 104, 124, 144, 168, 192), (24, 36, 48, 72, 96), (24, 48, 96)
#: the median of so many loops counts, of one where the matrix changes
REPEATS = 3


class Loop(NamedTuple):
    """L2 error at the end, seconds of the processor with all that is made before the loop, and its sizes in words."""

    error: float
    seconds: float
    words: str


def loops(quick: bool) -> Rows:
    """The error of each loop on a moving mesh against the least of those at rest that take no longer.

    `seconds` of the first; `at_rest`: which loop errs least; `factor`: how much longer the moving one takes than the
    fastest at rest that errs no more, 0 where none of them does.
    """
    rows = []
    for problem in PROBLEMS:
        rest = at_rest(problem, STEPS[:1] if quick else STEPS)
        for n, steps in MOVING[:1] if quick else MOVING:
            rows.append(compared(problem, moving(problem, n, steps), rest))
    return rows


def compared(problem: Problem, own: Loop, rest: Sequence[Loop]) -> dict:
    """A row of the table."""
    best = min((r for r in rest if r.seconds <= own.seconds), default=None)
    as_good = [r.seconds for r in rest if r.error <= own.error]
    least = best.error if best else np.inf
    more = {
        "seconds": own.seconds,
        "at_rest": best.words if best else "none",
        "factor": own.seconds / min(as_good) if as_good else 0.0,
    }
    return row(f"{problem.name}, {own.words}: L2 error", own.error, least, own.error <= least, **more)


def moving(problem: Problem, n: int, steps: int) -> Loop:
    seconds, (mesh, u, _) = timed(lambda: followed(problem, n, steps), REPEATS, CPU)
    return Loop(error(problem, mesh, u, problem.end), seconds, _words(n, steps))


def at_rest(problem: Problem, every: Sequence[int]) -> list[Loop]:
    """Loops on all sizes of mesh, in each number of steps."""
    out, once = [], problem.rounds == 1
    for n in ONCE if once else EACH:
        for steps in every:
            seconds, (fixed, u) = timed(lambda n=n, s=steps: _stood(problem, n, s), REPEATS if once else 1, CPU)
            out.append(Loop(error(problem, fixed.mesh, u, problem.end), seconds, _words(n, steps)))
    return out


def _stood(problem: Problem, n: int, steps: int) -> tuple[Fixed, np.ndarray]:
    fixed = Fixed(problem, n, steps)
    return fixed, fixed.run()


def _words(n: int, steps: int) -> str:
    return f"{(n + 1) ** 2:,} nodes, {steps} steps"
