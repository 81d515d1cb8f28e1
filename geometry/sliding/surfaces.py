"""Boundary surfaces of three-dimensional meshes: patches between feature edges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from meshmove.geometry.arrays import Array, Ids

from .chains import NOTICEABLE, SHARP

__all__ = ["Surface", "facet_normals", "split_surface"]


@dataclass(frozen=True, eq=False)
class Surface:
    """Triangles (t, 3) of the constraint facets, the patch of each (t,), and the feature edges (e, 2) between
    patches with a label (e,) that is the same along one feature.

    Triangles of a patch turn the same way, unless it is one-sided as a Möbius strip is.
    """

    triangles: Ids
    patch: Ids
    edges: Ids
    edge_label: Ids


def facet_normals(points: Array, triangles: Ids) -> Array:
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
    normal = facet_normals(points, triangles)
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
    agree = forward[first] != forward[second]
    inner = ~feature
    triangles = _alike(triangles, patch, np.stack([a, b], axis=1)[inner], agree[inner])
    return Surface(triangles, patch, edges[feature], edge_label)


def _alike(triangles: Ids, patch: Ids, pairs: Ids, agree: NDArray[np.bool_]) -> Ids:
    """The triangles, turned round where neighbours (k, 2) of one patch do not agree on the way round.

    Each triangle stands twice in a graph, once either way round; of the two halves of a patch the one with its first
    triangle as it is tells.
    """
    n = len(triangles)
    one, other = pairs.T
    rows = np.concatenate([one, one + n])
    columns = np.concatenate([np.where(agree, other, other + n), np.where(agree, other + n, other)])
    graph = coo_matrix((np.ones(len(rows), bool), (rows, columns)), shape=(2 * n, 2 * n))
    half = connected_components(graph, directed=False)[1]
    lead = np.unique(patch, return_index=True)[1][patch] if n else patch
    return np.where((half[:n] == half[lead])[:, None], triangles, triangles[:, ::-1])
