"""A monitor raised to a power: a gentler one with the same peaks, to start from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .functional import Density

__all__ = ["Power"]

Array = NDArray[np.float64]


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
