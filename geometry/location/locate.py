"""Point location: which cell a point lies in, and with which weights of the cell's vertices."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meshmove.geometry.arrays import Array, Ids

from ..errors import FieldError, InvalidMeshError, first_ids
from ..given import as_numbers
from ..mesh import CellMesh, meshes_of
from .asked import checked_guess, checked_points
from .celltable import CellTable
from .inverse import reference_weights
from .outline import Outline

__all__ = ["Location", "PointLocator"]


_CHUNK = 1 << 15  # points handled together: their temporaries stay in the processor's cache
_OUTSIDE = 1e-10  # in extents: from here on a point is called outside


@dataclass(frozen=True, eq=False)
class Location:
    """Where points lie in a mesh.

    `cells` (m,): the cell of each point. `nodes`, `weights` (m, vmax): its vertices and the values of their shape
    functions at the point, padded with 0. `outside` (m,): further from the mesh than rounding; such a point has the
    closest cell, and the weights of that cell's closest point.
    """

    cells: Ids
    weights: Array
    nodes: Ids
    outside: NDArray[np.bool_]

    def interpolate(self, values: NDArray) -> NDArray:
        """Vertex values (n,) or (n, k) interpolated to the points: (m,) or (m, k)."""
        return np.einsum("mv,mv...->m...", self.weights, values[self.nodes])

    def between(self, values: NDArray) -> NDArray:
        """The same of real values, without the rounding that would leave the range of those at the cell's vertices."""
        if values.dtype.kind == "c":
            return self.interpolate(values)
        nodal = values[self.nodes]
        out = np.einsum("mv,mv...->m...", self.weights, nodal)
        return np.clip(out, nodal.min(axis=1), nodal.max(axis=1))


class PointLocator:
    """Finds points in a mesh of any cell kinds.

    Points start at the cell nearest along the Z-order curve (or at a guess) and walk from cell to cell through the
    facet that they lie furthest beyond (the visibility walk of Devillers, Pion and Teillaud 2002), all at once.
    Those that meet a hole, another component or the outside are settled exactly by a tree of bounding boxes.

    Raises
    ------
    InvalidMeshError
        The mesh has no cells, or coordinates that are not finite.

    Examples
    --------
    >>> mesh = CellMesh.single([[0, 0], [1, 0], [1, 1], [0, 1]], [[0, 1, 2], [0, 2, 3]], "triangle")
    >>> where = PointLocator(mesh).find(np.array([[0.75, 2.0], [0.25, 0.5]]))
    >>> where.cells, where.outside
    (array([0, 0]), array([False,  True]))
    >>> PointLocator(mesh).interpolate(mesh.points[:, 0], [[0.75, 2.0], [0.25, 0.5]])
    array([0.75, 1.  ])
    """

    def __init__(self, mesh: CellMesh) -> None:
        meshes_of([mesh])
        if not mesh.n_cells:
            raise InvalidMeshError("Expected a mesh with cells (got none); check that the mesh was read as intended")
        bad = np.flatnonzero(~np.isfinite(mesh.points).all(1))
        if len(bad):
            raise InvalidMeshError(f"Expected finite coordinates (got NaN or infinity at points {first_ids(bad)})")
        self.mesh = mesh
        self._table = CellTable(mesh)

    def moved(self, points: Array) -> PointLocator:
        """A locator of the same cells with vertices at `points` (n, dim), in or about the box that they were in."""
        other = copy(self)
        _ = self._exposed  # where nothing is behind a facet nothing comes to be, as long as no cells overlap
        other.__dict__.pop("_outline", None)
        other.mesh, other._table = self.mesh.moved(points), self._table.moved(points)
        return other

    def find(self, points: ArrayLike, guess: ArrayLike | None = None) -> Location:
        """Locate points.

        Parameters
        ----------
        points
            Coordinates (dim, m).
        guess
            Cells (m,) from which to start: where the points were a moment ago. Only speed depends on it.

        Raises
        ------
        FieldError
            Points of another shape or not finite; a guess of another length or with unknown cells.
        """
        return self._located(points, guess, beside=False)

    def follow(self, points: ArrayLike, guess: ArrayLike) -> Location:
        """Locate points that were in the cells `guess` (m,) a moment ago, as `find` does but where they leave the mesh.

        A point just outside has the closest point of the boundary around the cell through which it left. That is the
        closest of all unless another part of the boundary is closer still, as across a thin gap; it is much quicker
        found, and it changes continuously while the point moves along.

        Raises
        ------
        FieldError
            As `find`.
        """
        return self._located(points, guess, beside=self._table.simplicial)

    def _located(self, points: ArrayLike, guess: ArrayLike | None, beside: bool) -> Location:
        table = self._table
        x = table.normalised_columns(checked_points(points, self.mesh.dim)).T
        m, v = len(x), table.nodes.shape[1]
        if guess is None:
            codes = table.curve(x)
            order = np.argsort(codes)
            start = self._seed(x, codes, order)
        else:
            order, start = None, table.ranks[checked_guess(guess, m, self.mesh.n_cells)]
            if m <= _CHUNK:
                cells, weights, outside = self._find(x, start, True, beside)
                return Location(table.order.take(cells), weights, table.nodes.take(cells, axis=0), outside)
        cells, weights, outside = np.empty(m, np.int64), np.zeros((m, v)), np.zeros(m, bool)
        for begin in range(0, m, _CHUNK):
            rows = slice(begin, begin + _CHUNK) if order is None else order[begin : begin + _CHUNK]
            cells[rows], weights[rows], outside[rows] = self._find(x[rows], start[rows], guess is not None, beside)
        return Location(table.order.take(cells), weights, table.nodes.take(cells, axis=0), outside)

    @cached_property
    def _exposed(self) -> tuple[Ids, Ids]:
        """Facets behind which there is no cell: the cell of each, and which of its facets it is."""
        cell, side = np.nonzero(self._table.neighbours < 0)
        outside = self._find(Outline.behind(self._table, cell, side), cell, False, False)[2]
        return cell[outside], side[outside]

    @cached_property
    def _outline(self) -> Outline:
        return Outline(self._table, *self._exposed)

    def interpolate(self, values: ArrayLike, points: ArrayLike, guess: ArrayLike | None = None) -> NDArray:
        """Vertex values (n,) or (n, k) at points (dim, m): (m,) or (m, k).

        Linear fields are exact on simplices, and multilinear ones on their cells; outside of the mesh the value is
        that of its closest point.

        Raises
        ------
        FieldError
            Values of another length or not finite, and as `find`.
        """
        v = as_numbers(values, "the values")
        if v.ndim not in (1, 2) or len(v) != self.mesh.n_points:
            n = self.mesh.n_points
            raise FieldError(f"Expected values of shape ({n},) or ({n}, k), one row a vertex (got {v.shape})")
        if not np.isfinite(v).all():
            raise FieldError("Expected finite values (got NaN or infinity); clean the field first")
        return self.find(points, guess).between(v)

    def _seed(self, x: Array, codes: NDArray[np.uint64], order: Ids) -> Ids:
        """The best of four cells next to each point on the curve."""
        start = np.empty(len(x), np.int64)
        places, cells = self._table.seeds
        last = len(places) - 1
        for begin in range(0, len(x), _CHUNK):
            rows = order[begin : begin + _CHUNK]
            y = x[rows]
            at = np.searchsorted(places, codes[rows])
            best, least = cells[np.clip(at, 0, last)], np.full(len(rows), np.inf)
            for shift in (-2, -1, 0, 1):
                cell = cells[np.clip(at + shift, 0, last)]
                far = ((self._table.centre[cell] - y) ** 2).sum(1)
                better = far < least
                best, least = np.where(better, cell, best), np.where(better, far, least)
            start[rows] = best
        return start

    def _find(self, x: Array, start: Ids, guessed: bool, beside: bool) -> tuple[Ids, Array, NDArray[np.bool_]]:
        cell, weights, lost = self._walk(x, start, 16 if guessed else 64)
        outside, least = np.zeros(len(x), bool), max(_OUTSIDE, 2 * self._table.rounding)
        if beside and len(lost):
            cell[lost], weights[lost], squared, astray, aside = self._outline.settle(x[lost], cell[lost])
            outside[lost] = squared > least**2
            off, lost = lost[aside], lost[astray]
            outside[lost] = False
            if len(off):
                cell[off], weights[off], gap = self._closest(x[off], cell[off])
                outside[off] = gap > least
        if guessed and len(lost):
            again = self._seed(x[lost], self._table.curve(x[lost]), np.arange(len(lost)))
            cell[lost], weights[lost], still = self._walk(x[lost], again, 64)
            lost = lost[still]
        if len(lost):
            cell[lost], weights[lost], gap = self._closest(x[lost], cell[lost])
            outside[lost] = gap > least
        return cell, weights, outside

    def _walk(self, x: Array, start: Ids, steps: int) -> tuple[Ids, Array, Ids]:
        """Cells and weights after a walk of at most so many steps, and the rows that did not arrive."""
        m, table = len(x), self._table
        final, simplicial = start.copy(), table.simplicial
        weights = np.zeros((table.nodes.shape[1], m))  # a row a vertex: reductions over vertices run along memory
        active, cell, y = np.arange(m), start, np.ascontiguousarray(x.T)
        lost = []
        for _ in range(steps):
            record = np.ascontiguousarray(table.record.take(cell, axis=0).T)
            value = table.functions(y, record)
            arrived = np.minimum.reduce(value) >= -record[-1]
            if simplicial:  # facet functions of a simplex are its weights
                if len(active) == m:
                    weights = value
                else:
                    weights[:, active] = value
            elif arrived.any():
                rows = np.flatnonzero(arrived)
                weights.T[active[rows]], inverted, arrived[rows] = table.invert(y.T[rows], cell[rows])
                value[:, rows] = inverted.T
            final[active] = cell
            go = np.flatnonzero(~arrived)
            if not len(go):
                active = go
                break
            cell, least = _beyond(value.take(go, axis=1), table.neighbours.take(cell.take(go), axis=0).T)
            free = np.flatnonzero(least < 0)
            if len(free) < len(go):
                lost.append(np.delete(active[go], free))
                go, cell = go[free], cell[free]
            active, y = active.take(go), y.take(go, axis=1)
        if simplicial:
            weights = np.maximum(weights, 0)
            weights /= np.add.reduce(weights)
        return final, weights.T, np.concatenate([*lost, active])

    def _closest(self, x: Array, cell: Ids) -> tuple[Ids, Array, Array]:
        """Exactly closest cells, the weights of their closest points, and the distances."""
        table, cell = self._table, cell.copy()
        weights, squared = table.distance(x, cell)
        for part in np.array_split(np.arange(len(x)), len(x) // 2048 + 1):
            point, box, gap = table.boxes.near(x[part], squared[part])
            point = part[point]
            # the nearest box of each point first: its distance prunes most of the others
            first = np.lexsort((gap, point))
            first = first[np.r_[True, np.diff(point[first]) > 0]] if len(first) else first
            for pairs in (first, np.arange(len(point))):
                pairs = pairs[gap[pairs] < squared[point[pairs]]]
                w, s = table.distance(x[point[pairs]], box[pairs])
                best = np.lexsort((s, point[pairs]))
                best = best[np.r_[True, np.diff(point[pairs][best]) > 0]] if len(best) else best
                best = best[s[best] < squared[point[pairs][best]]]
                target = point[pairs][best]
                cell[target], weights[target], squared[target] = box[pairs][best], w[best], s[best]
        if not table.simplicial:
            self._curve(x, cell, weights, squared)
        return cell, weights, np.sqrt(squared)

    def _curve(self, x: Array, cell: Ids, weights: Array, squared: Array) -> None:
        """Turn weights in a part of a cell into the cell's shape functions, in place."""
        table = self._table
        # between the curved facet of a cell and its flat parts: inside after all
        near, found, lost = self._walk(x, cell, 8)
        arrived = np.ones(len(x), bool)
        arrived[lost] = False
        cell[arrived], weights[arrived], squared[arrived] = near[arrived], found[arrived], 0
        for kind, rows in table.of_kind(cell[lost]):
            rows = lost[rows]
            vertices, w = table.points[table.nodes[cell[rows], : kind.vertices]], weights[rows, : kind.vertices]
            closest = np.einsum("mv,mvd->md", w, vertices)
            shape, done = reference_weights(kind, vertices, closest, w @ kind.reference)
            done = done & (shape.min(1) > -1e-3)
            shape = np.maximum(shape[done], 0)
            rows = rows[done]
            weights[rows, : kind.vertices] = shape / shape.sum(1, keepdims=True)
            place = np.einsum("mv,mvd->md", weights[rows, : kind.vertices], vertices[done])
            squared[rows] = ((x[rows] - place) ** 2).sum(1)


def _beyond(value: Array, behind: Ids) -> tuple[Ids, Array]:
    """The cells (m,) behind the facets whose functions (f, m) are least, and how much that is, of those facets behind
    which (f, m) there is a cell; where there is none, infinity."""
    np.putmask(value, behind < 0, np.inf)
    cell, least = behind[0], value[0]
    for other, here in zip(behind[1:], value[1:], strict=True):
        cell, least = np.where(here < least, other, cell), np.minimum(here, least)
    return cell, least
