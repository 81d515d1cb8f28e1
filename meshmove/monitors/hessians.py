"""Hessians of fields as functions of space: nodal values, linear on the simplices that they were recovered on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry import PointLocator, Sides
from meshmove.geometry.arrays import Array
from meshmove.geometry.sides import Places

__all__ = ["NodalHessians"]


class NodalHessians:
    """Second derivatives of f fields at moved vertices, each side of an interface seeing those of its own part.

    Points are looked up from the cell where they were last time, since a descent's nodes creep.

    Parameters
    ----------
    sides
        A mesh of simplices, cut apart along its interfaces.
    locator
        Of the uncut mesh.
    hessians
        (f, dim, dim, s), symmetric, at the vertices of the cut mesh.
    """

    def __init__(self, sides: Sides, locator: PointLocator, hessians: Array) -> None:
        dim = sides.mesh.dim
        self._sides, self._locator = sides, locator
        pairs = [(a, b) for a in range(dim) for b in range(a, dim)]
        self._components = np.stack([hessians[:, a, b] for a, b in pairs], axis=1)  # (f, p, s)
        self._places: Places | None = None
        corner = sides.simplices.T
        x, h = sides.mesh.points.T[:, corner], self._components[:, :, corner]
        edges, rise = (x[:, 1:] - x[:, :1]).T, h[:, :, 1:] - h[:, :, :1]  # (m, k, dim), (f, p, k, m)
        self._slope = np.einsum("mck,fpkm->fpcm", np.linalg.inv(edges), rise)

    @property
    def cells(self) -> NDArray[np.int64]:
        return self._sides.simplices

    @property
    def vertex(self) -> NDArray[np.int64]:
        return self._sides.vertex

    def value(self, points: Array) -> Array:
        return self._at(self._find(points))

    def value_and_slope(self, points: Array) -> tuple[Array, Array]:
        places = self._find(points)
        return self._at(places), self._slope[..., places.simplices]

    def _find(self, points: Array) -> Places:
        self._places = self._sides.locate(points, self._locator, self._places)
        return self._places

    def _at(self, places: Places) -> Array:
        corners = zip(places.vertices.T, places.weights.T, strict=True)
        return sum(self._components[:, :, nodes] * w for nodes, w in corners)
