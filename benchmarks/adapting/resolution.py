"""How coarse a mesh may be: L2 and H1 errors of P1 Poisson after one `adapt`, by cells over features of the field."""

from __future__ import annotations

from benchmarks.adapting.aligned import OBJECTIVES, h1_error
from benchmarks.adapting.fem_problems import MORE
from benchmarks.harness import Rows, main, row

import numpy as np  # isort: skip

import meshmove
from meshmove.adaptation.judging.resolution import cell_to_feature
from meshmove.meshes.source import Source
from meshmove.monitors import Recovery
from meshmove.solvers.fem.manufactured import PROBLEMS
from meshmove.solvers.fem.poisson import l2_error, solve_poisson

BY_DEFAULT = False  # two minutes
NAMES = ("ring", "peak", "two_rings", "boundary_layer", "waves", "corner")
SIZES = (8, 12, 16, 24, 40)


def measured(name: str, n: int) -> Rows:
    """Factors by which a single move lowers the errors, for each objective."""
    problem = {**PROBLEMS, **MORE}[name]
    mesh, exact = problem.mesh(n), problem.exact

    def errors(m):
        u = solve_poisson(m, problem.source, exact)
        return np.array([l2_error(m, u, exact), h1_error(m, u, exact, 8)])

    u, before = solve_poisson(mesh, problem.source, exact), errors(mesh)
    ratio = cell_to_feature(Recovery(Source.of(mesh).cells), u)
    found = [before / errors(meshmove.adapt(mesh, u, objective=o).mesh) for o in OBJECTIVES]
    factors = "; ".join(f"{in_l2:.2f}, {in_h1:.2f}" for in_l2, in_h1 in found)
    return [row(f"{name} {n}x{n}, cells/features {ratio:.2f}", factors)]


def run(quick: bool = False) -> Rows:
    """L2 and H1 factors over the uniform mesh, by equidistribution and by alignment."""
    return [r for name in NAMES for n in (SIZES[:3] if quick else SIZES) for r in measured(name, n)]


if __name__ == "__main__":
    main(run)
