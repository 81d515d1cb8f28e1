"""Limited-memory BFGS on node positions, preconditioned by the Laplacian, on a sliding boundary."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np

from meshmove.communicator import SERIAL, Communicator
from meshmove.geometry.arrays import Array
from meshmove.geometry.sliding import Slide

from .recursion import InProducts, Pair, Recursion, TwoLoops

__all__ = ["Minimum", "Pair", "minimise"]

#: steps shorter than this lead nowhere
SHORTEST = 1e-5
#: share of its volume that is left to each cell by a step that was cut, lest it be inverted
KEPT = 0.1


class Reach(Protocol):
    def __call__(self, points: Array, step: Array, left: tuple[float, ...]) -> Array: ...


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
    reach: Reach | None = None,
    kept: float = 0.0,
    short: float = 0.0,
    opening: float = 0.3,
    absolute: bool = False,
    close: float = 0.0,
    pairs: list[Pair] | None = None,
    longer: float = 1.0,
    across: Communicator = SERIAL,
) -> Minimum:
    """Descent along Nocedal's two-loop recursion (see `recursion`) with the linear map `lift`, K^-1 per component.

    `scaled`: rescale the initial inverse Hessian by the last step; not needed where the lift is a model of the Hessian
    in size, too.
    `reach`: how far a step (points, step) may go before a cell keeps no more than some shares of its volume, instead of
    halvings. `kept`: share of its volume that each cell keeps in every step that is tried.
    `longer`: after a first step along which the energy curves downwards the next is tried so many times longer.
    `opening`: length at which the first step is tried. `short`: stop after a step of less than this length.
    Descent ends where a step lowers the energy by less than the share `tolerance` of it, or, with `absolute`, by less
    than `tolerance`, as befits a logarithm; or, after a step, where by the model of the energy no more is left to gain
    than the share `close` of it. A single step may gain little far from the minimum: the model knows.
    `pairs`: steps with their changes of the gradient, of a descent of nearly the same energy before, to go on with; the
    last ones of this descent take their place. `across`: the processes that share the nodes; energies are those of all.

    Every iterate has finite energy, so that no cell is inverted in it; the energy never rises.
    """
    points = start
    value, gradient = energy(points)
    evaluations = 1
    if gradient is None:
        raise ValueError("Expected a start without inverted cells")
    slide.refresh(points)
    gradient = slide.gather(gradient)
    made: Any = TwoLoops if across.serial else partial(InProducts, across)
    recursion: Recursion = made(slide, [] if pairs is None else pairs, memory, scaled)
    recursion.begin(gradient, lift(gradient))
    k, wary = 0, False
    for k in range(1, steps + 1):  # noqa: B007
        direction, slope = _downhill(recursion)
        if not slope > 0:
            break
        if k > 1 and slope < 2 * close * value:
            return Minimum(points, value, k - 1, evaluations)
        length = opening if recursion.empty else 1.0
        if kept and reach is not None:
            length = min(length, *reach(points, -direction, (kept,)))
        found = _searched(energy, slide, points, direction, value, slope, length, reach, wary)
        # one process ends an evaluation at the first cell that is lost; several would go through it in vain
        wary = found.cut and not across.alone
        evaluations += found.evaluations
        if found.length < SHORTEST:
            if recursion.empty:
                break
            recursion.forget()  # start again from steepest descent
            continue
        trial = found.points
        slide.refresh(trial)
        force = slide.gather(found.force)
        if not recursion.learn(trial - points, force, lift(force)) and recursion.empty:
            # the slope got steeper: nothing was learnt of its length, and the next step may be longer
            opening *= longer
        drop = value - found.value
        points, value = trial, found.value
        if found.length < short:
            return Minimum(points, value, k, evaluations, stale=True)
        if drop < tolerance * (1.0 if absolute else max(value, 1e-8)):
            break
    return Minimum(points, value, k, evaluations)


def _downhill(recursion: Recursion) -> tuple[Array, float]:
    """The direction and its slope, anew from steepest descent where what was learnt leads up."""
    direction, slope = recursion.direction()
    if slope > 0:
        return direction, slope
    recursion.forget()
    return recursion.direction()


@dataclass(frozen=True, eq=False)
class _Found:
    """Where a line search has ended, with the energy there and its gradient; nowhere if `length` is below SHORTEST.

    `cut`: a cell was in the way.
    """

    points: Array
    value: float
    force: Any
    length: float
    evaluations: int
    cut: bool


def _searched(
    energy: Callable[[Array], tuple[float, Array | None]],
    slide: Slide,
    points: Array,
    direction: Array,
    value: float,
    slope: float,
    length: float,
    reach: Reach | None,
    wary: bool,
) -> _Found:
    """Shorter and shorter steps against `direction` until the energy has fallen enough (Armijo).

    `wary`: ask how far a step may go before it is tried, since it is likely to be too far.
    """
    top: float | None = None
    if wary and reach is not None:
        lost, most = reach(points, -direction, (0.0, KEPT))
        if length >= lost:
            top, length = most, min(0.5 * length, most)
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
            (top,) = reach(points, -direction, (KEPT,))
            length = min(0.5 * length, top)
        else:
            length *= 0.5
        if length < SHORTEST:
            break
    return _Found(trial, new, force, length, evaluations, top is not None)
