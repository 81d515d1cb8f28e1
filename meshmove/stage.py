"""The stage of a move: the mesh in unit coordinates with its constraints, and the monitor that is to be met."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry import (
    CellMesh,
    InvalidMeshError,
    PointLocator,
    Slide,
    TangledMeshError,
    facets_of,
    inverted_cells,
)
from meshmove.geometry.checks import check_cells, check_facets
from meshmove.geometry.errors import first_ids

from .inputs import Fields, Source, fixed_vertices, same_topology
from .monitors import CallableDensity, Monitor, NodalDensity, Recovery, simplicial
from .movers import Move, Mover, Problem
from .select import Chosen, Predictor, Trials, choose

__all__ = ["Result", "Stage"]

Array = NDArray[np.float64]

#: nodes further from the reference's boundary than this, relative to its size, belong to another domain
OFF = 0.01


@dataclass(frozen=True, eq=False)
class Result:
    """A move, the monitor that it was made for, and the predicted error where a field is known.

    `predict`: the predicted error at other positions. `automatic`: the monitor's intensity was chosen, not given.
    """

    density: Any
    values: Array
    move: Move
    name: str
    error_before: float | None = None
    error_after: float | None = None
    predict: Callable[[Array], float] | None = None
    automatic: bool = False


class Stage:
    """The mesh in unit coordinates, with its constraints, ready to be moved."""

    def __init__(self, source: Source, fixed: Any, boundary: Any, reference: Any) -> None:
        cells = source.cells
        base = cells
        if reference is not None:
            base = Source.of(reference, source.regions).cells
            check_cells(base)
            same_topology(cells, base)
        low, high = base.points.min(axis=0), base.points.max(axis=0)
        self.centre, self.scale = (low + high) / 2, float((high - low).max())
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
        return cells.moved((cells.points - self.centre) / self.scale)

    def problem(
        self, density: Any, start: Array, effort: float, predict: Callable[[Array], float] | None = None
    ) -> Problem:
        discrete = isinstance(density, NodalDensity)
        return Problem(self.base, self.facets, self.slide, density, start, effort, discrete, predict, self.workspace)

    def move(self, fields: Fields, monitor: Any, mover: Mover, effort: float) -> Result:
        if not isinstance(monitor, Monitor):
            density: Any = CallableDensity(monitor, self.centre, self.scale)
            values = density.value(self.current.points.T)
            name = getattr(monitor, "__name__", type(monitor).__name__)
            name = "a function" if name == "<lambda>" else name
            if np.ptp(values) <= 1e-12 * values.max() and self._is_constant(density):
                why = "the monitor is constant: nodes are where they should be"
                return self._rest(density, values, name, why, mover, effort)
            return Result(density, values, mover(self.problem(density, self.start, effort)), name)

        assert fields.values is not None
        recovery = Recovery(self.current)
        indicator = monitor.indicator(recovery, fields.values)
        locator = PointLocator(simplicial(self.current))
        predict = Predictor(self.current, recovery, fields.values, locator)
        if predict.rest == 0.0:
            density = NodalDensity(np.ones(self.current.n_points), locator)
            what = "constant" if np.ptp(fields.values, axis=0).max() == 0 else "linear up to rounding"
            why = f"the field is {what}: nothing to gain"
            return self._rest(density, np.ones(len(indicator)), monitor.kind, why, mover, effort)
        if monitor.intensity is None:
            trials = Trials(indicator, self.current, locator, predict, self.problem, mover, self.start, effort)
            out = choose(monitor, trials, self.current.dim)
        else:
            values = monitor.values(self.current, indicator)
            density = NodalDensity(values, locator)
            move = mover(self.problem(density, self.start, effort, predict))
            out = Chosen(monitor, density, values, move, predict(move.points))
        return self._judged(out, predict, automatic=monitor.intensity is None)

    def _judged(self, out: Chosen, predict: Predictor, automatic: bool) -> Result:
        name = f"{out.monitor.kind}, intensity {out.monitor.intensity:.3g}"
        if out.monitor.exponent is not None:
            name += f", exponent {out.monitor.exponent:.3g}"
        move = out.move
        if move is None:
            move = Move(self.current.points, 0, ("no move is predicted to lower the error: the mesh stays as it is",))
        return Result(out.density, out.values, move, name, predict.rest, out.error, predict, automatic)

    def _is_constant(self, density: CallableDensity) -> bool:
        centres = np.concatenate([self.current.points[b.nodes].mean(axis=1) for b in self.current.blocks])
        values = density.value(centres.T)
        return bool(np.ptp(values) <= 1e-12 * values.max())

    def _rest(self, density: Any, values: Array, name: str, why: str, mover: Mover, effort: float) -> Result:
        """Where a constant monitor takes the mesh: to the reference, unless nodes are held elsewhere."""
        if np.array_equal(self.slide.home, self.base.points):
            return Result(density, values, Move(self.base.points, 0, (why,)), name)
        return Result(density, values, mover(self.problem(density, self.start, effort)), name)
