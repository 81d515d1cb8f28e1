"""A sheet with two panels: a mesh before and after it moved."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import shapely
from numpy.typing import NDArray

from meshmove.geometry import CellMesh

from .inside import Inside
from .kinds import Shown
from .plane import arrows, fill, outline
from .sheet import Bar, Sheet, limits
from .view import soft

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Look", "plane", "volume"]

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Look:
    """Title, headings of the panels, label of the colour bar, colour map, whether there are edges, and a window."""

    title: str
    names: tuple[str, str]
    label: str
    cmap: str
    edges: bool = True
    window: bool = False


def plane(what: Shown, look: Look, zoom: Box | None) -> Figure:
    """Plane meshes, or the part of them in the box (x0, x1, y0, y1)."""
    what = _upright(what)
    box, bar = zoom or _box(what), _bar(what, look, zoom)
    sheet = Sheet(box, look.names, [bar] if bar else [], title=look.title, ticks=_axes(what), window=look.window)
    unit = sheet.pixels[0] / (box[1] - box[0])
    for k, (axes, cells) in enumerate(zip(sheet.axes, what.meshes, strict=True)):
        values = None if what.values is None else what.values[k]
        fill(axes, cells, values, bar and bar.norm, bar and bar.cmap)
        if what.step is not None and k == 0:
            arrows(axes, cells.points, what.step)
        elif look.edges:
            outline(axes, cells, unit, alone=values is None)
        axes.set(xlim=box[:2], ylim=box[2:])
    return sheet.arrange()


def volume(what: Shown, look: Look, clip: bool) -> Figure:
    """Volume meshes, cut open or not."""
    inside, bar = Inside(list(what.meshes), clip), _bar(what, look, None)
    sheet = Sheet(inside.box, look.names, [bar] if bar else [], title=look.title, window=look.window)
    for k, axes in enumerate(sheet.axes):
        values = None if what.values is None else what.values[k]
        image = inside.image(k, values, bar and bar.norm, look.cmap, look.edges, sheet.pixels)
        axes.imshow(image, extent=inside.box, aspect="auto", interpolation="antialiased")
    return sheet.arrange()


def _axes(what: Shown) -> tuple[str, str] | None:
    """Names of the coordinates that are told: none in a plane that is no coordinate plane."""
    frame = what.meshes[1].frame
    if frame is None:
        return "x", "y"
    return None if frame.columns is None else ("xyz"[frame.columns[0]], "xyz"[frame.columns[1]])


def _bar(what: Shown, look: Look, zoom: Box | None) -> Bar | None:
    """The colours of both panels, of what is within `zoom`."""
    if what.values is None:
        return None
    from matplotlib.colors import LogNorm, Normalize

    values = [v if zoom is None else _within(v, m, zoom) for v, m in zip(what.values, what.meshes, strict=True)]
    low, high = what.limits or limits(values, what.log)
    return Bar((LogNorm if what.log else Normalize)(low, high, clip=what.log), soft(look.cmap), look.label)


def _within(values: NDArray, cells: CellMesh, zoom: Box) -> NDArray:
    """Of the cells that are seen, or their vertices; all where none is."""
    low, high = np.array(zoom[::2]), np.array(zoom[1::2])
    corners = [cells.points[b.nodes] for b in cells.blocks]
    inside = [((x.max(axis=1) > low) & (x.min(axis=1) < high)).all(axis=1) for x in corners]
    if len(values) == cells.n_points:
        ids = np.concatenate([b.nodes[i].ravel() for b, i in zip(cells.blocks, inside, strict=True)])
    else:
        ids = np.flatnonzero(np.concatenate(inside))
    return values[np.unique(ids)] if len(ids) else values


def _upright(what: Shown) -> Shown:
    """A mesh in a plane that is no coordinate plane turned such that the least rectangle about it lies on its side."""
    frame = what.meshes[1].frame
    if frame is None or frame.columns is not None:
        return what
    box = np.array(shapely.MultiPoint(what.meshes[1].points).minimum_rotated_rectangle.exterior.coords)
    sides = np.diff(box[:3], axis=0)
    along = sides[np.linalg.norm(sides, axis=1).argmax()]
    along = along / np.linalg.norm(along) * (1 if along @ [1, 0.5] > 0 else -1)
    turn = np.stack([along, [-along[1], along[0]]])
    step = None if what.step is None else what.step @ turn.T
    first, last = (m.moved(m.points @ turn.T) for m in what.meshes)
    return replace(what, meshes=(first, last), step=step)


def _box(what: Shown) -> Box:
    """About both plane meshes, with a little room for the edges on its sides."""
    points = np.concatenate([m.points for m in what.meshes])
    low, high = points.min(axis=0), points.max(axis=0)
    gap = 0.004 * (high - low).max()
    return low[0] - gap, high[0] + gap, low[1] - gap, high[1] + gap
