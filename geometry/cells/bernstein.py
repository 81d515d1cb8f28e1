"""Polynomials on products of simplices in Bernstein form: their coefficients bound them from below and from above.

A polynomial on a simplex lies between the least and the largest of its Bernstein coefficients, and its values at the
vertices are coefficients. On the halves of the simplex the bounds are tighter, quadratically in their size, so that
the sign of a polynomial is known after a few subdivisions wherever it is not zero (Farouki 2012, "The Bernstein
polynomial basis: a centennial retrospective").
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import factorial
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["NEGATIVE", "POSITIVE", "TOUCHING", "Bernstein"]

Array = NDArray[np.floating[Any]]

#: what a polynomial may be on its whole domain; touching: zero somewhere, up to rounding, and nowhere below
POSITIVE, TOUCHING, NEGATIVE = 1, 0, -1
#: relative to the largest coefficient: what is closer to zero than this is zero
ROUNDING = 1e-12
#: halvings of a domain before a polynomial that is still not known to be positive counts as touching zero
DEPTH = 10


@dataclass(frozen=True)
class Bernstein:
    """The polynomials of degrees `degrees` on a product of simplices of dimensions `dims`.

    A hexahedron is the product of three segments, dims (1, 1, 1), a wedge that of a triangle and a segment, (2, 1).
    """

    dims: tuple[int, ...]
    degrees: tuple[int, ...]

    @cached_property
    def points(self) -> Array:
        """Reference points (d, n) at which values determine the coefficients, as many as there are of these."""
        parts = [_lattice(d, p)[:, 1:] / max(p, 1) for d, p in self._factors]
        grids = [np.concatenate(rows) for rows in product(*parts)]
        return np.array(grids).T

    @cached_property
    def from_values(self) -> Array:
        """Matrix (n, n) from values at `points` to coefficients."""
        return _kron([np.linalg.inv(_basis(d, p, _lattice(d, p) / max(p, 1))) for d, p in self._factors])

    @cached_property
    def vertices(self) -> NDArray[np.int64]:
        """Which coefficients are values at the vertices of the domain."""
        masks = [(_lattice(d, p) == p).any(axis=1).astype(float) for d, p in self._factors]
        return np.flatnonzero(_kron(masks))

    @cached_property
    def halves(self) -> Array:
        """Matrices (c, n, n) from coefficients on the domain to those on its parts of half the size."""
        parts = []
        for d, p in self._factors:
            at = _lattice(d, p) / max(p, 1)
            inverse = np.linalg.inv(_basis(d, p, at))
            parts.append([inverse @ _basis(d, p, at @ corners) for corners in _HALVES[d]])
        return np.array([_kron(list(choice)) for choice in product(*parts)])

    @property
    def _factors(self) -> list[tuple[int, int]]:
        return list(zip(self.dims, self.degrees, strict=True))

    def signs(self, coefficients: Array) -> NDArray[np.int64]:
        """POSITIVE, TOUCHING or NEGATIVE (m,) for polynomials with coefficients (m, n); NaN is negative.

        >>> square = Bernstein((1,), (2,))  # (2 t - 1)^2 plus 0.1, 0 and -0.1
        >>> square.signs(np.array([[1, -1, 1], [1, -1, 1], [1, -1, 1]]) + np.array([[0.1], [0.0], [-0.1]]))
        array([ 1,  0, -1])
        """
        out = np.full(len(coefficients), POSITIVE)
        scale = np.abs(coefficients).max(axis=1, keepdims=True)
        fine = np.isfinite(scale[:, 0]) & (scale[:, 0] > 0)
        out[~fine] = np.where(scale[~fine, 0] == 0, TOUCHING, NEGATIVE)
        owner = np.flatnonzero(fine)
        c = coefficients[owner] / scale[owner]
        for _ in range(DEPTH + 1):
            owner, c = self._undecided(c, owner, out)
            if not len(owner):
                return out
            c = np.einsum("cij,mj->mci", self.halves, c).reshape(-1, c.shape[1])
            owner = np.repeat(owner, len(self.halves))
        out[owner] = np.minimum(out[owner], TOUCHING)
        return out

    def _undecided(self, c: Array, owner: NDArray, out: NDArray) -> tuple[NDArray, Array]:
        """Write down what is known of domains with coefficients c, and return the others."""
        least, corner = c.min(axis=1), c[:, self.vertices].min(axis=1)
        out[owner[corner < -ROUNDING]] = NEGATIVE
        touching = (corner <= ROUNDING) & (least >= -ROUNDING)
        np.minimum.at(out, owner[touching], TOUCHING)
        open_ = (least <= ROUNDING) & ~touching & (out[owner] != NEGATIVE)
        return owner[open_], c[open_]


def _lattice(dim: int, degree: int) -> NDArray[np.int64]:
    """Exponents (n, dim + 1) of the barycentric coordinates in the Bernstein polynomials of a degree."""
    rows = [k for k in product(range(degree + 1), repeat=dim + 1) if sum(k) == degree]
    return np.array(rows, np.int64)


def _basis(dim: int, degree: int, barycentric: Array) -> Array:
    """Bernstein polynomials, (points, n), at points given by barycentric coordinates (points, dim + 1)."""
    exponents = _lattice(dim, degree)
    many = [factorial(degree) / np.prod([factorial(int(k)) for k in row]) for row in exponents]
    return np.array(many) * (barycentric[:, None] ** exponents[None]).prod(axis=2)


def _kron(parts: list[Array]) -> Array:
    out = parts[0]
    for part in parts[1:]:
        out = np.kron(out, part)
    return out


def _middles(corners: list[tuple[int, int]], dim: int) -> Array:
    """Rows of barycentric coordinates: the midpoint of vertices i and j, or vertex i where they are the same."""
    unit = np.eye(dim + 1)
    return np.array([(unit[i] + unit[j]) / 2 for i, j in corners])


#: vertices of the parts that a segment, a triangle and a tetrahedron (Bey 1995) fall into when all edges are halved
_HALVES = {
    1: [_middles([(0, 0), (0, 1)], 1), _middles([(0, 1), (1, 1)], 1)],
    2: [_middles(c, 2) for c in ([(0, 0), (0, 1), (0, 2)], [(0, 1), (1, 1), (1, 2)], [(0, 2), (1, 2), (2, 2)],
                                 [(1, 2), (0, 2), (0, 1)])],
    3: [_middles(c, 3) for c in ([(0, 0), (0, 1), (0, 2), (0, 3)], [(0, 1), (1, 1), (1, 2), (1, 3)],
                                 [(0, 2), (1, 2), (2, 2), (2, 3)], [(0, 3), (1, 3), (2, 3), (3, 3)],
                                 [(0, 1), (0, 2), (0, 3), (1, 3)], [(0, 1), (0, 2), (1, 2), (1, 3)],
                                 [(0, 2), (0, 3), (1, 3), (2, 3)], [(0, 2), (1, 2), (1, 3), (2, 3)])],
}  # fmt: skip
