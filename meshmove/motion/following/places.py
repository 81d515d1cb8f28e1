r"""Where the nodes should be for a field: carried there by equidistribution, then aligned with it.

Two meshes are kept beside the one in use, and take a few steps of descent each time, from where they were the last
time and with the quasi-Newton pairs from then. The first, x_T, descends the functional E of equidistribution
(`Functional`): it carries nodes over long distances. The second, the target, descends

.. math:: F(x) + \frac{\mu}{2} \int |\nabla (x - x_T)|^2

with F the predicted H1 error (`Alignment`). The spring to x_T carries it along, and makes its minimum one that depends
on the field alone, not on the way there. Where the field stands still both come to rest at their minima.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from meshmove.adaptation.unit_mesh import UnitMesh
from meshmove.geometry.arrays import Array
from meshmove.monitors import CallableDensity
from meshmove.movers import Alignment, Functional, MongeAmpere, Mover, moved_by
from meshmove.movers.descent import Pair, minimise
from meshmove.movers.laplacian import stiffness
from meshmove.movers.problem import aligns

from .course import Course, Place

__all__ = ["Target"]


#: weight of the cells' shapes in equidistribution, as for fields in `adapt`, and in alignment
DISTORTION, ALIGNED_DISTORTION = 0.05, 0.01
#: of the spring between the two meshes. On `meshmove bench time` errors are least from 10 to 20; with 50 and 150 those
#: of the front of Burgers' equation grow by a tenth and a third
SPRING = 20.0
#: steps of equidistribution and of alignment at effort 1; and of nodes that have come from afar, until a step gains
#: less than the last share of E
STEPS, ALIGNING = 12, 1
SETTLING, GAIN = (40, 30), 1e-3
#: steps of equidistribution at most while E is more than this factor above what it was at the place before: the field
#: has gone further than a few steps reach, and what is left behind once is lost. Where a field gets harder to follow
#: E rises for good: from place to place by the last number is taken for that
CATCHING_UP, BEHIND, HARDER = 48, 1.1, 1.01
#: alignment begins where it has led to before, seen from the equidistributed mesh, unless it is worse there by so much
#: (a logarithm); then at the best of these shares of the way, and is given more steps
WORSE, SHARES, AGAIN = 0.05, (1.0, 0.8, 0.5, 0.0), 10
#: equidistribution counts cells, and does not mind a few long ones across a feature, as those that are left behind when
#: it passes a hole. Where a field changes by little in a step, and alignment comes to half as much error again as it
#: has come to (a logarithm), and the mesh at rest does not, the place is found anew
ASTRAY = 0.4
#: alignment ends where a step gains less (a logarithm)
ENOUGH = 2e-3
#: shares of E: for nodal values descent ends where by its model no more is left to gain (one step may gain little far
#: from the minimum, and where that ends it the mesh hangs on the last bit); with a density that does not depend on the
#: mesh where a step gains less, since its minimum is worth getting to, and the mesh finds back
CLOSE, SETTLED = 0.005, 1e-9
#: quasi-Newton pairs that are kept
MEMORY = 12
#: effort of the mover that goes all the way, relative to its own default
FAR = 0.4


class Target:
    """Descends to the nodes' place for one field after the other, on the cells of one reference mesh.

    Parameters
    ----------
    unit
        The mesh with its constraints.
    rule
        Where the functional of equidistribution samples the monitor; see `Functional`.
    mover
        One that takes the place of the descent: it goes all the way each time, and nothing is aligned.
    effort
        Share of the default number of steps.
    distortion
        Weight of the cells' shapes in equidistribution.
    slow, close
        Equidistribution ends where a step lowers E by less than the share `slow` of it, or, for a density of nodal
        values, where by its model no more than the share `close` is left to gain.
    """

    def __init__(
        self,
        unit: UnitMesh,
        rule: str,
        mover: Mover | None,
        effort: float,
        distortion: float = DISTORTION,
        slow: float = SETTLED,
        close: float = CLOSE,
    ) -> None:
        self.unit, self.slide, self.mover, self.effort = unit, unit.slide, mover, effort
        self._distortion, self._slow, self._close = distortion, slow, close
        known = unit.problem(None, unit.start, 1.0)
        self._across = known.across
        #: whether it has a use for second derivatives
        self.aligns = mover is None or (known.across.serial and aligns(mover, unit.base))
        limits: Any = unit.slide.curved_edges, unit.slide.shells, known.across
        self._functional = Functional(unit.base, _Nothing(), distortion, rule, known.component, *limits)
        self._limits = limits
        self._alignment: Alignment | None = None
        self._stiffness = stiffness(unit.base)[0]
        self._lift = known.lift

    def rest(self) -> Place:
        """Where nodes are when there is nothing to go to: at the reference, but for those that are held elsewhere."""
        home = self.slide.retract(self.unit.base.points)
        return Place(home, home)

    def far(self, density: Any, hessians: Any, points: Array) -> Place:
        """All the way, from positions that may be far from it; but for a mover of its own not quite into place."""
        if self.mover is not None:
            return self._moved(self.mover, density, hessians, points, points)
        rough = not isinstance(density, CallableDensity)  # which is worth getting to, and may be steep
        mover = MongeAmpere(distortion=self._distortion, rough=rough)
        move = moved_by(mover, self.unit.problem(density, points, self.effort * FAR))
        place = Place(move.points, move.points, steps=(move.iterations, 0), settled=False)
        return place if hessians is None else self._aligned(place, (), hessians, points, AGAIN)

    def near(self, density: Any, hessians: Any, points: Array, place: Place) -> Place:
        """A few steps from where both meshes were, and more where nodes are not yet settled."""
        if self.mover is not None:
            return self._moved(self.mover, density, hessians, points, self.slide.retract(place.target))
        pairs, exact = list(place.carrying), isinstance(density, CallableDensity)
        carrying, aligning = (STEPS, ALIGNING) if place.settled else SETTLING
        energy, slow = self._functional.of(density), self._slow if place.settled or exact else GAIN
        options: Any = {"steps": max(1, round(carrying * self.effort)), "tolerance": slow, "memory": MEMORY}
        options |= {"reach": self._functional.reach, "opening": 1.0, "pairs": pairs, "across": self._across}
        close = 0.0 if exact else self._close
        out = minimise(energy, self._lift, self.slide, place.carried, close=close, **options)
        steps = out.iterations
        while out.iterations and out.energy > BEHIND * place.energy and steps < CATCHING_UP:
            out = minimise(energy, self._lift, self.slide, out.points, **options)
            steps += out.iterations
        level = min(out.energy, HARDER * place.energy)
        carried = Place(out.points, out.points, tuple(pairs), steps=(steps, 0), energy=level)
        if hessians is None:
            return carried
        steps = max(1, round(aligning * self.effort))
        carried = replace(carried, error=place.error, rest=place.rest)
        found = self._aligned(carried, place.aligning, hessians, points, steps, place.target - place.carried)
        least = min(place.least, found.error) if place.settled else found.error
        known = np.isfinite(place.rest)
        if not place.calm or (known and found.error < least + ASTRAY):
            return replace(found, least=least)
        rest = float(self._sight(hessians, points)(self.rest().carried)[0])
        least += rest - place.rest if known and np.isfinite(rest) else 0.0
        found = replace(found, least=least, rest=rest)
        return found if found.error < least + ASTRAY else self._anew(found, density, hessians, points)

    def _moved(self, mover: Mover, density: Any, hessians: Any, points: Array, start: Array) -> Place:
        """By a mover of its own, from `start`; one that aligns begins at rest, as it was made for.

        So its place is the field's alone. From the place before the network that aligns gains nothing more, and long
        cells that a feature has left behind at a hole stay.
        """
        if hessians is None:
            problem = self.unit.problem(density, start, self.effort)
        else:
            sight = self._sight(hessians, points)
            problem = self.unit.problem(density, self.rest().carried, self.effort, sight.error, sight)
        move = moved_by(mover, problem)
        return Place(move.points, move.points, steps=(move.iterations, 0), warnings=move.warnings)

    def _anew(self, found: Place, density: Any, hessians: Any, points: Array) -> Place:
        """A place that was led to, or one that is found all the way where that errs much less."""
        anew = self.far(density, hessians, points)
        better = anew.error < found.error - 0.5 * ASTRAY
        return replace(anew, least=anew.error, rest=found.rest) if better else replace(found, least=found.error)

    def ahead(self, course: Course, place: Place | None, rate: float, dt: float) -> Place | None:
        """A place from which the next one is found sooner: with both meshes gone on, where that leaves cells valid."""
        led = None if place is None or self.mover is not None else course.led(place, rate, dt)
        if led is None:
            return place
        meshes = carried, target = self.slide.retract(led.carried), self.slide.retract(led.target)
        valid = [self.unit.problem(None, points, 1.0).valid(points) for points in meshes]
        return replace(led, carried=carried, target=target) if all(valid) else place

    def _aligned(
        self,
        place: Place,
        before: tuple[Pair, ...],
        hessians: Any,
        points: Array,
        steps: int,
        away: Array | None = None,
    ) -> Place:
        """`away` (n, dim): what lay between both meshes before."""
        objective, pairs = self._sight(hessians, points), list(before)
        energy = self._sprung(objective, place.carried)
        start, share = (place.carried, 0.0) if away is None else self._beginning(energy, place, away)
        if share < 1:
            pairs, steps = [], max(steps, AGAIN)
        out = minimise(
            energy,
            lambda force: self._lift(force) / SPRING,
            self.slide,
            start,
            steps=steps,
            tolerance=ENOUGH,
            absolute=True,
            memory=MEMORY,
            reach=objective.reach,
            opening=0.3,
            pairs=pairs,
            across=self._across,
        )
        taken = place.steps[0], out.iterations
        return replace(place, target=out.points, aligning=tuple(pairs), steps=taken, error=out.energy)

    def _sight(self, hessians: Any, points: Array) -> Alignment:
        """The error of the field as it is now."""
        if self._alignment is None:
            self._alignment = Alignment(self.unit.base, hessians, points, ALIGNED_DISTORTION, *self._limits)
        return self._alignment.of(hessians, points)

    def _beginning(
        self, energy: Callable[[Array], tuple[float, Array | None]], place: Place, away: Array
    ) -> tuple[Array, float]:
        """Where to begin: from the carried mesh on as much of the way to the other, as it was before, as serves.

        All of it, unless that has become worse: where meshes have gone on by themselves, or far, a cell may be all but
        inverted there, and would hold the others back.
        """
        best, least, taken = place.carried, np.inf, 0.0
        for share in SHARES:
            there = self.slide.retract(place.carried + share * away)
            found = energy(there)[0]
            if found > least:
                break
            if np.isfinite(found):
                best, least, taken = there, found, share
            if found <= place.error + WORSE:
                break
        return best, taken

    def _sprung(self, objective: Alignment, carried: Array) -> Callable[[Array], tuple[float, Array | None]]:
        def energy(points: Array) -> tuple[float, Array | None]:
            value, gradient = objective(points)
            if gradient is None:
                return value, None
            away = points - carried
            pull = SPRING * (self._stiffness @ away)
            wound = 0.5 * float(self._across.sum(np.array(np.vdot(away, pull))))
            return value + wound, gradient + self._across.accumulate(pull)

        return energy


class _Nothing:
    """The density of a functional before it is given one."""

    def value(self, x: Array) -> Array:
        return np.ones(x.shape[1])

    def value_and_gradient(self, x: Array) -> tuple[Array, Array]:
        return np.ones(x.shape[1]), np.zeros_like(x)
