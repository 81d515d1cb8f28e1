"""The classical mover: relaxation of the displacement, then Gauss-Newton-preconditioned descent of E."""

from __future__ import annotations

from dataclasses import dataclass, replace

from meshmove.geometry.arrays import Array
from meshmove.options import count, number

from .density import Power
from .problem import Move, Problem
from .run import Run

__all__ = ["MongeAmpere", "untangled"]


#: where the imbalance is larger at the start, and more than this share of it is left, powers lead up to the monitor
STEEP, UNMOVED = 2.5, 0.7
LADDER = (0.25, 0.4, 0.55, 0.7, 0.85, 1.0)


@dataclass(frozen=True)
class MongeAmpere:
    """Equidistributes a monitor by minimising the functional E of `Functional`.

    1. *Relaxation* of the displacement from the start.
    2. Where that stalls (slivers, re-entrant corners), *continuation*: relaxation for the square root of the monitor,
       then descent of E for rising powers of it.
    3. *Untangling* after either: descent of the softened E, which is finite for inverted cells.
    4. *Descent* of E by L-BFGS; every iterate is valid. The preconditioner is the factorised
       Gauss-Newton matrix on meshes up to a few ten thousand nodes, the mesh's Laplacian (multigrid) beyond.
       Where cells turn out to hide a thin monitor between the sample points, more of them are taken.

    Of all valid meshes on the way the best one is returned (`Problem.merit`: the least imbalance, or the least
    predicted error where a field is known), so the result is never worse than the start.

    Parameters
    ----------
    distortion
        Weight epsilon of the distortion term: larger keeps cells closer to their shape, at a larger imbalance.
    steps
        Descent steps at effort 1.
    rough
        For what goes on by itself from where this leads, and judges: done where the relaxation has converged, and where
        it stalls rising powers of the monitor are relaxed, too, instead of descended to. Merits are not compared.

    Raises
    ------
    ValueError
        A distortion below 0 or not finite, or steps that are no whole number.
    """

    distortion: float = 0.002
    steps: int = 60
    name: str = "monge-ampere"
    rough: bool = False

    def __post_init__(self) -> None:
        number(self.distortion, "a distortion of at least 0", open_low=False)
        count(self.steps, "steps")

    def __call__(self, problem: Problem) -> Move:
        if self.rough:
            return Run(self, problem).carried()
        move = Run(self, problem).move()
        rest = problem.merit(problem.start)
        if problem.predict is None and rest > STEEP and problem.merit(move.points) > UNMOVED * rest:
            return self._climbed(problem, move)
        return move

    def _climbed(self, problem: Problem, move: Move) -> Move:
        """For monitors too steep to be met at once: moves for rising powers of the monitor, each from the last."""
        best, points, iterations = move, move.points, move.iterations
        for power in LADDER:
            easier = Power(problem.density, power) if power < 1 else problem.density
            rung = Run(self, replace(problem, density=easier, start=points)).move()
            points, iterations = rung.points, iterations + rung.iterations
            if problem.merit(points) < problem.merit(best.points):
                best = rung
            elif power > LADDER[1]:
                break
        return replace(best, iterations=iterations)


def untangled(problem: Problem, points: Array) -> Array | None:
    """Valid positions near `points`, which have inverted cells; None where descent of the softened E finds none."""
    run = Run(MongeAmpere(), problem)
    return run.untangled(points, run.full)
