"""The frame in which a domain's bounding box is the square [-1, 1]^2."""

from __future__ import annotations

import numpy as np

from meshmove.geometry.domains import Domain
from meshmove.geometry.domains.boundary import as_points

from ..functions import Array

__all__ = ["UnitFrame"]


class UnitFrame:
    """Unit coordinates X, x = center + half X, where `half` (2,) is half the bounding box of a domain.

    >>> from meshmove.geometry import Rectangle
    >>> UnitFrame(Rectangle((0, 0), (4, 2))).half
    array([2., 1.])
    """

    def __init__(self, domain: Domain) -> None:
        low, high = np.array(domain.bounds)
        self.center: Array = 0.5 * (low + high)
        self.half: Array = 0.5 * (high - low)

    def to_unit(self, x: Array) -> Array:
        """Points (2, n) in unit coordinates."""
        return (as_points(x) - self.center[:, None]) / self.half[:, None]

    def to_physical(self, X: Array) -> Array:
        """Points (2, n) of unit coordinates where they are."""
        return as_points(X) * self.half[:, None] + self.center[:, None]
