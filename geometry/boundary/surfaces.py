"""Boundary surfaces of three-dimensional meshes: patches between feature edges, and the closest point on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from .curves import NOTICEABLE, SHARP

__all__ = ["Surface", "SurfaceProjector", "closest_on_triangles", "split_surface"]

Array = NDArray[np.float64]
Ids = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Surface:
    """Triangles (t, 3) of the constraint facets, the patch of each (t,), and the feature edges (e, 2) between
    patches with a label (e,) that is the same along one feature."""

    triangles: Ids
    patch: Ids
    edges: Ids
    edge_label: Ids


def _normals(points: Array, triangles: Ids) -> Array:
    a, b, c = (points[triangles[:, k]] for k in range(3))
    n = np.cross(b - a, c - a)
    return n / np.maximum(np.linalg.norm(n, axis=1, keepdims=True), 1e-300)


def _triangulate(facets: Ids) -> tuple[Ids, Ids]:
    """Triangles of facets padded with -1, and the facet of each."""
    ids = np.arange(len(facets))
    quad = facets[:, 3] >= 0 if facets.shape[1] > 3 else np.zeros(len(facets), bool)
    triangles = np.concatenate([facets[:, :3], facets[quad][:, [0, 2, 3]] if quad.any() else facets[:0, :3]])
    return triangles, np.concatenate([ids, ids[quad]])


def split_surface(points: Array, facets: Ids, label: Ids) -> Surface:
    """Find feature edges by dihedral angle, change of label or branching, and the patches that they bound.

    An edge is a feature where the surface bends by more than 40 degrees, and where it bends at all beside a face
    that is flat (one with a node whose facets all lie in one plane): a shallow kink between two planes is part of
    the shape, while the facets of a meshed cylinder are not.
    """
    triangles, facet = _triangulate(facets)
    normal = _normals(points, triangles)
    pairs = triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)
    owner = np.repeat(np.arange(len(triangles)), 3)
    forward = pairs[:, 0] < pairs[:, 1]
    keys = pairs.min(1) * len(points) + pairs.max(1)
    order = np.argsort(keys, kind="stable")
    unique, start, count = np.unique(keys[order], return_index=True, return_counts=True)
    edges = np.stack([unique // len(points), unique % len(points)], axis=1)
    first = order[start]
    second = np.where(count == 2, order[np.minimum(start + 1, len(order) - 1)], first)
    a, b = owner[first], owner[second]
    # normals of two facets agree when they run along their edge in opposite directions
    sign = np.where(forward[first] != forward[second], 1.0, -1.0)
    cross = np.linalg.norm(np.cross(normal[a], normal[b]), axis=1)
    bend = np.where(count == 2, np.arctan2(cross, sign * (normal[a] * normal[b]).sum(1)), 0.0)
    feature = (count != 2) | (bend > SHARP) | (label[facet[a]] != label[facet[b]])

    def components(linked: NDArray[np.bool_]) -> Ids:
        graph = coo_matrix((np.ones(linked.sum(), bool), (a[linked], b[linked])), shape=(len(triangles),) * 2)
        return connected_components(graph, directed=False)[1].astype(np.int64)

    plane = components(~feature & (bend <= NOTICEABLE))
    low, high = np.full(len(points), np.iinfo(np.int64).max), np.full(len(points), -1)
    np.minimum.at(low, triangles, plane[:, None])
    np.maximum.at(high, triangles, plane[:, None])
    on_feature = np.zeros(len(points), bool)
    on_feature[edges[feature]] = True
    flat = np.zeros(plane.max(initial=0) + 1, bool)
    flat[low[(low == high) & ~on_feature]] = True
    feature |= (bend > NOTICEABLE) & (flat[plane[a]] | flat[plane[b]])

    patch = components(~feature)
    sides = np.sort(np.stack([patch[a], patch[b]], axis=1), axis=1)[feature]
    edge_label = np.unique(sides, axis=0, return_inverse=True)[1].ravel() if feature.any() else np.zeros(0, np.int64)
    return Surface(triangles, patch, edges[feature], edge_label)


def closest_on_triangles(x: Array, a: Array, b: Array, c: Array) -> Array:
    """Closest point (m, dim) to x (m, dim) on the triangle a b c of each row."""
    u, v, w = b - a, c - a, x - a
    uu, uv, vv = (u * u).sum(1), (u * v).sum(1), (v * v).sum(1)
    wu, wv = (w * u).sum(1), (w * v).sum(1)
    det = np.maximum(uu * vv - uv * uv, 1e-300)
    s, t = (vv * wu - uv * wv) / det, (uu * wv - uv * wu) / det
    inside = (s >= 0) & (t >= 0) & (s + t <= 1)
    best = a + s[:, None] * u + t[:, None] * v
    if not inside.all():
        out = np.flatnonzero(~inside)
        distance = np.full(len(out), np.inf)
        for p, q in ((a, b), (b, c), (c, a)):
            p, q = p[out], q[out]
            along = q - p
            r = np.clip(((x[out] - p) * along).sum(1) / np.maximum((along * along).sum(1), 1e-300), 0, 1)[:, None]
            on = p + r * along
            d = ((on - x[out]) ** 2).sum(1)
            better = d < distance
            best[out[better]], distance[better] = on[better], d[better]
    return best


class SurfaceProjector:
    """Closest point on the original, faceted surface of a patch."""

    def __init__(self, points: Array, surface: Surface, used: NDArray[np.bool_]) -> None:
        triangles = surface.triangles[used]
        self._vertices = tuple(points[triangles[:, k]] for k in range(3))
        self._normal = _normals(points, triangles)
        weights = np.array([[1, 1, 1], [4, 1, 1], [1, 4, 1], [1, 1, 4]], float)
        weights /= weights.sum(1, keepdims=True)
        samples = np.einsum("sk,ktd->tsd", weights, np.stack(self._vertices)).reshape(-1, 3)
        self._triangle = np.repeat(np.arange(len(triangles)), len(weights))
        self._apart = 4 * max(float(np.ptp(points, axis=0).max()), 1e-300)
        self._tree = cKDTree(np.c_[samples, surface.patch[used][self._triangle] * self._apart])

    def project(self, x: Array, patch: Ids) -> tuple[Array, Array]:
        """Closest points (m, 3) on the given patches (m,), and the unit normals there (m, 3)."""
        _, found = self._tree.query(np.c_[x, patch * self._apart], k=min(10, len(self._triangle)))
        found = self._triangle[found.reshape(len(x), -1)]
        best, normal, distance = np.empty_like(x), np.empty_like(x), np.full(len(x), np.inf)
        for triangle in found.T:
            on = closest_on_triangles(x, *(v[triangle] for v in self._vertices))
            d = ((on - x) ** 2).sum(1)
            better = d < distance
            best[better], distance[better] = on[better], d[better]
            normal[better] = self._normal[triangle[better]]
        return best, normal
