r"""How much a base's step is corrected: in units of what the mesh does not resolve, and no farther than training saw.

A step's error is large where fields bend within a cell, and none where they are linear. So corrections come in units of

.. math:: r = \langle (L u)^2 + \max_k (L b_k)^2 \rangle^{1/2},

of the start u and the base's frames b, with the Laplacian L in units of the node's size and the mean over neighbours.
They scale with the fields, and vanish where these are constant: what rests stays at rest.

The gate compares what the network's last layer has at a node with what it had in training: by the Mahalanobis distance
m, in units of that within which nearly all nodes of training were. Up to 1 the correction is taken, from `CLOSED` on
none of it, between them a part (Lee, Lee, Lee, Shin, A simple unified framework for detecting out-of-distribution
samples, NeurIPS 2018). Nodes see their neighbours: where one in `FEW` of those around is strange, a node that is not
takes no correction either. At a jump, from which training had none, one that is strange stands among others that are
nearly so, whose corrections do as much harm. Features say little of attributes and sizes of cells beyond those of
training: there their ranges close it, see `Seen.near`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from meshmove.solvers.mmpde.graph import Graph

__all__ = ["Gate", "roughness"]

#: distance, in that of training, from which on no correction is taken
CLOSED = 1.3
#: one in so many strange nodes around, as means over neighbours count them, is enough for none to be taken; how many
#: such means, each over two rings
FEW, AROUND = 12.0, 3
#: share of the nodes of training that lie within their distance
WITHIN = 0.9995
#: the least roughness that has a logarithm, in standard deviations of the fields
LEAST = 1e-5


def roughness(graph: Graph, start: Tensor, frames: Tensor) -> Tensor:
    """(N, F) of a start (N, F) and the frames (N, bundle, F) after it."""
    n, count = start.shape
    every = torch.cat([start[:, None], frames], 1).flatten(1)
    bends = graph.operators(every).view(n, -1, every.shape[1])[:, -1].view(n, -1, count)
    bends = bends * graph.kinds[:, :1, None]  # on the boundary Laplacians are fluxes besides
    square = bends[:, 0].square() + bends[:, 1:].square().amax(1)
    square = graph.means(square)
    rough = square > 0  # where it is not, the root has no slope
    return torch.where(rough, torch.where(rough, square, 1).sqrt(), 0)


class Gate(nn.Module):
    """The share (N, 1) of a correction that is taken, from the features (N, width) of the network's last layer; all of
    it until `set` is told what training has seen, as while the network learns."""

    mean: Tensor
    whitening: Tensor
    most: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("whitening", torch.zeros(width, width))
        self.register_buffer("most", torch.ones(()))

    def open(self) -> None:
        """All of every correction is taken, as before `set`."""
        self.whitening.zero_()
        self.most.fill_(1.0)

    def forward(self, features: Tensor, graph: Graph) -> Tensor:
        own = (self.distance(features) - 1).div(CLOSED - 1).clamp(0, 1)[:, None]
        around = own
        for _ in range(AROUND):
            around = graph.means(around)
        return 1 - torch.maximum(own, FEW * around).clamp(max=1)

    def distance(self, features: Tensor) -> Tensor:
        """(N,), in that within which nearly all nodes of training were."""
        return ((features - self.mean) @ self.whitening).square().mean(1).clamp_min(1e-30).sqrt() / self.most

    def set(self, features: Tensor) -> None:
        """By features (N, width) of training."""
        features = features.double()
        centred = features - features.mean(0)
        values, vectors = torch.linalg.eigh(centred.T @ centred / max(1, len(features) - 1))
        floor = 1e-6 * values.max().clamp_min(1e-12)  # directions that training never took are not free
        self.mean.copy_(features.mean(0))
        self.whitening.copy_(vectors / values.clamp_min(floor).sqrt())
        self.most.fill_(1.0)
        distances = self.distance(features.float())
        kept = max(1, round((1 - WITHIN) * len(distances)))
        self.most.copy_(distances.topk(kept).values[-1].clamp_min(1e-6))
