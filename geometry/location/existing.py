"""A locator that is there already, or a new one."""

from __future__ import annotations

from ..errors import FieldError
from ..mesh import CellMesh
from .locate import PointLocator

__all__ = ["locator_of"]


def locator_of(mesh: CellMesh, locator: PointLocator | None) -> PointLocator:
    """The one that is there already, or a new one of a mesh.

    Raises
    ------
    FieldError
        What is there is none, or of another mesh.
    """
    if locator is None:
        return PointLocator(mesh)
    if not isinstance(locator, PointLocator):
        raise FieldError(f"Expected a PointLocator of the mesh, or None (got {type(locator).__name__})")
    return locator
