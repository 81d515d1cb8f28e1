"""Where a picture of a mesh is seen from, and how volume meshes are cut open."""

from __future__ import annotations

import os
import sys
from ctypes import CDLL
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry import CellMesh
from meshmove.geometry.arrays import Array
from meshmove.optional import require

__all__ = ["axes_of", "corners_of", "cut_axis", "has_egl", "in_space", "placed", "plane_of", "soft", "windows"]


def plane_of(cells: CellMesh) -> tuple[int, float] | None:
    """The axis, and where on it, of the plane at which a mesh is cut open; None for plane meshes.

    Through the middle, across the shortest extent: there one sees most of what is inside.
    """
    if cells.dim == 2:
        return None
    axis = cut_axis(cells.points)
    return axis, float(cells.points[:, axis].min() + np.ptp(cells.points[:, axis]) / 2)


def cut_axis(points: Array) -> int:
    extents = np.ptp(points, axis=0)
    # y unless another axis is clearly shorter: the cut then faces the viewer
    return min((1, 0, 2), key=lambda a: extents[a] if a != 1 else 0.95 * extents[a])


def axes_of(cells: CellMesh) -> NDArray:
    """Directions (3, 3) of the picture in space: right, up, and towards the viewer."""
    if cells.dim == 2:
        return np.eye(3)
    axis = cut_axis(cells.points)
    up = 2 if axis != 2 else 1
    toward = np.zeros(3)
    toward[[axis, 3 - axis - up, up]] = -1.0, 0.55, 0.5
    toward /= np.linalg.norm(toward)
    right = np.cross(np.eye(3)[up], toward)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(toward, right), toward])


def corners_of(points: Array, plane: tuple[int, float] | None) -> Array:
    """Of the box (8, 3) about what is seen of a mesh with these points."""
    points = in_space(points)
    low, high = points.min(axis=0), points.max(axis=0)
    if plane is not None:
        low[plane[0]] = max(low[plane[0]], min(plane[1], high[plane[0]]))
    return np.array(np.meshgrid(*zip(low, high, strict=True))).reshape(3, -1).T


def in_space(points: Array) -> Array:
    """Points or vectors (n, 2) with a third coordinate 0."""
    return np.pad(points, ((0, 0), (0, 3 - points.shape[1])))


def placed(plotter: Any, seen: NDArray, axes: NDArray, unit: float, height: int, top: int, bottom: int) -> None:
    """Parallel projection of `unit` pixels a length, the points `seen` (n, 3) amid what `top` and `bottom` leave."""
    low, high = seen.min(axis=0), seen.max(axis=0)
    centre = (low + high) / 2 + np.array([0, (top - bottom) / 2 / unit, 0])
    away = 2 * float(np.linalg.norm(high - low))
    camera = plotter.camera
    plotter.enable_parallel_projection()
    camera.focal_point = centre @ axes
    camera.position = (centre + [0, 0, away]) @ axes
    camera.up = axes[1]
    camera.parallel_scale = height / 2 / unit
    camera.clipping_range = (0.1 * away, 2 * away)


def soft(cmap: Any) -> Any:
    """The colour map mixed with white, so that dark edges stand out on all of it."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    colours = colormaps[cmap] if isinstance(cmap, str) else cmap
    return ListedColormap(0.7 * colours(np.linspace(0, 1, 256)) + 0.3)


def windows() -> Any:
    """PyVista; where there is no display, told to draw without one.

    VTK looks for a display first, says on the terminal that there is none, and draws by EGL then. So EGL is chosen
    beforehand, where its library is there; nothing else is chosen.
    """
    pyvista = require("pyvista", extra="pyvista")
    shown = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if sys.platform == "linux" and not shown and has_egl():
        os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
    return pyvista


@cache
def has_egl() -> bool:
    try:
        CDLL("libEGL.so.1")
    except OSError:
        return False
    return True
