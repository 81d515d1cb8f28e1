"""One view in which frame after frame of a film is drawn: colours and camera stay, mesh and values change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry import CellMesh
from meshmove.geometry.arrays import Array
from meshmove.geometry.given import number, shown
from meshmove.optional import require
from meshmove.plugins.figures.curved_skin import CurvedSkin, is_curved
from meshmove.plugins.figures.skin import INK, Skin
from meshmove.plugins.figures.view import axes_of, corners_of, placed, plane_of, soft, windows

from .stills import Still, limits_of, times_of

__all__ = ["Look", "Screen"]

#: pixels for the title, the colour bar, and to either side
_TOP, _BOTTOM, _EDGE = 48, 76, 16


@dataclass(frozen=True)
class Look:
    """How a film looks: pixels of the domain's longer side, edges, colour map, range of colours, title."""

    size: int = 640
    edges: bool = True
    cmap: str = "viridis"
    clim: tuple[float, float] | None = None
    title: str | None = None

    def check(self) -> None:
        """Raise ValueError for what could not be drawn, before there is anything to draw."""
        number(self.size, "a positive size, the pixels of the longer side of the domain")
        if self.clim is not None:
            try:
                low, high = map(float, self.clim)
            except (TypeError, ValueError):
                low = high = np.nan
            if not -np.inf < low < high < np.inf:
                raise ValueError(f"Expected clim as two numbers, the smaller one first (got {shown(self.clim)})")
        if isinstance(self.cmap, str) and self.cmap != Look.cmap:
            known = list(require("matplotlib", extra="pyvista").colormaps)
            if self.cmap not in known:
                close = get_close_matches(self.cmap, known, n=1)
                hint = f"; did you mean {close[0]!r}?" if close else ""
                raise ValueError(f"Expected a colour map of matplotlib, by name (got {self.cmap!r}{hint})")


class Screen:
    """Draws stills, which all of them must be known of beforehand: for the camera, the range of colours, the times.

    Plane meshes are seen from above; volume meshes are cut open along whole cells, the same in all frames.
    """

    def __init__(
        self,
        stills: Sequence[Still],
        look: Look,
        off_screen: bool | None = True,
        times: list[str] | None = None,
    ) -> None:
        """`times`: what the title says of each still, by default its time."""
        pyvista = windows()
        self.stills, self.look = stills, look
        self.times = times_of(stills) if times is None else times
        first = stills[0].cells
        _of_one_dimension(stills)
        self._flat, self._axes, self._plane = first.dim == 2, axes_of(first), plane_of(first)
        seen = np.concatenate([corners_of(_extent(s.cells), self._plane) for s in stills]) @ self._axes.T
        extent = np.ptp(seen, axis=0)[:2]
        self._unit = look.size / extent.max()
        # multiples of 16, as codecs of films want them
        self._panel = 16 * np.ceil((self._unit * extent + [2 * _EDGE, _TOP + _BOTTOM]) / 16).astype(int)
        self._panel = np.maximum(self._panel, [320, 0])
        self.plotter = pyvista.Plotter(off_screen=off_screen, window_size=[*map(int, self._panel)])
        self.plotter.set_background("white")
        self._skin: Skin | None = None
        self._coloured = False
        self._title = self.plotter.add_text(
            " ", position=(0.5, 1 - 0.7 * _TOP / self._panel[1]), viewport=True, font_size=11, color="black"
        )
        self._title.GetTextProperty().SetJustificationToCentered()
        coloured = next((k for k, s in enumerate(stills) if s.shown is not None), None)
        if coloured is not None:  # frames without a field have the bar, too
            self.show(coloured)
            self._add_bar()
        self.show(0)
        placed(self.plotter, seen, self._axes, self._unit, int(self._panel[1]), _TOP, _BOTTOM)

    def show(self, k: int) -> None:
        """Draw a still."""
        still = self.stills[k]
        coloured = still.shown is not None
        if self._skin is None or coloured != self._coloured or not self._skin.cells.same_cells(still.cells):
            self._dress(still, coloured)
        assert self._skin is not None
        if isinstance(self._skin, CurvedSkin):
            nodes = still.cells.nodes
            assert nodes is not None
            self._skin.wear(nodes, still.shown_at_nodes, self._axes[2], self._unit)
        else:
            self._skin.wear(still.cells.points, still.shown, self._axes[2], self._unit)
        name = self.look.title or still.name
        self._title.SetInput(f"{name},  {self.times[k]}" if name else self.times[k])

    def aside(self) -> None:
        """Put the title to the left, which leaves room for a slider beside it."""
        self._title.SetPosition(0.025, 1 - 0.7 * _TOP / self._panel[1])
        self._title.GetTextProperty().SetJustificationToLeft()

    def image(self, k: int) -> NDArray[np.uint8]:
        """The picture (height, width, 3) of a still."""
        self.show(k)
        self.plotter.render()
        return np.asarray(self.plotter.screenshot(return_img=True))[:, :, :3]

    @property
    def maps(self) -> list[Any]:
        """Colour maps of the pictures: of the faces, in the shade too, and of edges that half fade into them."""
        from matplotlib.colors import ListedColormap

        faces = soft(self.look.cmap)
        colours = faces(np.linspace(0, 1, 256))[:, :3]
        tones = [ListedColormap(0.5 * (colours + INK / 255))]
        return [faces, *tones] if self._flat else [faces, ListedColormap(0.8 * colours), *tones]

    def close(self) -> None:
        self.plotter.close()

    def _dress(self, still: Still, coloured: bool) -> None:
        """Actors for the cells of a still, in the place of those before."""
        look, skin = self.look, (CurvedSkin if is_curved(still.cells) else Skin)(still.cells, self._plane)
        colours: dict[str, Any] = {"color": "lightsteelblue"}
        if coloured:
            skin.faces["shown"] = np.zeros(skin.faces.n_points)
            limits = look.clim or limits_of(self.stills)
            colours = {"scalars": "shown", "cmap": soft(look.cmap), "clim": limits}
        self._actor = self.plotter.add_mesh(
            skin.faces, **colours, lighting=not self._flat, ambient=0.55, diffuse=0.5,
            show_scalar_bar=False, name="faces", reset_camera=False,
        )  # fmt: skip
        if look.edges:
            self.plotter.add_mesh(
                skin.edges, scalars="rgba", rgba=True, line_width=1.2, lighting=False, name="edges", reset_camera=False
            )
        self._skin, self._coloured = skin, coloured

    def _add_bar(self) -> None:
        height = self._panel[1]
        bar = self.plotter.add_scalar_bar(
            "bar", mapper=self._actor.mapper, vertical=False, color="black", n_labels=5, fmt="%.3g",
            label_font_size=15, position_x=0.1, position_y=8 / height, width=0.8, height=52 / height,
        )  # fmt: skip
        bar.SetTitle("")


def _extent(cells: CellMesh) -> Array:
    """Points among which all of a mesh is seen: with the nodes on bent sides, where cells have these."""
    if cells.nodes is None or not is_curved(cells):
        return cells.points
    used = [b.second_nodes.ravel() for b in cells.blocks if b.second_nodes is not None]
    return cells.nodes[np.unique(np.concatenate(used))]


def _of_one_dimension(stills: Sequence[Still]) -> None:
    dims = [s.cells.dim for s in stills]
    other = next((k for k, dim in enumerate(dims) if dim != dims[0]), None)
    if other is not None:
        raise ValueError(
            f"Expected frames that are all of plane meshes, or all of volume meshes, which share a camera (got a "
            f"{dims[0]}-D mesh as frame 0, a {dims[other]}-D one as frame {other}): make a film of each"
        )
