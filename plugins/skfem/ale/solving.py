"""One step in time as a linear system, and its solution by a factorisation for matrices of a symmetric pattern."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import skfem
from numpy.typing import NDArray
from scipy.sparse import csc_matrix, csr_matrix
from scipy.sparse.linalg import splu

from meshmove.geometry.arrays import Array

from ..coefficients import dofs_of

__all__ = ["Matrices"]

#: of SuperLU: rows and columns are ordered alike, and rows are exchanged where the diagonal is that much smaller. On
#: 2,601 nodes that takes two thirds of the time of an order of columns alone
SYMMETRIC, PIVOT = "MMD_AT_PLUS_A", 0.1


@dataclass(frozen=True, eq=False)
class Matrices:
    """One step as matrices: ``left @ new = right @ old + load``.

    `basis`: where functions of the step are to be assembled, on the mesh half-way.
    """

    left: csr_matrix
    right: csr_matrix
    load: Array
    basis: skfem.CellBasis

    def solve(self, old: Array, *, fixed: Any = None, values: Any = 0.0) -> Array:
        """The new dofs; those of `fixed` have `values` (k,) or one value.

        `fixed`: ids (k,), a mask (N,), or what `basis.get_dofs` gives.

        Raises
        ------
        RuntimeError
            A matrix that is singular.
        """
        right = self.right @ old + self.load
        x = np.zeros(len(right), np.result_type(self.left.dtype, right, np.asarray(values)))
        if fixed is None:
            return _solved(self.left, right.astype(x.dtype))
        given = fixed.flatten() if hasattr(fixed, "flatten") and not isinstance(fixed, np.ndarray) else fixed
        ids = dofs_of(given, len(right))
        x[ids] = values
        right = right - self.left @ x
        right[ids] = 0.0
        return x + _solved(_held(self.left, ids), right.astype(x.dtype))


def _held(matrix: csr_matrix, ids: NDArray[np.int64]) -> csr_matrix:
    """The matrix with rows and columns of the identity at some dofs."""
    n = matrix.shape[0]
    free = np.ones(n, bool)
    free[ids] = False
    rows = np.repeat(np.arange(n), np.diff(matrix.indptr))
    data = np.where(free[rows] & free[matrix.indices], matrix.data, (rows == matrix.indices).astype(matrix.dtype))
    return csr_matrix((data, matrix.indices, matrix.indptr), matrix.shape, copy=True)


def _solved(matrix: csr_matrix, right: Array) -> Array:
    """Rows of a matrix are the columns of its transpose, which is what is factorised."""
    dtype = np.result_type(matrix.dtype, right)
    turned = csc_matrix((matrix.data.astype(dtype), matrix.indices, matrix.indptr), matrix.shape, copy=True)
    turned.eliminate_zeros()
    factors = splu(turned, permc_spec=SYMMETRIC, diag_pivot_thresh=PIVOT, options={"SymmetricMode": True})
    return factors.solve(right.astype(dtype), "T")
