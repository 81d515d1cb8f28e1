"""Projection: the best combination of features for a linear problem, by least squares in double precision."""

from .differentiate import Projector
from .features.random_tanh import Tanh
from .features.splines import Splines
from .grids import Level, Projection

__all__ = ["Level", "Projection", "Projector", "Splines", "Tanh"]


def __getattr__(name: str) -> object:
    if name == "project":  # where it was before solutions had a room of their own, above this one
        from importlib import import_module

        return import_module("meshmove.solvers").project
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
