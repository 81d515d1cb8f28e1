"""L2 error of P1 Poisson after three rounds of `adapt_loop` with its defaults, against the uniform mesh."""

from __future__ import annotations

from benchmarks.harness import Rows, main, row, square, timed

import numpy as np  # isort: skip

import meshmove
from meshmove.solvers.fem.manufactured import PROBLEMS
from meshmove.solvers.fem.poisson import interpolation_error_of, l2_error, solve_poisson

TARGETS = {("ring", 40): 4.0, ("ring", 80): 5.0, ("peak", 40): 7.5, ("peak", 80): 7.0}
BELL = 0.0070


def bell(x):
    """1 + 10 exp(-r^2 / 0.15^2) about the middle of the unit square."""
    return 1 + 10 * np.exp(-((x[0] - 0.5) ** 2 + (x[1] - 0.5) ** 2) / 0.15**2)


def fem_row(name: str, n: int) -> dict:
    problem = PROBLEMS[name]
    mesh = problem.mesh(n)

    def solve(m):
        return solve_poisson(m, problem.source, problem.exact)

    def error(m):
        return l2_error(m, solve(m), problem.exact)

    uniform = error(mesh)
    seconds, loop = timed(lambda: meshmove.adapt_loop(mesh, solve))
    moved = error(loop.mesh)
    target = TARGETS.get((name, n))
    factor = uniform / moved
    met = factor > 1 if target is None else factor >= target
    wanted = "> 1" if target is None else f">= {target:g}"
    return row(f"{name} {n}x{n}", factor, wanted, met, uniform=uniform, moved=moved, seconds=seconds)


def run(quick: bool = False) -> Rows:
    """Error factors of every problem of the suite, and the interpolation error of a smooth bell."""
    mesh = square(40)
    rows = [fem_row(name, n) for name in PROBLEMS for n in ((40,) if quick else (40, 80))]
    seconds, out = timed(lambda: meshmove.adapt(mesh, bell))
    before, after = interpolation_error_of(mesh, bell), interpolation_error_of(out.mesh, bell)
    met = after <= BELL
    rows.append(row("bell, interpolation", after, f"<= {BELL}", met, uniform=before, moved=after, seconds=seconds))
    return rows


if __name__ == "__main__":
    main(run)
