"""Monitors: derivative recovery, monitor functions, and the error that a mesh is predicted to have."""

from .averaging import Averaging
from .density import CallableDensity, NodalDensity
from .hessians import NodalHessians, NodalThirds
from .interpolation_error import hessian_norm, interpolation_error
from .monitor import Monitor, optimal_exponent, smoother
from .quadratic import quadratic_solution_error, third_derivatives
from .recovery import Recovery, recover_gradient, recover_hessian
from .solution_error import dual_error, solution_error

__all__ = [
    "Averaging",
    "CallableDensity",
    "Monitor",
    "NodalDensity",
    "NodalHessians",
    "NodalThirds",
    "Recovery",
    "dual_error",
    "hessian_norm",
    "interpolation_error",
    "optimal_exponent",
    "quadratic_solution_error",
    "recover_gradient",
    "recover_hessian",
    "smoother",
    "solution_error",
    "third_derivatives",
]
