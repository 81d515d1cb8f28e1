"""Optimizers and their schedule."""

from __future__ import annotations

import math

import torch
from torch import nn

__all__ = ["matrices_apart", "schedule"]


def matrices_apart(
    model: nn.Module, learning_rate: float, matrices: float, decay: float
) -> tuple[torch.optim.Optimizer, ...]:
    """AdamW for a model's weights; if `matrices` is not 0, Muon with that rate for its weight matrices of 8 rows and
    columns at least.

    Steps of Muon are orthogonal matrices: all directions are learned at once, not the strongest ones first.

    References
    ----------
    Jordan and others, Muon: an optimizer for hidden layers in neural networks (2024).
    """
    weights = list(model.parameters())
    apart = [p for p in weights if matrices and p.ndim == 2 and min(p.shape) >= 8]
    ids = {id(p) for p in apart}
    rest = [p for p in weights if id(p) not in ids]
    adam = (torch.optim.AdamW(rest, learning_rate, weight_decay=decay, fused=True),) if rest else ()
    return (*adam, torch.optim.Muon(apart, matrices, weight_decay=0.0)) if apart else adam


def schedule(t: float) -> float:
    """Learning rate at the fraction t of the run: a short rise, then half a cosine down to a hundredth.

    >>> [round(schedule(t), 2) for t in (0.03, 1.0)]
    [1.0, 0.01]
    """
    rise = 0.03
    return t / rise + 0.01 if t < rise else 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (t - rise) / (1 - rise)))
