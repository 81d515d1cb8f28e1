r"""The equation at Gauss points of the cells, kept as a tensor product: its products cost little more than 1-D ones.

Three Gauss points to a side of a cell, those outside the domain left out, measure the residual in L2. With
L = sum_i c_i D_i and D_i = Dy_i (x) Dx_i all of A x, A'r and A'A are sums of one-dimensional products (sum
factorisation: Orszag, J. Comput. Phys. 37, 1980).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from meshmove.geometry.arrays import Array
from meshmove.geometry.domains.pieces import Piece
from meshmove.solvers.pde import UnitProblem
from meshmove.solvers.pde.terms import BASE, Along
from meshmove.solvers.pde.unit import shared, walked

from .features.splines import Splines

__all__ = ["Quadrature", "inside_of", "quadrature"]


_POINTS = 3
_STEP = 0.4  # of a cell, from point to point along the boundary


@dataclass(frozen=True, eq=False)
class Quadrature:
    """The equation on a tensor grid.

    `inside` (Qy, Qx) marks the points in the domain; `points` (2, n), `coefficients` (terms, n), `source` (n,) and
    `weights` (n,), the roots of the quadrature weights, are at those. `lines` are the coordinates (Qx,), (Qy,);
    `along`: how often D_i differentiates along X and along Y.
    """

    splines: Splines
    lines: tuple[Array, Array]
    inside: NDArray[np.bool_]
    points: Array
    coefficients: Array
    source: Array
    weights: Array
    along: Sequence[Along] = BASE

    @cached_property
    def _line_jets(self) -> tuple[tuple[csr_matrix, ...], tuple[csr_matrix, ...]]:
        return self.splines.line(0, self.lines[0]), self.splines.line(1, self.lines[1])

    @cached_property
    def terms(self) -> list[tuple[csr_matrix, csr_matrix, Array]]:
        """(along Y, along X, coefficient (Qy, Qx) times weight): what L is the sum of."""
        along_x, along_y = self._line_jets
        c = self.coefficients
        if (np.ptp(c, axis=1) <= 1e-12 * np.abs(c).max(axis=1)).all():
            c = c.mean(axis=1)
            w = self.spread(self.weights)
            level = [(c[i], a) for i, (a, b) in enumerate(self.along) if not b]
            both = [(along_y[0], sum(v * along_x[a] for v, a in level), any(v for v, _ in level))]
            both += [(c[i] * along_y[b], along_x[a], c[i]) for i, (a, b) in enumerate(self.along) if b]
            return [(y, x, w) for y, x, present in both if present]
        return [
            (along_y[oy], along_x[ox], self.spread(self.weights * c[i]))
            for i, (ox, oy) in enumerate(self.along)
            if c[i].any()
        ]

    def spread(self, values: Array) -> Array:
        """Values (n,) at the points inside as (Qy, Qx), zero outside."""
        out = np.zeros(self.inside.shape)
        out[self.inside] = values
        return out

    def table(self, x: Array) -> Array:
        """Coefficients of splines (size,) as (side y, side x)."""
        sx, sy = self.splines.sides
        return x.reshape(sy, sx) if self.splines.strides[0] == 1 else x.reshape(sx, sy).T

    def flat(self, table: Array) -> Array:
        """The inverse of `table`."""
        return (table if self.splines.strides[0] == 1 else table.T).ravel()

    def smeared(self) -> Quadrature:
        """The same with |c_xx| at least |c_x| h and |c_u| h^2 where there is some, h the edge of a cell; so along Y.

        Layers are as wide as a cell then, and are seen on any grid: the artificial diffusion of upwind differences.
        """
        cell, c = self.splines.cell(self.points), self.coefficients.copy()
        for axis, n in enumerate(self.splines.cells):
            h = self.splines.shares(axis)[cell[axis]] * (2 / n)
            second = c[3 + axis]
            wide = np.maximum(np.abs(c[1 + axis]) * h, np.abs(c[0]) * h**2)
            c[3 + axis] = np.sign(second) * np.maximum(np.abs(second), wide)
        return replace(self, coefficients=c)

    def apply(self, x: Array) -> Array:
        """A x, (n,)."""
        X = self.table(x)
        out = np.zeros(self.inside.shape)
        for y, along, c in self.terms:
            out += c * (y @ (along @ X.T).T)
        return out[self.inside]

    def jets(self, x: Array, along: Sequence[Along] | None = None) -> Array:
        """Derivatives of the splines with coefficients x at the points, those of the equation or others, (terms, n)."""
        X, (along_x, along_y) = self.table(x), self._line_jets
        return np.stack(
            [(along_y[b] @ (along_x[a] @ X.T).T)[self.inside] for a, b in (self.along if along is None else along)]
        )

    def parts(self, x: Array) -> list[Array]:
        """The terms that A x is the sum of, (n,) each; those that share their derivative along Y are one."""
        X = self.table(x)
        return [(c * (y @ (along @ X.T).T))[self.inside] for y, along, c in self.terms]

    def transpose(self, r: Array) -> Array:
        """A'r, (size,)."""
        R = self.spread(r)
        return self.flat(sum(y @ (along @ (c * R).T).T for y, along, c in self._transposed))

    @cached_property
    def _transposed(self) -> list[tuple[Any, Any, Array]]:
        return [(y.T, along.T, c) for y, along, c in self.terms]

    def add_gram(self, band: Array) -> None:
        """Adds the lower band of A'A to `band` (splines.band, size)."""
        s = self.splines
        d, (sx, sy) = s.degree, s.sides
        swap = s.strides[0] != 1  # the outer axis is the one of the larger stride
        outer, inner = (sx, sy) if swap else (sy, sx)
        total = np.zeros((outer * (d + 1), inner * (2 * d + 1)))
        for y1, x1, c1 in self.terms:
            for y2, x2, c2 in self.terms:
                w = c1 * c2
                fast, slow = ((y1, y2), (x1, x2)) if swap else ((x1, x2), (y1, y2))
                near = _pairs(*fast, np.arange(-d, d + 1)) @ (w if swap else w.T)
                total += _pairs(*slow, np.arange(d + 1)) @ near.T
        parts = total.reshape(outer, d + 1, inner, 2 * d + 1)
        for over in range(d + 1):
            for aside in range(-d, d + 1):
                gap = over * inner + aside
                if gap >= 0:
                    band[gap] += parts[:, over, :, aside + d].ravel()


def _pairs(one: csr_matrix, other: csr_matrix, gaps: NDArray[np.int64]) -> csr_matrix:
    """Sparse (side * gaps, Q): row (k, g) is one[:, k + gaps[g]] * other[:, k]; zero where k + gaps[g] is no column."""
    Q, side = one.shape
    width = other.indptr[1] - other.indptr[0]
    a = one.data.reshape(Q, -1)
    b = other.data.reshape(Q, -1)
    first = other.indices.reshape(Q, width)[:, 0]
    i, j = np.meshgrid(np.arange(width), np.arange(width), indexing="ij")  # row offset, column offset
    keep = np.isin(i - j, gaps)
    i, j = i[keep], j[keep]
    rows = (first[:, None] + j) * len(gaps) + (i - j - gaps[0])
    columns = np.repeat(np.arange(Q), len(i))
    return csr_matrix(((a[:, i] * b[:, j]).ravel(), (rows.ravel(), columns)), shape=(side * len(gaps), Q))


def quadrature(unit: UnitProblem, splines: Splines, points: int = _POINTS) -> Quadrature:
    """The equation of a problem on the cells of splines, at so many Gauss points to a side."""
    t, w = np.polynomial.legendre.leggauss(points)
    lines: tuple[Array, Array] = splines.nodes(0, t), splines.nodes(1, t)
    root = [np.outer(np.sqrt(splines.shares(a)), np.sqrt(w / n)).ravel() for a, n in enumerate(splines.cells)]
    inside = inside_of(unit, splines, lines, points)
    j, i = np.nonzero(inside)
    X = np.stack([lines[0][i], lines[1][j]])
    x = unit.to_physical(X)
    coefficients = unit.pde.coefficients_at(x) / unit.powers[:, None]
    return Quadrature(
        splines,
        lines,
        inside,
        X,
        coefficients,
        unit.pde.source_at(x),
        root[0][i] * root[1][j],
        unit.along,
    )


def inside_of(
    unit: UnitProblem, splines: Splines, lines: tuple[Array, Array], points: int = _POINTS
) -> NDArray[np.bool_]:
    """Which grid points, so many to the edge of a cell, are in the domain; of each grid once for all problems there."""
    key = "inside", points, splines.knots is None, *(a.tobytes() for a in lines)
    return shared(unit.pde.domain, key, lambda: (_cut(unit, splines, lines, points),))[0]


def _cut(unit: UnitProblem, splines: Splines, lines: tuple[Array, Array], points: int) -> NDArray[np.bool_]:
    """Cells away from the boundary are judged by their middle, the others by their points."""
    nx, ny = splines.cells
    encloses = unit.pde.domain.boundary.encloses
    near = np.zeros((ny + 2, nx + 2), bool)
    for piece in unit.pde.domain.boundary.pieces:
        i, j = splines.cell(unit.to_unit(piece.point(_walked(unit, splines, piece))))
        near[j + 1, i + 1] = True
    wide = near.copy()
    for axis in (0, 1):
        wide |= np.roll(wide, 1, axis) | np.roll(wide, -1, axis)
    wide = wide[1:-1, 1:-1]
    middle = np.zeros(1)
    middle_y, middle_x = np.meshgrid(splines.nodes(1, middle), splines.nodes(0, middle), indexing="ij")
    cells = np.zeros((ny, nx), bool)
    cells[~wide] = encloses(unit.to_physical(np.stack([middle_x[~wide], middle_y[~wide]])))
    inside = np.repeat(np.repeat(cells, points, 0), points, 1)
    j, i = np.nonzero(np.repeat(np.repeat(wide, points, 0), points, 1))
    inside[j, i] = encloses(unit.to_physical(np.stack([lines[0][i], lines[1][j]])))
    return inside


def _walked(unit: UnitProblem, splines: Splines, piece: Piece) -> Array:
    """Parameters along a piece of the boundary, less than half a cell apart."""
    if splines.knots is not None:
        return walked(lambda s: splines.index(unit.to_unit(piece.point(s))), _STEP)[0]
    step = _STEP * min(2 / n for n in splines.cells)
    s = np.linspace(0, 1, 17)
    length = np.hypot(*np.diff(unit.to_unit(piece.point(s)), axis=1))
    return np.interp(
        np.linspace(0, 1, int(length.sum() / step) + 2), np.concatenate([[0], length.cumsum()]) / length.sum(), s
    )
