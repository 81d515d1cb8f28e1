"""Pictures of a solution: what it is, what it misses, and how it was found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry.errors import FieldError
from meshmove.optional import require
from meshmove.plugins.figures.panels import Panel, drawn
from meshmove.plugins.figures.sheet import SUFFIXES, finished

from .film_files import check_path

if TYPE_CHECKING:
    import pyvista
    from matplotlib.figure import Figure

    from meshmove.solvers import Solution

__all__ = ["plot_history", "plot_solution", "sampled"]

_CHUNK = 8000  # points at once: networks keep the derivatives of all features at all of them


def plot_solution(
    solution: Solution,
    *,
    exact: Callable[[NDArray], NDArray] | tuple[Any, NDArray] | None = None,
    residual: bool = True,
    filename: str | Path | None = None,
    show: bool | None = None,
    cmap: str = "viridis",
    resolution: int = 201,
) -> Figure:
    """Draw a solution, its residual and, where there is something to compare with, its error side by side.

    Residual and error are shown by size on a logarithmic scale. In time problems time runs upwards.

    Parameters
    ----------
    solution
        What `HyPINO.solve` or `project` return.
    exact
        What to compare with: a function of points x (2, n) with values (n,), such as another solution; or finite
        elements (basis, degrees of freedom). The title tells the relative L2 difference.
    residual
        Whether to show L u - source.
    filename
        Write the picture to this file (.png, .svg, .pdf or .jpg) without opening a window.
    show
        Open a window; by default where no file is asked for. Notebooks show the figure that is returned.
    cmap
        Colour map of the solution.
    resolution
        Points along the longer side.

    Returns
    -------
    The figure of Matplotlib.

    Raises
    ------
    FieldError
        `exact` does not give one value a point, or has no finite value.
    MissingPackageError
        PyVista is not installed.

    Examples
    --------
    >>> from meshmove.plugins import plot_solution
    >>> plot_solution(solution, exact=lambda x: np.sin(x[0]), filename="solution.png")  # doctest: +SKIP
    """
    path = None if filename is None else check_path(filename, SUFFIXES)
    show = filename is None if show is None else show
    grid = sampled(solution, resolution)
    u, x = np.asarray(grid["solution"]), np.asarray(grid.points)[:, :2].T
    name = solution.how
    panels = [Panel("solution" if len(name) > 24 else f"solution, {name}", u, cmap, lines=True)]
    if residual:
        panels.append(Panel("size of the residual Lu - f", np.abs(grid["residual"]), "magma", log=True))
    if exact is not None:
        truth = _values(exact, x)
        error = float(np.linalg.norm(u - truth)) / max(float(np.linalg.norm(truth)), 1e-300)
        panels.append(Panel(f"error: {error:.1e} relative L2", np.abs(u - truth), "magma", log=True))
    time = solution.pde.timed
    axes = ("x", "t" if time else "y")
    return finished(drawn(grid, panels, axes, _outline(solution), time, show), path, show)


def _outline(solution: Solution) -> list[NDArray]:
    """The pieces of the exact boundary as curves (2, n)."""
    boundary = solution.pde.domain.boundary
    s = np.linspace(0, 1, 100)
    return [boundary.evaluate(np.full(len(s), i), s)[0] for i in range(len(boundary.pieces))]


def sampled(solution: Solution, resolution: int = 201) -> pyvista.UnstructuredGrid:
    """The domain as fine squares, cut along its boundary, with the point data "solution" and "residual".

    Examples
    --------
    >>> from meshmove.geometry import Disk
    >>> from meshmove.solvers import Dirichlet, LinearPDE, project
    >>> pde = LinearPDE(Disk((0, 0), 1, name="rim"), uxx=-1, uyy=-1, source=4, conditions={"rim": Dirichlet()})
    >>> grid = sampled(project(pde), 50)
    >>> bool(abs(grid["solution"] - (1 - (grid.points**2).sum(axis=1))).max() < 1e-6)
    True
    """
    pyvista = require("pyvista", extra="pyvista")
    if resolution < 2:
        raise FieldError(f"Expected a resolution of at least 2 points (got {resolution!r})")
    low, high = np.array(solution.pde.domain.bounds)
    long = float((high - low).max())
    n = (resolution, resolution) if solution.pde.timed else np.maximum(2, np.ceil(resolution * (high - low) / long))
    count = tuple(int(k) for k in n)
    spacing = (high - low) / (np.array(count) - 1)
    image = pyvista.ImageData(dimensions=(*count, 1), spacing=(*spacing, 1), origin=(*low, 0))
    image["distance"] = solution.pde.domain.signed_distance(np.asarray(image.points)[:, :2].T)
    grid = image.clip_scalar(scalars="distance", value=1e-9 * long)
    del grid.point_data["distance"]
    x = np.asarray(grid.points, float)[:, :2].T
    starts = range(0, x.shape[1], _CHUNK)
    with np.errstate(all="ignore"):  # at a corner derivatives may be infinite
        parts = [solution.with_residual(x[:, i : i + _CHUNK]) for i in starts]
        grid["solution"], grid["residual"] = (np.concatenate(of) for of in zip(*parts, strict=True))
    return grid


def _values(exact: Any, x: NDArray) -> NDArray:
    if isinstance(exact, tuple):
        from meshmove.solvers.fem.evaluation import function_of

        exact = function_of(*exact)
    values = np.asarray(exact(x), float)
    if values.shape != x.shape[1:]:
        raise FieldError(f"Expected `exact` to give values {x.shape[1:]} at points {x.shape} (got {values.shape})")
    if not np.isfinite(values).any():
        raise FieldError("Expected `exact` to be finite somewhere in the domain (got no finite value)")
    return values


def plot_history(solution: Solution, *, filename: str | Path | None = None) -> Figure:
    """Draw what led to a solution: rounds of refinement, steps of fine-tuning, grids of the projection, or meshes.

    Parameters
    ----------
    solution
        What `HyPINO.solve` or `project` return.
    filename
        Write the picture to this file.

    Returns
    -------
    The figure, which notebooks show.

    Raises
    ------
    FieldError
        The solution has no history.
    MissingPackageError
        Matplotlib, which PyVista brings, is not installed.

    Examples
    --------
    >>> from meshmove.plugins import plot_history
    >>> plot_history(solution, filename="history.png")  # doctest: +SKIP
    """
    require("matplotlib", extra="pyvista")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    parts = [
        (draw_part, steps)
        for attribute, draw_part in (("defect", _rounds), ("loss", _steps), ("cells", _levels), ("triangles", _meshes))
        if (steps := [step for step in solution.history if hasattr(step, attribute)])
    ]
    if not parts:
        raise FieldError(f"Expected a solution with a history (got {solution!r})")
    figure = Figure(figsize=(4.6 * len(parts) + 0.4, 3.8), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (draw_part, steps) in zip(figure.subplots(1, len(parts), squeeze=False)[0], parts, strict=True):
        draw_part(axes, steps)
        _scaled(axes)
        axes.grid(True, which="major", color="#dddddd", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    if filename is not None:
        figure.savefig(filename, dpi=160)
    return figure


def _scaled(axes: Any) -> None:
    """A logarithmic scale, or a plain one from 0 where that shows less than a decade."""
    drawn = np.concatenate([line.get_ydata() for line in axes.lines]).astype(float)
    drawn = drawn[np.isfinite(drawn) & (drawn > 0)]
    if len(drawn) and drawn.max() < 10 * drawn.min():
        axes.set_ylim(0, 1.08 * drawn.max())
    else:
        axes.set_yscale("log")


_BLUE, _ORANGE = "#23698c", "#d1622b"


def _rounds(axes: Any, rounds: list[Any]) -> None:
    number = np.arange(len(rounds))
    defect, kept = np.array([r.defect for r in rounds]), np.array([r.kept for r in rounds])
    axes.plot(number, defect, color=_BLUE, zorder=1)
    axes.scatter(number[kept], defect[kept], color=_BLUE, label="kept", zorder=2)
    if not kept.all():
        axes.scatter(number[~kept], defect[~kept], color="white", edgecolor=_BLUE, label="not kept", zorder=2)
        axes.legend(frameon=False)
    axes.set(title="refinement", xlabel="round", ylabel="defect, relative to that of u = 0")
    axes.xaxis.get_major_locator().set_params(integer=True)


def _steps(axes: Any, steps: list[Any]) -> None:
    axes.plot([s.steps for s in steps], [s.loss for s in steps], ".-", color=_BLUE)
    axes.set(title="fine-tuning", xlabel="steps", ylabel="loss, relative to that of u = 0")
    axes.xaxis.get_major_locator().set_params(integer=True)


def _meshes(axes: Any, levels: list[Any]) -> None:
    unknowns = [level.unknowns for level in levels]
    axes.plot(unknowns, [level.residual for level in levels], "o-", color=_BLUE, label="jumps of the flux, relative")
    axes.plot(unknowns, [level.change for level in levels], "s-", color=_ORANGE, label="change of u, relative L2")
    axes.set(title=f"finite elements, {levels[-1].seconds:.2g} s", xlabel="unknowns", ylabel="on each mesh")
    axes.set_xscale("log")
    axes.legend(frameon=False)


def _levels(axes: Any, levels: list[Any]) -> None:
    unknowns = [level.unknowns for level in levels]
    axes.plot(unknowns, [level.residual for level in levels], "o-", color=_BLUE, label="residual, relative")
    axes.plot(unknowns, [level.change for level in levels], "s-", color=_ORANGE, label="change of u, relative L2")
    axes.set(title=f"projection, {levels[-1].seconds:.2g} s", xlabel="unknowns", ylabel="on each grid")
    axes.set_xscale("log")
    axes.set_xticks(unknowns, [f"{n}\n{a}×{b}" for n, (a, b) in zip(unknowns, (s.cells for s in levels), strict=True)])
    axes.minorticks_off()
    axes.legend(frameon=False)
