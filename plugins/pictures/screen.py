"""One view in which frame after frame of a film is drawn: colours and camera stay, mesh and values change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry import CellMesh
from meshmove.geometry.arrays import Array
from meshmove.optional import require
from meshmove.plugins.grids import cellmesh_to_pyvista

from .stills import Still, limits_of, times_of
from .view import axes_of, cut_axis, placed, soft

__all__ = ["Look", "Screen"]

#: pixels for the title, the colour bar, and to either side
_TOP, _BOTTOM, _EDGE = 48, 76, 16
#: pixels across a cell up to which its edges are left out, and from which on they are drawn in full
_FAINT, _CLEAR = 3.0, 12.0
#: opacity of edges in full, and their grey
_STRONG, _INK = 0.8, 32


@dataclass(frozen=True)
class Look:
    """How a film looks: pixels of the domain's longer side, edges, colour map, range of colours, title."""

    size: int = 640
    edges: bool = True
    cmap: str = "viridis"
    clim: tuple[float, float] | None = None
    title: str | None = None


class Screen:
    """Draws stills, which all of them must be known of beforehand: for the camera, the range of colours, the times.

    Plane meshes are seen from above; volume meshes are cut open along whole cells, the same in all frames.
    """

    def __init__(self, stills: Sequence[Still], look: Look, off_screen: bool | None = True) -> None:
        pyvista = require("pyvista", extra="pyvista")
        self.stills, self.look, self.times = stills, look, times_of(stills)
        first = stills[0].cells
        base = cellmesh_to_pyvista(first)
        self._flat = first.dim == 2
        self._axes = axes_of(base, self._flat)
        self._plane = None if self._flat else (cut_axis(base), np.asarray(base.center)[cut_axis(base)])
        seen = np.concatenate([_corners(s.cells, self._plane) for s in stills]) @ self._axes.T
        extent = np.ptp(seen, axis=0)[:2]
        self._unit = look.size / extent.max()
        # multiples of 16, as codecs of films want them
        self._panel = 16 * np.ceil((self._unit * extent + [2 * _EDGE, _TOP + _BOTTOM]) / 16).astype(int)
        self._panel = np.maximum(self._panel, [320, 0])
        self.plotter = pyvista.Plotter(off_screen=off_screen, window_size=[*map(int, self._panel)])
        self.plotter.set_background("white")
        self._skin: _Skin | None = None
        self._title = self.plotter.add_text(
            " ", position=(0.5, 1 - 0.7 * _TOP / self._panel[1]), viewport=True, font_size=11, color="black"
        )
        self._title.GetTextProperty().SetJustificationToCentered()
        self.show(0)
        if stills[0].shown is not None:
            self._add_bar()
        placed(self.plotter, seen, self._axes, self._unit, int(self._panel[1]), _TOP, _BOTTOM)

    def show(self, k: int) -> None:
        """Draw a still."""
        still = self.stills[k]
        if self._skin is None or not self._skin.fits(still):
            self._dress(still)
        assert self._skin is not None
        self._skin.wear(still, self._axes[2], self._unit)
        name = self.look.title or still.name
        self._title.SetInput(f"{name},  {self.times[k]}" if name else self.times[k])

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
        tones = [ListedColormap(0.5 * (colours + _INK / 255))]
        return [faces, *tones] if self._flat else [faces, ListedColormap(0.8 * colours), *tones]

    def close(self) -> None:
        self.plotter.close()

    def _dress(self, still: Still) -> None:
        """Actors for the cells of a still, in the place of those before."""
        look, skin = self.look, _Skin(still.cells, self._plane)
        coloured = still.shown is not None
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
        self._skin = skin

    def _add_bar(self) -> None:
        height = self._panel[1]
        bar = self.plotter.add_scalar_bar(
            "bar", mapper=self._actor.mapper, vertical=False, color="black", n_labels=5, fmt="%.3g",
            label_font_size=15, position_x=0.1, position_y=8 / height, width=0.8, height=52 / height,
        )  # fmt: skip
        bar.SetTitle("")


class _Skin:
    """What is seen of a mesh, a plane one whole, of a volume mesh the surface of the cells behind the cut."""

    def __init__(self, cells: CellMesh, plane: tuple[int, float] | None) -> None:
        pyvista = require("pyvista", extra="pyvista")
        self._cells = cells
        polygons = [np.asarray(b.nodes) for b in cells.blocks] if plane is None else _outside(cells, *plane)
        used = np.unique(np.concatenate([p.ravel() for p in polygons]))
        self._ids, polygons = used, [np.searchsorted(used, p) for p in polygons]
        points = np.zeros((len(self._ids), 3))
        self.faces = pyvista.PolyData(points, np.concatenate([_counted(p).ravel() for p in polygons]))
        self._polygons = polygons
        pairs = np.concatenate([np.stack([p, np.roll(p, -1, axis=1)], axis=2).reshape(-1, 2) for p in polygons])
        lines, self._edge_of = np.unique(np.sort(pairs, axis=1), axis=0, return_inverse=True)
        self.edges = pyvista.PolyData(points.copy(), lines=_counted(lines).ravel())
        self.edges["rgba"] = np.zeros((len(lines), 4), np.uint8)

    def fits(self, still: Still) -> bool:
        """Whether a still is of the same cells."""
        mine, other = self._cells, still.cells
        return mine is other or (
            mine.n_points == other.n_points
            and len(mine.blocks) == len(other.blocks)
            and all(np.array_equal(a.nodes, b.nodes) for a, b in zip(mine.blocks, other.blocks, strict=True))
        )

    def wear(self, still: Still, toward: Array, unit: float) -> None:
        """Take the positions and values of a still; `toward`: the viewer, `unit`: pixels in a unit of length."""
        points = _in_space(still.cells.points)[self._ids]
        self.faces.points = points
        self.edges.points = points + 6e-3 * np.ptp(points, axis=0).max() * toward  # in front of what they outline
        if still.shown is not None:
            self.faces["shown"] = still.shown[self._ids]
        across = np.concatenate([np.repeat(np.sqrt(_areas(points, p)), p.shape[1]) for p in self._polygons])
        least = np.full(self.edges.n_cells, np.inf)
        np.minimum.at(least, self._edge_of.ravel(), unit * across)
        rgba = np.zeros((len(least), 4), np.uint8)
        rgba[:, :3] = _INK
        rgba[:, 3] = np.rint(255 * _STRONG * np.clip((least - _FAINT) / (_CLEAR - _FAINT), 0, 1))
        self.edges["rgba"] = rgba


def _areas(points: Array, polygons: NDArray) -> Array:
    """Of triangles or quadrilaterals (n,): half the cross product of their diagonals."""
    x = points[polygons]
    one, other = (x[:, 1] - x[:, 0], x[:, 2] - x[:, 0]) if x.shape[1] == 3 else (x[:, 2] - x[:, 0], x[:, 3] - x[:, 1])
    return 0.5 * np.linalg.norm(np.cross(one, other), axis=1)


def _outside(cells: CellMesh, axis: int, at: float) -> list[NDArray]:
    """Triangles (n, 3) and quadrilaterals (m, 4) about the cells whose centre is beyond a plane, if there are any."""
    centres = [cells.points[b.nodes].mean(axis=1)[:, axis] for b in cells.blocks]
    beyond = any((c > at).any() for c in centres)
    found: dict[int, list[NDArray]] = {}
    for block, centre in zip(cells.blocks, centres, strict=True):
        nodes = block.nodes[centre > at] if beyond else block.nodes
        for face in block.kind.facets:
            found.setdefault(len(face), []).append(nodes[:, list(face)])
    out = []
    for parts in found.values():
        faces = np.concatenate(parts)
        _, first, count = np.unique(np.sort(faces, axis=1), axis=0, return_index=True, return_counts=True)
        out.append(faces[first[count == 1]])
    return [f for f in out if len(f)]


def _counted(rows: NDArray) -> NDArray:
    """Rows with their length before them, as VTK has it."""
    return np.column_stack([np.full(len(rows), rows.shape[1]), rows])


def _corners(cells: CellMesh, plane: tuple[int, float] | None) -> Array:
    """Of the box about what is seen of a mesh, (8, 3)."""
    points = _in_space(cells.points)
    low, high = points.min(axis=0), points.max(axis=0)
    if plane is not None:
        low[plane[0]] = max(low[plane[0]], min(plane[1], high[plane[0]]))
    return np.array(np.meshgrid(*zip(low, high, strict=True))).reshape(3, -1).T


def _in_space(points: Array) -> Array:
    return np.pad(points, ((0, 0), (0, 3 - points.shape[1])))
