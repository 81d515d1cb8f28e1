"""Values of a projection at the middles of its cells, and the norms that they tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry.arrays import Array

from .features.random_tanh import Tanh
from .features.singular import Local
from .features.splines import Splines
from .field import Emission

if TYPE_CHECKING:
    from .grids import Projection

__all__ = ["Middles", "shares_of"]


class Middles:
    """Values at the middles of the cells in the domain: `points` (2, n), each for its `shares` of the mean `area`."""

    def __init__(self, now: Projection) -> None:
        splines = now.field.splines
        assert splines is not None
        self.now, equation = now, now.equation
        self.inside = equation.inside[1::3, 1::3]
        j, i = np.nonzero(self.inside)
        lines = [line[1::3] for line in equation.lines]
        self.points: Array = np.stack([lines[0][i], lines[1][j]])
        self.area = 4 / float(np.prod(splines.cells))
        self.shares = shares_of(splines, self.inside)
        self.along = [splines.line(axis, line)[0] for axis, line in enumerate(lines)]
        parts = [_values(part, self.points) for part in now.field.features]
        self.dense = np.concatenate(parts, axis=1) if parts else np.zeros((self.points.shape[1], 0))
        self.split = splines.size

    def values(self, z: Array) -> Array:
        """Values (n,) of the function with scaled weights z."""
        w = z * self.now.system.scales
        along_x, along_y = self.along
        table = self.now.equation.table(w[: self.split])
        return (along_y @ (along_x @ table.T).T)[self.inside] + self.dense @ w[self.split :]

    def transpose(self, u: Array) -> Array:
        """The adjoint of `values`."""
        along_x, along_y = self.along
        U = np.zeros(self.inside.shape)
        U[self.inside] = u
        flat = self.now.equation.flat(along_y.T @ (along_x.T @ U.T).T)
        return np.concatenate([flat, self.dense.T @ u]) * self.now.system.scales

    def norm(self, u: Array) -> float:
        """L2 norm over the unit domain."""
        return float(np.sqrt(self.area) * np.linalg.norm(u if self.shares is None else np.sqrt(self.shares) * u))


def _values(part: Local | Tanh | Emission, X: Array) -> Array:
    out = np.zeros((X.shape[1], part.size))
    at = part.support(X) if isinstance(part, Local) else np.arange(X.shape[1])
    if len(at):
        out[at] = part.jets(X[:, at])[0].T
    return out


def shares_of(splines: Splines, inside: NDArray[np.bool_]) -> Array | None:
    """Area (n,) of the cells of the points inside of a grid, relative to the mean; None where all are the same."""
    if splines.knots is None:
        return None
    x, y = (np.repeat(splines.shares(a), inside.shape[1 - a] // n) for a, n in enumerate(splines.cells))
    return np.outer(y, x)[inside]
