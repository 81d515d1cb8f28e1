"""Where corner simplices are sampled, and cross products of vectors by component."""

from __future__ import annotations

import numpy as np

from meshmove.geometry import kind_of
from meshmove.geometry.arrays import Array

__all__ = ["cross", "rule_of"]


def cross(a: Array, b: Array) -> Array:
    """Of vectors (3, s)."""
    return np.stack([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])


def rule_of(dim: int, name: str) -> tuple[Array, Array]:
    """Barycentric coordinates (q, dim+1) of sample points, and their weights (q,), which add up to one."""
    if name == "fine":
        x, w = kind_of("triangle" if dim == 2 else "tetra").quadrature(5)
        return np.concatenate([1 - x.sum(axis=0, keepdims=True), x]).T, w / w.sum()
    # where dim+1 points integrate quadratic functions exactly
    a, b = (1 / 6, 2 / 3) if dim == 2 else (0.1381966011250105, 0.5854101966249685)
    return np.full((dim + 1, dim + 1), a) + (b - a) * np.eye(dim + 1), np.full(dim + 1, 1 / (dim + 1))
