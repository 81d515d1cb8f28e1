"""Local repair: inverted cells are smoothed away where they are, and nowhere else."""

from __future__ import annotations

import torch
from torch import Tensor

from .batch import MeshBatch
from .energy import jacobians

__all__ = ["repair"]

#: corners below this share of their volume are mended
LEAST = 0.02
ROUNDS = 30


@torch.no_grad()
def repair(batch: MeshBatch, points: Tensor) -> Tensor:
    """Positions (n, d) with nodes of inverted corners moved towards the mean of their neighbours.

    The neighbours of a patch join in after every third round that has not mended it. Of every mesh the positions with
    the fewest inverted corners are kept. Not a guarantee.
    """
    if bool((jacobians(batch, points) >= LEAST).all()):
        return points
    i, j = batch.edges
    # a node on a boundary looks to its neighbours there: those inside would push it against corners
    bound = batch.projector(points).diagonal(dim1=1, dim2=2).sum(1) < batch.dim - 0.5
    counts = ~bound[j] | bound[i]
    i, j = i[counts], j[counts]
    degree = batch.mass.new_zeros(len(points)).index_add(0, j, batch.mass.new_ones(len(j))).clamp_min(1)[:, None]
    rest = batch.points.new_zeros(points.shape).index_add(0, j, batch.points[i]) / degree - batch.points
    active = torch.zeros(len(points), dtype=torch.bool, device=points.device)
    graph = batch.cell_graph[batch.owner]
    best, fewest = points, points.new_full((len(batch),), torch.inf)
    for k in range(ROUNDS):
        jac = jacobians(batch, points)
        bad = (jac < LEAST).nonzero()[:, 0]
        count = fewest.new_zeros(len(batch)).index_add(0, graph, (jac < LEAST).to(fewest))
        better = count < fewest
        best = torch.where(better[batch.node_graph, None], points, best)
        fewest = torch.where(better, count, fewest)
        if not len(bad):
            break
        fresh = torch.zeros_like(active)
        fresh[batch.simplices[bad].reshape(-1)] = True
        active = active | fresh
        if k % 3 == 2:
            active = active.clone().index_fill(0, j[active[i] & fresh[i]], True)
        mean = points.new_zeros(points.shape).index_add(0, j, points[i]) / degree
        # a lopsided star of neighbours at rest keeps some of its lopsidedness
        aim = mean - 0.2 * rest
        points = batch.retract(torch.where(active[:, None], points + 0.7 * (aim - points), points), count > 0)
    return best
