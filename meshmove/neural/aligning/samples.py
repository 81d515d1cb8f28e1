"""Training samples: groups of procedural meshes, made once, and analytic fields on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from meshmove.geometry import CellMesh, PointLocator, facets_of
from meshmove.monitors import Monitor, NodalDensity, Recovery
from meshmove.movers import Problem
from meshmove.procedural import random_mesh
from meshmove.procedural.fields import AnalyticFields, random_field
from meshmove.procedural.monitors.random_terms import Frame
from meshmove.whole_files import whole

from ..training.samples import unit
from .fields import FieldBatch, Part
from .hessians import Walked
from .transport import carried, steep

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
#: of the monitor that nodes are carried to, as `adapt` has it
INTENSITY = 2.5
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
    """What training needs of a mesh: what its boundary and Hessian recovery are, fields, and where these carry it.

    `starts` (fields, n, 2): where the rounds start, after transport where the field is steep.
    """

    part: Part
    fields: AnalyticFields
    starts: NDArray[np.float32]


def prepared(
    mesh: CellMesh,
    seed: list[int],
    fields: int,
    kinds: Sequence[str] | None = None,
    starts: NDArray[np.float32] | None = None,
) -> Prepared:
    """All that a mesh needs, with so many fields, of these kinds or of all; `starts` where they are known."""
    rng, frame = np.random.default_rng(seed), Frame.of(mesh)
    drawn = AnalyticFields.joined(
        [random_field(rng, mesh, frame, None if kinds is None else str(rng.choice(kinds))) for _ in range(fields)]
    )
    part = Part.of(mesh)
    return Prepared(part, drawn, _starts(part, drawn) if starts is None else starts)


def _starts(part: Part, fields: AnalyticFields) -> NDArray[np.float32]:
    """Where rounds start for each field, as in `adapt`; see `transport`."""
    mesh, monitor = part.mesh, Monitor("hessian", intensity=INTENSITY)
    facets, recovery, locator = facets_of(mesh), Recovery(mesh), PointLocator(mesh)
    points, out = torch.from_numpy(mesh.points), []
    workspace: dict[Any, Any] = {}
    for k in range(len(fields)):
        u = fields.value(points, torch.full((len(points),), k)).numpy()
        values = monitor.values(mesh, monitor.indicator(recovery, u))
        density = NodalDensity(values, locator)
        problem = Problem(mesh, facets, part.slide, density, mesh.points, discrete=True, workspace=workspace)
        out.append((carried(problem) if steep(problem) else mesh.points).astype(np.float32))
    return np.stack(out)


@dataclass(frozen=True, eq=False)
class _Task:
    """Meshes to prepare; `first`: the number of the first of them; `starts` of each, or None."""

    meshes: list[CellMesh]
    seed: int
    first: int
    fields: int
    kinds: Sequence[str] | None
    starts: list[Any]

    def parts(self, size: int) -> Iterator[_Task]:
        for k in range(0, len(self.meshes), size):
            some = slice(k, k + size)
            yield replace(self, meshes=self.meshes[some], first=self.first + k, starts=self.starts[some])

    def done(self) -> list[Prepared]:
        each = zip(self.meshes, self.starts, strict=True)
        return [prepared(m, [self.seed, self.first + k], self.fields, self.kinds, x) for k, (m, x) in enumerate(each)]


class Group(FieldBatch):
    """Meshes side by side on a device, each with a number of fields to choose from."""

    def __init__(self, parts: list[Prepared], device: torch.device | str = "cpu") -> None:
        super().__init__([p.part for p in parts], device)
        self._count = len(parts[0].fields)
        self._fields = AnalyticFields.joined([p.fields for p in parts]).to(device, torch.float32)
        self._starts = torch.from_numpy(np.concatenate([p.starts for p in parts], axis=1)).to(device)

    def which(self, generator: torch.Generator) -> Tensor:
        """Numbers (B,) of one of its fields for each mesh."""
        return torch.randint(self._count, (len(self),), generator=generator)

    def fields(self, which: Tensor) -> AnalyticFields:
        """The fields of these numbers."""
        return self._fields[(which + self._count * torch.arange(len(self))).to(self.batch.points.device)]

    def carried(self, which: Tensor) -> Tensor:
        """Positions (n, 2) at which rounds start for the fields of these numbers: after transport, where steep."""
        graph = self.batch.node_graph
        return self._starts[which.to(graph.device)[graph], torch.arange(len(graph), device=graph.device)]

    def drawn(self, generator: torch.Generator) -> AnalyticFields:
        """One of its fields for each mesh."""
        return self.fields(self.which(generator))

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
    kinds: Sequence[str] | None = None,
    kept: Path | None = None,
) -> list[Group]:
    """Groups of meshes of like sizes with about `nodes` nodes in all, and so many fields of these kinds a mesh.

    `kept`: a file from which the transported starts are read, or to which they are written where there is none.
    """
    order = sorted(meshes, key=lambda m: m.n_points)
    cuts, total = [0], 0
    for k, mesh in enumerate(order):
        total += mesh.n_points
        if total >= nodes:
            cuts.append(k + 1)
            total = 0
    if cuts[-1] < len(order):
        cuts.append(len(order))
    bounds = list(zip(cuts[:-1], cuts[1:], strict=True))
    starts = _known(kept, order) if kept is not None and kept.is_file() else [None] * len(order)
    tasks = [_Task(order[a:b], seed, a, fields, kinds, starts[a:b]) for a, b in bounds]
    if workers == 1:
        flat = [p for t in tasks for p in t.done()]
    else:
        with ProcessPoolExecutor(workers, get_context("forkserver")) as pool:  # a process with CUDA must not be forked
            flat = [p for part in pool.map(_Task.done, [s for t in tasks for s in t.parts(8)]) for p in part]
    if kept is not None and not kept.is_file():
        with whole(kept) as part, part.open("wb") as file:
            np.savez(file, starts=np.concatenate([p.starts for p in flat], axis=1))
    return [Group(flat[a:b], device) for a, b in bounds]


def _known(path: Path, meshes: Sequence[CellMesh]) -> list[NDArray[np.float32]]:
    """The starts of each mesh, from the file that `groups` wrote."""
    with np.load(path) as file:
        return np.split(file["starts"], np.cumsum([m.n_points for m in meshes])[:-1], axis=1)
