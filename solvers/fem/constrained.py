"""Linear systems of which some unknowns are held: condensed by scikit-fem, factorised or solved by multigrid."""

from __future__ import annotations

from typing import Literal

import numpy as np
import skfem
from numpy.typing import ArrayLike
from scipy.sparse import csc_matrix, csr_matrix
from scipy.sparse.linalg import SuperLU, splu

from meshmove.geometry.arrays import Array, Ids

__all__ = ["Constrained", "factorised"]

#: unknowns beyond which multigrid beats a direct solve, by dimension of the mesh
DIRECT = {2: 60_000, 3: 8_000}


def factorised(matrix: csr_matrix, symmetric: bool = True) -> SuperLU:
    """The LU factors of a sparse matrix, in an order for symmetric ones or for any."""
    options = {"permc_spec": "MMD_AT_PLUS_A", "options": {"SymmetricMode": True}} if symmetric else {}
    return splu(csc_matrix(matrix), **options)


class Constrained:
    """A x = b for the free unknowns, the others held; its factors serve any number of right-hand sides.

    Parameters
    ----------
    matrix
        A, of all unknowns (n, n).
    held, values
        Which unknowns (k,) are held, and where.
    symmetric
        Whether A is symmetric.
    solver
        "direct", "multigrid" (conjugate gradients with smoothed aggregation, to 1e-12; falls back to direct should they
        stall), or "auto": by size and `dim`.

    >>> from scipy.sparse import eye
    >>> Constrained(2 * eye(3, format="csr"), np.array([0]), np.array([7.0])).solve(np.ones(3))
    array([7. , 0.5, 0.5])
    """

    def __init__(
        self,
        matrix: csr_matrix,
        held: Ids,
        values: ArrayLike = 0.0,
        *,
        symmetric: bool = True,
        solver: Literal["auto", "direct", "multigrid"] = "direct",
        dim: int = 2,
    ) -> None:
        n = matrix.shape[0]
        self._x = np.zeros(n)
        self._x[held] = values
        self.free = np.setdiff1d(np.arange(n), held)
        self._symmetric, self._factors = symmetric, None
        if not len(self.free):
            return
        self._inner, self._coupling = skfem.condense(matrix.tocsr(), np.zeros(n), x=self._x, D=held)[:2]
        many = len(self.free) > DIRECT.get(dim, np.inf)
        if solver == "direct" or (solver == "auto" and not many):
            self._factors = factorised(self._inner, symmetric)

    def solve(self, load: Array) -> Array:
        """All unknowns (n,), from the right-hand side (n,), whose held rows do not count."""
        x = self._x.copy()
        if len(self.free):
            x[self.free] = self._solved(load[self.free] + self._coupling)
        return x

    def solve_zero(self, load: Array, transposed: bool = False) -> Array:
        """The same with all held unknowns zero, by A or its transpose."""
        x = np.zeros_like(self._x)
        if len(self.free):
            right = load[self.free]
            if transposed and not self._symmetric and self._factors is not None:
                x[self.free] = self._factors.solve(right, "T")
            else:
                x[self.free] = self._solved(right)
        return x

    def _solved(self, load: Array) -> Array:
        if self._factors is None:
            import pyamg

            hierarchy = pyamg.smoothed_aggregation_solver(csr_matrix(self._inner), max_coarse=200)
            x, stalled = hierarchy.solve(load, tol=1e-12, accel="cg", maxiter=200, return_info=True)
            if not stalled:
                return x
            self._factors = factorised(self._inner, self._symmetric)
        return self._factors.solve(load)
