"""Solvers, and the finite element references that they are measured against."""

from .poisson import PROBLEMS, Problem, interpolation_error_of, l2_error, solve_poisson

__all__ = ["PROBLEMS", "Problem", "interpolation_error_of", "l2_error", "solve_poisson"]
