"""Signed volumes, scaled Jacobians and aspect ratios of cells."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry.arrays import Array

from .mesh import CellMesh

__all__ = [
    "aspect_ratio",
    "barycentric",
    "cell_volumes",
    "corner_volumes",
    "scaled_jacobian",
    "vertex_means",
    "vertex_volumes",
]


def corner_volumes(mesh: CellMesh, points: Array | None = None) -> Array:
    """Signed volumes of the corner simplices (s,), in the order of `mesh.corners`.

    `points` (n, dim) replaces the mesh's own coordinates.

    >>> mesh = CellMesh.single([[0, 0], [1, 0], [1, 1], [0, 1]], [[0, 1, 2, 3]], "quad")
    >>> corner_volumes(mesh)
    array([0.5, 0.5, 0.5, 0.5])
    """
    p = mesh.points if points is None else points
    simplices, _ = mesh.corners
    return simplex_volumes(p, simplices)


def simplex_volumes(points: Array, simplices: NDArray) -> Array:
    """Signed volumes of simplices (s, dim+1) with vertices in points (n, dim)."""
    x = np.ascontiguousarray(points.T).take(simplices.T, axis=1)  # (dim, dim+1, s)
    e = x[:, 1:] - x[:, :1]
    if len(e) == 2:
        return 0.5 * (e[0, 0] * e[1, 1] - e[1, 0] * e[0, 1])
    return (
        e[0, 0] * (e[1, 1] * e[2, 2] - e[2, 1] * e[1, 2])
        - e[1, 0] * (e[0, 1] * e[2, 2] - e[2, 1] * e[0, 2])
        + e[2, 0] * (e[0, 1] * e[1, 2] - e[1, 1] * e[0, 2])
    ) / 6


def cell_volumes(mesh: CellMesh, points: Array | None = None) -> Array:
    """Signed volumes of the cells (n_cells,): exact for straight and for multilinear cells.

    >>> cell_volumes(CellMesh.single([[0, 0], [2, 0], [0, 1]], [[0, 2, 1]], "triangle"))
    array([-1.])
    """
    p = mesh.points if points is None else points
    out = []
    for block in mesh.blocks:
        kind = block.kind
        if kind.is_simplex:
            out.append(simplex_volumes(p, block.nodes))
        elif kind.name == "quad":
            d1, d2 = p[block.nodes[:, 2]] - p[block.nodes[:, 0]], p[block.nodes[:, 3]] - p[block.nodes[:, 1]]
            out.append(0.5 * (d1[:, 0] * d2[:, 1] - d1[:, 1] * d2[:, 0]))
        else:
            x, w = kind.quadrature(3)
            jacobian = np.einsum("mvi,vjq->mqij", p[block.nodes], kind.shape(x)[1])
            out.append(np.linalg.det(jacobian) @ w)
    return np.concatenate(out)


def scaled_jacobian(mesh: CellMesh, points: Array | None = None) -> Array:
    """Smallest sine-like ratio det(e1..ed) / prod |ei| over the corners of each cell (n_cells,).

    1 for a square or cube, 0 for a flat cell, negative where a corner is inverted against the cell's own sign.
    Simplices are judged at all their corners and scaled so that the regular simplex has 1 (Knupp 2000).

    >>> scaled_jacobian(CellMesh.single([[0, 0], [1, 0], [1, 1], [0, 1]], [[0, 1, 2, 3]], "quad"))
    array([1.])
    """
    p = mesh.points if points is None else points
    factor = 2.0 if mesh.dim == 2 else 6.0
    out, sign = [], np.sign(cell_volumes(mesh, p))
    first = 0
    for block in mesh.blocks:
        x = p[block.nodes]
        cell_sign = sign[first : first + len(block)]
        first += len(block)
        if block.kind.is_simplex:
            d = mesh.dim
            volume = np.abs(simplex_volumes(p, block.nodes)) * factor
            length = np.linalg.norm(x[:, :, None] - x[:, None, :], axis=3)
            length[:, np.arange(d + 1), np.arange(d + 1)] = 1
            regular = np.sqrt(3) / 2 if d == 2 else np.sqrt(0.5)
            out.append((volume[:, None] / length.prod(2)).min(1) / regular)
        else:
            c = block.kind.corners
            simplices = block.nodes[:, c].reshape(-1, mesh.dim + 1)
            e = np.linalg.norm(p[simplices[:, 1:]] - p[simplices[:, :1]], axis=2).prod(1)
            ratio = factor * simplex_volumes(p, simplices) / np.where(e > 0, e, 1)
            out.append((ratio.reshape(len(block), -1) * cell_sign[:, None]).min(1))
    return np.concatenate(out)


def aspect_ratio(mesh: CellMesh, points: Array | None = None) -> Array:
    """Longest edge over shortest height-like length, scaled to 1 for the regular cell (n_cells,).

    The ratio is h^dim / (c |K|) with h the longest edge: it grows without bound as a cell flattens.

    >>> aspect_ratio(CellMesh.single([[0, 0], [1, 0], [1, 1], [0, 1]], [[0, 1, 2, 3]], "quad"))
    array([1.])
    """
    p = mesh.points if points is None else points
    volume = np.abs(cell_volumes(mesh, p))
    longest, regular = [], []
    for block in mesh.blocks:
        ends = p[block.nodes[:, block.kind.edges]]
        longest.append(np.linalg.norm(ends[:, :, 0] - ends[:, :, 1], axis=2).max(1))
        regular.append(np.full(len(block), _REGULAR[block.kind.name]))
    with np.errstate(divide="ignore"):
        return np.concatenate(regular) * np.concatenate(longest) ** mesh.dim / volume


#: volume of the regular cell with unit edges
_REGULAR = {
    "triangle": np.sqrt(3) / 4,
    "quad": 1.0,
    "tetra": np.sqrt(2) / 12,
    "hexahedron": 1.0,
    "wedge": np.sqrt(3) / 4,
    "pyramid": np.sqrt(2) / 6,
}


def vertex_volumes(mesh: CellMesh) -> Array:
    """Volume (n,) that belongs to each vertex: equal shares of its cells."""
    volume = np.abs(cell_volumes(mesh))
    total, first = np.zeros(mesh.n_points), 0
    for block in mesh.blocks:
        share = volume[first : first + len(block)] / block.kind.vertices
        total += np.bincount(block.nodes.ravel(), np.repeat(share, block.kind.vertices), mesh.n_points)
        first += len(block)
    return total


def vertex_means(mesh: CellMesh, values: Array) -> Array:
    """Values (n, ...) of cell data (n_cells, ...) at the vertices: means over the cells there, weighted by volume.

    >>> square = CellMesh.single([[0, 0], [1, 0], [1, 1], [0, 1]], [[0, 1, 2], [0, 2, 3]], "triangle")
    >>> vertex_means(square, np.array([1.0, 3.0]))
    array([2., 1., 2., 3.])
    """
    corners, owner = mesh.corners
    volume, every = np.abs(corner_volumes(mesh)), corners.ravel()
    total = np.bincount(every, np.repeat(volume, corners.shape[1]), mesh.n_points)
    columns = np.asarray(values, float).reshape(mesh.n_cells, -1).T
    sums = [
        np.bincount(every, np.repeat(volume * column[owner], corners.shape[1]), mesh.n_points) for column in columns
    ]
    means = np.stack(sums, axis=1) / np.where(total > 0, total, 1.0)[:, None]
    return means.reshape(mesh.n_points, *np.shape(values)[1:])


def barycentric(x: Array) -> tuple[Array, Array]:
    """Gradients (dim, dim+1, s) of the barycentric coordinates, and the determinants of the edges from vertex 0 (s,),
    of simplices with vertices x (dim, dim+1, s). Of flat ones the gradients are their cofactors.

    >>> gradients, det = barycentric(np.array([[0.0, 2, 0], [0, 0, 1]])[:, :, None])
    >>> (gradients[:, :, 0] + 0.0).tolist(), det.tolist()
    ([[-0.5, 0.5, 0.0], [-1.0, 0.0, 1.0]], [2.0])
    """
    e = x[:, 1:] - x[:, :1]
    out = np.empty(x.shape)
    if len(x) == 2:
        out[0, 1], out[0, 2] = e[1, 1], -e[1, 0]
        out[1, 1], out[1, 2] = -e[0, 1], e[0, 0]
    else:
        for k, (i, j) in enumerate(((1, 2), (2, 0), (0, 1))):
            out[:, k + 1] = np.cross(e[:, i], e[:, j], axis=0)
    det = np.einsum("cs,cs->s", e[:, 0], out[:, 1])
    out[:, 1:] /= np.where(det == 0, 1, det)
    np.add.reduce(out[:, 1:], axis=1, out=out[:, 0])
    np.negative(out[:, 0], out=out[:, 0])
    return out, det
