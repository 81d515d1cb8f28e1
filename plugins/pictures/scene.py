"""Both meshes as a scene of a web page that can be turned, written by trame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from meshmove.optional import require
from meshmove.plugins.figures.kinds import Shown
from meshmove.plugins.figures.sheet import limits
from meshmove.plugins.figures.skin import Skin
from meshmove.plugins.figures.view import axes_of, placed, plane_of, soft, windows

from .screen import Look

__all__ = ["write_scene"]

_HEIGHT = 560


def write_scene(what: Shown, look: Look, path: Path) -> None:
    """Meshes before and after, side by side, volume meshes cut open at one plane; a page that needs nothing but itself.

    Raises
    ------
    MissingPackageError
        trame-pyvista is not installed.
    """
    pyvista = windows()
    require("trame_pyvista", extra="pyvista")
    require("nest_asyncio2", extra="pyvista")
    plotter = pyvista.Plotter(shape=(1, 2), off_screen=True, border=False, window_size=(2 * _HEIGHT, _HEIGHT))
    try:
        plotter.set_background("white")
        colours: dict[str, Any] = {"color": "lightsteelblue"}
        if what.values is not None:
            colours = {"scalars": "shown", "cmap": soft(look.cmap), "clim": look.clim or limits(what.values)}
        axes, plane = axes_of(what.meshes[0]), plane_of(what.meshes[0])
        for k, mesh in enumerate(what.meshes):
            plotter.subplot(0, k)
            skin = Skin(mesh, plane)
            skin.wear(mesh.points, None if what.values is None else what.values[k], axes[2], 1.0)
            lit = {"lighting": mesh.dim == 3, "ambient": 0.6, "diffuse": 0.45}
            plotter.add_mesh(skin.faces, show_edges=look.edges, show_scalar_bar=False, **lit, **colours)
            seen = skin.faces.points @ axes.T
            extent = float((seen.max(axis=0) - seen.min(axis=0))[:2].max())
            placed(plotter, seen, axes, 0.9 * _HEIGHT / extent, _HEIGHT, 0, 0)
        plotter.trame.export_html(str(path))
    finally:
        plotter.close()
