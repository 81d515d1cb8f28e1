"""Different problems by projection stopped at a tolerance, beside P2 elements with meshing at equal error.

P2 elements are solved on meshes of half the size from one to the next, each from the statement on. When they reach an
error is told between these in logarithms; beyond the last that is affordable it is extrapolated by the orders of the
last two. Nobody tells a user the error, so there is a third time: all meshes until two agree to the tolerance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.harness import Rows, row
from benchmarks.hypino.cases import Bench, Sample, at_level, relative_l2, seconds_of
from benchmarks.hypino.projection import restated
from benchmarks.hypino.rivals import solved

import numpy as np  # isort: skip

from meshmove.solvers import project
from meshmove.solvers.fem.evaluation import function_of

__all__ = ["Curve", "equal_error", "halved"]

TOLERANCES = (1e-2, 1e-3, 1e-4)
#: the first mesh, relative to half the box; seconds after which no finer one is made; order of P2 elements in L2
SIZE, DEAREST, ORDER = 0.4, 3.0, 3.0


@dataclass(frozen=True)
class Curve:
    """Of meshes of half the size from one to the next: seconds, errors, and changes from the one before (NaN first)."""

    seconds: Sequence[float]
    errors: Sequence[float]
    changes: Sequence[float]

    def until(self, error: float) -> tuple[float, bool]:
        """Seconds of the mesh that has this error, and whether they are extrapolated."""
        spent = np.maximum.accumulate(self.seconds).tolist()
        good = (1 / np.minimum.accumulate(self.errors)).tolist()
        found = at_level(1 / error, good, spent)
        if np.isfinite(found):
            return found, False
        return spent[-1] * self._growth() ** np.log2((good[-1] * error) ** (-1 / self._order())), True

    def agreed(self, tolerance: float) -> tuple[float, bool]:
        """Seconds of all meshes until the change is below the tolerance, and whether some are extrapolated."""
        whole = np.cumsum(self.seconds)
        for spent, change in zip(whole, self.changes, strict=True):
            if change <= tolerance:
                return float(spent), False
        more = int(np.ceil(np.log2(self.changes[-1] / tolerance) / self._order()))
        return float(whole[-1] + self.seconds[-1] * (self._growth() ** np.arange(1, more + 1)).sum()), True

    def _growth(self) -> float:
        """Of seconds with half the size."""
        return float(np.clip(self.seconds[-1] / self.seconds[-2], 2.0, 4.0))

    def _order(self) -> float:
        """Of errors, in favour of P2 elements: at least half of what it is where solutions are smooth."""
        return float(np.clip(np.log2(self.errors[-2] / self.errors[-1]), 0.5 * ORDER, ORDER))


def halved(s: Sample, most: float = DEAREST) -> Curve:
    """P2 elements on meshes of half the size from one to the next, until one takes so many seconds."""
    seconds, errors, changes = [], [], []
    before, size = np.full(s.x.shape[1], np.nan), SIZE
    while not seconds or seconds[-1] < most:
        spent, found = seconds_of(lambda size=size: solved(restated(s.pde), size, s.formula))
        u = function_of(*found)(s.x)
        seconds.append(spent)
        errors.append(max(relative_l2(u, s.u), 1e-300))
        changes.append(relative_l2(before, u))
        before, size = u, size / 2
    return Curve(seconds, errors, changes)


def equal_error(bench: Bench) -> Rows:
    """Medians over elliptic problems of different shapes, 64 or `--problems`, 2 if quick: seconds of projection to a
    tolerance, over those of P2 elements until the tolerance, until the error that projection has, and until two meshes
    agree to it.
    """
    curves = [halved(s, 0.2 if bench.quick else DEAREST) for s in bench.shapes]
    return [r for tolerance in TOLERANCES[: 1 if bench.quick else None] for r in _to(tolerance, bench, curves)]


def _to(tolerance: float, bench: Bench, curves: Sequence[Curve]) -> Rows:
    found = [seconds_of(lambda s=s: project(restated(s.pde), tolerance=tolerance)) for s in bench.shapes]
    spent = [t for t, _ in found]
    errors = [relative_l2(u(s.x), s.u) for s, (_, u) in zip(bench.shapes, found, strict=True)]
    levels = {
        "the tolerance": [c.until(tolerance) for c in curves],
        "its error": [c.until(max(e, 1e-15)) for c, e in zip(curves, errors, strict=True)],
        "two meshes that agree": [c.agreed(tolerance) for c in curves],
    }
    rows: Rows = []
    for what, theirs in levels.items():
        ratios = [t / other for t, (other, _) in zip(spent, theirs, strict=True)]
        ratio = float(median(ratios))
        rows.append(
            row(
                f"{len(spent)} problems to {tolerance:g}: projection / P2 to {what}, seconds",
                ratio,
                "< 1",
                ratio < 1,
                ahead=float(np.mean([r < 1 for r in ratios])),
                seconds=median(spent),
                fem_seconds=median(t for t, _ in theirs),
                extrapolated=float(np.mean([far for _, far in theirs])),
                error=median(errors),
                worst=max(errors),
                reached=float(np.mean([e <= tolerance for e in errors])),
            )
        )
    return rows
