"""Projection: the best combination of features for a linear problem, by least squares in double precision."""

from .differentiate import Projector
from .grids import Level, Projection
from .random_tanh import Tanh
from .splines import Splines

__all__ = ["Level", "Projection", "Projector", "Splines", "Tanh"]
