"""The closest point on triangles."""

from __future__ import annotations

import numpy as np

from .arrays import Array

__all__ = ["closest_on_triangles"]


def closest_on_triangles(x: Array, a: Array, b: Array, c: Array) -> Array:
    """Closest point (m, dim) to x (m, dim) on the triangle a b c of each row."""
    u, v, w = b - a, c - a, x - a
    uu, uv, vv, wu, wv = _dot(u, u), _dot(u, v), _dot(v, v), _dot(w, u), _dot(w, v)
    det = np.maximum(uu * vv - uv * uv, 1e-300)
    s, t = (vv * wu - uv * wv) / det, (uu * wv - uv * wu) / det
    inside = (s >= 0) & (t >= 0) & (s + t <= 1)
    best = a + s[:, None] * u + t[:, None] * v
    if not inside.all():
        out = np.flatnonzero(~inside)
        distance = np.full(len(out), np.inf)
        for p, q in ((a, b), (b, c), (c, a)):
            p, q = p[out], q[out]
            along = q - p
            r = np.clip(_dot(x[out] - p, along) / np.maximum(_dot(along, along), 1e-300), 0, 1)[:, None]
            on = p + r * along
            off = on - x[out]
            d = _dot(off, off)
            better = d < distance
            best[out[better]], distance[better] = on[better], d[better]
    return best


def _dot(a: Array, b: Array) -> Array:
    return np.einsum("md,md->m", a, b)
