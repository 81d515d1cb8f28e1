"""The loss: relative errors of bundles that follow each other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from meshmove.solvers.mmpde.correcting.based import Based
from meshmove.solvers.mmpde.graph import Graph
from meshmove.solvers.mmpde.network import TwoBranches
from meshmove.solvers.mmpde.state import State

from .samples import Batch

__all__ = ["Objective", "gone_on", "unrolled_errors"]

#: weight, in the loss, of values at nodes that learned parts bring back: they have no other gradient
RETURNED = 0.3
#: relative error of a base from which on downwards it need not become any better
EXACT = 1e-3


class Objective(nn.Module):
    def __init__(self, model: TwoBranches, noise: float, half: bool) -> None:
        super().__init__()
        self.model, self._noise, self._half = model, noise, half

    def forward(self, batch: Batch, generator: Any = None) -> Tensor:
        kind = batch.targets[0].device.type
        with torch.autocast(kind, torch.bfloat16, enabled=self._half and kind == "cuda"):
            return unrolled_errors(self.model, batch, self._noise, generator, RETURNED)[-1].mean()


def unrolled_errors(
    model: TwoBranches, batch: Batch, noise: float = 0.0, generator: Any = None, returned: float = 0.0
) -> list[Tensor]:
    """Relative L2 errors (n_meshes,) of each bundle; each starts where the last one ended, without a gradient."""
    errors: list[Tensor] = []
    ends: tuple[Tensor, Tensor | None] | None = None
    for k, state in enumerate(batch.states):
        if ends is not None:
            state = gone_on(model, state, *ends)
        elif noise:
            state = _kicked(model, state, noise, generator)
        last = k == len(batch.states) - 1
        grad = last and torch.is_grad_enabled()
        with torch.set_grad_enabled(grad and state.moved is None):
            out = model.predicted(state)
        if state.moved is None:
            errors.append(_beside(state.graph, out, batch.targets[k], state.based))
            ends = out[:, -1], None
            continue
        with torch.set_grad_enabled(grad):
            there = model.evolved(state, out)
            graph = replace(state.graph, weight=state.moved.weight)
            error = _beside(graph, there, batch.moved[k], state.moved.based)
            returns = model.settings.learned or model.settings.cut > 0
            if not last or returns:
                at_nodes = model.returned(state, there[:, -1:])[:, 0]
                ends = at_nodes, there[:, -1]
                if returned and returns:
                    error = error + returned * _relative(state.graph, at_nodes, batch.targets[k][:, -1])
        errors.append(error)
    return errors


def gone_on(model: TwoBranches, state: State, values: Tensor, there: Tensor | None) -> State:
    """The state with values (N, F) at the nodes, and `there` at the moved nodes of the bundle before."""
    moved = state.moved
    if moved is not None:
        assert there is not None
        moved = replace(moved, values=model.taken_over(moved, there))
    return _based(model, replace(state, values=values, moved=moved))


def _based(model: TwoBranches, state: State) -> State:
    """The state with the base's steps from where it starts now."""
    based, moved = state.based, state.moved
    if based is None:
        return state
    if moved is not None and moved.based is not None:
        moved = replace(moved, based=moved.based.gone_on(model, moved.values))
    return replace(state, based=based.gone_on(model, state.values), moved=moved)


def _kicked(model: TwoBranches, state: State, noise: float, generator: Any) -> State:
    kick = noise * torch.randn(state.values.shape, generator=generator).to(state.values)
    moved = state.moved
    if moved is not None:
        with torch.no_grad():
            moved = replace(moved, values=moved.values + model.taken_there(state, kick))
    return _based(model, replace(state, values=state.values + kick, moved=moved))


def _beside(graph: Graph, values: Tensor, target: Tensor, based: Based | None) -> Tensor:
    """Errors relative to the target; for a model that corrects a base, to the base's error, so that it learns to keep
    its hands off where that is exact."""
    if based is None:
        return _relative(graph, values, target)
    size = graph.norm(target).clamp_min(1e-6)
    return graph.norm(values.float() - target) / (graph.norm(based.frames - target) + EXACT * size)


def _relative(graph: Graph, values: Tensor, target: Tensor) -> Tensor:
    return graph.norm(values.float() - target) / graph.norm(target).clamp_min(1e-6)
