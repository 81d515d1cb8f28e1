"""Pictures of a mesh before and after it moved, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from meshmove._optional import require
from meshmove.geometry.errors import FieldError
from meshmove.geometry.mesh import CellMesh

if TYPE_CHECKING:
    import pyvista

__all__ = ["cellmesh_to_pyvista", "plot"]

_VTK = {"triangle": 5, "quad": 9, "tetra": 10, "hexahedron": 12, "wedge": 13, "pyramid": 14}
_VALUES = "shown"
_PANEL = 800  # pixels, the longer side of one view
_BAR = 150
_TITLE = 70


def cellmesh_to_pyvista(mesh: CellMesh) -> pyvista.UnstructuredGrid:
    """The vertices and linear cells of a `CellMesh`; 2-D meshes lie in the plane z = 0.

    Examples
    --------
    >>> mesh = CellMesh.single([[0, 0], [1, 0], [0, 1]], [[0, 1, 2]], "triangle")
    >>> cellmesh_to_pyvista(mesh).n_cells
    1
    """
    pyvista = require("pyvista", extra="pyvista")
    points = np.zeros((mesh.n_points, 3))
    points[:, : mesh.dim] = mesh.points
    cells = [np.column_stack([np.full(len(b), b.kind.vertices), b.nodes]).ravel() for b in mesh.blocks]
    types = [np.full(len(b), _VTK[b.kind.name], np.uint8) for b in mesh.blocks]
    return pyvista.UnstructuredGrid(np.concatenate(cells), np.concatenate(types), points)


def plot(
    adaptation: Any,
    color: str | None = None,
    *,
    filename: str | Path | None = None,
    show: bool | None = None,
    cmap: str = "viridis",
    edges: bool = True,
    clip: bool = True,
) -> pyvista.Plotter:
    """Draw the mesh before and after, coloured alike, with linked cameras.

    Plane meshes are seen from above. Volume meshes are cut open along whole cells, so that the inside shows.

    Parameters
    ----------
    adaptation
        What `meshmove.adapt` returns.
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

    Returns
    -------
    The plotter: closed where only a file was asked for.

    Raises
    ------
    FieldError
        There is no field of this name; the message lists those that there are.
    MissingPackageError
        PyVista is not installed.

    Examples
    --------
    >>> from meshmove.plugins.pyvista import plot
    >>> plot(out, filename="moved.png")  # doctest: +SKIP
    """
    pyvista = require("pyvista", extra="pyvista")
    show = filename is None if show is None else show
    before, after = adaptation.cells, adaptation.moved
    grids = [cellmesh_to_pyvista(before), cellmesh_to_pyvista(after)]
    title = _colour(adaptation, color, grids)
    flat = before.dim == 2
    axes = _axes(grids[0], flat)
    shown = grids if flat or not clip else _opened(grids)
    seen = np.concatenate([g.points for g in shown]) @ axes.T
    size = np.ptp(seen[:, :2], axis=0)
    stacked = bool(size[0] > 1.6 * size[1])
    width, height = _panel(size, stacked)

    bar = _BAR if title else 1
    shape = (2, 2) if stacked else (1, 3)
    weights = {"col_weights": [width, bar]} if stacked else {"col_weights": [width, width, bar]}
    window = (width + bar, 2 * height) if stacked else (2 * width + bar, height)
    groups = [(slice(None), 1)] if stacked else None
    plotter = pyvista.Plotter(
        shape=shape, groups=groups, border=False, off_screen=not show, window_size=window, **weights
    )
    plotter.set_background("white")

    places = [(0, 0), (1, 0)] if stacked else [(0, 0), (0, 1)]
    limits, log = _limits(grids) if title else (None, False)
    for place, grid, heading in zip(places, shown, _headings(adaptation), strict=True):
        plotter.subplot(*place)
        actor = plotter.add_mesh(
            grid,
            scalars=_VALUES if title else None,
            color=None if title else "lightsteelblue",
            cmap=_soft(cmap),
            clim=limits,
            log_scale=log,
            show_edges=edges,
            edge_color="#202020",
            line_width=_line_width(grid.n_cells, flat),
            lighting=not flat,
            ambient=0.55,
            diffuse=0.5,
            show_scalar_bar=False,
        )
        place = (0.5, 1 - 0.75 * _TITLE / height)
        text = plotter.add_text(heading, position=place, viewport=True, font_size=13, color="black")
        text.GetTextProperty().SetJustificationToCentered()
    plotter.link_views([plotter.renderers.loc_to_index(p) for p in places])
    plotter.subplot(*places[0])
    _aim(plotter, seen, axes, width, height)
    if title:
        plotter.subplot(0, 1 if stacked else 2)
        plotter.add_scalar_bar(
            title, mapper=actor.mapper, vertical=True, color="black", n_labels=5, fmt="%.3g", title_font_size=20,
            label_font_size=16, position_x=0.1, position_y=0.15, width=0.5, height=0.7,
        )  # fmt: skip
    if filename is not None:
        plotter.screenshot(str(filename))
    if show:
        plotter.show()
    elif filename is not None:
        plotter.close()
    return plotter


def _panel(size: NDArray, stacked: bool) -> tuple[int, int]:
    """Width and height of one view in pixels, the mesh in it framed tightly below its title."""
    ratio = size[1] / size[0] if size[0] > 0 else 1.0
    width = 1400 if stacked else int(min(_PANEL, _PANEL / max(ratio, 1e-6)))
    width = max(width, 420)
    return width, int(np.clip(width * ratio, 200, 1.25 * _PANEL)) + _TITLE


def _colour(adaptation: Any, color: str | None, grids: list[Any]) -> str | None:
    """Puts the values to show on both grids; returns their title, or None where there are none."""
    fields = dict(adaptation.fields or {})
    monitor = adaptation.monitor
    names = [*(["monitor"] if monitor is not None else []), *fields]
    color = color if color is not None else (names[0] if names else None)
    if color is None:
        return None
    if color not in names:
        raise FieldError(
            f"Expected the colour to be one of {', '.join(names) or 'none (there is no field)'} (got {color!r})"
        )
    if color in fields:
        grids[1][_VALUES] = _scalar(_at_vertices(adaptation.cells, fields[color]))
        grids[0][_VALUES] = _original(adaptation, color, grids)
    else:
        grids[0][_VALUES] = _scalar(_at_vertices(adaptation.cells, monitor))
        grids[1][_VALUES] = _sampled(grids[0], grids[1])
    return color


def _original(adaptation: Any, name: str, grids: list[Any]) -> NDArray:
    """A field before the move: from the mesh where it carries fields, else looked up in the moved one."""
    from meshmove.registry import converter_for

    own = converter_for(adaptation.original).fields(adaptation.original)
    return _scalar(_at_vertices(adaptation.cells, own[name])) if name in own else _sampled(grids[1], grids[0])


def _at_vertices(mesh: CellMesh, values: NDArray) -> NDArray:
    values = np.asarray(values)
    if len(values) == mesh.n_points:
        return values
    vertices = np.flatnonzero(np.diff(mesh.lift.indptr) == 1)  # nodes that follow one vertex
    out = np.empty((mesh.n_points, *values.shape[1:]), values.dtype)
    out[mesh.lift.indices[mesh.lift.indptr[vertices]]] = values[vertices]
    return out


def _scalar(values: NDArray) -> NDArray:
    values = values.reshape(len(values), -1)
    if values.shape[1] == 1 and values.dtype.kind != "c":
        return values[:, 0].astype(float)
    return np.linalg.norm(values, axis=1)


def _sampled(source: Any, target: Any) -> NDArray:
    """Values of one grid at the vertices of another; those a little outside take the nearest vertex's."""
    found = target.copy().sample(source)
    values = np.array(found[_VALUES], float)
    outside = ~np.asarray(found["vtkValidPointMask"], bool)
    if outside.any():
        nearest = cKDTree(source.points).query(target.points[outside])[1]
        values[outside] = np.asarray(source[_VALUES])[nearest]
    return values


def _headings(adaptation: Any) -> tuple[str, str]:
    report = adaptation.report
    found = [getattr(report, f"imbalance_{when}", None) for when in ("before", "after")]
    return tuple(
        f"{when}: imbalance {v:.3g}" if v is not None else when
        for when, v in zip(("before", "after"), found, strict=True)
    )


def _limits(grids: list[Any]) -> tuple[tuple[float, float], bool]:
    values = np.concatenate([np.asarray(g[_VALUES]) for g in grids])
    values = values[np.isfinite(values)]
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    log = bool(low > 0 and high > 200 * low)
    if high > low and not log:  # to round numbers, for the labels
        step = 10 ** (np.floor(np.log10(high - low)) - 2)
        low, high = float(np.floor(low / step + 0.01) * step), float(np.ceil(high / step - 0.01) * step)
    return (low, high if high > low else low + 1.0), log


def _line_width(n_cells: int, flat: bool) -> float:
    # so that edges of small cells do not cover their colour
    return float(np.clip((40 if flat else 60) / np.sqrt(n_cells), 0.4, 1.5))


def _opened(grids: list[Any]) -> list[Any]:
    """Both grids cut by one plane through the middle, across their shortest extent, whole cells kept."""
    axis = _cut_axis(grids[0])
    normal = np.eye(3)[axis]
    return [g.clip(normal=normal, origin=grids[0].center, invert=False, crinkle=True) for g in grids]


def _cut_axis(grid: Any) -> int:
    extents = np.ptp(np.asarray(grid.points), axis=0)
    # y unless another axis is clearly shorter: the cut then faces the viewer
    return min((1, 0, 2), key=lambda a: extents[a] if a != 1 else 0.95 * extents[a])


def _axes(grid: Any, flat: bool) -> NDArray:
    """Directions (3, 3) of the picture in space: right, up, and towards the viewer."""
    if flat:
        return np.eye(3)
    axis = _cut_axis(grid)
    up = 2 if axis != 2 else 1
    toward = np.zeros(3)
    toward[[axis, 3 - axis - up, up]] = -1.0, 0.55, 0.5
    toward /= np.linalg.norm(toward)
    right = np.cross(np.eye(3)[up], toward)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(toward, right), toward])


def _aim(plotter: Any, seen: NDArray, axes: NDArray, width: int, height: int) -> None:
    """Parallel projection that frames the points `seen` (n, 3), in picture axes, below the title."""
    low, high = seen.min(axis=0), seen.max(axis=0)
    span = np.maximum(high - low, 1e-300)
    free = 1 - _TITLE / height
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


def _soft(cmap: str) -> Any:
    """The colour map mixed with white, so that dark edges stand out on all of it."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    return ListedColormap(0.7 * colormaps[cmap](np.linspace(0, 1, 256)) + 0.3)
