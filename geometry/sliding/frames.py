"""Directions of lines and planes, those that two of them share, and the frame in which a mesh has size one."""

from __future__ import annotations

import numpy as np

from meshmove.geometry.arrays import Array
from meshmove.geometry.mesh import CellMesh
from meshmove.geometry.quality import simplex_volumes

__all__ = ["axis", "common", "inertia_frame"]


def inertia_frame(mesh: CellMesh) -> Array:
    """Linear map (dim, dim) to coordinates in which the domain has the moments of inertia of the unit cube.

    However a mesh is stretched, it is about one in size there, in all directions.
    """
    simplices, owner = mesh.corners
    volume = np.abs(simplex_volumes(mesh.points, simplices))
    centre = mesh.points[simplices].mean(axis=1)
    mean = volume @ centre / volume.sum()
    offset = mesh.points[simplices] - mean
    d = mesh.dim
    # second moments of a simplex: its vertices and its centre, weighted
    moments = np.einsum("s,sva,svb->ab", volume, offset, offset) / ((d + 1) * (d + 2))
    moments += np.einsum("s,sa,sb->ab", volume, centre - mean, centre - mean) * (d + 1) / (d + 2)
    values, vectors = np.linalg.eigh(moments / volume.sum())
    return vectors / np.sqrt(12 * np.maximum(values, 1e-300))


def axis(direction: Array) -> Array:
    """Unit vector; components that are rounding errors become exact zeros, so that an axis stays an axis."""
    unit = direction / np.linalg.norm(direction)
    unit[np.abs(unit) < 1e-9] = 0
    return unit / np.linalg.norm(unit)


def common(a: Array, b: Array) -> Array:
    """Projector onto the directions that two projectors share."""
    values, vectors = np.linalg.eigh(a @ b @ a)
    shared = vectors[:, values > 1 - 1e-9]
    return shared @ shared.T
