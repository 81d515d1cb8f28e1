"""A move of a mesh in pieces: from a field or a function of space to positions, by the parts that `adapt` has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from meshmove.adaptation.adapt import Options
from meshmove.adaptation.alignment import aligned_from
from meshmove.adaptation.choice import Chosen, Trials, choose, transports
from meshmove.adaptation.judging.prediction import BothNorms
from meshmove.geometry.arrays import Array
from meshmove.monitors import CallableDensity, Monitor, Recovery
from meshmove.monitors.monitor import smoother
from meshmove.movers import Align, Alignment, Move, moved_by
from meshmove.outcomes import Outcome

from .background import Background, PatchDensity
from .mesh import DistributedMesh
from .overlap import Overlap, overlap_of
from .prediction import SharedPredictor
from .ranks import Ranks, together
from .unit import SharedMesh

__all__ = ["SharedResult", "of_space", "to_field", "to_function"]


NO_GAIN = Outcome.NO_GAIN.told("no move is predicted to lower the error: the mesh stays as it is")


@dataclass(frozen=True, eq=False)
class SharedResult:
    """A move, the monitor that it was made for, and the predicted error where a field is known."""

    density: Any
    move: Move
    name: str
    predict: Any = None
    error_before: float | None = None
    automatic: bool = False
    objective: str = "equidistribution"


class _Guarded:
    """A monitor function of which all processes hear when it fails on one of them."""

    def __init__(self, density: CallableDensity, ranks: Ranks) -> None:
        self._density, self._ranks = density, ranks

    def value(self, x: Array) -> Array:
        with together(self._ranks):
            return self._density.value(x)

    def value_and_gradient(self, x: Array) -> tuple[Array, Array]:
        with together(self._ranks):
            return self._density.value_and_gradient(x)


def of_space(function: Callable[[Array], Array], unit: SharedMesh, ranks: Ranks) -> Any:
    """A monitor function in unit coordinates, in a unit of its own that all processes have."""
    known = CallableDensity(function, unit.centre, unit.scale)
    density = _Guarded(known, ranks)
    density.value(unit.base.points.T)
    # the largest of theirs
    known.exponent = int(unit.layout.maximum(np.array(-2000 if known.exponent is None else known.exponent)))
    return density


def to_function(unit: SharedMesh, ranks: Ranks, options: Options) -> SharedResult:
    """The move to a monitor that is a function of space."""
    assert not isinstance(options.monitor, Monitor)
    function, layout = options.monitor, unit.layout
    density = of_space(function, unit, ranks)
    values = density.value(unit.base.points.T)
    name = getattr(function, "__name__", type(function).__name__)
    name = "a function" if name == "<lambda>" else name
    centres = unit.base.points[unit.base.blocks[0].nodes].mean(axis=1)
    values = np.concatenate([values, density.value(centres.T)])
    most, least = layout.maximum(values.max(initial=-np.inf)), layout.minimum(values.min(initial=np.inf))
    if most - least <= 1e-12 * most:
        why = Outcome.NOTHING_TO_MEET.told("the monitor is constant: nodes are where they should be")
        return SharedResult(density, Move(unit.start, 0, (why,)), name)
    return SharedResult(density, moved_by(options.mover, unit.problem(density, unit.start, options.effort)), name)


def to_field(
    unit: SharedMesh, mesh: DistributedMesh, ranks: Ranks, values: Array, options: Options, background: Background
) -> SharedResult:
    """The move that a field (n, k) asks for; see `adaptation.moves.move_of`."""
    monitor, mover = options.monitor, options.mover
    assert isinstance(monitor, Monitor)
    overlap = overlap_of(mesh, ranks, unit.layout, unit.base.points)
    recovery = Recovery(overlap.mesh)
    densities = _Densities(unit, overlap, recovery, monitor, values, background)
    predict = SharedPredictor(unit.base, unit.layout, overlap, recovery, values, background)
    del recovery  # a quarter of the memory of large meshes
    if isinstance(mover, Align) and monitor.intensity is not None:
        mover = mover.transport
    if predict.rest == 0.0:
        constant = PatchDensity(np.ones(unit.base.n_points), background)
        why = Outcome.NOTHING_TO_MEET.told("the field is linear up to rounding: nothing to gain")
        return SharedResult(constant, Move(unit.start, 0, (why,)), monitor.kind)
    if monitor.intensity is not None:
        density, at_nodes = densities(monitor)
        move = moved_by(mover, unit.problem(density, unit.start, options.effort, predict))
        out = Chosen(monitor, density, at_nodes, move, predict(move.points))
        return _judged(out, unit, predict, False, predict.warnings(aligned=False))
    carrier = mover.carrier if isinstance(mover, Align) else mover
    n, effort = unit.problem(None, unit.start, 1.0).n_points, options.effort
    trials = Trials(densities, predict, unit.problem, carrier, unit.start, effort, n)  # type: ignore[arg-type]
    if not isinstance(mover, Align):
        return _judged(choose(monitor, trials, mesh.dim), unit, predict, True, predict.warnings(aligned=False))
    leads = transports(monitor, trials, mover.transport)
    rest = unit.start
    objective = Alignment(
        unit.base,
        predict.hessians,
        rest,
        mover.distortion,
        unit.slide.curved_edges,
        unit.slide.shells,
        unit.layout,
    )
    both = BothNorms(predict, objective, rest)  # type: ignore[arg-type]
    ends = [aligned_from(led, both, unit.start, unit.problem, mover, effort) for led in leads]
    out = min(ends, key=lambda end: end.error)
    return replace(_judged(out, unit, both, True, predict.warnings(aligned=True)), objective="alignment")


class _Densities:
    """Monitors of fields (n, k) as functions of space: see `adaptation.choice.Densities`."""

    def __init__(
        self,
        unit: SharedMesh,
        overlap: Overlap,
        recovery: Recovery,
        monitor: Monitor,
        values: Array,
        background: Background,
    ) -> None:
        self._layout, self._overlap, self._background = unit.layout, overlap, background
        self._indicator = monitor.indicator(recovery, overlap.spread(values), overlap.layout)
        self._smooth = smoother(overlap.mesh)

    def __call__(self, monitor: Monitor) -> tuple[PatchDensity, Array]:
        overlap = self._overlap
        found = monitor.values(overlap.mesh, self._indicator, self._smooth, overlap.layout)
        values = self._layout.update(overlap.taken(found))
        return PatchDensity(values, self._background), values


def _judged(out: Chosen, unit: SharedMesh, predict: Any, automatic: bool, told: tuple[str, ...] = ()) -> SharedResult:
    move = Move(unit.start, 0, (NO_GAIN,)) if out.move is None else out.move
    stayed = unit.layout.every(np.array_equal(move.points, unit.start))
    warnings = (*told, *move.warnings, *((NO_GAIN,) if stayed and NO_GAIN not in move.warnings else ()))
    name = f"{out.monitor.kind}, intensity {out.monitor.intensity:.3g}"
    if out.monitor.exponent is not None:
        name += f", exponent {out.monitor.exponent:.3g}"
    return SharedResult(out.density, replace(move, warnings=warnings), name, predict, predict.rest, automatic)
