"""Alignment against equidistribution for quadratic elements: L2 and H1 errors of Poisson in P2."""

from __future__ import annotations

import sys

from benchmarks.adapting.aligned import OBJECTIVES, h1_error
from benchmarks.harness import CPU, Rows, main, row, timed

import numpy as np  # isort: skip
import skfem

import meshmove
from meshmove.solvers.fem.manufactured import PROBLEMS
from meshmove.solvers.fem.poisson import l2_error, solve_poisson

BY_DEFAULT = False  # a minute
NAMES = ("ring", "peak", "corner", "boundary_layer")
P2 = skfem.ElementTriP2()


def measured(name: str, n: int) -> Rows:
    """Factors by which three rounds of `adapt_loop` lower the errors of a problem on n x n x 2 triangles."""
    problem, rows = PROBLEMS[name], []
    mesh = problem.mesh(n)

    def solve(m):
        return skfem.Basis(m, P2), solve_poisson(m, problem.source, problem.exact, element=P2)

    def errors(m):
        u = solve(m)[1]
        return np.array([
            l2_error(m, u, problem.exact, element=P2), h1_error(m, u, problem.exact, 8, element=P2),
        ])  # fmt: skip

    before = errors(mesh)
    for objective in OBJECTIVES:
        loop = lambda: meshmove.adapt_loop(mesh, solve, objective=objective)  # noqa: B023, E731
        seconds, out = timed(loop, clock=CPU)
        in_l2, in_h1 = (float(f) for f in before / errors(out.mesh))
        rows.append(row(f"{name} {n}x{n}, P2: {objective}", f"{in_l2:.2f}, {in_h1:.2f}", seconds=seconds))
    return rows


def run(quick: bool = False, names: tuple[str, ...] = ()) -> Rows:
    """L2 and H1 factors over the uniform mesh."""
    return [r for name in names or NAMES for r in measured(name, 16 if quick else 40)]


if __name__ == "__main__":
    chosen = tuple(a for a in sys.argv[1:] if a in PROBLEMS)
    sys.argv = [a for a in sys.argv if a not in chosen]
    main(lambda quick: run(quick, chosen))
