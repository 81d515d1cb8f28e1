"""Hessians of fields as functions of space: nodal values, linear on the simplices of the mesh they are known on."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import add

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry import CellBlock, PointLocator, Sides
from meshmove.geometry.arrays import Array
from meshmove.geometry.quality import barycentric
from meshmove.geometry.sides import Places

from .cubic import as_components
from .isoparametric import add_at_vertices, second_moments

__all__ = ["NodalHessians", "NodalThirds"]


class NodalHessians:
    """Second derivatives of f fields at moved vertices, each side of an interface seeing those of its own part.

    Points are looked up from the cell where they were last time, since a descent's nodes creep; the same points again
    are not looked up.

    Parameters
    ----------
    sides
        A mesh cut apart along its interfaces. Cells that are no simplices are split, as `sides.simplices` says.
    locator
        Of the uncut mesh, split into simplices.
    hessians
        (f, dim, dim, s), symmetric, at the vertices of the cut mesh.
    near
        Places near which the vertices are, where that is known.

    Attributes
    ----------
    places
        Those of the last points, or `near`.
    """

    def __init__(self, sides: Sides, locator: PointLocator, hessians: Array, near: Places | None = None) -> None:
        self._sides, self._locator = sides, locator
        self._components = self._independent(hessians)
        self.places, self._asked = near, np.zeros((0, 0))
        corner = sides.simplices.T
        gradients = barycentric(np.ascontiguousarray(sides.mesh.points.T).take(corner, axis=1))[0]
        self._slope = np.einsum("cvm,fpvm->fpcm", gradients, self._components.take(corner, axis=2))

    @staticmethod
    def _independent(derivatives: Array) -> Array:
        """Components (f, p, s)."""
        dim = derivatives.shape[1]
        return np.stack([derivatives[:, a, b] for a in range(dim) for b in range(a, dim)], axis=1)

    @property
    def blocks(self) -> tuple[CellBlock, ...]:
        return self._sides.mesh.blocks

    @property
    def vertex(self) -> NDArray[np.int64]:
        return self._sides.vertex

    #: see `movers.alignment.Hessians`
    inside = False

    @property
    def fields(self) -> int:
        return len(self._components)

    def moments(self, points: Array, weight: Array) -> tuple[list[Array], Callable[[list[Array]], Array]]:
        """Means over the vertices of each cell; see `movers.alignment.Hessians`."""
        values, slopes = self.value_and_slope(points)
        nodes = [b.nodes.T for b in self.blocks]

        def pulled(by_moments: list[Array]) -> Array:
            by_value = np.zeros(values.shape)
            for by, at in zip(by_moments, nodes, strict=True):
                pull = np.einsum("f,prm,frvm->fpvm", 2 * weight / len(at), by, values[:, :, at])
                rows = values.shape[0] * values.shape[1]
                add_at_vertices(by_value.reshape(rows, values.shape[2]), pull.reshape(rows, *at.shape), at)
            return np.einsum("fps,fpcs->cs", by_value, slopes)

        return [second_moments(values[:, :, at], weight) for at in nodes], pulled

    def value(self, points: Array) -> Array:
        return self._at(self._find(points))

    def value_and_slope(self, points: Array) -> tuple[Array, Array]:
        places = self._find(points)
        return self._at(places), self._slope.take(places.simplices, axis=-1)

    def matrices(self, points: Array) -> Array:
        """(f, dim, dim, s)"""
        dim = points.shape[1]
        full = np.zeros((dim, dim), np.int64)
        upper = np.triu_indices(dim)
        full[upper] = full.T[upper] = np.arange(len(upper[0]))
        return self.value(points)[:, full]

    def _find(self, points: Array) -> Places:
        if self.places is not None and np.array_equal(points, self._asked):
            return self.places
        last = self.places  # of other points, where those of a rule and of vertices take turns: no guess then
        if last is not None and len(last.cells) != len(points):
            last = None
        self.places, self._asked = self._sides.locate(points, self._locator, last), points.copy()
        return self.places

    def _at(self, places: Places) -> Array:
        corners = zip(places.vertices.T, places.weights.T, strict=True)
        return reduce(add, (self._components.take(nodes, axis=2) * w for nodes, w in corners))


class NodalThirds(NodalHessians):
    """The same of third derivatives (f, dim, dim, dim, s), for quadratic elements on simplices."""

    inside = True  # no closed form of `Alignment` is theirs

    @staticmethod
    def _independent(derivatives: Array) -> Array:
        return as_components(derivatives, derivatives.shape[1])
