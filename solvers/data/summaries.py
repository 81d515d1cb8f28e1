"""What is said of many numbers at once: their range, their mean and how far they spread."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["range_of", "spread"]


def spread(parts: Sequence[NDArray]) -> tuple[float, float]:
    """Mean and standard deviation of all values of arrays (n, ...)."""
    count = sum(part.size for part in parts)
    mean = sum(float(part.sum(dtype=float)) for part in parts) / count
    # one trajectory at a time, so that no copy of all is made
    squares = sum(float(((one - mean) ** 2).sum(dtype=float)) for part in parts for one in part)
    return mean, float(np.sqrt(squares / count))


def range_of(numbers: Sequence[int]) -> str:
    """In words: "3", or "3 to 7"."""
    return f"{min(numbers)}" if min(numbers) == max(numbers) else f"{min(numbers)} to {max(numbers)}"
