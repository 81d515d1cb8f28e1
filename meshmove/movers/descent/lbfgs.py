"""Limited-memory BFGS on node positions, preconditioned by the Laplacian, on a sliding boundary."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from meshmove.geometry.arrays import Array
from meshmove.geometry.sliding import Slide

__all__ = ["Minimum", "Pair", "minimise"]

#: a step, the change of the gradient over it, that change lifted, and the product of the first two
Pair = tuple[Array, Array, Array, float]


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
    pairs: list[Pair] | None = None,
    longer: float = 1.0,
) -> Minimum:
    """Nocedal's two-loop recursion with the linear map `lift`, K^-1 per component, as the initial inverse Hessian.

    Gradients are lifted once each: what else is needed of K^-1 is linear in lifted gradients.

    `scaled`: rescale the initial inverse Hessian by the last step; not needed where the lift is a model of the Hessian
    in size, too.
    `reach`: how far a step (points, step) may go before a cell is (nearly) inverted, instead of halvings.
    `longer`: after a first step along which the energy curves downwards the next is tried so many times longer.
    `opening`: length at which the first step is tried. `short`: stop after a step of less than this length.
    Descent ends where a step lowers the energy by less than the share `tolerance` of it, or, with `absolute`, by less
    than `tolerance`, as befits a logarithm.
    `pairs`: steps with their changes of the gradient, of a descent of nearly the same energy before, to go on with; the
    last ones of this descent take their place.

    Every iterate has finite energy, so that no cell is inverted in it; the energy never rises.
    """
    points = start
    value, gradient = energy(points)
    evaluations = 1
    if gradient is None:
        raise ValueError("Expected a start without inverted cells")
    slide.refresh(points)
    gradient = slide.gather(gradient)
    lifted = lift(gradient)
    past: list[Pair] = [] if pairs is None else pairs
    k = 0
    for k in range(1, steps + 1):  # noqa: B007
        direction = _direction(slide, gradient, lifted, past, scaled)
        slope = float(np.vdot(gradient, direction))
        if not slope > 0:
            past.clear()
            direction = slide.spread(lifted)
            slope = float(np.vdot(gradient, direction))
            if not slope > 0:
                break
        found = _searched(energy, slide, points, direction, value, slope, 1.0 if past else opening, reach)
        evaluations += found.evaluations
        if found.length < SHORTEST:
            if not past:
                break
            past.clear()  # start again from steepest descent
            continue
        trial = found.points
        slide.refresh(trial)
        force = slide.gather(found.force)
        raised = lift(force)
        pair = _pair(slide, trial - points, force - gradient, raised - lifted)
        if pair is not None:
            past.append(pair)
            del past[:-memory]
        elif not past:  # the slope got steeper: nothing was learnt of its length, and the next step may be longer
            opening *= longer
        drop = value - found.value
        points, value, gradient, lifted = trial, found.value, force, raised
        if found.length < short:
            return Minimum(points, value, k, evaluations, stale=True)
        if drop < tolerance * (1.0 if absolute else max(value, 1e-8)):
            break
    return Minimum(points, value, k, evaluations)


def _direction(slide: Slide, gradient: Array, lifted: Array, past: list[Pair], scaled: bool) -> Array:
    """The inverse Hessian of the pairs times the gradient: what is to be gone against."""
    rest, direction, coefficients = gradient.copy(), lifted.copy(), []
    for s, y, up, sy in reversed(past):
        a = np.vdot(s, rest) / sy
        coefficients.append(a)
        rest -= a * y
        direction -= a * up
    direction = slide.spread(direction)
    if past and scaled:
        _, y, up, sy = past[-1]
        direction *= sy / np.vdot(y, up)
    for (s, y, _, sy), a in zip(past, reversed(coefficients), strict=True):
        direction += s * (a - np.vdot(y, direction) / sy)
    return direction


def _pair(slide: Slide, s: Array, y: Array, up: Array) -> Pair | None:
    """None where the energy curves downwards along the step."""
    if len(slide.tied[0]):
        s = s.copy()
        s[slide.tied[0]] = 0
    sy = float(np.vdot(s, y))
    return (s, y, up, sy) if sy > 1e-14 * np.sqrt(np.vdot(s, s) * np.vdot(y, y)) else None


@dataclass(frozen=True, eq=False)
class _Found:
    """Where a line search has ended, with the energy there and its gradient; nowhere if `length` is below SHORTEST."""

    points: Array
    value: float
    force: Any
    length: float
    evaluations: int


def _searched(
    energy: Callable[[Array], tuple[float, Array | None]],
    slide: Slide,
    points: Array,
    direction: Array,
    value: float,
    slope: float,
    length: float,
    reach: Callable[[Array, Array], float] | None,
) -> _Found:
    """Shorter and shorter steps against `direction` until the energy has fallen enough (Armijo)."""
    top: float | None = None
    evaluations = 0
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
    return _Found(trial, new, force, length, evaluations)
