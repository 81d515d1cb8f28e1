"""The closest point on smooth patches over triangles.

A patch is a quadratic triangle: through the vertices of its flat triangle, and over the middle of each side by that
side's *bulge*. Patches that share a side share its parabola, so that the surface has no gaps.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from meshmove.geometry.arrays import Array, Ids
from meshmove.geometry.closest import closest_on_triangles

__all__ = ["Patches"]


#: samples of a patch by which the search finds it, and how many of them it looks at, the closest first
SAMPLES = np.array([[1, 1, 1], [4, 1, 1], [1, 4, 1], [1, 1, 4]]) / np.array([[3], [6], [6], [6]])
LOOK = 10
#: coordinates further from a side than this are inside
INSIDE = 1e-9
#: steps of Newton's method at most
NEWTON = 10
#: a step shorter than this was the last: the next would be its square
SETTLED = 1e-9


def _dot(a: Array, b: Array) -> Array:
    return np.einsum("md,md->m", a, b)


class Patches:
    """Quadratic triangles, each with the label of the surface that it is part of.

    Parameters
    ----------
    vertices
        Corners (t, 3, 3): triangle, corner, component.
    bulge
        From the middles of the sides 01, 12 and 20 to the surface, (t, 3, 3).
    label
        (t,): points are projected to patches of their own label only.
    size
        Length of the whole mesh.
    """

    def __init__(self, vertices: Array, bulge: Array, label: Ids, size: float) -> None:
        self._origin, self._u, self._v = (
            vertices[:, 0],
            vertices[:, 1] - vertices[:, 0],
            vertices[:, 2] - vertices[:, 0],
        )
        self._vertices, self._bulge = vertices, bulge
        self._curved = np.asarray(bulge.any(axis=(1, 2)))
        at = np.repeat(np.arange(len(vertices)), len(SAMPLES))
        samples = self.at(at, np.tile(SAMPLES[:, 1:], (len(vertices), 1)))
        #: an extra coordinate keeps the search on the node's own surface, however close another one passes
        self._apart = 4 * max(size, 1e-300)
        self._sampled = at
        self._tree = cKDTree(np.c_[samples, label[at] * self._apart])

    def at(self, patch: Ids, st: Array) -> Array:
        """Points (m, 3) of patches (m,) at barycentric coordinates (1 - s - t, s, t), given as (m, 2)."""
        s, t = st[:, :1], st[:, 1:]
        r = 1 - s - t
        b = self._bulge[patch]
        flat = self._origin[patch] + s * self._u[patch] + t * self._v[patch]
        return flat + 4 * (r * s * b[:, 0] + s * t * b[:, 1] + t * r * b[:, 2])

    def tangents(self, patch: Ids, st: Array) -> tuple[Array, Array]:
        """Derivatives by s and by t, (m, 3) each."""
        s, t = st[:, :1], st[:, 1:]
        b = self._bulge[patch]
        by_s = self._u[patch] + 4 * ((1 - 2 * s - t) * b[:, 0] + t * (b[:, 1] - b[:, 2]))
        by_t = self._v[patch] + 4 * ((1 - s - 2 * t) * b[:, 2] + s * (b[:, 1] - b[:, 0]))
        return by_s, by_t

    def project(self, x: Array, label: Ids) -> tuple[Array, Array]:
        """Closest points (m, 3) on the patches of the given labels (m,), and the unit normals there (m, 3)."""
        found = self._candidates(x, label)
        which = found[:, 0].copy()
        where = self._closest(x, which)
        # a foot inside a patch is the closest point: only on sides and corners others compete
        edge = np.flatnonzero((where.min(axis=1) <= INSIDE) | (where.sum(axis=1) >= 1 - INSIDE))
        row, column = np.nonzero(found[edge, 1:] >= 0)
        if len(row):
            row, patch = edge[row], found[edge[row], column + 1]
            st = self._closest(x[row], patch)
            other = ((self.at(patch, st) - x[row]) ** 2).sum(1)
            distance = ((self.at(which, where) - x) ** 2).sum(1)
            order = np.argsort(-other, kind="stable")
            order = order[other[order] < distance[row[order]]]
            which[row[order]], where[row[order]] = patch[order], st[order]  # of each row the last, the closest, stays
        normal = np.cross(*self.tangents(which, where))
        return self.at(which, where), normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-300)

    def _candidates(self, x: Array, label: Ids) -> Ids:
        """Patches (m, k) whose samples are closest, each once; -1 instead of repetitions."""
        _, found = self._tree.query(np.c_[x, label * self._apart], k=min(LOOK, len(self._sampled)))
        found = self._sampled[found.reshape(len(x), -1)]
        for k in range(1, found.shape[1]):
            found[:, k] = np.where((found[:, :k] == found[:, k : k + 1]).any(axis=1), -1, found[:, k])
        # those that are left, in their order
        return np.take_along_axis(found, np.argsort(found < 0, axis=1, kind="stable"), 1)

    def _closest(self, x: Array, patch: Ids) -> Array:
        """Where (m, 2) on its patch (m,) each point has its closest, by Newton's method within the triangle."""
        st = self._foot(x, patch)
        left = np.flatnonzero(self._curved[patch])
        for _ in range(NEWTON):
            if not len(left):
                break
            new = self._stepped(x[left], patch[left], st[left])
            change = np.abs(new - st[left]).max(axis=1)
            st[left] = new
            left = left[change > SETTLED]
        return st

    def _foot(self, x: Array, patch: Ids) -> Array:
        """The same on flat triangles."""
        u, v = self._u[patch], self._v[patch]
        on = closest_on_triangles(x, *(self._vertices[patch, k] for k in range(3))) - self._origin[patch]
        uu, uv, vv, pu, pv = _dot(u, u), _dot(u, v), _dot(v, v), _dot(on, u), _dot(on, v)
        det = np.maximum(uu * vv - uv * uv, 1e-300)
        return np.stack([(vv * pu - uv * pv) / det, (uu * pv - uv * pu) / det], axis=1)

    def _stepped(self, x: Array, patch: Ids, st: Array) -> Array:
        """Where the quadratic model of half the squared distance is least within the triangle."""
        by_s, by_t = self.tangents(patch, st)
        off = self.at(patch, st) - x
        b = self._bulge[patch]
        first = [_dot(off, by_s), _dot(off, by_t)]
        gauss = [_dot(by_s, by_s), _dot(by_s, by_t), _dot(by_t, by_t)]
        bend = [-8 * b[:, 0], 4 * (b[:, 1] - b[:, 0] - b[:, 2]), -8 * b[:, 2]]
        whole = [g + _dot(off, p) for g, p in zip(gauss, bend, strict=True)]
        convex = (whole[0] > 0.1 * gauss[0]) & (
            whole[0] * whole[2] - whole[1] ** 2 > 0.1 * (gauss[0] * gauss[2] - gauss[1] ** 2)
        )
        ss, mixed, tt = (np.where(convex, w, g) for w, g in zip(whole, gauss, strict=True))
        det = np.maximum(ss * tt - mixed**2, 1e-300)
        step = np.stack([mixed * first[1] - tt * first[0], mixed * first[0] - ss * first[1]], axis=1) / det[:, None]
        new = st + step
        out = (new < 0).any(axis=1) | (new.sum(axis=1) > 1)
        if out.any():
            new[out] = _within(new[out], ss[out], mixed[out], tt[out])
        return new


def _within(st: Array, ss: Array, mixed: Array, tt: Array) -> Array:
    """Closest coordinates in the triangle s, t >= 0, s + t <= 1 to st (m, 2), in the metric ss, mixed, tt (m,)."""
    # columns of the metric's Cholesky factor: where the triangle's sides go when the metric becomes the identity
    one = np.sqrt(ss)
    two = mixed / one
    three = np.sqrt(np.maximum(tt - two**2, 1e-300))
    zero = np.zeros_like(one)
    u, v = np.stack([one, zero], axis=1), np.stack([two, three], axis=1)
    on = closest_on_triangles(st[:, :1] * u + st[:, 1:] * v, np.zeros_like(u), u, v)
    t = np.clip(on[:, 1] / three, 0, 1)
    s = np.clip((on[:, 0] - t * two) / one, 0, 1 - t)
    return np.stack([s, t], axis=1)
