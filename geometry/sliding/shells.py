"""Shells: the closed surfaces (in the plane: lines) around a mesh, its holes and its regions, and what they enclose.

Nodes that glide on a curved boundary stay on it, but a boundary of straight facets encloses less of a convex domain the
larger its facets are.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from meshmove.geometry.arrays import Array, Ids
from meshmove.geometry.facets import Facets
from meshmove.geometry.mesh import CellMesh
from meshmove.geometry.quality import cell_volumes

__all__ = ["Shells"]


#: what a shell encloses counts as at least this share of the mesh's volume: a slit encloses nothing
LEAST = 1e-3


class Shells:
    """Volumes (areas in the plane) enclosed by the shells of a mesh that some nodes glide on.

    Each component of the cells (`Facets.components`) is bounded by shells, one outside and one for each hole.

    Parameters
    ----------
    mesh, facets
        The original mesh and its facets.
    curved
        Mask (n,) of nodes on curved boundaries: other shells keep their volume, and are left out.
    """

    def __init__(self, mesh: CellMesh, facets: Facets, curved: NDArray[np.bool_]) -> None:
        self.dim, self._n = mesh.dim, mesh.n_points
        self._parts, self._weight, self._shell = np.zeros((0, mesh.dim), np.int64), np.zeros(0), np.zeros(0, np.int64)
        self._origin, self._size = mesh.points.mean(axis=0), np.zeros(0)
        #: of each part the cell that it bounds
        self.cell = np.zeros(0, np.int64)
        #: what a piece of the mesh counts of a price on all of it, and how what pieces enclose is summed
        self.share = 1.0
        self._summed: Callable[[Array], Array] = _as_it_is
        if curved.any():
            self._build(mesh, facets, curved)
        self._count = int(self._shell.max(initial=-1)) + 1
        self.rest = self.enclosed(mesh.points)
        self._size = np.maximum(np.abs(self.rest), LEAST * np.abs(cell_volumes(mesh)).sum())

    def piece(
        self, number: Ids, n: int, own: NDArray[np.bool_], share: float, summed: Callable[[Array], Array]
    ) -> Shells:
        """The parts `own` of them, for n nodes that have a `number` (-1: not there); `summed` adds up all pieces."""
        out = copy(self)
        out._n, out._parts, out._weight = n, number[self._parts[own]], self._weight[own]
        out._shell, out.cell = self._shell[own], self.cell[own]
        out.share, out._summed = share, summed if len(self) else _as_it_is
        return out

    def __len__(self) -> int:
        return len(self.rest)

    def _build(self, mesh: CellMesh, facets: Facets, curved: NDArray[np.bool_]) -> None:
        component = facets.components(mesh.n_cells)
        owner = np.where(facets.cells >= 0, component[facets.cells], -1)
        # a facet inside a component takes as much on one side as it gives on the other
        facet, side = np.nonzero((owner >= 0) & (owner[:, 0] != owner[:, 1])[:, None])
        if not len(facet):
            return
        nodes, shell = facets.nodes[facet], self._joined(facets.nodes[facet], owner[facet, side])
        wanted = np.unique(shell[(curved[nodes] & (nodes >= 0)).any(axis=1)])
        keep = np.isin(shell, wanted)
        facet, side, nodes, shell = facet[keep], side[keep], nodes[keep], np.searchsorted(wanted, shell[keep])
        centre = np.concatenate([mesh.points[b.nodes].mean(axis=1) for b in mesh.blocks])
        parts, of, weight = _simplices(nodes)
        p = mesh.points[parts]
        away = p.mean(axis=1) - centre[facets.cells[facet, side]][of]
        along = p[:, 1:] - p[:, :1]
        normal = np.cross(along[:, 0], along[:, 1]) if self.dim == 3 else along[:, 0, ::-1] * [1, -1]
        self._parts, self._shell = parts, shell[of]
        self._weight = weight * np.sign((normal * away).sum(axis=1))
        self.cell = facets.cells[facet, side][of]

    def _joined(self, nodes: Ids, component: Ids) -> Ids:
        """A label (k,) for facets of one component that hang together by their nodes."""
        row, column = np.nonzero(nodes >= 0)
        own = np.unique(component[row] * self._n + nodes[row, column], return_inverse=True)[1]
        k = len(nodes)
        graph = coo_matrix((np.ones(len(row), bool), (row, k + own)), shape=(k + own.max() + 1,) * 2)
        return connected_components(graph, directed=False)[1][:k]

    def enclosed(self, points: Array) -> Array:
        """Volume inside each shell (s,), negative around holes, at node positions (n, dim)."""
        x = points[self._parts] - self._origin
        volume = np.linalg.det(x) / (2 if self.dim == 2 else 6)
        return self._summed(np.bincount(self._shell, self._weight * volume, self._count).astype(np.float64))

    def change(self, points: Array) -> Array:
        """What each shell gained of its volume, (s,), as a share of it."""
        return (self.enclosed(points) - self.rest) * np.sign(self.rest) / self._size

    def pull(self, points: Array, weight: Array) -> Array:
        """Gradient (n, dim) of weight (s,) times `change`."""
        x = points[self._parts] - self._origin
        share = (self._weight * (weight * np.sign(self.rest) / self._size)[self._shell])[:, None]
        if self.dim == 2:
            slopes = [share / 2 * x[:, 1, ::-1] * [1, -1], share / 2 * x[:, 0, ::-1] * [-1, 1]]
        else:
            slopes = [share / 6 * np.cross(x[:, (k + 1) % 3], x[:, (k + 2) % 3]) for k in range(3)]
        out = np.empty((self._n, self.dim))
        for c in range(self.dim):
            values = np.concatenate([s[:, c] for s in slopes])
            out[:, c] = np.bincount(self._parts.T.ravel(), values, self._n)
        return out


def _as_it_is(values: Array) -> Array:
    return values


def _simplices(nodes: Ids) -> tuple[Ids, Ids, Array]:
    """Segments or triangles of facets (k, w), the facet of each, and its weight.

    A quadrilateral is the mean of its two splits: what lies below the bilinear surface through its corners.
    """
    ids = np.arange(len(nodes))
    if nodes.shape[1] == 2:
        return nodes, ids, np.ones(len(nodes))
    quad = nodes[:, 3] >= 0 if nodes.shape[1] > 3 else np.zeros(len(nodes), bool)
    four = ((0, 1, 2), (0, 2, 3), (0, 1, 3), (1, 2, 3))
    parts = [nodes[~quad][:, :3], *(nodes[quad][:, f] for f in four if quad.any())]
    of = np.concatenate([ids[~quad], *(ids[quad] for _ in four if quad.any())])
    return np.concatenate(parts), of, np.where(quad[of], 0.5, 1.0)
