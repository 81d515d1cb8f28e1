"""Nodal fields carried from one position of a mesh to another."""

from .conservative import conservative
from .interpolate import interpolate
from .swept import swept

__all__ = ["conservative", "interpolate", "swept"]
