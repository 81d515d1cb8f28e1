r"""Local features: smooth splines on an even or a graded grid, cut by the domain.

    phi_jk(X, Y) = B((X + 1)/h - j) B((Y + 1)/h - k),   h = 2/cells,

B the cardinal B-spline of some degree d, d - 1 times continuously differentiable; on uneven cells those of `Knots`. On
every cell (d+1)^2 of them live,
so rows of a least-squares problem are sparse and its normal matrix has a band: thousands of features cost what a few
hundred global ones do. The grid knows nothing of the domain; functions whose support misses it drop out of the solve
(Hoellig, Finite Element Methods with B-Splines, SIAM 2003).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from meshmove.geometry.arrays import Array
from meshmove.solvers.pde.terms import BASE, TABLE, Along

from .knots import Knots

__all__ = ["Splines"]

#: derivatives of the functions of one coordinate, the value among them, that any term needs
_ORDERS = 1 + max(max(term.along) for term in TABLE)


@lru_cache
def _pieces(degree: int) -> Array:
    """(orders, d+1, d+1): the d+1 polynomials on a cell, and their derivatives, in powers of t in [0, 1]."""
    c = np.ones((1, 1))
    for d in range(1, degree + 1):  # B_d(x) = x/d B_{d-1}(x) + (d+1-x)/d B_{d-1}(x-1); piece k is x = t + d - k
        new = np.zeros((d + 1, d + 1))
        for k in range(d):  # piece k of degree d-1 lies at x = t + (d - 1 - k)
            x = d - 1 - k
            new[k + 1, :d] += x / d * c[k]
            new[k + 1, 1:] += c[k] / d
            new[k, :d] += (d - x) / d * c[k]
            new[k, 1:] -= c[k] / d
        c = new
    jets = [c]
    for _ in range(_ORDERS - 1):
        jets.append(np.pad(jets[-1][:, 1:] * np.arange(1, degree + 1), ((0, 0), (0, 1))))
    return np.stack(jets)


@dataclass(frozen=True)
class Splines:
    """Tensor-product splines on [-1, 1]^2.

    Parameters
    ----------
    cells
        Cells along X and along Y.
    degree
        Polynomial degree, at least 2.
    knots
        Uneven cells along X and along Y, as many as `cells` says; by default cells of one size.

    >>> splines = Splines((4, 6), 3)
    >>> splines.size
    63
    >>> X = np.random.default_rng(0).uniform(-1, 1, (2, 50))
    >>> value, dX, dY, dXX, dYY = splines.expand(np.ones(63), X)  # a partition of unity
    >>> bool(np.allclose(value, 1)), bool(np.allclose(dXX, 0))
    (True, True)
    """

    cells: tuple[int, int]
    degree: int = 6
    knots: tuple[Knots, Knots] | None = None

    @staticmethod
    def graded(knots: tuple[Knots, Knots], degree: int = 6) -> Splines:
        """On uneven cells."""
        return Splines((knots[0].cells, knots[1].cells), degree, knots)

    @property
    def sides(self) -> tuple[int, int]:
        """Functions along X and along Y."""
        return self.cells[0] + self.degree, self.cells[1] + self.degree

    @property
    def size(self) -> int:
        """Number of functions."""
        return self.sides[0] * self.sides[1]

    @property
    def strides(self) -> tuple[int, int]:
        """Distance in the numbering of neighbours along X and along Y; the shorter side is numbered first."""
        sx, sy = self.sides
        return (1, sx) if sx <= sy else (sy, 1)

    @property
    def band(self) -> int:
        """Rows of the lower band of a normal matrix."""
        return self.degree * sum(self.strides) + 1

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """Columns of the functions on a cell, from its first one, ((d+1)^2,), those along X first."""
        k = np.arange(self.degree + 1)
        return (k[:, None] * self.strides[1] + k * self.strides[0]).ravel()

    def cell(self, X: Array) -> NDArray[np.int64]:
        """Cell indices (2, n) of points; points outside belong to the nearest cell."""
        if self.knots is not None:
            return np.stack([k.cell(x) for k, x in zip(self.knots, X, strict=True)])
        n = np.array(self.cells)[:, None]
        return np.clip(((X + 1) * (n / 2)).astype(np.int64), 0, n - 1)

    def index(self, X: Array) -> Array:
        """Where points (2, n) are counted in cells: corners of the grid at 0 and `cells`."""
        if self.knots is not None:
            return np.stack([k.index(x) for k, x in zip(self.knots, X, strict=True)])
        return (X + 1) * (np.array(self.cells)[:, None] / 2)

    def nodes(self, axis: int, t: Array) -> Array:
        """Coordinates (cells * len(t),) at t, in [-1, 1] from one end of each cell to the other."""
        if self.knots is not None:
            return self.knots[axis].nodes(t)
        n = self.cells[axis]
        return ((2 * np.arange(n)[:, None] + 1 + t) / n - 1).ravel()

    def shares(self, axis: int) -> Array:
        """Lengths (cells,) of the cells along an axis relative to their mean."""
        if self.knots is not None:
            return self.knots[axis].lengths * (self.cells[axis] / 2)
        return np.ones(self.cells[axis])

    def first(self, cell: NDArray[np.int64]) -> NDArray[np.int64]:
        """First column of the functions on cells (2, n)."""
        return cell[0] * self.strides[0] + cell[1] * self.strides[1]

    def one_sided(self, X: Array) -> tuple[NDArray[np.int64], Array]:
        """Cells (2, n) and the jets (axis 2, orders, n, d+1) of the functions of one coordinate on them."""
        if self.knots is not None:
            both = [k.jets(x, self.degree, _ORDERS) for k, x in zip(self.knots, X, strict=True)]
            return np.stack([cell for cell, _ in both]), np.stack([jets for _, jets in both])
        cell = self.cell(X)
        density = np.array(self.cells)[:, None] / 2
        powers = ((X + 1) * density - cell)[..., None] ** np.arange(self.degree + 1)
        jets = np.einsum("anm,okm->aonk", powers, _pieces(self.degree), optimize=True)
        return cell, jets * (density ** np.arange(_ORDERS))[:, :, None, None]

    def line(self, axis: int, s: Array) -> tuple[csr_matrix, ...]:
        """Functions of one coordinate and their derivatives at s (n,), sparse (n, side) each."""
        cell, jets = self.one_sided(np.stack([s, s]))
        columns = (cell[axis][:, None] + np.arange(self.degree + 1)).ravel()
        start = np.arange(0, columns.size + 1, self.degree + 1)
        return tuple(csr_matrix((j.ravel(), columns, start), shape=(len(s), self.sides[axis])) for j in jets[axis])

    def local_rows(
        self, X: Array, coefficients: Array, along: Sequence[Along] = BASE
    ) -> tuple[NDArray[np.int64], Array]:
        """First columns (n,) and entries (n, (d+1)^2) of sum_i coefficients_i D_i phi.

        `along`: how often D_i differentiates along X and along Y; by default D = (1, dX, dY, dXX, dYY).
        """
        cell, (x, y) = self.one_sided(X)
        c = coefficients[:, :, None]
        rows = y[0][:, :, None] * sum(c[i] * x[a] for i, (a, b) in enumerate(along) if not b)[:, None, :]
        rows += sum(c[i] * y[b] for i, (a, b) in enumerate(along) if b and not a)[:, :, None] * x[0][:, None, :]
        for i, (a, b) in enumerate(along):
            if a and b:
                rows += (c[i] * y[b])[:, :, None] * x[a][:, None, :]
        return self.first(cell), rows.reshape(X.shape[1], (self.degree + 1) ** 2)

    def matrix(self, X: Array, coefficients: Array, along: Sequence[Along] = BASE) -> csr_matrix:
        """The same as a sparse matrix (n, size)."""
        first, rows = self.local_rows(X, coefficients, along)
        n, k = rows.shape
        columns = first[:, None] + self.offsets
        return csr_matrix((rows.ravel(), columns.ravel(), np.arange(0, n * k + 1, k)), shape=(n, self.size))

    def expand(self, weights: Array, X: Array, along: Sequence[Along] = BASE) -> Array:
        """Jets of sum_j weights_j phi_j: value, dX, dY, dXX, dYY, (5, n), or the derivatives `along`, (terms, n)."""
        cell, (x, y) = self.one_sided(X)
        local = weights[self.first(cell)[:, None] + self.offsets]
        local = local.reshape(-1, self.degree + 1, self.degree + 1)
        lines = np.einsum("nyx,nx->ny", local, x[0])
        return np.stack(
            [
                np.einsum("nyx,ny,nx->n", local, y[b], x[a], optimize=True) if a else np.einsum("ny,ny->n", lines, y[b])
                for a, b in along
            ]
        )
