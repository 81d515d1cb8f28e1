"""Which nodes are periodic images of which, in formats other than Gmsh's: as numbers of the pairs in point data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import meshio

__all__ = ["decode_periodic", "encode_periodic", "n_pairs", "within"]

#: point data ``periodic:DIM:IMAGE:SOURCE``, by Gmsh's numbers of the two entities: k at the image of pair k, -k at its
#: source, and 0 elsewhere, so that it survives formats that number the nodes anew
PREFIX = "periodic:"


def encode_periodic(mesh: meshio.Mesh) -> None:
    """Put the periodic pairs of a mesh into its point data."""
    for dim, (image, source), _, nodes in mesh.gmsh_periodic or ():
        pairs = _pairs(nodes)
        numbers = np.zeros(len(mesh.points), np.int64)
        numbers[pairs[:, 1]] = -np.arange(1, len(pairs) + 1)
        numbers[pairs[:, 0]] = np.arange(1, len(pairs) + 1)
        mesh.point_data[f"{PREFIX}{dim}:{image}:{source}"] = numbers
    mesh.gmsh_periodic = None


def decode_periodic(mesh: meshio.Mesh) -> None:
    """Turn point data of a mesh that was just read back into periodic pairs."""
    found = []
    for key in [k for k in mesh.point_data if k.startswith(PREFIX)]:
        entity = key.removeprefix(PREFIX).split(":")
        if len(entity) != 3 or not all(e.isdigit() for e in entity):
            continue
        dim, image, source = (int(e) for e in entity)
        numbers = np.ravel(mesh.point_data.pop(key)).astype(np.int64)
        _, at, of = np.intersect1d(numbers, -numbers[numbers < 0], return_indices=True)
        found.append([dim, (image, source), None, np.stack([at, np.flatnonzero(numbers < 0)[of]], axis=1)])
    if found:
        mesh.gmsh_periodic = found


def within(periodic: list | None, number: NDArray) -> list | None:
    """Pairs of a part of the mesh; `number` (n,) is that of each node in it, or -1."""
    parts = [[dim, entities, affine, number[_pairs(nodes)]] for dim, entities, affine, nodes in periodic or ()]
    kept = [[*rest, pairs[(pairs >= 0).all(axis=1)]] for *rest, pairs in parts]
    return [link for link in kept if len(link[-1])] or None


def n_pairs(mesh: meshio.Mesh) -> int:
    """Periodic pairs of different nodes."""
    return sum(len(_pairs(nodes)) for *_, nodes in mesh.gmsh_periodic or ())


def _pairs(nodes: NDArray) -> NDArray:
    """(k, 2), image and source"""
    pairs = np.asarray(nodes, np.int64).reshape(-1, 2)
    return pairs[pairs[:, 0] != pairs[:, 1]]
