"""Fields on one plane grid side by side, each with its colour bar below it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshmove.optional import require

__all__ = ["Panel", "draw"]

_SIDE = 620  # pixels, the longer side of the domain
_TOP, _BOTTOM, _LEFT, _RIGHT = 64, 128, 84, 36
_DECADES = 6  # of a logarithmic scale, at most


@dataclass(frozen=True)
class Panel:
    """Values at the points of the grid, under a title; `lines`: with level lines."""

    title: str
    values: NDArray
    cmap: str
    log: bool = False
    lines: bool = False


def draw(
    grid: Any,
    panels: list[Panel],
    axes: tuple[str, str],
    outline: list[NDArray],
    *,
    stretch: bool = False,
    filename: str | Path | None = None,
    show: bool = False,
) -> Any:
    """A plotter with one view a panel, beside or, for long domains, above each other.

    `outline`: curves (2, n) to draw in black; `stretch`: to a square.
    """
    pyvista = require("pyvista", extra="pyvista")
    x0, x1, y0, y1 = grid.bounds[:4]
    low, size = np.array([x0, y0]), np.array([x1 - x0, y1 - y0])
    scale = 1 / (size if stretch else np.full(2, size.max()))
    shown = grid.copy()
    shown.points = np.c_[(np.asarray(grid.points, float)[:, :2] - low) * scale, np.zeros(grid.n_points)]
    curves = [np.c_[(curve.T - low) * scale, np.full(curve.shape[1], 1e-3)] for curve in outline]
    extent = size * scale
    stacked = extent[0] > 1.6 * extent[1]
    unit = _SIDE * (1.4 if stacked else 1)
    pixels = np.ceil(unit * extent).astype(int)
    width, height = int(max(pixels[0], 420)) + _LEFT + _RIGHT, int(pixels[1]) + _TOP + _BOTTOM
    rows, columns = (len(panels), 1) if stacked else (1, len(panels))
    plotter = pyvista.Plotter(
        shape=(rows, columns), border=False, off_screen=not show, window_size=(width * columns, height * rows)
    )
    plotter.set_background("white")
    for k, panel in enumerate(panels):
        plotter.subplot(k if stacked else 0, 0 if stacked else k)
        limits = color_limits(panel)
        mesh = shown.copy()
        mesh["values"] = np.clip(panel.values, limits[0], None) if panel.log else panel.values
        actor = plotter.add_mesh(
            mesh, scalars="values", cmap=panel.cmap, clim=limits, log_scale=panel.log, lighting=False,
            nan_color="lightgray", show_scalar_bar=False,
        )  # fmt: skip
        if panel.lines and limits[1] > limits[0]:
            levels = mesh.contour(np.linspace(*limits, 14)[1:-1], scalars="values")
            if levels.n_points:
                levels.points[:, 2] = 1e-3
                plotter.add_mesh(levels, color="white", opacity=0.45, line_width=1.2, lighting=False)
        for curve in curves:
            plotter.add_mesh(pyvista.lines_from_points(curve), color="#202020", line_width=2, lighting=False)
        _frame(plotter, extent, unit, width, height)
        _write(plotter, panel.title, (0.5, 1 - 0.72 * _TOP / height), 14)
        _ticks(plotter, (x0, x1, y0, y1), axes, pixels, width, height)
        bar = plotter.add_scalar_bar(
            f"{k}", mapper=actor.mapper, vertical=False, color="black", n_labels=_labels(limits, panel.log),
            fmt="%.0e" if panel.log else "%.3g", label_font_size=17, position_x=_LEFT / width,
            position_y=10 / height, width=1 - (_LEFT + _RIGHT) / width, height=62 / height,
        )  # fmt: skip
        bar.SetTitle("")
    if filename is not None:
        plotter.screenshot(str(filename))
    if show:
        plotter.show()
    elif filename is not None:
        plotter.close()
    return plotter


def color_limits(panel: Panel) -> tuple[float, float]:
    """Of the finite values; whole decades on a logarithmic scale, which leaves out the smallest hundredth."""
    finite = panel.values[np.isfinite(panel.values)]
    if not len(finite):
        return 0.1 if panel.log else 0.0, 1.0
    if panel.log:
        top = float(np.percentile(finite, 99.9))
        last = int(np.ceil(np.log10(max(top, 1e-16))))
        first = int(np.floor(np.log10(max(float(np.percentile(finite, 2)), 1e-300))))
        return 10.0 ** max(min(first, last - 2), last - _DECADES), 10.0**last
    low, high = float(finite.min()), float(finite.max())
    if not high - low > 1e-12 * max(abs(low), abs(high)):
        return low - 0.5, high + 0.5
    step = 10 ** (np.floor(np.log10(high - low)) - 2)
    return float(np.floor(low / step + 0.1) * step), float(np.ceil(high / step - 0.1) * step)


def _labels(limits: tuple[float, float], log: bool) -> int:
    return int(round(np.log10(limits[1] / limits[0]))) + 1 if log else 5


def _frame(plotter: Any, extent: NDArray, unit: float, width: int, height: int) -> None:
    """Puts the domain into its place, which leaves room for title, ticks and colour bar."""
    left = _LEFT + (width - _LEFT - _RIGHT - unit * extent[0]) / 2
    middle = np.array([left + unit * extent[0] / 2, _BOTTOM + unit * extent[1] / 2])
    centre = extent / 2 + (np.array([width, height]) / 2 - middle) / unit
    camera = plotter.camera
    plotter.enable_parallel_projection()
    camera.focal_point = (*centre, 0)
    camera.position = (*centre, 5)
    camera.up = (0, 1, 0)
    camera.parallel_scale = height / 2 / unit
    camera.clipping_range = (0.1, 10)


def _ticks(plotter: Any, bounds: tuple, axes: tuple[str, str], size: NDArray, width: int, height: int) -> None:
    """Bounds of the domain and names of the axes at its edges."""
    left = _LEFT + (width - _LEFT - _RIGHT - size[0]) / 2
    below, beside = (_BOTTOM - 34) / height, (left - 12) / width
    x0, x1, y0, y1 = bounds
    for text, along in ((f"{x0:.4g}", 0.0), (axes[0], 0.5), (f"{x1:.4g}", 1.0)):
        _write(plotter, text, ((left + along * size[0]) / width, below), 11)
    for text, along in ((f"{y0:.4g}", 0.0), (axes[1], 0.5), (f"{y1:.4g}", 1.0)):
        _write(plotter, text, (beside, (_BOTTOM + along * size[1] - 10) / height), 11, "Right")


def _write(plotter: Any, text: str, at: tuple[float, float], size: int, side: str = "Centered") -> None:
    actor = plotter.add_text(text, position=at, viewport=True, font_size=size, color="black")
    getattr(actor.GetTextProperty(), f"SetJustificationTo{side}")()
