"""Quadrature on reference cells: the one table of rules. Where scikit-fem is at hand, its own is used.

Simplices have symmetric rules from the literature, everything else products with those of Gauss. Points of simplices
are barycentric too: those of the rule of degree 2, d + 1 of equal weight, lie one near each vertex, in their order.
"""

from __future__ import annotations

from math import factorial

import numpy as np

from meshmove.geometry.arrays import Array

__all__ = ["box_rule", "gauss", "pyramid_rule", "simplex_rule", "wedge_rule"]

#: points and weights
Rule = tuple[Array, Array]

_ROOT = 15**0.5
#: dim -> degree -> orbits: how many coordinates are `a`, `a`, and the share of the simplex that each of its points has
_ORBITS: dict[int, dict[int, tuple[tuple[int, float, float], ...]]] = {
    2: {
        1: ((3, 1 / 3, 1.0),),
        2: ((2, 1 / 6, 1 / 3),),
        # Dunavant 1985: 6 points
        4: ((2, 0.445948490915965, 0.223381589678011), (2, 0.091576213509771, 0.109951743655322)),
        # Radon 1948: 7 points
        5: (
            (3, 1 / 3, 9 / 40),
            (2, (6 - _ROOT) / 21, (155 - _ROOT) / 1200),
            (2, (6 + _ROOT) / 21, (155 + _ROOT) / 1200),
        ),
    },
    3: {
        1: ((4, 1 / 4, 1.0),),
        2: ((3, 0.1381966011250105, 1 / 4),),
        # Walkington 2000: 14 points
        5: (
            (3, 0.3108859192633006, 6 * 0.01878132095300264),
            (3, 0.09273525031089123, 6 * 0.01224884051939366),
            (2, 0.04550370412564965, 6 * 0.007091003462846911),
        ),
    },
}


def gauss(n: int) -> Rule:
    """The n points of Gauss on [0, 1], exact to degree 2n - 1."""
    x, w = np.polynomial.legendre.leggauss(n)
    return (x + 1) / 2, w / 2


def simplex_rule(dim: int, degree: int) -> Rule:
    """Barycentric points (dim + 1, q), and weights (q,) that sum to 1/dim!, of a rule exact to `degree` <= 5.

    >>> x, w = simplex_rule(2, 2)
    >>> (x.argmax(axis=0).tolist(), (6 * w).round(12).tolist())
    ([0, 1, 2], [1.0, 1.0, 1.0])
    """
    orbits = _ORBITS[dim][min(d for d in _ORBITS[dim] if d >= degree)]
    points = [_orbit(dim, count, a) for count, a, _ in orbits]
    weights = [np.full(p.shape[1], w) for p, (*_, w) in zip(points, orbits, strict=True)]
    return np.concatenate(points, axis=1), np.concatenate(weights) / factorial(dim)


def _orbit(dim: int, count: int, a: float) -> Array:
    """Barycentric points (dim + 1, q) of which `count` coordinates are a, and the others equal."""
    n = dim + 1
    if count == n:
        return np.full((n, 1), a)
    other = (1 - count * a) / (n - count)
    places = [{k} for k in range(n)] if count == dim else [{i, j} for i in range(n) for j in range(i)]
    return np.array([[other if k in place else a for place in places] for k in range(n)])


def _tensor(*rules: Rule) -> Rule:
    """Product of one-dimensional rules on [0, 1]."""
    grids = np.meshgrid(*[r[0] for r in rules], indexing="ij")
    weights = np.meshgrid(*[r[1] for r in rules], indexing="ij")
    return np.stack([g.ravel() for g in grids]), np.prod([w.ravel() for w in weights], axis=0)


def box_rule(dim: int, degree: int) -> Rule:
    """Points (dim, q) and weights (q,) on [0, 1]^dim."""
    return _tensor(*[gauss(degree // 2 + 1)] * dim)


def wedge_rule(degree: int) -> Rule:
    """On the product of the reference triangle and [0, 1]."""
    (x, v), (z, w) = simplex_rule(2, degree), gauss(degree // 2 + 1)
    points = np.concatenate([np.repeat(x[1:], len(w), axis=1), np.tile(z, len(v))[None]])
    return points, np.repeat(v, len(w)) * np.tile(w, len(v))


def pyramid_rule(degree: int) -> Rule:
    """On the cube that collapses into the pyramid; the shape functions supply the Jacobian.

    One more point along the axis: the collapse puts a factor (1 - z)^2 into it.
    """
    return _tensor(gauss(degree // 2 + 1), gauss(degree // 2 + 1), gauss(degree // 2 + 2))
