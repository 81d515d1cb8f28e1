"""More problems in time, to see that what a loop gets by default is never worse than a mesh at rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from meshmove.geometry.arrays import Array

from .problems import PROBLEMS, Problem

__all__ = ["EVERY", "Made"]

#: of the differences that make sources
STEP = 1e-4


class Made(Problem):
    """A solution that is given, and the source that makes it one, by central differences."""

    def __init__(
        self,
        name: str,
        exact: Callable[[Array, float], Array],
        pace: float,
        speed: Callable[[Array], Array] | None = None,
        diffusion: float = 0.0,
        end: float = 0.5,
        carried: bool = False,
    ) -> None:
        """`carried`: the speed does it without a source."""
        super().__init__(name, 0.0, end, diffusion, pace)
        self.__dict__.update(_exact=exact, _speed=speed, _carried=carried)

    def exact(self, x: Array, t: float) -> Array:
        return self.__dict__["_exact"](x, t)

    def speed(self, x: Array, u: Array) -> Any:
        speed = self.__dict__["_speed"]
        return None if speed is None else speed(x)

    def source(self, x: Array, t: float) -> Any:
        if self.__dict__["_carried"]:
            return 0.0
        now, h = self.exact(x, t), STEP
        out = (self.exact(x, t + h) - self.exact(x, t - h)) / (2 * h)
        speed = self.speed(x, now)
        for c in range(2):
            shift = np.zeros((2, *[1] * (x.ndim - 1)))
            shift[c] = h
            above, below = self.exact(x + shift, t), self.exact(x - shift, t)
            out = out - self.diffusion * (above - 2 * now + below) / h**2
            if speed is not None:
                out = out + speed[c] * (above - below) / (2 * h)
        return out


def _turn(x: Array) -> Array:
    return 2 * np.pi * np.stack([0.5 - x[1], x[0] - 0.5])


def _along(a: float, b: float) -> Callable[[Array], Array]:
    return lambda x: np.stack([np.full_like(x[0], a), np.full_like(x[0], b)])


def _spot(x: Array, a: float, b: float, sharp: float = 150.0) -> Array:
    return np.exp(-sharp * ((x[0] - a) ** 2 + (x[1] - b) ** 2))


def _round(x: Array, t: float, phase: float) -> Array:
    turn = 2 * np.pi * t + phase
    return _spot(x, 0.5 + 0.25 * np.cos(turn), 0.5 + 0.25 * np.sin(turn))


def _cone(x: Array, t: float) -> Array:
    turn = 2 * np.pi * t
    away = np.hypot(x[0] - 0.5 - 0.25 * np.cos(turn), x[1] - 0.5 - 0.25 * np.sin(turn))
    return np.clip(1 - away / 0.15, 0, None)


def _spreading(x: Array, t: float) -> Array:
    wide = 1 + 4 * 150 * 0.002 * t
    return _spot(x, 0.3 + 0.8 * t, 0.4 + 0.4 * t, 150 / wide) / wide


def _grown(x: Array, t: float) -> Array:
    return np.tanh(30 * (np.hypot(x[0] - 0.5, x[1] - 0.5) - 0.15 - 0.4 * t))


def _ridge(x: Array, t: float) -> Array:
    return np.exp(-200 * (0.8 * x[0] + 0.6 * x[1] - 0.4 - 0.7 * t) ** 2)


def _two(x: Array, t: float) -> Array:
    return _round(x, t, 0.0) - _round(x, t, np.pi)


def _to_and_fro(x: Array, t: float) -> Array:
    return _spot(x, 0.5 + 0.2 * np.sin(2 * np.pi * t), 0.5)


EVERY = (
    *PROBLEMS,
    Made("front that is carried", lambda x, t: np.tanh(30 * (x[0] - 0.25 - t)), 1.0, _along(1, 0), carried=True),
    Made("reaction front", lambda x, t: 1 / (1 + np.exp(50 * (x[0] - 0.3 - 0.6 * t))), 0.6, diffusion=0.005),
    Made("growing disk", _grown, 0.4, diffusion=0.005),
    Made("spot that spreads", _spreading, 0.9, _along(0.8, 0.4), diffusion=0.002, carried=True),
    Made("slanted ridge", _ridge, 0.7, _along(0.56, 0.42), carried=True),
    Made("two spots in a turn", _two, np.pi / 2, _turn, end=0.25, carried=True),
    Made("cone in a turn", _cone, np.pi / 2, _turn, end=0.25, carried=True),
    Made("layer that stands", lambda x, t: np.tanh(30 * (x[0] + 0.5 * x[1] - 0.8)) + 0 * t, 1.0, diffusion=0.01),
    Made("spot to and fro", _to_and_fro, 1.26, diffusion=0.005, end=0.75),
)
