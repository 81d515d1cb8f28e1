"""Volume meshes cut open, drawn by PyVista as one panel of a sheet."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry import CellMesh

from .skin import Skin
from .view import axes_of, placed, plane_of, soft, windows

__all__ = ["Inside"]


class Inside:
    """How volume meshes are seen: all from one place, and cut open at one plane, each along cells of its own.

    `box`: what is seen of them, (x0, x1, y0, y1) in the plane of the picture.
    """

    def __init__(self, meshes: list[CellMesh], clip: bool) -> None:
        plane = plane_of(meshes[0]) if clip else None
        self._axes = axes_of(meshes[0])
        self._skins = [Skin(mesh, plane) for mesh in meshes]
        self._seen = np.concatenate([m.points[s.ids] for m, s in zip(meshes, self._skins, strict=True)]) @ self._axes.T
        low, high = self._seen[:, :2].min(axis=0), self._seen[:, :2].max(axis=0)
        gap = 0.01 * (high - low).max()
        self.box = (low[0] - gap, high[0] + gap, low[1] - gap, high[1] + gap)

    def image(
        self, k: int, values: NDArray | None, norm: Any, cmap: Any, edges: bool, pixels: NDArray
    ) -> NDArray[np.uint8]:
        """The picture (height, width, 3) of a mesh, with values of its vertices or of its cells."""
        skin, points = self._skins[k], self._skins[k].cells.points
        plotter = windows().Plotter(off_screen=True, window_size=[int(k) for k in pixels])
        try:
            plotter.set_background("white")
            unit = pixels[0] / (self.box[1] - self.box[0])
            skin.wear(points, values, self._axes[2], unit)
            how: dict[str, Any] = {"color": "lightsteelblue"}
            if values is not None:
                how = {"scalars": "shown", "preference": "point" if len(values) == len(points) else "cell"}
                how |= {"cmap": soft(cmap), "clim": (norm.vmin, norm.vmax), "nan_color": "lightgray"}
                how["log_scale"] = type(norm).__name__ == "LogNorm"
            plotter.add_mesh(skin.faces, ambient=0.72, diffuse=0.33, show_scalar_bar=False, **how)
            if edges:
                plotter.add_mesh(skin.edges, scalars="rgba", rgba=True, line_width=2, lighting=False)
            plotter.enable_anti_aliasing("ssaa")
            placed(plotter, self._seen, self._axes, unit, int(pixels[1]), 0, 0)
            return np.asarray(plotter.screenshot(return_img=True))[:, :, :3]
        finally:
            plotter.close()
