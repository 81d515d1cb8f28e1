"""Choosing the monitor: of a few candidates, the mesh on which the field's interpolant is predicted to be best."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry import CellMesh, PointLocator

from .monitors import Monitor, NodalDensity, Recovery, interpolation_error, optimal_exponent
from .monitors.monitor import smoother
from .movers import Move, Mover, Problem

__all__ = ["Chosen", "Predictor", "candidates", "choose"]

Array = NDArray[np.float64]


class Predictor:
    """Predicted L2 error of the (multi)linear interpolant of fields (n, k) on a mesh with the same cells elsewhere.

    Several fields count alike: each error is taken relative to that at rest.
    """

    def __init__(self, mesh: CellMesh, recovery: Recovery, fields: Array, locator: PointLocator) -> None:
        self._mesh, self._locator = mesh, locator
        self._hessians = [recovery.hessian(u) for u in fields.T]
        rest = np.array([interpolation_error(mesh, h)[0] for h in self._hessians])
        keep = rest > 1e-12 * np.abs(fields).max(initial=1e-300)
        self._hessians = [h for h, k in zip(self._hessians, keep, strict=True) if k]
        self._scale = rest[keep] if len(self._hessians) > 1 else np.ones(len(self._hessians))
        self.rest = self._norm(rest[keep])

    def _norm(self, errors: Array) -> float:
        return float(np.sqrt(np.sum((errors / self._scale) ** 2))) if len(self._hessians) else 0.0

    def __call__(self, points: Array) -> float:
        d = self._mesh.dim
        where = self._locator.find(points.T)
        errors = []
        for h in self._hessians:
            at = where.interpolate(h.reshape(d * d, -1).T).T.reshape(d, d, -1)
            errors.append(interpolation_error(self._mesh, at, points, cellwise=False)[0])
        return self._norm(np.array(errors))


@dataclass(frozen=True, eq=False)
class Chosen:
    """The monitor and the move that were chosen. `move` is None when staying put is predicted to be best."""

    monitor: Monitor
    density: NodalDensity
    values: Array
    move: Move | None
    error: float


def candidates(monitor: Monitor, dim: int) -> list[Monitor]:
    """What to try where the user left parameters open, from gentle to strong."""
    exponents: tuple[float | None, ...] = (monitor.exponent,)
    if monitor.exponent is None and monitor.kind == "hessian":
        exponents = (0.5, optimal_exponent(dim))
    intensities = (2.0, 5.0, 10.0, 20.0)
    return [replace(monitor, exponent=p, intensity=a) for p in exponents for a in intensities]


def choose(
    monitor: Monitor,
    indicator: Array,
    mesh: CellMesh,
    locator: PointLocator,
    predict: Predictor,
    problem: Callable[[NodalDensity, Array, float], Problem],
    mover: Mover,
    start: Array,
    effort: float,
) -> Chosen:
    """Move quickly for every candidate, and once more with full effort for the best.

    `problem(density, start, effort)` states the problem of one candidate. Each exponent's intensities rise until the
    prediction has got worse, every move starting from the last one.
    """
    smooth = smoother(mesh)
    best: Chosen | None = None
    options = candidates(monitor, mesh.dim)
    for exponent in dict.fromkeys(option.exponent for option in options):
        points, last = start, np.inf
        for option in (o for o in options if o.exponent == exponent):
            values = option.values(mesh, indicator, smooth)
            density = NodalDensity(mesh, values, locator)
            move = mover(problem(density, points, 0.4 * effort))
            points, error = move.points, predict(move.points)
            if best is None or error < best.error:
                best = Chosen(option, density, values, move, error)
            if error > 1.02 * last:
                break
            last = error
    assert best is not None and best.move is not None  # there is always a candidate
    final = mover(problem(best.density, best.move.points, effort))
    error = predict(final.points)
    if error < best.error:
        best = replace(best, move=final, error=error)
    return best if best.error < predict.rest else replace(best, move=None, error=predict.rest)
