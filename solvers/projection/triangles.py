"""Triangular solves with a banded factor for many right-hand sides, by dense blocks.

LAPACK's own for banded matrices takes the columns one by one: products of a matrix with a vector. By blocks of rows
they are products of matrices (Golub & Van Loan, Matrix Computations, 3.1.4, Johns Hopkins 2013).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.linalg import solve_triangular

from meshmove.geometry.arrays import Array

__all__ = ["Triangle", "blocks", "forward"]

_ROWS = 192  #: of a block

#: rows [start, stop), the first column back that they reach to, L[start:stop, back:start], L[start:stop, start:stop]
Block = tuple[int, int, int, Array, Array]


def blocks(factor: Array, rows: int = _ROWS) -> Iterator[Block]:
    """The rows of a lower banded L, given as its diagonals (band, n), by dense blocks."""
    band, n = factor.shape
    for start in range(0, n, rows):
        stop, back = min(start + rows, n), max(start - band + 1, 0)
        gap = np.arange(start, stop)[:, None] - np.arange(back, stop)
        dense = np.where((gap >= 0) & (gap < band), factor[gap.clip(0, band - 1), np.arange(back, stop)], 0.0)
        yield start, stop, back, dense[:, : start - back], np.asfortranarray(dense[:, start - back :])


def forward(factor: Array, right: Array) -> Array:
    """L^-1 right, (n, k)."""
    return _forward(blocks(factor), right) if right.shape[1] else right


class Triangle:
    """A lower banded L, (band, n), whose blocks are kept for many solves.

    >>> triangle = Triangle(np.array([[2.0, 1.0, 4.0], [1.0, 3.0, 0.0]]))  # L = [[2, 0, 0], [1, 1, 0], [0, 3, 4]]
    >>> triangle.solve(np.array([[8.0], [15.0], [81.0]])).ravel()  # L L' = [[4, 2, 0], [2, 2, 3], [0, 3, 25]]
    array([1., 2., 3.])
    """

    def __init__(self, factor: Array) -> None:
        self.blocks = list(blocks(factor))

    def solve(self, right: Array) -> Array:
        """(L L')^-1 right, (n, k)."""
        out = _forward(self.blocks, right)
        for start, stop, back, before, own in reversed(self.blocks):
            out[start:stop] = solve_triangular(own, out[start:stop], lower=True, trans=1, check_finite=False)
            out[back:start] -= before.T @ out[start:stop]
        return out


def _forward(rows: Iterator[Block] | list[Block], right: Array) -> Array:
    out = right.copy()
    for start, stop, back, before, own in rows:
        out[start:stop] -= before @ out[back:start]
        out[start:stop] = solve_triangular(own, out[start:stop], lower=True, check_finite=False)
    return out
