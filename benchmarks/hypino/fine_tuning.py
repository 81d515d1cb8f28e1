"""Fine-tuning from HyPINO's answer against fine-tuning from random weights: steps to the same error."""

from __future__ import annotations

from benchmarks.harness import Rows, row
from benchmarks.hypino.cases import Bench, Sample, relative_l2
from meshmove.solvers.hypino.emitted import Emitted
from meshmove.solvers.hypino.finetune import finetune, random_start

__all__ = ["fine_tuning"]

STEPS = 60


def fine_tuning(bench: Bench) -> Rows:
    """Steps to the lowest error that both starts reach in 60 (quick: 10), on the seven; looked at every tenth.

    The random start is of the same shape and as smooth as can be, and trained in the same way. Ours ends where it
    reaches the lowest error of the random one.
    """
    steps = 10 if bench.quick else STEPS
    samples = bench.seven[: 1 if bench.quick else None]
    rows: Rows = []
    fewer = 0
    for s in samples:
        emitted = bench.model.emit(s.pde)
        theirs = _errors(s, random_start(emitted), steps)
        ours = _errors(s, emitted, steps, min(theirs.values()))
        common = max(min(theirs.values()), min(ours.values()))
        mine, random = (next(k for k, e in found.items() if e <= common) for found in (ours, theirs))
        fewer += mine < random
        more = {"zero_shot": ours[0], "lowest": min(ours.values()), "random_lowest": min(theirs.values())}
        rows.append(row(f"fine-tuning {s.name}: steps", mine, None, None, random=random, error=common, **more))
    wanted = min(5, len(samples))
    rows.append(row(f"fine-tuning: fewer steps, of {len(samples)}", fewer, f">= {wanted}", fewer >= wanted))
    return rows


def _errors(s: Sample, start: Emitted, steps: int, enough: float = 0.0) -> dict[int, float]:
    """Error by number of steps, up to one that is low enough."""

    def watch(step: int, network: Emitted) -> bool:
        found[step] = relative_l2(network.numpy()(s.x).numpy(), s.u)
        return found[step] <= enough

    found: dict[int, float] = {}
    if not watch(0, start):
        finetune(s.pde, start, steps, watch=watch)
    return found
