"""One mesh as arrays, as `Simplices` is as tensors: for rounds without derivatives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from meshmove.geometry import CellMesh
from meshmove.geometry.arrays import Array

from .neighbours import Neighbours, rows_of
from .simplices import boxes_of
from .tensors import PAIRS, gradients, size_of

__all__ = ["Ids", "OneMesh"]

Ids = NDArray[np.int64]


@dataclass(eq=False)
class OneMesh:
    """A mesh of size about one with its boundary's freedom, n nodes and c cells; its names are those of `Simplices`.

    Attributes
    ----------
    points : (n, dim) reference positions
    cells : (c, dim+1)
    one_way : (2, e) node pairs, each edge once
    projector : (n, dim, dim) onto the admissible directions
    lift : forces (n, dim) to displacements (n, dim), the inverse Laplacian of each component
    boxes : whether the cells are corners of quadrilaterals or hexahedra
    """

    points: Array
    cells: Ids
    one_way: Ids
    projector: Array
    lift: Callable[[Array], Array]
    boxes: bool = False

    @classmethod
    def of(cls, mesh: CellMesh, projector: Array, lift: Callable[[Array], Array]) -> OneMesh:
        """Of a mesh of cells of one kind: triangles, quadrilaterals, tetrahedra or hexahedra."""
        edges, boxes = np.ascontiguousarray(mesh.edges.T), boxes_of([mesh])
        return cls(mesh.points, mesh.corners[0], edges, projector, lift, boxes)

    def __post_init__(self) -> None:
        corner = self.by_corner(self.points)
        signed, self.slope_components = gradients([v - corner[0] for v in corner[1:]])
        self.sign, self.area = np.sign(signed), np.abs(signed)
        self.rest_components = np.ascontiguousarray(self.slope_components[:, 1:].swapaxes(0, 1))
        self.total = self.area.sum()[None]
        self.mean = self.total / len(self.cells)
        i, j = self.one_way
        self.square = ((self.points[j] - self.points[i]) ** 2).sum(1)
        self.identity = np.array([[float(a == b)] for a, b in PAIRS[self.points.shape[1]]])

    @cached_property
    def neighbours(self) -> Neighbours:
        """For the network."""
        edges = np.concatenate([self.one_way, self.one_way[::-1]], axis=1)
        return Neighbours.of(edges, self.cells, len(self.points))

    @cached_property
    def _around(self) -> csr_matrix:
        """(n, c): 1 where a cell has the node."""
        order = np.argsort(self.cells.ravel(), kind="stable")
        ends = np.cumsum(np.bincount(self.cells.ravel(), minlength=len(self.points)))
        return csr_matrix(
            (np.ones(len(order)), order // self.cells.shape[1], np.r_[0, ends]),
            shape=(len(self.points), len(self.cells)),
        )

    @cached_property
    def _corners(self) -> csr_matrix:
        """(n, c (dim+1)): 1 where a vertex of a cell, first vertices first, is the node."""
        around, c = self._around, len(self.cells)
        owner = np.repeat(np.arange(len(self.points)), np.diff(around.indptr))
        which = (self.cells[around.indices] == owner[:, None]).argmax(1)
        return csr_matrix(
            (around.data, around.indices + c * which, around.indptr), shape=(len(self.points), self.cells.size)
        )

    def cells_around(self, nodes: Ids) -> Ids:
        """Those (k,) that have any of the nodes, each once."""
        around = self._around
        hit = np.zeros(len(self.cells), bool)
        hit[around.indices[rows_of(around.indptr, nodes)[0]]] = True
        return np.flatnonzero(hit)

    def nodes_of(self, cells: Ids) -> Ids:
        """Nodes (k,) of some cells, each once."""
        hit = np.zeros(len(self.points), bool)
        hit[self.cells[cells]] = True
        return np.flatnonzero(hit)

    def by_corner(self, x: Array) -> Array:
        """Positions (n, dim) of the vertices of every cell, (dim+1, dim, c)."""
        return _by_corner(x, self.cells)

    def ratio(self, x: Array, cells: Ids | None = None) -> Array:
        """det J (c,) of the cells, or some of them, at x (n, dim), negative where they are inverted."""
        which: Ids | slice = slice(None) if cells is None else cells
        corner = _by_corner(x, self.cells[which])
        return size_of([v - corner[0] for v in corner[1:]]) * self.sign[which] / self.area[which]

    def mean_around(self, values: Array, nodes: Ids, cells: Ids) -> Array:
        """Mean (k, dim), over the cells around each of the nodes (k,), of the mean of values (n, dim) in them.

        `cells`: all that are around any.
        """
        at = self.cells[cells]
        mean = values[at].mean(axis=1)
        where = np.searchsorted(nodes, at).clip(max=len(nodes) - 1)
        cell, vertex = np.nonzero(nodes[where] == at)
        slot = where[cell, vertex]
        total = [np.bincount(slot, m[cell], len(nodes)) for m in mean.T]
        return np.stack(total, 1) / np.bincount(slot, minlength=len(nodes))[:, None]

    def project(self, vectors: Array) -> Array:
        return self.projected(vectors, slice(None))

    def projected(self, vectors: Array, nodes: Ids | slice) -> Array:
        """Vectors (k, dim) at some nodes, onto their admissible directions."""
        p, x = self.projector[nodes], vectors.T
        return np.stack([sum(p[:, i, k] * v for k, v in enumerate(x)) for i in range(len(x))], 1)

    def at_nodes(self, values: Array) -> Array:
        """Sum of values (k, c) over the cells around each node, (k, n)."""
        return np.ascontiguousarray((self._around @ values.T).T)

    def least_at_nodes(self, values: Array) -> Array:
        """Least of values (c,) over the cells around each node, (n,)."""
        around = self._around
        return np.minimum.reduceat(values[around.indices], around.indptr[:-1])

    def gathered(self, forces: Array) -> Array:
        """Sum of forces (k, dim+1, c) on the vertices of cells, (n, k)."""
        return self._corners @ forces.reshape(len(forces), -1).T

    def per_mesh(self, values: Array) -> Array:
        """Sum of cell values (c,), (1,)."""
        return values.sum()[None]

    def to_cells(self, value: Array) -> Array:
        """A value (1,) of the mesh, as it stands beside those of cells."""
        return value

    def to_edges(self, value: Array) -> Array:
        """The same beside those of edges."""
        return value

    def to_nodes(self, value: Array) -> Array:
        """The same for each node, (n,)."""
        return np.full(len(self.points), value[0])


def _by_corner(x: Array, cells: Ids) -> Array:
    """Positions (n, dim) of the vertices of cells (k, dim+1), (dim+1, dim, k)."""
    return np.ascontiguousarray(x.T).take(cells.T, axis=1).swapaxes(0, 1)
