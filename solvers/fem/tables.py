"""Forms of Lagrange elements as products of dense matrices: one table of the reference cell serves all cells.

scikit-fem calls a form once for every pair of shape functions, a hundred times for cubic triangles. What depends on
cells alone, coefficients and maps at points of quadrature, times one table of products of shape functions gives the
same matrices in one product.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import skfem
from scipy.sparse import coo_matrix, csr_matrix
from skfem.quadrature import get_quadrature

from meshmove.geometry.arrays import Array

__all__ = ["Table", "shapes"]


def shapes(element: skfem.ElementH1, X: Array) -> tuple[Array, Array]:
    """Values (N, q) and slopes (2, N, q) of the shape functions at points (2, q) of the reference cell."""
    found = [element.lbasis(X, i) for i in range(int(element.doflocs.shape[0]))]
    value = np.stack([np.broadcast_to(phi, X.shape[1:]) for phi, _ in found])
    return value, np.stack([np.broadcast_to(d, X.shape) for _, d in found], axis=1)


class Table:
    """The shape functions of a scalar basis at points of quadrature: its own, or those of a rule of some degree.

    `points` (2, cells, q) and weights `dx` (cells, q).

    >>> basis = skfem.Basis(skfem.MeshTri().refined(1), skfem.ElementTriP2())
    >>> table = Table(basis)
    >>> x = table.values(basis.doflocs[0])
    >>> bool(np.allclose(x, basis.global_coordinates()[0]))
    True
    >>> float(table.load(np.ones_like(x)).sum().round(12))
    1.0
    """

    def __init__(self, basis: skfem.CellBasis, degree: int | None = None) -> None:
        rule = (basis.X, basis.W) if degree is None else get_quadrature(basis.mesh.elem.refdom, degree)
        self.basis, (self._X, weights) = basis, map(np.asarray, rule)
        self.value, self.slope = shapes(basis.elem, self._X)
        self.dx = np.abs(np.asarray(basis.mapping.detDF(self._X))) * weights
        self.points = np.asarray(basis.mapping.F(self._X))

    @cached_property
    def _inverse(self) -> Array:
        """Of the derivative of the cells' maps, (2, 2, cells, q)."""
        return np.asarray(self.basis.mapping.invDF(self._X))

    def values(self, dofs: Array) -> Array:
        """Of the function with degrees of freedom (n,): (cells, q)."""
        return np.asarray(dofs[self.basis.element_dofs].T @ self.value)

    def gradients(self, dofs: Array) -> Array:
        """Of the function with degrees of freedom (n,): (2, cells, q)."""
        local = np.stack([dofs[self.basis.element_dofs].T @ d for d in self.slope])
        return np.stack([(self._inverse[:, i] * local).sum(axis=0) for i in (0, 1)])

    def norm(self, dofs: Array) -> float:
        """L2 norm of the function with degrees of freedom (n,), at least 1e-300."""
        return max(float(np.sqrt((self.values(dofs) ** 2 * self.dx).sum())), 1e-300)

    def load(self, f: Array) -> Array:
        """int f v (n,), of f (cells, q)."""
        each = (f * self.dx) @ self.value.T
        return np.asarray(np.bincount(self.basis.element_dofs.T.ravel(), each.ravel(), minlength=self.basis.N), float)

    def matrix(self, a: Array, c: Array | None = None, e: Array | None = None) -> csr_matrix:
        """int A grad u . grad v + c . grad u v + e u v, of A (2, 2, cells, q), c (2, cells, q) and e (cells, q)."""
        weights, tables = [], []
        through = np.stack([[(self._inverse[k] * a[:, j]).sum(axis=0) for j in (0, 1)] for k in (0, 1)])
        for k in (0, 1):
            for j in (0, 1):
                weights.append((through[k] * self._inverse[j]).sum(axis=0))
                tables.append((self.slope[k], self.slope[j]))
        if c is not None:
            weights += [(self._inverse[k] * c).sum(axis=0) for k in (0, 1)]
            tables += [(self.value, self.slope[k]) for k in (0, 1)]
        if e is not None:
            weights.append(e)
            tables.append((self.value, self.value))
        weight = np.concatenate([w * self.dx for w in weights], axis=1)
        table = np.concatenate([np.einsum("iq,jq->qij", v, u) for v, u in tables])
        each = weight @ table.reshape(len(table), -1)
        dofs, n = self.basis.element_dofs.T, self.value.shape[0]
        rows, columns = np.repeat(dofs, n, axis=1), np.tile(dofs, n)
        size = (self.basis.N, self.basis.N)
        return coo_matrix((each.ravel(), (rows.ravel(), columns.ravel())), shape=size).tocsr()
