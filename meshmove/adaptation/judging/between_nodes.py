r"""How far the interpolant on a moved mesh is from what a mesh shows of a field between its nodes.

The Hessian that is recovered on a mesh says of a moved one what its interpolant misses only where it varies little over
a cell. Where cells are wider than features, long cells reach across several of them, and the descent of the predicted
error does not see it. Here the field is taken to be, between the nodes of the mesh that came,

.. math::
    \tilde u = I u - \tfrac12 \sum_{i<j} \lambda_i \lambda_j \, e_{ij}^T \tfrac{H_i + H_j}{2} e_{ij},

which is continuous and exact for quadratic fields, and the interpolant on the moved mesh is compared with it at points
inside of the moved cells. Features that the mesh does not resolve are flatter in that than they are, so that the error
is too large beside that of the mesh that came, by two to five times; it tells moves apart, not how good they are.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from meshmove.geometry import CellMesh, PointLocator
from meshmove.geometry.arrays import Array
from meshmove.geometry.quality import simplex_volumes
from meshmove.monitors import Recovery
from meshmove.monitors.standard import Standard

__all__ = ["BetweenNodes"]


#: barycentric coordinates of the points inside of a simplex that are looked at, by dimension
INSIDE = {
    2: np.array([[4, 1, 1], [1, 4, 1], [1, 1, 4], [2, 2, 2]]) / 6,
    3: np.array([[5, 1, 1, 1], [1, 5, 1, 1], [1, 1, 5, 1], [1, 1, 1, 5], [2, 2, 2, 2]]) / 8,
}


class BetweenNodes:
    """What a mesh shows of nodal fields (n, k); cells that are no simplices are split.

    Parameters
    ----------
    recovery
        Of the mesh that came.
    fields
        Values (n, k) at its vertices.
    locator
        Of that mesh, where it is one of simplices; what is split along the fields has one of its own.
    """

    def __init__(self, recovery: Recovery, fields: Array, locator: PointLocator) -> None:
        sides = recovery.sides
        self._points = sides.mesh.points
        self._values = np.stack([Standard.of(u).values[sides.vertex] for u in fields.T])
        simplices = all(b.kind.is_simplex for b in sides.mesh.blocks)
        split = sides.mesh.split_along(self._values.T)
        sided = recovery.sided if simplices else Recovery(split)
        self._corners = np.concatenate([b.nodes for b in split.blocks])
        self._nodes = sides.vertex[self._corners]
        if simplices:
            self._locator = locator
        else:
            whole = CellMesh.single(self._points_of_vertices(len(fields)), self._nodes, split.blocks[0].kind.name)
            self._locator = PointLocator(whole)
        self._hessians = np.stack([sided.hessian(u) for u in self._values])  # (k, dim, dim, s)
        self._rest = self._squares(self._points_of_vertices(len(fields)))

    def _points_of_vertices(self, n: int) -> Array:
        out = np.zeros((n, self._points.shape[1]))
        out[self._nodes] = self._points[self._corners]
        return out

    def error(self, points: Array) -> float:
        """Of the interpolant with nodes at `points` (n, dim), over that with nodes where they were: in L2.

        Several fields count by the mean of the squares.
        """
        squares = self._squares(points)
        return float(np.sqrt((squares / np.where(self._rest > 0, self._rest, 1.0)).mean()))

    def _squares(self, points: Array) -> Array:
        """Squared L2 errors (k,)"""
        rule = INSIDE[points.shape[1]]
        used = np.unique(self._nodes)
        nodal = np.zeros((len(self._values), len(points)))
        nodal[:, used] = self._shown(points[used])
        inside = np.einsum("qv,cvd->cqd", rule, points[self._nodes])
        there = self._shown(inside.reshape(-1, points.shape[1])).reshape(len(nodal), *inside.shape[:2])
        misses = there - nodal[:, self._nodes] @ rule.T
        volume = np.abs(simplex_volumes(points, self._nodes))
        return np.einsum("c,kcq->k", volume, misses**2)

    def _shown(self, points: Array) -> Array:
        """Values (k, m) at points (m, dim)."""
        where = self._locator.find(points.T)
        corners, weight = self._corners[where.cells], where.weights
        out = np.einsum("kmv,mv->km", self._values[:, corners], weight)
        for i, j in combinations(range(corners.shape[1]), 2):
            a, b = corners[:, i], corners[:, j]
            edge = self._points[b] - self._points[a]
            bend = (self._hessians[..., a] + self._hessians[..., b]) / 2
            out -= 0.5 * weight[:, i] * weight[:, j] * np.einsum("mc,kcdm,md->km", edge, bend, edge)
        return out
