"""The graph on which fields evolve: mesh edges, far edges, kinds of boundary nodes; several meshes side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags, identity
from scipy.spatial import cKDTree
from torch import Tensor

from meshmove.geometry import CellMesh, facets_of
from meshmove.geometry.quality import vertex_volumes

from .operators import Operators, Product

__all__ = ["Graph"]


@dataclass(frozen=True, eq=False)
class Graph:
    """The disjoint union of meshes: N nodes in d dimensions, E edges.

    Attributes
    ----------
    points : (N, d) positions
    edges : (2, E) from, to: the meshes' edges both ways, sorted by where they end
    far : (2, F) edges of some lengths' reach, so that messages travel fast
    kinds : (N, 2 + number of names) whether a node is inside, on the boundary, on that of each name
    weight : (N,) its share of its mesh's volume
    owner : (N,) which mesh it belongs to
    operators : differential operators of nodal fields
    """

    points: Tensor
    edges: Tensor
    far: Tensor
    kinds: Tensor
    weight: Tensor
    owner: Tensor
    operators: Operators

    @classmethod
    def of(cls, mesh: CellMesh, names: Sequence[str] = (), reach: float = 0.0, directions: int = 8) -> Graph:
        """The graph of one mesh.

        Parameters
        ----------
        names
            Of the boundaries that are told apart; one that the mesh lacks has no nodes.
        reach
            Length of far edges, in mean edge lengths around a node; 0 for none.
        directions
            Far edges a node, spread evenly over the circle, or the sphere.

        Examples
        --------
        >>> import skfem
        >>> from meshmove.meshes.source import Source
        >>> Graph.of(Source.of(skfem.MeshTri().refined(2)).cells).edges.shape
        torch.Size([2, 112])
        """
        n, edges = mesh.n_points, np.asarray(mesh.edges)
        both = np.concatenate([edges, edges[:, ::-1]])
        both = both[np.lexsort((both[:, 0], both[:, 1]))]
        facets = facets_of(mesh)
        rim = np.unique(facets.nodes[facets.exterior])
        kinds = np.zeros((n, 2 + len(names)), np.float32)
        kinds[rim[rim >= 0], 1] = 1
        kinds[:, 0] = 1 - kinds[:, 1]
        for k, name in enumerate(names):
            if name in mesh.facets:
                kinds[np.unique(mesh.facets[name]), 2 + k] = 1
        volume = vertex_volumes(mesh)
        return cls(
            torch.tensor(mesh.points, dtype=torch.float32),
            torch.from_numpy(np.ascontiguousarray(both.T)),
            torch.from_numpy(_far(mesh, reach, directions)),
            torch.from_numpy(kinds),
            torch.tensor(volume / volume.sum(), dtype=torch.float32),
            torch.zeros(n, dtype=torch.long),
            Operators.of(mesh),
        )

    @classmethod
    def join(cls, graphs: Sequence[Graph]) -> Graph:
        """Several side by side."""
        if len(graphs) == 1:
            return graphs[0]
        first = np.cumsum([0, *(g.n_points for g in graphs)])
        meshes = np.cumsum([0, *(g.n_meshes for g in graphs)])
        return cls(
            torch.cat([g.points for g in graphs]),
            torch.cat([g.edges + int(k) for g, k in zip(graphs, first, strict=False)], 1),
            torch.cat([g.far + int(k) for g, k in zip(graphs, first, strict=False)], 1),
            torch.cat([g.kinds for g in graphs]),
            torch.cat([g.weight for g in graphs]),
            torch.cat([g.owner + int(k) for g, k in zip(graphs, meshes, strict=False)]),
            Operators.join([g.operators for g in graphs]),
        )

    @property
    def n_points(self) -> int:
        return len(self.points)

    @property
    def n_meshes(self) -> int:
        return int(self.owner[-1]) + 1

    def moved(self, points: Tensor, operators: Operators) -> Graph:
        """The same graph with its nodes elsewhere, and the operators there."""
        other = replace(self, points=points, operators=operators)
        if "means" in vars(self):
            other.__dict__["means"] = self.means  # of the same edges
        return other

    @cached_property
    def means(self) -> Product:
        """The mean of values over a node and those at the other ends of its edges, taken twice."""
        n, (start, end) = self.n_points, self.edges.cpu().numpy()
        near = identity(n, np.float32, "csr")
        near = near + csr_matrix((np.ones(len(start), np.float32), (end, start)), (n, n))
        mean = diags(1 / np.asarray(near.sum(axis=1), np.float32).ravel()) @ near
        return Product(csr_matrix(mean @ mean)).to(self.edges.device)

    def to(self, device: torch.device | str) -> Graph:
        parts = [getattr(self, f.name).to(device) for f in fields(self)]
        here = all(part is getattr(self, f.name) for part, f in zip(parts, fields(self), strict=True))
        return self if here else Graph(*parts)  # the same one has its means already

    def norm(self, values: Tensor) -> Tensor:
        """Root mean square over each mesh of values (N, ...), (n_meshes,); every trailing entry counts alike."""
        square = values.square().reshape(len(values), -1).mean(1) * self.weight
        return square.new_zeros(self.n_meshes).index_add(0, self.owner, square).sqrt()


def _far(mesh: CellMesh, reach: float, directions: int) -> NDArray[np.int64]:
    """(2, F): to every node from the nodes nearest to points around it, some edge lengths away."""
    if not reach or not directions:
        return np.zeros((2, 0), np.int64)
    x, n = mesh.points, mesh.n_points
    i, j = np.asarray(mesh.edges).T
    length = np.sqrt(((x[i] - x[j]) ** 2).sum(axis=1))
    count = np.bincount(i, minlength=n) + np.bincount(j, minlength=n)
    size = (np.bincount(i, length, n) + np.bincount(j, length, n)) / np.maximum(count, 1)
    where = x[:, None] + reach * size[:, None, None] * _around(mesh.dim, directions)
    gap, near = cKDTree(x).query(where)
    to = np.broadcast_to(np.arange(n)[:, None], near.shape)
    keep = (gap < 0.5 * reach * size[:, None]) & (near != to)  # not beyond the boundary
    pairs = np.unique(np.stack([to[keep], near[keep]]), axis=1)
    return pairs[::-1].copy()


def _around(dim: int, count: int) -> NDArray[np.float64]:
    """Unit vectors (count, dim), spread evenly: the corners of a polygon, or Fibonacci's points on the sphere."""
    k = np.arange(count)
    if dim == 2:
        angle = 2 * np.pi * k / count
        return np.stack([np.cos(angle), np.sin(angle)], axis=1)
    z, angle = 1 - (2 * k + 1) / count, np.pi * (3 - np.sqrt(5)) * k
    ring = np.sqrt(1 - z * z)
    return np.stack([ring * np.cos(angle), ring * np.sin(angle), z], axis=1)
