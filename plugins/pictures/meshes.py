"""Pictures of a mesh before and after it moved, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from meshmove.optional import require
from meshmove.plugins.grids import cellmesh_to_pyvista

from .values import VALUES, as_adaptation, colour, first_grid
from .view import TITLE, aim, axes_of, opened, soft

if TYPE_CHECKING:
    import pyvista

__all__ = ["cellmesh_to_pyvista", "plot"]

_PANEL = 800  # pixels, the longer side of one view
_BAR = 170


def plot(
    adaptation: Any,
    color: str | None = None,
    *,
    filename: str | Path | None = None,
    show: bool | None = None,
    cmap: str = "viridis",
    edges: bool = True,
    clip: bool = True,
    before: Any = None,
    headings: tuple[str, str] | None = None,
    label: str | None = None,
    zoom: tuple[float, float, float, float] | None = None,
) -> pyvista.Plotter:
    """Draw the mesh before and after, coloured alike, with linked cameras.

    Plane meshes are seen from above. Volume meshes are cut open along whole cells, so that the inside shows.

    Parameters
    ----------
    adaptation
        What `meshmove.adapt` returns; or a moved mesh, with `before`.
    color
        ``"monitor"``, or the name of a field that was carried to the moved mesh. By default the monitor where there
        is one, else the first field.
    filename
        Write the picture to this file (.png) without opening a window.
    show
        Open a window; by default where no file is asked for.
    cmap, edges
        Colour map, and whether cells are outlined.
    clip
        Cut volume meshes open.
    before
        The mesh to show on the left, of the same cells: by default the one that was moved. After `adapt_loop`, whose
        last round started from a moved mesh, pass the first mesh.
    headings
        Titles of the two views; by default they tell the predicted error, or else the imbalance.
    label
        Title of the colour bar; by default the name of what is shown.
    zoom
        The part (x0, x1, y0, y1) of a plane mesh to show.

    Returns
    -------
    The plotter: closed where only a file was asked for.

    Raises
    ------
    FieldError
        There is no field of this name; the message lists those that there are.
    InvalidMeshError
        `before` has other cells.
    MissingPackageError
        PyVista is not installed.

    Examples
    --------
    >>> from meshmove.plugins.pyvista import plot
    >>> plot(out, filename="moved.png")  # doctest: +SKIP
    """
    require("pyvista", extra="pyvista")
    show = filename is None if show is None else show
    if before is not None and not hasattr(adaptation, "moved"):
        adaptation = as_adaptation(adaptation)
    grids = [cellmesh_to_pyvista(adaptation.cells), cellmesh_to_pyvista(adaptation.moved)]
    title = colour(adaptation, color, grids)
    if before is not None:
        grids[0] = first_grid(before, adaptation.cells, grids, title)
    flat = adaptation.cells.dim == 2
    axes = axes_of(grids[0], flat)
    shown = grids if flat or not clip else opened(grids)
    if zoom is not None and flat:
        shown = [g.clip_box((*zoom, -1, 1), invert=False) for g in grids]
    views = _Views(np.concatenate([g.points for g in shown]) @ axes.T, _BAR if title else 1, show)
    how = {"scalars": None, "color": "lightsteelblue"} if title is None else _colours(shown, title == "monitor")
    how |= {"cmap": soft(cmap), "show_edges": edges, "line_width": _line_width(shown[0].n_cells, flat)}
    for k, heading in enumerate(headings or _headings(adaptation, before is not None)):
        actor = views.add(k, shown[k], heading, lighting=not flat, **how)
    views.link(axes)
    if title:
        views.add_bar(actor, label or title)
    if filename is not None:
        views.plotter.screenshot(str(filename))
    if show:
        views.plotter.show()
    elif filename is not None:
        views.plotter.close()
    return views.plotter


class _Views:
    """Two views beside or, for long meshes, above each other, and room for a colour bar."""

    def __init__(self, seen: NDArray, bar: int, show: bool) -> None:
        pyvista = require("pyvista", extra="pyvista")
        size = np.ptp(seen[:, :2], axis=0)
        self._seen, self.stacked = seen, bool(size[0] > 1.6 * size[1])
        self._width, self._height = width, height = _panel(size, self.stacked)
        self._places = [(0, 0), (1, 0)] if self.stacked else [(0, 0), (0, 1)]
        weights = {"col_weights": [width, bar]} if self.stacked else {"col_weights": [width, width, bar]}
        self.plotter = pyvista.Plotter(
            shape=(2, 2) if self.stacked else (1, 3),
            groups=[(slice(None), 1)] if self.stacked else None,
            border=False,
            off_screen=not show,
            window_size=(width + bar, 2 * height) if self.stacked else (2 * width + bar, height),
            **weights,
        )
        self.plotter.set_background("white")

    def add(self, k: int, grid: Any, heading: str, **how: Any) -> Any:
        self.plotter.subplot(*self._places[k])
        actor = self.plotter.add_mesh(
            grid, edge_color="#202020", ambient=0.55, diffuse=0.5, show_scalar_bar=False, **how
        )
        above = (0.5, 1 - 0.75 * TITLE / self._height)
        text = self.plotter.add_text(heading, position=above, viewport=True, font_size=13, color="black")
        text.GetTextProperty().SetJustificationToCentered()
        return actor

    def link(self, axes: NDArray) -> None:
        """Both views are seen from one place."""
        self.plotter.link_views([self.plotter.renderers.loc_to_index(p) for p in self._places])
        self.plotter.subplot(*self._places[0])
        aim(self.plotter, self._seen, axes, self._width, self._height)

    def add_bar(self, actor: Any, name: str) -> None:
        self.plotter.subplot(0, 1 if self.stacked else 2)
        font = int(np.clip(_BAR / len(name), 12, 20))  # so that the name fits
        bar = self.plotter.add_scalar_bar(
            name, mapper=actor.mapper, vertical=True, color="black", n_labels=5, fmt="%.3g",
            title_font_size=font, label_font_size=16, position_x=0.1, position_y=0.15, width=0.5, height=0.7,
        )  # fmt: skip
        bar.SetVerticalTitleSeparation(12)


def _colours(shown: list[Any], positive: bool) -> dict[str, Any]:
    limits, log = color_limits(shown, positive)
    return {"scalars": VALUES, "clim": limits, "log_scale": log}


def _panel(size: NDArray, stacked: bool) -> tuple[int, int]:
    """Width and height of one view in pixels, the mesh in it framed tightly below its title."""
    ratio = size[1] / size[0] if size[0] > 0 else 1.0
    width = 1400 if stacked else int(min(_PANEL, _PANEL / max(ratio, 1e-6)))
    width = max(width, 420)
    return width, int(np.clip(width * ratio, 200, 1.25 * _PANEL)) + TITLE


def _headings(adaptation: Any, plain: bool) -> tuple[str, str]:
    if plain:  # the report's imbalances are those of another mesh
        return "before", "after"
    report = adaptation.report

    def heading(when: str) -> str:
        for what in ("predicted error", "imbalance"):
            value = getattr(report, f"{what.replace(' ', '_')}_{when}", None)
            if value is not None:
                return f"{when}: {what} {value:.3g}"
        return when

    return heading("before"), heading("after")


def color_limits(grids: list[Any], positive: bool) -> tuple[tuple[float, float], bool]:
    values = np.concatenate([np.asarray(g[VALUES]) for g in grids])
    values = values[np.isfinite(values)]
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    log = bool(positive and low > 0 and high > 200 * low)
    if high > low and not log:  # to round numbers, for the labels
        step = 10 ** (np.floor(np.log10(high - low)) - 2)
        low, high = float(np.floor(low / step + 0.01) * step), float(np.ceil(high / step - 0.01) * step)
    return (low, high if high > low else low + 1.0), log


def _line_width(n_cells: int, flat: bool) -> float:
    # so that edges of small cells do not cover their colour
    return float(np.clip((40 if flat else 60) / np.sqrt(n_cells), 0.4, 1.5))
