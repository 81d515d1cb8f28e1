"""Functions on [-1, 1]^2 as sums of weighted features, with their derivatives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from meshmove.geometry.arrays import Array
from meshmove.solvers.pde import UnitProblem
from meshmove.solvers.pde.terms import BASE, Along

from .features.random_tanh import Tanh
from .features.singular import Local
from .features.splines import Splines

__all__ = ["Emission", "Expansion", "Field", "Located", "Sum", "Zero"]


class Field(Protocol):
    """A function of X with ``jets(X) -> (5, n)``: value, dX, dY, dXX, dYY, and those of further terms of the
    equation, (terms, n).
    """

    def jets(self, X: Array) -> Array: ...


@dataclass(frozen=True)
class Emission:
    """The last hidden layers of emitted networks as features.

    `network` has ``features(X)`` with jets (5, size, n), NumPy's or torch's.
    """

    network: Any

    @property
    def size(self) -> int:
        """Number of features."""
        return self.jets(np.zeros((2, 1))).shape[1]

    def jets(self, X: Array) -> Array:
        """Value, dX, dY, dXX, dYY of all features, (5, size, n)."""
        jets = as_array(self.network.features(X))
        return jets.reshape(5, -1, X.shape[1]) if jets.ndim == 4 and jets.shape[1] == 1 else jets


def as_array(values: Any) -> Array:
    """A NumPy array of float64, from torch as well."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    return np.asarray(values, float)


@dataclass(frozen=True, eq=False)
class Expansion:
    """Splines and further features with their weights.

    `splines` may be None. `weights` (size,) are those of the splines followed by those of each of `features`. `along`:
    the derivatives that jets have; beyond the first five splines alone have them.
    """

    splines: Splines | None
    features: Sequence[Local | Tanh | Emission]
    weights: Array
    along: Sequence[Along] = BASE

    def jets(self, X: Array) -> Array:
        """Value, dX, dY, dXX, dYY, and further ones as `along` says, (terms, n)."""
        start = self.splines.size if self.splines is not None else 0
        if self.splines is not None:
            out = self.splines.expand(self.weights[:start], X, self.along)
        else:
            out = np.zeros((len(self.along), X.shape[1]))
        for part in self.features:
            w = self.weights[start : start + part.size]
            start += part.size
            at = part.support(X) if isinstance(part, Local) else np.arange(X.shape[1])
            if len(at):
                out[:, at] += np.einsum("dsn,s->dn", part.jets(X[:, at]), w)
        return out


@dataclass(frozen=True, eq=False)
class Sum:
    """sum_i factor_i field_i."""

    fields: Sequence[Field]
    factors: Sequence[float]

    def jets(self, X: Array) -> Array:
        """Value, dX, dY, dXX, dYY, (5, n)."""
        return sum(
            (a * as_array(f.jets(X)) for f, a in zip(self.fields, self.factors, strict=True)), np.zeros((5, X.shape[1]))
        )


@dataclass(frozen=True)
class Located:
    """A field as a function of points in the problem's own coordinates, with derivatives in these."""

    unit: UnitProblem
    field: Field

    def jets(self, x: Array) -> Array:
        """Value, dx, dy, dxx, dyy, and further ones of the problem, (terms, n)."""
        return as_array(self.field.jets(self.unit.to_unit(x))) / self.unit.powers[:, None]


@dataclass(frozen=True)
class Zero:
    """The function 0."""

    def jets(self, X: Array) -> Array:
        """Zeros (5, n)."""
        return np.zeros((5, X.shape[1]))
