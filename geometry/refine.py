"""Uniform refinement of simplices: to sample functions between the vertices of a mesh."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .mesh import CellMesh

__all__ = ["edge_numbers", "edges_of", "refined"]

#: children by local nodes, the middles of edges numbered after the vertices, in the order 01, 12, 20, 03, 13, 23
_TRIANGLES = [(0, 3, 5), (3, 1, 4), (5, 4, 2), (3, 4, 5)]
_TETRAHEDRA = [(0, 4, 6, 7), (4, 1, 5, 8), (6, 5, 2, 9), (7, 8, 9, 3)]
_TETRAHEDRA += [(4, 9, a, b) for a, b in ((6, 7), (7, 8), (8, 5), (5, 6))]


def edges_of(mesh: CellMesh) -> NDArray[np.int64]:
    """Ends (e, 2) of the edges whose middles `refined` adds, in their order."""
    return _edges(mesh)[0]


def edge_numbers(mesh: CellMesh) -> NDArray[np.int64]:
    """Which of `edges_of` each edge of each cell is, cell by cell in the order of `CellKind.edges`."""
    return _edges(mesh)[1].ravel()


def _edges(mesh: CellMesh) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Edges (e, 2) of the one block, and which of them each local edge of its cells is."""
    (block,) = mesh.blocks
    ends = np.sort(block.nodes[:, block.kind.edges].reshape(-1, 2), axis=1)
    return np.unique(ends, axis=0, return_inverse=True)


def refined(mesh: CellMesh) -> CellMesh:
    """Every triangle in four, every tetrahedron in eight. The vertices keep their numbers, the middles follow.

    >>> mesh = CellMesh.single([[0, 0], [1, 0], [0, 1]], [[0, 1, 2]], "triangle")
    >>> refined(mesh).n_cells, refined(refined(mesh)).n_points
    (4, 15)
    """
    (block,) = mesh.blocks
    edges, number = _edges(mesh)
    local = np.concatenate([block.nodes, mesh.n_points + number.reshape(len(block), -1)], axis=1)
    children = np.array(_TRIANGLES if mesh.dim == 2 else _TETRAHEDRA)
    points = np.concatenate([mesh.points, mesh.points[edges].mean(axis=1)])
    return CellMesh.single(points, local[:, children].reshape(-1, mesh.dim + 1), block.kind.name)
