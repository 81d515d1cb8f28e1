"""The classical mover: relaxation of the displacement, then Gauss-Newton-preconditioned descent of E."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .functional import Functional
from .gauss_newton import gauss_newton
from .laplacian import Inverse, inverse, stiffness
from .minimise import minimise
from .powers import Power
from .problem import Move, Problem
from .relaxation import divergence, relax

__all__ = ["MongeAmpere"]

Array = NDArray[np.float64]

#: nodes beyond which factorising the Gauss-Newton matrix costs more than it saves, by dimension
FACTORISE = {2: 40_000, 3: 2_500}
#: powers of the monitor on the way to it, and descent steps for each
POWERS = (0.5, 0.75)
STEPS = 12
#: up to so many steps the Laplacian at hand is a better bargain than a factorisation
CHEAP = 7
#: softening of the determinants while untangling, one value a round
SOFTENING = (0.05, 0.05, 0.02, 0.02, 0.02, 0.01, 0.01, 0.01)


@dataclass(frozen=True)
class MongeAmpere:
    """Equidistributes a monitor by minimising the functional E of `Functional`.

    1. *Relaxation* of the displacement from the start.
    2. Where that stalls (slivers, re-entrant corners), *continuation*: relaxation for the square root of the monitor,
       then descent of E for rising powers of it.
    3. *Untangling* after either: descent of the softened E, which is finite for inverted cells.
    4. *Descent* of E by L-BFGS; every iterate is valid. The preconditioner is the factorised
       Gauss-Newton matrix on meshes up to a few ten thousand nodes, the mesh's Laplacian (multigrid) beyond.

    Of all valid meshes on the way the best one is returned (`Problem.merit`: the least imbalance, or the least
    predicted error where a field is known), so the result is never worse than the start.

    Parameters
    ----------
    distortion
        Weight epsilon of the distortion term: larger keeps cells closer to their shape, at a larger imbalance.
    steps
        Descent steps at effort 1.
    """

    distortion: float = 0.002
    steps: int = 60
    name: str = "monge-ampere"

    def __call__(self, problem: Problem) -> Move:
        return _Run(self, problem).move()


class _Run:
    def __init__(self, mover: MongeAmpere, problem: Problem) -> None:
        mesh = problem.mesh
        self.problem, self.mover, self.slide = problem, mover, problem.slide
        if "laplacian" not in problem.workspace:
            problem.workspace["laplacian"] = _solvers(problem)
            problem.workspace["forces"] = [b.T.tocsr() for b in divergence(mesh)]
        self._inverse, self.forces = problem.workspace["laplacian"], problem.workspace["forces"]
        self.factorise = mesh.n_points <= FACTORISE[mesh.dim]
        self.iterations = 0
        self.rule = "vertices" if problem.discrete else "interior"
        self.full = self.functional()
        self.best = problem.start
        self.best_merit = problem.merit(problem.start)

    def functional(self, power: float = 1.0, distortion: float | None = None, rule: str | None = None) -> Functional:
        p = self.problem
        density = p.density if power == 1 else Power(p.density, power)
        eps = self.mover.distortion if distortion is None else distortion
        return Functional(p.mesh, density, eps, rule or self.rule, p.component, p.slide.curved_edges)

    def lift(self, force: Array) -> Array:
        return np.stack([inverse(force[:, c]) for c, inverse in enumerate(self._inverse)], axis=1)

    def solve(self, force: Array) -> Array:
        return np.stack([inverse.solve(force[:, c]) for c, inverse in enumerate(self._inverse)], axis=1)

    def consider(self, points: Array) -> bool:
        """Keep the valid mesh with the best merit; tell whether this one is it."""
        merit = self.problem.merit(points)
        better = merit < self.best_merit and self.problem.valid(points)
        if better:
            self.best, self.best_merit = points, merit
        return better

    def move(self) -> Move:
        points, warnings = self.relaxed(), []
        hard = points is None
        if points is None:
            points = self.continued()
        if points is None:
            points = self.best
            warnings.append("the relaxation left inverted cells that could not be untangled; went on from rest")
        self.consider(points)
        self.descend(points, hard)
        return Move(self.best, self.iterations, tuple(warnings))

    def relaxed(self) -> Array | None:
        """Valid positions after relaxation; None where it stalls."""
        points, ratio = self._relax(self.full, 25)
        return self.untangled(points, self.full) if ratio < 0.2 else None

    def continued(self) -> Array | None:
        """The same by way of powers of the monitor: relaxation for its square root, then descent of E up to it."""
        gentle = self.functional(power=POWERS[0])
        points = self.untangled(self._relax(gentle, 12)[0], gentle)
        if points is None:
            return None
        for power in POWERS:
            functional = self.functional(power, 10 * self.mover.distortion)
            points = self.preconditioned(functional, points, STEPS, 1e-3)
        return points

    def _relax(self, functional: Functional, steps: int) -> tuple[Array, float]:
        out = relax(functional, self.forces, self.solve, self.slide, self.problem.start, steps=steps)
        self.iterations += out.iterations
        return out.points, out.residual / max(out.initial, 1e-300)

    def untangled(self, points: Array, functional: Functional) -> Array | None:
        """Descent of the softened E, to which inverted cells are finite, until there are none."""
        for soften in SOFTENING:
            if functional.balance(points)[1].min() > 1e-3:
                return points
            points = self._minimise(lambda x, s=soften: functional(x, s), self.lift, points, 8, 1e-3)
        return points if self.problem.valid(points) else None

    def preconditioned(self, functional: Functional, points: Array, steps: int, tolerance: float) -> Array:
        """Descent with the best preconditioner that pays for so many steps."""
        if self.factorise and steps > CHEAP:
            lift = gauss_newton(functional, self.slide, points)
            return self._minimise(functional, lift, points, steps, tolerance, scaled=False)
        return self._minimise(functional, self.lift, points, steps, tolerance)

    def descend(self, points: Array, hard: bool) -> Array:
        """Rounds of L-BFGS; the first with more distortion, since shapes are easier to mend before masses are right.

        Far from the minimum (`hard`) the preconditioner ages quickly: rounds are short, and there are more of them.
        """
        steps = round(self.mover.steps * self.problem.effort * (1.5 if hard else 1.0))
        before, first = np.inf, True
        while steps > 0:
            functional = self.functional(distortion=10 * self.mover.distortion) if first else self.full
            length = min(steps, 10 if first else 8 if hard else 25)
            points = self.preconditioned(functional, points, length, 1e-4)
            steps -= length
            better = self.consider(points)
            if self.problem.predict is not None and not better:
                break  # the monitor is only a means to a small error
            if not first and before - self.energy < (0.08 if hard else 0.1) * self.energy:
                break
            if not first:
                before = self.energy
            first = False
        return points

    def _minimise(self, energy, lift, points: Array, steps: int, tolerance: float, scaled: bool = True) -> Array:
        out = minimise(energy, lift, self.slide, points, steps=steps, tolerance=tolerance, scaled=scaled)
        self.iterations += out.iterations
        self.energy = out.energy
        return out.points


def _solvers(problem: Problem) -> list[Inverse]:
    """Inverse Laplacian of each component; components with the same constraints share one."""
    matrix, mass = stiffness(problem.mesh)
    locked = problem.slide.locked
    solvers: dict[bytes, Inverse] = {}
    for column in locked.T:
        if column.tobytes() not in solvers:
            solvers[column.tobytes()] = inverse(matrix, mass, problem.mesh.dim, ~column)
    return [solvers[column.tobytes()] for column in locked.T]
