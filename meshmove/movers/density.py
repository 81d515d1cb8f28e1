"""Monitors as movers take them: functions of space with a gradient, and their powers, which are gentler."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from meshmove.geometry import CellMesh
from meshmove.geometry.arrays import Array

__all__ = ["Density", "Means", "Power"]


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


@runtime_checkable
class Means(Protocol):
    """A density that is linear on the cells of a mesh of simplices, and knows its means over them."""

    def means(self, mesh: CellMesh, points: Array) -> Array | None:
        """Means (n_cells,) over a mesh's cells with nodes at `points` (n, dim); None where these are not its own."""
        ...
