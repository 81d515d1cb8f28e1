"""Transport, then alignment: cells carried to where they are needed, then turned and stretched to the field."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from meshmove.geometry import corner_volumes
from meshmove.geometry.arrays import Array
from meshmove.progress import stage

from .checked import moved_by
from .descent import minimise
from .descent.strains import Strains
from .lift import Lift
from .monge_ampere import MongeAmpere
from .objectives.alignment import Alignment
from .problem import Move, Mover, Problem

__all__ = ["Align", "descended"]


#: steps between two looks at the mesh, and by how much of the error they have to lower it for more
ROUND, WORTH = 20, 0.01
#: share of the steps on cells that are no simplices. The more their descent converges the less of what it gains in the
#: error of the interpolant is left in the L2 error of solutions: with all 60 steps step stairs on quadrilaterals gained
#: 7.4 in L2 and 6.0 in H1, with 20 of them 10.2 and 5.4
OTHERS = 1 / 3
#: nodes beyond which one round has to do: 60 steps on 49,000 nodes took longer than all of equidistribution
LARGE = 40_000
#: a step that lowers the predicted error by less than this share ends the descent; after short ones come longer ones
TOLERANCE = 1e-5
#: of the lifted force, the length of the first step that is tried: F is a logarithm, whose slope does not say it
OPENING, OPENING_GRADED = 1e-3, 1e-2
#: share of its volume that each cell keeps in a step on meshes beyond LARGE: with a Laplacian a few cells where a front
#: meets the boundary are pinched by the first bold steps, and all of the mesh waits for them ever after
KEPT = 0.6
#: largest over smallest volume of a mesh that was refined here and there
GRADED = 10.0


@dataclass(frozen=True)
class Align:
    """Descends `Problem.objective`, the predicted H1 error, from where a mover to the problem's monitor has led.

    Equidistribution carries cells over long distances, which descent of the error from a uniform mesh does not; it is
    blind to their shape, which is most of what descent of the error gains.

    After each round of steps the mesh is judged, and the best of them is returned: on simplices by the geometric mean
    of `Problem.merit` and the predicted H1 error, on other cells, where a solve tells the L2 error, by the merit alone.

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
    relative
        Whether descent in the plane is preconditioned by strains relative to cells, which gets further, and on noise in
        the field, too; else by a Laplacian, with which cells next to each other move alike.
    """

    transport: Mover = field(default_factory=lambda: MongeAmpere(distortion=0.05))
    carrier: Mover = field(default_factory=lambda: MongeAmpere(distortion=0.05, rough=True))
    steps: int = 60
    distortion: float = 0.01
    relative: bool = True
    name: str = "alignment"

    def __call__(self, problem: Problem) -> Move:
        """From `problem.start`, where `transport` has led; without an objective the transport itself."""
        objective = problem.objective
        if objective is None:
            return moved_by(self.transport, problem)
        points = best = problem.start
        first = least = _judged(problem, objective, best)
        share = 1.0 if _simplices(problem) else OTHERS
        budget, iterations = max(1, round(self.steps * problem.effort * share)), 0
        if problem.n_points > LARGE:
            budget = min(budget, ROUND)
        while budget > iterations and problem.moves:
            points, spent = descended(problem, objective, points, min(ROUND, budget - iterations), self.relative)
            iterations += spent
            if not problem.admissible(points):
                points = problem.drawn_back(points)[0]
            before, merit = least, _judged(problem, objective, points)
            left = merit / max(first, 1e-300)
            stage("alignment: %.3g of the predicted error it began with, steps: %d", left, iterations)
            if merit < least:
                best, least = points, merit
            if not least < (1 - WORTH) * before or spent < ROUND:
                break
        return Move(best, iterations, judged=True)


def descended(
    problem: Problem, objective: Alignment, points: Array, steps: int, relative: bool = True
) -> tuple[Array, int]:
    """Positions after so many steps at most from valid ones, and how many they were."""
    lift, scaled = _inverse(problem, objective, points, relative)
    out = minimise(
        objective,
        lift,
        problem.slide,
        points,
        steps=steps,
        tolerance=TOLERANCE,
        absolute=True,
        memory=12,
        scaled=scaled,
        reach=objective.reach,
        kept=KEPT if problem.n_points > LARGE else 0.0,
        opening=1.0,
        across=problem.across,
    )
    return out.points, out.iterations


def _judged(problem: Problem, objective: Alignment, points: Array) -> float:
    """What is predicted of positions.

    The L2 error of simplices is a bound that supposes the worst of long ones: with half the weight that it has in
    `Problem.merit` most problems are left with less error in both norms.
    """
    merit = problem.merit(points)
    if problem.predict is None or not _simplices(problem):
        return merit
    return float(np.sqrt(merit * objective.error(points)))


def _simplices(problem: Problem) -> bool:
    blocks, across = problem.mesh.blocks, problem.across
    return problem.kept("simplices", lambda: across.every(all(b.kind.is_simplex for b in blocks)))


def _inverse(
    problem: Problem, objective: Alignment, points: Array, relative: bool
) -> tuple[Callable[[Array], Array], bool]:
    """What stands for the inverse of the second derivative of F, and whether its size is still to be found.

    Relative strains in the plane where they are wanted and can be factorised; else a Laplacian.
    """
    if relative and problem.mesh.dim == 2 and problem.n_points <= LARGE:
        across, inverses = problem.across, problem.inverses
        strains = problem.kept("strains", lambda: Strains(problem.mesh, problem.slide, across, inverses))
        return strains.inverse(objective.shares(points), problem.slide, points), False
    lift, first = _lift(problem)
    return lambda force: first * lift(force), True


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
