"""`adapt_distributed`: what `adapt` does, for a mesh of which each process holds a piece."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshmove.adaptation.adapt import Options, read_options
from meshmove.adaptation.result import Report
from meshmove.geometry import FieldError
from meshmove.geometry.arrays import Array
from meshmove.geometry.cells import kind_of
from meshmove.geometry.given import integers, real
from meshmove.monitors import Monitor
from meshmove.movers.laplacian import Inverses

from .background import Background
from .carrying import swept_across
from .laplacian import Condensed
from .layout import Layout
from .mesh import DistributedMesh
from .moves import to_field, to_function
from .overlap import overlap_of
from .ranks import Ranks, or_end, same_everywhere, together
from .settling import finish
from .unit import SharedMesh

__all__ = ["DistributedAdaptation", "adapt_distributed"]


@dataclass(frozen=True, eq=False)
class DistributedAdaptation:
    """What comes of it on each process.

    `points`, `displacement` (n, dim): of the vertices of its piece, ghosts included. `nodes` (k, dim): positions of the
    nodes of cells of second order, where there are any. `report`: of the whole mesh, the same on all processes.
    `layout`: what exchanges values at these vertices.
    """

    mesh: DistributedMesh
    points: Array
    displacement: Array
    nodes: Array | None
    report: Report
    layout: Layout
    _background: Callable[[], Background]
    _unit: SharedMesh

    def evaluate(self, values: Array) -> Array:
        """Values (n,) or (n, k) at the vertices as they were, interpolated to where they are now; collective."""
        return self._background().interpolated(np.asarray(values, float), self._unit.to_unit(self.points))

    def swept(self, values: Array) -> Array:
        """The same values carried through the facets that nodes sweep, which keeps integrals; see `swept_across`."""
        given = np.asarray(values, float)
        mesh, layout = self.mesh, self.layout
        overlap = overlap_of(mesh, layout.ranks, layout, mesh.points)
        out = swept_across(overlap, mesh.points, self.points, given.reshape(len(given), int(np.prod(given.shape[1:]))))
        return layout.update(out).reshape(given.shape)


def adapt_distributed(
    mesh: DistributedMesh,
    ranks: Ranks,
    field: Any = None,
    *,
    middles: Any = None,
    monitor: str | Monitor | Callable[[Array], Array] = "hessian",
    mover: Any = "auto",
    effort: float = 1.0,
    boundary: str | Mapping[str, str] = "slide",
    fixed: Any = None,
    objective: str = "alignment",
    inverses: Callable[[Ranks, Layout], Inverses] = Condensed,
) -> DistributedAdaptation:
    """Move the nodes of a mesh that is in pieces to where a field needs them; all processes call it together.

    Derivatives of a field at an interface between regions are the mean of those of its sides. The mover is that of
    `adapt`, and so is the result for any number of processes, up to what preconditioners of
    another partition do to a few dozen steps. Options are those of `adapt`.

    Parameters
    ----------
    mesh
        The piece of this process.
    ranks
        What passes messages: `meshmove.plugins.mpi.MPIRanks(comm)`.
    field
        Values (n,) or (n, k) at the vertices of the piece. Those at ghosts are taken from their owners.

    middles
        Values (m, e) or (m, e, k) of quadratic elements on straight triangles or tetrahedra at the middles of the edges
        of the piece's cells, in the order of `CellKind.edges`: the mesh is moved for these elements then.

    Other Parameters
    ----------------
    monitor, mover, effort, boundary, objective
        See `adapt`. A monitor function is called with points of this process's piece only.
    fixed
        Numbers of vertices of the piece, or a mask (n,), that must not move: it suffices that one process says so.
    inverses
        What inverts Laplacians: `PetscInverses` of `meshmove.plugins.mpi` by algebraic multigrid.

    Raises
    ------
    MeshmoveError, ValueError
        As for `adapt`, on all processes, where one of them has reason to.
    RanksError
        Processes were called with different options.
    """
    began = time.perf_counter()
    with or_end(ranks):
        with together(ranks):
            options = read_options(monitor, mover, effort, None, None, objective)
            mesh.check(ranks.rank)
        agree(ranks, mesh, options, boundary, field, inverses, middles is not None)
        return _adapted(mesh, ranks, (field, middles), options, boundary, fixed, inverses, began)


def agree(
    ranks: Ranks,
    mesh: DistributedMesh,
    options: Options,
    boundary: Any,
    field: Any,
    inverses: Any,
    quadratic: bool = False,
) -> None:
    """Raise unless all processes ask for the same."""
    monitor = options.monitor
    what = monitor if isinstance(monitor, Monitor) else getattr(monitor, "__name__", type(monitor).__name__)
    said = {
        "monitor": str(what),
        "mover": options.mover.name,
        "effort": str(options.effort),
        "boundary": str(boundary),
        "inverses": getattr(inverses, "__name__", type(inverses).__name__),
        "kind of cells": mesh.kind,
        "order of the cells": "first" if mesh.second is None else "second",
        "regions": "no regions" if mesh.regions is None else "regions",
        "names of boundaries": str(sorted(mesh.facets)),
        "degree of the field": str(1 + quadratic),
        "columns of the field": "no field" if field is None else str(np.shape(field)[1:]),
    }
    same_everywhere(ranks, said)


def _adapted(
    mesh: DistributedMesh,
    ranks: Ranks,
    given: tuple[Any, Any],
    options: Options,
    boundary: Any,
    fixed: Any,
    inverses: Callable[[Ranks, Layout], Inverses],
    began: float,
) -> DistributedAdaptation:
    layout = Layout(ranks, mesh.global_ids, mesh.owners, mesh.n_owned)
    with together(ranks):
        stays = mask_of(fixed, len(mesh.points))
        values = None if given[0] is None else values_of(given[0], len(mesh.points))
        middles = None if given[1] is None or values is None else middles_of(given[1], mesh, values.shape[1])
        if isinstance(options.monitor, Monitor) and values is None:
            raise ValueError("Expected a field, or a monitor function m(x) (got neither)")
    points = layout.update(np.array(mesh.points, float))
    second = mesh.second
    if second is not None:
        second = replace(second, cells=replace(second.cells, points=points))
    mesh = replace(mesh, points=points, second=second)
    stays = layout.update(layout.accumulate(stays.astype(float))) > 0
    unit = SharedMesh(mesh, ranks, layout, inverses(ranks, layout), boundary, stays)
    background = partial(Background, ranks, layout, mesh.owners, unit.base)
    if values is None or not isinstance(options.monitor, Monitor):
        result = to_function(unit, ranks, options)
    else:
        result = to_field(unit, mesh, ranks, layout.update(values), middles, options, background())
        result = replace(result, element="linear elements" if middles is None else "quadratic elements")
    out = finish(unit, mesh, result, options.mover.name, began)
    step = out.points - mesh.points
    return DistributedAdaptation(mesh, out.points, step, out.nodes, out.report, layout, background, unit)


def mask_of(fixed: Any, n: int) -> NDArray[np.bool_]:
    """Mask (n,) of vertices that must not move."""
    out = np.zeros(n, bool)
    if fixed is not None:
        ids = np.atleast_1d(np.asarray(fixed))
        out[ids if ids.dtype == bool else integers(ids, "nodes that stay")] = True
    return out


def values_of(field: Any, n: int) -> Array:
    """A copy (n, k) of values at n vertices."""
    values = real(field, "the field", "numbers, one a vertex", FieldError)
    if values.ndim not in (1, 2) or len(values) != n:
        raise FieldError(f"Expected a field of shape ({n},) or ({n}, k), one row a vertex (got {values.shape})")
    if not np.isfinite(values).all():
        raise FieldError("Expected finite values of the field (got NaN or infinity); clean it first")
    return np.array(values, float).reshape(n, *(values.shape[1:] or (1,)))


def middles_of(given: Any, mesh: DistributedMesh, columns: int) -> Array:
    """Values (m, e, k) at the middles of the edges of simplices."""
    kind = kind_of(mesh.kind)
    if not kind.is_simplex:
        raise FieldError(f"Expected triangles or tetrahedra for quadratic elements (got cells of {mesh.kind!r})")
    values = real(given, "the field at the middles of edges", "numbers, one an edge of a cell", FieldError)
    shape = (len(mesh.cells), len(kind.edges), columns)
    if values.size != np.prod(shape) or values.shape[:2] != shape[:2]:
        raise FieldError(f"Expected values {shape} at the middles of the cells' edges (got {values.shape})")
    if not np.isfinite(values).all():
        raise FieldError("Expected finite values of the field (got NaN or infinity); clean it first")
    return np.array(values, float).reshape(shape)
