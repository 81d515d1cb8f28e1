r"""Least squares whose matrix is a sparse part with a banded normal matrix and a few dense columns.

    min |A x + B y - r|^2:   the normal matrix [[A'A, A'B], [B'A, B'B]] is an arrow.

A'A is factorised in its band (Cholesky), the dense columns by their Schur complement. Squaring the condition number
is repaired by conjugate gradients on the least-squares problem itself, with the factor as preconditioner (CGLS): a few
steps give what a QR factorisation gives (Bjorck, Numerical Methods for Least Squares Problems, SIAM 1996, 7.4).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve, cho_solve_banded, cholesky_banded
from scipy.sparse import csr_matrix, hstack

from meshmove.geometry.arrays import Array, Ids

from .features.splines import Splines
from .quadrature import Quadrature
from .triangles import Triangle, forward

__all__ = ["Arrow", "Columns"]


_BLOCK = 4  # cells to a side of the blocks whose rows are multiplied as dense matrices
_MANY = 4  # right-hand sides that are solved for together by dense blocks
_RIDGE = 1e-13
_SETTLED = 1e-9
_FLOOR = 1e-6  # columns shorter than this times the median are not scaled to unit length

#: rows (n,) on which columns are not zero, and their values there (n, k)
Columns = tuple[Ids, Array]


def add_gram(splines: Splines, X: Array, rows: Array, band: Array) -> None:
    """Adds the lower band of A'A to `band`, A given by `Splines.local_rows` at points X.

    Rows are gathered by blocks of cells, so that the products are dense and batched.
    """
    if not len(rows):
        return
    d, (step_x, step_y) = splines.degree, splines.strides
    i, j = splines.cell(X)
    wide = -(-splines.cells[0] // _BLOCK)
    block = (j // _BLOCK) * wide + i // _BLOCK
    used, slot = np.unique(block, return_inverse=True)
    counts = np.bincount(slot)
    order = np.argsort(slot, kind="stable")
    place = np.empty(len(slot), np.int64)
    place[order] = np.arange(len(slot)) - np.repeat(np.cumsum(counts) - counts, counts)
    width, height = _BLOCK + d, int(counts.max())
    k, w = np.arange(d + 1), np.arange(width)
    local = ((j % _BLOCK) * width + i % _BLOCK)[:, None] + (k[:, None] * width + k).ravel()
    dense = np.zeros((len(used), height, width**2))
    dense.reshape(-1)[((slot * height + place) * width**2)[:, None] + local] = rows
    gram = dense.transpose(0, 2, 1) @ dense
    along = (used % wide)[:, None, None] * _BLOCK + w
    across = (used // wide)[:, None, None] * _BLOCK + w[:, None]
    columns = np.minimum((across * step_y + along * step_x).reshape(len(used), -1), splines.size - 1)
    p, q = np.nonzero(np.ones((width**2, width**2), bool))
    gap = columns[:, p] - columns[:, q]
    keep = (gap >= 0) & (gap < len(band))
    flat = (gap * splines.size + columns[:, q])[keep]
    band += np.bincount(flat, gram[:, p, q][keep], minlength=band.size).reshape(band.shape)


class Arrow:
    """The least-squares problem of splines and a few dense columns, factorised.

    Parameters
    ----------
    equation
        The rows inside the domain.
    X, coefficients
        Points (2, m) and weighted coefficients (terms, m) of the rows on the boundary.
    columns
        Further columns, on the rows inside followed by those on the boundary.
    """

    def __init__(self, equation: Quadrature, X: Array, coefficients: Array, columns: Sequence[Columns] = ()):
        self.equation, splines = equation, equation.splines
        self.size, n = splines.size, equation.points.shape[1] + X.shape[1]
        band = np.zeros((splines.band, splines.size))
        equation.add_gram(band)
        add_gram(splines, X, splines.local_rows(X, coefficients, equation.along)[1], band)
        self.boundary = splines.matrix(X, coefficients, equation.along)
        self.dense = _sparse(columns, n)
        cross = _cross(equation, self.boundary, columns)
        self.scale = _scales(np.sqrt(band[0].clip(0)))
        lengths = np.sqrt(np.asarray(self.dense.multiply(self.dense).sum(0)).ravel())
        self.dense_scale = _scales(lengths)
        ahead = np.zeros(splines.size)
        for g in range(len(band)):
            ahead[: self.size - g] = self.scale[g:]
            band[g] *= ahead * self.scale
        cross *= self.scale[:, None] * self.dense_scale
        corner = (self.dense.T @ self.dense).toarray() * self.dense_scale * self.dense_scale[:, None]
        self._factorise(band, cross, corner)

    def _factorise(self, band: Array, cross: Array, corner: Array) -> None:
        self.cross, self.ridge = cross, _RIDGE
        diagonal = band[0].copy()
        while True:
            band[0] = diagonal + self.ridge
            try:
                self.factor = cholesky_banded(band, lower=True, check_finite=False)
                half = forward(self.factor, cross)
                schur = corner - half.T @ half + self.ridge * np.eye(len(corner))
                self.corner = cho_factor(schur) if len(corner) else None
                return
            except LinAlgError:
                self.ridge *= 30

    @cached_property
    def _triangle(self) -> Triangle:
        return Triangle(self.factor)

    def _back(self, g: Array) -> Array:
        if g.ndim == 2 and g.shape[1] >= _MANY:
            return self._triangle.solve(g)
        return cho_solve_banded((self.factor, True), g, check_finite=False)

    def precondition(self, g: Array) -> Array:
        """The scaled normal equations solved for a scaled gradient, (unknowns,) or several (unknowns, k)."""
        a = self._back(g[: self.size])
        if self.corner is None:
            return a
        b = cho_solve(self.corner, g[self.size :] - self.cross.T @ a)
        return np.concatenate([a - self._back(self.cross @ b), b])

    def apply(self, z: Array) -> Array:
        """[A B] z, z scaled."""
        x = z[: self.size] * self.scale
        y = np.concatenate([self.equation.apply(x), self.boundary @ x])
        return y + self.dense @ (z[self.size :] * self.dense_scale) if self.dense.shape[1] else y

    def transpose(self, r: Array) -> Array:
        """[A B]' r, scaled."""
        n = self.equation.points.shape[1]
        a = self.equation.transpose(r[:n]) + self.boundary.T @ r[n:]
        return np.concatenate([a * self.scale, (self.dense.T @ r) * self.dense_scale])

    @property
    def scales(self) -> Array:
        """What scaled unknowns are multiplied by."""
        return np.concatenate([self.scale, self.dense_scale])

    def solve(self, right: Array, steps: int = 12) -> Array:
        """The unknowns, splines' first, for right-hand sides of all rows.

        At most so many steps of CGLS: fewer where a step lowers the squared residual by less than `_SETTLED` of it.
        """
        z = self.precondition(self.transpose(right))
        r = right - self.apply(z)
        s = self.transpose(r)
        p = h = self.precondition(s)
        gamma = s @ h
        for _ in range(steps):
            q = self.apply(p)
            if not (gamma > 0 and q @ q > 0):
                break
            alpha = gamma / (q @ q)
            z, r = z + alpha * p, r - alpha * q
            if alpha * gamma < _SETTLED * (r @ r):
                break
            s = self.transpose(r)
            h = self.precondition(s)
            gamma, old = s @ h, gamma
            p = h + gamma / old * p
        self.residual = r
        return z * self.scales

    def adjoint(self, g: Array, steps: int = 4) -> Array:
        """Scaled z with [A B]'[A B] z = g, for a gradient g (unknowns,) with respect to the unknowns, or several
        (unknowns, k) at once.

        Conjugate gradients on the normal equations, the factor as preconditioner.
        """
        g = (g.T * self.scales).T
        z = self.precondition(g)
        r = g - self._normal(z)
        p = h = self.precondition(r)
        gamma = (r * h).sum(axis=0)
        for step in range(steps):
            q = self._normal(p)
            curved = (p * q).sum(axis=0)
            going = (gamma > 0) & (curved > 0)
            if not going.any():
                break
            alpha = np.where(going, gamma / np.where(going, curved, 1.0), 0.0)
            z, r = z + alpha * p, r - alpha * q
            if step == steps - 1:
                break
            h = self.precondition(r)
            gamma, old = (r * h).sum(axis=0), gamma
            p = h + np.where(going, gamma / np.where(going, old, 1.0), 0.0) * p
        return z

    def _normal(self, z: Array) -> Array:
        """[A B]'[A B] z, of one z or of several."""
        if z.ndim == 1:
            return self.transpose(self.apply(z))
        return np.stack([self.transpose(self.apply(one)) for one in np.ascontiguousarray(z.T)], axis=1)


def _scales(norms: Array) -> Array:
    used = norms[norms > 0]
    floor = _FLOOR * np.median(used) if len(used) else 1.0
    return 1 / np.maximum(norms, max(floor, 1e-300))


def _sparse(columns: Sequence[Columns], n: int) -> csr_matrix:
    parts = []
    for rows, values in columns:
        k = values.shape[1]
        at = np.repeat(rows, k), np.tile(np.arange(k), len(rows))
        parts.append(csr_matrix((values.ravel(), at), shape=(n, k)))
    return hstack(parts, format="csr") if parts else csr_matrix((n, 0))


def _cross(equation: Quadrature, boundary: csr_matrix, columns: Sequence[Columns]) -> Array:
    n, out = equation.points.shape[1], []
    for rows, values in columns:
        inner = rows < n
        at = rows[inner]
        coefficients = equation.coefficients[:, at] * equation.weights[at]
        A = equation.splines.matrix(equation.points[:, at], coefficients, equation.along)
        out.append(A.T @ values[inner] + boundary[rows[~inner] - n].T @ values[~inner])
    return np.concatenate(out, axis=1) if out else np.zeros((equation.splines.size, 0))
