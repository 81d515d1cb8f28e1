"""Vertex normals of patches, and how far the surface bulges over the edges of its triangles.

Normals are means of those of the facets with the weights of Max (1999), which are exact for vertices on a sphere. At
the rim of a patch, where facets are on one side only, the mean leans inwards; there it is set right by the neighbours:
on a quadratic surface the mean of the normals at the ends of an edge is perpendicular to it.

N. Max, "Weights for computing vertex normals from facet normals", J. Graphics Tools 4 (1999). Patches from normals at
vertices are an idea of Vlachos, Peters, Boyd & Mitchell, "Curved PN triangles" (2001), and of Nagata, "Simple local
interpolation of surfaces using normal vectors" (2005); ours are quadratic, and their sides meet a sphere or a
cylinder in the middle.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry.arrays import Array, Ids

__all__ = ["edge_bulges", "vertex_normals"]


#: sweeps that set normals at rims right, and the weight there of a curve's tangent against a neighbour
SWEEPS, TANGENT = 2, 10.0
#: a bulge is at most this share of its edge: that of a circle that turns by 60 degrees
HIGHEST = 0.134


def vertex_normals(points: Array, triangles: Ids, rim: NDArray[np.bool_], tangent: Array) -> Array:
    """Unit normals (n, 3), 0 where the facets have none.

    Parameters
    ----------
    points, triangles
        (n, 3), (t, 3): vertices of a patch are its own, and its triangles turn the same way.
    rim
        Mask (n,) of vertices that facets do not surround.
    tangent
        Unit tangents (n, 3) of the curves that such vertices lie on, 0 where there are none.
    """
    normal = _mean(points, triangles)
    if not rim.any():
        return normal
    sides = np.concatenate([triangles[:, [k, (k + 1) % 3]] for k in range(3)])
    sides = np.unique(np.sort(np.concatenate([sides, sides[:, ::-1]]), axis=1), axis=0)
    sides = np.concatenate([sides, sides[:, ::-1]])
    normal = np.where(rim[:, None], _unit(normal - tangent * (normal * tangent).sum(1, keepdims=True)), normal)
    for _ in range(SWEEPS):
        use = rim[sides[:, 0]] & ~rim[sides[:, 1]]
        normal = np.where(rim[:, None], _corrected(points, normal, sides[use], tangent), normal)
    return normal


def _mean(points: Array, triangles: Ids) -> Array:
    out = np.zeros_like(points)
    for k in range(3):
        node = triangles[:, k]
        u, v = points[triangles[:, (k + 1) % 3]] - points[node], points[triangles[:, (k + 2) % 3]] - points[node]
        weight = np.maximum((u * u).sum(1) * (v * v).sum(1), 1e-300)
        np.add.at(out, node, np.cross(u, v) / weight[:, None])
    return _unit(out)


def _corrected(points: Array, normal: Array, sides: Ids, tangent: Array) -> Array:
    """Normals tilted such that (n_i + n_k) . d is least for edges d from i to k = `sides` (s, 2), and n_i . tangent."""
    i, k = sides.T
    along = _unit(points[k] - points[i])
    miss = ((normal[i] + normal[k]) * along).sum(1)
    across = along - normal[i] * (normal[i] * along).sum(1, keepdims=True)
    matrix, right = np.zeros((len(points), 3, 3)), np.zeros_like(points)
    np.add.at(matrix, i, across[:, :, None] * across[:, None, :])
    np.add.at(right, i, -across * miss[:, None])
    matrix += TANGENT * tangent[:, :, None] * tangent[:, None, :]
    right -= TANGENT * tangent * (tangent * normal).sum(1, keepdims=True)
    # along the normal, and where no neighbour tells, nothing changes
    matrix += normal[:, :, None] * normal[:, None, :] + 1e-3 * np.eye(3)
    return _unit(normal + np.linalg.solve(matrix, right[:, :, None])[:, :, 0])


def edge_bulges(points: Array, normal: Array, edges: Ids) -> Array:
    """From the middle of each edge (e, 2) to the surface, (e, 3), by the normals at its ends.

    It is the middle of the cubic of Vlachos et al., lengthened such that it is exact on circles.
    """
    i, j = edges.T
    along = points[j] - points[i]
    n, m = normal[i], normal[j]
    half = np.linalg.norm(n + m, axis=1, keepdims=True) / 2  # cosine of half the angle between the normals
    bulge = (along * m).sum(1, keepdims=True) * m - (along * n).sum(1, keepdims=True) * n
    bulge /= 4 * (1 + half) * np.maximum(half, 0.5)
    size, most = np.linalg.norm(bulge, axis=1, keepdims=True), HIGHEST * np.linalg.norm(along, axis=1, keepdims=True)
    return bulge * np.minimum(1, most / np.maximum(size, 1e-300))


def _unit(v: Array) -> Array:
    return v / np.maximum(np.linalg.norm(v, axis=1, keepdims=True), 1e-300)
