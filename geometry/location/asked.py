"""Points to locate and cells to start from, checked."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from meshmove.geometry.arrays import Array, Ids

from ..errors import FieldError, first_ids
from ..given import as_numbers, real

__all__ = ["checked_guess", "checked_points"]


def checked_points(points: ArrayLike, dim: int) -> Array:
    x = real(points, "points", f"an array of shape ({dim}, m)")
    if x.ndim != 2 or len(x) != dim:
        hint = "; transpose a node array" if x.ndim == 2 and x.shape[1] == dim else ""
        raise FieldError(f"Expected points of shape ({dim}, m) (got {x.shape}){hint}")
    if not np.isfinite(x).all():
        bad = np.flatnonzero(~np.isfinite(x).all(0))
        raise FieldError(f"Expected finite points (got NaN or infinity at points {first_ids(bad)})")
    return x


def checked_guess(guess: ArrayLike, m: int, n_cells: int) -> Ids:
    cells = as_numbers(guess, "a guess", "cell ids")
    if cells.shape != (m,) or cells.dtype.kind not in "iu" or (m and not 0 <= cells.min() <= cells.max() < n_cells):
        raise FieldError(f"Expected a guess of {m} cell ids below {n_cells} (got {cells.dtype} of shape {cells.shape})")
    return cells.astype(np.int64, copy=False)
