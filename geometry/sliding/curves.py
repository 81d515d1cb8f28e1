"""Curves through the nodes of chains, in the plane and in space, and the closest point on them.

An edge of a chain stands for a piece of a curve: of a circle, where consecutive nodes lie on one, so that nodes on a
meshed circle glide on the circle itself; else of a parabola, which bulges over its edge as the circles through its two
ends and their neighbours do on average. Straight chains stay straight.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from meshmove.geometry.arrays import Array, Ids

from .chains import KINK, Chains, Circles, circles_of, in_space

__all__ = ["Curves", "curves_of"]


#: middle nodes of second-order cells within this share of a bulge lie on the circle
NEAR = 0.02
#: Newton's steps to the closest point of a parabola
NEWTON = 8
#: a step shorter than this was the last: the next would be its square
SETTLED = 1e-9


def curves_of(points: Array, chains: Chains, known: Array | None = None) -> Curves:
    """The curves that chains stand for; `known` (e, dim) are bulges that the mesh tells, NaN elsewhere."""
    circles = circles_of(points, chains.edges, chains.neighbours)
    one, other = (_bulges(points, chains.edges, circles, side) for side in (0, 1))
    begins, ends = (chains.neighbours[chains.edges[:, side], :1] < 0 for side in (0, 1))
    one, other = np.where(begins, other, one), np.where(ends, one, other)  # at corners the other end tells alone
    bulge = _blended(one, other)
    arc = np.full(len(chains.edges), -1)
    for node in chains.edges.T[::-1]:
        arc = np.where(circles.shared[node], node, arc)
    on = np.flatnonzero(arc >= 0)
    bulge[on] = np.where((arc[on] == chains.edges[on, 0])[:, None], one[on], other[on])
    if known is not None:
        told = ~np.isnan(known[:, 0])
        size = np.linalg.norm(np.nan_to_num(known), axis=1)
        near = np.linalg.norm(np.nan_to_num(known) - bulge, axis=1) <= NEAR * size
        told &= (arc < 0) | ((size > 0) & ~near)  # circles that agree with middle nodes, or are all there is, stand
        bulge[told], arc[told] = known[told], -1
    return Curves(points, chains, bulge, arc, circles)


def _bulges(points: Array, edges: Ids, circles: Circles, side: int) -> Array:
    """From the middle of each edge to the circle of its end `side`, (e, dim); 0 where there is none."""
    node = edges[:, side]
    a, b = points[edges[:, 0]], points[edges[:, 1]]
    out = (a + b) / 2 - circles.centre[node]
    height = np.linalg.norm(out, axis=1, keepdims=True)
    radius = circles.radius[node, None]
    half = ((b - a) ** 2).sum(1, keepdims=True) / 4
    # radius - height without cancellation; more than a quarter of a circle to an edge is none
    bulge = np.where(radius > 0, out / np.maximum(height, 1e-300) * half / np.maximum(radius + height, 1e-300), 0.0)
    return np.where(half > radius**2 / 2, 0.0, bulge)


def _blended(one: Array, other: Array) -> Array:
    """Mean of two bulges; where they differ much the curve begins or ends to bend there, and the smaller one counts."""
    p, q = np.linalg.norm(one, axis=1), np.linalg.norm(other, axis=1)
    least = np.minimum(p, q)
    mean = (one + other) / 2
    size = np.linalg.norm(mean, axis=1)
    return mean * (np.minimum(size, KINK * least) / np.maximum(size, 1e-300))[:, None]


class Curves:
    """Pieces of curves over the edges of chains.

    `bulge` (e, dim) leads from the middle of each edge to the curve; `arc` (e,) is a node whose circle the piece is
    part of, -1 for a parabola.
    """

    def __init__(self, points: Array, chains: Chains, bulge: Array, arc: Ids, circles: Circles) -> None:
        self.edges, self.chain, self.bulge = chains.edges, chains.chain, bulge
        self._a, self._b = points[chains.edges[:, 0]], points[chains.edges[:, 1]]
        self._radius = np.where(arc >= 0, circles.radius[arc], 0.0)
        self._centre, self._axis = circles.centre[arc], circles.axis[arc]
        self._neighbours, self._circles = chains.neighbours, circles
        #: an extra coordinate keeps the search on the node's own chain, however close another one passes
        self._apart = 4 * max(float(np.ptp(points, axis=0).max()), 1e-300)

    def tangents(self, points: Array) -> Array:
        """Unit tangents (n, dim) at the nodes of curves, 0 at corners and elsewhere."""
        ordinary = self._neighbours[:, 0] >= 0
        along = np.where(ordinary[:, None], points[self._neighbours[:, 1]] - points[self._neighbours[:, 0]], 0.0)
        circle = self._circles
        round_ = np.cross(circle.axis, in_space(points - circle.centre))[:, : points.shape[1]]
        along = np.where((circle.radius > 0)[:, None], round_, along)
        return along / np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-300)

    def index(self, used: NDArray[np.bool_]) -> None:
        """Make the edges of the mask (e,) ready for `project`."""
        ids = np.flatnonzero(used)
        length = np.linalg.norm(self._b[ids] - self._a[ids], axis=1)
        # samples close enough together that a short edge never hides a long one
        count = np.clip(np.ceil(4 * length / max(np.median(length), 1e-300)), 4, 64).astype(int)
        self._sampled = np.repeat(ids, count)
        t = (np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + 0.5) / np.repeat(count, count)
        samples = self._at(self._sampled, t[:, None])
        self._tree = cKDTree(np.c_[samples, self.chain[self._sampled] * self._apart])

    def project(self, x: Array, chain: Ids) -> tuple[Array, Array]:
        """Closest points (m, dim) on the given chains (m,), and the unit tangents there (m, dim)."""
        k = min(3, len(self._sampled))
        _, found = self._tree.query(np.c_[x, chain * self._apart], k=k)
        edge = self._sampled[found.reshape(-1)]
        closest, along = self._on_edge(np.repeat(x, k, axis=0), edge)
        distance = ((closest - np.repeat(x, k, axis=0)) ** 2).sum(1).reshape(-1, k)
        best = distance.argmin(1) + k * np.arange(len(x))
        return closest[best], along[best]

    def _at(self, edge: Ids, t: Array) -> Array:
        return self._a[edge] * (1 - t) + self._b[edge] * t + 4 * t * (1 - t) * self.bulge[edge]

    def _on_edge(self, x: Array, edge: Ids) -> tuple[Array, Array]:
        a, b = self._a[edge], self._b[edge]
        along = b - a
        t = np.clip(((x - a) * along).sum(1) / (along * along).sum(1), 0, 1)[:, None]
        closest = a + t * along
        arc = self._radius[edge] > 0
        bent = np.flatnonzero(~arc & (self.bulge[edge] != 0).any(axis=1))
        if len(bent):
            t[bent], along[bent] = self._on_parabola(x[bent], edge[bent], t[bent])
            closest[bent] = self._at(edge[bent], t[bent])
        closest = np.where(t == 1, b, np.where(t == 0, a, closest))  # the end itself, not a rounding error beside it
        if arc.any():
            closest[arc], along[arc] = self._on_arc(x[arc], edge[arc])
        return closest, along / np.linalg.norm(along, axis=1, keepdims=True)

    def _on_parabola(self, x: Array, edge: Ids, t: Array) -> tuple[Array, Array]:
        """Parameter of the closest point and the tangent there, by Newton's method from the foot on the chord."""
        along, bulge = self._b[edge] - self._a[edge], self.bulge[edge]
        for _ in range(NEWTON):
            off, slope = self._at(edge, t) - x, along + 4 * (1 - 2 * t) * bulge
            square = (slope * slope).sum(1, keepdims=True)
            bend = square - 8 * (off * bulge).sum(1, keepdims=True)
            step = (off * slope).sum(1, keepdims=True) / np.where(bend > 0.1 * square, bend, square)
            t, old = np.clip(t - step, 0, 1), t
            if np.abs(t - old).max() <= SETTLED:
                break
        return t, along + 4 * (1 - 2 * t) * bulge

    def _on_arc(self, x: Array, edge: Ids) -> tuple[Array, Array]:
        a, b, c, r = self._a[edge], self._b[edge], self._centre[edge], self._radius[edge, None]
        axis, dim = self._axis[edge], x.shape[1]
        ray = in_space(x - c)
        ray = (ray - axis * (axis * ray).sum(1, keepdims=True))[:, :dim]
        on = c + r * ray / np.maximum(np.linalg.norm(ray, axis=1, keepdims=True), 1e-300)
        u, v, w = (in_space(y - c) for y in (a, b, on))

        def turn(p: Array, q: Array) -> Array:
            return (axis * np.cross(p, q)).sum(1)

        way = np.sign(turn(u, v))
        inside = (way * turn(u, w) >= 0) & (way * turn(w, v) >= 0)
        to_a = ((on - a) ** 2).sum(1) <= ((on - b) ** 2).sum(1)
        on = np.where(inside[:, None], on, np.where(to_a[:, None], a, b))
        return on, np.cross(axis, in_space(on - c))[:, :dim]
