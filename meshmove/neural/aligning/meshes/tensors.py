"""Symmetric tensors and simplices in the plane and in space, written out by components for cells run along memory.

Symmetric tensors are (3, ...), components xx, xy, yy, or (6, ...), xx, xy, xz, yy, yz, zz. For tensors of PyTorch and
for arrays alike; see `arrays`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import factorial

import numpy as np

from meshmove.geometry.arrays import Array

from .arrays import Values, library_of

__all__ = [
    "INDEX",
    "PAIRS",
    "SIZES",
    "commutator",
    "determinant",
    "dimension",
    "dot",
    "form",
    "gradients",
    "product",
    "root_of_squares",
    "size_of",
    "trace",
]

#: row and column of each component, the component of each row and column, and components by dimension
PAIRS = {2: ((0, 0), (0, 1), (1, 1)), 3: ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))}
INDEX = {2: ((0, 1), (1, 2)), 3: ((0, 1, 2), (1, 3, 4), (2, 4, 5))}
SIZES = {2: 3, 3: 6}
TINY = 1e-12


def dimension(h: Values) -> int:
    """Of space, by the number of components."""
    return 2 if len(h) == 3 else 3


def trace(h: Values) -> Values:
    return h[0] + h[2] if len(h) == 3 else h[0] + h[3] + h[5]


def dot(a: Values, b: Values) -> Values:
    """tr(a b)."""
    if len(a) == 3:
        return a[0] * b[0] + 2 * a[1] * b[1] + a[2] * b[2]
    return a[0] * b[0] + a[3] * b[3] + a[5] * b[5] + 2 * (a[1] * b[1] + a[2] * b[2] + a[4] * b[4])


def form(h: Values, e: Values) -> Values:
    """e^T h e for vectors (dim, ...)."""
    if len(h) == 3:
        return h[0] * e[0] * e[0] + 2 * h[1] * e[0] * e[1] + h[2] * e[1] * e[1]
    x, y, z = e
    return h[0] * x * x + h[3] * y * y + h[5] * z * z + 2 * (h[1] * x * y + h[2] * x * z + h[4] * y * z)


def _entry(a: Values, b: Values, i: int, j: int) -> Values:
    """Of the product a b."""
    index = INDEX[dimension(a)]
    return sum(a[index[i][k]] * b[index[k][j]] for k in range(len(index)))


def product(a: Values, b: Values) -> Values:
    """The symmetric part of a b."""
    parts = [0.5 * (_entry(a, b, i, j) + _entry(b, a, i, j)) if i != j else _entry(a, b, i, i) for i, j in _pairs(a)]
    return library_of(a).stack(parts)


def commutator(a: Values, b: Values) -> Values:
    """a b - b a, which is antisymmetric: components (1, ...) xy, or (3, ...) xy, xz, yz."""
    if len(a) == 3:
        return (a[1] * (b[2] - b[0]) + b[1] * (a[0] - a[2]))[None]
    return library_of(a).stack([_entry(a, b, i, j) - _entry(b, a, i, j) for i, j in combinations(range(3), 2)])


def determinant(h: Values) -> Values:
    if len(h) == 3:
        return h[0] * h[2] - h[1] * h[1]
    a, b, c, d, e, f = h
    return a * (d * f - e * e) - b * (b * f - c * e) + c * (b * e - c * d)


def root_of_squares(h: Array) -> Array:
    """Root (k, s) of the sum of the squares of symmetric tensors (f, k, s)."""
    if h.shape[1] == 6:
        whole = h[:, np.array(INDEX[3])].transpose(0, 3, 1, 2)
        values, axes = np.linalg.eigh((whole @ whole).sum(axis=0))
        root = (axes * np.sqrt(np.maximum(values, 0))[:, None]) @ axes.swapaxes(1, 2)
        return np.stack([root[:, a, b] for a, b in PAIRS[3]])
    xx, xy, yy = (
        (h[:, 0] ** 2 + h[:, 1] ** 2).sum(0),
        (h[:, 1] * (h[:, 0] + h[:, 2])).sum(0),
        (h[:, 2] ** 2 + h[:, 1] ** 2).sum(0),
    )
    det = np.sqrt(np.maximum(xx * yy - xy * xy, 0))
    return np.stack([xx + det, xy, yy + det]) / np.sqrt(xx + yy + 2 * det + 1e-300)


def _pairs(h: Values) -> tuple[tuple[int, int], ...]:
    return PAIRS[dimension(h)]


def size_of(edges: Sequence[Values]) -> Values:
    """Signed volumes of simplices with these edges (dim of them) from vertex 0."""
    if len(edges) == 2:
        a, b = edges
        return 0.5 * (a[0] * b[1] - a[1] * b[0])
    a, b, c = edges
    x, y, z = _cross(b, c)
    return (a[0] * x + a[1] * y + a[2] * z) / 6


def gradients(edges: Sequence[Values]) -> tuple[Values, Values]:
    """Signed volumes (c,), away from zero, and gradients (dim, dim+1, c) of the barycentric coordinates."""
    xp, d = library_of(edges[0]), len(edges)
    if d == 2:
        a, b = edges
        rows = [xp.stack([b[1], -b[0]]), xp.stack([-a[1], a[0]])]
        det = a[0] * b[1] - a[1] * b[0]
    else:
        a, b, c = edges
        rows = [xp.stack(_cross(b, c)), xp.stack(_cross(c, a)), xp.stack(_cross(a, b))]
        det = (a * rows[0]).sum(0)
    safe = xp.where(abs(det) > TINY, det, TINY)
    rows = [row / safe for row in rows]
    return safe / factorial(d), xp.stack([-sum(rows), *rows], 1)


def _cross(a: Values, b: Values) -> list[Values]:
    return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
