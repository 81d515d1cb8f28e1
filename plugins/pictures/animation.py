"""Animations of a rollout: the field, the truth and the error beside it, and the mesh that moves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meshmove.geometry.errors import FieldError
from meshmove.plugins.figures.panels import Panel, color_limits
from meshmove.plugins.figures.view import axes_of, placed, plane_of, windows
from meshmove.plugins.grids import cellmesh_to_pyvista

from .film_files import check_path, whole_film, write_film

if TYPE_CHECKING:
    from meshmove.solvers import Trajectories
    from meshmove.solvers.mmpde import Frame, Trajectory

__all__ = ["animate", "truth_of"]

#: share of the nodes at each end of the values that the range of colours leaves out
OUTLIERS = 0.01

VALUES = "shown"  # name of the point data that are drawn
_TOP, _BOTTOM, _EDGE = 42, 72, 14  # pixels of a panel for its title, its colour bar and to either side
_ERROR = "magma"


def animate(
    trajectory: Trajectory,
    path: str | Path,
    field: str | None = None,
    exact: ArrayLike | Trajectories | None = None,
    *,
    frames_per_second: float = 8,
    size: int = 360,
    mesh: bool = True,
    cmap: str = "viridis",
    progress: bool = True,
) -> Path:
    """Write a rollout as a moving picture: the field, truth and error where there is a truth, and the moving mesh.

    Colours mean the same in all frames; their range is that of the truth, or else of the rollout, but for a hundredth
    of the nodes at each end. The rollout is computed twice, first for the ranges, and no frame of it is kept. Volume
    meshes are cut open along whole cells.

    Parameters
    ----------
    trajectory
        What `MMPDE.rollout` or `MMPDE.assimilate` return.
    path
        A .gif, .mp4 or .html file: a page with a slider.
    field
        Which to show; by default the first.
    exact
        What to compare with: values (frames, n) in the order of the mesh's nodes; or `Trajectories`, whose first one
        is taken.
    frames_per_second
        Speed.
    size
        Pixels of the longer side of the domain in each panel.
    mesh
        Whether to show the moving mesh.
    cmap
        Colour map of the field.
    progress
        Show a progress bar on standard error, where that is a terminal.

    Returns
    -------
    The path. The file is written whole or not at all.

    Raises
    ------
    FieldError
        There is no field of this name; or `exact` has other nodes or too few frames, or is not finite.
    ValueError
        Another suffix, or a number that is not positive.
    MissingPackageError
        PyVista is not installed; or, for .mp4, imageio-ffmpeg (the extra "video").

    Examples
    --------
    >>> from meshmove.plugins import animate
    >>> animate(model.rollout(mesh, u0, 30), "rollout.gif")  # doctest: +SKIP
    """
    if not (frames_per_second > 0 and size > 0):
        raise ValueError(f"Expected a positive speed and size (got {frames_per_second} and {size})")
    names = trajectory.fields
    if field is not None and field not in names:
        raise FieldError(f"Expected one of the fields {', '.join(names)} (got {field!r})")
    which = names.index(field or names[0])
    truth = None if exact is None else truth_of(trajectory, names[which], exact)
    path = check_path(path)
    limits = _ranges(_bar(trajectory, "ranges", progress), which, truth)
    pictures = _Pictures(trajectory, names[which], truth is not None, mesh, limits, size, cmap)
    try:
        images = (
            pictures(f, f.values[:, which], None if truth is None else truth[k])
            for k, f in enumerate(_bar(trajectory, "frames", progress))
        )
        maps = [cmap, *([] if truth is None else [_ERROR])]
        labels = [f"t = {k * trajectory.step:.3g}" for k in range(len(trajectory))]
        with whole_film(path) as part:
            write_film(part, images, frames_per_second, maps, labels)
    finally:
        pictures.close()
    return path


def truth_of(trajectory: Trajectory, name: str, exact: Any) -> NDArray:
    """Values (frames, vertices) to compare with."""
    count = len(trajectory)
    if hasattr(exact, "fields"):
        if name not in exact.fields:
            raise FieldError(f"Expected `exact` to have the field {name!r} (got {', '.join(exact.fields)})")
        step = float(np.diff(exact.times[:2])[0])
        if abs(step - trajectory.step) > 1e-4 * step:
            raise FieldError(f"Expected `exact` to have frames {trajectory.step:g} apart (got {step:g})")
        values = np.asarray(exact.fields[name][0], float)
        if values.shape[1] != trajectory.source.cells.n_points:
            raise FieldError(f"Expected `exact` on the {trajectory.source.cells.n_points} vertices of the mesh "
                             f"(got {values.shape[1]} nodes)")  # fmt: skip
    else:
        values = np.asarray(exact, float)
        if values.ndim == 2:
            values = trajectory.source.at_vertices(values.T, "exact").T
    if values.ndim != 2 or len(values) < count or not np.isfinite(values[:count]).all():
        raise FieldError(f"Expected `exact` to be finite, of shape ({count}, nodes) (got shape {values.shape})")
    return values[:count]


def _ranges(frames: Any, which: int, truth: NDArray | None) -> dict[str, tuple[float, float]]:
    """Of the field's colours, and of the error's."""
    shown, error = [np.inf, -np.inf], 0.0
    for k, frame in enumerate(frames):
        values = frame.values[:, which] if truth is None else truth[k]
        low, high = np.quantile(values, (OUTLIERS, 1 - OUTLIERS))  # a few nodes at a wall must not dim all else
        shown = [min(shown[0], float(low)), max(shown[1], float(high))]
        if truth is not None:
            error = max(error, float(np.abs(frame.values[:, which] - truth[k]).max()))
    ranges = {"field": np.array(shown), "error": np.array([0.0, error])}
    return {name: color_limits(Panel("", values, "")) for name, values in ranges.items()}


def _bar(trajectory: Trajectory, what: str, show: bool) -> Any:
    if not show:
        return trajectory
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(trajectory, what, total=len(trajectory), console=console, disable=not console.is_terminal)


@dataclass
class _View:
    """One panel: its grid, whose values and points change, and its title."""

    grid: Any
    title: Any


class _Pictures:
    """Draws frame after frame into one window."""

    def __init__(
        self,
        trajectory: Trajectory,
        field: str,
        compared: bool,
        mesh: bool,
        limits: dict[str, tuple[float, float]],
        size: int,
        cmap: str,
    ) -> None:
        pyvista = windows()
        cells = trajectory.source.cells
        self._field, self._which, self._cells = field, trajectory.fields.index(field), cells
        base = cellmesh_to_pyvista(cells)
        flat = cells.dim == 2
        axes, plane = axes_of(cells), plane_of(cells)
        if plane is not None:  # whole cells behind a plane, the same in all frames
            behind = np.asarray(base.cell_centers().points)[:, plane[0]] > plane[1]
            base = base.extract_cells(behind) if behind.any() else base
        self._ids = np.asarray(base["vtkOriginalPointIds"]) if "vtkOriginalPointIds" in base.point_data else slice(None)
        seen = np.asarray(base.points, float) @ axes.T
        extent = np.ptp(seen, axis=0)[:2]
        unit = size / extent.max()
        # multiples of 16, as codecs of films want them
        panel = 16 * np.ceil((unit * extent + [2 * _EDGE, _TOP + _BOTTOM]) / 16)
        panel = np.maximum(panel, [240, 0]).astype(int)
        names = ["rollout", *(["truth", "error"] if compared else []), *(["moving mesh"] if mesh else [])]
        rows, columns = (len(names), 1) if extent[0] > 1.6 * extent[1] else (1, len(names))
        self._plotter = pyvista.Plotter(
            shape=(rows, columns), border=False, off_screen=True, window_size=[*(panel * [columns, rows])]
        )
        self._plotter.set_background("white")
        self._views: dict[str, _View] = {}
        for k, name in enumerate(names):
            self._plotter.subplot(k % rows, k // rows)
            self._views[name] = self._made(name, base.copy(), flat, limits, cmap, panel)
            placed(self._plotter, seen, axes, unit, int(panel[1]), _TOP, _BOTTOM)

    def _made(self, name: str, grid: Any, flat: bool, limits: Any, cmap: str, panel: NDArray) -> _View:
        grid[VALUES] = np.zeros(grid.n_points)
        lines = {"style": "wireframe", "line_width": 1.6} if flat else {"show_edges": True}
        actor = self._plotter.add_mesh(
            grid, scalars=VALUES, cmap=_ERROR if name == "error" else cmap,
            clim=limits["error" if name == "error" else "field"], lighting=False, show_scalar_bar=False,
            **(lines if name == "moving mesh" else {}),
        )  # fmt: skip
        bar = self._plotter.add_scalar_bar(
            name, mapper=actor.mapper, vertical=False, color="black", n_labels=3, fmt="%.3g", label_font_size=14,
            position_x=0.1, position_y=8 / panel[1], width=0.8, height=50 / panel[1],
        )  # fmt: skip
        bar.SetTitle("")
        title = self._plotter.add_text(
            name, position=(0.5, 1 - 0.75 * _TOP / panel[1]), viewport=True, font_size=10, color="black"
        )
        title.GetTextProperty().SetJustificationToCentered()
        return _View(grid, title)

    def __call__(self, frame: Frame, values: NDArray, truth: NDArray | None) -> NDArray[np.uint8]:
        """The picture (height, width, 3) of a frame, of which one field's values are shown."""
        shown = {"rollout": (values, f"rollout: {self._field}, t = {frame.time:.3g}")}
        if truth is not None:
            size = max(float(np.linalg.norm(truth)), 1e-300)
            relative = float(np.linalg.norm(values - truth)) / size
            shown |= {
                "truth": (truth, "truth"),
                "error": (np.abs(values - truth), f"error, {relative:.1%} of the norm"),
            }
        if "moving mesh" in self._views:
            moved = frame.moved
            shown["moving mesh"] = (frame.on_moved(self._cells)[:, self._which], "moving mesh")
            grid = self._views["moving mesh"].grid
            points = np.zeros((len(moved), 3))
            points[:, : moved.shape[1]] = moved
            grid.points = points[self._ids]
        for name, (array, title) in shown.items():
            view = self._views[name]
            view.grid[VALUES] = array[self._ids]
            view.title.SetInput(title)
        self._plotter.render()
        return np.asarray(self._plotter.screenshot(return_img=True))[:, :, :3]

    def close(self) -> None:
        self._plotter.close()
