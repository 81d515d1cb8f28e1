r"""The predicted H1 error on triangles and tetrahedra in closed form, and its slopes.

The linear interpolant of a quadratic field with Hessian H errs by -1/4 N^T D N on a simplex, with D_ij = q_k =
y_k^T H y_k of the edge y_k from vertex i to j. With A = D grad N and the cofactors C_i = det grad N_i, what the
integral of the squared gradient consists of is a quadratic form of these numbers alone,

.. math::
    \det{}^2 \Bigl( \sum_i |A_i|^2 + |\sum_i A_i|^2 \Bigr) = \sum_{kl} M_{kl} \, q_k q_l,
    \qquad M_{kl} = \sum_m T_{klm} \, C_i \cdot C_j,

where the pairs m = (i, j) of vertices are those of the edges and T is a table of numbers: the stiffness matrix has as
many entries off its diagonal as a cell has edges, and its rows add up to zero. So a cell costs as many products as
these small matrices have entries, however the formula is differentiated.
"""

from __future__ import annotations

from functools import cache
from itertools import combinations

import numpy as np

from meshmove.geometry.arrays import Array

__all__ = ["CHUNK", "ClosedForm"]


#: cells that are best worked on at a time, so that their arrays stay in the cache
CHUNK = 1_000


class ClosedForm:
    """For cells of one dimension, given by their vertices' coordinates (dim, v, s) and cofactors (dim, v, s).

    Hessians h (p, v, s) at the vertices, with components in the order xx, xy, yy or xx, xy, xz, yy, yz, zz, count by
    the sum over the vertices.
    """

    def __init__(self, dim: int) -> None:
        v = dim + 1
        pairs = list(combinations(range(v), 2))
        self._first, self._last = np.array(pairs).T
        edges = list(enumerate(pairs))
        self.opposite = [(k, l) for (k, a), (l, b) in combinations(edges, 2) if not set(a) & set(b)]
        self._rows, self._columns = np.array([(a, b) for a in range(dim) for b in range(a, dim)]).T
        self._twice = np.where(self._rows == self._columns, 1.0, 2.0)[:, None, None]
        self._full = np.zeros((dim, dim), np.int64)  # of the components of a symmetric matrix
        self._full[self._rows, self._columns] = self._full[self._columns, self._rows] = np.arange(len(self._rows))
        unit = np.eye(v)
        sums = np.stack([np.outer(unit[i], unit[j]) + np.outer(unit[j], unit[i]) for i, j in pairs])
        stiff = sums - np.stack([np.diag(unit[i] + unit[j]) for i, j in pairs])
        table = np.einsum("mab,kbc,cd,lda->klm", stiff, sums, unit + 1, sums)
        table = (table + table.swapaxes(0, 1)) / 2
        self._table = np.ascontiguousarray(table.reshape(-1, len(pairs)))
        self._from = unit[:, self._first]  # (v, e)
        self._to = unit[:, self._last]

    @classmethod
    @cache
    def of(cls, dim: int) -> ClosedForm:
        """One for each dimension."""
        return cls(dim)

    def at(self, x: Array, cofactors: Array) -> Cells:
        return Cells(self, x, cofactors)


class Cells:
    """What depends on the places of some cells alone."""

    def __init__(self, form: ClosedForm, x: Array, cofactors: Array) -> None:
        self._form = form
        self._edge = x.take(form._last, axis=1) - x.take(form._first, axis=1)  # (dim, e, s)
        self._bend = self._edge.take(form._rows, axis=0) * self._edge.take(form._columns, axis=0)  # (p, e, s)
        self._bend *= form._twice
        self._ends = cofactors.take(form._first, axis=1), cofactors.take(form._last, axis=1)
        stiff = np.einsum("cms,cms->ms", *self._ends)
        e = len(stiff)
        self._matrix = (form._table @ stiff).reshape(e, e, -1)

    def bends(self, h: Array) -> Array:
        """q (e, v, s)"""
        return np.einsum("pks,pvs->kvs", self._bend, h)

    @property
    def lengths(self) -> Array:
        """q (e, 1, s) of the unit Hessian: squared lengths of the edges."""
        return np.einsum("cks,cks->ks", self._edge, self._edge)[:, None]

    def squares(self, q: Array) -> Array:
        """det^2 (sum |A_i|^2 + |sum A_i|^2) (s,) of `bends`."""
        return np.einsum("kvs,kvs->s", q, np.einsum("kls,lvs->kvs", self._matrix, q))

    def plain_squares(self, q: Array) -> Array:
        """(sum q_k)^2 + sum q_k^2 - sum q_k q_l, the last over pairs of edges without a common vertex (s,): moments of
        the barycentric coordinates, the integral of the squared error itself but for a factor."""
        whole = np.add.reduce(q)
        total = np.einsum("vs,vs->s", whole, whole) + np.einsum("kvs,kvs->s", q, q)
        for k, l in self._form.opposite:
            total -= np.einsum("vs,vs->s", q[k], q[l])
        return total

    def slopes(self, h: Array, weight: Array, by_vertex: Array, by_cofactor: Array) -> tuple[Array, Array]:
        """The squares, and the slopes of their sum with weights (s,) by the Hessians (p, v, s).

        Those by the vertices' coordinates through the edges, and by the cofactors, (dim, v, s), are added to the
        last two arguments.
        """
        form, y = self._form, self._edge
        q = self.bends(h)
        by_q = np.einsum("kls,lvs->kvs", self._matrix, q)
        squares = np.einsum("kvs,kvs->s", q, by_q)
        by_q *= 2 * weight
        products = np.einsum("kvs,lvs->kls", q, q).reshape(-1, len(weight))
        by_stiff = form._table.T @ products
        by_stiff *= weight
        first, last = self._ends
        by_cofactor += form._from @ (by_stiff * last)
        by_cofactor += form._to @ (by_stiff * first)
        by_bend = np.einsum("kvs,pvs->pks", by_q, h)
        pull = 2 * np.einsum("abks,bks->aks", by_bend[form._full], y)
        by_vertex += (form._to - form._from) @ pull
        return squares, np.einsum("kvs,pks->pvs", by_q, self._bend)
