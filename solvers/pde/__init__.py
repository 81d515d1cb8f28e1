"""Stating linear problems of second order: equation, domain, conditions; and their finite element solution."""

from ._functions import NonlinearError, ProblemError
from .conditions import Dirichlet, Interval, Neumann, Robin, TimeInterval
from .linear import TERMS, LinearPDE, several_of
from .mesh_domain import MeshDomain
from .shape import Corner, Hole
from .unit import BoundaryRows, InteriorRows, UnitProblem

__all__ = [
    "TERMS",
    "BoundaryRows",
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
    "TimeInterval",
    "UnitProblem",
    "several_of",
]
