"""Transport, then alignment: cells carried to where they are needed, then turned and stretched to the field."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .checked import moved_by
from .lift import Lift
from .minimise import minimise
from .monge_ampere import MongeAmpere
from .problem import Move, Mover, Problem

__all__ = ["Align"]

Array = NDArray[np.float64]

#: a step that lowers the predicted error by less than this share ends the descent
TOLERANCE = 1e-3
#: of the lifted force, the length of the first step that is tried: F is a logarithm, whose slope does not say it
OPENING = 1e-3


@dataclass(frozen=True)
class Align:
    """Descends `Problem.objective`, the predicted H1 error, from where a mover to the problem's monitor has led.

    Equidistribution carries cells over long distances, which descent of the error from a uniform mesh does not; it is
    blind to their shape, which is most of what descent of the error gains. Where the transport is predicted to make
    things worse, as on a mesh that is aligned already, descent begins at the start.

    Parameters
    ----------
    transport
        The mover to the monitor.
    steps
        Of the descent, at effort 1.
    distortion
        Weight of the cells' shapes beside the logarithm of the error.
    """

    transport: Mover = field(default_factory=lambda: MongeAmpere(distortion=0.05))
    steps: int = 40
    distortion: float = 0.01
    name: str = "alignment"

    def __call__(self, problem: Problem) -> Move:
        if problem.objective is None:
            return moved_by(self.transport, problem)
        points, iterations = self._descended(problem, problem.start)
        if not problem.admissible(points):
            points = problem.drawn_back(points)[0]
        if not problem.merit(points) < problem.merit(problem.start):
            points = problem.start
        return Move(points, iterations, judged=True)

    def _descended(self, problem: Problem, points: Array) -> tuple[Array, int]:
        objective = problem.objective
        assert objective is not None
        if not problem.slide.moves:
            return points, 0
        if "lift" not in problem.workspace:
            problem.workspace["lift"] = Lift(problem.mesh, problem.slide)
        lift = problem.workspace["lift"]
        out = minimise(
            objective,
            lambda force: OPENING * lift(force),
            problem.slide,
            points,
            steps=max(1, round(self.steps * problem.effort)),
            tolerance=TOLERANCE,
            absolute=True,
            memory=12,
            reach=objective.reach,
            opening=1.0,
        )
        return out.points, out.iterations
