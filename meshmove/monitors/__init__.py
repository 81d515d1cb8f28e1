"""Monitors: derivative recovery, monitor functions, and the error that a mesh is predicted to have."""

from .density import CallableDensity, NodalDensity, simplicial
from .duality import dual_error, solution_error
from .hessians import NodalHessians
from .monitor import Monitor, optimal_exponent
from .predict import hessian_norm, interpolation_error
from .quadratic import quadratic_solution_error, third_derivatives
from .recovery import Recovery, recover_gradient, recover_hessian

__all__ = [
    "CallableDensity",
    "Monitor",
    "NodalDensity",
    "NodalHessians",
    "Recovery",
    "dual_error",
    "hessian_norm",
    "interpolation_error",
    "optimal_exponent",
    "quadratic_solution_error",
    "recover_gradient",
    "recover_hessian",
    "simplicial",
    "solution_error",
    "third_derivatives",
]
