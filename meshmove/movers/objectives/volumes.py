"""A price on what a boundary of straight facets gains or loses of the volume that it encloses."""

from __future__ import annotations

import numpy as np

from meshmove.geometry.arrays import Array
from meshmove.geometry.sliding import Shells

__all__ = ["VOLUME", "VolumeLimit"]


#: what a shell encloses may change by this share
VOLUME = 0.005
#: price of a change by VOLUME, as a share of the mesh's volume
PRICE = 0.005


class VolumeLimit:
    """Penalty w (change / VOLUME)^2 on every shell, w a share of the mesh's volume.

    Nodes glide on the original boundary, but facets between them cut off more of it the larger they are.
    """

    def __init__(self, shells: Shells, volume: float) -> None:
        self._shells, self._weight = shells, PRICE * volume / VOLUME**2

    def __call__(self, points: Array) -> tuple[float, Array]:
        """Penalty and its gradient (n, dim)."""
        change = self._shells.change(points)
        return self._shells.share * self._weight * float(change @ change), self._shells.pull(
            points, 2 * self._weight * change
        )

    def directions(self, points: Array) -> Array:
        """Columns g (n dim, k) with the sum of g g^T as the Gauss-Newton matrix, one for each shell."""
        scale = np.sqrt(2 * self._weight)
        unit = np.eye(len(self._shells))
        return np.stack([scale * self._shells.pull(points, e).ravel() for e in unit], axis=1)
