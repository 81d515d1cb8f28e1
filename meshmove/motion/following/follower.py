r"""Nodes that follow a field: x' = (x* - x) / tau.

x* is where they should be (`Target`) for the field extrapolated to the end of the step, tau the time in which its
features move by their own width (`pace`), and never less than the step. So the velocity of the nodes converges as the
step goes to zero, and nothing moves when nothing changes.

What x* is found from, the monitor and the second derivatives, are recovered on the mesh in use and taken to the mesh at
rest (`transfer.at_rest`), on which they are smoothed and looked up. So x* is a function of the field, but for what the
mesh in use does to its derivatives, and a mesh that follows a field which stands comes to a stand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from meshmove.adaptation.unit_mesh import UnitMesh
from meshmove.geometry import Sides
from meshmove.geometry.arrays import Array
from meshmove.monitors import Averaging, CallableDensity, Monitor, NodalDensity, NodalHessians, smoother
from meshmove.monitors.standard import Standard
from meshmove.movers import Mover, Problem
from meshmove.outcomes import Outcome, Told
from meshmove.transfer.at_rest import AtRest

from .course import LITTLE, Course, Place
from .pace import Pace, Seen, dragged, pace
from .places import Target
from .state import State, Went

__all__ = ["Follower"]


#: the monitor where none is asked for: what `adapt` finds best on fronts, chosen once, so that it does not flip
INTENSITY, EXPONENT = 10.0, 0.5
#: tau over the time scale of the field. On `meshmove bench time` the front of Burgers' equation errs a third more with
#: 0.7 in 24 steps, and nodes go seven times as fast as it does; with 1.2 the heat source errs a seventh more
PACE = 1.0
#: how far ahead the field is extrapolated, in steps; beyond, as a share of the time tau - dt by which nodes lag behind
#: what goes on steadily, and there at most so many steps. On `meshmove bench time` the heat source errs a tenth less
#: with 0.3 than with 0.15; with 0.6 the front of Burgers' equation errs nearly twice as much
AHEAD, LEAD, FARTHEST = 1.0, 0.3, 10.0
#: a field whose interpolation errs by less than this share of its size is linear up to rounding
ROUNDING = 1e-11
#: halvings of a step that would invert cells, and parts that it is taken in at most
HALVINGS, PARTS = 8, 8


class Follower:
    """Moves the nodes of one mesh after a field.

    Parameters
    ----------
    unit
        The mesh with its constraints, in unit coordinates.
    monitor
        A `Monitor`, whose open parameters take their defaults, or a function m(x) > 0.
    mover
        In the place of transport and alignment, or None.
    align
        Whether the target is aligned, to the error of linear elements whatever the field's: transport alone leaves long
        cells behind where features pass holes. A mover in its place aligns if it says that it does.
    effort
        Share of the default number of steps.
    tau
        Time constant; None: from the field.
    """

    def __init__(
        self,
        unit: UnitMesh,
        monitor: Any,
        mover: Mover | None = None,
        align: bool = True,
        effort: float = 1.0,
        tau: float | None = None,
    ) -> None:
        self.unit, self.monitor, self.tau = unit, settled(monitor), tau
        self._prepare()
        self.target = Target(unit, "vertices" if isinstance(monitor, Monitor) else "interior", mover, effort)
        self.align = align and self.target.aligns

    def _prepare(self) -> None:
        """What does not change with the points, found once."""
        unit = self.unit
        self._sides = Sides.of(unit.base, unit.facets)
        self._smooth = smoother(unit.base)
        self._at_rest = AtRest(unit.base, self._sides)

    def first(self) -> State:
        return State(self.unit.start)

    def start(self, state: State, values: Array | None, align: bool = True, at: Array | None = None) -> State:
        """Nodes where they should be for a field (n, k) at once, before time begins; better with each round.

        `at`: where its values are known, if not where nodes are now.
        """
        before = None if state.place is None else replace(state.place, settled=False)
        place = self._placed(values, state.points if at is None else at, before, align)
        return State(place.target, place)

    def step(
        self, state: State, values: Array | None, dt: float, align: bool = True, taken: Array | None = None
    ) -> tuple[State, Went]:
        """Nodes after a time step, for a field (n, k) at its beginning; None: for the monitor alone.

        `taken`: where a boundary that moves has taken the nodes already.
        """
        points, seen, now, went = state.points, state.seen, None, None
        at, there = values, points
        if values is not None:
            derivatives = self._derivatives(points)
            now = Seen.of(derivatives, self._around(values), self._around(points))
            if seen is not None and seen.values.shape == now.values.shape:
                went = pace(derivatives, seen, now, state.dt)
                now = replace(now, rise=went.rise)
                later = now.ahead(seen, _ahead(went.rate * dt) * dt / state.dt)
                at, there = (self._own(part) for part in later)
                if not self._problem.valid(there):
                    at, there = values, points
        tau, rate, fading = self._tau(state, now, went, dt)
        steady = went.steady if went is not None and rate <= went.rate and taken is None else 0.0
        course, place = state.course.after(steady, dt), state.place
        if place is not None and self.target.mover is None and course.holds(steady, dt):
            place = replace(place, steps=(0, 0), warnings=())
        else:
            calm = went is not None and went.rate * dt <= LITTLE
            ahead = self.target.ahead(course, place, steady, dt)
            place = self._placed(at, there, None if ahead is None else replace(ahead, calm=calm), align)
            course = course.found(state.place, place, steady, dt)
        start = points if taken is None else taken
        going = min(1.0, dt / tau) if np.isfinite(tau) else 0.0
        reached, share = self._reached(points, start, start + going * (course.goal(place) - start))
        warnings = place.warnings
        if share < 1 and going > 0:
            anew, course, parts = partial(self._placed, at, there, align=align), Course(), 1
            if self.target.mover is None:  # others have gone all the way, and would find the same again
                reached, place, share, parts = self._by_parts(points, reached, place, going, share, anew)
            warnings = (*place.warnings, told(share, parts))
        after = State(reached, place, now, rate, fading, dt, course=course)
        return after, Went(tau, went, share, place.steps, warnings)

    def _by_parts(
        self, points: Array, reached: Array, place: Place, going: float, share: float, anew: Callable[[Place], Place]
    ) -> tuple[Array, Place, float, int]:
        """The rest of a way of which a share has been gone, with a place that is found anew before each part.

        Nodes are to go the share `going` of what lies before them: two parts p and q of it leave (1 - p)(1 - q).
        """
        gone, parts = going * share, 1
        while share < 1 and parts < PARTS:
            place = anew(place)
            part = 1 - (1 - going) / (1 - gone)
            reached, share = self._reached(points, reached, reached + part * (place.target - reached))
            gone, parts = 1 - (1 - gone) * (1 - part * share), parts + 1
        return reached, place, 1.0 if share == 1 else gone / going, parts

    def _tau(self, state: State, now: Seen | None, went: Pace | None, dt: float) -> tuple[float, float, float]:
        """Time constant, the rate that it is from, and the one that this fades with."""
        if self.tau is not None:
            return max(self.tau, dt), 0.0, 0.0
        if now is None:  # a function as monitor has no time of its own
            return dt, 0.0, 0.0
        if went is None:  # how fast a field changes shows with the second of its values
            return np.inf, 0.0, 0.0
        if state.drag > went.rate:
            went = replace(went, rate=state.drag)
        rate, fading = went.after(state.rate, state.fading, dt)
        return (max(PACE / rate, dt) if rate > 0 else np.inf), rate, fading

    def drag(self, points: Array, values: Array | None, by: Array, dt: float) -> float:
        """Rate of change that nodes at `points` see in a standing field (n, k) when they are taken along by (n, dim).

        It is to be followed like a change of the field: nodes have to find back to where they should be.
        """
        return 0.0 if values is None else dragged(self._derivatives(points), values, by, dt)

    def _placed(self, values: Array | None, points: Array, place: Place | None, align: bool) -> Place:
        """Where nodes should be for a field with these values at vertices at `points`."""
        if not isinstance(self.monitor, Monitor):
            return self._gone(self._of_space(), None, points, place)
        assert values is not None
        derivatives, known = self._derivatives(points), self._around(values)
        hessians = _hessians(derivatives, known)
        if not len(hessians):
            return self.target.rest()
        indicator = self.monitor.indicator(derivatives, known, derivatives.across)
        return self._led(indicator, hessians if self.align and align else None, derivatives, points, place)

    def _of_space(self) -> Any:
        """The monitor that is a function of space."""
        return CallableDensity(self.monitor, self.unit.centre, self.unit.scale, self.unit.place)

    def _derivatives(self, points: Array) -> Averaging:
        return Averaging(self._sides.moved(points))

    def _around(self, values: Array) -> Array:
        """Values (n, k) at the vertices that derivatives are taken at: where a mesh is in pieces, of others, too."""
        return values

    def _own(self, values: Array) -> Array:
        """The other way."""
        return values

    def _led(
        self, indicator: Array, hessians: Array | None, derivatives: Averaging, points: Array, place: Place | None
    ) -> Place:
        """Where nodes should be for an indicator (n,), and second derivatives (f, dim, dim, s) if they are to align.

        Both are known on the mesh in use, and taken to the reference: see `AtRest`.
        """
        rest, own = self._at_rest, self._sides.home
        near, within, last = (None, None, None) if place is None else (place.cells, place.sides, place.home)
        home, bent = rest.home(points, last), None
        m = rest.monitor(self.monitor, indicator, self._smooth, home)
        density = NodalDensity(m, rest.locator, own.cells if near is None else near)
        if hessians is not None:
            bent = NodalHessians(self._sides, rest.locator, rest.seen(hessians, home), within or own)
        place = self._gone(density, bent, points, place)
        return replace(place, cells=density.near(len(points)), sides=bent.places if bent else within, home=home)

    def _gone(self, density: Any, hessians: Any, points: Array, place: Place | None) -> Place:
        if place is None:
            return self.target.far(density, hessians, points)
        return self.target.near(density, hessians, points, place)

    @cached_property
    def _problem(self) -> Problem:
        return self.unit.problem(None, self.unit.start, 1.0)

    def _reached(self, points: Array, start: Array, wanted: Array) -> tuple[Array, float]:
        """Admissible positions on the way from `start`, half-way from `points` valid too, and the share of it gone."""
        share = 1.0
        for _ in range(HALVINGS):
            there = self.unit.slide.retract(start + share * (wanted - start))
            if self._problem.valid(0.5 * (points + there)) and self._problem.admissible(there):
                return there, share
            share /= 2
        return start, 0.0


def told(share: float, parts: int) -> Told:
    """What is to be said of a step that could not be taken at once."""
    if share == 1:
        return Outcome.SUBSTEPPED.told(f"cells would have been inverted: the step was taken in {parts} parts")
    return Outcome.STEP_CUT.told(f"cells would have been inverted: nodes went {share:.2g} of their way in this step")


def settled(monitor: Any) -> Any:
    """A `Monitor` with nothing left open that would have to be chosen anew each time; functions pass."""
    if not isinstance(monitor, Monitor):
        return monitor
    if monitor.intensity is None:
        monitor = replace(monitor, intensity=INTENSITY)
    if monitor.exponent is None and monitor.kind == "hessian":
        monitor = replace(monitor, exponent=EXPONENT)
    return monitor


def _ahead(turns: float) -> float:
    """How far the field is extrapolated, in steps: not at all where it becomes another one within a step."""
    lag = PACE / turns - 1 if turns * (1 + FARTHEST) > PACE else FARTHEST
    return (AHEAD + LEAD * max(lag, 0.0)) * float(np.clip(2.0 - turns, 0.0, 1.0))


def _hessians(derivatives: Averaging, values: Array) -> Array:
    """(f, dim, dim, s) of the fields among (n, k) that are not linear up to rounding, each relative to its spread."""
    size, across = derivatives.weight ** (2 / derivatives.dim), derivatives.across  # h^2: the mesh is of unit size
    out = []
    for u in values.T:
        standard = Standard.of(u, across)
        h = derivatives.hessian(standard.values[derivatives.sides.vertex])
        if across.maximum((np.abs(h).max((0, 1)) * size).max(initial=0.0)) > ROUNDING * max(standard.magnitude, 1.0):
            out.append(h)
    return np.array(out)
