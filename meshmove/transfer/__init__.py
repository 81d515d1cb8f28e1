"""Nodal fields carried from one position of a mesh to another."""

from .conservative import conservative
from .interpolate import interpolate

__all__ = ["conservative", "interpolate"]
