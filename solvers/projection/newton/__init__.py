"""Newton's method on projections: semilinear problems as sequences of linear ones."""

from .semilinear import project_semilinear

__all__ = ["project_semilinear"]
