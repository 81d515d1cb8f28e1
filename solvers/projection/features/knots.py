r"""Splines of one coordinate on uneven cells: fine where the solution is steep, coarse elsewhere.

The B-splines of degree d on knots T_j are d - 1 times continuously differentiable whatever the knots,

    B_{j,k}(x) = (x - T_j)/(T_{j+k} - T_j) B_{j,k-1}(x) + (T_{j+k+1} - x)/(T_{j+k+1} - T_{j+1}) B_{j+1,k-1}(x)

(de Boor, A Practical Guide to Splines, Springer 2001). On every cell they are kept as polynomials, so that values cost
what they cost on even cells. Beyond both ends the first and the last cell are repeated.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry.arrays import Array

__all__ = ["Knots"]


@dataclass(frozen=True, eq=False)
class Knots:
    """Cells along one axis of [-1, 1].

    Parameters
    ----------
    breaks
        (cells + 1,), increasing from -1 to 1.

    >>> Knots(np.array([-1.0, 0.5, 1.0])).index(np.array([-1.0, 0.5, 0.75]))
    array([0. , 1. , 1.5])
    """

    breaks: Array

    @staticmethod
    def even(cells: int) -> Knots:
        """Cells of one length."""
        return Knots(np.linspace(-1, 1, cells + 1))

    @property
    def cells(self) -> int:
        """How many."""
        return len(self.breaks) - 1

    @cached_property
    def lengths(self) -> Array:
        """Of the cells, (cells,)."""
        return np.diff(self.breaks)

    @property
    def contrast(self) -> float:
        """The longest cell over the shortest."""
        return float(self.lengths.max() / self.lengths.min())

    def nodes(self, t: Array) -> Array:
        """Points (cells * len(t),) at t, in [-1, 1] from one end of a cell to the other."""
        middle = 0.5 * (self.breaks[1:] + self.breaks[:-1])
        return (middle[:, None] + 0.5 * self.lengths[:, None] * t).ravel()

    def cell(self, s: Array) -> NDArray[np.int64]:
        """Cells of points s (n,); points outside belong to the nearest."""
        return np.clip(np.searchsorted(self.breaks, s, side="right") - 1, 0, self.cells - 1)

    def index(self, s: Array) -> Array:
        """Where points s (n,) are counted in cells: 0 at -1, `cells` at 1, beyond them outside."""
        cell = self.cell(s)
        return cell + (s - self.breaks[cell]) / self.lengths[cell]

    def jets(self, s: Array, degree: int, orders: int) -> tuple[NDArray[np.int64], Array]:
        """Cells (n,) of points and the derivatives (orders, n, degree + 1) of the functions on them."""
        cell = self.cell(s)
        size = self.lengths[cell]
        powers = ((s - self.breaks[cell]) / size)[:, None] ** np.arange(degree + 1)
        pieces = self._pieces(degree)
        jets = np.empty((orders, len(s), degree + 1))
        for o in range(orders):
            jets[o] = np.einsum("nm,nkm->nk", powers, pieces[cell]) / size[:, None] ** o
            pieces = np.pad(pieces[..., 1:] * np.arange(1, degree + 1), ((0, 0), (0, 0), (0, 1)))
        return cell, jets

    def leading(self, degree: int) -> Array:
        """(cells, degree + 1): the highest coefficients of the functions on each cell, in its coordinate in [0, 1]."""
        return self._pieces(degree)[:, :, degree]

    def _pieces(self, degree: int) -> Array:
        """(cells, d+1, d+1): the functions on each cell, in powers of its coordinate in [0, 1]."""
        if degree not in self._known:
            self._known[degree] = _pieces(self.lengths, degree)
        return self._known[degree]

    @cached_property
    def _known(self) -> dict[int, Array]:
        return {}


def _pieces(lengths: Array, degree: int) -> Array:
    n = len(lengths)
    steps = np.concatenate([np.full(degree, lengths[0]), lengths, np.full(degree, lengths[-1])])
    near = np.lib.stride_tricks.sliding_window_view(steps, 2 * degree + 1) / lengths[:, None]
    # offsets of the knots j - degree .. j + degree + 1 from the start of each cell, in its lengths
    ahead = np.cumsum(near[:, degree:], axis=1)
    behind = -np.cumsum(near[:, :degree][:, ::-1], axis=1)[:, ::-1]
    at = np.concatenate([behind, np.zeros((n, 1)), ahead], axis=1)
    c = np.ones((n, 1, 1))
    for k in range(1, degree + 1):
        new = np.zeros((n, k + 1, k + 1))
        for r in range(k):
            a, b = at[:, degree + r - k + 1, None], at[:, degree + r + 1, None]
            new[:, r + 1, :k] -= a / (b - a) * c[:, r]
            new[:, r + 1, 1:] += c[:, r] / (b - a)
            new[:, r, :k] += b / (b - a) * c[:, r]
            new[:, r, 1:] -= c[:, r] / (b - a)
        c = new
    return c
