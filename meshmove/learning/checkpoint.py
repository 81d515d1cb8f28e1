"""Checkpoints of a training run as safetensors: weights, their running average, and the optimisers' moments."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .weights import read_weights, write_weights

__all__ = ["read_checkpoint", "restore", "save_checkpoint"]

#: of a checkpoint
Stored = tuple[dict[str, Any], dict[str, Tensor]]


def save_checkpoint(
    path: Path,
    model: nn.Module,
    average: nn.Module,
    optimizers: Sequence[torch.optim.Optimizer],
    facts: dict[str, str],
    kind: str = "dmm",
) -> None:
    """Everything that the run needs to go on as if it had not stopped; `kind` of model."""
    tensors: dict[str, Tensor] = {f"model.{k}": v for k, v in model.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in average.state_dict().items()}
    for i, optimizer in enumerate(optimizers):
        for number, moments in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer{i}.{number}.{k}": v.clone() for k, v in moments.items()}
    write_weights(path, f"{kind}-checkpoint", facts, tensors)


def read_checkpoint(path: Path, config: str, kind: str = "dmm") -> Stored:
    """Facts and tensors that `save_checkpoint` wrote.

    Raises
    ------
    ValueError
        If they belong to another configuration.
    """
    facts, tensors = read_weights(path, f"{kind}-checkpoint")
    if facts["config"] != config:
        raise ValueError(
            f"Expected a checkpoint of this configuration in {path.parent} (got one of {facts['config']}): "
            "name another folder, or the same configuration"
        )
    return facts, tensors


def restore(
    stored: Stored, model: nn.Module, average: nn.Module, optimizers: Sequence[torch.optim.Optimizer]
) -> dict[str, Any]:
    """Put what `read_checkpoint` read in its place; gives back the facts."""
    facts, tensors = stored
    parts: dict[str, dict[str, Tensor]] = defaultdict(dict)
    for name, value in tensors.items():
        part, _, rest = name.partition(".")
        parts["optimizer0" if part == "optimizer" else part][rest] = value  # before there could be several
    model.load_state_dict(parts["model"])
    average.load_state_dict(parts["average"])
    for i, optimizer in enumerate(optimizers):
        state: dict[int, dict[str, Tensor]] = defaultdict(dict)
        for name, value in parts[f"optimizer{i}"].items():
            number, _, moment = name.partition(".")
            state[int(number)][moment] = value
        optimizer.load_state_dict({"state": dict(state), "param_groups": optimizer.state_dict()["param_groups"]})
    return facts
