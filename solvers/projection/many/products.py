"""Products of a quadrature and dense columns with many vectors at once."""

from __future__ import annotations

import numpy as np

from meshmove.geometry.arrays import Array

from ..quadrature import Quadrature

__all__ = ["Products"]


class Products:
    """Products with the rows of an equation inside the domain; terms with the same coefficient are one.

    Parameters
    ----------
    equation
        The rows, of splines.
    dense
        Further columns on these rows, (rows, k).
    """

    def __init__(self, equation: Quadrature, dense: Array) -> None:
        self.equation = equation
        alike: dict[int, list[tuple[Array, Array, Array]]] = {}
        for y, x, c in equation.terms:
            alike.setdefault(id(c), []).append((y.toarray(), x.toarray(), c))
        self.terms = [
            (np.concatenate([y for y, _, _ in group], axis=1), [x for _, x, _ in group], group[0][2])
            for group in alike.values()
        ]
        present = np.ascontiguousarray(dense.T) if dense.any() else dense[:, :0].T
        self.dense = self.spread(present).reshape(len(present), equation.inside.size)

    def spread(self, values: Array) -> Array:
        """Values (k, n) at the points inside as tables (k, Qy, Qx), zero outside."""
        inside = self.equation.inside
        if inside.all():
            return values.reshape(-1, *inside.shape)
        out = np.zeros((len(values), *inside.shape))
        out[:, inside] = values
        return out

    def tables(self, x: Array) -> Array:
        """Coefficients of splines (k, size) as (k, side y, side x)."""
        s = self.equation.splines
        sx, sy = s.sides
        return x.reshape(-1, sy, sx) if s.strides[0] == 1 else x.reshape(-1, sx, sy).transpose(0, 2, 1)

    def apply(self, x: Array) -> Array:
        """A x as tables (k, Qy, Qx), of unknowns x (k, unknowns)."""
        size, shape = self.equation.splines.size, self.equation.inside.shape
        X = self.tables(x[:, :size])
        out = (x[:, size:] @ self.dense).reshape(-1, *shape) if len(self.dense) else np.zeros((len(x), *shape))
        for y, along, c in self.terms:
            parts = np.empty((len(x), len(along), X.shape[1], shape[1]))
            for i, one in enumerate(along):
                np.matmul(X, one.T, out=parts[:, i])
            out += c * (y @ parts.reshape(len(x), -1, shape[1]))
        return out

    def transpose(self, r: Array) -> tuple[Array, Array]:
        """A'r of tables r (k, Qy, Qx): by splines (k, size), and by dense columns (k, columns) or 0 if these are 0."""
        s = self.equation.splines
        out = np.zeros((len(r), *reversed(s.sides)))
        for y, along, c in self.terms:
            parts = (y.T @ (c * r)).reshape(len(r), len(along), -1, r.shape[2])
            for i, one in enumerate(along):
                out += parts[:, i] @ one
        dense = r.reshape(len(r), -1) @ self.dense.T if len(self.dense) else np.zeros((len(r), 1))
        return (out if s.strides[0] == 1 else out.transpose(0, 2, 1)).reshape(len(r), -1), dense
