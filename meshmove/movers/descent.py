"""Limited-memory BFGS on node positions, preconditioned by the Laplacian, on a sliding boundary."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from meshmove.geometry.arrays import Array
from meshmove.geometry.sliding import Slide

__all__ = ["Minimum", "minimise"]


#: steps shorter than this lead nowhere
SHORTEST = 1e-5


@dataclass
class Minimum:
    points: Array
    energy: float
    iterations: int
    evaluations: int
    stale: bool = False  #: a step was so short that another preconditioner should go further


def minimise(
    energy: Callable[[Array], tuple[float, Array | None]],
    lift: Callable[[Array], Array],
    slide: Slide,
    start: Array,
    *,
    steps: int = 80,
    tolerance: float = 1e-5,
    memory: int = 8,
    scaled: bool = True,
    reach: Callable[[Array, Array], float] | None = None,
    short: float = 0.0,
    opening: float = 0.3,
    absolute: bool = False,
    longer: float = 1.0,
) -> Minimum:
    """Nocedal's two-loop recursion with K^-1 per component as the initial inverse Hessian.

    `scaled`: rescale the initial inverse Hessian by the last step, at the price of one more lift; not needed where the
    lift is a model of the Hessian in size, too.
    `reach`: how far a step (points, step) may go before a cell is (nearly) inverted, instead of halvings.
    `longer`: after a first step along which the energy curves downwards the next is tried so many times longer.
    `opening`: length at which the first step is tried. `short`: stop after a step of less than this length.
    Descent ends where a step lowers the energy by less than the share `tolerance` of it, or, with `absolute`, by less
    than `tolerance`, as befits a logarithm.

    Every iterate has finite energy, so that no cell is inverted in it; the energy never rises.
    """
    points = start
    value, gradient = energy(points)
    evaluations = 1
    if gradient is None:
        raise ValueError("Expected a start without inverted cells")
    slide.refresh(points)
    gradient = slide.gather(gradient)
    past: list[tuple[Array, Array, float, float]] = []
    k = 0
    for k in range(1, steps + 1):  # noqa: B007
        direction, coefficients = gradient.copy(), []
        for s, y, sy, _ in reversed(past):
            a = np.vdot(s, direction) / sy
            coefficients.append(a)
            direction -= a * y
        direction = slide.spread(lift(direction))
        if past and scaled:
            direction *= past[-1][2] / past[-1][3]
        for (s, y, sy, _), a in zip(past, reversed(coefficients), strict=True):
            direction += s * (a - np.vdot(y, direction) / sy)
        slope = float(np.vdot(gradient, direction))
        if not slope > 0:
            past = []
            direction = slide.spread(lift(gradient))
            slope = float(np.vdot(gradient, direction))
            if not slope > 0:
                break
        length = 1.0 if past else opening
        top: float | None = None
        while True:
            trial = slide.retract(points - length * direction)
            new, force = energy(trial)
            evaluations += 1
            if new <= value - 1e-4 * length * slope:
                break
            if np.isfinite(new):  # minimum of the parabola through both values and the slope
                length *= min(0.5, max(0.1, slope * length / (2 * (new - value + slope * length))))
            elif reach is not None and top is None:
                top = reach(points, -direction)
                length = min(0.5 * length, top)
            else:
                length *= 0.5
            if length < SHORTEST:
                break
        if length < SHORTEST:
            if not past:
                break
            past = []  # start again from steepest descent
            continue
        slide.refresh(trial)
        force = slide.gather(force)
        s, y = trial - points, force - gradient
        if len(slide.tied[0]):
            s = s.copy()
            s[slide.tied[0]] = 0
        sy = float(np.vdot(s, y))
        if sy > 1e-14 * np.sqrt(np.vdot(s, s) * np.vdot(y, y)):
            past = [*past, (s, y, sy, float(np.vdot(y, lift(y))) if scaled else 1.0)][-memory:]
        elif not past:  # the slope got steeper: nothing was learnt of its length, and the next step may be longer
            opening *= longer
        drop = value - new
        points, value, gradient = trial, new, force
        if length < short:
            return Minimum(points, value, k, evaluations, stale=True)
        if drop < tolerance * (1.0 if absolute else max(value, 1e-8)):
            break
    return Minimum(points, value, k, evaluations)
