"""The neural mover against the classical one on meshes and monitors that it was not trained on.

Both start from the same mesh in the same run, on one core; times are CPU times of the move alone. *Converged* is the
classical mover at three times its default effort.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from benchmarks.harness import Rows, main, row

import numpy as np  # isort: skip
import torch
from numpy.typing import NDArray

from benchmarks.dmm.heldout import CASES, case, steep_third
from meshmove import MongeAmpere, Neural
from meshmove.geometry import CellMesh, Slide, facets_of
from meshmove.monitors import CallableDensity
from meshmove.movers import Functional, Problem

torch.set_num_threads(1)
Array = NDArray[np.float64]


def problem(mesh: CellMesh, monitor: Callable[[Array], Array], effort: float = 1.0) -> Problem:
    """The mesh in unit coordinates, at rest, with gliding boundaries."""
    low, high = mesh.points.min(axis=0), mesh.points.max(axis=0)
    centre, scale = (low + high) / 2, float((high - low).max())
    unit = mesh.moved((mesh.points - centre) / scale)
    facets = facets_of(unit)
    density = CallableDensity(monitor, centre, scale)
    return Problem(unit, facets, Slide(unit, facets), density, unit.points, effort)


@dataclass
class Visited:
    """CPU seconds since the start of a move, and the positions then."""

    seconds: list[float]
    points: list[Array]


@contextmanager
def visits() -> Iterator[Visited]:
    """Record where E is evaluated, and when; what the recording costs is taken off."""
    out, original = Visited([], []), Functional.__call__
    began, lost = time.process_time(), 0.0

    def recorded(self: Functional, points: Array, soften: float = 0.0) -> Any:
        nonlocal lost
        start = time.process_time()
        out.seconds.append(start - began - lost)
        out.points.append(points)
        lost += time.process_time() - start
        return original(self, points, soften)

    Functional.__call__ = recorded  # type: ignore[method-assign]
    try:
        yield out
    finally:
        Functional.__call__ = original  # type: ignore[method-assign]


def first_within(task: Problem, seen: Visited, imbalance: float) -> float:
    """CPU seconds until valid positions with that imbalance were visited; infinite if none were."""
    low, high = 0, len(seen.points)
    # E falls along the way, but the imbalance need not: look at every one until it is there
    for k in range(low, high):
        if task.valid(seen.points[k]) and task.imbalance(seen.points[k]) <= imbalance:
            return seen.seconds[k]
    return np.inf


def quality(seeds: range) -> list[dict[str, Any]]:
    """Imbalances of one case each: at rest, converged, of the network alone, and after ten classical steps."""
    found = []
    alone, polished, classical = Neural(polish=0), Neural(polish=10), MongeAmpere()
    for seed in seeds:
        name, mesh, monitor, *_ = case(seed)
        task = problem(mesh, monitor, 3.0)
        best = task.imbalance(classical(task).points)
        task = problem(mesh, monitor)
        net = alone(task)
        more = polished(task)
        found.append(
            {
                "seed": seed,
                "name": name,
                "nodes": mesh.n_points,
                "rest": task.imbalance(task.start),
                "classical": best,
                "network": task.imbalance(net.points),
                "polished": task.imbalance(more.points),
                "cut": net.step_cut,
                "handed over": bool(net.warnings),
                "invalid": int(not task.valid(net.points)) + int(not task.valid(more.points)),
            }
        )
    return found


def race(seeds: Iterable[int], nodes: tuple[int, ...]) -> Iterator[dict[str, Any]]:
    """CPU time to 1.1 times the classical mover's final imbalance, from either start."""
    for number, seed in enumerate(seeds):
        name, mesh, monitor, *rest = case(seed, nodes=nodes[number % len(nodes)])
        task = problem(mesh, monitor)
        with visits() as classical:
            end = MongeAmpere()(task)
        goal = 1.1 * task.imbalance(end.points)
        slow = first_within(task, classical, goal)
        task = problem(mesh, monitor)
        with visits() as neural:
            Neural(polish=60)(task)
        fast = first_within(task, neural, goal)
        yield {
            "nodes": mesh.n_points,
            "seed": seed,
            "name": name,
            "goal": goal,
            "classical": slow,
            "neural": fast,
        }


def sizes(seeds: Iterable[int], small: int, large: int) -> list[tuple[float, float]]:
    """Imbalance of the network alone on the same domain and monitor, with few and with many nodes."""
    found = []
    for seed in seeds:
        tasks = [problem(*case(seed, nodes=n)[1:3]) for n in (small, large)]
        found.append(tuple(t.imbalance(Neural(polish=0)(t).points) for t in tasks))
    return found


def run(quick: bool = False) -> Rows:
    """All rows; `quick` looks at every tenth case, and at few and small meshes in the race."""
    found = quality(range(0, CASES, 10 if quick else 1))
    ratio = np.array([f["network"] / f["classical"] for f in found])
    after = np.array([f["polished"] / f["classical"] for f in found])
    cuts = np.array([f["cut"] is not None and f["cut"] < 0.5 for f in found])
    wrong = sum(f["invalid"] for f in found)

    def middle(name: str) -> float:
        return float(np.median([f[name] for f in found]))

    rows = [
        row("imbalance at rest, median", middle("rest")),
        row("imbalance converged, median", middle("classical")),
        row("imbalance of the network alone, median", middle("network")),
        row("network / converged, median", float(np.median(ratio)), "<= 2", bool(np.median(ratio) <= 2)),
        row("10 classical steps later / converged", float(np.median(after)), "<= 1.1", bool(np.median(after) <= 1.1)),
        row("share of moves cut by more than half", float(cuts.mean()), "<= 0.02", bool(cuts.mean() <= 0.02)),
        row("share handed to the classical mover", float(np.mean([f["handed over"] for f in found]))),
        row("inverted", wrong, "0", wrong == 0),
    ]
    seeds = range(0, CASES, 50) if quick else range(3, CASES, 13)
    races = list(race(seeds, (2_500,) if quick else (5_000, 10_000, 20_000, 50_000)))
    steep = set(steep_third())
    times = np.array([f["neural"] / f["classical"] for f in races])
    hard = times[[f["seed"] in steep for f in races]]
    rows += [
        row(
            "time to the same imbalance, neural / classical",
            float(np.median(times)),
            "<= 0.6",
            bool(np.median(times) <= 0.6),
        ),
        row("the same, steep third", float(np.median(hard)), "<= 0.4", bool(np.median(hard) <= 0.4)),
        row("share of races that the neural mover does not finish", float(np.mean(np.isinf(times)))),
    ]
    # families whose meshes of 100,000 nodes take seconds to make
    large = 20_000 if quick else 100_000
    pairs = sizes([0, 1, 2, 10] if quick else [0, 1, 2, 10, 12, 13], 1_000, large)
    growth = float(np.median([b / a for a, b in pairs]))
    rows.append(row(f"imbalance at {large:,} nodes / at 1,000", growth, "<= 1.5", growth <= 1.5))
    return rows


if __name__ == "__main__":
    main(run)
