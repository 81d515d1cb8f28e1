"""Films of meshes that move: of a loop while it runs, or of any frames (mesh, field, time)."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import meshio
import numpy as np

from meshmove.geometry.arrays import Array
from meshmove.meshes.series.files import KINDS, write_series
from meshmove.meshes.source import Source
from meshmove.motion.moving_mesh import MovingMesh
from meshmove.motion.step import Step
from meshmove.motion.unknowns import Unknowns
from meshmove.options import check_names, count, number
from meshmove.progress import progress_of

from . import animation
from .film_files import PICTURES, check_path, whole_film, write_film
from .screen import Look, Screen
from .stills import Still, still_of, stills_of

if TYPE_CHECKING:
    import pyvista

__all__ = ["Film", "animate", "viewer"]

#: what a film may be: pictures, or meshes with their fields for ParaView
SUFFIXES = (*PICTURES, *KINDS)
_LOOKS = ("size", "edges", "cmap", "clim", "title")
SPEED = 12.0


class Film:
    """A film of a loop, written when the ``with`` that it is the subject of ends without an error.

    Each step of the moving mesh adds a frame: the mesh at its beginning with the field that was given to it. `add`
    adds others, such as the last. Nothing is drawn before the end, so that colours, which mean the same in all frames,
    can span all values.

    Parameters
    ----------
    moving
        The moving mesh.
    path
        .gif, .mp4 or .html (a page with a slider); .pvd or .xdmf, for ParaView.
    field
        Which of several fields is shown: its number in a list, its key in a dict. By default the first.
    every
        How many steps there are from frame to frame.
    frames_per_second
        Speed.
    options
        `size`: pixels of the longer side of the domain; `edges`: whether cells are outlined, where they are more than
        a few pixels wide; `cmap`: the colour map; `clim`: the range of its values, by default that of all frames;
        `title`: in the place of the field's name.

    Examples
    --------
    >>> import numpy as np, skfem, tempfile
    >>> from meshmove import MovingMesh
    >>> moving = MovingMesh(skfem.MeshTri().refined(3))
    >>> with tempfile.TemporaryDirectory() as folder, Film(moving, f"{folder}/front.xdmf") as film:
    ...     for t in (0.3, 0.31, 0.32):
    ...         step = moving.step(lambda x: np.tanh(20 * (x[0] - t)), dt=0.01)
    >>> len(film.stills), film.stills[-1].time
    (3, 0.02)
    """

    def __init__(
        self,
        moving: MovingMesh,
        path: str | os.PathLike[str],
        field: Any = None,
        *,
        every: int = 1,
        frames_per_second: float = SPEED,
        **options: Any,
    ) -> None:
        self.moving, self.field = moving, field
        self._every, self._steps = count(every, "a number of steps between frames", low=1), 0
        self.look, self.speed = _look(options), number(frames_per_second, "a positive number of frames a second")
        self.path = check_path(path, SUFFIXES)
        self.stills: list[Still] = []

    def add(self, field: Any = None, mesh: Any = None, time: float | None = None) -> None:
        """A frame more: by default of the mesh as it is, now.

        Raises
        ------
        FieldError
            The field does not belong to the mesh, or is not finite.
        """
        source = Source.of(self.moving.mesh if mesh is None else mesh)
        now = self.moving.time if time is None else time
        self.stills.append(still_of(Unknowns.of(source, field), now, self.field))

    def _watch(self, step: Step, unknowns: Unknowns) -> None:
        if not step.dt > 0:
            return
        self._steps += 1
        if (self._steps - 1) % self._every == 0:
            self.stills.append(still_of(unknowns, self.moving.time, self.field))

    def __enter__(self) -> Film:
        self.moving.watchers.append(self._watch)
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        self.moving.watchers.remove(self._watch)
        if kind is None and self.stills:
            _write(self.stills, self.path, self.speed, self.look, progress=False)


def animate(
    frames: Any,
    path: str | os.PathLike[str] | None = None,
    field: Any = None,
    exact: Any = None,
    *,
    show: bool = False,
    frames_per_second: float | None = None,
    progress: bool = True,
    **options: Any,
) -> Path | None:
    """A film of a list of meshes with their fields, or of a rollout.

    Colours and camera are the same in all frames, which bear their time. Plane meshes are seen from above; volume
    meshes are cut open along whole cells. Meshes need not have the same cells.

    Parameters
    ----------
    frames
        Tuples (mesh, field, time), or (mesh, field), with fields in any form that `meshmove.adapt` takes, or None to
        show the mesh alone; or a `Trajectory`, of whose kind models with two branches show the field as it evolves on
        the moved mesh.
    path
        Where to: .gif; .mp4 (the extra "video"); .html, a page with a time slider that needs nothing but a browser;
        .pvd or .xdmf, a series of meshes with all fields, for ParaView, which has the last of several frames at a time.
        Of a rollout pictures only. The file is written whole or not at all.
    field
        Which of several fields is shown: its number in a list, its key in a dict, of a rollout its name.
    exact
        Of a rollout, what to compare with; see `meshmove.plugins.pictures.animation.animate`.
    show
        Open a window with a time slider.
    frames_per_second
        Speed: 12 unless it is given, of a rollout 8.
    progress
        Show a progress bar on standard error, where that is a terminal.
    options
        `size`: pixels of the longer side of the domain; `edges`: whether cells are outlined: they fade where they are
        only a few pixels wide; `cmap`: the colour map; `clim`: the range of its values, by default that of all frames;
        `title`: in the place of the field's name. Of a rollout `size`, `mesh` and `cmap`.

    Returns
    -------
    The path, None where there is none.

    Raises
    ------
    FieldError
        A field that does not belong to its mesh, or is not finite; the message names the frame.
    ValueError
        Another suffix, an unknown option, no frames, neither a path nor a window.
    MeshFileError
        The folder cannot be written. It is an `OSError`.
    MissingPackageError
        PyVista is not installed; or, for .mp4, imageio-ffmpeg (the extra "video").

    Examples
    --------
    >>> import numpy as np, skfem
    >>> meshes = [skfem.MeshTri().refined(2).translated((0.1 * k, 0)) for k in range(3)]
    >>> animate([(m, m.p[0], 0.5 * k) for k, m in enumerate(meshes)], "out.mp4")  # doctest: +SKIP
    """
    if path is None and not show:
        raise ValueError("Expected a path to write to, or show=True (got neither)")
    if hasattr(frames, "source") and hasattr(frames, "steps"):
        if show or path is None:
            raise ValueError("Expected a path for a rollout (got show=True); list its frames (mesh, field, time)")
        if frames_per_second is not None:
            options["frames_per_second"] = frames_per_second
        return animation.animate(frames, Path(path), field, exact, progress=progress, **options)
    if exact is not None:
        raise ValueError("Expected a rollout to compare with `exact` (got a list of frames)")
    look, speed = _look(options), number(frames_per_second or SPEED, "a positive number of frames a second")
    checked = None if path is None else check_path(path, SUFFIXES)
    stills = stills_of(frames, field)
    if checked is not None:
        _write(stills, checked, speed, look, progress)
    if show:
        viewer(stills, look).show()
    return checked


def viewer(
    stills: list[Still], look: Look | None = None, off_screen: bool | None = None, times: list[str] | None = None
) -> pyvista.Plotter:
    """A window with a time slider, still to be shown; `times`: what is said of each still."""
    screen = Screen(stills, look or Look(), off_screen, times)
    if len(stills) > 1:
        screen.aside()
        screen.plotter.add_slider_widget(
            lambda value: screen.show(round(value)), (0, len(stills) - 1), value=0, title="", fmt="%.0f",
            pointa=(0.5, 0.97), pointb=(0.97, 0.97), slider_width=0.02, tube_width=0.004, interaction_event="always",
        )  # fmt: skip
    return screen.plotter


def _look(options: dict[str, Any]) -> Look:
    check_names(options, _LOOKS, "a film")
    look = Look(**options)
    look.check()
    return look


def _write(stills: list[Still], path: Path, speed: float, look: Look, progress: bool) -> None:
    if path.suffix.lower() in KINDS:
        write_series(path, (_as_mesh(s) for s in _in_time(stills)))
        return
    screen = Screen(stills, look)
    try:
        images = (screen.image(k) for k in progress_of(range(len(stills)), f"drawing {path.name}", progress))
        with whole_film(path) as part:
            write_film(part, images, speed, screen.maps, screen.times)
    finally:
        screen.close()


def _in_time(stills: list[Still]) -> list[Still]:
    """In the order of their times, of several at the same time the last: what a series can hold."""
    last = {s.time: s for s in stills}
    return [last[time] for time in sorted(last)]


def _as_mesh(still: Still) -> tuple[float, meshio.Mesh]:
    """With second-order cells as they are, and fields at all of their nodes."""
    cells, points, fields = still.cells, still.cells.points, still.fields
    blocks = [(b.kind.name, b.nodes) for b in cells.blocks]
    if cells.nodes is not None:
        points, fields, vertices = cells.nodes, still.at_nodes, cells.vertex_nodes
        blocks = [
            (b.kind.name, vertices[b.nodes])
            if b.second is None or b.second_nodes is None
            else (b.second, b.second_nodes)
            for b in cells.blocks
        ]
    data = {k: v[:, 0] if v.shape[1] == 1 else _in_space(v) for k, v in fields.items()}
    return still.time, meshio.Mesh(cells.in_space(points), blocks, data)


def _in_space(vectors: Array) -> Array:
    """Vectors of the plane with a third component, as ParaView wants them."""
    return np.pad(vectors, ((0, 0), (0, 1))) if vectors.shape[1] == 2 else vectors
