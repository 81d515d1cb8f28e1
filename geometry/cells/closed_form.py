r"""The predicted H1 error on triangles and tetrahedra in closed form, and its slopes.

The linear interpolant of a quadratic field with Hessian H errs by -1/4 N^T D N on a simplex, with D_ij = y_k^T H y_k of
the edge y_k from vertex i to j. With A = D grad N and the cofactors C_i = det grad N_i,

.. math::
    Q = \det{}^2 \Bigl( \sum_i |A_i|^2 + |\sum_i A_i|^2 \Bigr)

is what the integral of the squared gradient consists of, but for a factor. On triangles it is a sum of three squares,

.. math::
    Q = 4 \sum_k |y_k|^2 (y_{k+1}^T H y_{k+2})^2,

with y_k the edge opposite vertex k: nothing is lost where all edges are conjugate with respect to H. On tetrahedra it
is a quadratic form of the numbers q_k = y_k^T H y_k alone,

.. math::
    Q = \sum_{kl} M_{kl} \, q_k q_l, \qquad M_{kl} = \sum_m T_{klm} \, C_i \cdot C_j,

where the pairs m = (i, j) of vertices are those of the edges and T is a table of numbers: the stiffness matrix has as
many entries off its diagonal as a cell has edges, and its rows add up to zero. So a cell costs as many products as
these small matrices have entries, however the formula is differentiated.
"""

from __future__ import annotations

from functools import cache
from itertools import combinations
from typing import Protocol

import numpy as np

from meshmove.geometry.arrays import Array

__all__ = ["CHUNK", "Cells", "closed_form"]


#: cells that are best worked on at a time, so that their arrays stay in the cache
CHUNK = 1_000


class Cells(Protocol):
    """Some cells, given by their vertices' coordinates (dim, v, s).

    Hessians h (p, v, s) at the vertices, with components in the order xx, xy, yy or xx, xy, xz, yy, yz, zz, count by
    the sum over the vertices.
    """

    def products(self, h: Array) -> Array:
        """Of edges with Hessians: (e, v, s)."""
        ...

    @property
    def lengths(self) -> Array:
        """The products (e, 1, s) with the unit Hessian."""
        ...

    def squares(self, q: Array) -> Array:
        """Q (s,) of `products`."""
        ...

    def plain_squares(self, q: Array) -> Array:
        """The integral of the squared error itself but for a factor (s,): with D over edges, sums of products by the
        moments of the barycentric coordinates."""
        ...

    def slopes(self, h: Array, weight: Array, by_vertex: Array) -> tuple[Array, Array]:
        """Q, and the slopes of its sum with weights (s,) by the Hessians (p, v, s).

        Those by the vertices' coordinates (dim, v, s) are added to the last argument.
        """
        ...


def closed_form(x: Array, cofactors: Array) -> Cells:
    """Cells with vertices x (dim, v, s) and cofactors (dim, v, s), det grad N_i."""
    return Triangles(x) if len(x) == 2 else Tetrahedra(_Table.of(len(x)), x, cofactors)


#: of each edge and vertex of a triangle the one after and the one before
_NEXT, _LAST = np.array([1, 2, 0]), np.array([2, 0, 1])


class Triangles:
    """With the products p_k = y_(k+1)^T H y_(k+2), the edge y_k opposite vertex k."""

    def __init__(self, x: Array) -> None:
        self._edge = x.take(_LAST, axis=1) - x.take(_NEXT, axis=1)  # (2, 3, s)
        self._next, self._last = (a, b), (c, d) = self._edge.take(_NEXT, axis=1), self._edge.take(_LAST, axis=1)
        self._pair = np.empty((3, *a.shape))
        np.multiply(a, c, out=self._pair[0])
        np.multiply(a, d, out=self._pair[1])
        self._pair[1] += b * c
        np.multiply(b, d, out=self._pair[2])
        self._square = np.einsum("cks,cks->ks", self._edge, self._edge)

    def products(self, h: Array) -> Array:
        return np.einsum("cks,cvs->kvs", self._pair, h)

    @property
    def lengths(self) -> Array:
        return (self._pair[0] + self._pair[2])[:, None]

    def squares(self, q: Array) -> Array:
        return 4 * np.einsum("ks,ks->s", self._square, np.einsum("kvs,kvs->ks", q, q))

    def plain_squares(self, q: Array) -> Array:
        d = q.take(_NEXT, axis=0) + q.take(_LAST, axis=0)  # but for the sign those of an edge with itself
        whole = 2 * np.add.reduce(q)
        return np.einsum("vs,vs->s", whole, whole) + np.einsum("kvs,kvs->s", d, d)

    def slopes(self, h: Array, weight: Array, by_vertex: Array) -> tuple[Array, Array]:
        (a, b), (c, d), (y, z) = self._next, self._last, np.empty((2, 3, len(weight)))
        p = self.products(h)
        by_length = np.einsum("kvs,kvs->ks", p, p)
        squares = 4 * np.einsum("ks,ks->s", self._square, by_length)
        p *= (8 * weight * self._square)[:, None]
        u, v, w = np.einsum("kvs,cvs->cks", p, h)  # by the pairs
        by_length *= 8 * weight
        pull = self._edge * by_length
        for (e, f), there in (((c, d), _LAST), ((a, b), _NEXT)):
            for component, (one, other) in zip(pull, ((u, v), (v, w)), strict=True):
                np.multiply(one, e, out=y)
                y += np.multiply(other, f, out=z)
                component += y.take(there, axis=0)
        by_vertex += pull.take(_NEXT, axis=1)
        by_vertex -= pull.take(_LAST, axis=1)
        return squares, np.einsum("kvs,cks->cvs", p, self._pair)


class _Table:
    """What is the same for all cells of a dimension."""

    def __init__(self, dim: int) -> None:
        v = dim + 1
        pairs = list(combinations(range(v), 2))
        self.first, self.last = np.array(pairs).T
        edges = list(enumerate(pairs))
        self.opposite = [(k, l) for (k, a), (l, b) in combinations(edges, 2) if not set(a) & set(b)]
        self.rows, self.columns = np.array([(a, b) for a in range(dim) for b in range(a, dim)]).T
        self.twice = np.where(self.rows == self.columns, 1.0, 2.0)[:, None, None]
        self.full = np.zeros((dim, dim), np.int64)  # of the components of a symmetric matrix
        self.full[self.rows, self.columns] = self.full[self.columns, self.rows] = np.arange(len(self.rows))
        unit = np.eye(v)
        sums = np.stack([np.outer(unit[i], unit[j]) + np.outer(unit[j], unit[i]) for i, j in pairs])
        stiff = sums - np.stack([np.diag(unit[i] + unit[j]) for i, j in pairs])
        table = np.einsum("mab,kbc,cd,lda->klm", stiff, sums, unit + 1, sums)
        table = (table + table.swapaxes(0, 1)) / 2
        self.entries = np.ascontiguousarray(table.reshape(-1, len(pairs)))
        self.from_, self.to = unit[:, self.first], unit[:, self.last]  # (v, e)

    @classmethod
    @cache
    def of(cls, dim: int) -> _Table:
        return cls(dim)


class Tetrahedra:
    """With the products q_k = y_k^T H y_k."""

    def __init__(self, table: _Table, x: Array, cofactors: Array) -> None:
        self._table = table
        self._edge = x.take(table.last, axis=1) - x.take(table.first, axis=1)  # (dim, e, s)
        self._bend = self._edge.take(table.rows, axis=0) * self._edge.take(table.columns, axis=0)  # (p, e, s)
        self._bend *= table.twice
        self._ends = cofactors.take(table.first, axis=1), cofactors.take(table.last, axis=1)
        stiff = np.einsum("cms,cms->ms", *self._ends)
        e = len(stiff)
        self._matrix = (table.entries @ stiff).reshape(e, e, -1)

    def products(self, h: Array) -> Array:
        return np.einsum("pks,pvs->kvs", self._bend, h)

    @property
    def lengths(self) -> Array:
        return np.einsum("cks,cks->ks", self._edge, self._edge)[:, None]

    def squares(self, q: Array) -> Array:
        return np.einsum("kvs,kvs->s", q, np.einsum("kls,lvs->kvs", self._matrix, q))

    def plain_squares(self, q: Array) -> Array:
        whole = np.add.reduce(q)
        total = np.einsum("vs,vs->s", whole, whole) + np.einsum("kvs,kvs->s", q, q)
        for k, l in self._table.opposite:
            total -= np.einsum("vs,vs->s", q[k], q[l])
        return total

    def slopes(self, h: Array, weight: Array, by_vertex: Array) -> tuple[Array, Array]:
        table, y = self._table, self._edge
        q = self.products(h)
        by_q = np.einsum("kls,lvs->kvs", self._matrix, q)
        squares = np.einsum("kvs,kvs->s", q, by_q)
        by_q *= 2 * weight
        products = np.einsum("kvs,lvs->kls", q, q).reshape(-1, len(weight))
        by_stiff = table.entries.T @ products
        by_stiff *= weight
        first, last = self._ends
        by_cofactor = table.from_ @ (by_stiff * last)
        by_cofactor += table.to @ (by_stiff * first)
        by_bend = np.einsum("kvs,pvs->pks", by_q, h)
        pull = 2 * np.einsum("abks,bks->aks", by_bend[table.full], y)
        by_vertex += (table.to - table.from_) @ pull
        through = _through_cofactors(y[:, : len(y)], by_cofactor[:, 1:] - by_cofactor[:, :1])
        by_vertex[:, 1:] += through
        by_vertex[:, 0] -= through.sum(axis=1)
        return squares, np.einsum("kvs,pks->pvs", by_q, self._bend)


def _through_cofactors(e: Array, w: Array) -> Array:
    """The slopes by the edges from vertex 0 (3, 3, s) of what is sloped by the cofactors of the others (3, 3, s)."""
    a, b, c = e.swapaxes(0, 1)  # cofactors: b x c, c x a, a x b
    u, v, w = w.swapaxes(0, 1)
    return np.stack([_cross(v, c) + _cross(b, w), _cross(c, u) + _cross(w, a), _cross(u, b) + _cross(a, v)], axis=1)


def _cross(a: Array, b: Array) -> Array:
    return np.stack([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])
