"""The same answers: the accelerator's against the processor's."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from benchmarks.harness import row

from .cases import Emission, Moves, Rollouts

__all__ = ["agreement"]

LIMIT = 1e-4


def agreement(device: str, tiny: bool) -> Iterator[dict[str, object]]:
    """Relative differences, in the Euclidean norm, of displacements, solutions and fields."""
    for dim, nodes in ((2, 400), (3, 300)):
        moves = Moves(2 if tiny else 8, nodes, dim)
        here, there = (moves.on(where)() for where in ("cpu", device))
        name = f"mover, {moves.count} meshes in {dim}-D"
        yield _row(name, moves.displacement(there), moves.displacement(here))
        yield row(f"{name}: no cell inverted", moves.valid(there), True, moves.valid(there))
    emission = Emission(4 if tiny else 32)
    yield _row(f"HyPINO, {emission.count} problems", *(emission.on(where)() for where in (device, "cpu")))
    rollouts = Rollouts(2 if tiny else 8, 2 if tiny else 6)
    what = f"MMPDE, {rollouts.count} fields, {rollouts.bundles} bundles"
    yield _row(what, *(rollouts.on(where)() for where in (device, "cpu")))


def _row(name: str, there: torch.Tensor, here: torch.Tensor) -> dict[str, object]:
    difference = float((there.cpu() - here.cpu()).norm() / here.cpu().norm())
    return row(f"{name}: difference", difference, f"<= {LIMIT:g}", difference <= LIMIT)
