"""From the positions that a mover found to those that a mesh in pieces is given, in which no cell is inverted."""

from .finish import Finished, finish

__all__ = ["Finished", "finish"]
