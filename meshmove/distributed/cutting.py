"""A mesh in one piece, cut into pieces: for tests, and for who has a partition but no library for it."""

from __future__ import annotations

import numpy as np

from meshmove.geometry import CellMesh, InvalidMeshError
from meshmove.geometry.arrays import Array, Ids

from .mesh import DistributedMesh

__all__ = ["bisected", "pieces_of"]


def bisected(points: Array, parts: int) -> Ids:
    """A part (m,) for each of the points (m, dim): cut across the longest side, again and again, into equal parts."""
    out = np.zeros(len(points), np.int64)
    if parts > 1 and len(points):
        axis = np.ptp(points, axis=0).argmax()
        left = parts // 2
        order = np.argsort(points[:, axis], kind="stable")
        low, high = np.split(order, [len(order) * left // parts])
        out[low], out[high] = bisected(points[low], left), left + bisected(points[high], parts - left)
    return out


def pieces_of(mesh: CellMesh, process: Ids) -> list[DistributedMesh]:
    """The piece of each process, for the process (m,) of each cell. A vertex is owned by the lowest around it.

    Raises
    ------
    InvalidMeshError
        The mesh has cells of several kinds, vertices that no cell uses, or periodic images.

    >>> square = CellMesh.single([[0, 0], [1, 0], [1, 1], [0, 1]], [[0, 1, 2], [0, 2, 3]], "triangle")
    >>> [(p.n_owned, p.global_ids.tolist()) for p in pieces_of(square, np.array([0, 1]))]
    [(3, [0, 1, 2]), (1, [3, 0, 2])]
    """
    if len(mesh.blocks) != 1 or mesh.periodic is not None:
        raise InvalidMeshError("Expected cells of one kind, and no periodic images, in a mesh that is to be cut")
    cells = mesh.blocks[0].nodes
    owner = np.full(mesh.n_points, np.iinfo(np.int64).max)
    np.minimum.at(owner, cells.ravel(), np.repeat(process, cells.shape[1]))
    if owner.max(initial=0) == np.iinfo(np.int64).max:
        raise InvalidMeshError("Expected cells at all vertices of a mesh that is to be cut")
    return [_piece(mesh, cells, owner, process == k, k) for k in range(int(process.max(initial=0)) + 1)]


def _piece(mesh: CellMesh, cells: Ids, owner: Ids, mine: Array, rank: int) -> DistributedMesh:
    used = np.unique(cells[mine])
    ids = np.concatenate([used[owner[used] == rank], used[owner[used] != rank]])
    number = np.full(mesh.n_points, -1)
    number[ids] = np.arange(len(ids))
    facets = {}
    for name, nodes in mesh.facets.items():
        local = np.where(np.asarray(nodes) >= 0, number[nodes], -2)
        facets[name] = local[(local != -1).all(axis=1)]
        facets[name][facets[name] == -2] = -1
    regions = None if mesh.regions is None else np.asarray(mesh.regions)[mine]
    count, kind = int((owner[used] == rank).sum()), mesh.blocks[0].kind.name
    return DistributedMesh(mesh.points[ids], number[cells[mine]], kind, count, ids, owner[ids], facets, regions)
