"""Projection: the best combination of features for a linear problem, by least squares in double precision."""

from .differentiate import Projector
from .project import Level, Projection, project
from .splines import Splines
from .tanh import Tanh

__all__ = ["Level", "Projection", "Projector", "Splines", "Tanh", "project"]
