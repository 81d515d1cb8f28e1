"""Where the nodes of a moving mesh go in a rollout."""

from __future__ import annotations

from collections.abc import Callable

from meshmove.geometry.arrays import Array
from meshmove.motion.frames import Moving

__all__ = ["Following"]


class Following:
    """Where nodes go, for a model that computes without: each time from where they went the last time."""

    def __init__(self, make: Callable[[], Moving]) -> None:
        self._make = make
        self._moving: Moving | None = None
        self._points: Array | None = None

    def __call__(self, values: Array) -> Array:
        self._moving = self._moving or self._make()
        self._points = self._moving(values, self._points)
        return self._points
