"""From a problem to its solution: the hypernetwork's answer, and what improves it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from numbers import Integral
from operator import add
from typing import TYPE_CHECKING, Any

from meshmove.solvers.pde import LinearPDE, ProblemError
from meshmove.solvers.projection import project as project_problem
from meshmove.solvers.projection.field import Sum

from .finetune import finetune as finetuned
from .refine import refine as refined
from .solution import Solution

if TYPE_CHECKING:
    from .model import HyPINO

__all__ = ["solve"]


def solve(
    model: HyPINO,
    pde: LinearPDE,
    *,
    refine: int = 0,
    finetune: int = 0,
    project: bool | str = False,
    tolerance: float = 3e-5,
    effort: float = 1.0,
    seed: int = 0,
    first: Any = None,
) -> Solution:
    """Solve a linear problem.

    Parameters
    ----------
    model
        The hypernetwork.
    refine
        Rounds of refinement; a round that does not help is not kept.
    finetune
        Steps of training the emitted networks on the residual.
    project
        True: least squares over splines and singular functions, which need nothing from the networks; "emitted": over
        the networks' features as well, which is slower; False: none.
    tolerance, effort, seed
        See `project`.
    first
        What the hypernetwork wrote for the problem, in a batch of others say; by default it is asked.

    Returns
    -------
    Solution
        Its `history` are those of all the steps, in order.

    Raises
    ------
    ProblemError
        A negative number of rounds or steps, or another value of `project`.
    """
    if not isinstance(pde, LinearPDE):
        raise ProblemError(f"Expected a LinearPDE (got {type(pde).__name__})")
    counts = all(isinstance(n, Integral) and n >= 0 for n in (refine, finetune))
    if not counts or not (isinstance(project, bool) or project == "emitted"):
        raise ProblemError(
            'Expected whole numbers refine >= 0, finetune >= 0, project False, True or "emitted" '
            f"(got {refine!r}, {finetune!r}, {project!r})"
        )
    if project is True and not refine and not finetune:
        return project_problem(pde, tolerance=tolerance, effort=effort, seed=seed)

    def emit(problem: LinearPDE) -> Any:
        return first if problem is pde and first is not None else model.emit(problem)

    field, networks, history = refined(pde, emit, refine)
    steps: list[Any] = list(history)
    how = "emitted" if not refine else f"emitted and refined in {sum(r.kept for r in history) - 1} rounds"
    if finetune:
        whole, more = finetuned(pde, _joined(networks, field.factors), finetune, seed=seed)
        field, networks = Sum((whole,), (1.0,)), [whole]
        steps += more
        how += ", fine-tuned"
    emitted = networks[0] if len(networks) == 1 else _joined(networks, field.factors)
    if project:
        found = project_problem(
            pde, emitted if project == "emitted" else None, tolerance=tolerance, effort=effort, seed=seed
        )
        return Solution(
            pde,
            found.field,
            history=(*steps, *found.history),
            estimate=found.error_estimate,
            doubts=found.doubts,
            how=f"{how}, projected",
            emitted=emitted,
        )
    return Solution(pde, field, history=steps, how=how, emitted=emitted)


def _joined(networks: Sequence[Any], factors: Sequence[float]) -> Any:
    return reduce(add, (n * a for n, a in zip(networks, factors, strict=True)))
