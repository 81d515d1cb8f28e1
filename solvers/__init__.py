"""Solvers, and the finite element references that they are measured against."""

from __future__ import annotations

from typing import TYPE_CHECKING

#: public name -> module that holds it; imported on first use, so that problems of meshes do not wait for torch
_WHERE = {
    "PROBLEMS": "meshmove.solvers.fem.manufactured",
    "BurgersStep": "meshmove.solvers.generators.burgers_step",
    "ConvergenceError": "meshmove.solvers.pde",
    "Dirichlet": "meshmove.solvers.pde",
    "HyPINO": "meshmove.solvers.hypino",
    "Interval": "meshmove.solvers.pde",
    "LinearPDE": "meshmove.solvers.pde",
    "MMPDE": "meshmove.solvers.mmpde",
    "Neumann": "meshmove.solvers.pde",
    "Problem": "meshmove.solvers.fem.manufactured",
    "ProblemError": "meshmove.solvers.pde",
    "Robin": "meshmove.solvers.pde",
    "SemilinearPDE": "meshmove.solvers.pde",
    "Solution": "meshmove.solvers.solution",
    "TimeInterval": "meshmove.solvers.pde",
    "Trajectories": "meshmove.solvers.data",
    "TrajectoryDataset": "meshmove.solvers.data",
    "WakeStep": "meshmove.solvers.generators.wake_step",
    "interpolation_error_of": "meshmove.solvers.fem.poisson",
    "l2_error": "meshmove.solvers.fem.poisson",
    "project": "meshmove.solvers.solution",
    "solve_finite_elements": "meshmove.solvers.fem.linear",
    "solve_poisson": "meshmove.solvers.fem.poisson",
}

__all__ = sorted(_WHERE)  # noqa: PLE0605

if TYPE_CHECKING:
    from .data import Trajectories as Trajectories
    from .data import TrajectoryDataset as TrajectoryDataset
    from .fem.linear import solve_finite_elements as solve_finite_elements
    from .fem.manufactured import PROBLEMS as PROBLEMS
    from .fem.manufactured import Problem as Problem
    from .fem.poisson import interpolation_error_of as interpolation_error_of
    from .fem.poisson import l2_error as l2_error
    from .fem.poisson import solve_poisson as solve_poisson
    from .generators.burgers_step import BurgersStep as BurgersStep
    from .generators.wake_step import WakeStep as WakeStep
    from .hypino import HyPINO as HyPINO
    from .mmpde import MMPDE as MMPDE
    from .pde import ConvergenceError as ConvergenceError
    from .pde import Dirichlet as Dirichlet
    from .pde import Interval as Interval
    from .pde import LinearPDE as LinearPDE
    from .pde import Neumann as Neumann
    from .pde import ProblemError as ProblemError
    from .pde import Robin as Robin
    from .pde import SemilinearPDE as SemilinearPDE
    from .pde import TimeInterval as TimeInterval
    from .solution import project as project
    from .solution.solution import Solution as Solution


def __getattr__(name: str) -> object:
    if name in _WHERE:
        from meshmove.optional import found_in

        value = found_in(_WHERE[name], name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'meshmove.solvers' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_WHERE])
