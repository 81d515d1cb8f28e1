"""What a model that corrects a base takes from its data before and while it learns: usual sizes, and its gates."""

from __future__ import annotations

import numpy as np
import torch

from meshmove.solvers.mmpde.correcting.gate import roughness
from meshmove.solvers.mmpde.network import TwoBranches

from .samples import Samples

__all__ = ["calibrate_correction", "open_gates", "set_gates"]

#: starts that are looked at
LOOKED_AT = 96


def calibrate_correction(model: TwoBranches, samples: Samples) -> None:
    """Set the usual changes over a bundle by the base, and the usual errors of the base in units of roughness."""
    ahead, missed = [], []
    for k in _some(samples):
        batch = samples.batch([k], moved=False)
        state, target = batch.states[0], batch.targets[0]
        assert state.based is not None
        frames, u = state.based.frames, state.values
        rough = roughness(state.graph, u, frames).square().mean(0).sqrt()
        ahead.append((frames - u[:, None]).square().mean(0))
        missed.append((target - frames).square().mean(0).sqrt() / rough.clamp_min(1e-6))
    model.ahead.copy_(torch.stack(ahead).mean(0).sqrt().clamp_min(1e-3))
    model.change.copy_(torch.stack(missed).mean(0).clamp_min(1e-3))


def open_gates(model: TwoBranches) -> None:
    """While a model learns, it takes all of its corrections."""
    if model.settings.base:
        model.gate.open()
        model.gate_there.open()


@torch.no_grad()
def set_gates(model: TwoBranches, samples: Samples, moved: bool) -> None:
    """Tell the gates what the branches' last layers have on the training data."""
    here, there = [], []
    for k in _some(samples):
        state = samples.batch([k], moved).states[0].to(model.unit.device)
        _, inputs, graph, _ = model.asked(state)
        here.append(model.still.features(inputs, graph, model.unit))
        if state.moved is not None:
            _, inputs, graph, _ = model.asked_there(state, model.predicted(state))
            there.append(model.moving.features(inputs, graph, model.unit))
    model.gate.set(torch.cat(here))
    if there:
        model.gate_there.set(torch.cat(there))


def _some(samples: Samples) -> np.ndarray:
    """Ids of some starts, spread over the data."""
    return samples.shuffled(range(min(LOOKED_AT, len(samples))), 0)
