"""Semilinear problems: a linear operator, and a term that may be any function of u, its gradient and the points."""

from .linearised import Linearised, Start
from .problem import SemilinearPDE
from .reaction import ConvergenceError, NotFiniteError, Reaction

__all__ = ["ConvergenceError", "Linearised", "NotFiniteError", "Reaction", "SemilinearPDE", "Start"]
