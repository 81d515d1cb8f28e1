"""Meshes of domains that lie side by side, which share vertices and edges along what they have in common.

All boundaries are cut where they meet; what two of them share is kept once and divided once, and every domain is meshed
within its edges: two domains see the same edges, in opposite directions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from meshmove.geometry.arrays import Array, Ids
from meshmove.geometry.domains.boundary import ON, SNAP, Boundary, split_at
from meshmove.geometry.domains.intersect import cuts
from meshmove.geometry.domains.pieces import Piece
from meshmove.geometry.errors import DomainError
from meshmove.geometry.mesh import CellMesh

from .gmsh_engine import triangulate
from .sizes import BoundaryEdges, boundary_edges

__all__ = ["mesh_fitted"]


def mesh_fitted(whole: Boundary, parts: Sequence[Boundary], size: float) -> CellMesh:
    """Triangles of several domains that cover a whole without overlap.

    Parameters
    ----------
    whole
        The boundary of all of them together.
    parts
        The boundary of each.
    size
        Wanted edge length; it is smaller at tight curves, short sides and in thin parts.

    Returns
    -------
    CellMesh
        Its `regions` are the numbers of the parts.

    Raises
    ------
    DomainError
        The parts overlap, leave gaps, or have corners that are too thin to be meshed.
    ImportError
        Gmsh is not installed.

    >>> from meshmove.geometry.domains import Disk, Rectangle
    >>> square, disk = Rectangle((-1, -1), (1, 1)), Disk((0, 0), 0.5)
    >>> mesh = mesh_fitted(square.boundary, [disk.boundary, (square - disk).boundary], 0.3)
    >>> sorted(set(mesh.regions.tolist()))
    [0, 1]
    """
    pieces, owner, twin = _skeleton(whole, parts)
    # seen from both sides, so that gaps on either make edges short; those of one side are kept
    other = [piece.reversed() for piece, beyond in zip(pieces, twin, strict=True) if beyond >= 0]
    edges, field = boundary_edges(Boundary((*pieces, *other)), size)
    edges = _first(edges, len(pieces))
    back = np.isin(edges.piece, np.flatnonzero(twin >= 0))
    both = BoundaryEdges(
        whole,
        edges.corners,
        edges.points,
        np.concatenate([edges.edges, edges.edges[back, ::-1]]),
        np.concatenate([edges.piece, edges.piece[back]]),
        np.concatenate([edges.span, edges.span[back, ::-1]]),
    )
    label = np.concatenate([owner[edges.piece], twin[edges.piece[back]]])
    points, cells = triangulate(both, field)
    regions = _regions(cells, both.edges, label, points.shape[1])
    _check(points, cells, regions, parts)
    return CellMesh.single(points.T, cells, "triangle", regions=regions)


def _first(edges: BoundaryEdges, n: int) -> BoundaryEdges:
    """The edges on the first n pieces, and their vertices."""
    kept = edges.piece < n
    used, ends = np.unique(edges.edges[kept], return_inverse=True)
    corners = int((used < edges.corners).sum())
    return BoundaryEdges(
        edges.boundary, corners, edges.points[:, used], ends.reshape(-1, 2), edges.piece[kept], edges.span[kept]
    )


def _skeleton(whole: Boundary, parts: Sequence[Boundary]) -> tuple[list[Piece], Ids, Ids]:
    """Pieces of all boundaries, each once: the number of the part on their left, and on their right (-1: none).

    Shared pieces belong to the smaller part, whose thickness is what the size of edges has to see.
    """
    extent = whole.extent
    found: list[Piece] = []
    owner: list[int] = []
    for k in np.argsort([part.area for part in parts], kind="stable"):
        others = [p for j, part in enumerate([*parts, whole]) if j != k for p in part.pieces]
        boxes = Boundary(tuple(others)).boxes
        for piece in parts[k].pieces:
            near = (boxes[:, 0] <= piece.box[1] + SNAP * extent) & (boxes[:, 1] >= piece.box[0] - SNAP * extent)
            partners = [others[i] for i in np.flatnonzero(near.all(axis=1))]
            at = cuts(piece, partners, ON * extent) if partners else np.empty(0)
            new = split_at(piece, at, SNAP * extent)
            found += new
            owner += [int(k)] * len(new)
    middle = np.concatenate([p.point(np.array([0.5])) for p in found], axis=1)
    pairs = cKDTree(middle.T).query_pairs(10 * SNAP * extent, output_type="ndarray")
    ahead = np.stack([p.tangent(np.array([0.5]))[:, 0] for p in found])
    pairs = pairs[(ahead[pairs[:, 0]] * ahead[pairs[:, 1]]).sum(axis=1) < -0.5]
    twin = np.full(len(found), -1)
    first, second = np.sort(pairs, axis=1).T
    twin[first] = np.array(owner)[second]
    kept = np.setdiff1d(np.arange(len(found)), second)
    return [found[i] for i in kept], np.array(owner)[kept], twin[kept]


def _regions(cells: Ids, edges: Ids, label: Ids, n: int) -> Ids:
    """The part that each cell belongs to: that of the directed edges which it, or a cell connected with it, has."""
    sides = cells[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)
    cell = np.repeat(np.arange(len(cells)), 3)
    keys, walls = np.sort(sides, axis=1) @ [n, 1], np.sort(edges, axis=1) @ [n, 1]
    order = np.argsort(keys, kind="stable")
    order = order[~np.isin(keys[order], walls)]
    same = np.flatnonzero(keys[order][1:] == keys[order][:-1])
    a, b = cell[order[same]], cell[order[same + 1]]
    _, island = connected_components(coo_matrix((np.ones(len(a)), (a, b)), shape=(len(cells),) * 2), directed=False)
    directed, wanted = sides @ [n, 1], edges @ [n, 1]
    by_key = np.argsort(wanted, kind="stable")
    at = np.minimum(np.searchsorted(wanted[by_key], directed), len(wanted) - 1)
    hit = wanted[by_key][at] == directed
    out = np.full(int(island.max()) + 1, -1)
    out[island[cell[hit]]] = label[by_key[at[hit]]]
    return out[island]


def _check(points: Array, cells: Ids, regions: Ids, parts: Sequence[Boundary]) -> None:
    """Cells cover every part but for what is between its curves and their chords, and none is flat or inverted."""
    e1, e2 = points[:, cells[:, 1]] - points[:, cells[:, 0]], points[:, cells[:, 2]] - points[:, cells[:, 0]]
    area = 0.5 * (e1[0] * e2[1] - e1[1] * e2[0])
    if (area > 0).all() and (regions >= 0).all():
        have = np.bincount(regions, area, minlength=len(parts))
        curved = [sum(p.length for p in part.pieces if not p.straight) for part in parts]
        slack = np.array([1e-6 * part.area + 0.05 * c**2 for part, c in zip(parts, curved, strict=True)])
        if (np.abs(have - [part.area for part in parts]) <= slack).all():
            return
    raise DomainError(
        "Expected regions that a mesh of this size can follow (got edges that overlap or are missing); try a smaller "
        "size, or remove corners and gaps that are thinner than a thousandth of it"
    )
