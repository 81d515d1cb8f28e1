"""Where corner simplices are sampled, and cross products of vectors by component."""

from __future__ import annotations

import numpy as np

from meshmove.geometry.arrays import Array
from meshmove.geometry.cells.quadrature import simplex_rule

__all__ = ["cross", "rule_of"]


def cross(a: Array, b: Array) -> Array:
    """Of vectors (3, s)."""
    return np.stack([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])


def rule_of(dim: int, name: str) -> tuple[Array, Array]:
    """Barycentric coordinates (q, dim+1) of sample points, and their weights (q,), which add up to one."""
    x, w = simplex_rule(dim, 5 if name == "fine" else 2)
    return np.ascontiguousarray(x.T), w / w.sum()
