"""Monitors as movers take them: functions of space with a gradient, and their powers, which are gentler."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from meshmove.geometry.arrays import Array

__all__ = ["Density", "Power"]


@dataclass(frozen=True, eq=False)
class Power:
    """m^p, with gradient p m^(p-1) grad m."""

    density: Density
    power: float

    def value(self, x: Array) -> Array:
        return self.density.value(x) ** self.power

    def value_and_gradient(self, x: Array) -> tuple[Array, Array]:
        m, dm = self.density.value_and_gradient(x)
        scaled = m**self.power
        return scaled, self.power * (scaled / m) * dm


class Density(Protocol):
    """A positive function of space: values (n,), and values with gradients (dim, n), at points (dim, n)."""

    def value(self, x: Array) -> Array: ...

    def value_and_gradient(self, x: Array) -> tuple[Array, Array]: ...
