"""The entries of trajectories, checked: numbers, node ids, and that their shapes fit each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry.errors import FieldError, MeshmoveError, first_ids
from meshmove.geometry.given import integers, real

if TYPE_CHECKING:
    from .trajectories import Trajectories

__all__ = ["DatasetError", "check", "node_ids", "numbers"]


class DatasetError(MeshmoveError, ValueError):
    """A data set is inconsistent, or a file is not one."""


def numbers(value: Any, name: str) -> NDArray[np.float64]:
    """Real numbers as float64."""
    return real(value, repr(name), "real numbers", DatasetError)


def node_ids(value: Any, name: str) -> NDArray[np.int64]:
    """Ids as int64, which none is rounded to."""
    return integers(value, f"node ids in {name!r}", error=DatasetError)


def check(data: Trajectories) -> None:
    """That entries fit each other.

    Raises
    ------
    DatasetError, FieldError
        With what was expected, and where something else came.
    """
    if not data.fields:
        raise DatasetError("Expected at least one field (got none)")
    if data.points.ndim != 2 or not np.isfinite(data.points).all():
        raise DatasetError(f"Expected finite points of shape (n, dim) (got shape {data.points.shape})")
    if data.times.ndim != 1 or not (np.diff(data.times) > 0).all():
        raise DatasetError("Expected increasing times, one for each frame")
    count = next(iter(data.fields.values())).shape[:1]
    shape = (*count, len(data.times), len(data.points))
    for name, values in data.fields.items():
        if values.shape != shape:
            raise DatasetError(
                f"Expected fields of shape (trajectories, frames, nodes) = {shape} (got {name!r}: {values.shape})"
            )
        bad = np.argwhere(~np.isfinite(values).all(axis=2))
        if len(bad):
            raise FieldError(
                f"Expected finite values (got others in {name!r}, trajectory {bad[0, 0]}, frame {bad[0, 1]}, "
                f"and {len(bad)} frames in all)"
            )
    for name, values in data.attributes.items():
        if values.shape != count:
            raise DatasetError(f"Expected {count[0]} values of attribute {name!r} (got shape {values.shape})")
    for name, nodes in {**data.cells, **data.boundaries}.items():
        if nodes.ndim != 2:
            raise DatasetError(f"Expected rows of node ids in {name!r} (got an array of shape {nodes.shape})")
        lowest = -1 if name in data.boundaries else 0
        outside = np.flatnonzero((nodes < lowest).any(axis=1) | (nodes >= len(data.points)).any(axis=1))
        if len(outside):
            raise DatasetError(f"Expected node ids below {len(data.points)} in {name!r} (got others at rows "
                               f"{first_ids(outside)})")  # fmt: skip
