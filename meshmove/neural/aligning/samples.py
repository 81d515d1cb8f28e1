"""Training samples: groups of procedural meshes, made once, and analytic fields on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from meshmove.geometry import CellMesh
from meshmove.procedural import random_mesh
from meshmove.procedural.fields import AnalyticFields, random_field
from meshmove.procedural.monitors.random_terms import Frame

from ..training.samples import unit
from .fields import FieldBatch, Part
from .hessians import Walked

__all__ = [
    "FAMILIES",
    "Group",
    "Prepared",
    "groups",
    "make_meshes",
    "prepared",
    "read_meshes",
    "uniform_square",
    "write_meshes",
]

#: of triangles; most boundaries are straight
FAMILIES = (
    "square",
    "rectangle",
    "polygon",
    "holes",
    "reentrant",
    "channel",
    "graded",
    "stretched",
    "structured",
    "structured",
)
#: noise of nodal values, in parts of their spread, and how often there is some
NOISE, NOISY = 3e-4, 0.2


def make_meshes(count: int, nodes: tuple[int, int], seed: int) -> Iterator[CellMesh]:
    """So many meshes of triangles, of size one about 0."""
    for k in range(count):
        rng = np.random.default_rng([seed, k])
        if rng.random() < 0.08:
            mesh = uniform_square(int(rng.integers(round(nodes[0] ** 0.5), round(nodes[1] ** 0.5) + 1)))
            yield mesh.moved(mesh.points * rng.choice([-1, 1], 2))
        else:
            yield unit(random_mesh(rng, 2, nodes=nodes, families=FAMILIES))


def uniform_square(side: int) -> CellMesh:
    """The square about 0 as everybody meshes it: even squares, with so many nodes to a side, one diagonal each."""
    i, j = np.meshgrid(np.arange(side), np.arange(side), indexing="ij")
    a = (i[:-1, :-1] * side + j[:-1, :-1]).ravel()
    cells = np.concatenate([np.stack([a, a + side, a + 1], 1), np.stack([a + side, a + side + 1, a + 1], 1)])
    return CellMesh.single(np.stack([i.ravel(), j.ravel()], 1) / (side - 1) - 0.5, cells, "triangle")


def write_meshes(path: str | Path, meshes: Sequence[CellMesh]) -> Path:
    """Points in single precision and cells, compressed."""
    path = Path(path)
    np.savez_compressed(
        path,
        points=np.concatenate([m.points for m in meshes]).astype(np.float32),
        cells=np.concatenate([m.corners[0] for m in meshes]).astype(np.uint16),
        n=np.array([m.n_points for m in meshes]),
        c=np.array([m.n_cells for m in meshes]),
    )
    return path


def read_meshes(path: str | Path) -> list[CellMesh]:
    """What `write_meshes` wrote."""
    with np.load(path) as file:
        points, cells, n, c = (file[k] for k in ("points", "cells", "n", "c"))
    ends, last = np.cumsum(n), np.cumsum(c)
    points = points.astype(np.float64)
    return [
        CellMesh.single(points[b - k : b], cells[e - m : e].astype(np.int64), "triangle")
        for b, k, e, m in zip(ends, n, last, c, strict=True)
    ]


@dataclass(eq=False)
class Prepared:
    """What training needs of a mesh: what its boundary and Hessian recovery are, and fields."""

    part: Part
    fields: AnalyticFields


def prepared(mesh: CellMesh, seed: list[int], fields: int) -> Prepared:
    """All that a mesh needs, with so many fields."""
    rng, frame = np.random.default_rng(seed), Frame.of(mesh)
    drawn = [random_field(rng, mesh, frame) for _ in range(fields)]
    return Prepared(Part.of(mesh), AnalyticFields.joined(drawn))


def _many(task: tuple[list[CellMesh], int, int, int]) -> list[Prepared]:
    meshes, seed, first, fields = task
    return [prepared(m, [seed, first + k], fields) for k, m in enumerate(meshes)]


class Group(FieldBatch):
    """Meshes side by side on a device, each with a number of fields to choose from."""

    def __init__(self, parts: list[Prepared], device: torch.device | str = "cpu") -> None:
        super().__init__([p.part for p in parts], device)
        self._count = len(parts[0].fields)
        self._fields = AnalyticFields.joined([p.fields for p in parts]).to(device, torch.float32)

    def drawn(self, generator: torch.Generator) -> AnalyticFields:
        """One of its fields for each mesh."""
        device = self.batch.points.device
        which = torch.randint(self._count, (len(self),), generator=generator)
        return self._fields[(which + self._count * torch.arange(len(self))).to(device)]

    def recovered(self, field: AnalyticFields, generator: torch.Generator | None = None) -> Walked:
        """Hessians as a solver's nodal values show them, with a little noise at times where there is a `generator`."""
        batch = self.batch
        u = field.value(batch.points, batch.node_graph)
        if generator is not None:
            noise = torch.randn(len(u), generator=generator).to(u)
            noisy = NOISE * (torch.rand(len(self), generator=generator) < NOISY).to(u)
            high = u.new_full((len(self),), -torch.inf).scatter_reduce(0, batch.node_graph, u, "amax")
            low = u.new_full((len(self),), torch.inf).scatter_reduce(0, batch.node_graph, u, "amin")
            u = u + (noisy * (high - low))[batch.node_graph] * noise
        return self.hessians(u)


def groups(
    meshes: Sequence[CellMesh],
    *,
    nodes: int,
    fields: int,
    seed: int,
    device: torch.device | str = "cpu",
    workers: int = 1,
) -> list[Group]:
    """Groups of meshes of like sizes with about `nodes` nodes in all, and so many fields a mesh."""
    order = sorted(meshes, key=lambda m: m.n_points)
    cuts, total = [0], 0
    for k, mesh in enumerate(order):
        total += mesh.n_points
        if total >= nodes:
            cuts.append(k + 1)
            total = 0
    if cuts[-1] < len(order):
        cuts.append(len(order))
    tasks = [(order[a:b], seed, a, fields) for a, b in zip(cuts[:-1], cuts[1:], strict=True)]
    if workers == 1:
        return [Group(_many(t), device) for t in tasks]
    small = [(m[k : k + 8], s, f + k, n) for m, s, f, n in tasks for k in range(0, len(m), 8)]
    with ProcessPoolExecutor(workers, get_context("forkserver")) as pool:  # a process with CUDA must not be forked
        done = list(pool.map(_many, small))
    flat = [p for part in done for p in part]
    return [Group(flat[a:b], device) for a, b in zip(cuts[:-1], cuts[1:], strict=True)]
