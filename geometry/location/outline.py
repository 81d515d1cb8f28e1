"""The boundary of a mesh of simplices, on which the closest point of a moving point is followed from facet to facet."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from meshmove.geometry.arrays import Array, Ids

from .celltable import CellTable

__all__ = ["Outline"]


#: facets that a point may pass in one go
_STEPS = 16
#: a foot this close to the rim of its facet, in barycentric coordinates, may be closer on a facet beside it
_RIM = 1e-12
#: a point this far off its facet, in lengths of the facet, is not beside it any more
_BESIDE = 0.5
#: behind a facet is this far from it, in heights of its cell
_BEHIND = 0.25


class Outline:
    """Facets (k, dim) of a table of simplices behind which there is no cell.

    `cell`, `side` (k,): the cell of each, and which of its facets it is.
    """

    def __init__(self, table: CellTable, cell: Ids, side: Ids) -> None:
        self._table = table
        width = table.width
        self.cell, self.side = cell, side
        self._facet = np.full((len(table.nodes), width), -1)
        self._facet[self.cell, self.side] = np.arange(len(self.cell))
        #: local numbers (k, dim) of its vertices in the cell
        self.local = np.array([[v for v in range(width) if v != f] for f in range(width)])[self.side]
        nodes = np.take_along_axis(table.nodes[self.cell], self.local, 1)
        x = table.points.T[:, nodes]  # (dim, k, dim)
        self._first = np.ascontiguousarray(x[:, :, 0])
        self._edges = [np.ascontiguousarray(x[:, :, j] - x[:, :, 0]) for j in range(1, table.dim)]
        last = [] if table.dim == 2 else [self._edges[1] - self._edges[0]]
        self._square = np.max([(e * e).sum(0) for e in [*self._edges, *last]], axis=0, initial=0)
        k = len(nodes)
        touches = csr_matrix(
            (np.ones(nodes.size), nodes.ravel(), np.arange(0, nodes.size + 1, table.dim)), shape=(k, len(table.points))
        )
        #: of every facet those that share a vertex with it, itself included
        self._ring = (touches @ touches.T).tocsr()
        self._ring.sort_indices()

    @staticmethod
    def behind(table: CellTable, cell: Ids, side: Ids) -> Array:
        """Points (k, dim) a little behind facets: in another cell where the mesh goes on there without sharing them, as
        where the two halves of a face are cut along its two diagonals."""
        x = table.points[table.nodes[cell]]
        opposite = x[np.arange(len(cell)), side]
        centre = (x.sum(axis=1) - opposite) / table.dim
        return centre + _BEHIND * (centre - opposite)

    def settle(self, x: Array, cell: Ids) -> tuple[Ids, Array, Array, Ids, Ids]:
        """The boundary's points close to points (m, dim) that left the mesh through a facet of `cell` (m,).

        Closest cells, weights (m, dim+1) there, squared distances; the rows on the inner side of the boundary around
        their cell, where a straight walk led out across a bay, which keep the cell; and those too far out for the
        closest point around it to be that of all: their cell is the one with that point, a bound on the distance.
        """
        cell, aside = cell.copy(), np.zeros(len(x), bool)
        weights, squared = np.zeros((len(x), self._table.width)), np.full(len(x), np.inf)
        beyond = self._table.facet_functions(x, cell)
        beyond[self._facet[cell] < 0] = np.inf
        side = beyond.argmin(1)
        rows = np.flatnonzero(beyond[np.arange(len(x)), side] < 0)
        if len(rows):
            facet = self._facet[cell[rows], side[rows]]
            facet, inner, gap = self._descended(np.ascontiguousarray(x[rows].T), facet)
            before = self._table.facet_functions(x[rows], self.cell[facet])[np.arange(len(rows)), self.side[facet]] < 0
            near = before & (gap <= _BESIDE**2 * self._square[facet])
            off = before & ~near
            cell[rows[off]], aside[rows[off]] = self.cell[facet[off]], True
            of_facet = np.stack([1 - np.add.reduce(inner), *inner], axis=1)
            rows, facet, of_facet, gap = rows[near], facet[near], of_facet[near], gap[near]
            cell[rows], squared[rows] = self.cell[facet], gap
            weights[rows[:, None], self.local[facet]] = of_facet
        return cell, weights, squared, np.flatnonzero(np.isinf(squared) & ~aside), np.flatnonzero(aside)

    def _descended(self, x: Array, facet: Ids) -> tuple[Ids, list[Array], Array]:
        """Facets on which points (dim, m) have locally closest points, their coordinates, and squared distances."""
        inner, squared = self._foot(x, facet)
        facet = facet.copy()
        active = np.flatnonzero(_on_rim(inner))
        for _ in range(_STEPS):
            if not len(active):
                break
            start, count = (self._ring.indptr[facet[active] + k] for k in (0, 1))
            count = count - start
            first = np.cumsum(count) - count
            row = np.repeat(np.arange(len(active)), count)
            beside = self._ring.indices[np.arange(len(row)) + np.repeat(start - first, count)].astype(np.int64)
            there, s = self._foot(x[:, active[row]], beside)
            least = np.minimum.reduceat(s, first)
            best = np.flatnonzero(s == least[row])
            best = best[np.r_[True, np.diff(row[best]) > 0]]
            closer = least < squared[active]
            best, active = best[closer], active[closer]
            facet[active], squared[active] = beside[best], s[best]
            for column, found in zip(inner, there, strict=True):
                column[active] = found[best]
            active = active[_on_rim([column[active] for column in inner])]
        return facet, inner, squared

    def _foot(self, x: Array, facet: Ids) -> tuple[list[Array], Array]:
        """Barycentric coordinates but the first of the facets' points closest to x (dim, m), and squared distances."""
        off = x - self._first[:, facet]
        edges = [e[:, facet] for e in self._edges]
        inner = [_clipped(off, edges[0])] if len(edges) == 1 else _in_triangle(off, *edges)
        for s, e in zip(inner, edges, strict=True):
            off = off - s * e
        return inner, _dot(off, off)


def _dot(a: Array, b: Array) -> Array:
    return np.einsum("cm,cm->m", a, b)


def _clipped(off: Array, edge: Array) -> Array:
    return np.clip(_dot(off, edge) / np.maximum(_dot(edge, edge), 1e-300), 0, 1)


def _in_triangle(w: Array, u: Array, v: Array) -> list[Array]:
    """s, t >= 0, s + t <= 1 for which s u + t v is closest to w."""
    uu, uv, vv, wu, wv = _dot(u, u), _dot(u, v), _dot(v, v), _dot(w, u), _dot(w, v)
    det = np.maximum(uu * vv - uv * uv, 1e-300)
    s, t = (vv * wu - uv * wv) / det, (uu * wv - uv * wu) / det
    out = np.flatnonzero((s < 0) | (t < 0) | (s + t > 1))
    if len(out):
        uu, uv, vv, wu, wv = uu[out], uv[out], vv[out], wu[out], wv[out]
        along_u = np.clip(wu / np.maximum(uu, 1e-300), 0, 1)
        along_v = np.clip(wv / np.maximum(vv, 1e-300), 0, 1)
        across = np.clip((wv - wu + uu - uv) / np.maximum(uu - 2 * uv + vv, 1e-300), 0, 1)
        nought = np.zeros_like(uu)
        sides = [(along_u, nought), (nought, along_v), (1 - across, across)]
        gaps = np.stack([a * (a * uu + 2 * (b * uv - wu)) + b * (b * vv - 2 * wv) for a, b in sides])
        best = gaps.argmin(0)[None]
        s[out], t[out] = (np.take_along_axis(np.stack(c), best, 0)[0] for c in zip(*sides, strict=True))
    return [s, t]


def _on_rim(inner: list[Array]) -> NDArray[np.bool_]:
    coordinates = np.stack([1 - np.add.reduce(inner), *inner])
    return coordinates.min(axis=0) <= _RIM
