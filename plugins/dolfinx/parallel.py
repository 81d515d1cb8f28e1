"""`adapt` and `adapt_loop` for DOLFINx meshes that are distributed: no process ever holds the whole mesh."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from meshmove.adaptation.loops.loop import WORTH
from meshmove.adaptation.result import Report
from meshmove.distributed import Condensed, DistributedAdaptation, DistributedStep, adapt_distributed, or_end, together
from meshmove.geometry.arrays import Array
from meshmove.geometry.mesh import CellMesh
from meshmove.options import check_names, count
from meshmove.outcomes import Outcome

from .across import Across
from .carried import Old, function_on, gone_along, interpolated, is_linear, of_vertices, vertex_blocks
from .functions import element_of, is_function, owns
from .pieces import Piece, alike
from .tags import attached, tags_of, with_tags
from .versions import sub_degrees, vector_space, with_geometry

__all__ = [
    "Carrying",
    "ParallelAdaptation",
    "ParallelLoop",
    "adapt_parallel",
    "checked_options",
    "checked_transfer",
    "default_inverses",
    "linear_function",
    "loop_parallel",
    "ranks_of",
    "still_of",
    "tagged_together",
]

OPTIONS = ("monitor", "mover", "effort", "boundary", "fixed", "objective", "transfer", "inverses")
#: what needs the mesh in one piece, and what to do instead
IN_ONE_PIECE = {
    "reference": "every move is relative to the mesh that is given",
    "regions": "pass cell_tags, whose interfaces are kept",
    "energy": "move to the solution, or on one process",
    "goal": "move to the solution, or on one process",
    "adjoint": "move to the solution, or on one process",
    "device": "networks move meshes on one process",
    "boundary_motion": "move the boundary on one process",
}


@dataclass(frozen=True, eq=False)
class ParallelAdaptation:
    """What became of a distributed mesh, on each of its processes.

    `mesh`, `original`: after and before. `displacement` (n, dim): of the geometry nodes of this process, ghosts too.
    `fields`: the field by the name "field", a function on the moved mesh where it was one. `report`: of the whole mesh,
    the same on all processes.
    """

    mesh: Any
    original: Any
    displacement: Array
    fields: dict[str, Any]
    report: Report
    _transfer: Callable[[Any], Any] = field(repr=False)

    def transfer(self, values: Any) -> Any:
        """Another function of the mesh as it was, carried to the moved mesh; all processes call it together."""
        return self._transfer(values)


@dataclass(frozen=True, eq=False)
class ParallelLoop:
    """The last adaptation of a loop, the report of each round, and the mesh that the first began from."""

    adaptation: ParallelAdaptation
    history: tuple[Report, ...]
    first: Any

    @property
    def mesh(self) -> Any:
        return self.adaptation.mesh

    @property
    def report(self) -> Report:
        return self.adaptation.report

    def __iter__(self) -> Any:
        return iter((self.adaptation, self.history))


def adapt_parallel(mesh: Any, given: Any, options: dict[str, Any]) -> ParallelAdaptation:
    """See `meshmove.plugins.dolfinx.adapt`; of its options those of `OPTIONS`."""
    ranks = ranks_of(mesh)
    with or_end(ranks):
        return _adapted(mesh, ranks, given, dict(options))


def _adapted(mesh: Any, ranks: Any, given: Any, options: dict[str, Any]) -> ParallelAdaptation:
    with together(ranks):
        options = checked_options(options, OPTIONS, "adapt on a distributed mesh")
        transfer = checked_transfer(options.pop("transfer", "interpolate"))
    alike(ranks, f"transfer={transfer}, a field of {_kind_of(given)}")
    piece = Piece(mesh, ranks)
    fixed = options.pop("fixed", None)
    with together(ranks):
        held = None if fixed is None else piece.held(fixed)
        options.setdefault("inverses", default_inverses())
    values, middles = piece.values(given), piece.middles(given)
    out = adapt_distributed(piece.distributed(), ranks, values, middles=middles, fixed=held, **options)
    carrying = Carrying(piece, out, transfer)
    fields = {} if transfer is None or given is None else {"field": carrying.carried(given)}
    report = replace(
        out.report, warnings=tuple(dict.fromkeys((*out.report.warnings, *_notes(given, transfer, middles is not None))))
    )
    return ParallelAdaptation(carrying.moved, mesh, carrying.displacement, fields, report, carrying.carried)


def _kind_of(given: Any) -> str:
    """What a field is, in words: processes that have different ones would wait for each other."""
    if not is_function(given):
        return type(given).__name__
    return f"{element_of(given)[0]}, of shape {given.ufl_shape}"


def _notes(given: Any, transfer: str | None, quadratic: bool) -> tuple[str, ...]:
    """What is not done for the element of a field."""
    if not owns(given):
        return ()
    (element, degree), out = element_of(given), []
    if degree != 1 and not quadratic:
        text = f"the field is of {element}: the mesh was moved for linear elements, by its values at vertices"
        out.append(Outcome.TAKEN_AS_LINEAR.told(text))
    if transfer in ("conservative", "swept") and not is_linear(given):
        text = f"the field's integral is not kept: {transfer!r} is for values at vertices, other dofs are interpolated"
        out.append(Outcome.INTEGRAL_NOT_KEPT.told(text))
    return tuple(out)


def checked_options(options: Mapping[str, Any], known: Iterable[str], of: str) -> dict[str, Any]:
    """Those that are known; ValueError for others, and for what needs the mesh in one piece unless it is None."""
    for name, instead in IN_ONE_PIECE.items():
        if options.get(name) is not None:
            raise ValueError(f"Expected no {name} on a distributed mesh (got one): {instead}")
    out = {k: v for k, v in options.items() if k not in IN_ONE_PIECE}
    check_names(out, known, of)
    return out


def default_inverses() -> Any:
    """PETSc's, whose factors of small meshes do not depend on the partition; without real ones `Condensed`."""
    try:
        from petsc4py import PETSc
    except ImportError:
        return Condensed
    if np.issubdtype(PETSc.ScalarType, np.complexfloating):
        return Condensed
    from meshmove.plugins.mpi import PetscInverses

    return PetscInverses


def ranks_of(mesh: Any) -> Any:
    """The processes that a mesh is on."""
    from meshmove.plugins.mpi import MPIRanks

    return MPIRanks(mesh.comm)


def tagged_together(domain: Any, facet_tags: Any, cell_tags: Any, inplace: bool) -> Any:
    """`with_tags`, on all processes or on none; an error on all unless all of them ask for the same."""
    given = {"facet_tags": facet_tags is not None, "cell_tags": cell_tags is not None, "inplace": bool(inplace)}
    alike(ranks_of(domain), ", ".join(f"{name}: {value}" for name, value in given.items()))
    if facet_tags is None and cell_tags is None:
        return domain
    domain.topology.create_entities(domain.topology.dim - 1)
    with together(ranks_of(domain)):
        return with_tags(domain, facet_tags, cell_tags)


def still_of(domain: Any, mesh: Any, field: Any) -> tuple[Any, Any]:
    """A copy of a mesh that stays where it is while `domain` is moved, and the field on it.

    `mesh`: `domain` with its tags. Raises `RanksError` unless all processes want the mesh moved in place.
    """
    still = attached(with_geometry(domain), tags_of(mesh))
    if not owns(field):
        return still, field
    if is_function(field):
        return still, gone_along(domain, still, field)
    piece = Piece(mesh, ranks_of(mesh))
    return still, linear_function(still, piece.values(field))


def checked_transfer(transfer: Any) -> str | None:
    """How fields are carried: "conservative" and "swept" are the same where a mesh is distributed."""
    if transfer is not None and transfer not in ("interpolate", "conservative", "swept"):
        raise ValueError(
            f"Expected transfer 'interpolate', 'conservative', 'swept' or None on a distributed mesh (got {transfer!r})"
        )
    return transfer


class Carrying:
    """The moved mesh, and functions carried to it."""

    def __init__(
        self, piece: Piece, out: DistributedAdaptation | DistributedStep, transfer: str | None = "interpolate"
    ) -> None:
        self.piece, self.out = piece, out
        self._of_values = out.evaluate if transfer in ("interpolate", None) else out.swept
        mesh = piece.mesh
        nodes = out.nodes if isinstance(out, DistributedAdaptation) else None
        self.displacement = piece.lifted(out.displacement) if nodes is None else nodes - piece.points
        self.moved = attached(with_geometry(mesh), tags_of(mesh))
        self.moved.geometry.x[:, : mesh.geometry.dim] += self.displacement

    def carried(self, values: Any) -> Any:
        """A field on the moved mesh: a function of the same element, of linear ones for an expression, else values."""
        with or_end(self.piece.ranks):
            return self._carried(values)

    def _carried(self, values: Any) -> Any:
        if callable(values) and not owns(values):
            x = np.ascontiguousarray(np.asarray(self.moved.geometry.x, float)[:, : self.displacement.shape[1]].T)
            return np.asarray(values(x))
        if not owns(values):
            at = self.piece.values(values)
            assert at is not None
            new = self._of_values(at)
            return (self.piece.lift @ new).reshape(np.shape(values))
        if not is_function(values) or is_linear(values):
            return self._of_vertices(values)
        if not np.issubdtype(values.x.array.dtype, np.floating):
            raise TypeError("Expected real functions on a distributed mesh (got complex ones)")
        out, parts = function_on(values, self.moved), sub_degrees(values.function_space)
        if not parts:
            return self._interpolated(out, values)
        for k in range(len(parts)):
            part = self._interpolated(out.sub(k).collapse(), values.sub(k).collapse())
            out.sub(k).interpolate(part)
        out.x.scatter_forward()
        return out

    def _of_vertices(self, values: Any) -> Any:
        at = self.piece.values(values)
        assert at is not None
        return linear_function(self.moved, self._of_values(at), values if is_function(values) else None)

    def _interpolated(self, out: Any, values: Any) -> Any:
        values = values.copy()
        values.x.scatter_forward()
        piece = self.piece.distributed()
        whole = piece.local() if piece.second is None else piece.second.cells
        cells: CellMesh | None = whole if len(piece.cells) else None
        across, old = Across(cells, self.piece.ranks, piece.dim), Old(self.piece.mesh, values)
        components = int(np.prod(values.ufl_shape, dtype=int))
        return interpolated(out, values, lambda points, beyond: across.values(points, beyond, old.at, components))


def linear_function(mesh: Any, values: Any, like: Any = None) -> Any:
    """A continuous linear function of values (n, k) at vertices, in the space of another if there is one."""
    from dolfinx.fem import Function

    out = Function(vector_space(mesh, values.shape[1])) if like is None else function_on(like, mesh)
    vertex_blocks(out)[of_vertices(out.function_space, mesh)[1]] = values
    out.x.scatter_forward()
    return out


def loop_parallel(
    mesh: Any, solve: Callable[[Any], Any], steps: int, progress: Any, options: dict[str, Any]
) -> ParallelLoop:
    """Solve and move in turns, until a round changes nothing or lowers the predicted error by less than two percent."""
    steps = count(steps, "at least one step", low=1)
    now, history = mesh, []
    for k in range(steps):
        out = adapt_parallel(now, solve(now), options)
        now = out.mesh
        history.append(out.report)
        if progress is not None:
            progress(k + 1, out.report)
        before, after = out.report.predicted_error_before, out.report.predicted_error_after
        if not out.report.max_displacement or (k and before and after and after >= (1 - WORTH) * before):
            break
    return ParallelLoop(out, tuple(history), mesh)
