"""Second-order cells: where mid-side nodes go when their edges move, and whether the curved cells stay valid.

A mid-side node is the mean of its edge's ends plus a *bulge*. When the edge moves, the bulge turns with it and grows
with the square of its length: a parabola through three points of a circle then stays on the circle, up to fourth order.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .mesh import CellMesh

__all__ = ["MidNodes"]

Array = NDArray[np.float64]
Ids = NDArray[np.int64]


class MidNodes:
    """The mid-side nodes of a mesh whose `lift` and `nodes` know of them.

    `ids` (k,) are nodes of the library's mesh, `ends` (k, 2) the vertices of their edges, `bulge` (k, dim).
    """

    def __init__(self, mesh: CellMesh) -> None:
        self._mesh = mesh
        self.ids, self.ends = np.zeros(0, np.int64), np.zeros((0, 2), np.int64)
        self.bulge = np.zeros((0, mesh.dim))
        if mesh.lift is None or mesh.nodes is None:
            return
        self.ids = np.flatnonzero(np.diff(mesh.lift.indptr) == 2)
        self.ends = np.stack([mesh.lift.indices[mesh.lift.indptr[self.ids] + k] for k in (0, 1)], axis=1).astype(
            np.int64
        )
        self.bulge = mesh.nodes[self.ids] - mesh.points[self.ends].mean(axis=1)
        size = np.linalg.norm(self._chords(mesh.points), axis=1)
        self.bulge[np.linalg.norm(self.bulge, axis=1) <= 1e-12 * size] = 0  # straight edges stay straight

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
        return _turned(self.bulge, u, v) * (after / before) ** 2

    def displacement(self, points: Array) -> Array:
        """What the bulges add to the displacement (n_nodes, dim) that `lift` gives."""
        out = np.zeros((self._mesh.n_nodes, self._mesh.dim))
        if self.curved:
            out[self.ids] = self.bulges(points) - self.bulge
        return out

    def folded(self, points: Array, nodes: Array | None) -> Ids:
        """Cells that have lost the sign of the quadratic map's Jacobian at a corner.

        `points` (n, dim) are the moved vertices, `nodes` (n_nodes, dim) all moved nodes. Along an edge from v by m to
        w the map starts in the direction -3v + 4m - w.
        """
        if not self.curved or self._mesh.nodes is None or nodes is None:
            return np.zeros(0, np.int64)
        before = self._corner_signs(self._mesh.points, self._mesh.nodes)
        after = self._corner_signs(points, nodes)
        return np.unique(self._mesh.corners[1][before * after < 0])

    def _corner_signs(self, points: Array, nodes: Array) -> Array:
        n = self._mesh.n_points
        ends = np.sort(self.ends, axis=1)
        keys = ends[:, 0] * n + ends[:, 1]
        order = np.argsort(keys)
        simplices, _ = self._mesh.corners
        v = simplices[:, 0]
        tangents = []
        for w in simplices[:, 1:].T:
            key = np.minimum(v, w) * n + np.maximum(v, w)
            at = np.searchsorted(keys[order], key).clip(max=len(keys) - 1)
            found = keys[order][at] == key
            middle = (points[v] + points[w]) / 2
            middle[found] = nodes[self.ids[order[at[found]]]]
            tangents.append(-3 * points[v] + 4 * middle - points[w])
        return np.sign(np.linalg.det(np.stack(tangents, axis=1)))


def _turned(b: Array, u: Array, v: Array) -> Array:
    """Vectors b (k, dim) under the smallest rotation that takes unit vectors u to v (Rodrigues).

    With s = u + v it is b - s (s.b) / (1 + u.v) + 2 v (u.b); half a turn, which no edge makes, is left out.
    """
    s = u + v
    cosine = np.maximum((u * v).sum(axis=1, keepdims=True), -0.999)
    return b - s * (s * b).sum(axis=1, keepdims=True) / (1 + cosine) + 2 * v * (u * b).sum(axis=1, keepdims=True)
