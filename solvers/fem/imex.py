r"""One step in time of M u' = -L u + N(u), the linear part implicit and the rest explicit.

The scheme (2,2,2) of Ascher, Ruuth & Spiteri, Implicit-explicit Runge-Kutta methods for time-dependent partial
differential equations, Appl. Numer. Math. 25, 1997: with g = 1 - 1/sqrt(2) and d = 1 - 1 / (2 g)

    (M + g dt L) u1 = M u + g dt N(u),
    (M + g dt L) u2 = M u + dt (d N(u) + (1 - d) N(u1)) - (1 - g) dt L u1,

u2 is the new value. Of second order, L-stable in the linear part, and of one matrix, which is factorised once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.sparse import csr_matrix

from meshmove.geometry.arrays import Array

from .constrained import factorised

__all__ = ["Linear", "step"]

_G = 1 - 1 / np.sqrt(2)
_D = 1 - 1 / (2 * _G)


class Linear:
    """M and L for steps of dt, with the matrix of the stages factorised."""

    def __init__(self, mass: csr_matrix, operator: csr_matrix, dt: float) -> None:
        self.mass, self.operator, self.dt = mass, operator, dt
        matrix = csr_matrix(mass + _G * dt * operator)
        self.solve = factorised(matrix).solve


def step(
    parts: Sequence[Linear], values: Sequence[Array], loads: Callable[[Sequence[Array]], Sequence[Array]] | None = None
) -> list[Array]:
    """The values of all fields one step later; `loads` gives N of all fields, None stands for 0."""
    old = [p.mass @ u for p, u in zip(parts, values, strict=True)]
    if loads is None:
        first = [p.solve(m) for p, m in zip(parts, old, strict=True)]
        return [p.solve(m - (1 - _G) * p.dt * (p.operator @ u)) for p, m, u in zip(parts, old, first, strict=True)]
    n = loads(values)
    first = [p.solve(m + _G * p.dt * f) for p, m, f in zip(parts, old, n, strict=True)]
    return [
        p.solve(m + p.dt * (_D * f + (1 - _D) * f1 - (1 - _G) * (p.operator @ u)))
        for p, m, f, f1, u in zip(parts, old, n, loads(first), first, strict=True)
    ]
