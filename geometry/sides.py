"""A mesh cut apart along its interfaces: what belongs to one side of an interface, and what to the other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.sparse import csr_matrix

from meshmove.geometry.arrays import Array, Ids

from .cells import CellKind, kind_of
from .facets import Facets, facets_of
from .location import Location, PointLocator
from .mesh import CellBlock, CellMesh

__all__ = ["Places", "Sides"]


@dataclass(frozen=True, eq=False)
class Places:
    """Where moved vertices lie in the mesh, each side (s,) of them within its own part.

    `simplices` (s,), of `Sides.simplices`; their vertices (s, v), and the weights (s, v) of these; `cells` (n,): those
    of the locator.
    """

    simplices: Ids
    vertices: Ids
    weights: Array
    cells: Ids


@dataclass(frozen=True, eq=False)
class Sides:
    """A mesh whose vertices on interfaces stand once for each part of the mesh that meets there.

    Parts are what is left of the mesh where it is cut along the interfaces between regions, and along named facets
    inside of it. A field may have a kink at an interface, so its derivatives there are those of one side.

    `mesh`: the same cells, of vertices that no two parts share. `vertex`, `part` (s,): the vertex of the original mesh
    that each of its vertices stands for, in rising order, and its part (-1: in no cell).

    >>> square = [[0, 0], [1, 0], [1, 1], [0, 1]]
    >>> mesh = CellMesh.single(square, [[0, 1, 2], [0, 2, 3]], "triangle", regions=np.array([7, 9]))
    >>> Sides.of(mesh).vertex, Sides.of(mesh).part
    (array([0, 0, 1, 2, 2, 3]), array([0, 1, 0, 0, 1, 1]))
    """

    mesh: CellMesh
    vertex: Ids
    part: Ids
    _first: Ids

    @classmethod
    def of(cls, mesh: CellMesh, facets: Facets | None = None) -> Sides:
        """`facets`: of the mesh, where they are known already."""
        own = np.arange(mesh.n_points)
        whole = cls(mesh, own, np.zeros_like(own), own)
        if mesh.regions is None and not mesh.facets:
            return whole
        parts = (facets_of(mesh) if facets is None else facets).components(mesh.n_cells)
        count = parts.max(initial=0) + 2
        keys, first = [], 0
        for block in mesh.blocks:
            keys.append(block.nodes * count + 1 + parts[first : first + len(block), None])
            first += len(block)
        used = np.unique(np.concatenate([k.ravel() for k in keys]))
        unused = np.setdiff1d(own, used // count) * count
        every = np.sort(np.concatenate([used, unused]))
        if len(every) == len(own):
            return whole
        vertex = every // count
        blocks = tuple(CellBlock(b.kind, np.searchsorted(every, k)) for b, k in zip(mesh.blocks, keys, strict=True))
        return cls(CellMesh(mesh.points[vertex], blocks), vertex, every % count - 1, np.searchsorted(vertex, own))

    def moved(self, points: Array) -> Sides:
        """The same with the original vertices at `points` (n, dim)."""
        out = replace(self, mesh=replace(self.mesh, points=points[self.vertex]))
        out.__dict__.update({name: self.__dict__[name] for name in ("simplices", "home") if name in self.__dict__})
        return out

    @property
    def whole(self) -> bool:
        """Whether no vertex is on an interface."""
        return len(self._first) == len(self.vertex)

    def largest(self, values: Array) -> Array:
        """The largest of the values (s, ...) of a vertex's sides, (n, ...)."""
        return values if self.whole else np.maximum.reduceat(values, self._first)

    @cached_property
    def copying(self) -> csr_matrix:
        """Matrix (s, n) from values of the vertices to those of their sides."""
        s = len(self.vertex)
        return csr_matrix((np.ones(s), self.vertex, np.arange(s + 1)), shape=(s, len(self._first)))

    @cached_property
    def averaging(self) -> csr_matrix:
        """Matrix (n, s): means over the sides of each vertex."""
        count = np.bincount(self.vertex)[self.vertex]
        return csr_matrix(self.copying.T.multiply(1 / count))

    def locate(self, points: Array, locator: PointLocator, last: Places | None = None) -> Places:
        """Where moved positions (n, dim) of the original vertices are, each side within its own part.

        `locator`: of the original mesh, split into simplices (see `simplicial`) unless it is whole. `last`: where they
        were a moment ago; see `PointLocator.follow`.
        """
        where = _found(locator, points.T, None if last is None else last.cells)
        if self.whole:
            return Places(where.cells, where.nodes, where.weights, where.cells)
        cells, weights = where.cells[self.vertex], where.weights[self.vertex]
        astray = np.flatnonzero((self.part[self.simplices[cells, 0]] != self.part) & (self.part >= 0))
        order = astray[np.argsort(self.part[astray], kind="stable")]
        for rows in np.split(order, np.flatnonzero(np.diff(self.part[order])) + 1) if len(order) else []:
            ids, own = self._locators[int(self.part[rows[0]])]
            guess = None if last is None else np.searchsorted(ids, last.simplices[rows])
            found = _found(own, points[self.vertex[rows]].T, guess)
            cells[rows], weights[rows] = ids[found.cells], found.weights
        return Places(cells, self.simplices[cells], weights, where.cells)

    def interpolate(self, values: Array, places: Places) -> Array:
        """Values of the sides (s, ...) interpolated to where these have moved, each from its own part: (s, ...)."""
        return np.einsum("sv,sv...->s...", places.weights, values[places.vertices])

    @cached_property
    def simplices(self) -> Ids:
        """The cells split into simplices, by their vertices (dim+1)."""
        return np.concatenate([b.nodes[:, b.kind.simplices].reshape(-1, self.mesh.dim + 1) for b in self.mesh.blocks])

    @cached_property
    def home(self) -> Places:
        """Where vertices are that have not moved: any of the simplices around each of them, to begin a search from."""
        v, s = self.mesh.dim + 1, len(self.vertex)
        own, corner = np.zeros(s, np.int64), np.zeros(s, np.int64)
        own[self.simplices.ravel()] = np.repeat(np.arange(len(self.simplices)), v)
        corner[self.simplices.ravel()] = np.tile(np.arange(v), len(self.simplices))
        return Places(own, self.simplices[own], np.eye(v)[corner], own[self._first])

    @cached_property
    def _locators(self) -> dict[int, tuple[Ids, PointLocator]]:
        """Of each part: the ids (k,) of its simplices, and a locator of them."""
        kind: CellKind = kind_of("triangle" if self.mesh.dim == 2 else "tetra")
        owner = self.part[self.simplices[:, 0]]
        order = np.argsort(owner, kind="stable")
        out = {}
        for rows in np.split(order, np.flatnonzero(np.diff(owner[order])) + 1):
            ids, local = np.unique(self.simplices[rows], return_inverse=True)
            mesh = CellMesh.single(self.mesh.points[ids], local.reshape(-1, self.mesh.dim + 1), kind.name)
            out[int(owner[rows[0]])] = rows, PointLocator(mesh)
        return out


def _found(locator: PointLocator, x: Array, guess: Ids | None) -> Location:
    return locator.find(x) if guess is None else locator.follow(x, guess)
