"""Why Newton's method came to no solution, in words."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from meshmove.geometry.arrays import Array
from meshmove.solvers.pde import ConvergenceError, SemilinearPDE
from meshmove.solvers.pde.semilinear.reaction import Reaction

from ..field import Located
from .budget import Budget
from .state import Found

__all__ = ["stuck"]

_POINTS, _VALUES = 20, 2001  # at so many points so many values of u are tried
_JUMP, _STAYS = 0.05, 0.5  # of the range of a reaction, and again of the range between two such values of u: a jump


def stuck(problem: SemilinearPDE, last: Found, budget: Budget) -> ConvergenceError:
    """The error that is raised."""
    if budget.spent:
        what = (
            f"Expected a solution within the budget of effort= (got a last change of {last.change:.1g} of u after all "
            f"{budget.solves} linear solves that it allows)"
        )
        more = ", or a larger effort="
    else:
        what = (
            f"Expected Newton's method to converge (got a last change of {last.change:.1g} of u after {last.steps} "
            "steps)"
        )
        more = ""
    jump = _jump(problem, last)
    if jump is not None:
        return ConvergenceError(
            f"{what}. The reaction jumps near u = {jump:.4g}, where it has no derivative and there may be no solution: "
            f"make it steep instead, such as np.tanh((u - {jump:.4g}) / 0.01) for a sign, and smaller widths from there"
        )
    return ConvergenceError(
        f"{what}. There may be no solution, or none that is reached from here: give a start= that is nearer, such as "
        f"the solution for a smaller parameter{more}"
    )


def _jump(problem: SemilinearPDE, last: Found) -> float | None:
    """The value of u, among those that were found and as far around, at which the reaction jumps; None if none."""
    unit = problem.unit
    field = Located(unit, last.projection.field)
    u, x = (field.jets(unit.to_physical(unit.interior(n, seed=n).points)) for n in (_VALUES, _POINTS))
    at = unit.to_physical(unit.interior(_POINTS, seed=_POINTS).points)
    low, high = float(u[0].min()), float(u[0].max())
    low, high = low - (high - low), high + (high - low)
    for state, point in zip(x[:3].T, at.T, strict=True):
        wide = _leap(problem.reaction, state, point, low, high)
        if wide is None or wide.size < _JUMP * wide.whole:
            continue
        near = _leap(problem.reaction, state, point, *wide.between)
        if near is not None and near.size >= _STAYS * near.whole:
            return float(np.mean(near.between))
    return None


class _Leap(NamedTuple):
    """The largest difference between neighbouring values of u, that of all, and between which u it is."""

    size: float
    whole: float
    between: tuple[float, float]


def _leap(reaction: Reaction, state: Array, point: Array, low: float, high: float) -> _Leap | None:
    u = np.linspace(low, high, _VALUES)
    states = np.concatenate([u[None], np.repeat(state[1:, None], len(u), axis=1)])
    r = reaction.values(states, np.repeat(point[:, None], len(u), axis=1))
    if not (np.isfinite(r).all() and np.ptp(r) > 0):
        return None
    i = int(np.abs(np.diff(r)).argmax())
    return _Leap(float(abs(r[i + 1] - r[i])), float(np.ptp(r)), (float(u[i]), float(u[i + 1])))
