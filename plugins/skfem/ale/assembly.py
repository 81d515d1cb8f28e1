"""Sparse matrices and vectors of scalar elements from values at quadrature points, on cells that stay the same.

scikit-fem evaluates a form once for each pair of shape functions and finds the pattern of the matrix anew; on the
meshes of a time loop the pattern is always the same one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, reduce
from operator import add
from typing import Any

import numpy as np
import skfem
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from meshmove.geometry.arrays import Array

__all__ = ["Quadrature", "at_points"]


class Quadrature:
    """Shape functions of a basis of a scalar element at its quadrature points, and what is summed over these.

    Raises
    ------
    ValueError
        An element that is not scalar.
    """

    def __init__(self, basis: skfem.CellBasis) -> None:
        self.basis, self._pattern = basis, _pattern(basis.element_dofs, basis.N)
        fields = [f[0] for f in basis.basis]
        if len(basis.basis[0]) != 1 or any(np.ndim(f) != 2 or f.grad is None for f in fields):
            raise ValueError(f"Expected an element with one component (got {type(basis.elem).__name__})")
        self.values = [np.asarray(f) for f in fields]
        self._slopes = [f.grad for f in fields]

    def along(self, vectors: Any) -> list[Array]:
        """(cells, points): of each shape function, its slope along vectors (dim, cells, points)."""
        return [sum(v * g for v, g in zip(vectors, slope, strict=True)) for slope in self._slopes]

    def products(self, rows: list[Array], columns: list[Array], weight: Any = 1.0) -> Array:
        """(N, N, cells): integrals over each cell of one function for each row times one for each column."""
        dx = self.basis.dx * weight
        out = np.empty((len(rows), len(columns), len(dx)), np.result_type(dx, *rows, *columns))
        for i, test in enumerate(rows):
            weighted = test * dx
            for j, trial in enumerate(columns):
                np.einsum("eq,eq->e", weighted, trial, out=out[i, j])
        return out

    def diffusion(self, weight: Any) -> Array:
        """(N, N, cells): integrals of the products of their slopes."""
        parts = zip(*self._slopes, strict=True)
        return reduce(add, (self.products(list(part), list(part), weight) for part in parts))

    @cached_property
    def mass(self) -> csr_matrix:
        return self.matrix(self.products(self.values, self.values))

    def matrix(self, local: Array) -> csr_matrix:
        """Of the matrices (N, N, cells) of the cells."""
        return self._pattern.matrix(local)

    def vector(self, source: Any) -> Array:
        """Integrals (n,) of a source with each shape function."""
        dx, n = self.basis.dx * source, self.basis.N
        parts = [(dofs, (v * dx).sum(axis=1)) for dofs, v in zip(self.basis.element_dofs, self.values, strict=True)]
        return reduce(add, (_counted(dofs, part, n) for dofs, part in parts))


def at_points(basis: skfem.CellBasis, dofs: NDArray, rows: Array) -> Array:
    """(k, cells, points): values of k functions, with coefficients (k, n) at dofs (N, cells) of the basis' element."""
    shapes = [np.asarray(f[0]) for f in basis.basis]
    return np.stack([sum(row[ids][:, None] * v for ids, v in zip(dofs, shapes, strict=True)) for row in rows])


@dataclass(frozen=True, eq=False)
class _Pattern:
    """Which entries a matrix on cells with `dofs` (N, cells) has, and to which of them each of a cell's goes."""

    dofs: NDArray
    slot: NDArray
    indices: NDArray
    indptr: NDArray

    @classmethod
    def of(cls, dofs: NDArray, n: int) -> _Pattern:
        rows, columns = np.broadcast_arrays(dofs[:, None].astype(np.int64), dofs[None])
        keys, slot = np.unique((rows * n + columns).ravel(), return_inverse=True)
        indptr = np.searchsorted(keys, np.arange(n + 1, dtype=np.int64) * n)
        return cls(dofs, slot.ravel(), (keys % n).astype(np.int32), indptr.astype(np.int32))

    def matrix(self, local: Array) -> csr_matrix:
        data, n = _counted(self.slot, local.ravel(), len(self.indices)), len(self.indptr) - 1
        return csr_matrix((data, self.indices, self.indptr), (n, n))


#: the last one: in a loop it is that of the next step, too
_last: list[_Pattern] = []


def _pattern(dofs: NDArray, n: int) -> _Pattern:
    for known in _last:
        if len(known.indptr) == n + 1 and np.array_equal(known.dofs, dofs):
            return known
    _last[:] = [_Pattern.of(dofs, n)]
    return _last[0]


def _counted(slot: NDArray, values: Array, n: int) -> NDArray:
    """Sums (n,) of values by where they go."""
    if not np.iscomplexobj(values):
        return np.bincount(slot, values, n)
    return np.bincount(slot, values.real, n) + 1j * np.bincount(slot, values.imag, n)
