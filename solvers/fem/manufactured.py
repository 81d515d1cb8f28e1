r"""Manufactured problems of Poisson's equation, whose exact solution is known.

They are those on which r-adaptation is usually judged: layers, fronts, peaks and a re-entrant corner
(Mitchell, A collection of 2D elliptic problems for testing adaptive grid refinement algorithms, Appl. Math. Comput.
220, 2013; Huang & Russell, Adaptive Moving Mesh Methods, Springer 2011). Sources are in closed form: for u = g(s),

    Laplace(u) = g''(s) |grad s|^2 + g'(s) Laplace(s).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import skfem

from meshmove.geometry.arrays import Array

__all__ = [
    "PROBLEMS",
    "Problem",
    "arctan",
    "decay",
    "distance",
    "distance2",
    "gaussian",
    "line",
    "summed",
    "tanh",
    "wavy",
]

Derivatives = tuple[Array, Array, Array]


@dataclass(frozen=True)
class Problem:
    """A manufactured solution: `exact` u and `source` f = -Laplace(u), functions of x (2, ...) -> (...).

    `domain`: the unit square, or the L that is left of it without its upper right quarter.
    """

    name: str
    exact: Callable[[Array], Array]
    source: Callable[[Array], Array]
    domain: Literal["square", "L"] = "square"

    def mesh(self, n: int) -> skfem.MeshTri:
        """Uniform triangles, n to a side of the unit square (n even for the L).

        >>> PROBLEMS["corner"].mesh(4).nelements
        24
        """
        if n < 1 or (self.domain == "L" and n % 2):
            raise ValueError(f"Expected a positive{', even' * (self.domain == 'L')} number of cells a side (got {n})")
        mesh = skfem.MeshTri.init_tensor(*[np.linspace(0, 1, n + 1)] * 2)
        if self.domain == "L":
            mesh = mesh.remove_elements(np.flatnonzero((mesh.p[:, mesh.t].mean(axis=1) > 0.5).all(axis=0)))
        return mesh


def summed(
    name: str, *terms: tuple[Callable[[Array], Derivatives], Callable[[Array], Derivatives]], offset: float = 0.0
) -> Problem:
    """The problem u = offset + the sum of g(s(x)), from g -> (g, g', g'') and s -> (s, |grad s|^2, Laplace(s))."""

    def exact(x: Array) -> Array:
        return offset + np.sum([g(s(x)[0])[0] for g, s in terms], axis=0)

    def source(x: Array) -> Array:
        total = np.zeros(np.shape(x)[1:])
        for g, s in terms:
            value, slope2, lap = s(x)
            _, first, second = g(value)
            total -= second * slope2 + first * lap
        return total

    return Problem(name, exact, source)


def tanh(k: float) -> Callable[[Array], Derivatives]:
    def g(s: Array) -> Derivatives:
        t = np.tanh(k * s)
        return t, k * (1 - t**2), -2 * k**2 * t * (1 - t**2)

    return g


def arctan(k: float) -> Callable[[Array], Derivatives]:
    return lambda s: (np.arctan(k * s), k / (1 + (k * s) ** 2), -2 * k**3 * s / (1 + (k * s) ** 2) ** 2)


def decay(k: float, height: float = 1.0) -> Callable[[Array], Derivatives]:
    def g(s: Array) -> Derivatives:
        e = height * np.exp(-k * s)
        return e, -k * e, k**2 * e

    return g


def gaussian(width: float) -> Callable[[Array], Derivatives]:
    def g(s: Array) -> Derivatives:
        e = np.exp(-((s / width) ** 2))
        return e, -2 * s / width**2 * e, (4 * s**2 / width**4 - 2 / width**2) * e

    return g


def distance2(x0: float, y0: float, less: float = 0.0) -> Callable[[Array], Derivatives]:
    def s(x: Array) -> Derivatives:
        r2 = (x[0] - x0) ** 2 + (x[1] - y0) ** 2
        return r2 - less, 4 * r2, np.full_like(r2, 4.0)

    return s


def distance(x0: float, y0: float, less: float) -> Callable[[Array], Derivatives]:
    def s(x: Array) -> Derivatives:
        r = np.hypot(x[0] - x0, x[1] - y0)
        return r - less, np.ones_like(r), 1 / r

    return s


def line(angle: float, x0: float, y0: float) -> Callable[[Array], Derivatives]:
    """Signed distance from the line through (x0, y0) whose normal has this angle in degrees."""
    a, b = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    return lambda x: (a * (x[0] - x0) + b * (x[1] - y0), np.ones_like(x[0]), np.zeros_like(x[0]))


def wavy(x: Array) -> Derivatives:
    a, k = 0.15, 2 * np.pi
    return x[1] - 0.5 - a * np.sin(k * x[0]), 1 + (a * k * np.cos(k * x[0])) ** 2, a * k**2 * np.sin(k * x[0])


def _outflow(t: Array, eps: float = 0.03) -> tuple[Array, Array]:
    """The layer of convection-diffusion at t = 1 and its second derivative; zero at both ends."""
    e, e0 = np.exp((t - 1) / eps), np.exp(-1 / eps)
    return t - (e - e0) / (1 - e0), -e / eps**2 / (1 - e0)


def _boundary_layer_source(x: Array) -> Array:
    (a, a2), (b, b2) = _outflow(x[0]), _outflow(x[1])
    return -(a2 * b + a * b2)


def _corner(x: Array) -> Array:
    a, b = x[0] - 0.5, x[1] - 0.5
    angle = np.arctan2(a - b, -(a + b)) + 0.75 * np.pi  # its jump lies in the quarter that is missing
    return np.hypot(a, b) ** (2 / 3) * np.sin(2 / 3 * angle)


def _waves(x: Array) -> Array:
    return np.sin(3 * np.pi * x[0]) * np.sin(2 * np.pi * x[1])


def _saddle(x: Array) -> Array:
    a, b = x[0] - 0.5, x[1] - 0.5
    return a**3 - 3 * a * b**2


def _harmonic(x: Array) -> Array:
    return np.zeros(np.shape(x)[1:])


#: manufactured problems by name
PROBLEMS: dict[str, Problem] = {
    p.name: p
    for p in (
        summed("ring", (tanh(60), distance2(0.5, 0.5, 0.08))),
        summed("peak", (decay(200), distance2(0.3, 0.4))),
        summed("bell", (decay(0.15**-2, 10), distance2(0.5, 0.5)), offset=1.0),
        Problem("boundary_layer", lambda x: _outflow(x[0])[0] * _outflow(x[1])[0], _boundary_layer_source),
        summed("oblique_layer", (tanh(40), line(30, 0.5, 0.45))),
        summed("two_peaks", (decay(150), distance2(0.25, 0.3)), (decay(400, -0.7), distance2(0.7, 0.65))),
        summed("shock", (arctan(60), wavy)),
        Problem("corner", _corner, _harmonic, "L"),
        summed("wave_front", (arctan(50), distance(-0.05, -0.05, 0.7))),
        Problem("saddle", _saddle, _harmonic),
        Problem("waves", _waves, lambda x: 13 * np.pi**2 * _waves(x)),
        summed("gaussian_ring", (gaussian(0.05), distance2(0.45, 0.55, 0.09))),
        summed("crossed_layers", (tanh(30), line(20, 0.4, 0.5)), (tanh(30), line(110, 0.5, 0.6))),
    )
}
