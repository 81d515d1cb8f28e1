"""L2 error of P1 Poisson on meshes moved by the neural and by the classical mover: three rounds of `adapt_loop`."""

from __future__ import annotations

from benchmarks.harness import Rows, main, row

import numpy as np  # isort: skip

import meshmove
from benchmarks.adapting.fem_problems import MORE
from meshmove.adaptation.movers_by_name import FIELD_DISTORTION
from meshmove.solvers.fem.manufactured import PROBLEMS, Problem
from meshmove.solvers.fem.poisson import l2_error, solve_poisson


def errors(problem: Problem, n: int) -> dict[str, float]:
    """Errors on the uniform mesh and on the moved ones."""
    mesh = problem.mesh(n)

    def solve(m):
        return solve_poisson(m, problem.source, problem.exact)

    def error(m):
        return float(l2_error(m, solve(m), problem.exact))

    movers = {"auto": "auto", "dmm": meshmove.Neural(distortion=FIELD_DISTORTION)}
    moved = {
        name: error(meshmove.adapt_loop(mesh, solve, mover=mover, objective="equidistribution").mesh)
        for name, mover in movers.items()
    }
    return {"uniform": error(mesh), **moved}


def run(quick: bool = False) -> Rows:
    """Every problem of the finite element suite, and ten more."""
    rows, ratios = [], []
    for name, problem in (PROBLEMS | MORE).items():
        for n in (40,) if quick else (40, 80):
            e = errors(problem, n)
            ratios.append(e["dmm"] / e["auto"])
            better = e["dmm"] < e["uniform"]
            gains = {"classical": e["uniform"] / e["auto"], "dmm / classical": ratios[-1]}
            rows.append(row(f"{name} {n}x{n}", e["uniform"] / e["dmm"], "> 1", better, **gains))
    median = float(np.median(ratios))
    return [*rows, row("error, neural / classical, median", median, "<= 1.05", median <= 1.05)]


if __name__ == "__main__":
    main(run)
