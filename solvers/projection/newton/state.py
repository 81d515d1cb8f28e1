"""What Newton's method knows: the function where it is, the last step, and where it came to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from meshmove.geometry.arrays import Array

from ..field import Field
from ..grids import Projection
from ..quadrature import Quadrature

__all__ = ["Found", "Known", "State", "Step"]

_SLOWEST = 0.9  # factor by which changes fall from step to step that is believed


class Found(NamedTuple):
    """Where Newton's method came to, whether it stands still, the number of its steps, the last relative change, and
    that over the change before.
    """

    projection: Projection
    converged: bool
    steps: int
    change: float
    rate: float = 0.0

    @property
    def to_come(self) -> float:
        """The sum of the changes to come, if they fall as the last one did."""
        rate = min(self.rate, _SLOWEST)
        return self.change * rate / (1 - rate)


class State(NamedTuple):
    """A function, the equation around it, and what it misses of equation and conditions, weighted: (n,), (m,)."""

    field: Field
    equation: Quadrature
    values: Array
    inside: Array
    edge: Array

    @property
    def merit(self) -> float:
        """Sum of squares."""
        return float(self.inside @ self.inside + self.edge @ self.edge)


class Step(NamedTuple):
    """A step: the whole of it and the simplified one after it, values at the points; the share that was taken."""

    step: Array
    after: Array
    share: float


@dataclass(frozen=True)
class Known:
    """A function whose derivatives (terms, n) at the points that are asked for are known."""

    found: Array

    def jets(self, x: Array) -> Array:
        return self.found
