"""Training samples: groups of meshes, made once, and analytic fields on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from math import factorial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import splu
from torch import Tensor

from meshmove.geometry import CellMesh, PointLocator, facets_of
from meshmove.geometry.arrays import Array
from meshmove.geometry.cells.quadrature import simplex_rule
from meshmove.geometry.quality import simplex_volumes
from meshmove.monitors import Monitor, NodalDensity, Recovery
from meshmove.movers import Problem
from meshmove.movers.laplacian import simplex_gradients, stiffness
from meshmove.procedural.fields import AnalyticFields, random_field
from meshmove.procedural.monitors.random_terms import Frame
from meshmove.whole_files import whole

from .fields import FieldBatch, Part
from .hessians import Walked
from .transport import carried, steep

__all__ = [
    "Group",
    "Prepared",
    "groups",
    "prepared",
]

#: of the monitor that nodes are carried to, as `adapt` has it
INTENSITY = 2.5
#: the least noise of nodal values, in parts of their spread, and how often there is some, of up to ten times as much
NOISE, NOISY = 3e-4, 0.25


@dataclass(eq=False)
class Prepared:
    """What training needs of a mesh: what its boundary and Hessian recovery are, fields, and where these carry it.

    `solutions` (fields, n): of Poisson's equation by linear finite elements on the mesh, whose exact solutions the
    fields are. `starts` (fields, n, 2): where the rounds start, after transport where the field is steep.
    """

    part: Part
    fields: AnalyticFields
    solutions: Array
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
    solved = solutions(part.mesh, drawn)
    return Prepared(part, drawn, solved, _starts(part, solved) if starts is None else starts)


def solutions(mesh: CellMesh, fields: AnalyticFields) -> Array:
    """Nodal values (fields, n) of the finite element solutions of -div grad v = -div grad u, v = u on the boundary, for
    each field u: they show waves and noise that u does not have."""
    simplices, owner = mesh.corners
    dim = mesh.dim
    points, shares = simplex_rule(dim, {2: 4, 3: 5}[dim])
    area = np.abs(simplex_volumes(mesh.points, simplices))
    where = np.einsum("vq,cvd->cqd", points, mesh.points[simplices])
    at, nodes = torch.from_numpy(where.reshape(-1, dim)), torch.from_numpy(mesh.points)
    slopes = simplex_gradients(mesh.points, simplices)  # (dim+1, dim, c)
    facets = facets_of(mesh)
    held = np.unique(facets.nodes[facets.cells[:, 1] < 0])
    free = np.setdiff1d(np.arange(mesh.n_points), held)
    matrix = stiffness(mesh)[0].tocsc()
    solve = splu(matrix[free][:, free]).solve if len(free) else None
    out = np.empty((len(fields), mesh.n_points))
    for k, u in enumerate(out):
        u[:] = fields.value(nodes, torch.full((len(nodes),), k)).numpy()
        gradient = fields.gradient(at, torch.full((len(at),), k)).numpy().reshape(where.shape)
        mean = factorial(dim) * area * np.einsum("q,cqd->dc", shares, gradient)
        force = np.bincount(simplices.T.ravel(), np.einsum("vdc,dc->vc", slopes, mean).ravel(), mesh.n_points)
        if solve is not None:
            u[free] = solve(force[free] - matrix[free][:, held] @ u[held])
    return out


def _starts(part: Part, solutions: Array) -> NDArray[np.float32]:
    """Where rounds start for each solution (fields, n), as in `adapt`; see `transport`."""
    mesh, monitor = part.mesh, Monitor("hessian", intensity=INTENSITY)
    facets, recovery, locator = facets_of(mesh), Recovery(mesh), PointLocator(mesh.simplicial())
    workspace: dict[Any, Any] = {}
    out = []
    for u in solutions:
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
        self._solutions = torch.from_numpy(np.concatenate([p.solutions for p in parts], axis=1)).float().to(device)

    def which(self, generator: torch.Generator) -> Tensor:
        """Numbers (B,) of one of its fields for each mesh."""
        return torch.randint(self._count, (len(self),), generator=generator)

    def fields(self, which: Tensor) -> AnalyticFields:
        """The fields of these numbers."""
        return self._fields[(which + self._count * torch.arange(len(self))).to(self.batch.points.device)]

    def carried(self, which: Tensor) -> Tensor:
        """Positions (n, 2) at which rounds start for the fields of these numbers: after transport, where steep."""
        return self._chosen(self._starts, which)

    def solved(self, which: Tensor) -> Tensor:
        """Nodal values (n,) of the finite element solutions that have the fields of these numbers as exact ones."""
        return self._chosen(self._solutions, which)

    def _chosen(self, values: Tensor, which: Tensor) -> Tensor:
        """Of values (fields, n, ...) those of each mesh's number, (n, ...)."""
        graph = self.batch.node_graph
        return values[which.to(graph.device)[graph], torch.arange(len(graph), device=graph.device)]

    def drawn(self, generator: torch.Generator) -> AnalyticFields:
        """One of its fields for each mesh."""
        return self.fields(self.which(generator))

    def shown(self, field: AnalyticFields) -> Tensor:
        """Nodal values (n,) of the fields."""
        return field.value(self.batch.points, self.batch.node_graph)

    def recovered(self, u: Tensor, generator: torch.Generator | None = None) -> Walked:
        """Hessians of nodal values (n,), with a little noise at times where there is a `generator`."""
        batch = self.batch
        if generator is not None:
            noise = torch.randn(len(u), generator=generator).to(u)
            size = NOISE * 10 ** torch.rand(len(self), generator=generator)
            noisy = torch.where(torch.rand(len(self), generator=generator) < NOISY, size, 0.0).to(u)
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
