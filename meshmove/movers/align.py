"""Transport, then alignment: cells carried to where they are needed, then turned and stretched to the field."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from meshmove.geometry import corner_volumes
from meshmove.geometry.arrays import Array
from meshmove.progress import stage

from .checked import moved_by
from .descent import minimise
from .lift import Lift
from .monge_ampere import MongeAmpere
from .objectives.alignment import Alignment
from .problem import Move, Mover, Problem

__all__ = ["Align", "descended"]


#: steps between two looks at the mesh, and by how much of the error they have to lower it for more
ROUND, WORTH = 20, 0.01
#: nodes beyond which one round has to do: 60 steps on 49,000 nodes took longer than all of equidistribution
LARGE = 40_000
#: a step that lowers the predicted error by less than this share ends the descent; after short ones come longer ones
TOLERANCE = 1e-5
#: of the lifted force, the length of the first step that is tried: F is a logarithm, whose slope does not say it
OPENING, OPENING_GRADED = 1e-3, 1e-2
#: largest over smallest volume of a mesh that was refined here and there
GRADED = 10.0


@dataclass(frozen=True)
class Align:
    """Descends `Problem.objective`, the predicted H1 error, from where a mover to the problem's monitor has led.

    Equidistribution carries cells over long distances, which descent of the error from a uniform mesh does not; it is
    blind to their shape, which is most of what descent of the error gains.

    After each round of steps the mesh is judged by `Problem.merit`, and the best of them is returned.

    Parameters
    ----------
    transport
        The mover to the monitor, where there is nothing to align with.
    carrier
        The one that goes before the descent.
    steps
        Of the descent, at effort 1.
    distortion
        Weight of the cells' shapes beside the logarithm of the error.
    """

    transport: Mover = field(default_factory=lambda: MongeAmpere(distortion=0.05))
    carrier: Mover = field(default_factory=lambda: MongeAmpere(distortion=0.05, rough=True))
    steps: int = 60
    distortion: float = 0.01
    name: str = "alignment"

    def __call__(self, problem: Problem) -> Move:
        """From `problem.start`, where `transport` has led; without an objective the transport itself."""
        objective = problem.objective
        if objective is None:
            return moved_by(self.transport, problem)
        points = best = problem.start
        first = least = problem.merit(best)
        budget, iterations = max(1, round(self.steps * problem.effort)), 0
        if problem.n_points > LARGE:
            budget = min(budget, ROUND)
        while budget > iterations and problem.moves:
            points, spent = descended(problem, objective, points, min(ROUND, budget - iterations))
            iterations += spent
            if not problem.admissible(points):
                points = problem.drawn_back(points)[0]
            before, merit = least, problem.merit(points)
            left = merit / max(first, 1e-300)
            stage("alignment: %.3g of the predicted error it began with, steps: %d", left, iterations)
            if merit < least:
                best, least = points, merit
            if not least < (1 - WORTH) * before or spent < ROUND:
                break
        return Move(best, iterations, judged=True)


def descended(problem: Problem, objective: Alignment, points: Array, steps: int) -> tuple[Array, int]:
    """Positions after so many steps at most from valid ones, and how many they were."""
    lift, first = _lift(problem)
    out = minimise(
        objective,
        lambda force: first * lift(force),
        problem.slide,
        points,
        steps=steps,
        tolerance=TOLERANCE,
        absolute=True,
        memory=12,
        reach=objective.reach,
        opening=1.0,
        across=problem.across,
    )
    return out.points, out.iterations


def _lift(problem: Problem) -> tuple[Lift, float]:
    """The mesh's Laplacian, and the length of the first step; on a graded mesh with a coefficient of about 1 / |K|.

    Where a mesh was refined for the error, cells have equal shares of it, and a node's displacement counts relative to
    the size of its cells: small cells are stiff.
    """
    across, volume = problem.across, np.abs(corner_volumes(problem.mesh))
    largest, least = across.maximum(volume.max(initial=0)), across.minimum(volume.min(initial=np.inf))
    if largest < GRADED * least:
        return problem.lift, OPENING
    whole, cells = across.sum(np.array([volume.sum(), len(volume)]))
    weight = 1 + whole / cells / volume
    graded = problem.kept("graded lift", lambda: Lift(problem.mesh, problem.slide, weight, across, problem.inverses))
    return graded, OPENING_GRADED
