"""The branch-trunk network, and the derivatives of its potential.

The published layers are kept: the graph branch has three message-passing layers of width 4 on the graph of the 35
nearest neighbours, the grid branch four convolutions, the trunk is linear(2, 32)-tanh-linear(32, 512), the output
network linear(1024, 512)-tanh-linear(512, 1) on the branch's and the trunk's 512 numbers.

Between the trunk's only tanh and the output's only tanh everything is linear, so the product of the two matrices is
taken first: the same function of the same parameters, for a sixteenth of the work at each point.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing

__all__ = ["GraphBranch", "GridBranch", "Jets", "PublishedDMM", "neighbour_graph"]

LATENT = 512


class Jets(NamedTuple):
    """Features of the last hidden layer and their derivatives in x and y, each (b, p, k); phi is linear in them."""

    value: Tensor
    x: Tensor
    y: Tensor
    xx: Tensor
    xy: Tensor
    yy: Tensor


def neighbour_graph(points: NDArray[np.float64], neighbours: int = 35) -> Tensor:
    """Edges (2, n k): from the k nearest neighbours of each point to that point."""
    k = min(neighbours, len(points) - 1)
    _, near = cKDTree(points).query(points, k + 1)
    near = near[:, 1:]
    return torch.tensor(np.stack([near.ravel(), np.repeat(np.arange(len(points)), k)]))


class _Layer(MessagePassing):
    """h <- norm(h + update(h, mean of messages)), all of tanh layers.

    A message sees h of both ends and the differences of field and position. Its first layer is linear in what each end
    knows, so it is applied at the nodes, before gathering. Nodes come first, (n, b, width): what is gathered is then
    contiguous over the batch.
    """

    def __init__(self, width: int) -> None:
        super().__init__(aggr="mean", node_dim=0)
        self.to_i, self.to_j = nn.Linear(width + 3, width), nn.Linear(width, width, bias=False)
        self.message_2 = nn.Linear(width, width)
        self.update_1, self.update_2 = nn.Linear(2 * width, width), nn.Linear(width, width)
        self.norm = nn.BatchNorm1d(width)

    def forward(self, h: Tensor, given: Tensor, edges: Tensor) -> Tensor:
        width = h.shape[-1]
        differences = given @ self.to_i.weight[:, width:].T
        at_i = h @ self.to_i.weight[:, :width].T + differences + self.to_i.bias
        mean = self.propagate(edges, at_i=at_i, at_j=self.to_j(h) - differences)
        change = torch.tanh(self.update_2(torch.tanh(self.update_1(torch.cat([h, mean], dim=-1)))))
        return self.norm((h + change).reshape(-1, width)).reshape(h.shape)

    def message(self, at_i_i: Tensor, at_j_j: Tensor) -> Tensor:
        return torch.tanh(self.message_2(torch.tanh(at_i_i + at_j_j)))


class GraphBranch(nn.Module):
    """Nodal values (b, n) of a field on one fixed graph -> (b, 512)."""

    def __init__(self, points: NDArray[np.float64], width: int = 4, layers: int = 3, neighbours: int = 35) -> None:
        super().__init__()
        self.register_buffer("points", torch.tensor(points, dtype=torch.float32))
        self.register_buffer("edges", neighbour_graph(points, neighbours))
        self.embed_1, self.embed_norm = nn.Linear(3, width), nn.BatchNorm1d(width)
        self.embed_2, self.embed_norm_2 = nn.Linear(width, width), nn.BatchNorm1d(width)
        self.layers = nn.ModuleList(_Layer(width) for _ in range(layers))
        self.decode = nn.Sequential(nn.Linear(width, 128), nn.Tanh(), nn.Linear(128, 1))
        self.out = nn.Sequential(
            nn.Linear(len(points), 512), nn.Tanh(), nn.Linear(512, 256), nn.Tanh(), nn.Linear(256, LATENT)
        )

    def forward(self, u: Tensor) -> Tensor:
        b, n = u.shape
        given = torch.cat([u.T[..., None], self.points[:, None].expand(n, b, 2)], dim=-1)
        h = torch.tanh(self.embed_norm(self.embed_1(given).reshape(n * b, -1)))
        h = self.embed_norm_2(self.embed_2(h)).reshape(n, b, -1)
        for layer in self.layers:
            h = layer(h, given, self.edges)
        return self.out(self.decode(h)[..., 0].T)


class GridBranch(nn.Module):
    """Values (b, n) on a square grid -> (b, 512)."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side
        self.first = nn.Conv2d(1, 8, 5, stride=2, padding=2)
        self.middle = nn.Sequential(nn.Conv2d(8, 16, 5, padding=2), nn.Tanh(), nn.Conv2d(16, 8, 5, padding=2))
        self.last = nn.Conv2d(8, 1, 5, stride=2, padding=2)
        left = (((side + 1) // 2) + 1) // 2
        self.out = nn.Sequential(nn.Linear(left**2, 1024), nn.Tanh(), nn.Linear(1024, LATENT))

    def forward(self, u: Tensor) -> Tensor:
        h = torch.tanh(self.first(u.reshape(-1, 1, self.side, self.side)))
        h = torch.tanh(h + self.middle(h))
        return self.out(torch.tanh(self.last(h)).flatten(1))


class PublishedDMM(nn.Module):
    """The potential phi(u, xi) on a domain that is scaled to a unit box."""

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch
        self.trunk_1, self.trunk_2 = nn.Linear(2, 32), nn.Linear(32, LATENT)
        self.hidden, self.last = nn.Linear(2 * LATENT, LATENT), nn.Linear(LATENT, 1)

    def forward(self, u: Tensor, xi: Tensor) -> Tensor:
        """phi (b, p) for fields (b, n) at points (b, p, 2), layer by layer as published."""
        branch = self.branch(u)[:, None].expand(-1, xi.shape[1], -1)
        trunk = self.trunk_2(torch.tanh(self.trunk_1(xi)))
        return self.last(torch.tanh(self.hidden(torch.cat([branch, trunk], dim=-1))))[..., 0]

    def features(self, u: Tensor, *at: Tensor) -> list[Jets]:
        """The last hidden layer and its first and second derivatives at several sets of points (b, p, 2)."""
        by_branch, by_trunk = self.hidden.weight[:, :LATENT], self.hidden.weight[:, LATENT:]
        shift = self.branch(u) @ by_branch.T + self.hidden.bias + by_trunk @ self.trunk_2.bias
        mixed = (by_trunk @ self.trunk_2.weight).T  # (32, 512)
        return [self._jets(xi, shift[:, None], mixed) for xi in at]

    def _jets(self, xi: Tensor, shift: Tensor, mixed: Tensor) -> Jets:
        ax, ay = self.trunk_1.weight.T
        t = torch.tanh(self.trunk_1(xi))
        d1 = 1 - t * t
        d2 = -2 * t * d1
        z = [f @ mixed for f in (t, d1 * ax, d1 * ay, d2 * ax * ax, d2 * ax * ay, d2 * ay * ay)]
        h = torch.tanh(z[0] + shift)
        d1 = 1 - h * h
        d2 = -2 * h * d1
        return Jets(
            h,
            d1 * z[1],
            d1 * z[2],
            d1 * z[3] + d2 * z[1] * z[1],
            d1 * z[4] + d2 * z[1] * z[2],
            d1 * z[5] + d2 * z[2] * z[2],
        )

    def displacement(self, u: Tensor, xi: Tensor) -> Tensor:
        """grad phi (b, p, 2)."""
        (jets,) = self.features(u, xi)
        return torch.stack([jets.x @ self.last.weight[0], jets.y @ self.last.weight[0]], dim=-1)
