"""Meshes for a goal: rounds in which the solution and its adjoint say together where cells are needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from meshmove.adaptation.adapt import Adapting
from meshmove.adaptation.result import Adaptation
from meshmove.meshes.source import Source

__all__ = ["rounds"]


def rounds(
    first: Any,
    solve: Callable[[Any], Any],
    goal: Any,
    adjoint: Any,
    steps: int,
    adapt_options: Mapping[str, Any],
) -> Iterator[Adaptation]:
    """Solve, solve the adjoint problem, and move the mesh to both; the report has the goal on the mesh that came.

    Raises
    ------
    ValueError
        A library whose meshes know no goals, or an adjoint without a goal.
    """
    if goal is None:
        raise ValueError("Expected a goal with adjoint= (got none)")
    of: Any = getattr(Source.of(first).converter, "goal", None)
    if of is None:
        raise ValueError(f"Expected a mesh of scikit-fem for a goal (got a {type(first).__name__})")
    value_of = of(goal, adjoint)
    adapting = Adapting.of(adapt_options)
    mesh = first
    for _ in range(steps):
        field = solve(mesh)
        value, dual = value_of(mesh, field)
        out = adapting(mesh, field, dual)
        mesh = out.mesh
        yield replace(out, report=replace(out.report, goal=value))
