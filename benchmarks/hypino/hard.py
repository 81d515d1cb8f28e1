"""Hard problems with formulas, each kind in many sizes: layers, gaps, peaks, resonances, corners, waves.

    python -m benchmarks.hypino.hard [--quick] [--seed SEED] [--limit PROBLEMS]

shows for each kind how many true errors of `project` lie below their estimates, and how far below. Errors are relative
L2 errors by Gauss points that crowd where the solution is steep. Constants were calibrated on the seed `CALIBRATION`
(`python -m benchmarks.hypino.hard --seed 7`); the default seed is for the report.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.harness import CPU, Rows, main, row

import numpy as np  # isort: skip
from numpy.typing import NDArray

from benchmarks.hypino.hard_kinds import KINDS, Hard
from meshmove.solvers import project

__all__ = ["CALIBRATION", "EFFORT", "SEED", "Judged", "case", "judge", "judged", "option", "points", "run", "summary"]

BY_DEFAULT = False  #: minutes, for one figure
Array = NDArray[np.float64]

SEED, CALIBRATION = 2_024, 7
EFFORT = 0.2  #: of the default: more problems are left unresolved, and all take a few minutes


@dataclass(frozen=True)
class Judged:
    """A problem's name, the true relative L2 error of its projection, the estimate, and the seconds."""

    name: str
    error: float
    estimate: float
    seconds: float


def case(k: int, seed: int = SEED) -> Hard:
    """The k-th problem: kinds take turns."""
    kinds = list(KINDS)
    kind = kinds[k % len(kinds)]
    return KINDS[kind](np.random.default_rng([seed, k]), k // len(kinds))


def points(it: Hard, cells: int = 20) -> tuple[Array, Array]:
    """Gauss points (2, n) of the domain and their weights, crowded at the coordinates that the problem names."""
    lines = []
    for (low, high), steep in zip(zip(*it.pde.domain.bounds, strict=True), it.steep, strict=True):
        reach = (high - low) * np.geomspace(1e-5, 0.3, 28)
        near = [np.concatenate([s - reach, [s], s + reach]) for s in steep]
        edges = np.unique(np.clip(np.concatenate([np.linspace(low, high, cells + 1), *near]), low, high))
        t, w = np.polynomial.legendre.leggauss(3)
        middle, half = (edges[1:] + edges[:-1]) / 2, np.diff(edges) / 2
        lines.append(((middle[:, None] + half[:, None] * t).ravel(), (half[:, None] * w).ravel()))
    (x, wx), (y, wy) = lines
    X, W = np.stack([np.tile(x, len(y)), np.repeat(y, len(x))]), np.outer(wy, wx).ravel()
    inside = it.pde.domain.contains(X)
    return X[:, inside], W[inside]


def judged(k: int, seed: int = SEED) -> Judged:
    """Error and estimate of the k-th problem."""
    return judge(case(k, seed))


def judge(it: Hard) -> Judged:
    """Error and estimate of a problem."""
    x, w = points(it)
    start = CPU()
    solution = project(it.pde, effort=EFFORT)
    estimate, seconds = solution.error_estimate, CPU() - start
    u = it.exact(x)
    error = np.sqrt((w * (solution(x) - u) ** 2).sum() / (w * u**2).sum())
    return Judged(it.name, float(error), estimate, seconds)


def run(quick: bool = False, seed: int = SEED, n: int | None = None) -> Rows:
    """A row for each kind, and one for all."""
    return summary(KINDS, [judged(k, seed) for k in range(n or len(KINDS) * (1 if quick else 7))])


def summary(names: Iterable[str], found: list[Judged]) -> Rows:
    """A row for each kind, which take turns, and one for all."""
    kinds = list(names)
    rows = [_row(kind, found[k :: len(kinds)]) for k, kind in enumerate(kinds[: len(found)])]
    return [*rows, _row("all", found, 0.95)]


def _row(name: str, ones: list[Judged], target: float | None = None) -> dict:
    below = float(np.mean([o.error <= o.estimate for o in ones]))
    return row(
        f"{name} ({len(ones)})",
        below,
        None if target is None else f">= {target:g}",
        None if target is None else below >= target,
        factor=statistics.median(o.estimate / max(o.error, 1e-300) for o in ones),
        worst=min(o.estimate / max(o.error, 1e-300) for o in ones),
        median_error=statistics.median(o.error for o in ones),
        seconds=statistics.median(o.seconds for o in ones),
    )


def option(name: str, default: int | None) -> int | None:
    """The number after an option of the command line, which is taken out."""
    if name not in sys.argv:
        return default
    at = sys.argv.index(name)
    value = int(sys.argv[at + 1])
    del sys.argv[at : at + 2]
    return value


if __name__ == "__main__":
    chosen, limit = option("--seed", SEED), option("--limit", None)
    main(lambda quick: run(quick, chosen or 0, limit))
