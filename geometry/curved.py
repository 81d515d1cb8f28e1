"""Second-order cells: where mid-side nodes go when their vertices move.

A mid-side node is the mean of its edge's ends plus a *bulge*. When the edge moves, the bulge turns with it and grows
with the square of its length: a parabola through three points of a circle then stays on the circle, up to fourth order.
Nodes amid faces and cells follow the edges around them, by serendipity interpolation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from meshmove.geometry.arrays import Array, Ids

from .cells.curvilinear import QUADRATIC
from .mesh import CellBlock, CellMesh

__all__ = ["MidNodes", "turned"]


class MidNodes:
    """The mid-side nodes of a mesh whose `lift` and `nodes` know of them.

    `ids` (k,) are nodes of the library's mesh, `ends` (k, 2) the vertices of their edges, `bulge` (k, dim).
    """

    def __init__(self, mesh: CellMesh) -> None:
        self._mesh = mesh
        self.ids, self.ends = np.zeros(0, np.int64), np.zeros((0, 2), np.int64)
        self.bulge = np.zeros((0, mesh.dim))
        self._centres: _Centres | None = None
        if mesh.lift is None or mesh.nodes is None:
            return
        self.ids = np.flatnonzero(np.diff(mesh.lift.indptr) == 2)
        self.ends = np.stack([mesh.lift.indices[mesh.lift.indptr[self.ids] + k] for k in (0, 1)], axis=1).astype(
            np.int64
        )
        self.bulge = mesh.nodes[self.ids] - mesh.points[self.ends].mean(axis=1)
        size = np.linalg.norm(self._chords(mesh.points), axis=1)
        self.bulge[np.linalg.norm(self.bulge, axis=1) <= 1e-12 * size] = 0  # straight edges stay straight
        self._centres = _centres(mesh)

    @property
    def curved(self) -> bool:
        return bool(self.bulge.any())

    def _chords(self, points: Array) -> Array:
        return points[self.ends[:, 1]] - points[self.ends[:, 0]]

    def bulges(self, points: Array) -> Array:
        """Bulges (k, dim) when the vertices are at `points` (n, dim)."""
        old, new = self._chords(self._mesh.points), self._chords(points)
        before, after = (np.linalg.norm(c, axis=1, keepdims=True) for c in (old, new))
        u, v = old / before, new / np.maximum(after, 1e-300)
        return turned(self.bulge, u, v) * (after / before) ** 2

    def displacement(self, step: Array, bend: Array | float = 1.0, bulges: Array | None = None) -> Array:
        """Displacement (n_nodes, dim) of all nodes, for that of the vertices (n, dim).

        `bend`, one number or one for each mid-side node: the share of the bulge that is kept. 0 makes edges straight.
        `bulges` (k, dim) are those to have then, where they are known better than by turning the old ones.
        """
        out = self._mesh.lifted(step)
        if self.curved:
            new = self.bulges(self._mesh.points + step) if bulges is None else bulges
            keep = np.broadcast_to(bend, len(self.ids))[:, None]
            bent = np.where(keep == 1, new, keep * new) - self.bulge
            # a node between vertices that stayed is bit for bit where it was
            bent[np.abs(step[self.ends]).max(axis=(1, 2)) == 0] = 0
            out[self.ids] += bent
        if self._centres is not None and (self.curved or self._centres.offset.any()):
            c = self._centres
            grown = c.size(self._mesh.points + step) / c.size(self._mesh.points) - 1
            out[c.ids] = c.weights @ out + grown[:, None] * c.offset
        return out


@dataclass(frozen=True, eq=False)
class _Centres:
    """Nodes amid faces and cells: at `weights` @ nodes plus `offset`, which grows with the size of what is around."""

    ids: Ids
    parents: csr_matrix  # (c, n): means over the vertices around
    weights: csr_matrix  # (c, n_nodes): serendipity interpolation
    offset: Array

    def size(self, points: Array) -> Array:
        """Spread (c,) of the vertices around."""
        mean = self.parents @ points
        return np.sqrt(np.maximum((self.parents @ points**2 - mean**2).sum(axis=1), 1e-300))


#: of the vertices and of the mid-side nodes around a triangle, a quadrilateral and a hexahedron, by number of vertices
_SERENDIPITY = {3: (-1 / 9, 4 / 9), 4: (-1 / 4, 1 / 2), 8: (-1 / 4, 1 / 4)}


def _centres(mesh: CellMesh) -> _Centres | None:
    if mesh.lift is None or mesh.nodes is None:
        return None
    found = [part for block in mesh.blocks for part in _around(block)]
    if not found:
        return None
    count = np.cumsum([0, *(len(ids) for ids, _, _ in found)])
    rows, columns, weights = [], [], []
    for first, (ids, vertices, middles) in zip(count, found, strict=False):
        for nodes, weight in zip((vertices, middles), _SERENDIPITY[vertices.shape[1]], strict=True):
            rows.append(np.repeat(first + np.arange(len(ids)), nodes.shape[1]))
            columns.append(nodes.ravel())
            weights.append(np.full(nodes.size, weight))
    shape = (int(count[-1]), mesh.n_nodes)
    matrix = csr_matrix((np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns))), shape=shape)
    at, once = np.unique(np.concatenate([ids for ids, _, _ in found]), return_index=True)  # two cells share a face
    matrix, parents = matrix[once], mesh.lift[at]
    centres = _Centres(at, parents, matrix, mesh.nodes[at] - matrix @ mesh.nodes)
    small = np.linalg.norm(centres.offset, axis=1) <= 1e-12 * centres.size(mesh.points)
    centres.offset[small] = 0
    return centres


def _around(block: CellBlock) -> Iterator[tuple[Ids, Ids, Ids]]:
    """Nodes (c,) amid faces and cells of a block, and the vertices and mid-side nodes around each, (c, k)."""
    if block.second is None or block.second_nodes is None:
        return
    first, parents = block.kind.vertices, QUADRATIC[block.second][1]
    for k, vertices in enumerate(parents, start=first):
        if len(vertices) > 2:
            middles = [first + j for j, p in enumerate(parents) if len(p) == 2 and set(p) <= set(vertices)]
            rows = block.second_nodes[np.unique(block.second_nodes[:, k], return_index=True)[1]]
            yield rows[:, k], rows[:, list(vertices)], rows[:, middles]


def turned(b: Array, u: Array, v: Array) -> Array:
    """Vectors b (k, dim) under the smallest rotation that takes unit vectors u to v (Rodrigues).

    With s = u + v it is b - s (s.b) / (1 + u.v) + 2 v (u.b); half a turn, which no edge makes, is left out.
    """
    s = u + v
    cosine = np.maximum((u * v).sum(axis=1, keepdims=True), -0.999)
    return b - s * (s * b).sum(axis=1, keepdims=True) / (1 + cosine) + 2 * v * (u * b).sum(axis=1, keepdims=True)
