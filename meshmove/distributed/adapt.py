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
from meshmove.geometry.given import integers, real
from meshmove.monitors import Monitor
from meshmove.movers.laplacian import Inverses

from .background import Background
from .carrying import swept_across
from .finish import finish
from .laplacian import Condensed
from .layout import Layout
from .mesh import DistributedMesh
from .moves import to_field, to_function
from .overlap import overlap_of
from .ranks import Ranks, or_end, same_everywhere, together
from .unit import SharedMesh

__all__ = ["DistributedAdaptation", "adapt_distributed"]


@dataclass(frozen=True, eq=False)
class DistributedAdaptation:
    """What comes of it on each process.

    `points`, `displacement` (n, dim): of the vertices of its piece, ghosts included. `report`: of the whole mesh, the
    same on all processes. `layout`: what exchanges values at these vertices.
    """

    mesh: DistributedMesh
    points: Array
    displacement: Array
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
        agree(ranks, mesh, options, boundary, field, inverses)
        return _adapted(mesh, ranks, field, options, boundary, fixed, inverses, began)


def agree(ranks: Ranks, mesh: DistributedMesh, options: Options, boundary: Any, field: Any, inverses: Any) -> None:
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
        "regions": "no regions" if mesh.regions is None else "regions",
        "names of boundaries": str(sorted(mesh.facets)),
        "columns of the field": "no field" if field is None else str(np.shape(field)[1:]),
    }
    same_everywhere(ranks, said)


def _adapted(
    mesh: DistributedMesh,
    ranks: Ranks,
    field: Any,
    options: Options,
    boundary: Any,
    fixed: Any,
    inverses: Callable[[Ranks, Layout], Inverses],
    began: float,
) -> DistributedAdaptation:
    layout = Layout(ranks, mesh.global_ids, mesh.owners, mesh.n_owned)
    with together(ranks):
        stays = mask_of(fixed, len(mesh.points))
        values = None if field is None else values_of(field, len(mesh.points))
        if isinstance(options.monitor, Monitor) and values is None:
            raise ValueError("Expected a field, or a monitor function m(x) (got neither)")
    mesh = replace(mesh, points=layout.update(np.array(mesh.points, float)))
    stays = layout.update(layout.accumulate(stays.astype(float))) > 0
    unit = SharedMesh(mesh, ranks, layout, inverses(ranks, layout), boundary, stays)
    background = partial(Background, ranks, layout, mesh.owners, unit.base)
    if values is None or not isinstance(options.monitor, Monitor):
        result = to_function(unit, ranks, options)
    else:
        result = to_field(unit, mesh, ranks, layout.update(values), options, background())
    points, report = finish(unit, mesh, result, options.mover.name, began)
    return DistributedAdaptation(mesh, points, points - mesh.points, report, layout, background, unit)


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
