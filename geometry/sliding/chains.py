"""Chains: edges of a boundary or of its features, joined between corners, and the circles that their nodes lie on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from meshmove.geometry.arrays import Array, Ids

__all__ = ["FLAT", "KINK", "NOTICEABLE", "SHARP", "Chains", "Circles", "circles_of", "in_space", "trace"]


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
    corner |= (turn > BEND) & ~circles_of(points, edges, np.where(corner[:, None], -1, neighbours)).shared
    if frame is not None:
        free = two[~corner[two]]
        cut = _height(points @ frame, neighbours[free], free) / 2
        on_arc = circles_of(points, edges, np.where(corner[:, None], -1, neighbours)).shared
        corner[free] |= (cut > COARSE) & ~on_arc[free]
    calm = np.where(corner, 0.0, turn)
    kink = turn[two] > np.maximum(KINK * calm[neighbours[two]].max(1), NOTICEABLE)
    corner[two] |= kink
    neighbours[corner] = -1

    smooth = ~corner[two]
    a, b = (half[smooth] // 2).T
    chain = connected_components(coo_matrix((np.ones(len(a), bool), (a, b)), shape=(e, e)), directed=False)[1]
    return Chains(edges, chain.astype(np.int64), corner, neighbours)


@dataclass(frozen=True, eq=False)
class Circles:
    """The circle through each node and its two chain neighbours: centre (n, dim), radius (n,) and axis (n, 3).

    Radius 0 where there is none, as on a straight line. `shared` (n,): nodes on an arc of at least four vertices.
    """

    centre: Array
    radius: Array
    axis: Array
    shared: NDArray[np.bool_]


def in_space(x: Array) -> Array:
    """Vectors (n, dim) with as many zeros as they lack to three components."""
    return x if x.shape[1] == 3 else np.c_[x, np.zeros(len(x))]


def circles_of(points: Array, edges: Ids, neighbours: Ids) -> Circles:
    n, dim = points.shape
    centre, radius, axis = np.zeros((n, dim)), np.zeros(n), np.zeros((n, 3))
    mid = np.flatnonzero(neighbours[:, 0] >= 0)
    u = in_space(points[neighbours[mid, 0]] - points[mid])
    v = in_space(points[neighbours[mid, 1]] - points[mid])
    cross = np.cross(u, v)
    size = np.linalg.norm(cross, axis=1)
    uu, vv = (u * u).sum(1), (v * v).sum(1)
    bent = size > NOTICEABLE * np.sqrt(uu * vv)
    mid, u, v, uu, vv = mid[bent], u[bent], v[bent], uu[bent], vv[bent]
    axis[mid] = cross[bent] / size[bent, None]
    offset = np.cross(uu[:, None] * v - vv[:, None] * u, axis[mid]) / (2 * size[bent, None])
    centre[mid], radius[mid] = points[mid] + offset[:, :dim], np.linalg.norm(offset, axis=1)

    # two neighbouring nodes with one circle: it holds for the edges on either side of them as well
    i, j = edges.T
    same = (radius[i] > 0) & (radius[j] > 0)
    near = np.maximum(radius[i], radius[j])
    same &= np.linalg.norm(centre[i] - centre[j], axis=1) + np.abs(radius[i] - radius[j]) <= 1e-5 * near
    same &= np.linalg.norm(np.cross(axis[i], axis[j]), axis=1) <= 1e-5
    shared = np.zeros(n, bool)
    shared[i[same]] = shared[j[same]] = True
    return Circles(centre, radius, axis, shared)
