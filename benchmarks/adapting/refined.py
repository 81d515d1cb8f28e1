"""Moving the nodes of h-refined meshes, the L-shape and the ring: against `smoothed()` and refinement alone."""

from __future__ import annotations

from benchmarks.adapting.aligned import Case
from benchmarks.harness import CPU, Rows, main, row, timed

import numpy as np  # isort: skip
import skfem
from numpy.typing import NDArray

import meshmove
from meshmove.solvers.fem.manufactured import PROBLEMS

BY_DEFAULT = False
Array = NDArray[np.float64]
#: cells to a side at the start, rounds of refinement, and after which of them nodes are moved
CASES = {"corner": (8, 9, (3, 6, 9)), "ring": (16, 5, (3, 5))}
UNIFORM = (32, 64)
#: share of the largest indicator above which cells are refined
THETA = 0.5


def indicators(case: Case, mesh: skfem.MeshTri) -> Array:
    """Squared residuals of cells and jumps of the normal derivative on their edges, as in scikit-fem's example 22."""
    u, basis = case.solve(mesh), skfem.Basis(mesh, mesh.elem(), intorder=4)
    inside = skfem.Functional(lambda w: w.h**2 * case.source(w.x) ** 2).elemental(basis)
    sides = [skfem.InteriorFacetBasis(mesh, mesh.elem(), side=k) for k in (0, 1)]
    first, second = (side.interpolate(u) for side in sides)
    jump = skfem.Functional(lambda w: w.h * ((w.a.grad - w.b.grad) * w.n).sum(axis=0) ** 2)
    edges = np.zeros(mesh.facets.shape[1])
    np.add.at(edges, sides[0].find, jump.elemental(sides[0], a=first, b=second))
    return inside + 0.5 * edges[mesh.t2f].sum(axis=0)


def compared(case: Case) -> Rows:
    """The errors of the mesh as it is, smoothed, and moved in three rounds."""
    before, nodes = case.errors(case.mesh), case.mesh.p.shape[1]
    seconds, loop = timed(lambda: meshmove.adapt_loop(case.mesh, case.solve), clock=CPU)
    rows = []
    for how, mesh, took in (("as it is", case.mesh, 0.0), ("smoothed()", case.mesh.smoothed(), 0.0),
                            ("adapt_loop", loop.mesh, seconds)):  # fmt: skip
        after = case.errors(mesh)
        factors = ", ".join(f"{f:.2f}" for f in before / after)
        rows.append(row(f"{case.name}, {nodes} nodes, {how}", float(after[0]), factors=factors, seconds=took))
    return rows


def run(quick: bool = False) -> Rows:
    """L2 error, and the factors in L2 and H1 over the mesh as it is."""
    rows: Rows = []
    for name, (n, rounds, moved) in CASES.items():
        problem = PROBLEMS[name]
        case = Case(f"{name}, refined", problem.mesh(n), problem.exact, problem.source)
        for k in range(1, (3 if quick else rounds) + 1):
            mesh = case.mesh.refined(skfem.adaptive_theta(indicators(case, case.mesh), theta=THETA))
            case = Case(case.name, mesh, case.exact, case.source)
            if k in moved:
                rows += compared(case)
    corner = PROBLEMS["corner"]
    for n in UNIFORM[:1] if quick else UNIFORM:
        rows += compared(Case("corner, uniform", corner.mesh(n), corner.exact, corner.source))
    return rows


if __name__ == "__main__":
    main(run)
