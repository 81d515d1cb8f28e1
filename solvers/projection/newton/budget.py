"""What all linear solves of a semilinear problem may cost together: of Newton's method, of what it begins with, on all
grids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..features.splines import Splines
from ..grids import Feature

__all__ = ["Budget"]

_ROWS = 3e5  # operations for each unknown of a solve besides its factor: rows, products, a reaction and its derivatives


@dataclass
class Budget:
    """Operations that are left; none begins when they are spent."""

    left: float = float("inf")
    solves: int = 0

    def spend(self, splines: Splines, features: Sequence[Feature]) -> None:
        """Counts a linear solve."""
        self.left -= self.cost(splines, sum(f.size for f in features))
        self.solves += 1

    @staticmethod
    def cost(splines: Splines, more: int) -> float:
        """Operations of a solve on splines with further columns."""
        return splines.size * (splines.band * (splines.band + 4.0 * more) + _ROWS)

    @property
    def spent(self) -> bool:
        """Whether nothing is left."""
        return self.left <= 0
