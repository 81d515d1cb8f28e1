"""Solutions as functions: evaluated, differentiated, their residual and error estimated; and the projection as one."""

from .project import project
from .solution import Solution, Verification

__all__ = ["Solution", "Verification", "project"]
