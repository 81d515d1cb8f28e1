"""What a cell of each kind looks like: vertices, corners, facets and shape functions.

Local numbering follows VTK and meshio. Every kind is described by its *corner simplices*: a triangle
or tetrahedron has one, a quadrilateral four, a hexahedron eight, each spanned by a corner and its
neighbours. That all of these keep the sign they had is necessary for a cell to be valid, and for most kinds enough
(see `validity`)::

    3-----2      corners of a quad: (0,1,3) (1,2,0) (2,3,1) (3,0,2)
    |     |
    0-----1
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry.arrays import Array

from .quadrature import box_rule, pyramid_rule, simplex_rule, wedge_rule

__all__ = ["KINDS", "CellKind", "kind_of"]


def _simplex_shape(x: Array) -> tuple[Array, Array]:
    d = len(x)
    values = np.concatenate([1 - x.sum(0, keepdims=True), x])
    grads = np.concatenate([-np.ones((1, d)), np.eye(d)])
    return values, np.repeat(grads[:, :, None], x.shape[1], axis=2)


def _product_shape(x: Array, signs: Array) -> tuple[Array, Array]:
    """Multilinear shape functions of the vertices whose reference coordinates are `signs` (v, d)."""
    factors = np.where(signs[:, :, None] > 0.5, x[None], 1 - x[None])
    slopes = np.where(signs > 0.5, 1.0, -1.0)
    grads = np.empty_like(factors)
    for c in range(len(x)):
        others = [k for k in range(len(x)) if k != c]
        grads[:, c] = slopes[:, c, None] * factors[:, others].prod(1)
    return factors.prod(1), grads


def _wedge_shape(x: Array) -> tuple[Array, Array]:
    n, dn = _simplex_shape(x[:2])
    z = x[2]
    values = np.concatenate([n * (1 - z), n * z])
    flat = np.concatenate([dn * (1 - z), dn * z])
    return values, np.concatenate([flat, np.concatenate([-n, n])[:, None]], axis=1)


def _pyramid_shape(x: Array) -> tuple[Array, Array]:
    # a hexahedron whose top has collapsed into the apex: polynomial, and exact for the volume
    n, dn = _product_shape(x[:2], _QUAD)
    z = x[2]
    values = np.concatenate([n * (1 - z), z[None]])
    grads = np.zeros((5, 3, x.shape[1]))
    grads[:4, :2] = dn * (1 - z)
    grads[:4, 2] = -n
    grads[4, 2] = 1
    return values, grads


_QUAD = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], float)
_HEX = np.array([[*q, z] for z in (0, 1) for q in _QUAD], float)
_TRI = np.array([[0, 0], [1, 0], [0, 1]], float)
_WEDGE = np.array([[*q, z] for z in (0, 1) for q in _TRI], float)


@dataclass(frozen=True, eq=False)
class CellKind:
    """One kind of linear cell.

    `corners` (c, dim+1): local vertices of the corner simplices, positively oriented in the reference cell.
    `facets`, `edges`: local vertex tuples. `reference` (v, dim): vertex coordinates.
    """

    name: str
    dim: int
    reference: Array
    corners: NDArray[np.int64]
    facets: tuple[tuple[int, ...], ...]
    edges: NDArray[np.int64]
    simplices: NDArray[np.int64]  #: a split of the cell into simplices
    _shape: Callable[[Array], tuple[Array, Array]] = field(repr=False)
    _rule: Callable[[int], tuple[Array, Array]] = field(repr=False)

    @property
    def vertices(self) -> int:
        return len(self.reference)

    @property
    def is_simplex(self) -> bool:
        return self.vertices == self.dim + 1

    def shape(self, x: Array) -> tuple[Array, Array]:
        """Shape functions (v, n) and their reference gradients (v, dim, n) at reference points x (dim, n)."""
        return self._shape(np.asarray(x, float))

    @cache  # noqa: B019 - there are only a handful of kinds, alive for ever
    def quadrature(self, degree: int) -> tuple[Array, Array]:
        """Reference points (dim, q) and weights (q,) of a rule exact to `degree` <= 5."""
        if not 1 <= degree <= 5:
            raise ValueError(f"Expected a quadrature degree from 1 to 5 (got {degree})")
        return self._rule(degree)

    @cached_property
    def splits(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """`simplices` (t, s, dim+1) for each turn of a cell about the axis of its base, and their diagonals (t, k, 2).

        No numbering of a quadrilateral, pyramid, wedge or hexahedron leads to another split.
        """
        around = self.vertices if self.dim == 2 else len(self.facets[0])
        turn = np.arange(self.vertices)
        for start in range(0, self.vertices - around + 1, around):
            turn[start : start + around] = np.roll(turn[start : start + around], -1)
        turns = [np.arange(self.vertices)]
        for _ in range(around - 1):
            turns.append(turn[turns[-1]])
        edges = {tuple(sorted(e)) for e in self.edges.tolist()}
        sides = {(a, b) for s in self.simplices.tolist() for a in s for b in s if a < b}
        diagonals = np.array(sorted(sides - edges), dtype=np.int64).reshape(-1, 2)
        every = np.array(turns)
        return every[:, self.simplices], every[:, diagonals]

    def __repr__(self) -> str:
        return f"CellKind({self.name})"

    def __reduce__(self) -> tuple[Any, ...]:
        """By name: there is one of each kind, in every process."""
        return kind_of, (self.name,)


def _i(*rows: tuple[int, ...]) -> NDArray[np.int64]:
    return np.array(rows, dtype=np.int64)


def _simplex(dim: int) -> Callable[[int], tuple[Array, Array]]:
    def rule(degree: int) -> tuple[Array, Array]:
        x, w = simplex_rule(dim, degree)
        return x[1:], w

    return rule


_KINDS = (
    CellKind("triangle", 2, _TRI, _i((0, 1, 2)), ((0, 1), (1, 2), (2, 0)),
             _i((0, 1), (1, 2), (2, 0)), _i((0, 1, 2)), _simplex_shape, _simplex(2)),
    CellKind("quad", 2, _QUAD, _i((0, 1, 3), (1, 2, 0), (2, 3, 1), (3, 0, 2)), ((0, 1), (1, 2), (2, 3), (3, 0)),
             _i((0, 1), (1, 2), (2, 3), (3, 0)), _i((0, 1, 2), (0, 2, 3)),
             lambda x: _product_shape(x, _QUAD), partial(box_rule, 2)),
    CellKind("tetra", 3, np.concatenate([np.zeros((1, 3)), np.eye(3)]), _i((0, 1, 2, 3)),
             ((0, 2, 1), (0, 1, 3), (1, 2, 3), (2, 0, 3)),
             _i((0, 1), (1, 2), (2, 0), (0, 3), (1, 3), (2, 3)), _i((0, 1, 2, 3)), _simplex_shape, _simplex(3)),
    CellKind("hexahedron", 3, _HEX,
             _i((0, 1, 3, 4), (1, 2, 0, 5), (2, 3, 1, 6), (3, 0, 2, 7), (4, 7, 5, 0), (5, 4, 6, 1), (6, 5, 7, 2),
                (7, 6, 4, 3)),
             ((0, 3, 2, 1), (4, 5, 6, 7), (0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7)),
             _i((0, 1), (1, 2), (2, 3), (3, 0), (4, 5), (5, 6), (6, 7), (7, 4), (0, 4), (1, 5), (2, 6), (3, 7)),
             _i((0, 1, 2, 6), (0, 2, 3, 6), (0, 3, 7, 6), (0, 7, 4, 6), (0, 4, 5, 6), (0, 5, 1, 6)),
             lambda x: _product_shape(x, _HEX), partial(box_rule, 3)),
    CellKind("wedge", 3, _WEDGE,
             _i((0, 1, 2, 3), (1, 2, 0, 4), (2, 0, 1, 5), (3, 5, 4, 0), (4, 3, 5, 1), (5, 4, 3, 2)),
             ((0, 2, 1), (3, 4, 5), (0, 1, 4, 3), (1, 2, 5, 4), (2, 0, 3, 5)),
             _i((0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 3), (0, 3), (1, 4), (2, 5)),
             _i((0, 1, 2, 5), (0, 1, 5, 4), (0, 4, 5, 3)), _wedge_shape, wedge_rule),
    CellKind("pyramid", 3, np.concatenate([np.c_[_QUAD, np.zeros(4)], [[0.5, 0.5, 1.0]]]),
             _i((0, 1, 3, 4), (1, 2, 0, 4), (2, 3, 1, 4), (3, 0, 2, 4)),
             ((0, 3, 2, 1), (0, 1, 4), (1, 2, 4), (2, 3, 4), (3, 0, 4)),
             _i((0, 1), (1, 2), (2, 3), (3, 0), (0, 4), (1, 4), (2, 4), (3, 4)),
             _i((0, 1, 2, 4), (0, 2, 3, 4)), _pyramid_shape, pyramid_rule),
)  # fmt: skip

#: every supported kind by its meshio name
KINDS: dict[str, CellKind] = {k.name: k for k in _KINDS}


def kind_of(name: str) -> CellKind:
    """The `CellKind` of a meshio cell name.

    >>> kind_of("quad").vertices
    4
    """
    if not isinstance(name, str) or name not in KINDS:
        raise ValueError(f"Expected one of {', '.join(KINDS)} (got {name!r})")
    return KINDS[name]
