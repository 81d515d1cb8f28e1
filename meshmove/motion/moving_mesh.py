"""`MovingMesh`: a mesh that follows a field through time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np

from meshmove.adaptation.adapt import lasting
from meshmove.adaptation.unit_mesh import UnitMesh
from meshmove.geometry import CellMesh, corner_volumes
from meshmove.geometry.arrays import Array, Ids
from meshmove.geometry.errors import MeshmoveError
from meshmove.meshes.source import Source, fixed_vertices
from meshmove.options import check_names, number

from .boundary_motion import Base, Home, goals_of, told, with_boundary
from .following.course import Place
from .following.state import State, Went
from .keeping import Keeping
from .setting import OPTIONS, Setting
from .step import Step
from .unknowns import Unknowns
from .writing import step_of

__all__ = ["MovingMesh"]


#: a time step from here on leaves velocities finite
TINY = 1e-200
#: rounds of `start` for a function, which is evaluated where the nodes have come to
ROUNDS = 3


class MovingMesh(Keeping):
    """A mesh that follows a field through time: its nodes move continuously, and nothing else of it changes.

    Nodes obey x' = (x* - x) / tau. x* is where they should be for the field extrapolated to the end of the step:
    carried there by equidistribution of one monitor that is never chosen anew, then aligned with the field. tau is the
    time in which the field's features move by their own width, and never less than the time step. So node speeds stay
    a small multiple of the features', converge as the step goes to zero, and nothing moves when nothing changes.

    Parameters
    ----------
    mesh
        The computational mesh: every step moves relative to it.
    options
        `monitor`, `mover`, `effort`, `boundary`, `fixed`, `reference`, `regions`, `transfer`, `device` and `objective`
        as for `adapt`. A monitor that leaves its intensity open has intensity 10, the Hessian's exponent is then 0.5.
        A mover other than "auto" goes all the way to x* in every step, which costs as much as `adapt` does. "dmm"
        aligns the mesh at rest with a field, so that x* is the field's alone.
        `transfer` is "swept" unless it is given: conservative and bounded, through the facets that nodes sweep.
        `tau`: the time constant, None to have it follow from the field.

    Raises
    ------
    MeshmoveError
        The mesh, or its reference, is unusable.
    ValueError
        An option that is not known, or not one of its choices.

    Examples
    --------
    >>> import numpy as np, skfem
    >>> moving = MovingMesh(skfem.MeshTri().refined(3))
    >>> def front(t):
    ...     return lambda x: np.tanh(20 * (x[0] - t))
    >>> started = moving.start(front(0.3))
    >>> for t in (0.3, 0.31, 0.32):
    ...     step = moving.step(front(t), dt=0.01)
    >>> step.velocity.shape == step.mesh.p.T.shape, bool(step.velocity[:, 0].max() > 0.5), round(moving.time, 12)
    (True, True, 0.03)
    """

    def __init__(self, mesh: Any, **options: Any) -> None:
        check_names(options, OPTIONS, "MovingMesh")
        self._options = lasting(options)
        self._prepare(mesh)
        self.time = 0.0
        self.last: Step | None = None
        #: called with each step and the fields that were given to it, before it is taken; copies leave them behind
        self.watchers: list[Callable[[Step, Unknowns], None]] = []

    def _prepare(self, mesh: Any) -> None:
        """What follows from the mesh and the options alone."""
        self._setting = setting = Setting.of(mesh, self._options)
        self._source, self.reference = setting.source, setting.reference
        self._stand_on(setting.unit_mesh())
        self._home = self._unit.base.points * self._unit.scale + self._unit.centre
        self._base: Base | None = None
        self._state = self._follower.first()

    def _stand_on(self, unit: UnitMesh) -> None:
        self._unit, self._follower = unit, self._setting.follower(unit)
        self._rest_volumes = corner_volumes(unit.base) * unit.scale**unit.base.dim

    @property
    def mesh(self) -> Any:
        """As it is now."""
        return self._source.mesh

    @property
    def cells(self) -> CellMesh:
        """The mesh as plain arrays, as it is now."""
        return self._source.cells

    def start(self, field: Any = None) -> Step:
        """Put the nodes where they should be for the initial values, before time begins.

        A function f(x) is the best form: it is evaluated where the nodes come to, in three rounds, and the initial
        values on `mesh` are exact. Without a start the mesh takes a few time constants to get there.

        Parameters
        ----------
        field
            In any form that `step` takes.

        Returns
        -------
        Step
            Of length zero: its velocity is zero, and `carried` the field on the new mesh.
        """
        began, source, before = time.perf_counter(), self._source, self._state
        unknowns = self._read(field)
        state = self._follower.start(replace(before, place=None), unknowns.values)
        again = any(f.function is not None for f in unknowns.read.values())
        for _ in range(ROUNDS - 1 if again else 0):
            there = replace(source, cells=self._moved(source, state.points))
            state = self._follower.start(state, Unknowns.of(there, field).values)
        if not again:
            state = self._follower.start(state, unknowns.values, at=before.points)
        place = state.place or Place(state.points, state.points)
        went = Went(np.inf, None, 1.0, place.steps, place.warnings)
        return self._taken(state, went, unknowns, 0.0, began)

    def step(self, field: Any = None, dt: float = 1.0, *, boundary_motion: Any = None) -> Step:
        """Move the mesh over a time step of length `dt`, for a field at its beginning.

        The first step shows where the features are, the second how fast they go: nodes begin to move then.

        Parameters
        ----------
        field
            On `mesh`: a nodal array, the name of point data, a function f(x), for scikit-fem a pair (basis, dofs) of
            any element, or a list or dict of these. None where the monitor is a function.
        dt
            Length of the step.
        boundary_motion
            Where boundaries go: a dict of functions f(x, t) by name, or one for the whole boundary. x (d, k) are their
            vertices as they were in the first reference, t is the time at the end of the step, and f gives positions
            (d, k); an array (d, k) may take its place, vertices being in ascending order. Vertices inside, and on other
            boundaries, make room, and follow the field (None: nothing else moves). What has been moved once stays where
            it was put. A motion that would invert cells goes as far as is possible: `report.boundary_share` and
            `report.outcomes` say so.

        Raises
        ------
        FieldError
            Values that are not finite, or on another mesh; the moving mesh stays as it was.
        ValueError
            A step that is not positive; a boundary that the mesh does not have, or another number of positions.
        """
        began = time.perf_counter()
        dt = number(dt, "a positive time step", low=TINY)
        unknowns = self._read(field, boundary_motion is not None)
        if boundary_motion is None:
            state, went = self._follower.step(self._state, unknowns.values, dt)
            return self._taken(state, went, unknowns, dt, began)
        kept = dict(self.__dict__)
        try:
            return self._step_with_boundary(unknowns, dt, boundary_motion, began)
        except BaseException:
            self.__dict__.update(kept)  # the mesh in unit coordinates, too, is as it was
            raise

    def _step_with_boundary(self, unknowns: Unknowns, dt: float, motion: Any, began: float) -> Step:
        ids, goals = goals_of(self._source, self._home, motion, self.time + dt)
        if self._base is None or not self._base.pinned[ids].all():
            self._rebase(self._unit.base.points, self._state.points, ids)
        before = self._state
        out, moved = with_boundary(self._unit, self._at_home, before, ids, goals)
        reference = out.meshes[1]
        assert reference is not None
        self._rebase(reference, moved.points, ids)
        if unknowns.values is None and self._setting.follows_field:
            state, went = replace(moved, seen=None, dt=dt), Went(np.inf, None, 1.0, (0, 0))
        else:
            drag = self._follower.drag(before.points, unknowns.values, moved.points - before.points, dt)
            state = replace(before, place=moved.place, drag=drag)
            state, went = self._follower.step(state, unknowns.values, dt, taken=moved.points)
        went = replace(went, warnings=(*went.warnings, *told(out, self.time + dt)))
        return self._taken(state, went, unknowns, dt, began, out.share)

    def _rebase(self, reference: Array, points: Array, ids: Ids) -> None:
        """Take another reference, at `reference` (n, dim) in unit coordinates, on which the vertices `ids` stay."""
        setting, base = self._setting, self._base
        pinned = fixed_vertices(setting.source, setting.fixed) if base is None else base.pinned.copy()
        if base is None or not pinned[ids].all():
            pinned[ids] = True
            self._at_home = Home(setting, pinned)
        self._base = Base.of(setting.source, self.reference, self._unit, reference, pinned)
        self._stand_on(self._base.unit_mesh(self._setting.boundary, points))
        self.reference = self._base.source.mesh

    def _read(self, field: Any, moved: bool = False) -> Unknowns:
        try:
            unknowns = Unknowns.of(self._source, field)
        except MeshmoveError as why:
            raise type(why)(f"At time {self.time:g}: {why}") from why
        if self._setting.follows_field and unknowns.values is None and not moved:
            raise ValueError("Expected a field, or a monitor function m(x) (got neither)")
        return unknowns

    def _moved(self, source: Source, points: Array) -> CellMesh:
        """The mesh as plain arrays, mid-side nodes aside, with vertices at `points` in unit coordinates."""
        return replace(source.cells, points=points * self._unit.scale + self._unit.centre, nodes=None)

    def _taken(
        self, state: State, went: Went, unknowns: Unknowns, dt: float, began: float, boundary: float = 1.0
    ) -> Step:
        """Write the mesh, carry what it carries along, report, and go on from there."""
        source, unit, setting = self._source, self._unit, self._setting
        now = copy(unit)
        now.current = replace(unit.current, points=self._state.points, nodes=source.cells.nodes)
        step = step_of(source, now, state.points, unknowns, setting.transfer, went, dt)
        report = replace(
            step.report,
            mover=setting.name,
            min_volume_ratio=float((corner_volumes(step.moved) / self._rest_volumes).min()),
            seconds=time.perf_counter() - began,
            boundary_share=boundary,
        )
        step = replace(step, time=self.time + dt, reference=self.reference, report=report)
        for watch in self.watchers:
            watch(step, unknowns)
        self._source = Source(step.mesh, source.converter, step.moved, source.regions)
        self._state, self.last, self.time = state, step, step.time
        return step

    def __getstate__(self) -> dict[str, Any]:
        return {
            "options": self._options,
            "first": self._setting.source.mesh,
            "source": self._source,
            "state": self._state,
            "time": self.time,
            "last": self.last,
            "base": self._base,
        }

    def __setstate__(self, kept: Mapping[str, Any]) -> None:
        self._options = kept["options"]
        self._prepare(kept["first"])
        self._source, self._state = kept["source"], kept["state"]
        self.time, self.last, self.watchers = kept["time"], kept["last"], []
        self._base = kept["base"]
        if self._base is not None:
            self.reference = self._base.source.mesh
            self._at_home = Home(self._setting, self._base.pinned)
            self._stand_on(self._base.unit_mesh(self._setting.boundary, self._state.points))

    def __repr__(self) -> str:
        return f"<MovingMesh of a {type(self.mesh).__name__} at time {self.time:g}>"
