"""Ten thousand held-out pairs of a mesh and a monitor through the network alone: inverted cells, and cut steps.

Every mesh of the held-out suite, made smaller, meets monitors of all its forms; its copies move as one batch.
"""

from __future__ import annotations

from benchmarks.harness import Rows, main, row

import numpy as np  # isort: skip
import torch
from torch import Tensor

from benchmarks.dmm.heldout import CASES, CASES_3D, SUITE, plan
from benchmarks.dmm.heldout_meshes import MESHES
from benchmarks.dmm.heldout_monitors import MONITORS
from meshmove import DMM, MeshBatch
from meshmove.geometry import inverted_cells
from meshmove.monitors import CallableDensity
from meshmove.neural.mover import Sampled

torch.set_num_threads(1)
#: monitors that a mesh meets, and nodes by dimension
MONITORS_EACH, NODES = 18, {2: 300, 3: 200}


def moved(seed: int) -> tuple[int, int, int]:
    """Pairs, inverted cells and moves with a step cut by more than half, of the mesh of case `seed`."""
    p = plan(seed)
    mesh = MESHES[p.dim][p.shape](np.random.default_rng([SUITE, seed, 2]), NODES[p.dim])
    low, high = mesh.points.min(axis=0), mesh.points.max(axis=0)
    mesh = mesh.moved((mesh.points - (low + high) / 2) / (high - low).max())
    monitors = []
    for k in range(MONITORS_EACH):
        rng = np.random.default_rng([SUITE, seed, 3, k])
        width = 2 * mesh.n_points ** (-1 / p.dim) * rng.uniform(1.2, 4.0)
        form = MONITORS[rng.choice(list(MONITORS))](
            rng, p.dim, width, float(np.exp(rng.uniform(np.log(3), np.log(60))))
        )
        monitors.append(Sampled(CallableDensity(form, np.zeros(p.dim), 2.0), mesh.points))

    def density(x: Tensor, graph: Tensor) -> Tensor:
        values = x.new_zeros(len(x))
        for k, monitor in enumerate(monitors):
            at = graph == k
            values = values.index_put((at,), monitor(x[at], graph[at]))
        return values

    batch = MeshBatch.of([mesh] * MONITORS_EACH)
    with torch.no_grad():
        trace = DMM.from_pretrained(f"dmm-{p.dim}d")(batch, density, adaptive=True)
    assert trace.points is not None and trace.cut is not None
    inverted = sum(len(inverted_cells(mesh, x.numpy())) for x in batch.split(trace.points))
    return MONITORS_EACH, inverted, int((trace.cut < 0.5).sum())


def run(quick: bool = False) -> Rows:
    """All meshes of the suite; `quick` takes every twentieth."""
    rows: Rows = []
    total = 0
    for dim, seeds in ((2, range(CASES)), (3, range(CASES, CASES + CASES_3D))):
        found = np.array([moved(seed) for seed in seeds[:: 20 if quick else 1]]).sum(axis=0)
        total, share = total + int(found[1]), float(found[2] / found[0])
        rows += [
            row(f"pairs in {dim}-D", int(found[0])),
            row(f"share cut by more than half, {dim}-D", share, "<= 0.02", share <= 0.02),
        ]
    return [*rows, row("inverted", total, "0", total == 0)]


if __name__ == "__main__":
    main(run)
