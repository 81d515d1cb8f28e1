"""The guard: where a cell is in the way of a step, and only there, nodes go more like those around them.

A step that carries nodes over many cells may well leave a cell flat, or turn it over, because its vertices do not go
the same way. Drawing them back as against their neighbours would flatten others. So nodes of cells in the way take the
mean of the steps around, over and over, with one ring of cells more every few tries. Only what that does not mend is
shortened.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from meshmove.geometry.arrays import Array

from .meshes.one_mesh import Ids, OneMesh
from .meshes.simplices import Simplices

__all__ = ["KEEP", "let_through", "let_through_one"]

#: a round leaves every cell at least this share of its own volume, and this share of that at rest
KEEP, LEAST = 0.2, 1e-3
#: so many times steps around cells in the way are evened out, with one ring more after so many of these
EVEN, WIDER = 24, 4
#: so many times nodes of cells in the way take this share of their step; along an edge displacements then differ by so
#: much of its length at most, on their account
TRIES, SHORTER, RISE = 40, 0.6, 0.3
#: edges that this is heeded along, one after the other
FAR = 40
#: from this try on all nodes of a mesh with cells in the way take this share of theirs
PATIENCE, ALL = 24, 0.7


def let_through(batch: Simplices, x: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
    """Positions (n, dim) after as much of the step as keeps cells from flattening, and how much of it that is (B,).

    One less the root mean square of what is left of it, relative to its own; differentiable as if it were known which
    nodes' steps are evened out, and by what share they are shortened.
    """
    finite = torch.isfinite(step).all(1)
    sick = torch.zeros(len(batch), dtype=torch.bool, device=x.device).index_fill(0, batch.node_graph[~finite], True)
    step = torch.where(sick[batch.node_graph, None], 0.0, step)
    floor = _floor(batch, x)
    taken = _evened(batch, x, step, floor)
    taken = _shares(batch, x, taken, floor)[:, None] * taken

    def size(vectors: Tensor) -> Tensor:
        return vectors.new_zeros(len(batch)).index_add(0, batch.node_graph, vectors.detach().square().sum(1)).sqrt()

    whole = size(step)
    part = torch.where(whole > 0, 1 - size(step - taken) / whole.clamp_min(1e-30), 1.0).clamp_min(0.0)
    return x + taken, torch.where(sick, 0.0, part)


@torch.no_grad()
def _floor(batch: Simplices, x: Tensor) -> Tensor:
    """What the volumes of cells (c,), relative to those at rest, must not fall below."""
    before = batch.ratio(x)
    floor = torch.minimum(KEEP * before, torch.maximum(torch.full_like(before, LEAST), 0.5 * before))
    return torch.where(before > 0, floor, -torch.inf)


def _evened(batch: Simplices, x: Tensor, step: Tensor, floor: Tensor) -> Tensor:
    """The step (n, dim), evened out where cells are in its way."""
    many = batch.at_nodes(torch.ones_like(floor)[None])[0][:, None]
    for k in range(EVEN):
        low = ~(batch.ratio((x + step).detach()) >= floor)
        if not bool(low.any()):
            break
        for _ in range(k // WIDER):
            low = _nodes(batch, low)[batch.cells].any(1)
        around = batch.at_nodes(batch.corners(step).mean(1).T).T / many
        step = torch.where(_nodes(batch, low)[:, None], batch.project(around), step)
    return step


def _nodes(batch: Simplices, cells: Tensor) -> Tensor:
    """Which nodes (n,) are vertices of some of the cells (c,)."""
    none = torch.zeros(len(batch.points), dtype=torch.bool, device=cells.device)
    return none.index_fill(0, batch.cells[cells].reshape(-1), True)


@torch.no_grad()
def _shares(batch: Simplices, x: Tensor, step: Tensor, floor: Tensor) -> Tensor:
    """What part (n,) of its step each node may take; 0 for meshes where no part found will do."""
    share = x.new_ones(len(x))
    i, j = batch.edges
    rise = RISE * (x[i] - x[j]).norm(dim=1) / torch.maximum(step[i].norm(dim=1), step[j].norm(dim=1)).clamp_min(1e-12)
    for k in range(TRIES + 1):
        low = ~(batch.ratio(x + share[:, None] * step) >= floor)  # NaN is low
        if not bool(low.any()):
            return share
        if k == TRIES:
            break
        share = torch.where(_nodes(batch, low), SHORTER * share, share)
        for _ in range(FAR):
            last, share = share, share.scatter_reduce(0, j, share[i] + rise, "amin")
            if torch.equal(last, share):
                break
        if k >= PATIENCE:
            share = torch.where(_of(batch, low)[batch.node_graph], ALL * share, share)
    return torch.where(_of(batch, low)[batch.node_graph], 0.0, share)


def _of(batch: Simplices, cells: Tensor) -> Tensor:
    """Which meshes (B,) some of the cells (c,) belong to."""
    none = torch.zeros(len(batch), dtype=torch.bool, device=cells.device)
    return none.index_fill(0, batch.cell_graph[cells], True)


def let_through_one(mesh: OneMesh, x: Array, step: Array) -> tuple[Array, float]:
    """The same positions and share of one mesh, without derivatives: only cells whose nodes' steps have changed are
    looked at again."""
    if not np.isfinite(step).all():
        return x, 0.0
    before = mesh.ratio(x)
    floor = np.minimum(KEEP * before, np.maximum(LEAST, 0.5 * before))
    floor[~(before > 0)] = -np.inf
    taken, low = _evened_of_one(mesh, x, step, floor)
    if len(low):
        taken = _shares_of_one(mesh, x, taken, floor, low)[:, None] * taken
    whole = float(np.linalg.norm(step))
    return x + taken, max(0.0, 1 - float(np.linalg.norm(step - taken)) / whole) if whole > 0 else 1.0


def _evened_of_one(mesh: OneMesh, x: Array, step: Array, floor: Array) -> tuple[Array, Ids]:
    """As `_evened`, and cells that are in the way still."""
    step, seen = step.copy(), np.arange(len(floor))
    for k in range(EVEN):
        low = seen[~(mesh.ratio(x + step, seen) >= floor[seen])]
        if not len(low):
            return step, low
        for _ in range(k // WIDER):
            low = mesh.cells_around(mesh.nodes_of(low))
        hit = mesh.nodes_of(low)
        seen = mesh.cells_around(hit)
        step[hit] = mesh.projected(mesh.mean_around(step, hit, seen), hit)
    return step, seen[~(mesh.ratio(x + step, seen) >= floor[seen])]


def _shares_of_one(mesh: OneMesh, x: Array, step: Array, floor: Array, low: Ids) -> Array:
    """As `_shares`, (n,), for cells `low` that are in the way of the whole step: edges are looked at again only where
    the share of a node at one of their ends has fallen."""
    share, size = np.ones(len(x)), np.linalg.norm(step, axis=1)
    fallen = np.zeros(0, np.int64)
    for k in range(TRIES):
        last, hit = share.copy(), mesh.nodes_of(low)
        share[hit] *= SHORTER
        fallen = np.union1d(fallen, hit)
        for _ in range(FAR):
            i, j = mesh.neighbours.from_nodes(fallen)
            long = np.maximum(np.maximum(size[i], size[j]), 1e-12)
            most = share[i] + RISE * np.linalg.norm(x[i] - x[j], axis=1) / long
            less = np.flatnonzero(most < share[j])
            fallen = np.unique(j[less])
            if not len(less):
                break
            np.minimum.at(share, j[less], most[less])
        if k >= PATIENCE:
            share *= ALL
        seen = mesh.cells_around(np.flatnonzero(share != last))
        low = seen[~(mesh.ratio(x + share[:, None] * step, seen) >= floor[seen])]
        if not len(low):
            return share
    return np.zeros(len(x))
