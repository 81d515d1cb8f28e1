"""The guard: only nodes of cells in the way of a step draw back."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from meshmove.geometry.arrays import Array

from .meshes.one_mesh import OneMesh
from .meshes.triangles import Triangles

__all__ = ["KEEP", "let_through", "let_through_one"]

#: a round leaves every cell at least this share of its own volume, and this share of that at rest
KEEP, LEAST = 0.2, 1e-3
#: so many times nodes of cells in the way take this share of their step; neighbours' then differ at most so much
TRIES, SHORTER, RISE = 40, 0.6, 1.6
#: from this try on all nodes of a mesh with cells in the way take this share of theirs
PATIENCE, ALL = 12, 0.7


@torch.no_grad()
def _shares(batch: Triangles, x: Tensor, step: Tensor) -> Tensor:
    """What part (n,) of its step each node may take; 0 for meshes where no part found will do."""
    before = batch.ratio(x)
    floor = torch.minimum(KEEP * before, torch.maximum(torch.full_like(before, LEAST), 0.5 * before))
    floor = torch.where(before > 0, floor, -torch.inf)
    share = x.new_ones(len(x))
    i, j = batch.edges
    for k in range(TRIES + 1):
        low = ~(batch.ratio(x + share[:, None] * step) >= floor)  # NaN is low
        if not bool(low.any()):
            return share
        if k == TRIES:
            break
        hit = torch.zeros_like(share).index_fill(0, batch.cells[low].reshape(-1), 1.0)
        share = torch.where(hit > 0, SHORTER * share, share)
        share = share.scatter_reduce(0, j, RISE * share[i].clamp_min(1e-3), "amin")
        if k >= PATIENCE:
            share = torch.where(_of(batch, low)[batch.node_graph], ALL * share, share)
    return torch.where(_of(batch, low)[batch.node_graph], 0.0, share)


def _of(batch: Triangles, cells: Tensor) -> Tensor:
    """Which meshes (B,) some of the cells (c,) belong to."""
    none = torch.zeros(len(batch), dtype=torch.bool, device=cells.device)
    return none.index_fill(0, batch.cell_graph[cells], True)


def let_through(batch: Triangles, x: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
    """Positions (n, 2) after as much of the step as keeps cells from flattening, and its share (B,).

    The share is that of the root mean square; differentiable as if the nodes' shares were constant.
    """
    finite = torch.isfinite(step).all(1)
    sick = torch.zeros(len(batch), dtype=torch.bool, device=x.device).index_fill(0, batch.node_graph[~finite], True)
    step = torch.where(sick[batch.node_graph, None], 0.0, step)
    share = _shares(batch, x, step)
    taken = share[:, None] * step

    def size(vectors: Tensor) -> Tensor:
        return vectors.new_zeros(len(batch)).index_add(0, batch.node_graph, vectors.detach().square().sum(1)).sqrt()

    whole = size(step)
    part = torch.where(whole > 0, size(taken) / whole.clamp_min(1e-30), 1.0)
    return x + taken, torch.where(sick, 0.0, part)


def let_through_one(mesh: OneMesh, x: Array, step: Array) -> tuple[Array, float]:
    """The same positions and share of one mesh, without derivatives: only cells whose nodes' shares have changed are
    looked at again."""
    if not np.isfinite(step).all():
        return x, 0.0
    taken = _shares_of_one(mesh, x, step)[:, None] * step
    whole = float(np.linalg.norm(step))
    return x + taken, float(np.linalg.norm(taken)) / whole if whole > 0 else 1.0


def _shares_of_one(mesh: OneMesh, x: Array, step: Array) -> Array:
    """As `_shares`, (n,)."""
    before = mesh.ratio(x)
    floor = np.minimum(KEEP * before, np.maximum(LEAST, 0.5 * before))
    floor[~(before > 0)] = -np.inf
    share, seen = np.ones(len(x)), np.arange(len(before))
    for k in range(TRIES + 1):
        ratio = mesh.ratio(x + share[:, None] * step, seen)
        low = seen[~(ratio >= floor[seen])]
        if not len(low):
            return share
        last = share.copy()
        share[np.unique(mesh.cells[low])] *= SHORTER
        near = mesh.cells[mesh.cells_around(np.flatnonzero(RISE * share < 1))]
        most = RISE * np.maximum(share[near].min(axis=1), 1e-3)
        np.minimum.at(share, near, most[:, None])
        if k >= PATIENCE:
            share *= ALL
        seen = mesh.cells_around(np.flatnonzero(share != last))
    return np.zeros(len(x))
