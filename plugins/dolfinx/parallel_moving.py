"""`MovingMesh` for DOLFINx meshes that are distributed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from meshmove.distributed import DistributedMotion, DistributedStep, or_end, together
from meshmove.geometry import MeshmoveError
from meshmove.geometry.arrays import Array
from meshmove.motion.step import StepReport
from meshmove.options import called

from .carried import with_same_dofs
from .files import Series, check_writable
from .functions import element_of, is_function, owns
from .parallel import Carrying, checked_options, checked_transfer, default_inverses, linear_function, ranks_of
from .pieces import Piece, alike
from .tags import attached, tags_of
from .versions import with_geometry

__all__ = ["ParallelMovingMesh", "ParallelStep"]

OPTIONS = ("monitor", "mover", "effort", "boundary", "fixed", "objective", "tau", "transfer", "inverses")


@dataclass(frozen=True, eq=False)
class ParallelStep:
    """One step in time on each process; see `meshmove.motion.step.Step`, which has the same attributes.

    `old`, `mesh`, `reference`: DOLFINx meshes. `displacement`, `velocity` (n_nodes, dim): of the geometry nodes of this
    process, ghosts too; `velocity_function` makes a `Function` of it. `report`: the same on all processes.
    `carried`, `material` and what `transfer` gives are functions on `mesh`; all processes ask for them together.
    """

    old: Any
    mesh: Any
    displacement: Array
    velocity: Array
    reference: Any
    dt: float
    time: float
    report: StepReport
    _given: Any = field(repr=False)
    _carrying: Carrying = field(repr=False)
    _transfers: bool = field(repr=False)

    @cached_property
    def middle(self) -> Any:
        """The mesh half-way."""
        return _shifted(self.old, 0.5 * self.displacement)

    @cached_property
    def carried(self) -> Any:
        """The field on the new mesh: the same function of space, up to the error of transfer."""
        return _each(self._given, self._carrying.carried) if self._transfers else None

    @cached_property
    def material(self) -> Any:
        """The values as they were, gone along with the nodes: for equations with the mesh's velocity."""
        return _each(self._given, self._along)

    def _along(self, given: Any) -> Any:
        piece = self._carrying.piece
        if is_function(given):
            out = with_same_dofs(given, self.mesh)
            out.x.scatter_forward()
            return out
        if owns(given):
            return linear_function(self.mesh, piece.values(given))
        return np.asarray(given(np.ascontiguousarray(piece.points.T)) if callable(given) else given).copy()

    @property
    def fields(self) -> dict[str, Any]:
        """What was carried, by name: "field", or the names of several."""
        if self.carried is None:
            return {}
        if isinstance(self.carried, Mapping):
            return {str(k): v for k, v in self.carried.items()}
        if isinstance(self.carried, list):
            return {str(k): v for k, v in enumerate(self.carried)}
        return {"field": self.carried}

    def transfer(self, values: Any) -> Any:
        """Another field of the old mesh, carried to the new one."""
        return self._carrying.carried(values)


class ParallelMovingMesh:
    """A distributed DOLFINx mesh that follows a field through time; see `meshmove.plugins.dolfinx.MovingMesh`."""

    def __init__(self, mesh: Any, options: Mapping[str, Any]) -> None:
        ranks, options = ranks_of(mesh), dict(options)
        self._ranks = ranks
        with or_end(ranks):
            with together(ranks):
                options = checked_options(options, OPTIONS, "MovingMesh on a distributed mesh")
                transfer = checked_transfer(options.pop("transfer", "swept"))
            alike(ranks, f"transfer={transfer}")
            self._transfer, self._piece = transfer, Piece(mesh, ranks)
            fixed = options.pop("fixed", None)
            with together(ranks):
                held = None if fixed is None else self._piece.held(fixed)
                options.setdefault("inverses", default_inverses())
        self._motion = DistributedMotion(self._piece.distributed(), ranks, fixed=held, **options)
        self.reference = self.mesh = mesh
        self.last: ParallelStep | None = None
        self._films: list[Film] = []

    @property
    def time(self) -> float:
        return self._motion.time

    def start(self, field: Any = None) -> ParallelStep:
        """Put the nodes where they should be for the initial values, before time begins."""
        with or_end(self._ranks):
            several, linear = self._several(field)
            functions = bool(several) and all(callable(f) and not owns(f) for f in several)
            values: Any = _side_by_side(several) if functions else self._values(several)
            return self._taken(self._motion.start(values, linear), field)

    def step(self, field: Any = None, dt: float = 1.0, *, boundary_motion: Any = None) -> ParallelStep:
        """Move the mesh over a time step of length `dt`, for a field on `mesh` at its beginning.

        Parameters
        ----------
        field
            A `Function`, a UFL expression, a function f(x), an array with a row a geometry node, or a list or dict of
            these. None where the monitor is a function.
        """
        with or_end(self._ranks):
            with together(self._ranks):
                checked_options({"boundary_motion": boundary_motion}, (), "a step on a distributed mesh")
            several, linear = self._several(field)
            values = self._values(several)
            for film in self._films:
                film.frame(self._shown(field))
            return self._taken(self._motion.step(values, dt, linear), field)

    def _several(self, field: Any) -> tuple[list[Any], bool]:
        """The fields, as many of the same type on all processes, and whether all are of linear elements."""
        parts = [] if field is None else list(_parts(field))
        alike(self._ranks, f"fields of {', '.join(type(f).__name__ for f in parts) or 'no type'}")
        with together(self._ranks):
            return parts, all(element_of(f)[1] == 1 for f in parts if owns(f))

    def _values(self, fields: list[Any]) -> Array | None:
        found = [self._piece.values(f) for f in fields]
        return np.hstack([v for v in found if v is not None]) if found else None

    def _taken(self, step: DistributedStep, given: Any) -> ParallelStep:
        old = self.mesh
        carrying = Carrying(self._piece, step, self._transfer)
        velocity = carrying.displacement / step.dt if step.dt else np.zeros_like(carrying.displacement)
        out = ParallelStep(
            old,
            carrying.moved,
            carrying.displacement,
            velocity,
            self.reference,
            step.dt,
            step.time,
            step.report,
            given,
            carrying,
            self._transfer is not None,
        )
        self._piece = copy(self._piece)
        self._piece.mesh = self.mesh = out.mesh
        self.last = out
        return out

    @contextmanager
    def record(self, path: str | Path, field: Any = None, **options: Any) -> Iterator[Film]:
        """A film of the steps within a ``with``, as an XDMF file of time that ParaView plays; all processes write.

        Each step adds a frame, the mesh at its beginning with its field by its values at vertices; ``film.add(u)`` adds
        the mesh as it is. `field`: what to show where steps have none.

        Raises
        ------
        UnsupportedMeshError
            Another kind of file than .xdmf: pictures need the mesh on one process.
        """
        with or_end(self._ranks):
            with together(self._ranks):
                checked_options(options, (), "a film of a distributed mesh")
                check_writable(Path(path))
            alike(self._ranks, f"the film {str(path)!r}")
            series = Series(self.reference.comm, path)
            film = Film(self, series, field)
            self._films.append(film)
            try:
                yield film
            finally:
                self._films.remove(film)
                series.close()

    def save(self, path: Any) -> None:
        """Not on several processes: DOLFINx cuts a mesh otherwise whenever it is read.

        Raises
        ------
        MeshmoveError
            On all processes.
        """
        error = MeshmoveError(
            "Expected a MovingMesh on one process to save (got one on several, which a mesh that is read again is cut "
            "otherwise for). Write step.mesh and the fields by moving.record('series.xdmf'), or DOLFINx's checkpoints, "
            "and begin again from a mesh that has moved"
        )
        error.__dict__["agreed"] = True
        raise error

    def _shown(self, given: Any) -> dict[str, Any]:
        """Linear functions on the mesh, by name."""
        if given is None:
            return {}
        named = given if isinstance(given, Mapping) else dict(enumerate(given)) if isinstance(given, list) else None
        if named is None:
            named = {"field": given}
        return {str(k): linear_function(self.mesh, self._piece.values(v)) for k, v in named.items()}

    def __repr__(self) -> str:
        return f"<MovingMesh of a {type(self.mesh).__name__} on {self._ranks.size} processes at time {self.time:g}>"


class Film:
    """Frames of a moving mesh, in a file: see `ParallelMovingMesh.record`."""

    def __init__(self, moving: ParallelMovingMesh, series: Series, field: Any) -> None:
        self._moving, self._series, self._field = moving, series, field

    def add(self, field: Any = None) -> None:
        """The mesh as it is, with a field on it."""
        self.frame(self._moving._shown(self._field if field is None else field))

    def frame(self, shown: Mapping[str, Any]) -> None:
        moving = self._moving
        self._series.add(moving.mesh, shown or moving._shown(self._field), moving.time)


def _parts(given: Any) -> Any:
    if isinstance(given, Mapping):
        return given.values()
    return given if isinstance(given, list) else [given]


def _each(given: Any, function: Callable[[Any], Any]) -> Any:
    """A function of one field, of each of several."""
    if given is None:
        return None
    if isinstance(given, Mapping):
        return {k: function(v) for k, v in given.items()}
    return [function(v) for v in given] if isinstance(given, list) else function(given)


def _side_by_side(functions: list[Any]) -> Callable[[Array], Array]:
    """Functions f(x), x (dim, n), as one with values (k, n)."""

    def values(x: Array) -> Array:
        found = [np.asarray(called(f, x, "the field function f(x)")) for f in functions]
        return np.vstack([v.T if v.ndim == 2 and v.shape[0] == x.shape[1] else np.atleast_2d(v) for v in found])

    return values


def _shifted(mesh: Any, by: Array) -> Any:
    out = attached(with_geometry(mesh), tags_of(mesh))
    out.geometry.x[:, : by.shape[1]] += by
    return out
