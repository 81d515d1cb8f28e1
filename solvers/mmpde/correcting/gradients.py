"""Rollouts on tensors, with gradients in the start and in the attributes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from meshmove.geometry import FieldError
from meshmove.solvers.mmpde.graph import Graph

from .based import FAR, Based, base_of, step_of

if TYPE_CHECKING:
    from meshmove.solvers.mmpde.network import TwoBranches
    from meshmove.solvers.mmpde.prior.known import Known
    from meshmove.solvers.mmpde.state import State

__all__ = ["unrolled"]


def unrolled(
    model: TwoBranches,
    state: State,
    attributes: Sequence[Tensor],
    numbers: Sequence[float],
    known: Known,
    steps: int,
) -> Tensor:
    """Frames (steps + 1, n, F) from a state whose values (n,) or (n, F) are in the fields' own units; attributes, and
    their `numbers`. See `MMPDE.differentiable`."""
    if model.settings.moving:
        raise ValueError("Expected a model of one branch (got one of two, whose moved meshes have no gradients)")
    values = _checked(state.values, state.graph.n_points, len(model.settings.fields))
    frames, now = [values], _imposed(values, known)
    with _fixed(model):
        while len(frames) <= steps:
            bundle = [_imposed(u, known) for u in _bundle(model, state, now, attributes, numbers)]
            frames, now = frames + bundle, bundle[-1]
    return torch.stack(frames[: steps + 1])


def _bundle(
    model: TwoBranches, state: State, u: Tensor, attributes: Sequence[Tensor], numbers: Sequence[float]
) -> Tensor:
    """(bundle, n, F)."""
    own = torch.stack(list(attributes)) if attributes else u.new_zeros(0)
    own = ((own - model.attribute_mean) / model.attribute_std).float()[None]
    state = replace(state, values=model.normalised(u).float(), attributes=own)
    if not model.settings.base:
        out = model.predicted(state)
        return model.physical(out.double()).transpose(0, 1)
    frames, based = _based(model, state.graph, u, attributes, numbers)
    out = model.predicted(replace(state, based=based))
    return (frames + (out - based.frames).double() * model.std).transpose(0, 1)


def _based(
    model: TwoBranches, graph: Graph, u: Tensor, attributes: Sequence[Tensor], numbers: Sequence[float]
) -> tuple[Tensor, Based]:
    """The base's frames (n, bundle, F), and what it says of the start, by its steps on tensors."""
    s, base, mesh = model.settings, base_of(model), _mesh(graph)
    named, dt, step = dict(zip(s.attributes, attributes, strict=True)), step_of(model), base.tensors

    def fields(values: Tensor) -> dict[str, Tensor]:
        return {name: values[:, k] for k, name in enumerate(s.fields)}

    frames: list[Tensor] = []
    now = u
    while len(frames) < s.bundle:
        some = min(s.leap, s.bundle - len(frames))
        after = step(mesh, fields(now), some * dt, named)
        then = torch.stack([after[name] for name in s.fields], dim=1)
        frames += [now + (then - now) * (k / some) for k in range(1, some)] + [then]
        now = then
    every = torch.stack(frames, dim=1)
    described = step.describe(mesh, fields(u), dt, named) if s.numbers else u.new_zeros(len(u), 0)
    share = torch.ones(len(u), 1) if model.seen is None else _column(model.seen.near(mesh, numbers, FAR))
    based = Based(model.normalised(every).float(), described.float(), share, (mesh,), (tuple(numbers),))
    return every, based


def _imposed(values: Tensor, known: Known) -> Tensor:
    """With what is known on boundaries in its place."""
    for k, ids, value, _ in known.parts:
        at = torch.from_numpy(ids), torch.full((len(ids),), k)
        values = values.index_put(at, values.new_full((len(ids),), value))
    return values


def _checked(start: Tensor, nodes: int, fields: int) -> Tensor:
    if not isinstance(start, Tensor):
        raise FieldError(f"Expected a tensor as the start of a rollout with gradients (got {type(start).__name__})")
    values = start.double()
    values = values[:, None] if values.ndim == 1 else values
    if values.shape != (nodes, fields) or not bool(torch.isfinite(values.detach()).all()):
        raise FieldError(f"Expected finite values of {fields} fields at {nodes} nodes (got {tuple(start.shape)})")
    return values


def _mesh(graph: Graph) -> Any:
    return graph.operators.mesh


def _column(share: Any) -> Tensor:
    return torch.from_numpy(share).float()[:, None]


@contextmanager
def _fixed(model: TwoBranches) -> Iterator[None]:
    """Weights without gradients."""
    asked = [(p, p.requires_grad) for p in model.parameters()]
    try:
        for p, _ in asked:
            p.requires_grad_(False)
        yield
    finally:
        for p, flag in asked:
            p.requires_grad_(flag)
