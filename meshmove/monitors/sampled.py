"""Second derivatives that a field gives itself, as a function of space."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry import CellBlock, CellMesh, FieldError, PointLocator, Sides
from meshmove.geometry.arrays import Array
from meshmove.geometry.refine import edges_of, refined

from .hessians import NodalHessians
from .isoparametric import add_at_vertices

__all__ = ["SampledHessians"]


#: how often a mesh is refined at most to sample the Hessian, and how many vertices that may make
LEVELS, MOST = 2, 150_000
#: degree of the rule whose points in a cell see the Hessian, by dimension: seven points in a triangle, nine in a
#: quadrilateral, four in a tetrahedron. At vertices alone a descent hides thin layers between them
INSIDE = {2: 5, 3: 2}
#: share of the points at which a Hessian may be infinite or NaN: singular points, not a function that fails
SINGULAR = 0.01
#: second differences of values over an edge h are at most this many times their differences over h^2
STEEPEST = 4.0
#: in the unit of the field's spread and of the mesh's size; squares of this are finite
INFINITE = 1e100


class SampledHessians:
    """A field's own Hessian, linear between the vertices of a mesh that is up to four times finer than its own.

    At singular points the Hessian is infinite, but no cell sees more of it than values differ there: it is limited by
    4 |u_i - u_j| / h^2, over the edges at a vertex and the shortest of them.

    Parameters
    ----------
    sides
        The field's mesh.
    value, hessian
        Of the field: (n,) and (dim, dim, n) at points (n, dim).

    Raises
    ------
    FieldError
        The Hessian is not finite at more than 1 % of the points.
    """

    def __init__(
        self, sides: Sides, mesh: CellMesh, value: Callable[[Array], Array], hessian: Callable[[Array], Array]
    ) -> None:
        fine = mesh.simplicial()
        fine = CellMesh.single(fine.points, fine.blocks[0].nodes, fine.blocks[0].kind.name)
        most = _limit(fine, value(fine.points))
        for _ in range(LEVELS):
            if fine.n_points * 2**mesh.dim > MOST:
                break
            middles = most[edges_of(fine)].mean(axis=1)
            fine, most = refined(fine), np.concatenate([most, middles])
        h = _limited(fine, hessian(fine.points), most)
        self._sides = sides
        #: of each block, the shape functions (v, k) at the points, and their weights (k,)
        self._rules = [
            (b.kind.shape(q)[0], w / w.sum())
            for b in sides.mesh.blocks
            for q, w in [b.kind.quadrature(INSIDE[mesh.dim])]
        ]
        self._fine = NodalHessians(Sides.of(fine), PointLocator(fine), h[None])

    inside = True
    fields = 1

    @property
    def blocks(self) -> tuple[CellBlock, ...]:
        return self._sides.mesh.blocks

    @property
    def vertex(self) -> NDArray[np.int64]:
        return self._sides.vertex

    def value(self, points: Array) -> Array:
        """(1, p, s) at the vertices; see `NodalHessians`."""
        return self._fine.value(points)[..., self.vertex]

    def value_and_slope(self, points: Array) -> tuple[Array, Array]:
        """The same, and its derivatives (1, p, dim, s)."""
        value, slope = self._fine.value_and_slope(points)
        return value[..., self.vertex], slope[..., self.vertex]

    def moments(self, points: Array, weight: Array) -> tuple[list[Array], Callable[[list[Array]], Array]]:
        """Means over the points of a rule in each cell; see `movers.alignment.Hessians`."""
        x = points[self.vertex].T
        inside = [x[:, b.nodes.T].transpose(0, 2, 1) @ s for b, (s, _) in zip(self.blocks, self._rules, strict=True)]
        values, slopes = self._fine.value_and_slope(np.concatenate([y.reshape(len(x), -1) for y in inside], axis=1).T)
        ends = np.cumsum([y.shape[1] * y.shape[2] for y in inside])[:-1]
        h = [v.reshape(len(v), *y.shape[1:]) for v, y in zip(np.split(values[0], ends, axis=1), inside, strict=True)]
        dh = np.split(slopes[0], ends, axis=2)

        def pulled(by_moments: list[Array]) -> Array:
            by_x = np.zeros(x.shape)
            for by, v, dv, b, (s, w) in zip(by_moments, h, dh, self.blocks, self._rules, strict=True):
                pull = 2 * float(weight[0]) * np.einsum("prm,rmk->pmk", by, v) * w
                force = np.einsum("pmk,pcmk->cmk", pull, dv.reshape(*dv.shape[:2], *v.shape[1:]))
                add_at_vertices(by_x, (force @ s.T).transpose(0, 2, 1), b.nodes.T)
            return by_x

        return [
            float(weight[0]) * np.einsum("pmk,rmk,k->prm", v, v, w, optimize=True)
            for v, (_, w) in zip(h, self._rules, strict=True)
        ], pulled


def _limit(mesh: CellMesh, u: Array) -> Array:
    """The largest norm (n,) of a Hessian that the values (n,) at the vertices allow."""
    i, j = mesh.edges.T
    length = np.sqrt(((mesh.points[i] - mesh.points[j]) ** 2).sum(axis=1))
    rise, shortest = np.zeros(len(u)), np.full(len(u), np.inf)
    for end in (i, j):
        np.maximum.at(rise, end, np.abs(u[i] - u[j]))
        np.minimum.at(shortest, end, length)
    return STEEPEST * rise / shortest**2


def _limited(mesh: CellMesh, h: Array, most: Array) -> Array:
    """Hessians (dim, dim, n) of no larger norm than `most` (n,)."""
    bad = ~(np.abs(h) < INFINITE).all(axis=(0, 1))
    if bad.sum() > SINGULAR * len(most):
        at = tuple(float(c) for c in mesh.points[np.flatnonzero(bad)[0]])
        raise FieldError(
            f"Expected finite second derivatives of the field (its `hessian` gave NaN or infinity at {bad.sum()} of "
            f"{len(most)} points, the first of them {at} in the mesh's unit box). Pass nodal values, which they are "
            "then recovered from"
        )
    h = np.where(bad, most * np.eye(mesh.dim)[:, :, None], h)
    norm = np.sqrt((h**2).sum(axis=(0, 1)))
    return h * np.minimum(1, most / np.where(norm > 0, norm, 1))
