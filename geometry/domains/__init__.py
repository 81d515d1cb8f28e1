"""Domains in the plane: shapes, their unions, intersections and differences, with exact distance and meshes."""

from ..errors import DomainError
from .domain import BoundarySample, Difference, Domain, Intersection, Union
from .raster import Raster
from .shapes import Disk, Ellipse, Polygon, Rectangle, Triangle

__all__ = [
    "BoundarySample",
    "Difference",
    "Disk",
    "Domain",
    "DomainError",
    "Ellipse",
    "Intersection",
    "Polygon",
    "Raster",
    "Rectangle",
    "Triangle",
    "Union",
]
