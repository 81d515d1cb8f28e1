"""The projection of a linear problem, or finite elements on refined meshes where no splines resolve its solution.

Splines are smooth and their knots lie along the axes, so a front along a curve is beyond them. Cubic elements on
triangles that are halved where the flux jumps follow any curve, to fewer digits. Which it is the estimates say. A few
digits cost them less than splines need to see corners, holes and sources: there they come first, before any projection
where coefficients are constant, for then nothing of the operator can hide between the points of cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from meshmove.geometry.errors import DomainError
from meshmove.solvers.fem.refining import Solved, solve_refined
from meshmove.solvers.pde import Statement
from meshmove.solvers.projection.grids import Feature, Projection
from meshmove.solvers.projection.refinement import WORK, refined
from meshmove.solvers.projection.run import SCOUT, Run

from .doubts import doubts
from .solution import Solution

__all__ = ["meshed", "solved"]

_DOUBTED = 1e-2  #: estimates of projections from which finite elements are tried
#: tolerances from which elements come first, with this share of the effort, unless the operator itself makes layers:
#: its terms of lower order, over half the box, are more than so many times its diffusion
_ROUGH, _SHARE, _LAYERED = 5e-4, 0.5, 50.0
_STABLE = 1e-3  #: least singular value, relative to the operator's terms, up to which elements' estimates know nothing


def solved(pde: Statement, extra: Sequence[Feature], start: Any, **options: Any) -> Solution:
    """A projection onto splines and further features; by finite elements where its estimate is above 1 % and theirs
    is less.

    `options`: tolerance, effort, seed.
    """
    may = not extra and not pde.timed and pde.kind == "elliptic" and all(term.weak for term in pde.table)
    work = WORK * options["effort"]
    run = Run(pde.unit, extra, options["tolerance"], work, options["seed"], SCOUT, patient=not may)
    first: Solved | None = None

    def met(now: Projection) -> bool:
        nonlocal first
        first = _elements(pde, now, options | {"effort": _SHARE * options["effort"]})
        return first is not None and first.error < run.tolerance

    if may and run.tolerance >= _ROUGH and not _layered(pde):
        if pde.is_constant:
            first = _elements(pde, None, options | {"effort": _SHARE * options["effort"]})
        else:
            run.instead = met
    if first is not None and first.error < run.tolerance:
        return _of(pde, first)
    found = refined(run, start)
    if first is not None and first.error < min(run.tolerance, found.error):
        return _of(pde, first)
    if may and found.error >= _DOUBTED:
        other = _elements(pde, found, options)
        if run.stopped and (other is None or other.error >= _DOUBTED):
            found = refined(replace(run, patient=True), start)
        if other is not None and other.error < found.error:
            return _of(pde, other)
    return Solution(
        pde, found.field, history=found.levels, estimate=found.error, doubts=doubts(pde.unit, found), how="projected"
    )


def _layered(pde: Statement) -> bool:
    """Whether terms of lower order outweigh diffusion, so that layers are to be looked for along the sides."""
    means = np.abs(pde.unit.means)
    return bool(means[:3].sum() > _LAYERED * means[3:5].min())


def _elements(pde: Statement, found: Projection | None, options: dict[str, Any]) -> Solved | None:
    """By finite elements; None where their estimate would know nothing: close to a problem without a unique solution,
    where coefficients change between the points of all grids, and where the effort is too small for meshes to compare.
    Also where the domain cannot be meshed. Before anything is projected, of an operator with constant coefficients,
    elements are asked themselves how close to such a problem they are, and what of the values is between their nodes.
    """
    seen, tolerance = None if found is None else found.seen, options["tolerance"]
    if seen is not None and (seen.weakest < _STABLE or (not pde.is_constant and seen.unseen > _DOUBTED)):
        return None
    try:
        other = solve_refined(pde, **options)
    except DomainError:
        return None
    if not (other.comparable or other.meets(tolerance)):
        return None
    if seen is None and (other.weakest() < _STABLE * pde.unit.largest_term or other.unheld() > tolerance):
        return None
    return other


def meshed(pde: Statement, **options: Any) -> Solution:
    """By finite elements alone."""
    return _of(pde, solve_refined(pde, **options))


def _of(pde: Statement, other: Solved) -> Solution:
    return Solution(
        pde,
        other.field,
        history=other.levels,
        estimate=other.error,
        doubts=other.doubts,
        how="solved by finite elements",
    )
