"""Goals of scikit-fem's users: values of functionals of a solution, and their adjoint solutions."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import skfem
from scipy.sparse.linalg import MatrixRankWarning

from meshmove.geometry.arrays import Array
from meshmove.geometry.errors import GoalError
from meshmove.options import as_numbers, shown

from .bases import pair_of
from .energy import integrals, is_form, terms_of

__all__ = ["SkfemGoal", "goal_of"]


#: an adjoint solution that varies by less than this share of its size is a constant that the equation leaves open
VARIES = 1e-7


def goal_of(goal: Any, adjoint: Any) -> SkfemGoal:
    """A goal as its user gives it, and the solve of its adjoint problem.

    Raises
    ------
    ValueError
        A goal that is neither a form nor a function, or an adjoint that is no function.
    """
    if not callable(adjoint):
        raise ValueError(
            "Expected with a goal adjoint=, a function adjoint(basis, load) that solves the transposed problem for a "
            f"load vector (got {type(adjoint).__name__}), such as lambda basis, load: skfem.solve(*skfem.condense("
            "matrix(basis).T, load, D=basis.get_dofs()))"
        )
    return SkfemGoal(goal, adjoint)


class SkfemGoal:
    """A functional of the solution, and what its derivative is in the dual problem."""

    def __init__(self, goal: Any, adjoint: Callable[[Any, Array], Any]) -> None:
        several = goal if isinstance(goal, list | tuple) else [goal]
        forms = any(is_form(p[0] if isinstance(p, list | tuple) and p else p) for p in several)
        self._terms = terms_of(goal) if forms else None
        if not forms and not callable(goal):
            raise ValueError(
                "Expected a goal as a skfem.Functional of w['u'], a list of such and of pairs with the name of a "
                f"boundary or subdomain, or a function goal(basis, dofs) -> value, derivatives (got {shown(goal)})"
            )
        self._goal, self._adjoint = goal, adjoint
        self.name = ", ".join(t.name for t in self._terms) if self._terms else getattr(goal, "__name__", "the goal")

    def __call__(self, mesh: skfem.Mesh, field: Any) -> tuple[float, tuple[Any, Array]]:
        """The goal's value, and its adjoint solution as a pair (basis, dofs).

        Raises
        ------
        GoalError
            The goal has no derivative or a zero one, or its adjoint problem has no unique solution.
        """
        basis, dofs = pair_of(mesh, field)
        value, load = self._derivative(basis, dofs)
        if not np.isfinite(value) or not np.isfinite(load).all():
            raise GoalError(f"Expected a finite goal {self.name} with finite derivatives (got the value {value})")
        if not load.any():
            raise GoalError(f"Expected a goal that depends on the solution (the derivative of {self.name} is zero)")
        return value, (basis, self._solved(basis, load))

    def _derivative(self, basis: Any, dofs: Array) -> tuple[float, Array]:
        if self._terms is not None:
            parts = integrals(self._terms, basis, dofs)
            return sum(p.value for p in parts), np.sum([p.by_dofs()[0] for p in parts], axis=0)
        out = self._goal(basis, dofs)
        if not isinstance(out, tuple | list) or len(out) != 2:
            raise GoalError(f"Expected {self.name} to return its value and its derivatives (got {type(out).__name__})")
        load = as_numbers(out[1], f"the derivatives of {self.name}", f"{basis.N} numbers", GoalError)
        if load.shape != (basis.N,):
            raise GoalError(f"Expected {basis.N} derivatives of {self.name} (got shape {load.shape})")
        return float(out[0]), np.asarray(load, float)

    def _solved(self, basis: Any, load: Array) -> Array:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", MatrixRankWarning)
                z = np.asarray(self._adjoint(basis, load))
        except (MatrixRankWarning, np.linalg.LinAlgError, RuntimeError) as why:
            if isinstance(why, RuntimeError) and "singular" not in str(why):
                raise
            raise GoalError(f"{self._unsolvable} (it raised {type(why).__name__}: {why})") from why
        if z.shape != (basis.N,):
            raise GoalError(
                f"Expected {basis.N} degrees of freedom of the adjoint of {self.name} (got shape {z.shape})"
            )
        if not np.isfinite(z).all():
            raise GoalError(f"{self._unsolvable} (it is not finite at {int((~np.isfinite(z)).sum())} of them)")
        if np.ptp(z) <= VARIES * np.abs(z).max():
            raise GoalError(f"{self._unsolvable} (it is a constant of {np.abs(z).max():.3g} up to rounding)")
        return z

    @property
    def _unsolvable(self) -> str:
        return (
            f"Expected an adjoint solution of the goal {self.name}: its problem is singular. Hold the degrees of "
            "freedom that `solve` holds, with zero values"
        )
