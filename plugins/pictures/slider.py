"""From the mesh before to the mesh after a move, by a slider: in a window, in a notebook, or as a page."""

from __future__ import annotations

import html
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry import CellMesh, PointLocator
from meshmove.geometry.arrays import Array
from meshmove.options import check_names
from meshmove.plugins.figures.kinds import Shown, shown

from .film_files import check_path, whole_film, write_film
from .films import viewer
from .scene import write_scene
from .screen import Look, Screen
from .stills import Still

__all__ = ["OPTIONS", "Page", "view", "viewed"]

#: names of what `view` takes besides a file
OPTIONS = ("color", "before", "size", "edges", "cmap", "clim", "label", "steps", "scene")
#: of a page, the pictures from before to after, and how many a second are shown
_STEPS, _SPEED = 20, 10


class Page:
    """A page with a slider from before to after, which notebooks show; `text` is its HTML."""

    def __init__(self, text: str, height: int) -> None:
        self.text, self._height = text, height

    def _repr_html_(self) -> str:
        source = html.escape(self.text, quote=True)
        return f'<iframe srcdoc="{source}" style="width:100%;height:{self._height}px;border:0"></iframe>'


def view(
    adaptation: Any,
    filename: str | Path | None = None,
    *,
    color: str | None = None,
    before: Any = None,
    size: int = 640,
    edges: bool = True,
    cmap: str = "viridis",
    clim: tuple[float, float] | None = None,
    label: str | None = None,
    steps: int = _STEPS,
    scene: bool = False,
) -> Any:
    """Go from the mesh before to the one after by a slider.

    A window of PyVista, in which volume meshes, which are cut open, can be turned. In a notebook a part of the page
    instead, which needs no server, and is kept with the notebook. As a file, ``moved.html``, the same page by itself.

    Parameters
    ----------
    adaptation, color, before
        As for `meshmove.plugins.plot`.
    filename
        Write a page (.html) to this file, and open no window.
    size, edges, cmap, clim
        Pixels of the longer side, whether cells are outlined, colour map and range of colours.
    label
        What is said above the mesh, by default the name of the field.
    steps
        Pictures of a page between before and after.
    scene
        On a page, in the place of the slider, both meshes side by side as what can be turned and enlarged (by trame).

    Returns
    -------
    The path of the file, the plotter of a window, or in a notebook the `Page`.

    Raises
    ------
    ValueError
        A file of another suffix, or a scene for a window.
    MissingPackageError
        PyVista is not installed, or, for a scene, trame-pyvista.

    Examples
    --------
    >>> from meshmove.plugins import view
    >>> view(out, "moved.html")  # doctest: +SKIP
    """
    path = None if filename is None else check_path(filename, (".html",))
    if hasattr(adaptation, "history"):  # of a loop
        before = adaptation.first if before is None else before
        adaptation = adaptation.adaptation
    what, look = shown(adaptation, None, color, before), Look(size, edges, cmap, clim, label)
    look.check()
    window = path is None and not _in_notebook()
    if scene:
        if window:
            raise ValueError('Expected a file for a scene, such as "moved.html" (got none; a window can be turned)')
        return _paged(path, 600, lambda part: write_scene(what, look, part))
    stills, words = _between(what, steps)
    if window:
        plotter = viewer(stills, look, times=words)
        plotter.show()
        return plotter
    screen = Screen(stills, look, times=words)
    try:
        images = [screen.image(k) for k in range(len(stills))]
    finally:
        screen.close()
    height = images[0].shape[0] + 80
    return _paged(path, height, lambda part: write_film(part, iter(images), _SPEED, screen.maps, words))


def _paged(path: Path | None, height: int, write: Callable[[Path], None]) -> Any:
    """The path of the file that was written, or the page where there is none."""
    if path is not None:
        with whole_film(path) as part:
            write(part)
        return path
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder) / "page.html"
        write(part)
        return Page(part.read_text(encoding="utf-8"), height)


def viewed(adaptation: Any, filename: Any, options: Mapping[str, Any]) -> Any:
    """What ``out.view(filename)`` gives; options that `view` does not know are refused, with what was meant."""
    check_names(options, OPTIONS, "view")
    return view(adaptation, filename, **options)


def _between(what: Shown, steps: int) -> tuple[list[Still], list[str]]:
    """Meshes from before to after, and what each is called. The field stays in its place while they pass under it."""
    first, last = what.meshes
    fields = None if what.values is None else [_Field(m, v) for m, v in zip(what.meshes, what.values, strict=True)]
    stills, words = [], []
    for share in np.linspace(0, 1, steps + 1):
        points = (1 - share) * first.points + share * last.points
        shown = {}
        if fields is not None:
            shown = {what.label: ((1 - share) * fields[0].at(points) + share * fields[1].at(points))[:, None]}
        stills.append(Still(replace(last, points=points, nodes=None), shown, float(share)))
        words.append({0.0: "before", 1.0: "after"}.get(float(share), f"{100 * share:.0f} % of the way"))
    return stills, words


class _Field:
    """Values (n,) of the vertices of a mesh as a function of space."""

    def __init__(self, cells: CellMesh, values: NDArray) -> None:
        self._cells, self._values = cells, values
        self._locator = PointLocator(cells.simplicial())

    def at(self, points: Array) -> NDArray:
        """Values (n,) at points (n, dim); those of the vertices themselves as they are."""
        if np.array_equal(points, self._cells.points):
            return self._values
        return self._locator.find(points.T).interpolate(self._values)


def _in_notebook() -> bool:
    """Whether this runs in a kernel of Jupyter, which shows what is returned."""
    import sys

    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(shell).__name__ == "ZMQInteractiveShell"
