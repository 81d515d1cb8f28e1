"""A sheet with panels of one size side by side, or below each other, and all about them where it belongs.

Everything is placed by its size in inches, as it was measured: nothing is cut, and pictures of one mesh are the same
size whatever their labels say.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from meshmove.optional import require
from meshmove.whole_files import whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["DPI", "SUFFIXES", "Bar", "Sheet", "finished", "limits"]

#: pixels an inch of what is written
DPI = 160
SUFFIXES = (".png", ".svg", ".pdf", ".jpg")
#: inches: longer side of a panel, also where panels stand below each other, and the least width of one
_SIDE, _LONG, _LEAST = 5.0, 8.2, 2.4
#: inches: about the sheet, between panels, of a line of text, of a colour bar
_EDGE, _GAP, _LINE, _BAR = 0.12, 0.3, 0.3, 0.16
_INK, _GREY = "#202020", "#606060"


@dataclass(frozen=True)
class Bar:
    """What colours stand for, and the label of the bar that says so."""

    norm: Any
    cmap: Any
    label: str = ""


class Sheet:
    """Panels for what lies in a box (x0, x1, y0, y1), drawn to scale unless it is to be a `square`.

    `bars`: one for each panel, or one for all of them, or none. `ticks`: names of the axes whose coordinates are told.
    """

    def __init__(
        self,
        box: Sequence[float],
        headings: Sequence[str],
        bars: Sequence[Bar] = (),
        *,
        title: str = "",
        ticks: tuple[str, str] | None = None,
        square: bool = False,
        window: bool = False,
    ) -> None:
        size = np.array([box[1] - box[0], box[3] - box[2]], float)
        size = np.ones(2) if square or not size.all() else size
        self._stacked = len(headings) > 1 and size[0] > 1.6 * size[1]
        side = _LONG if self._stacked else _SIDE
        self.panel = side * size / size.max()
        self._bars, self._title, self._ticks = list(bars), title, ticks
        self.figure = _figure(window)
        self.axes = [self._new(box, heading, square) for heading in headings]

    @property
    def pixels(self) -> NDArray:
        """Width and height of a panel."""
        return np.rint(DPI * self.panel).astype(int)

    def _new(self, box: Sequence[float], heading: str, square: bool) -> Axes:
        axes = self.figure.add_axes((0, 0, 0.1, 0.1), label=f"panel {len(self.figure.axes)}")
        axes.set(xlim=box[:2], ylim=box[2:], aspect="auto")
        axes.set_title(heading, fontsize=11, color=_INK)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=3, color=_GREY, labelcolor=_GREY, labelsize=8)
        if self._ticks is None:
            axes.set(xticks=[], yticks=[])
        else:
            from matplotlib.ticker import MaxNLocator

            for axis, name in zip((axes.xaxis, axes.yaxis), self._ticks, strict=True):
                axis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
                axis.set_label_text(name, fontsize=9, color=_GREY)
        return axes

    def arrange(self) -> Figure:
        """Put everything where it belongs."""
        figure, n = self.figure, len(self.axes)
        across, down = (1, n) if self._stacked else (n, 1)
        self._resize(*(self.panel + 1))  # so that ticks are those of panels of this size
        for axes in self.axes:
            axes.set_position((0, 0, *(self.panel / (self.panel + 1))))
        for axes in self.axes:
            _fitted(axes.title, max(self.panel[0], _LEAST) - 0.1)
        head = max(_height(a.title) for a in self.axes) + 0.1 if any(a.get_title() for a in self.axes) else 0.0
        left, below, right, above = (max(_margin(a)[k] for a in self.axes) for k in range(4))
        head = max(head, above)
        each, shared = len(self._bars) == n > 1 or n == len(self._bars) == 1, len(self._bars) == 1 < n
        cell = np.array([left + max(self.panel[0], _LEAST) + right, head + self.panel[1] + below + 0.62 * each])
        width = across * cell[0] + (across - 1) * _GAP + 2 * _EDGE
        top = 0.0
        if self._title:
            text = figure.text(0.5, 0.5, self._title, ha="center", va="center", fontsize=13, color=_INK)
            figure.set_size_inches(width, 4)
            _fitted(text, width - 2 * _EDGE)
            top = _height(text) + 0.16
        bottom = 0.72 * shared
        height = down * cell[1] + (down - 1) * 0.5 * _GAP + top + bottom + 2 * _EDGE
        self._resize(width, height)
        if self._title:
            text.set_position((0.5, 1 - (_EDGE + top / 2) / height))
        spare = (cell[0] - left - right - self.panel[0]) / 2
        for k, axes in enumerate(self.axes):
            column, row = (0, k) if self._stacked else (k, 0)
            x = _EDGE + column * (cell[0] + _GAP) + left + spare
            y = height - _EDGE - top - row * (cell[1] + 0.5 * _GAP) - head - self.panel[1]
            axes.set_position((x / width, y / height, self.panel[0] / width, self.panel[1] / height))
            if each:
                self._bar(self._bars[k], x - spare, y - below - 0.1, cell[0] - left - right)
        if shared:
            long = min(width - 2 * _EDGE, max(0.6 * width, 3.0))
            self._bar(self._bars[0], (width - long) / 2, _EDGE + bottom - 0.1, long)
        return figure

    def _bar(self, bar: Bar, x: float, top: float, width: float) -> None:
        """A colour bar whose upper edge is at `top`, its label below its ticks."""
        from matplotlib.cm import ScalarMappable
        from matplotlib.ticker import LogLocator, MaxNLocator

        size = self.figure.get_size_inches()
        inset = 0.3
        place = (x + inset) / size[0], (top - _BAR) / size[1], (width - 2 * inset) / size[0], _BAR / size[1]
        axes = self.figure.add_axes(place, label=f"bar {len(self.figure.axes)}")
        log = type(bar.norm).__name__ == "LogNorm"
        ticks = LogLocator(numticks=8) if log else MaxNLocator(5, steps=[1, 2, 2.5, 5, 10])
        drawn = self.figure.colorbar(ScalarMappable(bar.norm, bar.cmap), cax=axes,
                                     orientation="horizontal", ticks=ticks)  # fmt: skip
        drawn.outline.set_visible(False)
        axes.minorticks_off()
        axes.tick_params(length=3, color=_GREY, labelcolor=_INK, labelsize=8)
        axes.set_xlabel(bar.label, fontsize=10, color=_INK, labelpad=2)
        _fitted(axes.xaxis.label, width)

    def _resize(self, width: float, height: float) -> None:
        self.figure.set_size_inches(width, height)


def _figure(window: bool) -> Figure:
    """One that a window may show, or one of its own, which no state of pyplot keeps alive."""
    require("matplotlib", extra="pyvista")
    if window:
        from matplotlib import pyplot

        return pyplot.figure(facecolor="white")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _height(text: Any) -> float:
    return text.get_window_extent(text.figure.canvas.get_renderer()).height / text.figure.dpi


def _margin(axes: Axes) -> tuple[float, float, float, float]:
    """Inches that ticks and names of the axes take to the left, below, to the right and above."""
    figure: Any = axes.figure
    renderer = figure.canvas.get_renderer()
    inner = axes.get_window_extent(renderer)
    outer = [b for axis in (axes.xaxis, axes.yaxis) if (b := axis.get_tightbbox(renderer)) is not None]
    low = [max([0.0, *(getattr(inner, k) - getattr(b, k) for b in outer)]) for k in ("x0", "y0")]
    high = [max([0.0, *(getattr(b, k) - getattr(inner, k) for b in outer)]) for k in ("x1", "y1")]
    left, below, right, above = (float(pixels) / figure.dpi for pixels in (*low, *high))
    return left, below, right, above


def _fitted(text: Any, width: float) -> None:
    """Make a text as small as it must be to be no wider than `width` inches, and break it where that is too small."""
    least, words = 8.0, text.get_text()
    have = text.get_window_extent(text.figure.canvas.get_renderer()).width / text.figure.dpi
    if have <= width or not words:
        return
    size = max(least, np.floor(text.get_fontsize() * width / have))
    have *= size / text.get_fontsize()
    text.set_fontsize(size)
    if have > width:
        text.set_text("\n".join(textwrap.wrap(words, max(8, int(0.95 * len(words) * width / have)))))


def limits(values: Sequence[NDArray], log: bool = False) -> tuple[float, float]:
    """A range with all finite values, to round numbers; of a logarithmic one, at most four decades to the largest."""
    every = np.concatenate([np.ravel(v) for v in values])
    every = every[np.isfinite(every)]
    if log:
        every = every[every > 0]
        if not len(every):
            return 0.1, 1.0
        high = float(every.max())
        low = max(float(every.min()), 1e-4 * high)
        return (low, high) if high > 1.1 * low else (0.5 * high, 2 * high)
    low, high = (float(every.min()), float(every.max())) if len(every) else (0.0, 1.0)
    if not high - low > 1e-12 * max(abs(low), abs(high)):
        return low - 0.5, high + 0.5
    step = 10 ** (np.floor(np.log10(high - low)) - 2)
    return float(np.floor(low / step + 0.1) * step), float(np.ceil(high / step - 0.1) * step)


def finished(figure: Figure, filename: str | Path | None, show: bool) -> Figure:
    """Write a figure to a file of one of the `SUFFIXES`, and show it where there is where to."""
    if filename is not None:
        with whole(filename) as part:
            figure.savefig(part, dpi=DPI, format=Path(filename).suffix[1:].lower())
    if show:
        from matplotlib import get_backend, pyplot

        if "inline" in get_backend():
            pyplot.close(figure)  # the notebook shows what is returned
        elif get_backend().lower() != "agg":
            pyplot.show()
    return figure
