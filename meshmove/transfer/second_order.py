"""Second-order fields: values at vertices and mid-side nodes, evaluated anywhere."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from meshmove.geometry.arrays import Array, Ids
from meshmove.geometry.cells.curvilinear import curvilinear
from meshmove.geometry.location import Location, PointLocator
from meshmove.geometry.mesh import CellBlock, CellMesh

__all__ = ["SecondOrder"]


#: on curved cells a point's place in the straight cell is found by so many fixed-point steps
ROUNDS = 4
#: points evaluated together: their temporaries stay small
CHUNK = 1 << 14


class SecondOrder:
    """Evaluates nodal fields (n_nodes, k) of a mesh with cells of second order at points.

    Exact for quadratic fields on straight simplices, parallelograms and parallelepipeds, up to the bounds: no value
    leaves the range of the nodes of its cell.

    Parameters
    ----------
    mesh
        With `nodes`, and blocks with `second_nodes`.
    vertex_nodes
        The node (n_vertices,) of each vertex.
    locator
        Of `mesh`.

    Examples
    --------
    >>> import skfem
    >>> from meshmove.plugins.skfem import converter
    >>> mesh = converter.read(skfem.MeshTri2())
    >>> second = SecondOrder(mesh, np.arange(4), PointLocator(mesh))
    >>> where = second.find(np.array([[0.25, 0.25], [0.7, 0.9]]))
    >>> second.at((mesh.nodes**2).sum(axis=1, keepdims=True), where).ravel()
    array([0.125, 1.3  ])
    """

    def __init__(self, mesh: CellMesh, vertex_nodes: Ids, locator: PointLocator) -> None:
        self._mesh, self._locator, self._vertex_nodes = mesh, locator, vertex_nodes
        self._first = np.cumsum([0, *(len(b) for b in mesh.blocks)])

    def find(self, points: Array) -> Location:
        """Where points (m, dim) lie: in the straight cells, at the place that the curved ones take there."""
        where = self._locator.find(points.T)
        if self._places is None:
            return where
        for _ in range(ROUNDS):
            bulge = self.points(where) - where.interpolate(self._mesh.points)
            where = self._locator.find((points - bulge).T, guess=where.cells)
        return where

    def at(self, values: Array, where: Location) -> Array:
        """Nodal values (n_nodes, k) at places: (m, k), each within the range of the nodes of its cell."""
        return self._evaluated(where, values, bounded=True)

    def points(self, where: Location) -> Array:
        """Where places (m, dim) in the cells are."""
        if self._places is None:
            return where.interpolate(self._mesh.points)
        return self._evaluated(where, self._places, bounded=False)

    @cached_property
    def _places(self) -> Array | None:
        """Coordinates of all nodes, where some are not in the middle."""
        mesh = self._mesh
        assert mesh.lift is not None and mesh.nodes is not None
        further = np.diff(mesh.lift.indptr) > 1
        off = mesh.nodes[further] - (mesh.lift @ mesh.points)[further]
        return mesh.nodes if np.abs(off).max(initial=0) > 1e-10 * mesh.extent else None

    def _evaluated(self, where: Location, values: Array, bounded: bool) -> Array:
        out = np.empty((len(where.cells), values.shape[1]))
        number = np.searchsorted(self._first, where.cells, side="right") - 1
        for k, block in enumerate(self._mesh.blocks):
            rows = np.flatnonzero(number == k)
            for some in np.array_split(rows, len(rows) // CHUNK + 1):
                cells = where.cells[some] - self._first[k]
                weights: Any = where.weights[some, : block.kind.vertices]
                if block.second is None or block.second_nodes is None:
                    here = values[self._vertex_nodes[block.nodes[cells]]]
                else:
                    here = values[block.second_nodes[cells]]
                    weights = curvilinear(block.second).values(_reference(block, weights)).T
                out[some] = np.einsum("mv,mvk->mk", weights, here)
                if bounded and len(some):
                    out[some] = np.clip(out[some], here.min(axis=1), here.max(axis=1))
        return out


def _reference(block: CellBlock, weights: Array) -> Array:
    """Reference points (dim, m), as `Curvilinear` has them, where vertices have weights (m, v)."""
    if block.kind.name != "pyramid":
        return (weights @ block.kind.reference).T
    below = 1 - weights[:, 4]
    base = np.maximum(below, 1e-300)
    p, q = (weights[:, 1] + weights[:, 2]) / base, (weights[:, 2] + weights[:, 3]) / base
    return np.stack([2 * p - 1, 2 * q - 1, below])
