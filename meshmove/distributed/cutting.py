"""A mesh in one piece, cut into pieces: for tests, and for who has a partition but no library for it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from meshmove.geometry import CellBlock, CellMesh, InvalidMeshError
from meshmove.geometry.arrays import Array, Ids

from .mesh import DistributedMesh, SecondOrder

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
    return [_piece(mesh, cells, owner, process, k) for k in range(int(process.max(initial=0)) + 1)]


def _piece(mesh: CellMesh, cells: Ids, owner: Ids, process: Ids, rank: int) -> DistributedMesh:
    mine = process == rank
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
    out = DistributedMesh(mesh.points[ids], number[cells[mine]], kind, count, ids, owner[ids], facets, regions)
    return out if mesh.nodes is None else replace(out, second=_second(mesh, out, process, rank))


def _second(mesh: CellMesh, piece: DistributedMesh, process: Ids, rank: int) -> SecondOrder:
    """The cells of a piece with the nodes between their vertices, each of which the lowest process around it owns."""
    (block,) = mesh.blocks
    assert mesh.lift is not None and mesh.nodes is not None and block.second_nodes is not None
    cells = block.second_nodes[process == rank]
    owner = np.full(mesh.n_nodes, np.iinfo(np.int64).max)
    np.minimum.at(owner, block.second_nodes.ravel(), np.repeat(process, cells.shape[1]))
    used = np.unique(cells)
    ids = np.concatenate([used[owner[used] == rank], used[owner[used] != rank]])
    number = np.full(mesh.n_nodes, -1)
    number[ids] = np.arange(len(ids))
    own = CellBlock(block.kind, piece.cells, block.second, number[cells])
    lift = mesh.lift[ids][:, piece.global_ids]
    whole = CellMesh(piece.points, (own,), lift=lift, nodes=mesh.nodes[ids])
    return SecondOrder(whole, ids, owner[ids], int((owner[used] == rank).sum()))
