"""Measures of a mesh by which those of training are told from others: sizes, shapes and directions of cells."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry import CellMesh, facets_of
from meshmove.geometry.arrays import Array
from meshmove.geometry.quality import vertex_volumes

__all__ = ["MESH", "NODES", "of_boundaries", "of_mesh", "of_nodes", "rim_of", "sizes_of"]


#: measures of a mesh, and what they are called
MESH = {"extent_": "the mesh's extent along {}", "volume": "the volume of the domain"}
#: measures of a node, and what they are called
NODES = {
    "size": "the mean length of a node's edges",
    "direction": "the direction of a node's edges (mean of their second moments)",
    "lopsided": "the distance of a node from the mean of its neighbours, in lengths of its edges,",
    "neighbours": "the number of a node's neighbours",
}


def of_mesh(mesh: CellMesh) -> dict[str, float]:
    """Name -> measure, see `MESH`; extents by axis."""
    extent = np.ptp(mesh.points, axis=0)
    return {
        **{f"extent_{axis}": float(e) for axis, e in zip("xyz", extent, strict=False)},
        "volume": float(vertex_volumes(mesh).sum()),
    }


def of_nodes(mesh: CellMesh) -> dict[str, Array]:
    r"""Name -> measure (m,) of the inner nodes, see `NODES`.

    Directions are the entries of :math:`\sum e e^T / \sum |e|^2` over a node's edges e, but for one on the diagonal:
    0.5 or 0.33 there and 0 elsewhere for edges that go all ways alike; they tell a mesh from its mirror image.
    """
    x, n, d = mesh.points, mesh.n_points, mesh.dim
    i, j = np.concatenate([mesh.edges, mesh.edges[:, ::-1]]).T
    e = x[j] - x[i]
    length = np.linalg.norm(e, axis=1)
    count = np.maximum(np.bincount(i, minlength=n), 1)
    size = np.bincount(i, length, n) / count
    square = np.bincount(i, length**2, n)
    mean = np.stack([np.bincount(i, e[:, k], n) for k in range(d)], axis=1) / count[:, None]
    found = {"size": size, "lopsided": np.linalg.norm(mean, axis=1) / size, "neighbours": count.astype(float)}
    for a in range(d):
        for b in range(a, d):
            if (a, b) != (d - 1, d - 1):
                found[f"direction{a}{b}"] = np.bincount(i, e[:, a] * e[:, b], n) / square
    inner = np.ones(n, bool)
    inner[rim_of(mesh)] = False
    return {name: values[inner] for name, values in found.items()}


def sizes_of(mesh: CellMesh) -> Array:
    """Mean length (n,) of a node's edges; known as long as the mesh is in use."""
    if mesh not in _SIZES:
        _SIZES[mesh] = _sizes_of(mesh)
    return _SIZES[mesh]


_SIZES: WeakKeyDictionary[CellMesh, Array] = WeakKeyDictionary()


def _sizes_of(mesh: CellMesh) -> Array:
    i, j = np.asarray(mesh.edges).T
    length = np.linalg.norm(mesh.points[i] - mesh.points[j], axis=1)
    both = np.concatenate([i, j])
    total = np.bincount(both, np.tile(length, 2), mesh.n_points)
    return total / np.maximum(np.bincount(both, minlength=mesh.n_points), 1)


def of_boundaries(mesh: CellMesh) -> dict[str, list[float]]:
    """Name -> mean and spread of its nodes along each axis, in shares of the mesh's box."""
    low, extent = mesh.points.min(axis=0), np.maximum(np.ptp(mesh.points, axis=0), 1e-300)
    found = {}
    for name, ids in mesh.facets.items():
        nodes = np.unique(ids[ids >= 0])
        if len(nodes):
            x = (mesh.points[nodes] - low) / extent
            found[name] = [*x.mean(axis=0).tolist(), *x.std(axis=0).tolist()]
    return found


def rim_of(mesh: CellMesh) -> NDArray[np.int64]:
    """Ids of the nodes on the boundary."""
    facets = facets_of(mesh)
    rim = np.unique(facets.nodes[facets.exterior])
    return rim[rim >= 0]
