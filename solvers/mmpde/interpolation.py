"""Interpolation from the nodes of one mesh to those of another, exact on linear fields; linear on cells, or learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import block_diag, csr_matrix
from scipy.spatial import cKDTree
from torch import Tensor, nn

from meshmove.geometry import CellMesh, Location, PointLocator

from .operators import Operators, Product

__all__ = ["Interpolation", "Near", "Placed", "nearest"]

#: a neighbour counts at most exp(2 BOUND) times as much as another beyond what the distances say
BOUND = 3.0


def nearest(source: NDArray[np.floating], target: NDArray[np.floating], count: int) -> NDArray[np.int64]:
    """Ids (n, count) of the nodes of a cloud (m, d) that are nearest to each of n points (n, d).

    >>> nearest(np.array([[0.0], [1.0], [3.0]]), np.array([[2.5]]), 2)
    array([[2, 1]])
    """
    return np.asarray(cKDTree(source).query(target, min(count, len(source)))[1]).reshape(len(target), -1)


@dataclass(frozen=True, eq=False)
class Near:
    """Nodes (N, K) from whose values those at N points are made, by `ids`; `weights` (N, K), if they are given.

    `count`: how many nodes there are to choose from. `bends` (N, count): what is added to what is linear on cells, in
    whose range it stays.
    """

    ids: Tensor
    weights: Tensor | None
    count: int
    bends: Product | None = None

    @classmethod
    def of(
        cls,
        mesh: CellMesh,
        points: NDArray[np.floating],
        neighbours: int = 0,
        locator: PointLocator | None = None,
        operators: Operators | None = None,
    ) -> Near:
        """The corners of the simplex in which each of some points (N, d) lies, with linear weights; a point outside
        takes the value at the mesh's closest point. Or so many nearest nodes, whose weights are to be learned.

        The points are those of the mesh's nodes when they have moved, or moved back. `locator`: of the mesh's
        simplices, if there is one. With the `operators` of the mesh fields bend between its nodes, see `bending`.

        >>> mesh = CellMesh.single([[0, 0], [1, 0], [0, 1]], [[0, 1, 2]], "triangle")
        >>> Near.of(mesh, np.array([[0.25, 0.5]]))(torch.tensor([1.0, 2.0, 3.0]))
        tensor([2.2500])
        """
        if neighbours:
            return cls(torch.from_numpy(nearest(mesh.points, points, neighbours)), None, mesh.n_points)
        locator = locator or PointLocator(mesh.simplicial())
        simplices, _ = locator.mesh.corners
        guess = np.zeros(mesh.n_points, np.int64)  # a node has not gone far from where it is now
        guess[simplices] = np.arange(len(simplices))[:, None]
        where = locator.find(np.asarray(points, float).T, guess if len(points) == len(guess) else None)
        weights, nodes = torch.from_numpy(where.weights).float(), torch.from_numpy(where.nodes.astype(np.int64))
        bends = None if operators is None else Product(bending(mesh.points, where, operators))
        return cls(nodes, weights, mesh.n_points, bends)

    @classmethod
    def join(cls, parts: Sequence[Near]) -> Near:
        """Of meshes side by side."""
        first = np.cumsum([0, *(p.count for p in parts)])
        ids = torch.cat([p.ids + int(k) for p, k in zip(parts, first, strict=False)])
        weights = [p.weights for p in parts if p.weights is not None]
        bends = [p.bends.matrix for p in parts if p.bends is not None]
        joined = Product(block_diag(bends, "csr")) if bends else None
        return cls(ids, torch.cat(weights) if weights else None, int(first[-1]), joined)

    def __call__(self, values: Tensor, weights: Tensor | None = None) -> Tensor:
        """Values (N, ...) at the points from those (count, ...) at nodes, by these weights or by its own."""
        weights = self.weights if weights is None else weights
        assert weights is not None
        with torch.autocast(values.device.type, enabled=False):
            flat = values.to(weights).reshape(len(values), -1)
            around = flat[self.ids]
            out = (weights[:, None] @ around)[:, 0]
            if self.bends is not None:
                bent = out + self.bends(flat)
                out = torch.minimum(torch.maximum(bent, around.amin(1)), around.amax(1))
            return out.view(len(self.ids), *values.shape[1:])

    def to(self, device: torch.device | str) -> Near:
        weights = None if self.weights is None else self.weights.to(device)
        bends = None if self.bends is None else self.bends.to(torch.device(device))
        return Near(self.ids.to(device), weights, self.count, bends)


def bending(points: NDArray[np.floating], where: Location, operators: Operators) -> csr_matrix:
    r"""(N, n): what makes of linear values at N places those of a field that bends between the nodes (n, d),

    .. math:: v(y) = \sum_k \lambda_k(y) \left( u_k + \tfrac12 g_k \cdot (y - x_k) \right),

    with the mean gradients g of the operators at the nodes: of two halves of a quadratic field's bend, that of the
    linear part and that of the slopes, one takes the other away, so it is exact on quadratic fields where gradients
    are. On linear fields nothing is added. A carried front is smeared less than by linear interpolation: from one moved
    mesh to the next by 0.4 of its error.
    """
    (rows, corners), (n, d) = where.nodes.shape, points.shape
    matrix, size = operators.matrix, operators.size.cpu().numpy().ravel()
    away = where.interpolate(points)[:, None] - points[where.nodes]  # (N, K, d)
    shares, at = 0.5 * where.weights[..., None] * away / size[where.nodes][..., None], np.arange(0, rows + 1) * corners
    out = csr_matrix((rows, n))
    for k in range(d):
        half = csr_matrix((shares[..., k].ravel(), where.nodes.ravel(), at), (rows, n))
        out = out + half @ matrix[1 + k :: d + 2]
    return csr_matrix(out, dtype=np.float32)


class Interpolation(nn.Module):
    r"""Moving least squares whose weights a network writes: :math:`v(y) = \sum_k w_k(y) v_k`.

    With offsets :math:`r_k = x_k - y` of the nearest nodes and positive weights :math:`\theta_k` the interpolant is the
    value at y of the linear polynomial with the least :math:`\sum_k \theta_k (p(r_k) - v_k)^2`. So the :math:`w_k` sum
    to one, and linear fields are met exactly, whatever the network says. It sees where the neighbours are and how their
    values differ from the nearest one's: on a front it may trust those on one side of it.

    Parameters
    ----------
    fields
        Number of fields whose values decide on the weights.
    dim
        Of space.
    width
        Of the network.

    References
    ----------
    Lancaster, Salkauskas, Surfaces generated by moving least squares methods, Math. Comp. 37 (1981).
    Hu, Wang, Ma, Better neural PDE solvers through data-free mesh movers (2024), for weights by a network.
    """

    def __init__(self, fields: int, dim: int, width: int = 16) -> None:
        super().__init__()
        inputs = fields + dim + 1
        self.net = nn.Sequential(
            nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 1)
        )
        nn.init.zeros_(self.net[-1].weight)
        nn.init.zeros_(self.net[-1].bias)

    def forward(self, values: Tensor, source: Tensor, target: Tensor, near: Tensor) -> Tensor:
        """w (n, K), for values (m, F) at nodes (m, d), points (n, d) and the neighbours' ids (n, K)."""
        r = source[near] - target[:, None]
        square = r.square().sum(2)
        # the size of the neighbourhood, so that nothing depends on units
        r = r / square.mean(1).sqrt().clamp_min(1e-30)[:, None, None]
        square = r.square().sum(2)
        near_values = values[near]
        seen = torch.cat([near_values - near_values[:, :1], r, square[:, :, None]], 2)
        logits = BOUND * torch.tanh(self.net(seen)[:, :, 0]) - torch.log(square + 0.02)
        with torch.autocast(r.device.type, enabled=False):  # half precision would spoil linear fields
            theta = torch.softmax(logits.to(r), 1)
            p = torch.cat([torch.ones_like(r[:, :, :1]), r], 2)
            moment = p.mT @ (theta[:, :, None] * p)
            ridge = torch.full_like(moment[0, 0], 1e-6)
            ridge[0] = 0  # constants stay exact
            at = torch.zeros_like(moment[:, :, :1])
            at[:, 0] = 1
            a = torch.linalg.solve(moment + torch.diag(ridge), at)
            return theta * (p @ a)[:, :, 0]


class Placed(nn.Module):
    r"""Weights from places alone: :math:`v(y) = \sum_k w_k v_k`, as a network of two layers says.

    Nothing makes the :math:`w_k` sum to one, so not even constants are met before it has learned to reproduce fields
    that go there and back; see `training.reproduction`. What it sees are offsets from y in units of the neighbourhood's
    size; the published one sees coordinates.

    References
    ----------
    Hu, Wang, Ma, Better neural PDE solvers through data-free mesh movers (2024): 30 neighbours, widths 128 and 64.
    """

    def __init__(self, dim: int, neighbours: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(neighbours * dim, 128), nn.Tanh(), nn.Linear(128, 64), nn.Tanh(), nn.Linear(64, neighbours)
        )

    def forward(self, values: Tensor, source: Tensor, target: Tensor, near: Tensor) -> Tensor:
        """w (n, K), for nodes (m, d), points (n, d), neighbours' ids (n, K); `values` (m, F) are not looked at."""
        r = source[near] - target[:, None]
        if r.shape[1:].numel() != self.net[0].in_features:
            raise ValueError(f"Expected {self.net[-1].out_features} neighbours or more (got {r.shape[1]} nodes)")
        size = r.square().sum(2).mean(1).sqrt().clamp_min(1e-30)
        return self.net((r / size[:, None, None]).flatten(1))
