"""What is known on the mesh as it was, as functions of space: each process has those cells that its nodes are among.

The mesh's box is cut into bins. A process asks for all cells that touch a bin in which one of its nodes is, or a
neighbour of it, from whoever has them. While its nodes stay in these bins, their cells are there; when any leaves them,
on any process, all processes ask anew. So no process holds more than what its nodes move over.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meshmove.communicator import box_of
from meshmove.geometry import CellBlock, CellMesh, Location, PointLocator, Sides
from meshmove.geometry.arrays import Array, Ids
from meshmove.monitors import NodalDensity, NodalHessians, NodalThirds
from meshmove.monitors.cubic import third_components
from meshmove.monitors.density import chunks

from .layout import Layout, by_process
from .ranks import Ranks

__all__ = ["Background", "PatchDensity", "PatchHessians", "PatchThirds"]


T = TypeVar("T")
#: bins of the mesh's box for each process, and at most
BINS, MOST = 256, 1 << 22
#: by which share of the way to a point amid the mesh values are looked up beside their place, and where that point is
#: in the mesh's box. Second derivatives are linear in cells, and the slopes of two cells differ: on which side of an
#: edge a node is that stays on it up to rounding, as on an axis of the field, would hang on the partition
ASIDE, AMID = 1e-6, (0.73, 0.41, 0.62)
#: bins that were asked for before are kept up to so many times those that are needed
KEPT = 1.5


class _Bins:
    """Numbers of the bins of a box, cut equally."""

    def __init__(self, low: Array, high: Array, count: int) -> None:
        size = np.maximum(high - low, 1e-300)
        dim = len(low)
        edge = (np.prod(size / size.max()) / min(count, MOST)) ** (1 / dim) * size.max()
        self.shape = np.maximum(1, np.round(size / edge)).astype(np.int64)
        self._low, self._scale = low, self.shape / size

    def place(self, x: Array) -> Ids:
        """Bins (m, dim) of points (m, dim); those outside of the box have the nearest."""
        return np.clip(((x - self._low) * self._scale).astype(np.int64), 0, self.shape - 1)

    def number(self, place: Ids) -> Ids:
        return np.ravel_multi_index(tuple(place.T), tuple(self.shape))

    def grown(self, number: Ids) -> Ids:
        """These bins and their neighbours."""
        place = np.stack(np.unravel_index(number, tuple(self.shape)), axis=1)
        steps = np.array(list(product((-1, 0, 1), repeat=len(self.shape))))
        around = (place[:, None] + steps).reshape(-1, len(self.shape))
        return np.unique(self.number(np.clip(around, 0, self.shape - 1)))


class _PatchLocator(PointLocator):
    """Points that a walk loses at the rim of a patch, which is no boundary, are looked for again."""

    def follow(self, points: ArrayLike, guess: ArrayLike) -> Location:
        where = super().follow(points, guess)
        lost = np.flatnonzero(where.outside)
        if len(lost):
            found = self.find(np.asarray(points)[:, lost])
            where.cells[lost], where.weights[lost], where.nodes[lost] = found.cells, found.weights, found.nodes
            where.outside[lost] = found.outside
        return where


class Background:
    """The cells of all processes as they were, those at hand being where they are needed.

    `mesh`: the cells of this process, on all of its nodes; `version` counts how often cells were asked for.
    """

    def __init__(self, ranks: Ranks, layout: Layout, owners: Ids, mesh: CellMesh) -> None:
        self._ranks, self._layout, self._owners = ranks, layout, owners
        self._points, self._cells = mesh.points, mesh.simplicial().blocks[0].nodes
        self._kind = "triangle" if mesh.dim == 2 else "tetra"
        used = mesh.points[np.unique(self._cells)]
        low, high = box_of(used, layout)
        self._bins = _Bins(low, high, BINS * ranks.size)
        self._amid = low + (high - low) * AMID[: mesh.dim]
        self._bin, self._cell = self._occupied()
        mine = np.unique(self._bin)
        self._have = [np.asarray(bins) for bins in ranks.gather(mine)]
        self._wanted = np.zeros(0, np.int64)
        self._covered = np.zeros(int(self._bins.shape.prod()), bool)
        self.version = 0
        self._made: WeakKeyDictionary[object, Any] = WeakKeyDictionary()

    def _occupied(self) -> tuple[Ids, Ids]:
        """Pairs of a bin and a cell that touches it, sorted by bins."""
        x = self._points[self._cells]
        low, high = (self._bins.place(f(x, axis=1)) for f in (np.min, np.max))
        span = (high - low).max(axis=0, initial=0)
        bins, cells = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for step in product(*(range(s + 1) for s in span)):
            on = np.flatnonzero((low + step <= high).all(axis=1))
            bins.append(self._bins.number(low[on] + step))
            cells.append(on)
        every, of = np.concatenate(bins), np.concatenate(cells)
        order = np.argsort(every, kind="stable")
        return every[order], of[order]

    def beside(self, points: Array) -> Array:
        """Where values of points (..., dim) are looked up: so little aside that an edge is not where they are."""
        return points + ASIDE * (self._amid - points)

    def bins_at(self, points: Array) -> Ids:
        """The bin (m,) of each of the points (m, dim)."""
        return self._bins.number(self._bins.place(points))

    def cover(self, number: Ids) -> bool:
        """Have the cells in bins (m,) at hand, on every process; tell whether they had to be asked for.

        Within `Layout.settled` those that are missing come with the sum that follows.
        """
        if self.version:
            missing = not self._covered[number].all()
            return self._layout.lacks(missing, lambda: self._renew(number))
        self._renew(number)
        return True

    def _renew(self, number: Ids) -> None:
        """Have the cells in the bins of these numbers, and those around them."""
        needed = self._bins.grown(np.unique(number))
        both = np.union1d(needed, self._wanted)
        self._wanted = both if len(both) <= KEPT * len(needed) else needed
        self._covered[:] = False
        self._covered[self._wanted] = True
        self._made.clear()
        for old in ("mesh", "locator"):  # lest there are two of them at a time
            self.__dict__.pop(old, None)
        self._fetch()
        self.version += 1

    def _fetch(self) -> None:
        asked = self._ranks.swap({
            k: wanted
            for k, bins in enumerate(self._have)
            if len(wanted := np.intersect1d(bins, self._wanted, assume_unique=True))
        })  # fmt: skip
        cells, nodes, owners = {}, {}, {}
        for k, bins in asked.items():
            own = self._cells[np.unique(self._cell[np.isin(self._bin, bins)])]
            ids = np.unique(own)
            owners[k] = np.stack([self._layout.ids[ids], self._owners[ids]])
            nodes[k], cells[k] = self._points[ids], self._layout.ids[own]
        cells, nodes, owners = (self._ranks.swap(part) for part in (cells, nodes, owners))
        order = sorted(cells)
        empty = np.zeros((2, 0), np.int64)
        ids, owner = np.concatenate([empty, *(owners[k] for k in order)], axis=1)
        ids, first = np.unique(ids, return_index=True)
        x = np.concatenate([self._points[:0], *(nodes[k] for k in order)])[first]
        corner = np.searchsorted(ids, np.concatenate([self._cells[:0], *(cells[k] for k in order)]))
        self.mesh = CellMesh.single(x, corner, self._kind)
        self.locator = _PatchLocator(self.mesh) if len(corner) else None
        self._source(ids, owner[first])

    def _source(self, ids: Ids, owner: Ids) -> None:
        """Who has the values of the patch's nodes, and which of this process's others ask for."""
        self._rows = by_process(owner)
        asked = self._ranks.swap({k: ids[rows] for k, rows in self._rows.items()})
        own = self._layout.ids[: self._layout.n_owned]
        order = np.argsort(own, kind="stable")
        self._given = {k: order[np.searchsorted(own[order], wanted)] for k, wanted in asked.items()}

    def at_hand(self, asker: object, known: Array, make: Callable[[Array, PointLocator], T]) -> T | None:
        """What `asker` makes of values (n, ...) of the nodes of pieces on the cells at hand; None where there are none.

        It is kept until other cells are at hand. All processes call it together.
        """
        if asker not in self._made:
            values = self.values(known)
            self._made[asker] = None if self.locator is None else make(values, self.locator)
        return self._made[asker]

    def values(self, known: Array) -> Array:
        """Values (n, ...) of the nodes of pieces, of which owners are right, at the nodes (k, ...) at hand."""
        out = np.empty((self.mesh.n_points, *known.shape[1:]))
        came = self._ranks.swap({k: known[rows] for k, rows in self._given.items()})
        for k, rows in self._rows.items():
            out[rows] = came[k]
        return out

    def interpolated(self, known: Array, points: Array) -> Array:
        """Values (n, ...) of the nodes of pieces, at points (m, dim) anywhere; all processes call it together."""
        self.cover(self.bins_at(points))
        here = self.values(known)
        if self.locator is None or not len(points):
            return np.zeros((len(points), *known.shape[1:]))
        return self.locator.find(points.T).interpolate(here)


class PatchDensity:
    """A monitor by its values (n,) at the nodes of pieces: see `NodalDensity`."""

    def __init__(self, values: Array, background: Background) -> None:
        self._values, self._background = values, background

    def value(self, x: Array) -> Array:
        x = self._background.beside(x.T).T
        here = self._here(self._background.bins_at(x.T))
        return np.zeros(x.shape[1]) if here is None else here.value(x)

    def value_and_gradient(self, x: Array) -> tuple[Array, Array]:
        x = self._background.beside(x.T).T
        here = self._here(self._background.bins_at(x.T))
        return (np.zeros(x.shape[1]), np.zeros(x.shape)) if here is None else here.value_and_gradient(x)

    def inside(self, vertices: Array, shape: Array) -> Array:
        """Values (m, q) in cells with vertices (m, v, dim), at the points of which these are the shape functions."""
        vertices = self._background.beside(vertices)
        count, dim = vertices.shape[0], vertices.shape[2]
        found = [np.zeros(0, np.int64)]
        for chunk in chunks(count):
            x = np.einsum("mvd,vq->mqd", vertices[chunk], shape).reshape(-1, dim)
            found.append(np.unique(self._background.bins_at(x)))
        here = self._here(np.concatenate(found))
        return np.zeros((count, shape.shape[1])) if here is None else here.inside(vertices, shape)

    def _here(self, number: Ids) -> NodalDensity | None:
        """The monitor in these bins, once all processes have what they need; None where nothing is to be looked up."""
        self._background.cover(number)
        here = self._background.at_hand(self, self._values, NodalDensity)
        return here if len(number) else None


class PatchHessians(NodalHessians):
    """Second derivatives (f, dim, dim, n) of fields at the nodes of pieces: see `NodalHessians`.

    `mesh`: the cells of this process.
    """

    nodal: type[NodalHessians] = NodalHessians

    def __init__(self, hessians: Array, background: Background, mesh: CellMesh) -> None:
        self._known = np.ascontiguousarray(np.moveaxis(hessians, -1, 0))
        self._background, self._mesh = background, mesh

    @property
    def blocks(self) -> tuple[CellBlock, ...]:
        return self._mesh.blocks

    @property
    def vertex(self) -> NDArray[np.int64]:
        return np.arange(self._mesh.n_points)

    @property
    def fields(self) -> int:
        return self._known.shape[1]

    def value(self, points: Array) -> Array:
        points = self._background.beside(points)
        here = self._here(points)
        return np.zeros((self.fields, self._pairs, len(points))) if here is None else here.value(points)

    def value_and_slope(self, points: Array) -> tuple[Array, Array]:
        points = self._background.beside(points)
        here = self._here(points)
        if here is None:
            f, d = self._known.shape[1:3]
            return np.zeros((f, self._pairs, len(points))), np.zeros((f, self._pairs, d, len(points)))
        return here.value_and_slope(points)

    @property
    def _pairs(self) -> int:
        d = self._known.shape[2]
        return d * (d + 1) // 2

    def _here(self, points: Array) -> NodalHessians | None:
        """See `PatchDensity`."""
        self._background.cover(self._background.bins_at(points))
        here = self._background.at_hand(self, self._known, self._made)
        return here if len(points) else None

    def _made(self, values: Array, locator: PointLocator) -> NodalHessians:
        return self.nodal(Sides.of(locator.mesh), locator, np.moveaxis(values, 0, -1))


class PatchThirds(PatchHessians, NodalThirds):
    """The same of third derivatives (f, dim, dim, dim, n)."""

    nodal = NodalThirds

    @property
    def _pairs(self) -> int:
        return len(third_components(self._known.shape[2]))
