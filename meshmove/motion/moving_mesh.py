"""`MovingMesh`: a mesh that follows a field through time."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np

from meshmove.adaptation.adapt import lasting, read_options
from meshmove.adaptation.unit_mesh import Stage
from meshmove.geometry import CellMesh, corner_volumes
from meshmove.geometry.arrays import Array
from meshmove.geometry.checks import check_cells
from meshmove.geometry.errors import MeshmoveError
from meshmove.meshes.registry import named
from meshmove.meshes.source import Source
from meshmove.monitors import Monitor
from meshmove.movers import Mover
from meshmove.options import check_names, number
from meshmove.transfer.carrier import Carrier

from .follower import Follower, State, Went
from .step import Step, StepReport
from .unknowns import Unknowns
from .writing import Carrying, Halfway, with_stored, written

__all__ = ["MovingMesh"]


#: a time step from here on leaves velocities finite
TINY = 1e-200
#: rounds of `start` for a function, which is evaluated where the nodes have come to
ROUNDS = 3

OPTIONS = (
    "monitor", "mover", "effort", "boundary", "fixed", "reference", "regions", "transfer", "device", "objective", "tau",
)  # fmt: skip


class MovingMesh:
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
        A mover other than "auto" goes all the way to x* in every step, which costs as much as `adapt` does.
        `transfer` is "conservative" unless it is given: interpolating step after step smears what is thin.
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
        options = {"transfer": "conservative", **self._options}
        tau = options.pop("tau", None)
        tau = None if tau is None else number(tau, "a positive time constant, or None")
        boundary, fixed = options.pop("boundary", "slide"), options.pop("fixed", None)
        reference, regions = options.pop("reference", None), options.pop("regions", "auto")
        read = read_options(**options)
        self._transfer = read.transfer
        source = Source.of(mesh, regions)
        check_cells(source.cells)
        self._source = self._first = source
        self.reference = source.mesh if reference is None else Source.of(reference, None).mesh
        self._stage = Stage(source, fixed, boundary, reference)
        own: Mover | None = None if options.get("mover", "auto") == "auto" else read.mover
        align = options.get("objective", "alignment") == "alignment"
        self._name = "transport and alignment" if own is None else own.name
        self._follower = Follower(self._stage, read.monitor, own, align, read.effort, tau)
        self._state = self._follower.first()
        self._follows_field = isinstance(read.monitor, Monitor)
        self._rest_volumes = corner_volumes(self._stage.base) * self._stage.scale**self._stage.base.dim

    @property
    def mesh(self) -> Any:
        """As it is now."""
        return self._source.mesh

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
        state = self._follower.start(before, unknowns.values, unknowns.linear)
        again = any(f.function is not None for f in unknowns.read.values())
        for _ in range(ROUNDS - 1 if again else 0):
            there = replace(source, cells=self._moved(source, state.points))
            state = self._follower.start(state, Unknowns.of(there, field).values, unknowns.linear)
        went = Went(np.inf, None, 1.0, state.place.steps if state.place else (0, 0))
        return self._taken(state, went, unknowns, 0.0, began)

    def step(self, field: Any = None, dt: float = 1.0) -> Step:
        """Move the mesh over a time step of length `dt`, for a field at its beginning.

        The first step shows where the features are, the second how fast they go: nodes begin to move then.

        Parameters
        ----------
        field
            On `mesh`: a nodal array, the name of point data, a function f(x), for scikit-fem a pair (basis, dofs) of
            any element, or a list or dict of these. None where the monitor is a function.
        dt
            Length of the step.

        Raises
        ------
        FieldError
            Values that are not finite, or on another mesh; the moving mesh stays as it was.
        ValueError
            A step that is not positive.
        """
        began = time.perf_counter()
        dt = number(dt, "a positive time step", low=TINY)
        unknowns = self._read(field)
        state, went = self._follower.step(self._state, unknowns.values, dt, unknowns.linear)
        return self._taken(state, went, unknowns, dt, began)

    def record(self, path: str | os.PathLike[str], field: Any = None, **options: Any) -> Any:
        """A film of the steps within a ``with``: ``with moving.record("film.mp4") as film:``.

        Each step adds a frame, the mesh at its beginning with its field; ``film.add(u)`` adds the mesh as it is. The
        file is written at the end, whole or not at all, and not where the loop ends in an error.

        Parameters
        ----------
        path
            .gif; .mp4 (the extra "video"); .html, a page with a time slider; .pvd or .xdmf for ParaView.
        field
            Which of several fields is shown: its number in a list, its key in a dict. By default the first.
        options
            `frames_per_second`, `size`, `edges`, `cmap`, `clim` and `title`: see `meshmove.animate`.

        Raises
        ------
        ValueError
            Another suffix, or an option that is not known.
        MeshFileError
            The folder cannot be written. It is an `OSError`.
        MissingPackageError
            PyVista is not installed (but for .pvd and .xdmf), or what writes .mp4 is not.
        """
        pictures: Any = named("pyvista")
        return pictures.film(self, path, field, **options)

    def _read(self, field: Any) -> Unknowns:
        try:
            unknowns = Unknowns.of(self._source, field)
        except MeshmoveError as why:
            raise type(why)(f"At time {self.time:g}: {why}") from why
        if self._follows_field and unknowns.values is None:
            raise ValueError("Expected a field, or a monitor function m(x) (got neither)")
        return unknowns

    def _moved(self, source: Source, points: Array) -> CellMesh:
        """The mesh as plain arrays, mid-side nodes aside, with vertices at `points` in unit coordinates."""
        return replace(source.cells, points=points * self._stage.scale + self._stage.centre, nodes=None)

    def _taken(self, state: State, went: Went, unknowns: Unknowns, dt: float, began: float) -> Step:
        """Write the mesh, carry what it carries along, report, and go on from there."""
        source, stage = self._source, self._stage
        now = copy(stage)
        now.current = replace(stage.current, points=self._state.points, nodes=source.cells.nodes)
        mesh, moved, displacement, warnings = written(source, now, state.points)
        carrier = Carrier(source, mesh, moved, displacement, self._transfer or "interpolate")
        if self._transfer is not None:
            mesh = with_stored(source, mesh, unknowns, carrier)
        in_space = displacement if source.cells.frame is None else source.cells.frame.raise_(displacement)
        velocity = in_space / dt if dt else np.zeros_like(in_space)
        step = Step(
            old=source.mesh,
            mesh=mesh,
            displacement=displacement,
            velocity=velocity,
            reference=self.reference,
            dt=dt,
            time=self.time + dt,
            report=self._report(source, moved, displacement, velocity, went, (*unknowns.warnings, *warnings), began),
            cells=source.cells,
            moved=moved,
            _given=unknowns.material(source),
            _carry=Carrying(unknowns, carrier, self._transfer),
            _one=carrier.one,
            _halfway=Halfway(source, displacement),
        )
        for watch in self.watchers:
            watch(step, unknowns)
        self._source = Source(mesh, source.converter, moved, source.regions)
        self._state, self.last, self.time = state, step, step.time
        return step

    def _report(
        self,
        source: Source,
        moved: CellMesh,
        displacement: Array,
        velocity: Array,
        went: Went,
        warnings: tuple[str, ...],
        began: float,
    ) -> StepReport:
        scale, pace = self._stage.scale, went.pace
        ratio = corner_volumes(moved) / self._rest_volumes
        return StepReport(
            mover=self._name,
            tau=went.tau,
            rate=None if pace is None else pace.rate,
            feature_speed=None if pace is None else pace.speed * scale,
            largest_speed=float(np.sqrt((velocity**2).sum(axis=1)).max()),
            transport_steps=went.steps[0],
            alignment_steps=went.steps[1],
            share=went.share,
            inverted_cells=0,
            min_volume_ratio=float(ratio.min()),
            max_displacement=float(np.sqrt((displacement**2).sum(axis=1)).max()),
            seconds=time.perf_counter() - began,
            regions=source.cells.region_names,
            warnings=tuple(dict.fromkeys((*went.warnings, *warnings, *self._stage.lost_shape(moved)))),
        )

    def __getstate__(self) -> dict[str, Any]:
        return {
            "options": self._options,
            "first": self._first,
            "source": self._source,
            "state": self._state,
            "time": self.time,
            "last": self.last,
        }

    def __setstate__(self, kept: Mapping[str, Any]) -> None:
        self._options = kept["options"]
        first = kept["first"]
        self._prepare(first.mesh)
        self._first, self._source, self._state = first, kept["source"], kept["state"]
        self.time, self.last, self.watchers = kept["time"], kept["last"], []

    def __repr__(self) -> str:
        return f"<MovingMesh of a {type(self.mesh).__name__} at time {self.time:g}>"
