r"""Where the nodes should be for a field: carried there by equidistribution, then aligned with it.

Two meshes are kept beside the one in use, and take a few steps of descent each time, from where they were the last
time and with the quasi-Newton pairs from then. The first, x_T, descends the functional E of equidistribution
(`Functional`): it carries nodes over long distances. The second, the target, descends

.. math:: F(x) + \frac{\mu}{2} \int |\nabla (x - x_T)|^2

with F the predicted H1 error (`Alignment`). The spring to x_T carries it along, and makes its minimum one that depends
on the field alone, not on the way there. Where the field stands still both come to rest at their minima.

Between two times at which a place is found it goes on by itself (`Course`). While a field changes steadily its place
does, too, and need not be found in each step, only now and then in the time in which features move by their own width:
between, the goal goes on in a straight line from the last two places. By what it was off where a place is found it is
led back little by little, so that the velocity of the nodes has no jumps.

A field that begins to change faster, slower or in another way has its place found at once, and one that fades,
or comes to a stand, in every step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from meshmove.adaptation.unit_mesh import UnitMesh
from meshmove.geometry.arrays import Array, Ids
from meshmove.geometry.sides import Places
from meshmove.monitors import CallableDensity
from meshmove.movers import Alignment, Functional, MongeAmpere, Mover, moved_by
from meshmove.movers.descent import Pair, minimise
from meshmove.movers.laplacian import stiffness

__all__ = ["Course", "Place", "Target"]


#: weight of the cells' shapes in equidistribution, as for fields in `adapt`, and in alignment
DISTORTION, ALIGNED_DISTORTION = 0.05, 0.01
#: of the spring between the two meshes. On `meshmove bench time` errors are least from 10 to 20; with 50 and 150 those
#: of the front of Burgers' equation grow by a tenth and a third
SPRING = 20.0
#: steps of equidistribution at effort 1; of alignment; anew where it was left behind; and from afar
STEPS, ALIGNING, ANEW, FROM_AFAR = 12, 1, 20, 60
#: shares of E: for nodal values descent ends where by its model no more is left to gain (one step may gain little far
#: from the minimum, and where that ends it the mesh hangs on the last bit); with a density that does not depend on the
#: mesh where a step gains less, since its minimum is worth getting to, and the mesh finds back
CLOSE, SETTLED = 0.005, 1e-9
#: E that many times its least value so far, which may rise by a factor from place to place, says that features have run
#: ahead, as on fine meshes, where they pass more cells in a step: then steps of equidistribution go on, up to so many
BEHIND, RISE, CATCHING_UP = 1.1, 1.01, 48
#: quasi-Newton pairs that are kept
MEMORY = 12
#: effort of the mover that goes all the way, relative to its own default
FAR = 0.4
#: time scales of the field that a place is good for. On `meshmove bench time` errors are then those of a place that is
#: found in every step, or less; with 1 the front of Burgers' equation errs half as much again
LASTS = 0.8
#: steps that a place is good for, itself included: with 8 the velocity of nodes converges more slowly in the step, and
#: what comes up little by little beside a larger feature waits longer
EVERY = 4
#: time scales of the field in a step, up to which the next place is looked for from where the meshes come to by
#: themselves: on 2,601 nodes that saves a quarter of the step
LITTLE = 0.5
#: a field changes steadily while its rate of change stays within this factor
STEADY = 1.5


@dataclass(frozen=True, eq=False)
class Place:
    """Both meshes (n, dim), and the quasi-Newton pairs of their descents; `steps`: of both, this time.

    `warnings`: what a mover that takes their place did that had to be put right. `level`: the least E of the first so
    far, but for what it has risen by. `cells` (n,), `sides`: where in the
    mesh at rest the nodes of the first and the sides of those of the second were found, to look there first, and
    `home`: where in the mesh in use those of the mesh at rest were.
    """

    carried: Array
    target: Array
    carrying: tuple[Pair, ...] = ()
    aligning: tuple[Pair, ...] = field(default=())
    steps: tuple[int, int] = (0, 0)
    warnings: tuple[str, ...] = ()
    level: float = np.inf
    cells: Ids | None = None
    sides: Places | None = None
    home: Places | None = None


@dataclass(frozen=True, eq=False)
class Course:
    """What is known of where a place is going.

    `way` (n, dim): its velocity, None where the field has not changed steadily between two times. `off` (n, dim): by
    how much the goal was another when the place was found. `rate`: of the field then. `since`, `turned`, `steps`: what
    has gone by from then on, as a time, in time scales of the field, and in steps.
    """

    way: Array | None = None
    off: Array | None = None
    rate: float = 0.0
    since: float = 0.0
    turned: float = 0.0
    steps: int = 0
    drift: Array | None = None

    def after(self, rate: float, dt: float) -> Course:
        """At the end of a step in which the field changes with a rate, 0 where it does not change as it did."""
        return replace(self, since=self.since + dt, turned=self.turned + rate * dt, steps=self.steps + 1)

    def steady(self, rate: float) -> bool:
        """Whether a field of this rate changes as it did when the place was found."""
        return self.rate < STEADY * rate < STEADY**2 * self.rate

    def holds(self, rate: float, dt: float) -> bool:
        """Whether it still leads to where nodes should be at the end of a step."""
        known = self.way is not None and self.steps < EVERY
        return known and self.steady(rate) and self.turned + 0.5 * rate * dt < LASTS

    def goal(self, found: Place) -> Array:
        """Where nodes should be now, after a place that has been found."""
        there = found.target if self.way is None else found.target + self.since * self.way
        return there if self.off is None else there + _left(self.turned) * self.off

    def found(self, before: Place | None, place: Place, rate: float, dt: float) -> Course:
        """The next one, from a place that is found at the end of this one, which began at the place `before`."""
        if before is None or not self.steady(rate):
            return Course(rate=rate)
        way, led = (place.target - before.target) / self.since, self.way is not None and self.steps > 1
        off = _left(rate * dt) * (self.goal(before) - place.target) if led else None
        return Course(way, off, rate, drift=(place.carried - before.carried) / self.since)

    def led(self, found: Place, rate: float, dt: float) -> Place | None:
        """Where both meshes come to by themselves; None unless the field changes steadily, and by little in a step.

        Where it changes by more the way curves, and what is gained in descent is lost in accuracy.
        """
        if self.way is None or self.drift is None or not self.steady(rate) or rate * dt > LITTLE:
            return None
        by = self.since * self.drift, self.since * self.way
        return replace(found, carried=found.carried + by[0], target=found.target + by[1])


def _left(turned: float) -> float:
    """The share that is left after so many time scales."""
    return max(0.0, 1 - turned / LASTS)


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
        """All the way, from positions that may be far from it."""
        mover = self.mover or MongeAmpere(distortion=self._distortion)
        move = moved_by(mover, self.unit.problem(density, points, self.effort * (1.0 if self.mover else FAR)))
        told = move.warnings if self.mover is not None else ()
        place = Place(move.points, move.points, steps=(move.iterations, 0), warnings=told)
        if self.mover is not None or hessians is None:
            return place
        return self._aligned(place, (), hessians, points, FROM_AFAR)

    def near(self, density: Any, hessians: Any, points: Array, place: Place) -> Place:
        """A few steps from where both meshes were."""
        if self.mover is not None:
            return self.far(density, None, self.slide.retract(place.target))
        pairs = list(place.carrying)
        energy, most = self._functional.of(density), max(1, round(STEPS * self.effort))
        options: Any = {"steps": most, "tolerance": self._slow, "memory": MEMORY, "pairs": pairs, "opening": 1.0}
        options |= {"reach": self._functional.reach, "across": self._across}
        close = 0.0 if isinstance(density, CallableDensity) else self._close
        out = minimise(energy, self._lift, self.slide, place.carried, close=close, **options)
        steps = out.iterations
        while out.iterations and out.energy > BEHIND * place.level and steps < CATCHING_UP:
            out = minimise(energy, self._lift, self.slide, out.points, **options)
            steps += out.iterations
        level = min(out.energy, RISE * place.level)
        carried = Place(out.points, out.points, tuple(pairs), steps=(steps, 0), level=level)
        if hessians is None:
            return carried
        shifted = self._shifted(place, out.points)
        return self._aligned(carried, place.aligning, hessians, points, max(1, round(ALIGNING * self.effort)), shifted)

    def ahead(self, course: Course, place: Place | None, rate: float, dt: float) -> Place | None:
        """A place from which the next one is found sooner: with both meshes gone on, where that leaves cells valid."""
        led = None if place is None or self.mover is not None else course.led(place, rate, dt)
        if led is None:
            return place
        meshes = carried, target = self.slide.retract(led.carried), self.slide.retract(led.target)
        valid = [self.unit.problem(None, points, 1.0).valid(points) for points in meshes]
        return replace(led, carried=carried, target=target) if all(valid) else place

    def _shifted(self, place: Place, carried: Array) -> Array:
        """The target before, taken along by as much of the way of the other mesh as leaves its cells valid."""
        way = carried - place.carried
        for share in (1.0, 0.5, 0.0):
            there = self.slide.retract(place.target + share * way)
            if self.unit.problem(None, there, 1.0).valid(there):
                return there
        return carried

    def _aligned(
        self,
        place: Place,
        before: tuple[Pair, ...],
        hessians: Any,
        points: Array,
        steps: int,
        start: Array | None = None,
    ) -> Place:
        if self._alignment is None:
            self._alignment = Alignment(self.unit.base, hessians, points, ALIGNED_DISTORTION, *self._limits)
        objective, pairs = self._alignment.of(hessians, points), list(before)
        energy = self._sprung(objective, place.carried)
        if start is not None and energy(place.carried)[0] < energy(start)[0]:  # features have run ahead of the target
            start, pairs, steps = None, [], max(steps, ANEW)
        out = minimise(
            energy,
            lambda force: self._lift(force) / SPRING,
            self.slide,
            place.carried if start is None else start,
            steps=steps,
            tolerance=1e-6,
            absolute=True,
            memory=MEMORY,
            reach=objective.reach,
            opening=0.3,
            pairs=pairs,
            across=self._across,
        )
        taken = place.steps[0], out.iterations
        return replace(place, target=out.points, aligning=tuple(pairs), steps=taken)

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
