"""`DistributedMotion`: what `MovingMesh` does, for a mesh of which each process holds a piece."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from meshmove.adaptation.adapt import read_options
from meshmove.adaptation.unit_mesh import lost_shape
from meshmove.geometry import UnsupportedMeshError, corner_volumes
from meshmove.geometry.arrays import Array
from meshmove.monitors import Monitor
from meshmove.motion.following.course import Place
from meshmove.motion.following.state import State, Went
from meshmove.motion.step import StepReport
from meshmove.movers.laplacian import Inverses
from meshmove.options import called, number

from ..adapt import agree, mask_of, values_of
from ..background import Background
from ..carrying import swept_across
from ..laplacian import Condensed
from ..layout import Layout
from ..mesh import DistributedMesh
from ..overlap import Overlap
from ..ranks import Ranks, or_end, same_everywhere, together
from ..unit import SharedMesh
from .follower import SharedFollower

__all__ = ["DistributedMotion", "DistributedStep"]


#: a time step from here on leaves velocities finite; rounds of `start` for a function: as for `MovingMesh`
TINY, ROUNDS = 1e-200, 3


@dataclass(frozen=True, eq=False)
class DistributedStep:
    """One step in time on each process.

    `before`, `points`, `displacement`, `velocity` (n, dim): of the vertices of its piece, ghosts included. `dt`,
    `time`: its length, and the time at its end. `report`: of the whole mesh, the same on all processes.
    """

    before: Array
    points: Array
    displacement: Array
    velocity: Array
    dt: float
    time: float
    report: StepReport
    _background: Callable[[], Background] = field(repr=False)
    _unit: SharedMesh = field(repr=False)
    _overlap: Overlap = field(repr=False)
    _layout: Layout = field(repr=False)

    def evaluate(self, values: Array) -> Array:
        """Values (n,) or (n, k) at the vertices as they were, interpolated to where they are now; collective."""
        return self._background().interpolated(np.asarray(values, float), self._unit.to_unit(self.points))

    def swept(self, values: Array) -> Array:
        """The same values carried through the facets that nodes sweep, which keeps integrals; see `swept_across`."""
        given = np.asarray(values, float)
        flat = given.reshape(len(given), int(np.prod(given.shape[1:])))
        out = swept_across(self._overlap, self.before, self.points, flat)
        return self._layout.update(out).reshape(given.shape)


class DistributedMotion:
    """A mesh in pieces that follows a field through time; all processes call its methods together.

    The nodes obey the law of `MovingMesh`, and so does the result, for any number of processes, up to what
    preconditioners of another partition do to a few steps of descent.

    Parameters
    ----------
    mesh
        The piece of this process: every step moves relative to it.
    ranks
        What passes messages: `meshmove.plugins.mpi.MPIRanks(comm)`.
    monitor, mover, effort, boundary, objective, tau
        As for `MovingMesh`. A monitor function is called with points of this process's piece only.
    fixed, inverses
        As for `adapt_distributed`.

    Raises
    ------
    MeshmoveError, ValueError
        As for `MovingMesh`, on all processes, where one of them has reason to.
    RanksError
        Processes were called with different options.
    """

    def __init__(
        self,
        mesh: DistributedMesh,
        ranks: Ranks,
        *,
        monitor: str | Monitor | Callable[[Array], Array] = "hessian",
        mover: Any = "auto",
        effort: float = 1.0,
        boundary: str | Mapping[str, str] = "slide",
        fixed: Any = None,
        objective: str = "alignment",
        tau: float | None = None,
        inverses: Callable[[Ranks, Layout], Inverses] = Condensed,
    ) -> None:
        with or_end(ranks):
            with together(ranks):
                options = read_options(monitor, mover, effort, None, None, objective)
                tau = None if tau is None else number(tau, "a positive time constant, or None")
                mesh.check(ranks.rank)
                if mesh.second is not None:
                    raise UnsupportedMeshError(
                        "Expected straight edges where a distributed mesh moves through time (got curved cells of "
                        "second order). Move it on one process, or the mesh of the same vertices with straight edges"
                    )
                stays = mask_of(fixed, len(mesh.points))
            agree(ranks, mesh, options, boundary, None, inverses)
            same_everywhere(ranks, {"tau": str(tau), "objective": objective})
            self._ranks, self.layout = ranks, Layout(ranks, mesh.global_ids, mesh.owners, mesh.n_owned)
            self.mesh = replace(mesh, points=self.layout.update(np.array(mesh.points, float)))
            stays = self.layout.update(self.layout.accumulate(stays.astype(float))) > 0
            self._unit = SharedMesh(self.mesh, ranks, self.layout, inverses(ranks, self.layout), boundary, stays)
            self._rest_volumes = corner_volumes(self.mesh.local())
            own = None if isinstance(mover, str) and mover == "auto" else options.mover
            align = objective == "alignment"
            self._follower = SharedFollower(
                self._unit, self.mesh, ranks, options.monitor, own, align, options.effort, tau
            )
        self._name = "transport and alignment" if own is None else own.name
        self._state, self.points, self.time = self._follower.first(), self.mesh.points, 0.0

    def start(self, field: Any = None, linear: bool = True) -> DistributedStep:
        """Put the nodes where they should be for the initial values, before time begins; see `MovingMesh.start`.

        A function f(x) is evaluated where the nodes come to, in three rounds.
        """
        began = time.perf_counter()
        with or_end(self._ranks):
            before, values = self._state, self._read(field, self.points)
            state = self._follower.start(replace(before, place=None), values, linear)
            for _ in range(ROUNDS - 1 if callable(field) else 0):
                values = self._read(field, self._unit.to_space(state.points))
                state = self._follower.start(state, values, linear)
            if not callable(field):
                state = self._follower.start(state, values, linear, before.points)
            place = state.place or Place(state.points, state.points)
            return self._taken(state, Went(np.inf, None, 1.0, place.steps, place.warnings), 0.0, began)

    def step(self, field: Any = None, dt: float = 1.0, linear: bool = True) -> DistributedStep:
        """Move the mesh over a time step of length `dt`, for a field at its beginning.

        Parameters
        ----------
        field
            Values (n,) or (n, k) at the vertices of the piece, those at ghosts being taken from their owners, or a
            function f(x) of points (dim, n). None where the monitor is a function.
        dt
            Length of the step, the same on all processes.
        linear
            Whether the field is of linear elements, which cells are aligned with.
        """
        began = time.perf_counter()
        with or_end(self._ranks):
            with together(self._ranks):
                dt = number(dt, "a positive time step", low=TINY)
            same_everywhere(self._ranks, {"time step": repr(dt), "degree of the field": str(linear)})
            values = self._read(field, self.points)
            state, went = self._follower.step(self._state, values, dt, linear)
            return self._taken(state, went, dt, began)

    def _read(self, field: Any, points: Array) -> Array | None:
        follows = isinstance(self._follower.monitor, Monitor)
        with together(self._ranks):
            if field is None and follows:
                raise ValueError("Expected a field, or a monitor function m(x) (got neither)")
            if callable(field):
                found = np.asarray(called(field, np.ascontiguousarray(points.T), "the field function f(x)"))
                field = found.T if found.ndim == 2 else found
            values = None if field is None else values_of(field, len(points))
        columns = "no field" if values is None else str(values.shape[1:])
        same_everywhere(self._ranks, {"columns of the field": columns})
        return None if values is None else self.layout.update(values)

    def _taken(self, state: State, went: Went, dt: float, began: float) -> DistributedStep:
        layout, unit, mesh = self.layout, self._unit, self.mesh
        state = replace(state, points=layout.update(state.points.copy()))
        displacement = (state.points - self._state.points) * unit.scale
        before, points = self.points, self.points + displacement
        velocity = displacement / dt if dt else np.zeros_like(displacement)
        ratio = corner_volumes(mesh.local(), points) / self._rest_volumes
        largest = layout.maximum(np.array([_longest(displacement), _longest(velocity), -ratio.min(initial=np.inf)]))
        pace = went.pace
        report = StepReport(
            mover=self._name,
            tau=went.tau,
            rate=None if pace is None else pace.rate,
            feature_speed=None if pace is None else pace.speed * unit.scale,
            largest_speed=float(largest[1]),
            transport_steps=went.steps[0],
            alignment_steps=went.steps[1],
            share=went.share,
            inverted_cells=0,
            min_volume_ratio=float(-largest[2]),
            max_displacement=float(largest[0]),
            seconds=time.perf_counter() - began,
            warnings=tuple(dict.fromkeys((*went.warnings, *lost_shape(unit.slide, state.points)))),
        )
        base = replace(unit.base, points=unit.to_unit(before))

        def background() -> Background:
            return Background(self._ranks, layout, mesh.owners, base)

        known: Any = (background, unit, self._follower.overlap, layout)
        step = DistributedStep(before, points, displacement, velocity, dt, self.time + dt, report, *known)
        self._state, self.points, self.time = state, points, step.time
        return step


def _longest(vectors: Array) -> float:
    return float(np.sqrt((vectors**2).sum(axis=1)).max(initial=0.0))
