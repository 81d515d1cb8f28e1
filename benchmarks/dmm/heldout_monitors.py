"""Monitors of the held-out suite: forms that no network has been trained on, in NumPy.

Each maker takes a generator, the dimension, a width and an amplitude, and returns m(y) of points y (dim, n) in the
box [-1, 1]^dim; the widths of layers are in the same units.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["MONITORS"]

Array = NDArray[np.float64]
Rng = np.random.Generator
Function = Callable[[Array], Array]


def _gauss(s: Array) -> Array:
    return np.exp(-np.minimum(s * s, 300))


def _angle(rng: Rng) -> float:
    return rng.uniform(0, 2 * np.pi)


def _turned(rng: Rng, dim: int) -> Array:
    """A random rotation."""
    q, r = np.linalg.qr(rng.standard_normal((dim, dim)))
    return q * np.sign(np.diag(r))


def _spiral(rng: Rng, dim: int, width: float, amplitude: float) -> Function:
    """An Archimedean spiral of one to two turns; in 3-D, where meshes are coarser, its cylinder, of half as many."""
    turns, phase, at = rng.uniform(1, 2) * (1.0 if dim == 2 else 0.5), _angle(rng), rng.uniform(-0.2, 0.2, 2)

    def m(y: Array) -> Array:
        r, t = np.hypot(y[0] - at[0], y[1] - at[1]), np.arctan2(y[1] - at[1], y[0] - at[0])
        s = np.sin(np.pi * turns * r - 0.5 * (t + phase)) / (np.pi * turns)  # even in the jump of t by 2 pi
        return 1 + amplitude * _gauss(s / width)

    return m


def _lemniscate(rng: Rng, dim: int, width: float, amplitude: float) -> Function:
    """Bernoulli's figure of eight; in 3-D the surface that it sweeps about its axis."""
    a, turn = rng.uniform(0.6, 0.9), _turned(rng, dim)

    def m(y: Array) -> Array:
        z = turn @ y
        square, across = (z * z).sum(axis=0), (z[1:] ** 2).sum(axis=0)
        f = square**2 - a * a * (z[0] ** 2 - across)
        slope = 4 * square * np.sqrt(square) + 2 * a * a * np.sqrt(square) + 2 * a**2 * width  # about |grad f|
        return 1 + amplitude * _gauss(f / (0.6 * slope * width))

    return m


def _crossing(rng: Rng, dim: int, width: float, amplitude: float) -> Function:
    """Two or three plane layers through each other, the strongest where they cross."""
    count = int(rng.integers(2, 4))
    normals = np.stack([_turned(rng, dim)[0] for _ in range(count)])
    offsets = rng.uniform(-0.3, 0.3, count)

    def m(y: Array) -> Array:
        layers = _gauss((normals @ y - offsets[:, None]) / width)
        return 1 + amplitude * layers.sum(axis=0) / count

    return m


def _boundary_layer(rng: Rng, dim: int, width: float, amplitude: float) -> Function:
    """Exponential layers along one to three sides of the bounding box."""
    sides = rng.permutation(2 * dim)[: rng.integers(1, 4)]

    def m(y: Array) -> Array:
        layers = [np.exp(-np.clip(1 + (1 - 2 * (k % 2)) * y[k // 2], 0, None) / (1.5 * width)) for k in sides]
        return 1 + amplitude * np.max(layers, axis=0)

    return m


def _checkers(rng: Rng, dim: int, width: float, amplitude: float) -> Function:
    """High and low fields of a board, with tanh walls between them."""
    k, phase, turn = rng.uniform(0.8, 1.6) * np.pi, rng.uniform(0, np.pi, dim), _turned(rng, dim)

    def m(y: Array) -> Array:
        wall = np.tanh(np.sin(k * (turn @ y) + phase[:, None]) / (k * width)) / np.tanh(1 / (k * width))
        return 1 + 0.5 * amplitude * (1 + wall.prod(axis=0))

    return m


def _star(rng: Rng, dim: int, width: float, amplitude: float) -> Function:
    """A star-shaped interface r = R (1 + b cos k t)."""
    radius, b, k, phase = rng.uniform(0.4, 0.7), rng.uniform(0.1, 0.35), int(rng.integers(3, 8)), _angle(rng)

    def m(y: Array) -> Array:
        r, t = np.sqrt((y * y).sum(axis=0)), np.arctan2(y[1], y[0])
        reach = r * r / (r * r + 0.01)  # smooth at the centre
        s = (r - radius * (1 + b * reach * np.cos(k * t + phase))) / np.hypot(1, b * k)
        return 1 + amplitude / np.cosh(np.clip(s / (0.6 * width), -300, 300)) ** 2

    return m


def _beaded_ring(rng: Rng, dim: int, width: float, amplitude: float) -> Function:
    """A Gaussian ring (in 3-D a torus) whose strength goes up and down along it."""
    radius, k, phase, depth = rng.uniform(0.4, 0.75), int(rng.integers(2, 6)), _angle(rng), rng.uniform(0.5, 1)
    turn, at = _turned(rng, dim), rng.uniform(-0.2, 0.2, dim)

    def m(y: Array) -> Array:
        z = turn @ (y - at[:, None])
        rho = np.sqrt(z[0] ** 2 + z[1] ** 2 + 1e-6)
        away = (rho - radius) ** 2 + (z[2:] ** 2).sum(axis=0)
        beads = 1 + 0.5 * depth * (np.cos(k * np.arctan2(z[1], z[0]) + phase) - 1)
        return 1 + amplitude * beads * np.exp(-np.minimum(away / width**2, 300))

    return m


def _s_curve(rng: Rng, dim: int, width: float, amplitude: float) -> Function:
    """An interior layer along an S: x = a tanh(c y) + b y."""
    a, c, b, turn = rng.uniform(0.3, 0.6), rng.uniform(2, 5), rng.uniform(-0.3, 0.3), _turned(rng, dim)

    def m(y: Array) -> Array:
        z = turn @ y
        t = np.tanh(c * z[1])
        s = (z[0] - a * t - b * z[1]) / np.hypot(1, a * c * (1 - t * t) + b)
        return 1 + amplitude / (1 + (s / width) ** 2) ** 2

    return m


#: name -> maker
MONITORS: dict[str, Callable[[Rng, int, float, float], Function]] = {
    "spiral": _spiral,
    "lemniscate": _lemniscate,
    "crossing layers": _crossing,
    "boundary layer": _boundary_layer,
    "checkers": _checkers,
    "star": _star,
    "beaded ring": _beaded_ring,
    "S curve": _s_curve,
}
