"""The network that aligns on quadrilaterals against the classical default: errors of bilinear finite elements.

Every third of the problems of `benchmarks.dmm.aligning`, on 40x40 squares, one move each from the solution at rest;
beside them the network for monitors, which was all that quadrilaterals had. Times are CPU times of all of `adapt`.
"""

from __future__ import annotations

from typing import Any

from benchmarks.harness import CPU, Rows, main, row, timed

import numpy as np  # isort: skip
import skfem
import torch
from numpy.typing import NDArray
from skfem.models.poisson import laplace

import meshmove
from benchmarks.adapting.fem_problems import MORE
from meshmove.solvers.fem.manufactured import PROBLEMS, Problem

torch.set_num_threads(1)
BY_DEFAULT = False  #: two minutes

MOVERS: dict[str, dict[str, Any]] = {
    "alone": {"mover": "dmm", "effort": 0.1},
    "with steps": {"mover": "dmm", "effort": 0.8},
    "for monitors": {"mover": "dmm", "objective": "equidistribution"},
    "classical": {},
}
#: squares a side
SIDE = 40


def solved(mesh: skfem.MeshQuad, problem: Problem) -> tuple[NDArray[np.float64], float, float]:
    """Nodal values of the bilinear solution, and its L2 and H1 error."""
    basis = skfem.Basis(mesh, skfem.ElementQuad1(), intorder=8)
    force = skfem.LinearForm(lambda v, w: problem.source(w.x) * v).assemble(basis)
    system = skfem.condense(laplace.assemble(basis), force, x=problem.exact(mesh.p), D=mesh.boundary_nodes())
    u = skfem.solve(*system)
    found, x, step = basis.interpolate(u), np.asarray(basis.global_coordinates()), 1e-6
    plain = (np.asarray(found) - problem.exact(x)) ** 2
    slope = np.zeros_like(plain)
    for k in range(2):
        aside = step * np.eye(2)[k][:, None, None]
        truth = (problem.exact(x + aside) - problem.exact(x - aside)) / (2 * step)
        slope += (truth - found.grad[k]) ** 2
    return u, float((plain * basis.dx).sum() ** 0.5), float((slope * basis.dx).sum() ** 0.5)


def run(quick: bool = False) -> Rows:
    """Gains of each problem, and medians of errors and times against classical; `quick`: every sixth problem."""
    sides = np.linspace(0, 1, SIDE + 1)
    mesh = skfem.MeshQuad.init_tensor(sides, sides)
    meshmove.adapt(skfem.MeshQuad().refined(2), lambda x: x[0] ** 3, mover="dmm")  # imports what it needs
    rows: Rows = []
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in MOVERS}
    for name in list(PROBLEMS | MORE)[:: 6 if quick else 3]:
        problem = (PROBLEMS | MORE)[name]
        u, l2, h1 = solved(mesh, problem)
        for mover, options in MOVERS.items():
            seconds, out = timed(lambda u=u, o=options: meshmove.adapt(mesh, u, **o), clock=CPU)
            _, plain, slope = solved(out.mesh, problem)
            found[mover].append((plain / l2, slope / h1, seconds))
        gains = [f"{1 / found[m][-1][0]:.2f} / {1 / found[m][-1][1]:.2f}" for m in MOVERS]
        rows.append(row(f"{name}, squares: L2 / H1 gain {', '.join(MOVERS)}", ", ".join(gains)))
    classical = np.array(found["classical"])
    for mover in list(MOVERS)[:-1]:
        l2, h1, time = np.median(np.array(found[mover]) / classical, axis=0)
        what = f"squares, network {mover} / classical, medians of {len(classical)}: L2 error, H1 error, time"
        rows.append(row(what, f"{l2:.2f}, {h1:.2f}, {time:.2f}"))
    return rows


if __name__ == "__main__":
    main(run)
