"""The smooth surfaces that the facets of a mesh stand for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry.mesh import CellMesh
from meshmove.geometry.sliding.curves import Curves
from meshmove.geometry.sliding.middles import edge_index, known_bulges
from meshmove.geometry.sliding.surfaces import Surface

from .normals import edge_bulges, vertex_normals
from .patches import Patches

__all__ = ["smooth_patches"]


def smooth_patches(mesh: CellMesh, surface: Surface, curves: Curves, used: NDArray[np.bool_]) -> Patches:
    """Quadratic triangles over the triangles of the mask `used` (t,).

    Over feature edges they meet the curves there; over the middle of other edges they rise as the normals of the
    patch at their ends tell, or to the middle node where the cells have one.
    """
    points, n = mesh.points, mesh.n_points
    triangles, patch = surface.triangles[used], surface.patch[used]
    # a vertex on features is another one to each patch: normals are those of one side
    own, number = np.unique(triangles + patch[:, None] * n, return_inverse=True)
    number, node = number.reshape(triangles.shape), own % n
    on_feature = np.zeros(n, bool)
    on_feature[curves.edges] = True
    normal = vertex_normals(points[node], number, on_feature[node], curves.tangents(points)[node])
    sides = number[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)
    bulge = edge_bulges(points[node], normal, sides)
    ends = node[sides]
    known = known_bulges(mesh, ends)
    if known is not None:
        bulge = np.where(np.isnan(known), bulge, known)
    at = edge_index(curves.edges, ends, n)
    if (at >= 0).any():
        bulge = np.where((at >= 0)[:, None], curves.bulge[at], bulge)
    return Patches(points[triangles], bulge.reshape(-1, 3, 3), patch, float(np.ptp(points, axis=0).max()))
