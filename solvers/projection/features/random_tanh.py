r"""Random features: tanh(W X + b) with seeded weights, and their derivatives in closed form.

Slopes are spread evenly over the logarithms between a smallest and a largest one, and every ridge passes through a
random point of the box (a random-feature network, or extreme learning machine: Dong & Li, Comput. Methods Appl. Mech.
Engrg. 387, 2021).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from meshmove.geometry.arrays import Array

__all__ = ["Tanh"]


@dataclass(frozen=True)
class Tanh:
    """Random tanh features on [-1, 1]^2.

    Parameters
    ----------
    count
        How many.
    slopes
        Smallest and largest slope.
    seed
        The same seed gives the same features.

    >>> features = Tanh(100, seed=1)
    >>> features.jets(np.zeros((2, 7))).shape
    (5, 100, 7)
    """

    count: int
    slopes: tuple[float, float] = (1.0, 6.0)
    seed: int = 0

    @property
    def size(self) -> int:
        """Number of features."""
        return self.count

    @cached_property
    def parameters(self) -> tuple[Array, Array]:
        """Weights (count, 2) and offsets (count,)."""
        rng = np.random.default_rng(self.seed)
        slope = np.exp(rng.uniform(np.log(self.slopes[0]), np.log(self.slopes[1]), self.count))
        angle = rng.uniform(0, 2 * np.pi, self.count)
        W = slope[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        return W, -(W * rng.uniform(-1, 1, (self.count, 2))).sum(1)

    def jets(self, X: Array) -> Array:
        """Value, dX, dY, dXX, dYY of all features at points (2, n), shape (5, count, n)."""
        W, b = self.parameters
        v = np.tanh(W @ X + b[:, None])
        d = 1 - v**2
        dd = -2 * v * d
        p, q = W[:, :1], W[:, 1:]
        return np.stack([v, p * d, q * d, p**2 * dd, q**2 * dd])
