"""A few steps of descent of E from a mesh that is nearly good, with a fresh Gauss-Newton matrix every few of them."""

from __future__ import annotations

from meshmove.geometry.arrays import Array

from .descent import minimise
from .descent.gauss_newton import gauss_newton
from .problem import Problem

__all__ = ["polish"]


#: it ends when such a round lowers E by less than this share
WEAK = 0.01


def polish(
    problem: Problem, points: Array, steps: int, distortion: float, *, each: int = 2, tolerance: float = 1e-5
) -> tuple[Array, int]:
    """Positions after at most so many steps from valid ones, and how many they were.

    Parameters
    ----------
    distortion
        The weight epsilon of the distortion term.
    each
        Steps for one factorisation; as many as `steps`: there is one only.
    tolerance
        A round ends where a step lowers E by less than this share.
    """
    functional = problem.functional(distortion)
    done, before = 0, functional(points)[0]
    while done < steps:
        out = minimise(
            functional,
            gauss_newton(functional, problem.slide, points),
            problem.slide,
            points,
            steps=min(each, steps - done),
            tolerance=tolerance,
            scaled=False,
            reach=functional.reach,
            opening=1.0,
        )
        points, done = out.points, done + max(out.iterations, 1)
        if each >= steps or before - out.energy < WEAK * before:
            break
        before = out.energy
    return points, done
