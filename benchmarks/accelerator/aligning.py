"""The network that aligns, on batches: the same meshes as on the processor, and how many more of them a second."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from benchmarks.harness import row, timed
from meshmove import adapt
from meshmove.geometry import CellMesh
from meshmove.neural.aligning.meshes.drawn import uniform_square
from meshmove.neural.aligning.network import Aligner
from meshmove.neural.aligning.samples import Group, prepared
from meshmove.procedural.meshes.grids import perturbed

from .cases import synchronised

__all__ = ["aligning"]

LIMIT = 1e-4


def _meshes(count: int, side: int) -> list[CellMesh]:
    """Perturbed squares with so many nodes to a side."""
    rng = np.random.default_rng(4)
    return [perturbed(rng, uniform_square(side), 0.25) for _ in range(count)]


@torch.no_grad()
def aligning(model: Aligner, device: str, tiny: bool) -> Iterator[dict[str, object]]:
    """Relative difference of displacements, then milliseconds a mesh."""
    few = _meshes(2 if tiny else 8, 12 if tiny else 20)
    moved = {}
    for where in ("cpu", device):
        on = model.to(where)
        group = Group([prepared(m, [7, k], 1) for k, m in enumerate(few)], where)
        moved[where] = (_moved(on, group) - group.batch.points).cpu()
    difference = float((moved[device] - moved["cpu"]).norm() / moved["cpu"].norm())
    name = f"network that aligns, {len(few)} meshes: difference"
    yield row(name, difference, f"<= {LIMIT:g}", difference <= LIMIT)

    many = _meshes(2 if tiny else 64, 12 if tiny else 50)
    parts = [prepared(m, [8, k], 1) for k, m in enumerate(many)]
    group, on = Group(parts, device), model.to(device)
    synchronised(lambda: _moved(on, group), device)
    seconds = timed(lambda: synchronised(lambda: _moved(on, group), device), 3)[0] / len(many)
    torch.set_num_threads(1)
    one, on = Group(parts[:1], "cpu"), model.to("cpu")
    _moved(on, one)
    alone = timed(lambda: _moved(on, one), 2)[0]
    name = f"network that aligns, {len(many)} meshes of {many[0].n_points} nodes"
    yield row(f"{name}: ms each, one core / accelerator", f"{1e3 * alone:.3g} / {1e3 * seconds:.3g}")
    mesh, field = many[0], parts[0].fields
    assert field is not None
    u = field.value(torch.from_numpy(mesh.points), torch.zeros(mesh.n_points, dtype=torch.long)).numpy()
    adapt(mesh, u)
    classical = timed(lambda: adapt(mesh, u), 2)[0]
    yield row(f"{name}: the classical mover on one core, ms each", 1e3 * classical)
    goal = None if tiny or device == "cpu" else ">= 100"
    yield row(f"{name}: times faster than that", classical / seconds, goal, goal and bool(classical >= 100 * seconds))
    model.to(device)


def _moved(model: Aligner, group: Group) -> Tensor:
    """Positions (n, 2) of all nodes after all rounds, each mesh for its own field."""
    field = group.drawn(torch.Generator().manual_seed(0))
    return model(group.batch, group.recovered(group.shown(field)))[-1][0]
