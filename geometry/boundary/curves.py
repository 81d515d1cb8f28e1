"""Feature curves: chains of edges between corners, and the closest point on them.

An edge of a chain is a straight segment or, in two dimensions, a piece of a circular arc that is recovered
from consecutive vertices on one circle; so nodes on a meshed circle glide on the circle itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

__all__ = ["Chains", "CurveProjector", "trace"]

Array = NDArray[np.float64]
Ids = NDArray[np.int64]

#: a turn sharper than this is a corner (radians), also on an arc and between facets of a surface
SHARP = np.deg2rad(40)
#: a turn sharper than this is a corner unless it is on an arc: gliding round it would cut it off
BEND = np.deg2rad(15)
#: so is one above NOTICEABLE that exceeds its neighbours' turns by this factor: a kink in an otherwise smooth line
KINK, NOTICEABLE = 2.5, 1e-3
#: so is one across which an edge would cut off more than this share of the mesh's size
COARSE = 0.008
#: relative tolerance for "on one line", "in one plane", "on one circle"
FLAT = 1e-6


@dataclass(frozen=True, eq=False)
class Chains:
    """Edges (e, 2) with the chain of each (e,), corner nodes (n,) bool, and the two chain neighbours of each
    ordinary curve node (n, 2), -1 elsewhere."""

    edges: Ids
    chain: Ids
    corner: NDArray[np.bool_]
    neighbours: Ids


def _turning(points: Array, neighbours: Ids, nodes: Ids) -> Array:
    a = points[nodes] - points[neighbours[nodes, 0]]
    b = points[neighbours[nodes, 1]] - points[nodes]
    cosine = (a * b).sum(1) / np.maximum(np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1), 1e-300)
    # atan2 keeps small angles accurate, where arccos has only half of the digits
    area = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1) * cosine
    across = np.sqrt(np.maximum((a * a).sum(1) * (b * b).sum(1) - area**2, 0))
    return np.arctan2(across, area)


def _height(points: Array, neighbours: Ids, nodes: Ids) -> Array:
    """Distance of nodes from the line through their two neighbours."""
    a, base = points[neighbours[:, 0]], points[neighbours[:, 1]] - points[neighbours[:, 0]]
    u = points[nodes] - a
    return np.abs(u[:, 0] * base[:, 1] - u[:, 1] * base[:, 0]) / np.maximum(np.linalg.norm(base, axis=1), 1e-300)


def trace(points: Array, edges: Ids, label: Ids, frame: Array | None = None) -> Chains:
    """Split a network of edges (e, 2) into chains at corners.

    A node is a corner where the number of edges is not two, the label (e,) changes, or the line has a kink; in two
    dimensions also where a coarse line bends so far that an edge across the bend would cut off more than `COARSE`
    of the mesh's size, measured in coordinates points @ frame (dim, dim) in which the mesh is about one in size.
    """
    n, e = len(points), len(edges)
    degree = np.bincount(edges.ravel(), minlength=n)
    ends = edges.ravel()
    order = np.argsort(ends, kind="stable")
    start = np.concatenate([[0], np.cumsum(degree)])
    two = np.flatnonzero(degree == 2)
    half = np.stack([order[start[two]], order[start[two] + 1]], axis=1)  # positions in `ends`
    neighbours = np.full((n, 2), -1, dtype=np.int64)
    neighbours[two] = ends[half ^ 1]
    corner = (degree > 0) & (degree != 2)
    corner[two] |= label[half[:, 0] // 2] != label[half[:, 1] // 2]

    turn = np.zeros(n)
    turn[two] = _turning(points, neighbours, two)
    corner |= turn > SHARP
    corner |= (turn > BEND) & ~_on_arc(points, edges, np.where(corner[:, None], -1, neighbours))[0]
    if frame is not None:
        free = two[~corner[two]]
        cut = _height(points @ frame, neighbours[free], free) / 2
        on_arc = _on_arc(points, edges, np.where(corner[:, None], -1, neighbours))[0]
        corner[free] |= (cut > COARSE) & ~on_arc[free]
    calm = np.where(corner, 0.0, turn)
    kink = turn[two] > np.maximum(KINK * calm[neighbours[two]].max(1), NOTICEABLE)
    corner[two] |= kink
    neighbours[corner] = -1

    smooth = ~corner[two]
    a, b = (half[smooth] // 2).T
    chain = connected_components(coo_matrix((np.ones(len(a), bool), (a, b)), shape=(e, e)), directed=False)[1]
    return Chains(edges, chain.astype(np.int64), corner, neighbours)


def _on_arc(points: Array, edges: Ids, neighbours: Ids) -> tuple[NDArray[np.bool_], Array, Array]:
    """Which nodes (n,) lie on an arc of at least four vertices, and centre (n, 2) and radius (n,) of their circles."""
    n, dim = points.shape
    centre, radius, on_arc = np.zeros((n, 2)), np.zeros(n), np.zeros(n, bool)
    if dim != 2:
        return on_arc, centre, radius
    mid = np.flatnonzero(neighbours[:, 0] >= 0)
    a, b, c = points[neighbours[mid, 0]], points[mid], points[neighbours[mid, 1]]
    u, v = a - b, c - b
    cross = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
    uu, vv = (u * u).sum(1), (v * v).sum(1)
    bent = np.abs(cross) > NOTICEABLE * np.sqrt(uu * vv)
    mid, u, v, cross, uu, vv = mid[bent], u[bent], v[bent], cross[bent], uu[bent], vv[bent]
    offset = np.stack([v[:, 1] * uu - u[:, 1] * vv, u[:, 0] * vv - v[:, 0] * uu], axis=1) / (2 * cross[:, None])
    centre[mid], radius[mid] = points[mid] + offset, np.linalg.norm(offset, axis=1)

    # two neighbouring nodes with one circle: it holds for the edges on either side of them as well
    i, j = edges.T
    same = (radius[i] > 0) & (radius[j] > 0)
    near = np.maximum(radius[i], radius[j])
    same &= np.linalg.norm(centre[i] - centre[j], axis=1) + np.abs(radius[i] - radius[j]) <= 1e-5 * near
    on_arc[i[same]] = on_arc[j[same]] = True
    return on_arc, centre, radius


def _circles(points: Array, chains: Chains) -> tuple[Array, Array]:
    """Centre and radius of the circle of each edge (e, 2), (e,); radius 0 marks a straight edge."""
    on_arc, centre, radius = _on_arc(points, chains.edges, chains.neighbours)
    edge_centre, edge_radius = np.zeros((len(chains.edges), 2)), np.zeros(len(chains.edges))
    for node in chains.edges.T[::-1]:
        use = on_arc[node]
        edge_centre[use], edge_radius[use] = centre[node[use]], radius[node[use]]
    return edge_centre, edge_radius


class CurveProjector:
    """Closest point on a chain of segments and arcs.

    Parameters
    ----------
    points
        Original coordinates (n, dim).
    chains
        From `trace`.
    used
        Mask (e,) of the edges to index.
    """

    def __init__(self, points: Array, chains: Chains, used: NDArray[np.bool_]) -> None:
        edges = chains.edges[used]
        self._a, self._b = points[edges[:, 0]], points[edges[:, 1]]
        if points.shape[1] == 2:
            centre, radius = _circles(points, chains)
            self._centre, self._radius = centre[used], radius[used]
        else:
            self._centre, self._radius = np.zeros_like(self._a), np.zeros(len(edges))
        length = np.linalg.norm(self._b - self._a, axis=1)
        chain = chains.chain[used]
        # samples close enough together that a short edge never hides a long one
        count = np.clip(np.ceil(4 * length / max(np.median(length), 1e-300)), 4, 64).astype(int)
        self._edge = np.repeat(np.arange(len(edges)), count)
        t = (np.arange(len(self._edge)) - np.repeat(np.cumsum(count) - count, count) + 0.5) / np.repeat(count, count)
        samples = self._a[self._edge] * (1 - t[:, None]) + self._b[self._edge] * t[:, None]
        # an extra coordinate keeps the search on the node's own chain, however close another one passes
        self._apart = 4 * max(float(np.ptp(points, axis=0).max()), 1e-300)
        self._tree = cKDTree(np.c_[samples, chain[self._edge] * self._apart])

    def project(self, x: Array, chain: Ids) -> tuple[Array, Array]:
        """Closest points (m, dim) on the given chains (m,), and the unit tangents there (m, dim)."""
        k = min(3, len(self._edge))
        _, found = self._tree.query(np.c_[x, chain * self._apart], k=k)
        edge = self._edge[found.reshape(-1)]
        closest, along = self._on_edge(np.repeat(x, k, axis=0), edge)
        distance = ((closest - np.repeat(x, k, axis=0)) ** 2).sum(1).reshape(-1, k)
        best = distance.argmin(1) + k * np.arange(len(x))
        return closest[best], along[best]

    def _on_edge(self, x: Array, edge: Ids) -> tuple[Array, Array]:
        a, b = self._a[edge], self._b[edge]
        along = b - a
        t = np.clip(((x - a) * along).sum(1) / (along * along).sum(1), 0, 1)[:, None]
        closest = np.where(t == 1, b, a + t * along)  # the end point itself, not a rounding error beside it
        arc = self._radius[edge] > 0
        if arc.any():
            c, r = self._centre[edge[arc]], self._radius[edge[arc], None]
            ray = x[arc] - c
            on = c + r * ray / np.maximum(np.linalg.norm(ray, axis=1, keepdims=True), 1e-300)
            u, v, w = a[arc] - c, b[arc] - c, on - c
            turn = np.sign(u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0])
            inside = (turn * (u[:, 0] * w[:, 1] - u[:, 1] * w[:, 0]) >= 0) & (
                turn * (w[:, 0] * v[:, 1] - w[:, 1] * v[:, 0]) >= 0
            )
            to_a = ((on - a[arc]) ** 2).sum(1) <= ((on - b[arc]) ** 2).sum(1)
            on = np.where(inside[:, None], on, np.where(to_a[:, None], a[arc], b[arc]))
            closest[arc] = on
            ray = on - c
            along[arc] = np.stack([-ray[:, 1], ray[:, 0]], axis=1)
        return closest, along / np.linalg.norm(along, axis=1, keepdims=True)
