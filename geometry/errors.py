"""The exceptions of the whole package; they live on the ground floor so that every layer can raise them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

__all__ = [
    "DomainError",
    "EnergyError",
    "FieldError",
    "GoalError",
    "InvalidMeshError",
    "MeshmoveError",
    "MonitorError",
    "MoverError",
    "TangledMeshError",
    "UnsupportedMeshError",
    "first_ids",
]


class MeshmoveError(Exception):
    """Base class of every error that meshmove raises on purpose."""


class InvalidMeshError(MeshmoveError, ValueError):
    """The mesh itself is unusable: empty, degenerate cells, duplicated nodes, hanging facets."""


class TangledMeshError(InvalidMeshError):
    """Cells of the mesh are inverted or overlap their neighbours."""


class UnsupportedMeshError(MeshmoveError, TypeError):
    """No converter knows this class, or the cells are of a kind that meshmove does not move."""


class FieldError(MeshmoveError, ValueError):
    """A field has the wrong length, an unknown name, or values that are not finite."""


class EnergyError(MeshmoveError, ValueError):
    """An energy has no finite value, derivatives of another shape, or is not stationary at the solution."""


class GoalError(MeshmoveError, ValueError):
    """A goal that does not depend on the solution, or whose adjoint problem has no unique solution."""


class MonitorError(MeshmoveError, ValueError):
    """A monitor function is not positive and finite."""


class MoverError(MeshmoveError, ValueError):
    """A mover returns what cannot be the positions of the nodes."""


def first_ids(ids: Sequence[int] | NDArray[Any], most: int = 5) -> str:
    """Ids for an error message: the first few, and how many more there are.

    >>> first_ids([3, 1, 4, 1, 5, 9], most=3)
    '3, 1, 4 (and 3 more)'
    """
    shown = ", ".join(str(int(i)) for i in ids[:most])
    return shown if len(ids) <= most else f"{shown} (and {len(ids) - most} more)"


class DomainError(MeshmoveError, ValueError):
    """A shape, a combination of shapes, or what is asked of it makes no sense."""
