"""Random functions of two variables with their first and second derivatives, for manufactured problems."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Jet", "random_solution"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Jet:
    """Value and derivatives of a function at points, (n,) each."""

    u: Array
    x: Array
    y: Array
    xx: Array
    yy: Array

    def __add__(self, o: Jet) -> Jet:
        return Jet(self.u + o.u, self.x + o.x, self.y + o.y, self.xx + o.xx, self.yy + o.yy)

    def __mul__(self, o: Jet) -> Jet:
        return Jet(
            self.u * o.u,
            self.x * o.u + self.u * o.x,
            self.y * o.u + self.u * o.y,
            self.xx * o.u + 2 * self.x * o.x + self.u * o.xx,
            self.yy * o.u + 2 * self.y * o.y + self.u * o.yy,
        )

    def scaled(self, a: float, b: float = 0.0) -> Jet:
        """a u + b."""
        return Jet(a * self.u + b, a * self.x, a * self.y, a * self.xx, a * self.yy)

    def through(self, f: Callable[[Array], tuple[Array, Array, Array]]) -> Jet:
        """f(u), f gives value, first and second derivative."""
        v, d, dd = f(self.u)
        return Jet(v, d * self.x, d * self.y, dd * self.x**2 + d * self.xx, dd * self.y**2 + d * self.yy)


def _tanh(s: Array) -> tuple[Array, Array, Array]:
    t = np.tanh(s)
    return t, 1 - t**2, -2 * t * (1 - t**2)


def _logistic(s: Array) -> tuple[Array, Array, Array]:
    t = 0.5 * (1 + np.tanh(0.5 * s))
    d = t * (1 - t)
    return t, d, d * (1 - 2 * t)


def _bell(s: Array) -> tuple[Array, Array, Array]:
    v = 1 / (1 + s**2)
    return v, -2 * s * v**2, (6 * s**2 - 2) * v**3


_FUNCTIONS: tuple[Callable[[Array], tuple[Array, Array, Array]], ...] = (
    lambda s: (s, np.ones_like(s), np.zeros_like(s)),
    lambda s: (np.sin(s), np.cos(s), -np.sin(s)),
    lambda s: (np.cos(s), -np.sin(s), -np.cos(s)),
    _tanh,
    _logistic,
    _bell,
)


def random_solution(rng: np.random.Generator) -> Callable[[Array], Jet]:
    """A random combination of 6 to 10 terms f(a x + b y + c), by sums, products and compositions.

    Slopes are within 10 with probability 1/2, else 0; offsets and factors within 2 pi (Bischof et al., HyPINO,
    NeurIPS 2025).
    """
    n = int(rng.integers(6, 11))
    slopes = rng.uniform(-10, 10, (n, 2)) * (rng.random((n, 2)) < 0.5)
    offsets, factors = rng.uniform(-2 * np.pi, 2 * np.pi, (2, n))
    kinds = rng.integers(len(_FUNCTIONS), size=n)
    joins = rng.integers(3, size=n)

    def solution(p: Array) -> Jet:
        one, zero = np.ones(p.shape[1]), np.zeros(p.shape[1])
        total: Jet | None = None
        for (a, b), c, size, kind, join in zip(slopes, offsets, factors, kinds, joins, strict=True):
            s = Jet(a * p[0] + b * p[1] + c, a * one, b * one, zero, zero)
            f = _FUNCTIONS[kind]
            if total is None:
                total = s.through(f).scaled(size)
            elif join == 0:
                total = total + s.through(f).scaled(size)
            elif join == 1:
                total = total * s.through(f).scaled(size)
            else:
                total = total.through(f).scaled(size)
        return total  # type: ignore[return-value]

    return solution
