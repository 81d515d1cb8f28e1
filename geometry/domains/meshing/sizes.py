"""Boundary edges of a mesh: vertices on the true curves, and the edge length wanted at every point.

The length is `size`, less where a curve would turn by more than 30 degrees along an edge, where a piece is shorter, and
where two pieces face each other across a gap narrower than `size`; away from there it grows by `GROWTH` per length.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from meshmove.geometry.arrays import Array, Ids
from meshmove.geometry.domains.boundary import SNAP, Boundary

__all__ = ["BoundaryEdges", "SizeField", "boundary_edges", "joined_ends"]


TURN = np.pi / 6  #: most that a curve may turn along one edge
GROWTH = 0.35
SMALLEST = 1 / 50  #: no edge is asked to be shorter than this part of `size`


class SizeField:
    """Wanted edge length h(x) = min(size, min_j h_j + GROWTH |x - x_j|) from sources (x_j, h_j)."""

    def __init__(self, size: float, x: Array, h: Array) -> None:
        self.size, self._sources = size, (x, h)
        h = np.maximum(h, SMALLEST * size)
        fine = h < 0.95 * size
        # sources by level, one tree each: exact up to the width of a level
        level = np.floor(np.log(h[fine] / size) / np.log(1.1)).astype(int)
        self._trees = [(size * 1.1 ** float(k), cKDTree(x[:, fine].T[level == k])) for k in np.unique(level)]

    @property
    def is_graded(self) -> bool:
        return bool(self._trees)

    def refined(self, x: Array, h: Array) -> SizeField:
        """The field with further sources."""
        (x0, h0) = self._sources
        return SizeField(self.size, np.concatenate([x0, x], axis=1), np.concatenate([h0, h]))

    def __call__(self, x: Array) -> Array:
        h = np.full(x.shape[1], self.size)
        for level, tree in self._trees:
            reach = (self.size - level) / GROWTH
            distance, _ = tree.query(x.T, distance_upper_bound=reach)
            h = np.minimum(h, level + GROWTH * distance)
        return h


@dataclass(frozen=True, eq=False)
class BoundaryEdges:
    """Vertices (2, n) on the boundary and directed edges, the domain on their left.

    The first `corners` vertices are ends of pieces. `edges` (e, 2) vertex ids; `piece` (e,) and `span` (e, 2): the
    stretch of which piece an edge replaces.
    """

    boundary: Boundary
    corners: int
    points: Array
    edges: Ids
    piece: Ids
    span: Array

    def split(self, which: Ids) -> BoundaryEdges:
        """Some edges cut in about half, the new vertices on the curve.

        An edge that ends at a corner is cut at a power of two from it: the edges at a sharp corner become equally long,
        which ends the game of cuts on one side that call for cuts on the other (Ruppert 1995).
        """
        a, b = self.edges[which].T
        length = np.linalg.norm(self.points[:, b] - self.points[:, a], axis=0)
        shell = np.exp2(np.round(np.log2(length / 2))) / length
        at_start, at_end = a < self.corners, b < self.corners
        share = np.where(at_start == at_end, 0.5, np.where(at_start, shell, 1 - shell))
        middle = (1 - share) * self.span[which, 0] + share * self.span[which, 1]
        new = self.points.shape[1] + np.arange(len(which))
        x, _ = self.boundary.evaluate(self.piece[which], middle)
        first = np.stack([self.edges[which, 0], new], axis=1)
        second = np.stack([new, self.edges[which, 1]], axis=1)
        lower = np.stack([self.span[which, 0], middle], axis=1)
        upper = np.stack([middle, self.span[which, 1]], axis=1)
        rest = np.setdiff1d(np.arange(len(self.edges)), which)
        return BoundaryEdges(
            self.boundary,
            self.corners,
            np.concatenate([self.points, x], axis=1),
            np.concatenate([self.edges[rest], first, second]),
            np.concatenate([self.piece[rest], self.piece[which], self.piece[which]]),
            np.concatenate([self.span[rest], lower, upper]),
        )

    def facets(self) -> dict[str, Ids]:
        """Edges by the name of their piece."""
        labels = np.array([p.name for p in self.boundary.pieces])[self.piece]
        return {name: self.edges[labels == name] for name in self.boundary.names}


def boundary_edges(boundary: Boundary, size: float) -> tuple[BoundaryEdges, SizeField]:
    """Edges of length about h along the boundary, and the field h."""
    corners, corner_points = joined_ends(boundary)
    piece, s, x, h = _wanted(boundary, size, corners)
    field = SizeField(size, x, h)
    points, edges, owner, span = [corner_points], [], [], []
    n = corner_points.shape[1]
    for i, curve in enumerate(boundary.pieces):
        at = np.flatnonzero(piece == i)
        fraction = s[at]
        density = 1 / field(x[:, at])
        count = np.concatenate([[0], np.cumsum(0.5 * (density[1:] + density[:-1]) * np.diff(fraction))]) * curve.length
        edges_here = max(1 if curve.straight else 2, int(np.ceil(count[-1] - 0.2)))
        marks = np.interp(np.linspace(0, count[-1], edges_here + 1)[1:-1], count, fraction)
        marks = np.concatenate([[0.0], curve.along(marks), [1.0]])
        points.append(curve.point(marks[1:-1]))
        ids = np.concatenate([[corners[0, i]], n + np.arange(edges_here - 1), [corners[1, i]]])
        n += edges_here - 1
        edges.append(np.stack([ids[:-1], ids[1:]], axis=1))
        owner.append(np.full(edges_here, i))
        span.append(np.stack([marks[:-1], marks[1:]], axis=1))
    made = map(np.concatenate, (edges, owner, span))
    return BoundaryEdges(boundary, corner_points.shape[1], np.concatenate(points, axis=1), *made), field


def joined_ends(boundary: Boundary) -> tuple[Ids, Array]:
    """Corner ids of the start and end of every piece (2, pieces), ends within SNAP being one, and their points."""
    ends = boundary.ends.reshape(2, -1)
    pairs = cKDTree(ends.T).query_pairs(SNAP * boundary.extent, output_type="ndarray")
    k = ends.shape[1]
    joined = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(k, k))
    _, label = connected_components(joined, directed=False)
    _, first = np.unique(label, return_index=True)
    return label.reshape(2, -1).astype(np.int64), ends[:, first]


def _wanted(boundary: Boundary, size: float, corners: Ids) -> tuple[Ids, Array, Array, Array]:
    """Samples along the pieces (piece, arc-length fraction, point) and the edge length that each asks for."""
    piece, fraction, h = [], [], []
    for i, curve in enumerate(boundary.pieces):
        f = np.linspace(0, 1, int(np.ceil(2 * curve.length / size)) + (2 if curve.straight else 12))
        piece.append(np.full(len(f), i))
        fraction.append(f)
        h.append(np.minimum(min(size, curve.length), TURN * curve.radius(curve.along(f))))
    owner, f, wanted = np.concatenate(piece), np.concatenate(fraction), np.concatenate(h)
    s = np.concatenate([boundary.pieces[i].along(fraction[i]) for i in range(len(boundary))])
    x, normal = boundary.evaluate(owner, s)
    # facing pieces: seen within 45 degrees of the inward normal, and not neighbours around a corner
    pairs = cKDTree(x.T).query_pairs(size, output_type="ndarray")
    pairs = np.concatenate([pairs, pairs[:, ::-1]])
    i, j = pairs.T
    a, b = corners[:, owner[i]], corners[:, owner[j]]
    apart = (a[0] != b[0]) & (a[0] != b[1]) & (a[1] != b[0]) & (a[1] != b[1])
    i, j = i[apart], j[apart]
    step = x[:, j] - x[:, i]
    gap = np.linalg.norm(step, axis=0)
    facing = -(step * normal[:, i]).sum(0) > 0.7 * gap
    np.minimum.at(wanted, i[facing], gap[facing])
    return owner, f, x, wanted
