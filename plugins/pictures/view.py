"""Where a picture of a mesh is seen from, and how volume meshes are cut open."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["TITLE", "aim", "axes_of", "cut_axis", "opened", "placed", "soft"]

#: pixels above a mesh that its title takes
TITLE = 70


def opened(grids: list[Any]) -> list[Any]:
    """Both grids cut by one plane through the middle, across their shortest extent.

    Whole cells, and the same ones of both grids: those whose centre lies beyond the plane in the first. So one sees
    where a sheet of cells went.
    """
    axis = cut_axis(grids[0])
    depth = np.asarray(grids[0].cell_centers().points)[:, axis]
    behind = depth > grids[0].center[axis]
    return [g.extract_cells(behind) if behind.any() else g for g in grids]


def cut_axis(grid: Any) -> int:
    extents = np.ptp(np.asarray(grid.points), axis=0)
    # y unless another axis is clearly shorter: the cut then faces the viewer
    return min((1, 0, 2), key=lambda a: extents[a] if a != 1 else 0.95 * extents[a])


def axes_of(grid: Any, flat: bool) -> NDArray:
    """Directions (3, 3) of the picture in space: right, up, and towards the viewer."""
    if flat:
        return np.eye(3)
    axis = cut_axis(grid)
    up = 2 if axis != 2 else 1
    toward = np.zeros(3)
    toward[[axis, 3 - axis - up, up]] = -1.0, 0.55, 0.5
    toward /= np.linalg.norm(toward)
    right = np.cross(np.eye(3)[up], toward)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(toward, right), toward])


def aim(plotter: Any, seen: NDArray, axes: NDArray, width: int, height: int) -> None:
    """Parallel projection that frames the points `seen` (n, 3), in picture axes, below the title."""
    low, high = seen.min(axis=0), seen.max(axis=0)
    span = np.maximum(high - low, 1e-300)
    free = 1 - TITLE / height
    scale = 0.5 * 1.06 * max(span[1] / free, span[0] * height / width)  # half the height of the picture
    centre = (low + high) / 2 + np.array([0, scale * (1 - free), 0])
    away = 2 * float(np.linalg.norm(span))
    camera = plotter.camera
    plotter.enable_parallel_projection()
    camera.focal_point = centre @ axes
    camera.position = (centre + [0, 0, away]) @ axes
    camera.up = axes[1]
    camera.parallel_scale = scale
    camera.clipping_range = (0.1 * away, 2 * away)


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


def soft(cmap: str) -> Any:
    """The colour map mixed with white, so that dark edges stand out on all of it."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    return ListedColormap(0.7 * colormaps[cmap](np.linspace(0, 1, 256)) + 0.3)
