"""`adapt`: the one entry point."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry.arrays import Array
from meshmove.geometry.checks import check_cells
from meshmove.meshes.source import Fields, Source, read_fields
from meshmove.monitors import Monitor
from meshmove.movers import Align, Mover
from meshmove.options import check_names, number, shown
from meshmove.progress import stage

from .back import Earlier
from .finish import finish
from .movers_by_name import mover_of
from .moves import move_of
from .result import Adaptation
from .unit_mesh import UnitMesh

__all__ = ["Adapting", "Options", "adapt", "check_options", "lasting", "read_options"]


OBJECTIVES = ("alignment", "equidistribution")
TRANSFERS = ("interpolate", "conservative")
#: more than this is a slip of the pen: the default mover is done long before
MOST_EFFORT = 1000.0
#: steps of alignment, at effort 1, after a move that led to a worse mesh. On five brackets moved to their stresses the
#: error of these then fell 1.06 to 1.28 times, and with all 60 steps it rose by 7 to 15 %; two rings on 16x16 cells,
#: which do not show them, kept their error instead of 1.7 times as much
GENTLE = 5


def adapt(
    mesh: Any,
    field: Any = None,
    *,
    monitor: str | Monitor | Callable[[Array], Array] = "hessian",
    mover: str | Mover = "auto",
    effort: float = 1.0,
    boundary: str | Mapping[str, str] = "slide",
    fixed: Iterable[int] | NDArray | None = None,
    reference: Any = None,
    regions: str | Iterable[str] | None = "auto",
    transfer: str | None = "interpolate",
    device: str | None = None,
    objective: str = "alignment",
) -> Adaptation:
    """Move the nodes of a mesh to where a field needs them; cells, tags and numbering stay.

    Parameters
    ----------
    mesh
        A scikit-fem, meshio, PyVista or PyTorch Geometric mesh, one of a library that registered itself, or a path.
    field
        Nodal array (n_nodes,) or (n_nodes, k), the name of point or cell data, a function f(x) with x of shape
        (dim, n), or for scikit-fem a pair (basis, dofs), of a flow with all its fields. Not needed with a callable
        monitor. A function with a method ``hessian(x)``, (n, dim, dim) or (dim, dim, n), as a `Solution` of
        `meshmove.solvers` has one, is aligned to that instead of recovered second derivatives.

    Other Parameters
    ----------------
    monitor
        "hessian", "gradient", "curvature", a `Monitor`, or a function m(x) > 0 of x (dim, n). Parameters that are
        left open are chosen such that the predicted error is least; if no move lowers it, none is made.
    mover
        "auto", "dmm" (the trained network), "monge-ampere", "smooth", or a `Mover`.
    effort
        Budget relative to the default: 0.3 for a quick move, 3 for the best mesh.
    boundary
        "slide": nodes glide along the original boundary, corners and feature edges stay. "fixed". Or a dict from
        boundary name to either.
    fixed
        Node ids or a mask (n_nodes,) of nodes that must not move.
    reference
        The computational mesh when `mesh` is itself a moved one: cells keep their share of the monitor with respect
        to it, so that repeated adaptation does not drift. Only its positions count; regions and names are the mesh's.
    regions
        Names of cell data, cell sets or subdomains whose interfaces nodes may only glide along. "auto": all cell sets
        and subdomains, and cell data that tell subdomains apart by their name or values. Named facets inside of the
        mesh are interfaces, too. None: there are no interfaces but those that `boundary` names.
        The report names what was taken, `meshmove info` also what was not.
    transfer
        "interpolate" or "conservative": how floating-point nodal fields are carried along. None: not at all.
    device
        Device of a neural mover. The classical movers run on the CPU.
    objective
        What the mover "auto" makes small for a field. "alignment": the predicted H1 error itself, over all node
        positions, after one move to the monitor; it sees the shape of cells, too. "equidistribution": the predicted L2
        error, among moves to monitors of several intensities. Elements that are neither linear nor, on straight
        simplices, quadratic, monitors with an intensity of their own, functions as monitors and other movers are
        equidistribution always; the report says which it was.

    Returns
    -------
    Adaptation

    Raises
    ------
    MeshmoveError
        The mesh, the field or the monitor is unusable; the message says why and what to try.
    ValueError
        An argument is not one of its choices.

    Examples
    --------
    >>> import numpy as np, skfem
    >>> mesh = skfem.MeshTri().refined(4)
    >>> out = adapt(mesh, np.tanh(20 * (mesh.p[0] - 0.5)))
    >>> type(out.mesh).__name__, out.report.inverted_cells
    ('MeshTri1', 0)
    >>> out.report.predicted_error_after < 0.5 * out.report.predicted_error_before
    True
    """
    options = read_options(monitor, mover, effort, transfer, device, objective)
    return Adapting(options, boundary, fixed, reference, regions)(mesh, field)


class Adapting:
    """What `adapt` does, once or again and again: from the second time on with a mesh that has moved since.

    What depends on the reference alone, as factorisations do, is kept from one time to the next. `options`: read.
    `rounds`: a mesh that comes again has been moved to nearly the same field, so that it is only to be aligned.
    `alone`: a mesh that comes again is the first one, not moved since; one that is another is begun anew.
    `ended`: a mesh that had gone back was moved gently from there, or there is no gentler way.
    """

    def __init__(
        self,
        options: Options,
        boundary: Any = "slide",
        fixed: Any = None,
        reference: Any = None,
        regions: Any = "auto",
        rounds: bool = False,
        alone: bool = False,
    ) -> None:
        self._options, self._rounds, self._alone = options, rounds, alone
        self._boundary, self._fixed, self._reference, self._regions = boundary, fixed, reference, regions
        self._unit: UnitMesh | None = None
        self._mover, self._anew, self.ended = options.mover, True, False
        self._shown: Array | None = None

    @classmethod
    def of(cls, options: Mapping[str, Any], rounds: bool = False, alone: bool = False) -> Adapting:
        """With keyword arguments of `adapt`."""
        judged = inspect.signature(read_options).parameters
        read = read_options(**{k: v for k, v in options.items() if k in judged})
        return cls(read, **{k: v for k, v in options.items() if k not in judged}, rounds=rounds, alone=alone)

    def __call__(self, mesh: Any, field: Any, dual: Any = None) -> Adaptation:
        """`dual`: the adjoint solution of a goal, in the same form as the field."""
        began = time.perf_counter()
        options = self._options
        source = Source.of(mesh, self._regions)
        known = self._known(source)
        source = source if known is None else known.source
        if known is None:
            check_cells(source.cells)
        fields = read_fields(source, field)
        if isinstance(options.monitor, Monitor) and fields.values is None:
            names = ", ".join(map(repr, fields.nodal)) or "none"
            raise ValueError(f"Expected a field, or a monitor function m(x) (got neither; point data: {names})")
        if dual is not None:
            fields = _with_dual(fields, read_fields(source, dual))
        last, earlier = self._unit, None
        if known is not None:
            unit = known
        elif last is None or (self._alone and not np.array_equal(source.cells.points, last.source.cells.points)):
            unit = UnitMesh(source, self._fixed, self._boundary, self._reference)
        else:
            unit = last.again(source)
            if self._rounds and not self._anew:
                earlier = Earlier(last.start, self._shown)
        self._unit = unit
        stage("read and checked, boundary found: %d vertices, %d cells", unit.base.n_points, unit.base.n_cells)
        result = move_of(unit, fields, options.monitor, self._mover, options.effort, earlier)
        self._shown = result.shown if earlier is None else None  # later moves are short, and 1.2 is too strict for them
        self._anew = earlier is not None and result.move.points is earlier.points
        self.ended = self._mover is not options.mover
        if self._anew:
            self._go_gently()
        stage("moved, steps: %d; to be checked as it is written, and fields carried", result.move.iterations)
        return finish(source, unit, fields, result, options.transfer, self._mover.name, began)

    def _known(self, source: Source) -> UnitMesh | None:
        """What is known of the mesh, where it has come before, as it is now."""
        last = self._unit
        return last if last is not None and self._alone and last.is_of(source) else None

    def _go_gently(self) -> None:
        """After a move that led to a worse mesh: by few steps, in which cells next to each other move alike."""
        if isinstance(self._mover, Align):
            self._mover = replace(self._mover, relative=False, steps=min(GENTLE, self._mover.steps))
        else:
            self.ended = True


def _with_dual(fields: Fields, dual: Fields) -> Fields:
    assert fields.values is not None and dual.values is not None
    values = np.concatenate([fields.values, dual.values], axis=1)
    middles = None
    if fields.middles is not None and dual.middles is not None:
        middles = np.concatenate([fields.middles, dual.middles], axis=1)
    return replace(fields, values=values, dual=dual.values.shape[1], middles=middles)


@dataclass(frozen=True)
class Options:
    """The options of `adapt` that can be judged without a mesh, read."""

    monitor: Monitor | Callable[[Array], Array]
    mover: Mover
    effort: float
    transfer: str | None


def read_options(
    monitor: Any = "hessian",
    mover: Any = "auto",
    effort: Any = 1.0,
    transfer: Any = "interpolate",
    device: Any = None,
    objective: Any = "alignment",
) -> Options:
    """Raise ValueError unless each is one of its choices; see `adapt`."""
    effort = number(effort, "a positive effort", high=MOST_EFFORT)
    if transfer is not None and not (isinstance(transfer, str) and transfer in TRANSFERS):
        raise ValueError(f"Expected transfer 'interpolate', 'conservative' or None (got {shown(transfer)})")
    if not (isinstance(objective, str) and objective in OBJECTIVES):
        raise ValueError(f"Expected objective 'alignment' or 'equidistribution' (got {shown(objective)})")
    if isinstance(monitor, str):
        monitor = Monitor(monitor)
    elif isinstance(monitor, type) or (not isinstance(monitor, Monitor) and not callable(monitor)):
        kind = f"the class {monitor.__name__}" if isinstance(monitor, type) else type(monitor).__name__
        raise ValueError(f"Expected a monitor by name, a Monitor or a function (got {kind})")
    chosen = mover_of(mover, device, for_field=isinstance(monitor, Monitor), objective=objective)
    return Options(monitor, chosen, effort, transfer)


def check_options(options: Mapping[str, Any]) -> None:
    """Raise ValueError where `adapt` would not take these keyword arguments, as far as they can be judged alone."""
    check_names(options, list(inspect.signature(adapt).parameters)[2:], "adapt")
    judged = inspect.signature(read_options).parameters
    read_options(**{name: value for name, value in options.items() if name in judged})


def lasting(options: Mapping[str, Any]) -> dict[str, Any]:
    """Keyword arguments that can be used again and again: what can be gone through but once is made a list."""
    return {name: list(value) if isinstance(value, Iterator) else value for name, value in options.items()}
