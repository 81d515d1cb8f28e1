"""Cells in a form made for location: sorted along a curve, with facet functions, neighbours and boxes."""

from __future__ import annotations

from copy import copy
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry.arrays import Array, Ids

from ..cells import CellKind
from ..mesh import CellMesh
from ..quality import barycentric
from .boxtree import BoxTree, morton_codes
from .inverse import closest_in_cell, reference_weights

__all__ = ["CellTable"]


_CHUNK = 1 << 15
_TINY = 1e-14  # rounding of coordinates, in extents: within it a point counts as inside of a cell


class CellTable:
    """Cells along the Z-order curve: cells that are close have close numbers, so memory is read in order.

    `order` (n,) are the mesh's numbers of the cells, `ranks` the inverse; everything else is in the table's own
    numbers and coordinates, in which the mesh fits a box of diagonal 1 about the origin: nothing depends on units.
    `record` (n, dim*width + width + 1) holds, side by side since they are read together, the slopes g of the facet
    functions a + g.x, which are 1 at the centre and 0 on the facet's plane, by component; their values a at the origin;
    and how far below nought the functions may be at points inside (rounding, and the warp of curved facets).
    """

    def __init__(self, mesh: CellMesh) -> None:
        low, high = mesh.points.min(0), mesh.points.max(0)
        self.dim = mesh.dim
        self.origin, self.scale = low + (high - low) / 2, mesh.extent or 1.0
        self.points = self.normalised(mesh.points)
        self.rounding = _TINY + 4 * np.finfo(float).eps * np.abs(mesh.points).max() / self.scale
        self.kinds: list[CellKind] = [b.kind for b in mesh.blocks]
        self.width = max(len(_facets(k)) for k in self.kinds)
        self.simplicial = len(self.kinds) == 1 and self.kinds[0].is_simplex
        self._sort_cells(mesh)
        self._measure_cells()

    def moved(self, points: Array) -> CellTable:
        """The same cells with vertices at other points of the same box: their order and neighbours are kept."""
        _ = self.neighbours, self.ranks  # found once, for all of them
        other = copy(self)
        for stale in ("boxes", "seeds"):
            other.__dict__.pop(stale, None)
        other.points = self.normalised(points)
        other.centre = np.empty_like(self.centre)
        for kind, rows in self.of_kind():
            other.centre[rows] = sum(other.points[self.nodes[rows, v]] for v in range(kind.vertices)) / kind.vertices
        other._measure_cells()
        return other

    def normalised(self, points: Array) -> Array:
        """Coordinates (m, dim) in the table's units."""
        return (points - self.origin) / self.scale

    def normalised_columns(self, points: Array) -> Array:
        """The same (dim, m) of points (dim, m), in one piece."""
        out = np.array(points, float, order="C")
        out -= self.origin[:, None]
        out /= self.scale
        return out

    def _sort_cells(self, mesh: CellMesh) -> None:
        blocks = mesh.blocks
        nodes = np.zeros((mesh.n_cells, max(k.vertices for k in self.kinds)), np.int64)
        centres, kind, first = [], np.repeat(np.arange(len(blocks)), [len(b) for b in blocks]), 0
        for block in blocks:
            nodes[first : first + len(block), : block.kind.vertices] = block.nodes
            centres.append(sum(self.points[column] for column in block.nodes.T) / block.kind.vertices)
            first += len(block)
        centre = np.concatenate(centres)
        self.low = self.points.min(0)
        self.span = np.maximum(np.ptp(self.points, axis=0), 1e-300)
        codes = self.curve(centre)
        self.order = np.argsort(codes)
        self.centre = centre[self.order]
        self.nodes, self.kind = nodes[self.order], kind[self.order]

    def curve(self, x: Array) -> NDArray[np.uint64]:
        """Places of points along the curve."""
        return morton_codes(x, self.low, self.span)

    def of_kind(self, cells: Ids | None = None) -> list[tuple[CellKind, Ids]]:
        """Rows of `cells` (all cells when None) by their kind."""
        if len(self.kinds) == 1:
            return [(self.kinds[0], np.arange(len(self.nodes) if cells is None else len(cells)))]
        kind = self.kind if cells is None else self.kind[cells]
        return [(k, np.flatnonzero(kind == i)) for i, k in enumerate(self.kinds)]

    def _measure_cells(self) -> None:
        """Facet functions of the cells: 1 + g.(x - centre), 1 at the centre and 0 on the facet's plane."""
        dim, p = self.dim, self.points
        n = len(self.nodes)
        if self.simplicial:
            gradients, det = barycentric(np.ascontiguousarray(p.T).take(self.nodes.T, axis=1))
            self._record(((dim + 1) * gradients).transpose(2, 1, 0), np.zeros(n), det == 0)
            return
        slope, slack = np.zeros((n, self.width, dim)), np.zeros(n)
        flat = np.zeros(n, bool)
        for kind, rows in self.of_kind():
            every = len(rows) == n
            nodes, centre = (self.nodes, self.centre) if every else (self.nodes[rows], self.centre[rows])
            warp, broken = np.zeros(len(rows)), np.zeros(len(rows), bool)
            for f, facet in enumerate(_facets(kind)):
                x = [p[nodes[:, v]] for v in facet]
                if dim == 2:
                    normal = (x[1] - x[0])[:, ::-1] * [1, -1]
                else:
                    normal = np.cross(x[2] - x[0], x[-1] - x[1] if len(x) == 4 else x[1] - x[0])
                depth = ((centre - sum(x) / len(x)) * normal).sum(1)
                broken |= depth == 0
                g = normal / np.where(depth == 0, 1, depth)[:, None]
                slope[rows, f] = g
                if len(x) == 4:
                    for corner in x:
                        warp = np.maximum(warp, np.abs(1 + ((corner - centre) * g).sum(1)))
            slack[rows], flat[rows] = warp, broken
        self._record(slope, slack, flat)

    def _record(self, slope: Array, slack: Array, flat: NDArray[np.bool_]) -> None:
        """Write down slopes (n, f, dim), the warp (n,) of curved facets, and which cells are flat."""
        n = len(slope)
        tiny = self.rounding * np.sqrt((slope**2).sum(2).max(1)) + 1e-15
        # a flat cell contains nothing: no facet function reaches 2
        allowed = np.where(flat, -2, slack + tiny)
        self.tiny = tiny
        there = 1 - np.einsum("nfd,nd->nf", slope, self.centre)
        by_component = slope.transpose(0, 2, 1).reshape(n, -1)
        self.record = np.concatenate([by_component, there, allowed[:, None]], axis=1)

    @cached_property
    def seeds(self) -> tuple[NDArray[np.uint64], Ids]:
        """Rising places of the cells' centres along the curve, and the cells in that order."""
        codes = self.curve(self.centre)
        order = np.argsort(codes)
        return codes[order], order

    @cached_property
    def neighbours(self) -> Ids:
        """The cell behind each facet (n, f), -1 at the boundary."""
        n, width = len(self.nodes), self.width
        keys, sides = [], []
        for kind, rows in self.of_kind():
            nodes = self.nodes if len(rows) == n else self.nodes[rows]
            for f, facet in enumerate(_facets(kind)):
                ids = np.sort(nodes[:, facet], axis=1).astype(np.uint64)
                key = ids[:, 0]
                # three vertices tell facets apart; a clash of this hash would only cost a detour
                for column in range(1, min(ids.shape[1], 3)):
                    key = key * np.uint64(0x9E3779B97F4A7C15) + ids[:, column]
                keys.append(key)
                sides.append(rows * width + f)
        key, side = np.concatenate(keys), np.concatenate(sides)
        order = np.argsort(key)
        key, side = key[order], side[order]
        same = np.flatnonzero(key[1:] == key[:-1])
        out = np.full(n * width, -1, np.int64)
        out[side[same]], out[side[same + 1]] = side[same + 1] // width, side[same] // width
        return out.reshape(n, width)

    @cached_property
    def ranks(self) -> Ids:
        """The table's number of each cell of the mesh."""
        ranks = np.empty_like(self.order)
        ranks[self.order] = np.arange(len(ranks))
        return ranks

    @cached_property
    def boxes(self) -> BoxTree:
        """A tree over the bounding boxes of the cells."""
        n, dim = self.centre.shape
        low, high = np.empty((n, dim)), np.empty((n, dim))
        for kind, rows in self.of_kind():
            columns = [self.points[self.nodes[rows, v]] for v in range(kind.vertices)]
            low[rows], high[rows] = np.minimum.reduce(columns), np.maximum.reduce(columns)
        return BoxTree(low, high)

    def facet_functions(self, x: Array, cell: Ids) -> Array:
        """a + g.x of every facet (m, f), negative beyond it."""
        return self.functions(x.T, self.record.take(cell, axis=0).T).T

    def functions(self, x: Array, record: Array) -> Array:
        """The same (f, m) of points (dim, m) and the records (r, m) of their cells."""
        value = record[: self.width] * x[0]
        for d in range(1, self.dim):
            value += record[d * self.width : (d + 1) * self.width] * x[d]
        value += record[-self.width - 1 : -1]
        return value

    def invert(self, x: Array, cell: Ids) -> tuple[Array, Array, NDArray[np.bool_]]:
        """Weights, facet functions and whether the points are inside, for cells that are no simplices."""
        weights, inside = np.zeros((len(x), self.nodes.shape[1])), np.zeros(len(x), bool)
        value = np.full((len(x), self.width), np.inf)
        for kind, rows in self.of_kind(cell):
            nodes = self.nodes[cell[rows], : kind.vertices]
            w, done = reference_weights(kind, self.points[nodes], x[rows])
            for f, facet in enumerate(_facets(kind)):
                value[rows, f] = w[:, [v for v in range(kind.vertices) if v not in facet]].sum(1)
            inside[rows] = done & (w.min(1) >= -self.tiny[cell[rows]])
            w = np.maximum(w, 0)
            weights[rows, : kind.vertices] = w / w.sum(1, keepdims=True)
        return weights, value, inside

    def distance(self, x: Array, cell: Ids) -> tuple[Array, Array]:
        """Convex weights of the closest point of a cell, and its squared distance."""
        weights, squared = np.zeros((len(x), self.nodes.shape[1])), np.empty(len(x))
        for kind, rows in self.of_kind(cell):
            for part in np.array_split(rows, len(rows) // _CHUNK + 1):
                vertices = self.points[self.nodes[cell[part], : kind.vertices]]
                weights[part, : kind.vertices], squared[part] = closest_in_cell(kind, vertices, x[part])
        return weights, squared


def _facets(kind: CellKind) -> list[list[int]]:
    """Local vertices of the facets; a simplex has facet i opposite vertex i, so its functions are its weights."""
    if kind.is_simplex:
        return [[v for v in range(kind.vertices) if v != i] for i in range(kind.vertices)]
    return [list(f) for f in kind.facets]
