r"""The H1 error of (multi)linear interpolation on cells of any kind, by quadrature, as a function of node positions.

At a point x of a cell with vertices x_i and shape functions N_i a quadratic field with Hessian H is interpolated with
the error

.. math::
    I u - u = \tfrac12 \sum_i N_i \, y_i^T H y_i, \qquad
    \nabla (I u - u) = \tfrac12 \sum_i \nabla N_i \, y_i^T H y_i, \qquad y_i = x_i - x,

since sum N_i = 1, sum grad N_i = 0 and sum grad N_i x_i^T = 1 on every isoparametric cell. The second is linear in H:
the sum of squares over several Hessians needs their second moments alone, however many there are. With
reference coordinates xi, R = 1/2 sum_i dN_i/dxi (y_i y_i^T) and the cofactors K of the Jacobian, the gradient is
K R : H / det, and

.. math::
    J_K = \int_K |\nabla (I u - u)|^2 dx = \sum_q \frac{w_q}{|\det|} |K R : H|^2 .
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry import CellKind
from meshmove.geometry.arrays import Array

__all__ = ["Isoparametric", "add_at_vertices", "isoparametric", "second_moments"]


#: degree of the rule: exact for quadratic fields on simplices, parallelograms, parallelepipeds and straight prisms
DEGREE = 2
#: cells times quadrature points that are worked on at a time, so that arrays stay in the cache
CHUNK = 8_000


class Isoparametric:
    """J_K and its slopes for cells of one kind.

    `moments` are the second moments (p, p, m) of Hessians (p, ...) with components in the order xx, xy, yy or xx, xy,
    xz, yy, yz, zz: the mean of h h^T over the samples of a cell.
    """

    def __init__(self, kind: CellKind) -> None:
        self.kind = kind
        rule, self._weights = kind.quadrature(DEGREE)
        shape, slopes = kind.shape(rule)  # (v, q), (v, dim, q)
        self._dim, self._q = len(rule), len(self._weights)
        self._shape = np.ascontiguousarray(shape.T)
        self._slopes = np.ascontiguousarray(slopes.reshape(len(shape), -1).T)  # (dim q, v)
        self._pairs = [(a, b) for a in range(self._dim) for b in range(a, self._dim)]

    def squares(self, x: Array, moments: Array) -> Array:
        """J_K (m,) of cells with vertices x (dim, v, m); infinite or NaN where a determinant is zero."""
        chunks = self._chunks(x.shape[2])
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.concatenate([np.zeros(0), *(_Cells(self, x[:, :, c], moments[:, :, c]).squares for c in chunks)])

    def plain_squares(self, x: Array, moments: Array) -> Array:
        """The integral of (I u - u)^2 (m,), by a rule of degree 5."""
        parts = [self._plain(x[:, :, c], moments[:, :, c]) for c in self._chunks(x.shape[2])]
        return np.concatenate([np.zeros(0), *parts])

    def _plain(self, x: Array, moments: Array) -> Array:
        rule, weights = self.kind.quadrature(5)
        shape, slopes = self.kind.shape(rule)
        z = x - x[:, :1]
        mean = shape.T @ z
        variance = [shape.T @ (z[a] * z[b]) - mean[a] * mean[b] for a, b in self._pairs]
        error = np.stack([_half(a, b) * v for (a, b), v in zip(self._pairs, variance, strict=True)])
        jacobian = np.einsum("vaq,cvm->caqm", slopes, z)
        volume = weights[:, None] * np.abs(np.einsum("cqm,cqm->qm", jacobian[:, 0], _cofactors(jacobian)[0]))
        return np.einsum("pqm,prm,rqm,qm->m", error, moments, error, volume, optimize=True)

    def volumes(self, x: Array) -> Array:
        """|K| (m,)."""
        jacobian = self.sloped(x - x[:, :1])
        return self._weights @ np.abs(np.einsum("cqm,cqm->qm", jacobian[:, 0], _cofactors(jacobian)[0]))

    def slopes(self, x: Array, moments: Array) -> tuple[Array, Array, Array]:
        """J_K (m,), and its slopes by x (dim, v, m) and by the moments (p, p, m)."""
        squares, by_x, by_moments = np.empty(x.shape[2]), np.empty(x.shape), np.empty(moments.shape)
        for c in self._chunks(x.shape[2]):
            cells = _Cells(self, x[:, :, c], moments[:, :, c])
            squares[c] = cells.squares
            by_x[:, :, c], by_moments[:, :, c] = cells.slopes()
        return squares, by_x, by_moments

    def _chunks(self, cells: int) -> list[slice]:
        step = max(1, CHUNK // self._q)
        return [slice(k, k + step) for k in range(0, cells, step)]

    def at_points(self, values: Array) -> Array:
        """(k, q, m) from values (k, v, m) at the vertices."""
        return self._shape @ values

    def sloped(self, values: Array) -> Array:
        """Derivatives (k, dim, q, m) by reference coordinates of values (k, v, m) at the vertices."""
        return (self._slopes @ values).reshape(len(values), self._dim, self._q, -1)

    def to_vertices(self, by_points: Array | None, by_slopes: Array) -> Array:
        """(k, v, m): what is sloped by `at_points` and `sloped`, by the values at the vertices."""
        out = self._slopes.T @ by_slopes.reshape(len(by_slopes), self._dim * self._q, -1)
        return out if by_points is None else out + self._shape.T @ by_points


class _Cells:
    """The forward pass for some cells, and what the backward pass needs of it."""

    def __init__(self, rule: Isoparametric, x: Array, moments: Array) -> None:
        self.rule, self.moments = rule, moments
        self.z = x - x[:, :1]  # offsets: coordinates far from the origin would drown their squares in rounding
        products = np.stack([_half(a, b) * self.z[a] * self.z[b] for a, b in rule._pairs])
        self.mean, self.jacobian = rule.at_points(self.z), rule.sloped(self.z)  # (dim, q, m), (dim, dim, q, m)
        self.r = rule.sloped(products)  # (p, dim, q, m)
        for p, (a, b) in enumerate(rule._pairs):
            self.r[p] -= _half(a, b) * (self.mean[a] * self.jacobian[b] + self.mean[b] * self.jacobian[a])
        self.cofactors = _cofactors(self.jacobian)  # (dim by axis, dim, q, m)
        self.det = np.einsum("cqm,cqm->qm", self.jacobian[:, 0], self.cofactors[0])
        self.v = np.einsum("paqm,acqm->pcqm", self.r, self.cofactors)
        self.bent = np.einsum("prm,rcqm->pcqm", moments, self.v)
        self.weight = rule._weights[:, None] / np.abs(self.det)
        self.density = self.weight * np.einsum("pcqm,pcqm->qm", self.v, self.bent)
        self.squares = self.density.sum(axis=0)

    def slopes(self) -> tuple[Array, Array]:
        """Of the squares, by x (dim, v, m) and by the moments (p, p, m)."""
        rule, z, pairs = self.rule, self.z, self.rule._pairs
        weighted = self.weight * self.v
        by_moments = np.einsum("pcqm,rcqm->prm", weighted, self.v)
        to_v = 2 * self.weight * self.bent
        to_r = np.einsum("pcqm,acqm->paqm", to_v, self.cofactors)
        to_cofactors = np.einsum("pcqm,paqm->acqm", to_v, self.r)
        to_jacobian = _through_cofactors(self.jacobian, to_cofactors)
        to_jacobian -= self.cofactors.swapaxes(0, 1) * (self.density / self.det)
        to_mean = np.zeros_like(self.mean)
        for p, (a, b) in enumerate(pairs):
            part = _half(a, b) * to_r[p]
            for c, e in ((a, b), (b, a)):
                to_jacobian[e] -= self.mean[c] * part
                to_mean[c] -= (self.jacobian[e] * part).sum(axis=0)
        by_z = rule.to_vertices(to_mean, to_jacobian)
        for (a, b), pull in zip(pairs, rule.to_vertices(None, to_r), strict=True):
            by_z[a] += _half(a, b) * pull * z[b]
            by_z[b] += _half(a, b) * pull * z[a]
        by_z[:, 0] = -by_z[:, 1:].sum(axis=1)
        return by_z, by_moments


@lru_cache(maxsize=16)
def isoparametric(kind: CellKind) -> Isoparametric:
    """That of a kind, made once."""
    return Isoparametric(kind)


def second_moments(h: Array, weight: Array | float = 1.0) -> Array:
    """(p, p, m) of Hessians h (f, p, v, m): sums over weighted fields of means over the vertices."""
    return np.einsum("fpvm,frvm->prm", h * (np.reshape(weight, (-1, 1, 1, 1)) / h.shape[2]), h)


def add_at_vertices(total: Array, part: Array, nodes: NDArray[np.int64]) -> None:
    """Add values (k, v, m) of cells' vertices to those of all vertices (k, s)."""
    for row, values in zip(total, part, strict=True):
        row += np.bincount(nodes.ravel(), values.ravel(), len(row))


def _half(a: int, b: int) -> float:
    """Half of how often a component counts in H : y y^T."""
    return 0.5 if a == b else 1.0


def _cofactors(jacobian: Array) -> Array:
    """det dxi_a/dx_c (a, c, q, m) of Jacobians dx_c/dxi_a (c, a, q, m)."""
    j = jacobian.swapaxes(0, 1)  # columns
    if len(j) == 2:
        return np.stack([np.stack([j[1, 1], -j[1, 0]]), np.stack([-j[0, 1], j[0, 0]])])
    return np.stack([_cross(j[1], j[2]), _cross(j[2], j[0]), _cross(j[0], j[1])])


def _through_cofactors(jacobian: Array, w: Array) -> Array:
    """The slopes (c, a, q, m) by the Jacobian of what is sloped by its cofactors, w (a, c, q, m)."""
    if len(w) == 2:
        return np.stack([np.stack([w[1, 1], -w[0, 1]]), np.stack([-w[1, 0], w[0, 0]])])
    a, b, c = jacobian.swapaxes(0, 1)
    columns = [
        _cross(w[1], c) + _cross(b, w[2]),
        _cross(c, w[0]) + _cross(w[2], a),
        _cross(w[0], b) + _cross(a, w[1]),
    ]
    return np.stack(columns, axis=1)


def _cross(a: Array, b: Array) -> Array:
    return np.stack([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])
