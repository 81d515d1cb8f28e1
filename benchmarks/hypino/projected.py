"""Projection on the seven and on the held-out set, and how far `error_estimate` can be trusted."""

from __future__ import annotations

from statistics import median

from benchmarks.harness import Rows, row
from benchmarks.hypino.cases import Bench, relative_l2, seconds_of, values
from benchmarks.hypino.projection import TARGETS, restated

import numpy as np  # isort: skip

from meshmove.solvers import project

__all__ = ["calibration", "held_out", "projection"]


def projection(bench: Bench) -> Rows:
    """Error and seconds, problem stated to solution ready, of each of the seven."""
    rows: Rows = []
    for s in bench.seven:
        seconds, solution = seconds_of(lambda s=s: project(restated(s.pde)), 1 if bench.quick else 3)
        error, target = relative_l2(values(solution, s.x), s.u), TARGETS[s.name]
        rows.append(
            row(
                f"projection {s.name}",
                error,
                f"<= {target:g} in 2 s",
                error <= target and seconds <= 2,
                seconds=seconds,
                unknowns=solution.history[-1].unknowns,
            )
        )
    return rows


def held_out(bench: Bench) -> Rows:
    """Share of the held-out problems whose error is below 1e-3, by kind, and seconds."""
    rows: Rows = []
    ones = bench.projected
    for group in ("elliptic", "parabolic", "hyperbolic", "all"):
        some = [o for k, o in enumerate(ones) if group in ("all", _kind(k))]
        share = float(np.mean([o["error"] <= 1e-3 for o in some]))
        rows.append(
            row(
                f"projection, {len(some)} held-out, {group}: share <= 1e-3",
                share,
                ">= 0.9" if group == "all" else None,
                share >= 0.9 if group == "all" else None,
                median_error=median(o["error"] for o in some),
                longest=max(o["seconds"] for o in some),
                reference=max(o["doubt"] for o in some),
            )
        )
    seconds = median(o["seconds"] for o in ones)
    rows.append(row("projection, held-out: median seconds", seconds, "<= 1", seconds <= 1))
    return rows


def _kind(k: int) -> str:
    from benchmarks.hypino.heldout import KINDS

    return KINDS[k % len(KINDS)]


def calibration(bench: Bench) -> Rows:
    """The true error against `error_estimate`: of projected solutions, of emitted ones, of emitted and refined ones.

    A reference that is itself in doubt by more than the estimate does not count against it.
    """
    projected = [(o["error"], o["estimate"], o["doubt"]) for o in bench.projected]
    samples = bench.held_out[: 3 if bench.quick else 24]
    rows = [*_judged("projected", projected)]
    for what, rounds in (("emitted", 0), ("refined", 3)):
        found = []
        for s in samples[: -(-len(samples) // 3) if rounds else None]:
            solution = bench.model.solve(s.pde, refine=rounds, project=False)
            found.append((relative_l2(values(solution, s.x), s.u), solution.error_estimate, s.doubt))
        rows += _judged(what, found)
    return rows


def _judged(what: str, found: list[tuple[float, float, float]]) -> Rows:
    share = float(np.mean([error <= max(estimate, doubt) for error, estimate, doubt in found]))
    factor = median(estimate / max(error, 1e-300) for error, estimate, _ in found)
    return [
        row(f"estimate, {len(found)} {what}: share of errors below", share, ">= 0.9", share >= 0.9),
        row(f"estimate, {len(found)} {what}: median factor", factor, "0.1 to 10", 0.1 <= factor <= 10),
    ]
