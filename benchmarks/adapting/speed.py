"""What the ordinary path costs: one adapt at three sizes, a published task, against a factorisation; a moving step."""

from __future__ import annotations

from benchmarks.harness import CPU, Rows, main, row, square, timed
from benchmarks.peers.fem_cases import published_task
from benchmarks.time.run import costs

import numpy as np  # isort: skip
import skfem
from scipy.sparse import identity
from scipy.sparse.linalg import splu
from skfem.models.poisson import laplace

import meshmove

#: CPU milliseconds of one thread that one adapt may take, by nodes a side; and the task
TARGETS, TASK = {15: 60, 40: 250, 80: 1000}, 150
REPEATS = 9


def front(x):
    """A front along a circle."""
    return np.tanh(20 * ((x[0] - 0.5) ** 2 + (x[1] - 0.5) ** 2 - 0.1))


def factorisation(mesh: skfem.MeshTri) -> float:
    """CPU seconds of a factorisation of the mesh's Laplacian: a measure of the machine in the same process."""
    matrix = laplace.assemble(skfem.Basis(mesh, skfem.ElementTriP1())) + 1e-3 * identity(mesh.nvertices)
    options = {"permc_spec": "MMD_AT_PLUS_A", "diag_pivot_thresh": 0, "options": {"SymmetricMode": True}}
    return timed(lambda: splu(matrix.tocsc(), **options), 5, CPU)[0]


def one_adapt(nodes: int) -> dict:
    mesh = square(nodes - 1)
    values = front(mesh.p)
    meshmove.adapt(mesh, values)
    both = [(timed(lambda: meshmove.adapt(mesh, values), clock=CPU)[0], factorisation(mesh)) for _ in range(REPEATS)]
    spent, unit = np.median(both, axis=0)
    name = f"one adapt on {nodes}x{nodes} nodes, CPU ms"
    return row(name, 1e3 * spent, TARGETS[nodes], bool(1e3 * spent <= TARGETS[nodes]), factorisations=spent / unit)


def task(quick: bool) -> dict:
    """The Poisson task, three rounds, all included."""
    spent = []
    for case in published_task(6 if quick else 25):
        spent.append(timed(lambda c=case: meshmove.adapt_loop(c.mesh, c.solve), clock=CPU)[0])
    middle = 1e3 * float(np.median(spent[1:]))
    unit = 1e3 * factorisation(square(14))
    return row("Poisson task, three rounds, CPU ms", middle, TASK, middle <= TASK, factorisations=middle / unit)


def run(quick: bool = False) -> Rows:
    """Medians of CPU time with one thread."""
    return [*(one_adapt(n) for n in TARGETS), task(quick), *costs(quick)]


if __name__ == "__main__":
    main(run)
