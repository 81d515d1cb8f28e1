"""How much faster: batches on the accelerator against one core of the same machine, in single and mixed precision."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch

from benchmarks.harness import row, timed
from meshmove import adapt

from .cases import Emission, Moves, Rollouts, synchronised

__all__ = ["throughput"]


def throughput(device: str, tiny: bool) -> Iterator[dict[str, object]]:
    """Seconds a mesh, a problem, a field; and what mixed precision changes."""
    moves = Moves(2, 200) if tiny else Moves(64, 2500)
    few = Moves(2, 200) if tiny else replace(moves, count=2)
    yield from _case("HyPINO, emitted problems", Emission(4 if tiny else 256), Emission(2 if tiny else 16), device)
    yield from _case("MMPDE, rollouts of 30 frames", Rollouts(2 if tiny else 32, 6), Rollouts(1, 6), device)
    yield _classical(few)
    yield from _case(f"mover, {moves.count} meshes of {moves.nodes} nodes", moves, few, device, half=False)


def _case(name: str, case: Any, small: Any, device: str, half: bool = True) -> Iterator[dict[str, object]]:
    """One core takes the smaller batch, for it gains nothing by a larger one."""
    call = case.on(device)
    if half:
        synchronised(call, device)  # kernels are loaded, memory is taken
    seconds, single = timed(lambda: synchronised(call, device), 3 if half else 1)
    torch.set_num_threads(1)
    alone = timed(small.on("cpu"), 1)[0] / small.count
    each = seconds / case.count
    yield row(f"{name}: ms each, one core / accelerator", f"{1e3 * alone:.3g} / {1e3 * each:.3g}")
    yield row(f"{name}: times faster", alone / each)
    if half:
        call = case.on(device, half=True)
        synchronised(call, device)
        seconds, mixed = timed(lambda: synchronised(call, device), 3)
        difference = float((mixed - single).float().norm() / single.norm())
        yield row(f"{name}, mixed precision: ms each", 1e3 * seconds / case.count)
        yield row(f"{name}, mixed precision: difference", difference)


def _classical(moves: Moves) -> dict[str, object]:
    """The classical mover on one core, for the meshes and monitors of `moves`."""
    seconds = [timed(lambda m=mesh, f=monitor: adapt(m, monitor=f), 2)[0] for mesh, monitor in moves.pairs()]
    each = 1e3 * min(seconds)  # the first call of all imports what it needs
    return row(f"classical mover, {moves.nodes} nodes, one core: ms each", each)
