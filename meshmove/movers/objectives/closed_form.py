r"""The predicted H1 error on triangles and tetrahedra in closed form, and its slopes.

With the edges y_k from vertex i to j, the vectors A_i and the cofactors C_i = det grad N_i, the squares of `alignment`
are a quadratic form of the numbers q_k = y_k^T H y_k alone,

.. math::
    \det{}^2 \Bigl( \sum_i |A_i|^2 + |\sum_i A_i|^2 \Bigr) = \sum_{kl} M_{kl} \, q_k q_l,
    \qquad M_{kl} = \sum_m T_{klm} \, C_i \cdot C_j,

where the pairs m = (i, j) of vertices are those of the edges and T is a table of numbers: the stiffness matrix has as
many entries off its diagonal as a cell has edges, and its rows add up to zero. So a cell costs as many products as
these small matrices have entries, however the formula is differentiated.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from meshmove.geometry.arrays import Array

__all__ = ["ClosedForm"]


class ClosedForm:
    """For cells of one dimension, given by their vertices' coordinates (dim, v, s) and cofactors (dim, v, s).

    Hessians h (p, v, s) at the vertices, with components in the order xx, xy, yy or xx, xy, xz, yy, yz, zz, count by
    the sum over the vertices.
    """

    def __init__(self, dim: int) -> None:
        v = dim + 1
        pairs = list(combinations(range(v), 2))
        self._first, self._last = np.array(pairs).T
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

    def of(self, x: Array, cofactors: Array) -> Cells:
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

    def squares(self, h: Array) -> Array:
        """det^2 (sum |A_i|^2 + |sum A_i|^2) (s,)"""
        q = np.einsum("pks,pvs->kvs", self._bend, h)
        return np.einsum("kvs,kvs->s", q, np.einsum("kls,lvs->kvs", self._matrix, q))

    def slopes(self, h: Array, weight: Array, by_vertex: Array, by_cofactor: Array) -> tuple[Array, Array]:
        """The squares, and the slopes of their sum with weights (s,) by the Hessians (p, v, s).

        Those by the vertices' coordinates through the edges, and by the cofactors, (dim, v, s), are added to the
        last two arguments.
        """
        form, y = self._form, self._edge
        q = np.einsum("pks,pvs->kvs", self._bend, h)
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
