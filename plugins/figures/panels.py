"""Several fields on one plane grid, each with its own colours, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .sheet import Bar, Sheet, limits

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Panel", "color_limits", "drawn"]

_DECADES = 6  # of a logarithmic scale, at most


@dataclass(frozen=True, eq=False)
class Panel:
    """Values at the points of the grid, under a title; `lines`: with level lines."""

    title: str
    values: NDArray
    cmap: str
    log: bool = False
    lines: bool = False


def drawn(
    grid: Any, panels: list[Panel], names: tuple[str, str], outline: list[NDArray], square: bool, window: bool
) -> Figure:
    """A sheet with a panel for each, and the curves (2, n) of the outline in all of them."""
    from matplotlib import colormaps
    from matplotlib.colors import LogNorm, Normalize
    from matplotlib.tri import Triangulation

    bars = []
    for panel in panels:
        low, high = color_limits(panel)
        bars.append(Bar((LogNorm if panel.log else Normalize)(low, high, clip=panel.log), colormaps[panel.cmap]))
    headings = [p.title for p in panels]
    box = grid.bounds[:4]
    sheet = Sheet(box, headings, bars, ticks=names, square=square, window=window)
    flat = grid.triangulate()
    triangles = np.asarray(flat.cells_dict[5])
    for axes, panel, bar in zip(sheet.axes, panels, bars, strict=True):
        good = np.isfinite(panel.values)
        mesh = Triangulation(*np.asarray(flat.points)[:, :2].T, triangles, mask=~good[triangles].all(axis=1))
        values = np.where(good, panel.values, bar.norm.vmin)
        axes.tripcolor(mesh, values, shading="gouraud", norm=bar.norm, cmap=bar.cmap, rasterized=True)
        if panel.lines:
            levels = np.linspace(bar.norm.vmin, bar.norm.vmax, 14)[1:-1]
            axes.tricontour(mesh, values, levels, colors="white", alpha=0.45, linewidths=0.8, linestyles="solid")
        for curve in outline:
            axes.plot(*curve, color="#202020", linewidth=1.0, clip_on=False)
        axes.set(xlim=box[:2], ylim=box[2:])
    return sheet.arrange()


def color_limits(panel: Panel) -> tuple[float, float]:
    """Of the finite values; whole decades on a logarithmic scale, which leaves out the smallest hundredth."""
    finite = panel.values[np.isfinite(panel.values)]
    if not panel.log:
        return limits([finite])
    if not len(finite):
        return 0.1, 1.0
    top = float(np.percentile(finite, 99.9))
    last = int(np.ceil(np.log10(max(top, 1e-16))))
    first = int(np.floor(np.log10(max(float(np.percentile(finite, 2)), 1e-300))))
    return 10.0 ** max(min(first, last - 2), last - _DECADES), 10.0**last
