"""Pictures of a mesh before and after it moved, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from meshmove.geometry import InvalidMeshError
from meshmove.meshes.registry import converter_for
from meshmove.options import check_names
from meshmove.plugins.figures.kinds import KINDS, shown, title_of
from meshmove.plugins.figures.pair import Look, plane, volume
from meshmove.plugins.figures.sheet import SUFFIXES, finished
from meshmove.plugins.grids import cellmesh_to_pyvista

from .film_files import check_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["KINDS", "cellmesh_to_pyvista", "plot"]


def plot(
    adaptation: Any,
    color: str | None = None,
    *,
    kind: str | None = None,
    filename: str | Path | None = None,
    show: bool | None = None,
    cmap: str | None = None,
    edges: bool = True,
    clip: bool = True,
    before: Any = None,
    headings: tuple[str, str] | None = None,
    label: str | None = None,
    zoom: tuple[float, float, float, float] | None = None,
    title: str | None = None,
) -> Figure:
    """Draw the mesh before and after, coloured alike.

    Plane meshes are seen from above, in their plane, edges fading where cells are small in the picture. Volume meshes
    are cut open at one plane, along whole cells, so that the inside shows; they are pixels in SVG and PDF
    too. For a window in which they can be turned, see `view`.

    Parameters
    ----------
    adaptation
        What `meshmove.adapt` or `adapt_loop` returns; or a moved mesh, with `before`.
    color
        Which field: the name of one that was carried to the moved mesh, or ``"monitor"``. By default the field that
        the mesh moved to.
    kind
        "field"; "mesh"; "error", that of linear elements which is predicted on each cell; "quality", the scaled
        Jacobian of the cells; "displacement", by length, with arrows in the plane. By default the field, or the mesh
        where there is none.
    filename
        Write the picture to this file (.png, .svg, .pdf or .jpg) without opening a window.
    show
        Open a window; by default where no file is asked for. Notebooks show the figure that is returned.
    cmap, edges
        Colour map, by default one for each kind, and whether cells are outlined.
    clip
        Cut volume meshes open.
    before
        The mesh to show on the left, of the same cells: by default the one that was moved, of a loop the first.
    headings
        Titles of the two panels, "before" and "after"; then there is no title above them unless it is given.
    label
        Label of the colour bar; by default the name of what is shown.
    zoom
        The part (x0, x1, y0, y1) of a plane mesh to show.
    title
        Above both panels; by default how many times less the predicted error is, or what else the report tells.

    Returns
    -------
    The figure of Matplotlib.

    Raises
    ------
    FieldError
        There is no field of this name; the message lists those that there are.
    InvalidMeshError
        `before` has other cells.
    ValueError
        Another kind, or a file of another suffix.
    MissingPackageError
        Matplotlib is not installed, or PyVista, which draws volume meshes.

    Examples
    --------
    >>> from meshmove.plugins import plot
    >>> plot(out, kind="error", filename="error.svg")  # doctest: +SKIP
    """
    path = None if filename is None else check_path(filename, SUFFIXES)
    show = filename is None if show is None else show
    reports = []
    if hasattr(adaptation, "history"):  # of a loop
        reports = [adaptation.history[0], adaptation.history[-1]]
        before = adaptation.first if before is None else before
        adaptation = adaptation.adaptation
    elif hasattr(adaptation, "moved"):
        reports = [] if before is not None else [adaptation.report] * 2
    elif before is not None:
        adaptation = _unmoved(adaptation)
    else:
        got = type(adaptation).__name__
        raise InvalidMeshError(f"Expected what `adapt` returns, or a moved mesh and `before` (got {got} alone)")
    what = shown(adaptation, kind, color, before)
    _same_cells(*what.meshes)
    if title is None:
        title = title_of(*reports) if reports and headings is None else ""
    names = headings or ("before", "after")
    look = Look(title, names, label or what.label, cmap or what.cmap, edges, show)
    figure = plane(what, look, zoom) if what.meshes[0].dim == 2 else volume(what, look, clip)
    return finished(figure, path, show)


def plotted(adaptation: Any, kind: str | None, options: Mapping[str, Any]) -> Figure:
    """What ``out.plot(kind)`` draws; options that `plot` does not know are refused, with what was meant."""
    check_names(options, _OPTIONS, "plot")
    return plot(adaptation, kind=kind, **options)


_OPTIONS = [name for name in plot.__annotations__ if name not in ("adaptation", "kind", "return")]


def _unmoved(mesh: Any) -> Any:
    """A mesh, drawn as one that did not move."""
    converter = converter_for(mesh)
    cells, fields = converter.read(mesh), converter.fields(mesh)
    return SimpleNamespace(cells=cells, moved=cells, original=mesh, fields=fields, monitor=None, moved_for=None)


def _same_cells(first: Any, moved: Any) -> None:
    if (first.n_points, first.n_cells) != (moved.n_points, moved.n_cells):
        raise InvalidMeshError(
            f"Expected `before` to have the cells of the moved mesh (got {first} for {moved}). "
            "Pass the first mesh of the loop"
        )
