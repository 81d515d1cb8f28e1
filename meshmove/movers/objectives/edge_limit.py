"""A limit to the stretching of edges on curved boundaries."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from meshmove.geometry.arrays import Array

__all__ = ["EdgeLimit"]


#: an edge may become this many times as long for free, so that it cuts off LIMIT^2 as much of the curve
LIMIT = 1.5
STIFFNESS = 50.0


class EdgeLimit:
    """Penalty w max(0, |e|^2 / (LIMIT |e0|)^2 - 1)^2 on edges (e, 2), w a multiple of a cell's volume.

    Nodes glide on the original boundary, but the moved boundary is made of chords: a long chord on a circle takes a
    piece of the domain away.
    """

    def __init__(self, points: Array, edges: NDArray[np.int64], volume: float) -> None:
        self._edges, self._weight = edges, STIFFNESS * volume
        self._free = LIMIT**2 * ((points[edges[:, 1]] - points[edges[:, 0]]) ** 2).sum(axis=1)

    def __call__(self, points: Array) -> tuple[float, Array]:
        """Penalty and its gradient (n, dim)."""
        i, j = self._edges.T
        along = points[j] - points[i]
        excess = np.maximum((along**2).sum(axis=1) / self._free - 1, 0)
        pull = (4 * self._weight * excess / self._free)[:, None] * along
        gradient = np.zeros_like(points)
        np.add.at(gradient, j, pull)
        np.add.at(gradient, i, -pull)
        return float(self._weight * (excess**2).sum()), gradient

    def gauss_newton(self, points: Array) -> csr_matrix:
        """Positive semidefinite part of the second derivative, (n dim, n dim)."""
        n, d = points.shape
        i, j = self._edges.T
        along = points[j] - points[i]
        excess = np.maximum((along**2).sum(axis=1) / self._free - 1, 0)
        active = np.flatnonzero(excess)
        i, j, along, free = i[active], j[active], along[active], self._free[active]
        # 2 w (grad r)(grad r)^T, and 2 w (r - 1) times the second derivative of r = |e|^2 / free
        local = 8 * self._weight * np.einsum("ea,eb->eab", along, along) / (free**2)[:, None, None]
        local += (4 * self._weight * excess[active] / free)[:, None, None] * np.eye(d)
        at = {node: (ids[:, None] * d + np.arange(d)) for node, ids in (("i", i), ("j", j))}
        parts = [(at[a], at[b], 1.0 if a == b else -1.0) for a in "ij" for b in "ij"]
        rows = np.concatenate([np.repeat(r[:, :, None], d, axis=2).ravel() for r, _, _ in parts])
        cols = np.concatenate([np.repeat(c[:, None, :], d, axis=1).ravel() for _, c, _ in parts])
        data = np.concatenate([sign * local.ravel() for _, _, sign in parts])
        return csr_matrix((data, (rows, cols)), shape=(n * d, n * d))

    def stretch(self, points: Array) -> float:
        """Largest ratio of a length to the original one."""
        i, j = self._edges.T
        squared = ((points[j] - points[i]) ** 2).sum(axis=1)
        return float(LIMIT * np.sqrt((squared / self._free).max(initial=0)))
