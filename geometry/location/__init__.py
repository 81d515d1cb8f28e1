"""Point location: which cell a point lies in, and with which weights of its vertices."""

from .existing import locator_of
from .locate import Location, PointLocator

__all__ = ["Location", "PointLocator", "locator_of"]
