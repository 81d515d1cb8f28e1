"""Point location: which cell a point lies in, and with which weights of its vertices."""

from .locate import Location, PointLocator, locator_of

__all__ = ["Location", "PointLocator", "locator_of"]
