"""A function of the mesh as it was, evaluated wherever its pieces are: each point by the process that has its cell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshmove.distributed import Ranks, together
from meshmove.geometry.arrays import Array
from meshmove.geometry.location import Location, PointLocator
from meshmove.geometry.mesh import CellMesh
from meshmove.transfer.second_order import SecondOrder

__all__ = ["Across"]

#: as a share of the mesh's extent, the distance from a cell that is rounding
NEAR = 1e-10

At = Callable[[Location, Array], NDArray]


class Across:
    """Finds points in the cells of all processes.

    Points are looked for at home first; those that lie outside of the cells there go to the processes whose boxes are
    nearer than what was found, and the nearest cell's value counts. So points outside of all cells, at a curved
    boundary, have the value at the closest point.

    Parameters
    ----------
    cells
        The cells that this process owns, or None where there are none; with `nodes` where they are curved.
    ranks
        All processes.
    dim
        Of space.
    """

    def __init__(self, cells: CellMesh | None, ranks: Ranks, dim: int) -> None:
        self._cells, self._ranks = cells, ranks
        self._locator = None if cells is None else PointLocator(cells)
        self._curved: SecondOrder | None = None
        if self._locator is not None and cells is not None and cells.nodes is not None:
            self._curved = SecondOrder(cells, cells.vertex_nodes, self._locator)
        box = np.full((2, dim), [[np.inf], [-np.inf]])
        if cells is not None:
            block = cells.blocks[0]
            used = cells.points[block.nodes] if cells.nodes is None else cells.nodes[block.second_nodes]
            box = np.stack([used.min(axis=(0, 1)), used.max(axis=(0, 1))])
        self._boxes = ranks.gather(box)
        filled = [b for b in self._boxes if np.isfinite(b).all()]
        self._near = NEAR * float(np.ptp(np.concatenate(filled), axis=0).max())

    def values(self, points: Array, beyond: Array, at: At, components: int, dtype: Any = float) -> NDArray:
        """Values (m, components) at points (m, dim); all processes call it together.

        Parameters
        ----------
        points
            Where to look.
        beyond
            So far (m, dim) from there the function of the same cell is evaluated.
        at
            Evaluates at places in the cells of this process, or so far beyond them.
        """
        with together(self._ranks):
            off, out = self._here(points, beyond, at, components, dtype)
        sent = self._elsewhere(points, off)
        came = self._ranks.swap({k: np.concatenate([points[i], beyond[i]], axis=1) for k, i in sent.items()})
        back: dict[int, NDArray] = {}
        with together(self._ranks):
            for k, both in came.items():
                there = np.split(both, 2, axis=1)
                distance, found = self._here(there[0], there[1], at, components, dtype)
                back[k] = np.concatenate([distance[:, None], found], axis=1)
        for k, found in sorted(self._ranks.swap(back).items()):
            distance = found[:, 0].real
            nearer = distance < off[sent[k]]
            rows = sent[k][nearer]
            off[rows], out[rows] = distance[nearer], found[nearer, 1:]
        return out

    def _here(self, points: Array, beyond: Array, at: At, components: int, dtype: Any) -> tuple[Array, NDArray]:
        """Distances (m,) from the cells of this process, and values of the nearest."""
        if self._locator is None or self._cells is None or not len(points):
            return np.full(len(points), np.inf), np.zeros((len(points), components), dtype)
        if self._curved is None:
            where = self._locator.find(points.T)
            there = where.interpolate(self._cells.points)
        else:
            where = self._curved.find(points)
            there = self._curved.points(where)
        off = np.linalg.norm(there - points, axis=1)
        off[off <= self._near] = 0
        return off, np.asarray(at(where, beyond)).reshape(len(points), -1)

    def _elsewhere(self, points: Array, off: Array) -> dict[int, NDArray]:
        """Of each other process the points that may lie nearer to its cells."""
        out = {}
        for k, (low, high) in enumerate(self._boxes):
            if k == self._ranks.rank or not np.isfinite(low).all():
                continue
            outside = np.linalg.norm(np.maximum(np.maximum(low - points, points - high), 0), axis=1)
            rows = np.flatnonzero(outside < off)
            if len(rows):
                out[k] = rows
        return out
