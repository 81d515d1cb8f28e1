"""Where the nodes' place goes between two times at which it is found (`places`).

While a field changes steadily its place does, too, and need not be found in each step, only now and then in the time
in which features move by their own width: between, the goal goes on in a straight line from the last two places. By
what it was off where a place is found it is led back little by little, so that the velocity of the nodes has no jumps.

A field that begins to change faster, slower or in another way has its place found at once, and one that fades,
or comes to a stand, in every step.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from meshmove.geometry.arrays import Array, Ids
from meshmove.geometry.sides import Places
from meshmove.movers.descent import Pair

__all__ = ["LITTLE", "Course", "Place"]


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

    `energy`: that of equidistribution at the first mesh, or a little more than the least of those before.
    `error`: the logarithm that alignment has come to at the second, `least`: at the best of those before, as much more
    as that of the mesh at rest has risen since; `rest`: the last that is known of that, or NaN.
    `settled`: nodes are in their place, not only near it. `calm`: the field changes by little in a step.
    `warnings`: what a mover that takes their place did that had to be put right. `cells` (n,), `sides`: where in the
    mesh at rest the nodes of the first and the sides of those of the second were found, to look there first, and
    `home`: where in the mesh in use those of the mesh at rest were.
    """

    carried: Array
    target: Array
    carrying: tuple[Pair, ...] = ()
    aligning: tuple[Pair, ...] = field(default=())
    steps: tuple[int, int] = (0, 0)
    warnings: tuple[str, ...] = ()
    energy: float = np.inf
    error: float = -np.inf
    least: float = np.inf
    rest: float = np.nan
    settled: bool = True
    calm: bool = False
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
