"""What features are written in: the few functions that NumPy and PyTorch name differently.

On one small mesh a round is hundreds of operations on arrays of a few thousand numbers, and NumPy calls cost a fraction
of PyTorch's; batches, accelerators and derivatives want tensors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

__all__ = ["NUMPY", "TORCH", "Library", "Values", "library_of"]

#: a tensor or an array
Values = Any


@dataclass(frozen=True)
class Library:
    """Functions of arrays; `atleast` is the larger of an array and a number, `take` gathers along an axis."""

    stack: Callable[..., Values]
    concatenate: Callable[..., Values]
    where: Callable[..., Values]
    atleast: Callable[[Values, float], Values]
    log: Callable[[Values], Values]
    exp: Callable[[Values], Values]
    sqrt: Callable[[Values], Values]
    asinh: Callable[[Values], Values]
    take: Callable[[Values, Values, int], Values]


NUMPY = Library(
    np.stack,
    np.concatenate,
    np.where,
    np.maximum,
    np.log,
    np.exp,
    np.sqrt,
    np.arcsinh,
    lambda values, index, axis: values.take(index, axis),
)
TORCH = Library(
    torch.stack,
    torch.cat,
    torch.where,
    torch.clamp_min,
    torch.log,
    torch.exp,
    torch.sqrt,
    torch.asinh,
    lambda values, index, axis: values.index_select(axis, index),
)


def library_of(values: Values) -> Library:
    """That of an array or a tensor."""
    return NUMPY if isinstance(values, np.ndarray) else TORCH
