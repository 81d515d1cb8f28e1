"""Stating linear and semilinear problems of second order: equation, domain, conditions."""

from .conditions import Dirichlet, Interval, Neumann, Robin, TimeInterval
from .functions import NonlinearError, ProblemError
from .linear import LinearPDE, several_of
from .mesh_domain import MeshDomain
from .semilinear import ConvergenceError, SemilinearPDE
from .statement import Statement
from .terms import TERMS
from .unit import BoundaryRows, InteriorRows, UnitProblem
from .unit.corners_and_holes import Corner, Hole

__all__ = [
    "TERMS",
    "BoundaryRows",
    "ConvergenceError",
    "Corner",
    "Dirichlet",
    "Hole",
    "InteriorRows",
    "Interval",
    "LinearPDE",
    "MeshDomain",
    "Neumann",
    "NonlinearError",
    "ProblemError",
    "Robin",
    "SemilinearPDE",
    "Statement",
    "TimeInterval",
    "UnitProblem",
    "several_of",
]
