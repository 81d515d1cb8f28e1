"""A move: from a field or a function of space to positions, and what is known of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from meshmove.geometry import PointLocator
from meshmove.geometry.arrays import Array
from meshmove.meshes.source import Fields
from meshmove.monitors import CallableDensity, Monitor, NodalDensity, Recovery
from meshmove.movers import Align, Move, Mover, moved_by
from meshmove.movers.problem import aligns
from meshmove.outcomes import Outcome

from .alignment import aligned_from, both_norms, carried_only
from .back import UNCONFIRMED, Earlier, way_back
from .choice import Chosen, Trials, choose, nodal_densities, transports
from .judging.between_nodes import BetweenNodes
from .judging.own_hessian import OwnHessian
from .judging.prediction import BothNorms, Predictor, Predicts, SharpPredictor
from .judging.resolution import unresolved
from .unit_mesh import UnitMesh

__all__ = ["Result", "move_of"]


#: intensity of the one move that is made where nothing can be predicted
UNJUDGED = 1.0
NO_GAIN = Outcome.NO_GAIN.told("no move is predicted to lower the error: the mesh stays as it is")
NOT_ALIGNED = Outcome.UNRESOLVED.told(
    "the mesh was not aligned to the field: long cells would miss more of what it shows between its nodes"
)
#: weight of the cells' shapes beside the logarithm of the predicted error, as `Align` has it
SHAPES = Align.distortion


@dataclass(frozen=True, eq=False)
class Result:
    """A move, the monitor that it was made for, and the predicted error where a field is known.

    `predict`: the predicted error at other positions. `automatic`: the monitor's intensity was chosen, not given.
    `element`: of which the error is predicted. `objective`: "alignment", "equidistribution" or "energy"; of the last,
    `energies` are that at the start and the change of it by which the error is one less, `solves` how many it took.
    `shown`: the predicted errors (k,) of the fields on the mesh that came, each in its own unit.
    """

    density: Any
    values: Array
    move: Move
    name: str
    error_before: float | None = None
    error_after: float | None = None
    predict: Callable[[Array], float] | None = None
    automatic: bool = False
    element: str = ""
    objective: str = "equidistribution"
    energies: tuple[float, float] | None = None
    solves: int | None = None
    shown: Array | None = None


def move_of(
    unit: UnitMesh, fields: Fields, monitor: Any, mover: Mover, effort: float, earlier: Earlier | None = None
) -> Result:
    """The move of a mesh that a field, or a monitor as a function of space, asks for.

    `earlier`: of a mesh that has been moved to nearly the same field before, so that it is only to be aligned. It goes
    back to where it was then if the field, which is better known now, says so, or shows more error than before.
    """
    aligned = isinstance(monitor, Monitor) and monitor.intensity is None and _can_align(unit, fields)
    if isinstance(mover, Align) and not aligned:
        mover = mover.transport
    if not isinstance(monitor, Monitor):
        return _to_function(unit, monitor, mover, effort)
    assert fields.values is not None
    recovery = unit.recovery
    indicator = _indicator(monitor, recovery, fields)
    locator = unit.locator
    if fields.degree is None:
        return _unjudged(unit, fields, monitor, indicator, locator, mover, effort)
    predict, told = _predictor(unit, fields, recovery, locator, isinstance(mover, Align))
    if predict.rest == 0.0:
        density = NodalDensity(np.ones(unit.current.n_points), locator)
        polynomial = {1: "linear", 2: "quadratic"}[fields.degree]
        what = "constant" if np.ptp(fields.values, axis=0).max() == 0 else f"{polynomial} up to rounding"
        what += "" if recovery.sides.whole else " in each region"
        why = f"the field is {what}: nothing to gain"
        return _rest(unit, density, np.ones(len(indicator)), monitor.kind, why, mover, effort)
    if monitor.intensity is not None:
        values = monitor.values(unit.current, indicator)
        density = NodalDensity(values, locator)
        move = moved_by(mover, unit.problem(density, unit.start, effort, predict))
        out = Chosen(monitor, density, values, move, predict(move.points))
        return _judged(unit, out, predict, fields.element, False, told)
    leads: list[Chosen] = []
    densities, n = nodal_densities(indicator, unit.current, locator, unit.smoother), unit.current.n_points
    if isinstance(mover, Align):
        trials = Trials(densities, predict, unit.problem, mover.carrier, unit.start, effort, n)
        leads += transports(monitor, trials, mover.transport) if earlier is None else [trials.unmoved(monitor)]
    else:
        trials = Trials(densities, predict, unit.problem, mover, unit.start, effort, n)
        if not (aligned and fields.degree == 1 and aligns(mover, unit.base)):
            out = choose(monitor, trials, unit.current.dim)
            return _judged(unit, out, predict, fields.element, True, told)
        leads.append(trials.unmoved(monitor))
    both = both_norms(predict, unit, mover.distortion if isinstance(mover, Align) else SHAPES)
    back = None if earlier is None else way_back(leads[0], earlier, predict, both)
    if back is not None:
        out = back
    else:
        ends = [aligned_from(led, both, unit.start, unit.problem, mover, effort) for led in leads]
        out = min(ends, key=lambda end: end.error)
        # the adjoint solution of a goal at a point is never resolved
        if told and isinstance(mover, Align) and fields.degree == 1 and not fields.dual:
            values = fields.values
            gentle = carried_only(out, leads, lambda: BetweenNodes(recovery, values, locator), both)
            out, told = (out, told) if gentle is None else (gentle, (*told, NOT_ALIGNED))
    judge = None if earlier is not None and earlier.shown(predict) > UNCONFIRMED else both  # solves have the last word
    result = _judged(unit, out, both, fields.element, True, told)
    return replace(result, objective="alignment", predict=judge, shown=predict.shown)


def _to_function(unit: UnitMesh, monitor: Any, mover: Mover, effort: float) -> Result:
    density = CallableDensity(monitor, unit.centre, unit.scale, unit.place)
    values = density.value(unit.current.points.T)
    name = getattr(monitor, "__name__", type(monitor).__name__)
    name = "a function" if name == "<lambda>" else name
    if np.ptp(values) <= 1e-12 * values.max() and _is_constant(unit, density):
        why = "the monitor is constant: nodes are where they should be"
        return _rest(unit, density, values, name, why, mover, effort)
    return Result(density, values, moved_by(mover, unit.problem(density, unit.start, effort)), name)


def _predictor(
    unit: UnitMesh, fields: Fields, recovery: Recovery, locator: PointLocator, sharp: bool
) -> tuple[Predicts, tuple[str, ...]]:
    """What predicts errors, and what there is to be said of it. `sharp`: by a field's own derivatives, to align to."""
    assert fields.values is not None and fields.degree is not None
    if sharp and fields.hessian is not None and not fields.dual and fields.function is not None:
        own = OwnHessian(unit.source, fields.function, fields.hessian, unit.centre, unit.scale)
        return SharpPredictor(unit.current, recovery, fields.values[:, 0], own), ()
    told = unresolved(recovery, fields.values, sharp and fields.degree != 1)  # of linear ones see `carried_only`
    dual, middles = fields.dual, fields.middles
    return Predictor(unit.current, recovery, fields.values, locator, fields.degree, dual, middles), told


def _can_align(unit: UnitMesh, fields: Fields) -> bool:
    """Whether the H1 error can be descended: of linear elements, and of quadratic ones on straight simplices."""
    return fields.degree == 1 or (fields.degree == 2 and unit.source.cells.straight)


def _unjudged(
    unit: UnitMesh,
    fields: Fields,
    monitor: Monitor,
    indicator: Array,
    locator: PointLocator,
    mover: Mover,
    effort: float,
) -> Result:
    """One move to a gentle monitor, of an element whose error cannot be predicted."""
    what = "to the monitor that was asked for"
    if monitor.intensity is None:
        monitor = replace(monitor, intensity=UNJUDGED)
        what = f"once, to a gentle monitor (intensity {UNJUDGED:g})"
    why = (
        f"no error is predicted for {fields.element}, only for linear elements and quadratic simplices: the mesh "
        f"moved {what}, and nothing says that it is better. Compare errors, or adapt to a linear field"
    )
    values = monitor.values(unit.current, indicator)
    density = NodalDensity(values, locator)
    if np.ptp(values) == 0:
        return _rest(unit, density, values, monitor.kind, "the field shows nothing to move to", mover, effort)
    move = moved_by(mover, unit.problem(density, unit.start, effort))
    told = (*move.warnings, Outcome.UNJUDGED.told(why))
    return Result(density, values, replace(move, warnings=told), _name(monitor))


def _judged(
    unit: UnitMesh, out: Chosen, predict: Predicts | BothNorms, element: str, automatic: bool, told: tuple[str, ...]
) -> Result:
    move = out.move
    if move is None:
        move = Move(unit.current.points, 0, (NO_GAIN,))
    elif np.array_equal(move.points, unit.current.points) and NO_GAIN not in move.warnings:
        move = replace(move, warnings=(*move.warnings, NO_GAIN))
    move = replace(move, warnings=(*told, *move.warnings))
    name = _name(out.monitor)
    return Result(out.density, out.values, move, name, predict.rest, out.error, predict, automatic, element)


def _is_constant(unit: UnitMesh, density: CallableDensity) -> bool:
    centres = np.concatenate([unit.current.points[b.nodes].mean(axis=1) for b in unit.current.blocks])
    values = density.value(centres.T)
    return bool(np.ptp(values) <= 1e-12 * values.max())


def _rest(unit: UnitMesh, density: Any, values: Array, name: str, why: str, mover: Mover, effort: float) -> Result:
    """Where a constant monitor takes the mesh: to the reference, unless nodes are held elsewhere."""
    if np.array_equal(unit.slide.home, unit.base.points):
        return Result(density, values, Move(unit.base.points, 0, (Outcome.NOTHING_TO_MEET.told(why),)), name)
    return Result(density, values, moved_by(mover, unit.problem(density, unit.start, effort)), name)


def _indicator(monitor: Monitor, recovery: Recovery, fields: Fields) -> Array:
    assert fields.values is not None
    if not fields.dual:
        return monitor.indicator(recovery, fields.values)
    u, z = fields.values[:, : -fields.dual], fields.values[:, -fields.dual :]
    return np.sqrt(monitor.indicator(recovery, u) * monitor.indicator(recovery, z))


def _name(monitor: Monitor) -> str:
    name = f"{monitor.kind}, intensity {monitor.intensity:.3g}"
    return name if monitor.exponent is None else f"{name}, exponent {monitor.exponent:.3g}"
