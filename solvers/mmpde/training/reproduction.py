"""Learned interpolation that meets nothing by itself learns to reproduce first: fields go there, back and over."""

from __future__ import annotations

import torch
from torch import Tensor

from meshmove.solvers.mmpde.network import TwoBranches

from .samples import Batch, Samples

__all__ = ["reproduce"]

#: starts that are looked at, and steps of Adam's on them
LOOKED_AT, STEPS, RATE = 16, 250, 3e-3


def reproduce(model: TwoBranches, samples: Samples, steps: int | None = None) -> None:
    """Train the interpolations of a model, and its residual cut, until fields of the data come back as they went.

    Hu, Wang and Ma do so, there and back; the way over from one moved mesh to the next is theirs with fields that live
    there."""
    steps = STEPS if steps is None else steps
    samples = samples.unrolled(2) if samples.reach >= 2 else samples
    ids = samples.shuffled(range(min(LOOKED_AT, len(samples))), 1)
    batches = [samples.batch([k]).to(model.unit.device) for k in ids]
    parts = [model.there, model.back, model.over] if model.settings.learned else []
    weights = [p for part in (*parts, *([model.cut] if model.settings.cut else [])) for p in part.parameters()]
    adam = torch.optim.Adam(weights, RATE)
    slower = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    for k in range(steps):
        adam.zero_grad()
        _off(model, batches[k % len(batches)]).backward()
        adam.step()
        slower.step()
    adam.zero_grad()


def _off(model: TwoBranches, batch: Batch) -> Tensor:
    """Mean square of what a field misses there, back and over."""
    state = batch.states[0]
    assert state.moved is not None
    there = model.taken_there(state, state.values)
    back = model.returned(state, there[:, None])[:, 0]
    off = (there - state.moved.values).square().mean() + (back - state.values).square().mean()
    if len(batch.states) > 1:
        then = batch.states[1].moved
        assert then is not None
        off = off + (model.taken_over(then, batch.moved[0][:, -1]) - then.values).square().mean()
    return off
