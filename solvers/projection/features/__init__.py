"""Functions that projections combine, with their derivatives: splines, singular functions, random ones."""

from .random_tanh import Tanh
from .singular import Local, corner_features, hole_features
from .splines import Splines

__all__ = ["Local", "Splines", "Tanh", "corner_features", "hole_features"]
