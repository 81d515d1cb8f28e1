"""One move of the classical mover: its stages, and which of them are gone through."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from scipy.sparse import csr_matrix

from meshmove.geometry.arrays import Array
from meshmove.outcomes import Outcome
from meshmove.progress import stage

from .density import Power
from .descent import minimise
from .descent.gauss_newton import gauss_newton
from .descent.relaxation import divergence, relax
from .imbalance import size, spread
from .lift import Lift
from .objectives.equidistribution import Functional
from .problem import Move, Problem

__all__ = ["Pace", "Run"]


#: nodes beyond which factorising the Gauss-Newton matrix costs more than it saves, by dimension
FACTORISE = {2: 120_000, 3: 2_500}
#: relaxation that leaves more than these shares of the residual was hard, or has stalled; from a mesh that has moved
#: before, the former says that it has nothing to add
HARD, STALLED = 0.2, 0.45
#: powers of the monitor on the way to it, and descent steps for each
POWERS = (0.5, 0.75)
STEPS = 18
#: or relaxation steps for each, and the least step between two powers then
CLIMBING, NARROW = 20, 0.06
#: those for all powers together at effort 1; below QUICK so few for each try (what converges takes 6 to 10)
ALL_CLIMBING, QUICK, FEW = 200, 0.5, 10
#: share of the residual that is left where relaxation has converged; of a rough mover, which others go on from
CONVERGED, ROUGHLY = 3e-3, 2e-2
#: up to so many steps the Laplacian at hand is a better bargain than a factorisation
CHEAP = 7
#: what a factorisation costs, in steps; and below this length of a step another one is worth that
FACTORISATION, SHORT = 3, 0.6
#: descent ends where a step lowers E by less than this share, on an average over a round (easy, hard)
SLOW = (0.0035, 0.0075)
#: a round ends where a step lowers E by less than this share (at effort 1)
TOLERANCE = 1e-3
#: on large meshes, where steps are dear, a round has to bring the predicted error to this share
WORTH = 0.99
#: an imbalance that much larger than E makes it, and not small, is of a monitor too thin for E's sample points
MISSED, FINE = 1.2, 0.05
#: and a mesh on which only this share of the monitor's rise is left to be seen is no good
VANISHED = 0.5
#: softening of determinants while untangling, a round each
SOFTENING = (0.05, 0.05, 0.02, 0.02, 0.02, 0.01, 0.01, 0.01)


@dataclass(frozen=True)
class Pace:
    """How far a move goes: all the way to a monitor that was asked for, or while a field's predicted error falls.

    `opening`: length at which the first step is tried: bold first steps reach lower imbalances, but for a field's
    monitor larger errors. `tolerance`: of a round. `worth`: share of the merit that a round has to go below. `exact`:
    whether the monitor itself is the aim: then steep ones are climbed by their powers, and thin ones sampled finely.
    """

    opening: float
    tolerance: float
    worth: float
    exact: bool

    @classmethod
    def of(cls, problem: Problem, factorise: bool) -> Pace:
        """That of a problem, chosen once."""
        if problem.predict is None:
            return cls(1.0, TOLERANCE / max(1.0, problem.effort) ** 2, 1.0, True)
        return cls(0.3, 1e-4, 1.0 if factorise else WORTH, False)


class Settings(Protocol):
    """The parameters of `MongeAmpere`."""

    @property
    def distortion(self) -> float: ...

    @property
    def steps(self) -> int: ...

    @property
    def rough(self) -> bool: ...


class Run:
    def __init__(self, mover: Settings, problem: Problem) -> None:
        mesh = problem.mesh
        self.problem, self.mover, self.slide = problem, mover, problem.slide
        self.across = problem.across
        self.factorise = self.across.serial and mesh.n_points <= FACTORISE[mesh.dim]
        self.pace = Pace.of(problem, self.factorise)
        self.iterations = 0
        self._seen: float | None = None
        self.rule = problem.rule
        self.full = self.functional()
        self.best = problem.start
        self.merit = self.best_merit = np.inf if mover.rough else problem.merit(problem.start)

    @property
    def lift(self) -> Lift:
        return self.problem.lift

    @cached_property
    def forces(self) -> list[csr_matrix]:
        return self.problem.kept("forces", lambda: [b.T.tocsr() for b in divergence(self.problem.mesh)])

    def functional(self, power: float = 1.0, distortion: float | None = None, rule: str | None = None) -> Functional:
        p = self.problem
        density = p.density if power == 1 else Power(p.density, power)
        eps = self.mover.distortion if distortion is None else distortion
        return p.functional(eps, density, rule or self.rule)

    def consider(self, points: Array) -> bool:
        """Keep the valid mesh with the best merit; tell whether this one is it."""
        p = self.problem
        mass = p.mass(points) if self.pace.exact else None
        self.merit = p.merit(points) if mass is None else spread(mass, p.volume, p.component, p.across)
        better = self.merit < self.best_merit and p.valid(points)
        if better and not p.keeps_shape(points):
            points = p.drawn_back(points)[0]
            mass = p.mass(points) if self.pace.exact else None
            merit = p.merit(points) if mass is None else spread(mass, p.volume, p.component, p.across)
            better = merit < self.best_merit
        else:
            merit = self.merit
        if better and mass is not None:
            better = self.seen(mass) >= VANISHED * self.seen_at_start
        if better:
            self.best, self.best_merit = points, merit
        return better

    def seen(self, mass: Array) -> float:
        """How much of the monitor rises above its least value, as the imbalance sees it. A move leaves that alone,
        unless cells hide a spike between its sample points."""
        p = self.problem
        mass, volume = p.across.sum(np.array([mass.sum(), p.volume.sum()]))
        return float(mass - p.across.minimum(p.density.value(p.mesh.points.T).min(initial=np.inf)) * volume)

    @property
    def seen_at_start(self) -> float:
        if self._seen is None:
            self._seen = self.seen(self.problem.mass(self.problem.start))
        return self._seen

    def carried(self) -> Move:
        """Relaxation only, or where that stalls for rising powers of the monitor, as far as it goes."""
        points = self.relaxed()
        met = points is not None
        if points is None:
            points = self.climbed()
        if points is None:
            points = self.problem.start
        elif not self.problem.admissible(points):  # descent shortens edges that were stretched along curved boundaries
            points = self._minimise(self.full, self.lift, points, CHEAP, TOLERANCE)
            points = points if self.problem.admissible(points) else self.problem.drawn_back(points)[0]
        return Move(points, self.iterations, judged=True, met=met)

    def move(self) -> Move:
        points, warnings = self.relaxed(), []
        if points is None:
            self.hard = True
            points = self.continued()
        if points is None:
            points = self.best
            text = "the relaxation left inverted cells that could not be untangled; went on from rest"
            warnings.append(Outcome.NOT_UNTANGLED.told(text))
        self.consider(points)
        self.descend(points, self.hard)
        return Move(self.best, self.iterations, tuple(warnings), judged=True)

    def relaxed(self) -> Array | None:
        """Valid positions after relaxation; None where it stalls."""
        points, ratio = self._relax(self.full, self._at_most(25), self.problem.start)
        self.hard = bool(ratio > HARD)
        rest = self.pace.exact and self.problem.same(self.problem.start, self.slide.origin)
        return self.untangled(points, self.full) if ratio < (STALLED if rest else HARD) else None

    def continued(self) -> Array | None:
        """The same by way of powers of the monitor: relaxation for its square root, then descent of E up to it."""
        gentle = self.functional(power=POWERS[0])
        points = self.untangled(self._relax(gentle, 12, self.problem.start)[0], gentle)
        if points is None:
            return None
        for power in POWERS:
            functional = self.functional(power, 10 * self.mover.distortion)
            budget, self.stale = STEPS, True
            while budget > 0 and self.stale:
                points, spent = self.preconditioned(functional, points, STEPS, 1e-2, SHORT)
                budget -= spent
        return points

    def climbed(self) -> Array | None:
        """Relaxation for rising powers of the monitor, by smaller steps where it stalls, as far as it goes."""
        reached, points = None, self.problem.start
        power, step = 0.0, POWERS[0]
        most = self.iterations + ALL_CLIMBING * self.problem.effort
        while power < 1 and step >= NARROW and self.iterations < most:
            functional = self.functional(power + step) if power + step < 1 else self.full
            there, ratio = self._relax(functional, self._at_most(CLIMBING), points)
            found = self.untangled(there, functional) if ratio <= HARD else None
            if found is None:
                step /= 2
                continue
            reached = points = found
            power += step
        return reached

    def _at_most(self, steps: int) -> int:
        return min(steps, FEW) if self.mover.rough and self.problem.effort < QUICK else steps

    def _relax(self, functional: Functional, steps: int, start: Array) -> tuple[Array, float]:
        enough = ROUGHLY if self.mover.rough else CONVERGED
        limits = {"steps": steps, "tolerance": enough, "across": self.across}
        out = relax(functional, self.forces, self.lift.solve, self.slide, start, **limits)
        self.iterations += out.iterations
        ratio = out.residual / max(out.initial, 1e-300)
        stage("relaxation: %.2g of the residual is left, steps: %d", ratio, out.iterations)
        return out.points, ratio

    def untangled(self, points: Array, functional: Functional) -> Array | None:
        """Descent of the softened E, to which inverted cells are finite, until there are none."""
        stuck = None
        for soften in SOFTENING:
            least = self.across.minimum(functional.balance(points)[1].min(initial=np.inf))
            if least > 1e-3 and self.problem.valid(points):
                return points
            if soften != stuck:
                before = self.iterations
                points = self._minimise(lambda x, s=soften: functional(x, s), self.lift, points, 8, 1e-3)
                stuck = soften if self.iterations - before <= 1 else None
        return points if self.problem.valid(points) else None

    def preconditioned(
        self, functional: Functional, points: Array, steps: int, tolerance: float, short: float = 0.0
    ) -> tuple[Array, int]:
        """Descent with the best preconditioner that pays for so many steps, and what it cost in steps."""
        before, reach = self.iterations, functional.reach
        if self.factorise and steps > CHEAP:
            lift = gauss_newton(functional, self.slide, points)
            options = {"scaled": False, "reach": reach, "short": short, "opening": self.pace.opening}
            points = self._minimise(functional, lift, points, steps, tolerance, **options)
            return points, self.iterations - before + (FACTORISATION if self.stale else 0)
        points = self._minimise(functional, self.lift, points, steps, tolerance, reach=reach)
        return points, self.iterations - before

    def descend(self, points: Array, hard: bool) -> Array:
        """Rounds of L-BFGS; the first with more distortion, since shapes are easier to mend before masses are right.

        Far from the minimum (`hard`) a cell that is about to invert cuts steps short, and the preconditioner ages
        quickly: a round may be as short as one step.
        """
        budget = round(self.mover.steps * self.problem.effort * (1.5 if hard else 1.0))
        functional = self.functional(distortion=10 * self.mover.distortion)
        before, weak, most = np.inf, False, 10
        while budget > 0:
            short = SHORT if hard and not weak else 0.0
            points, spent = self.preconditioned(functional, points, min(budget, most), self.pace.tolerance, short)
            budget -= spent
            was = self.best_merit
            self.consider(points)
            if not self.pace.exact and not self.best_merit < self.pace.worth * was:
                break  # the monitor is only a means to a small error
            if functional is self.full:
                slow = before - self.energy < SLOW[hard] * spent * self.energy
                sharper = self.sharper(points)
                if slow and (weak or not self.stale) and not sharper:
                    break
                before, weak = (np.inf, False) if sharper else (self.energy, slow)
            functional, most = self.full, 8 if hard else 25
        return points

    def sharper(self, points: Array) -> bool:
        """Go over to a finer rule where E sees less imbalance than there is; tell whether that was done."""
        if self.rule != "interior" or not self.pace.exact:
            return False
        spread = self.full.balance(points)[0] - 1
        seen = size(spread, self.full.volume, self.across)
        if self.merit <= max(MISSED * seen, FINE):
            return False
        self.rule = "fine"
        self.full = self.functional()
        return True

    def _minimise(self, energy, lift, points: Array, steps: int, tolerance: float, **options: Any) -> Array:
        options["across"] = self.across
        out = minimise(energy, lift, self.slide, points, steps=steps, tolerance=tolerance, **options)
        self.iterations += out.iterations
        self.energy, self.stale = out.energy, out.stale
        stage("descent: E %.4g, steps: %d", out.energy, out.iterations)
        return out.points
