"""Second-order kinds of cells, and the Jacobian determinant of every kind as a polynomial in Bernstein form.

The map from the reference cell is a combination of monomials. Its determinant is a polynomial of higher degree: linear
on a quadrilateral, of degree 2 along each axis of a hexahedron, 5 where that is of second order. So a finite number of
values gives it, and its Bernstein coefficients bound it (Johnen, Remacle & Geuzaine 2013, "Geometrical validity of
curvilinear finite elements", J. Comput. Phys. 233).

A pyramid is seen in the coordinates p = xi / (1 - zeta), q = eta / (1 - zeta) of its collapsed hexahedron, in which
the usual rational functions (Bedrosian 1992) are polynomials. The factor (1 - zeta)^2 of the collapse is divided out:
what is left is the determinant on the pyramid itself, also as one comes to its apex.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .bernstein import Bernstein
from .kinds import KINDS

__all__ = ["QUADRATIC", "Curvilinear", "curvilinear"]

Array = NDArray[np.floating[Any]]
#: so many determinants are computed at a time
CHUNK = 500_000


def _edges(kind: str) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(int(v) for v in e) for e in KINDS[kind].edges)


_HEX_FACES = ((0, 4, 7, 3), (1, 2, 6, 5), (0, 1, 5, 4), (3, 7, 6, 2), (0, 1, 2, 3), (4, 5, 6, 7))

#: second-order kinds in VTK order: the linear kind, and the vertices that each further node is the mean of
QUADRATIC: dict[str, tuple[str, tuple[tuple[int, ...], ...]]] = {
    "triangle6": ("triangle", _edges("triangle")),
    "triangle7": ("triangle", (*_edges("triangle"), (0, 1, 2))),
    "quad8": ("quad", _edges("quad")),
    "quad9": ("quad", (*_edges("quad"), (0, 1, 2, 3))),
    "tetra10": ("tetra", _edges("tetra")),
    "hexahedron20": ("hexahedron", _edges("hexahedron")),
    "hexahedron27": ("hexahedron", (*_edges("hexahedron"), *_HEX_FACES, tuple(range(8)))),
    "wedge15": ("wedge", _edges("wedge")),
    "pyramid13": ("pyramid", _edges("pyramid")),
}


@dataclass(frozen=True, eq=False)
class Curvilinear:
    """How the determinant of one kind of cell depends on its nodes.

    `powers` (k, d): the monomials that span the shape functions, or, with `mixed` (v, k), combinations of them that do.
    `nodes` (v, d): where the nodes are. `collapsed`: derivatives along all axes but the last are divided by the last
    coordinate, which is 1 - zeta. `determinant`: the space of the determinant.
    """

    powers: NDArray[np.int64]
    nodes: Array
    determinant: Bernstein
    mixed: Array | None = None
    collapsed: bool = False

    def _monomials(self, x: Array, powers: NDArray) -> Array:
        return (x.T[:, None] ** np.maximum(powers, 0)[None]).prod(axis=2)

    @cached_property
    def _shape(self) -> Array:
        """Coefficients (k, v) of the shape functions."""
        mixed = np.eye(len(self.powers)) if self.mixed is None else self.mixed
        return mixed.T @ np.linalg.inv(self._monomials(self.nodes.T, self.powers) @ mixed.T)

    def values(self, x: Array) -> Array:
        """Shape functions (v, n) at reference points (d, n)."""
        return (self._monomials(x, self.powers) @ self._shape).T

    def slopes(self, x: Array) -> Array:
        """Their derivatives (d, n, v)."""
        out = []
        for axis, power in enumerate(self.powers.T):
            lowered = self.powers.copy()
            lowered[:, axis] -= 1
            if self.collapsed and axis < len(self.powers.T) - 1:
                lowered[:, -1] -= 1
            out.append(self._monomials(x, lowered) * power @ self._shape)
        if self.collapsed:
            out[-1] *= -1  # by zeta
        return np.array(out)

    @cached_property
    def _sampled(self) -> Array:
        x = self.determinant.points
        if self.collapsed:
            x = np.concatenate([2 * x[:2] - 1, x[2:] if len(x) > 2 else np.ones((1, x.shape[1]))])
        return self.slopes(x)

    def coefficients(self, cells: Array) -> Array:
        """Bernstein coefficients (m, n) of the determinant on cells with nodes (m, v, d)."""
        n = self._sampled.shape[1]
        step = max(1, CHUNK // n)
        parts = [
            self.determinant.from_values @ _determinant(self._jacobians(cells[first : first + step]))
            for first in range(0, len(cells), step)
        ]
        return np.concatenate(parts, axis=1).T if parts else np.zeros((0, n))

    def pulled(self, cells: Array, weights: Array) -> Array:
        """Gradient (m, v, d), by the nodes, of the sum of `coefficients` times weights (m, n)."""
        d, n, v = self._sampled.shape
        by_slope = _cofactors(self._jacobians(cells)) * (self.determinant.from_values.T @ weights.T)[:, None]
        force = self._sampled.reshape(d * n, v).T @ by_slope.reshape(d * n, -1)
        return force.reshape(v, d, -1).transpose(2, 0, 1)

    def _jacobians(self, cells: Array) -> Array:
        """Derivatives (d, n, d, m) along each axis, at each of the n points, of each coordinate, on each cell."""
        d, n, v = self._sampled.shape
        x = np.ascontiguousarray((cells - cells[:, :1]).transpose(1, 2, 0)).reshape(v, -1)
        return (self._sampled.reshape(d * n, v) @ x).reshape(d, n, d, -1)


def _determinant(a: Array) -> Array:
    """Determinants (n, m) of matrices (d, n, d, m)."""
    if len(a) == 2:
        return a[0, :, 0] * a[1, :, 1] - a[0, :, 1] * a[1, :, 0]
    x, y, z = a
    return (
        x[:, 0] * (y[:, 1] * z[:, 2] - y[:, 2] * z[:, 1])
        + x[:, 1] * (y[:, 2] * z[:, 0] - y[:, 0] * z[:, 2])
        + x[:, 2] * (y[:, 0] * z[:, 1] - y[:, 1] * z[:, 0])
    )


def _cofactors(a: Array) -> Array:
    """Derivatives (d, n, d, m) of the determinants by the entries."""
    if len(a) == 2:
        return np.stack([np.stack([a[1, :, 1], -a[1, :, 0]], axis=1), np.stack([-a[0, :, 1], a[0, :, 0]], axis=1)])
    return np.stack([np.cross(a[(k + 1) % 3], a[(k + 2) % 3], axis=1) for k in range(3)])


def _powers(keep, most: int, dim: int) -> NDArray[np.int64]:
    return np.array([p for p in product(range(most + 1), repeat=dim) if keep(p)], np.int64)


def _twos(p: tuple[int, ...]) -> int:
    return sum(k == 2 for k in p)


#: p, q and 1 - zeta, with the bilinear base and the apex first
_PYRAMID = np.array([(0, 0, 0), (0, 0, 1), (1, 0, 1), (0, 1, 1), (1, 1, 1), (2, 0, 2), (0, 2, 2), (0, 0, 2), (1, 1, 2),
                     (1, 0, 2), (0, 1, 2), (2, 1, 2), (1, 2, 2)])  # fmt: skip
#: of the quadratic triangle with the bubble xi eta (1 - xi - eta)
_BUBBLE = np.array([(0, 0), (1, 0), (0, 1), (1, 1), (2, 0), (0, 2), (2, 1), (1, 2)])

#: monomials and the space of the determinant: dimensions of the factors, degrees on them
_SPACES: dict[str, tuple[NDArray[np.int64], tuple[int, ...], tuple[int, ...]]] = {
    "triangle": (_powers(lambda p: sum(p) <= 1, 1, 2), (2,), (0,)),
    "quad": (_powers(lambda p: True, 1, 2), (1, 1), (1, 1)),
    "tetra": (_powers(lambda p: sum(p) <= 1, 1, 3), (3,), (0,)),
    "hexahedron": (_powers(lambda p: True, 1, 3), (1, 1, 1), (2, 2, 2)),
    "wedge": (_powers(lambda p: p[0] + p[1] <= 1, 1, 3), (2, 1), (1, 2)),
    "pyramid": (_PYRAMID[:5], (1, 1), (1, 1)),
    "triangle6": (_powers(lambda p: sum(p) <= 2, 2, 2), (2,), (2,)),
    "triangle7": (_BUBBLE, (2,), (4,)),
    "quad8": (_powers(lambda p: _twos(p) <= 1, 2, 2), (1, 1), (3, 3)),
    "quad9": (_powers(lambda p: True, 2, 2), (1, 1), (3, 3)),
    "tetra10": (_powers(lambda p: sum(p) <= 2, 2, 3), (3,), (3,)),
    "hexahedron20": (_powers(lambda p: _twos(p) <= 1, 2, 3), (1, 1, 1), (5, 5, 5)),
    "hexahedron27": (_powers(lambda p: True, 2, 3), (1, 1, 1), (5, 5, 5)),
    "wedge15": (_powers(lambda p: p[0] + p[1] <= (2, 2, 1)[p[2]], 2, 3), (2, 1), (4, 5)),
    "pyramid13": (_PYRAMID, (1, 1, 1), (5, 5, 3)),
}  # fmt: skip


@cache
def curvilinear(name: str) -> Curvilinear:
    """The `Curvilinear` of a linear or second-order kind by its meshio name.

    >>> square = np.array([[[0, 0], [2, 0], [2, 1], [0, 1.0]]])
    >>> curvilinear("quad").coefficients(square).round(12)
    array([[2., 2., 2., 2.]])
    """
    if name not in _SPACES:
        raise ValueError(f"Expected one of {', '.join(_SPACES)} (got {name!r})")
    linear, parents = QUADRATIC.get(name, (name, ()))
    vertices = KINDS[linear].reference
    nodes = np.concatenate([vertices, *[vertices[list(p)].mean(axis=0)[None] for p in parents]])
    collapsed = linear == "pyramid"
    if collapsed:  # at the apex any p and q will do
        height = 1 - nodes[:, 2:]
        nodes = np.concatenate([(2 * nodes[:, :2] - 1) / np.where(height > 0, height, 1), height], axis=1)
    powers, dims, degrees = _SPACES[name]
    mixed = None
    if name == "triangle7":
        mixed = np.eye(8)[:7]
        mixed[6] = np.eye(8)[3] - np.eye(8)[6] - np.eye(8)[7]
    return Curvilinear(powers, nodes, Bernstein(dims, degrees), mixed, collapsed)
