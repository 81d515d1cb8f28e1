"""What is moved: the mesh in unit coordinates with its constraints, and the monitor that is to be met."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from meshmove.geometry import (
    CellMesh,
    InvalidMeshError,
    PointLocator,
    Sides,
    Slide,
    TangledMeshError,
    facets_of,
    inverted_cells,
)
from meshmove.geometry.arrays import Array
from meshmove.geometry.checks import check_cells, check_facets
from meshmove.geometry.errors import first_ids
from meshmove.geometry.quality import vertex_volumes
from meshmove.meshes.source import Fields, Source, fixed_vertices, same_topology
from meshmove.monitors import CallableDensity, Monitor, NodalDensity, Recovery
from meshmove.movers import Align, Alignment, Move, Mover, Problem, moved_by
from meshmove.movers.objectives.volumes import VOLUME
from meshmove.outcomes import Outcome

from .alignment import aligned_from, both_norms
from .choice import Chosen, Trials, choose, transport
from .judging.own_hessian import OwnHessian
from .judging.prediction import BothNorms, Predictor, Predicts, SharpPredictor
from .judging.resolution import unresolved

__all__ = ["Result", "UnitMesh"]


#: nodes further from the reference's boundary than this, relative to its size, belong to another domain
OFF = 0.01
#: intensity of the one move that is made where nothing can be predicted
UNJUDGED = 1.0
NO_GAIN = Outcome.NO_GAIN.told("no move is predicted to lower the error: the mesh stays as it is")
#: weight of the cells' shapes beside the logarithm of the predicted error, as `Align` has it
SHAPES = Align.distortion


@dataclass(frozen=True, eq=False)
class Result:
    """A move, the monitor that it was made for, and the predicted error where a field is known.

    `predict`: the predicted error at other positions. `automatic`: the monitor's intensity was chosen, not given.
    `element`: of which the error is predicted. `objective`: "alignment", "equidistribution" or "energy"; of the last,
    `energies` are that at the start and the change of it by which the error is one less, `solves` how many it took.
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


class UnitMesh:
    """The mesh in unit coordinates, with its constraints, ready to be moved."""

    def __init__(
        self, source: Source, fixed: Any, boundary: Any, reference: Any, unit: tuple[Array, float] | None = None
    ) -> None:
        """`unit`: centre and scale of the coordinates, where they are to be those of another mesh."""
        cells = source.cells
        base = cells
        if reference is not None:
            base = Source.of(reference, None).cells
            check_cells(base)
            same_topology(cells, base)
            # what tells regions apart, and the names of boundaries, are the mesh's: a reference may have lost them
            named = cells.facets or base.facets
            base = replace(base, regions=cells.regions, region_names=cells.region_names, facets=named)
        low, high = base.points.min(axis=0), base.points.max(axis=0)
        self.centre: Array = (low + high) / 2 if unit is None else unit[0]
        self.scale = _length(base) if unit is None else unit[1]
        self.place = None if cells.frame is None else cells.in_space
        self._source = source
        pinned = fixed_vertices(source, fixed)
        self.current = self.unit(cells)
        self.base = self.unit(base) if reference is not None else self.current
        self.facets = facets_of(self.base)
        check_facets(self.base, self.facets, pinned)
        self.slide = Slide(self.base, self.facets, boundary, pinned)
        self.workspace: dict[Any, Any] = {}
        self.start = self.current.points
        if reference is not None:
            if len(inverted_cells(self.base, self.current.points)):
                bad = inverted_cells(self.base, self.current.points)
                raise TangledMeshError(
                    f"Expected a mesh that keeps the orientation of its reference (cells {first_ids(bad)} do not)"
                )
            self.slide.hold(self.current.points)
            back = self.slide.retract(self.current.points)
            self._same_boundary(back)
            self.start = back if not len(inverted_cells(self.base, back)) else self.base.points

    def _same_boundary(self, back: Array) -> None:
        off = np.sqrt(((back - self.current.points) ** 2).sum(axis=1))
        bad = np.flatnonzero(off > OFF)
        if len(bad):
            raise InvalidMeshError(
                f"Expected a mesh on the boundary of its reference ({len(bad)} nodes are up to "
                f"{off.max() * self.scale:.3g} off it: vertices {first_ids(bad)}). Pass the mesh from which this one "
                "was moved, scaled and shifted as this one is."
            )

    def unit(self, cells: CellMesh) -> CellMesh:
        nodes = None if cells.nodes is None else (cells.nodes - self.centre) / self.scale
        return replace(cells, points=(cells.points - self.centre) / self.scale, nodes=nodes)

    def lost_shape(self, moved: CellMesh) -> tuple[str, ...]:
        """A complaint where a boundary of the moved mesh encloses another volume than that of the reference."""
        change = self.slide.shells.change(self.unit(moved).points)
        bad = np.flatnonzero(np.abs(change) > VOLUME * (1 + 1e-6))
        if not len(bad):
            return ()
        worst = change[bad[np.abs(change[bad]).argmax()]]
        what, way = ("area", "volume")[self.base.dim - 2], "more" if worst > 0 else "less"
        text = (
            f"a curved boundary encloses {100 * abs(worst):.2g} % {way} {what} than before, where {100 * VOLUME:.2g} % "
            'is what movers keep to: hold it with boundary="fixed", or refine it'
        )
        return (Outcome.SHAPE_LOST.told(text),)

    def problem(
        self,
        density: Any,
        start: Array,
        effort: float,
        predict: Callable[[Array], float] | None = None,
        objective: Alignment | None = None,
    ) -> Problem:
        discrete, slide = isinstance(density, NodalDensity), self.slide
        return Problem(
            self.base, self.facets, slide, density, start, effort, discrete, predict, self.workspace, objective
        )

    def move(self, fields: Fields, monitor: Any, mover: Mover, effort: float) -> Result:
        aligned = isinstance(monitor, Monitor) and monitor.intensity is None and self._can_align(fields)
        if isinstance(mover, Align) and not aligned:
            mover = mover.transport
        if not isinstance(monitor, Monitor):
            density: Any = CallableDensity(monitor, self.centre, self.scale, self.place)
            values = density.value(self.current.points.T)
            name = getattr(monitor, "__name__", type(monitor).__name__)
            name = "a function" if name == "<lambda>" else name
            if np.ptp(values) <= 1e-12 * values.max() and self._is_constant(density):
                why = "the monitor is constant: nodes are where they should be"
                return self._rest(density, values, name, why, mover, effort)
            return Result(density, values, moved_by(mover, self.problem(density, self.start, effort)), name)

        assert fields.values is not None
        recovery = Recovery(self.current, Sides.of(self.current, self.facets))
        indicator = _indicator(monitor, recovery, fields)
        locator = PointLocator(self.current.simplicial())
        if fields.degree is None:
            return self._unjudged(fields, monitor, indicator, locator, mover, effort)
        predict: Predicts
        told: tuple[str, ...] = ()
        if isinstance(mover, Align) and fields.hessian is not None and not fields.dual and fields.function is not None:
            own = OwnHessian(self._source, fields.function, fields.hessian, self.centre, self.scale)
            predict = SharpPredictor(self.current, recovery, fields.values[:, 0], own)
        else:
            told = unresolved(recovery, fields.values)
            predict = Predictor(
                self.current, recovery, fields.values, locator, fields.degree, fields.dual, fields.middles
            )
        if predict.rest == 0.0:
            density = NodalDensity(np.ones(self.current.n_points), locator)
            polynomial = {1: "linear", 2: "quadratic"}[fields.degree]
            what = "constant" if np.ptp(fields.values, axis=0).max() == 0 else f"{polynomial} up to rounding"
            what += "" if recovery.sides.whole else " in each region"
            why = f"the field is {what}: nothing to gain"
            return self._rest(density, np.ones(len(indicator)), monitor.kind, why, mover, effort)
        if monitor.intensity is None:
            carrier, thorough = mover, None
            if isinstance(mover, Align):  # a mesh that has moved before has been carried already
                carrier, moved = mover.carrier, not np.array_equal(self.start, self.base.points)
                thorough = None if moved else mover.transport
            trials = Trials(
                indicator, self.current, locator, predict, self.problem, carrier, self.start, effort, thorough
            )
            if isinstance(mover, Align) or (aligned and fields.degree == 1 and _aligns(mover, self.base)):
                distortion = mover.distortion if isinstance(mover, Align) else SHAPES
                both = both_norms(predict, self.base, self.facets, self.slide, self.current.points, distortion)
                carried = transport(monitor, trials) if isinstance(mover, Align) else trials.unmoved(monitor)
                out = aligned_from(carried, both, self.start, self.problem, mover, effort)
                return replace(self._judged(out, both, fields.element, True, told), objective="alignment")
            out = choose(monitor, trials, self.current.dim)
        else:
            values = monitor.values(self.current, indicator)
            density = NodalDensity(values, locator)
            move = moved_by(mover, self.problem(density, self.start, effort, predict))
            out = Chosen(monitor, density, values, move, predict(move.points))
        return self._judged(out, predict, fields.element, monitor.intensity is None, told)

    def _can_align(self, fields: Fields) -> bool:
        """Whether the H1 error can be descended: of linear elements, and of quadratic ones on straight simplices."""
        return fields.degree == 1 or (fields.degree == 2 and self._source.cells.straight)

    def _unjudged(
        self, fields: Fields, monitor: Monitor, indicator: Array, locator: PointLocator, mover: Mover, effort: float
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
        values = monitor.values(self.current, indicator)
        density = NodalDensity(values, locator)
        if np.ptp(values) == 0:
            return self._rest(density, values, monitor.kind, "the field shows nothing to move to", mover, effort)
        move = moved_by(mover, self.problem(density, self.start, effort))
        told = (*move.warnings, Outcome.UNJUDGED.told(why))
        return Result(density, values, replace(move, warnings=told), _name(monitor))

    def _judged(
        self, out: Chosen, predict: Predicts | BothNorms, element: str, automatic: bool, told: tuple[str, ...]
    ) -> Result:
        move = out.move
        if move is None:
            move = Move(self.current.points, 0, (NO_GAIN,))
        elif np.array_equal(move.points, self.current.points) and NO_GAIN not in move.warnings:
            move = replace(move, warnings=(*move.warnings, NO_GAIN))
        move = replace(move, warnings=(*told, *move.warnings))
        name = _name(out.monitor)
        return Result(out.density, out.values, move, name, predict.rest, out.error, predict, automatic, element)

    def _is_constant(self, density: CallableDensity) -> bool:
        centres = np.concatenate([self.current.points[b.nodes].mean(axis=1) for b in self.current.blocks])
        values = density.value(centres.T)
        return bool(np.ptp(values) <= 1e-12 * values.max())

    def _rest(self, density: Any, values: Array, name: str, why: str, mover: Mover, effort: float) -> Result:
        """Where a constant monitor takes the mesh: to the reference, unless nodes are held elsewhere."""
        if np.array_equal(self.slide.home, self.base.points):
            return Result(density, values, Move(self.base.points, 0, (Outcome.NOTHING_TO_MEET.told(why),)), name)
        return Result(density, values, moved_by(mover, self.problem(density, self.start, effort)), name)


def _indicator(monitor: Monitor, recovery: Recovery, fields: Fields) -> Array:
    assert fields.values is not None
    if not fields.dual:
        return monitor.indicator(recovery, fields.values)
    u, z = fields.values[:, : -fields.dual], fields.values[:, -fields.dual :]
    return np.sqrt(monitor.indicator(recovery, u) * monitor.indicator(recovery, z))


def _aligns(mover: Mover, mesh: CellMesh) -> bool:
    """Whether a mover, other than `Align`, lowers the predicted error on such a mesh by itself, and says so."""
    says = getattr(mover, "aligns", None)
    return callable(says) and bool(says(mesh))


def _name(monitor: Monitor) -> str:
    name = f"{monitor.kind}, intensity {monitor.intensity:.3g}"
    return name if monitor.exponent is None else f"{name}, exponent {monitor.exponent:.3g}"


def _length(mesh: CellMesh) -> float:
    """Length of the box whose points spread about its centre as those of the mesh do, whatever the frame.

    The mesh's own bounding box would be up to sqrt(dim) times larger when the mesh is turned. Digits beyond the twelfth
    are rounding errors: without them a unit square has unit length.
    """
    weight = vertex_volumes(mesh)
    offset = mesh.points - weight @ mesh.points / weight.sum()
    moments = (weight * offset.T) @ offset / weight.sum()
    return float(f"{np.sqrt(12 * np.linalg.eigvalsh(moments)[-1]):.12g}")
