"""Layers of cells of others around what a process owns: there, patches of vertices are whole."""

from __future__ import annotations

import numpy as np

from meshmove.geometry import CellMesh
from meshmove.geometry.arrays import Array, Ids
from meshmove.geometry.cells import kind_of

from .layout import Layout, by_process
from .mesh import DistributedMesh
from .ranks import Ranks

__all__ = ["Overlap", "overlap_of"]


#: layers of cells: the patches from which derivatives are recovered grow to three rings of neighbours
LAYERS = 3
#: cells are numbered by process and within it
SHIFT = np.int64(1) << 40


class Overlap:
    """A mesh of a process's cells and those around the vertices that it owns, which come first, in their order.

    `at` (n,): which of its vertices each one of the piece is, -1 for ghosts of no cell. `cell` (m,): numbers of its
    cells, by process and within it.
    """

    def __init__(self, mesh: CellMesh, layout: Layout, at: Ids, cell: Ids) -> None:
        self.mesh, self.layout, self.at = mesh, layout, at
        self._process, self._row = np.divmod(cell, SHIFT)

    def spread(self, values: Array) -> Array:
        """Values (n, ...) of the piece, at the vertices of the overlap."""
        out = np.zeros((self.mesh.n_points, *values.shape[1:]), values.dtype)
        here = self.at >= 0
        out[self.at[here]] = values[here]
        return self.layout.update(out)

    def of_cells(self, values: Array) -> Array:
        """Values (m, ...) of the cells of the piece, at all cells of the overlap."""
        swap, rows = self.layout.ranks.swap, by_process(self._process)
        asked = swap({k: self._row[at] for k, at in rows.items()})
        out = np.empty((len(self._row), *values.shape[1:]), values.dtype)
        for k, came in swap({k: values[wanted] for k, wanted in asked.items()}).items():
            out[rows[k]] = came
        return out

    def taken(self, values: Array) -> Array:
        """The other way: values at the vertices of the piece, right where they are owned; zero at ghosts of no cell."""
        return np.where((self.at >= 0).reshape(-1, *[1] * (values.ndim - 1)), values[self.at], 0)


def overlap_of(mesh: DistributedMesh, ranks: Ranks, layout: Layout, points: Array) -> Overlap:
    """`points` (n, dim): where the vertices of the piece are."""
    v = mesh.cells.shape[1]
    own = np.concatenate([
        (ranks.rank * SHIFT + np.arange(len(mesh.cells)))[:, None],
        mesh.global_ids[mesh.cells],
        mesh.owners[mesh.cells],
        np.reshape(0 * mesh.cells[:, 0] if mesh.regions is None else mesh.regions, (-1, 1)),
    ], axis=1)  # fmt: skip
    stars = _Stars(own, mesh, ranks)
    cells, known = _unique(np.concatenate([own, stars.rows])), mesh.global_ids[: mesh.n_owned]
    for _ in range(LAYERS - 1):
        new, owner = _vertices(cells, v, known)
        known = np.union1d(known, new)
        cells = _unique(np.concatenate([cells, stars.around(new, owner)]))
    return _assembled(cells, mesh, ranks, layout, points)


def _unique(cells: Ids) -> Ids:
    return cells[np.unique(cells[:, 0], return_index=True)[1]]


def _vertices(cells: Ids, v: int, known: Ids) -> tuple[Ids, Ids]:
    """Global numbers and owners of the vertices of cells that are not yet known."""
    ids, first = np.unique(cells[:, 1 : 1 + v], return_index=True)
    new = ~np.isin(ids, known, assume_unique=True)
    return ids[new], cells[:, 1 + v : 1 + 2 * v].ravel()[first[new]]


class _Stars:
    """All cells around the vertices that a process owns, also those of others: `rows` (k, 2 + 2 v)."""

    def __init__(self, own: Ids, mesh: DistributedMesh, ranks: Ranks) -> None:
        self._ranks, v = ranks, mesh.cells.shape[1]
        parts = {}
        foreign = np.unique(mesh.owners[mesh.cells])
        for k in foreign[foreign != ranks.rank]:
            parts[int(k)] = own[(own[:, 1 + v : 1 + 2 * v] == k).any(axis=1)]
        came = ranks.swap(parts)
        self.rows = np.concatenate([own, *(came[k] for k in sorted(came))])
        corner, owner = (self.rows[:, a : a + v].ravel() for a in (1, 1 + v))
        of = np.flatnonzero(owner == ranks.rank)
        order = of[np.argsort(corner[of], kind="stable")]
        self._vertex, self._cell = corner[order], order // v

    def around(self, ids: Ids, owners: Ids) -> Ids:
        """The cells around vertices that others own."""
        asked = self._ranks.swap({k: ids[rows] for k, rows in by_process(owners).items()})
        found = {}
        for k, wanted in asked.items():
            low, high = (np.searchsorted(self._vertex, wanted, side) for side in ("left", "right"))
            found[k] = self.rows[np.unique(self._cell[_ranges(low, high)])]
        came = self._ranks.swap(found)
        return np.concatenate([self.rows[:0], *(came[k] for k in sorted(came))])


def _ranges(low: Ids, high: Ids) -> Ids:
    """low[0], ..., high[0] - 1, low[1], ..."""
    count = high - low
    first = np.cumsum(count) - count
    return np.repeat(low - first, count) + np.arange(count.sum())


def _assembled(cells: Ids, mesh: DistributedMesh, ranks: Ranks, layout: Layout, points: Array) -> Overlap:
    v = mesh.cells.shape[1]
    owned = mesh.global_ids[: mesh.n_owned]
    ghosts, owner = _vertices(cells, v, owned)
    ids = np.concatenate([owned, ghosts])
    owners = np.concatenate([np.full(len(owned), ranks.rank), owner])
    order = np.argsort(ids, kind="stable")
    nodes = order[np.searchsorted(ids[order], cells[:, 1 : 1 + v])]
    place = np.searchsorted(ids[order], mesh.global_ids).clip(max=max(len(ids) - 1, 0))
    at = order[place] if len(ids) else np.zeros(0, np.int64)
    at = np.where(ids[at] == mesh.global_ids, at, -1) if len(ids) else np.full(len(mesh.points), -1)
    shared = Layout(ranks, ids, owners, len(owned))
    x = np.zeros((len(ids), mesh.dim))
    x[: len(owned)] = points[: len(owned)]
    regions = None if mesh.regions is None else cells[:, -1]
    whole = CellMesh.single(shared.update(x), nodes.reshape(-1, v), kind_of(mesh.kind).name, regions=regions)
    return Overlap(whole, shared, at, cells[:, 0])
