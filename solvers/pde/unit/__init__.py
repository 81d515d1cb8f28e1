"""A problem in the coordinates of the square [-1, 1]^2: rows at points, its picture, its corners and holes."""

from .problem import BoundaryRows, InteriorRows, UnitProblem
from .sampling import walked
from .shared import shared

__all__ = ["BoundaryRows", "InteriorRows", "UnitProblem", "shared", "walked"]
