"""Plane meshes drawn by Matplotlib: values over the cells, and edges that fade where cells are small."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry import CellMesh
from meshmove.geometry.arrays import Array
from meshmove.geometry.quality import cell_volumes

from .skin import INK, fading

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["arrows", "fill", "outline"]

#: triangles are split up to so many times where more than this share of the range of colours lies between corners
_SPLITS, _SPAN = 4, 0.08
#: so many edges are drawn as lines in SVG and PDF, more of them as pixels
_LINES = 20_000
#: opacity that edges keep where they are all that is shown, and that of the others in full
_KEPT, _FULL = 0.25, 0.65
#: arrows along the longer side of the domain
_ARROWS = 14


def fill(axes: Axes, cells: CellMesh, values: NDArray | None, norm: Any, cmap: Any) -> None:
    """Colour the cells by values of the vertices (n,), linear in between, or of the cells (n_cells,).

    Quadrilaterals have the mean of their vertices in their middle. Pixels in SVG and PDF too.
    """
    from matplotlib.collections import PolyCollection

    if values is not None and len(values) == cells.n_points:
        from matplotlib.tri import Triangulation

        corners, at = _smooth(*_triangles(cells, values), norm)
        mesh = Triangulation(*corners.reshape(-1, 2).T, np.arange(3 * len(corners)).reshape(-1, 3))
        axes.tripcolor(mesh, at.ravel(), shading="gouraud", norm=norm, cmap=cmap, rasterized=True)
        return
    first = 0
    for block in cells.blocks:
        corners = cells.points[block.nodes]
        shown: dict[str, Any] = {"facecolor": "#dbe5ee"}
        if values is not None:
            shown = {"array": np.ma.masked_invalid(values[first : first + len(block)]), "norm": norm, "cmap": cmap}
        polygons = PolyCollection(list(corners), edgecolor="face", linewidth=0.2, rasterized=True, **shown)
        axes.add_collection(polygons, autolim=False)
        first += len(block)


def outline(axes: Axes, cells: CellMesh, unit: float, alone: bool) -> None:
    """Draw the edges, thinner and paler the fewer pixels there are across a cell.

    `unit`: pixels in a unit of length; `alone`: edges are all that is shown, and none is left out.
    """
    from matplotlib.collections import LineCollection

    pairs, across = _edges(cells)
    opacity = np.maximum(fading(unit * across), _KEPT) if alone else _FULL * fading(0.7 * unit * across)
    seen = opacity > 0.02
    ink = np.full((int(seen.sum()), 4), INK / 255)
    ink[:, 3] = opacity[seen]
    lines = LineCollection(cells.points[pairs[seen]], colors=ink, linewidths=0.2 + 0.4 * opacity[seen],
                           rasterized=bool(seen.sum() > _LINES))  # fmt: skip
    axes.add_collection(lines, autolim=False)


def arrows(axes: Axes, points: Array, step: Array) -> None:
    """Where vertices (n, 2) go by a step (n, 2), for some that are spread over the mesh."""
    side = np.ptp(points, axis=0).max() / _ARROWS
    square = np.floor((points - points.min(axis=0)) / side).astype(np.int64)
    away = np.linalg.norm(points - points.min(axis=0) - (square + 0.5) * side, axis=1)
    order = np.argsort(away, kind="stable")
    _, one = np.unique(square[order, 0] * 10_000 + square[order, 1], return_index=True)
    chosen = order[one]
    chosen = chosen[np.linalg.norm(step[chosen], axis=1) > 0.05 * side]
    axes.quiver(*points[chosen].T, *step[chosen].T, angles="xy", scale_units="xy", scale=1, width=0.003,
                headwidth=4, headlength=5, headaxislength=4.5, color="#202020")  # fmt: skip


def _triangles(cells: CellMesh, values: NDArray) -> tuple[Array, NDArray, NDArray]:
    """Points, triangles and values: quadrilaterals are split about their middle."""
    points, at, triangles = [cells.points], [np.asarray(values, float)], []
    count = cells.n_points
    for block in cells.blocks:
        if block.kind.vertices == 3:
            triangles.append(block.nodes)
            continue
        middle = count + np.arange(len(block))
        count += len(block)
        points.append(cells.points[block.nodes].mean(axis=1))
        at.append(values[block.nodes].mean(axis=1))
        around = [(block.nodes[:, k], block.nodes[:, (k + 1) % 4], middle) for k in range(4)]
        triangles += [np.stack(t, axis=1) for t in around]
    return np.concatenate(points), np.concatenate(triangles), np.concatenate(at)


def _smooth(points: Array, triangles: NDArray, values: NDArray, norm: Any) -> tuple[Array, NDArray]:
    """Corners (t, 3, 2) of triangles and values (t, 3), such that few colours lie between those of a triangle.

    What is drawn between corners is a mixture of their colours, not the colours in between; so triangles across which
    values change are split in four, again and again. Those with a value that is not finite are left out.
    """
    corners, at = points[triangles], values[triangles]
    good = np.isfinite(at).all(axis=1)
    corners, at = corners[good], at[good]
    done: list[tuple[Array, NDArray]] = []
    for _ in range(_SPLITS):
        wide = np.ptp(np.asarray(norm(at), float), axis=1) > _SPAN
        done.append((corners[~wide], at[~wide]))
        corners, at = _split(corners[wide]), _split(at[wide])
    done.append((corners, at))
    return np.concatenate([c for c, _ in done]), np.concatenate([a for _, a in done])


def _split(corners: NDArray) -> NDArray:
    """Four triangles each (4 t, 3, ...) of triangles (t, 3, ...)."""
    a, b, c = (corners[:, k] for k in range(3))
    ab, bc, ca = (a + b) / 2, (b + c) / 2, (c + a) / 2
    return np.concatenate([np.stack(t, axis=1) for t in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))])


def _edges(cells: CellMesh) -> tuple[NDArray, Array]:
    """Edges (e, 2), and the width (e,) of the smaller cell beside each: the root of its area."""
    width, first, pairs, of = np.sqrt(np.abs(cell_volumes(cells))), 0, [], []
    for block in cells.blocks:
        pairs.append(block.nodes[:, block.kind.edges].reshape(-1, 2))
        of.append(np.repeat(width[first : first + len(block)], len(block.kind.edges)))
        first += len(block)
    every = np.sort(np.concatenate(pairs), axis=1)
    edges, number = np.unique(every, axis=0, return_inverse=True)
    least = np.full(len(edges), np.inf)
    np.minimum.at(least, number.ravel(), np.concatenate(of))
    return edges, least
