"""The guarantee: steps are shortened, cells mended, meshes drawn back, until no corner is inverted."""

from __future__ import annotations

import torch
from torch import Tensor

from .batch import MeshBatch
from .energy import jacobians
from .repair import repair

__all__ = ["SOFTEN", "let_through", "repaired", "softening", "valid"]

#: a step leaves every corner at least this share of its mesh's flattest one, or of FLAT
KEEP, FLAT = 0.1, 0.3
#: softening of determinants while a mesh has inverted cells
SOFTEN = 0.05


@torch.no_grad()
def let_through(batch: MeshBatch, x: Tensor, step: Tensor) -> Tensor:
    """The longest length (meshes,) of the step in each mesh that keeps its cells from flattening."""
    before = batch.least(jacobians(batch, x))
    floor = torch.where(before > 0, KEEP * before.clamp_max(FLAT), before)
    length = torch.where(
        torch.isfinite(step.new_zeros(len(batch)).index_add(0, batch.node_graph, step.sum(1))), 1.0, 0.0
    ).to(x)
    for _ in range(30):
        trial = batch.retract(x + length[batch.node_graph, None] * torch.nan_to_num(step))
        bad = ~(batch.least(jacobians(batch, trial)) >= floor)  # NaN is bad
        if not bool(bad.any()):
            break
        length = torch.where(bad, length * 0.7, length)
    else:
        length = torch.where(bad, 0.0, length)
    return length


def softening(batch: MeshBatch, x: Tensor) -> Tensor:
    """Zero for valid meshes."""
    with torch.no_grad():
        least = batch.least(jacobians(batch, x))
        return torch.where(least > 1e-3, 0.0, SOFTEN).to(x)


def repaired(batch: MeshBatch, points: Tensor) -> Tensor:
    """Local repair, differentiable as if its correction were constant."""
    return points + (repair(batch, points.detach()) - points.detach())


def rounding(batch: MeshBatch, points: Tensor) -> Tensor:
    """Bound (s,) on the error of `jacobians` that comes of the precision of the coordinates."""
    x = points[batch.simplices]
    edges = (x[:, 1:] - x[:, :1]).flatten(1).norm(dim=1)
    rest = batch.rest.flatten(1).norm(dim=1)
    return 4 * torch.finfo(points.dtype).eps * rest * (1 + (edges * rest) ** (batch.dim - 1))


def valid(batch: MeshBatch, points: Tensor, start: Tensor) -> Tensor:
    """The positions, drawn back towards `start` in meshes that have an inverted cell."""
    points = torch.where(torch.isfinite(points), points, start)
    with torch.no_grad():
        share = torch.ones(len(batch)).to(points)
        for _ in range(40):
            trial = batch.retract(start + share[batch.node_graph, None] * (points - start))
            bad = ~(batch.least(jacobians(batch, trial) - rounding(batch, trial)) > 0)
            if not bool(bad.any()):
                break
            share = torch.where(bad, share * 0.7, share)
        else:
            share = torch.where(bad, 0.0, share)
    return (
        points if bool((share == 1).all()) else batch.retract(start + share[batch.node_graph, None] * (points - start))
    )
