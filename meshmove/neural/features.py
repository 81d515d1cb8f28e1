"""What the network sees: invariants of a mesh, its residual, and where the plain step would lead."""

from __future__ import annotations

import torch
from torch import Tensor

from .batch import MeshBatch
from .energy import State, jacobians
from .guard import SOFTEN

__all__ = ["FEATURES", "features"]

#: how many there are at every node
FEATURES = 20


def features(
    batch: MeshBatch,
    at: State,
    residual: Tensor,
    target: Tensor,
    z: Tensor,
    d: Tensor,
    shape: Tensor,
    projector: Tensor,
) -> Tensor:
    """Invariants (n, FEATURES) of a round, free of the mesh's size and resolution.

    Besides what the mesh is like now the network sees where the plain step z would lead: which cells it flattens.
    """
    owner, h, graph = batch.owner, batch.size, batch.node_graph
    ahead = jacobians(batch, at.points + z)
    root = torch.sqrt(ahead * ahead + 4 * SOFTEN**2)
    # two equal forms, each free of cancellation on its side
    ahead = torch.log(torch.where(ahead > 0, (ahead + root) / 2, 2 * SOFTEN**2 / (root + ahead.abs())) + 1e-6)
    of_cell = torch.stack([residual, residual.abs(), target, target.abs()], 1)
    of_simplex = torch.stack([torch.log(at.jac), torch.log(at.shape), ahead], 1)
    nodal = batch.at_nodes(torch.cat([of_cell[owner], of_simplex], 1))
    last, step = length(d), length(z)
    freedom = projector.diagonal(dim1=1, dim2=2).sum(1) / batch.dim
    own = [
        torch.log(last / h + 1e-3),
        torch.log(last + 1e-3),
        torch.log(step / h + 1e-3),
        torch.log(step + 1e-3),
        (z * d).sum(1) / (step * last),
        torch.log(length(shape) * h / batch.mass + 1e-2),
        least_around(batch, torch.log(at.jac)),
        least_around(batch, ahead),
        freedom,
        (freedom == 0).to(h),
        torch.log(batch.mass / h**batch.dim),
        batch.mean(residual * residual).add(1e-12).sqrt()[graph],
        batch.least(ahead)[graph],
    ]
    return torch.cat([nodal, torch.stack(own, 1)], 1)


def length(vectors: Tensor) -> Tensor:
    return (vectors * vectors).sum(1).add(1e-16).sqrt()


def least_around(batch: MeshBatch, values: Tensor) -> Tensor:
    """Smallest of values (s,) around each node."""
    flat = values[:, None].expand(-1, batch.dim + 1).reshape(-1)
    out = values.new_full((len(batch.points),), torch.inf)
    return out.scatter_reduce(0, batch.simplices.reshape(-1), flat, "amin")
