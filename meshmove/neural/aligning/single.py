"""The network on one mesh of `adapt`: transport, rounds under guard, each judged, and a few classical steps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from meshmove.geometry import Slide
from meshmove.geometry.arrays import Array
from meshmove.movers import Alignment, Move, Problem
from meshmove.movers.align import descended

from .features import Cells, predicted_sum
from .guard import KEEP, let_through_one
from .lift import sparse_lift
from .meshes.coarse import Sampled, carried_over, coarse_problem
from .meshes.one_mesh import OneMesh
from .meshes.tensors import root_of_squares
from .network import Aligner
from .transport import carried, steep

__all__ = ["aligned", "pretrained"]


#: the first round that lowers the predicted error by less than this share is the last one, by dimension: in space two
#: rounds gain nearly all that six do. In the plane it is one round less than with two in a row below 0.02, and the
#: medians of errors on the finite element problems are the same; with 0.02 they are 1 % larger
WEAK = {2: 0.015, 3: 0.02}
#: rounds beyond those of training, where they still help
MORE = 1
#: rounds after a start from the coarse level; of these the first only settles what was carried over, and ends nothing
AFTER, SETTLING = 3, 1
#: parts of a round that are tried where it raises the error, and of the first one where none lowers it
PARTS = 0.5, 0.25
#: tries of a round whose nodes, back on a curved boundary, would invert cells, and what of it is left in each. Such
#: rounds turn much of a round domain and are too long as a whole: of eight meshes five gained less with other steps
#: beside these cells only
TRIES, SHORTER = 9, 0.6


@lru_cache(maxsize=2)
def pretrained(dim: int = 2) -> Aligner:
    """The shipped model of this dimension."""
    return Aligner.from_pretrained(f"aligner-{dim}d")


def aligned(model: Aligner, problem: Problem, steps: int, rounds: int | None = None) -> Move:
    """Transport where the field is steep, rounds of the network, then steps of classical alignment from the best mesh.

    Rounds are compared by the predicted H1 error, which costs little, and so is what steps descend to; either is taken
    only where it is better than the start by `Problem.merit`. Of long cells that supposes the worst of L2 errors: where
    it judged the steps, three in eight of the problems at 40x40 went without.
    """
    objective = problem.objective
    if objective is None:
        raise ValueError("Expected a problem with an objective: the predicted error of a field")
    place = _Place(problem, objective)
    budget = (model.settings.rounds + MORE if rounds is None else rounds) if problem.slide.moves else 0
    best, first, cut, done = _runs(model, place, budget)
    points, rest = problem.start, problem.merit(problem.start)
    points, least = _better(problem, best.points, points, rest)
    if points is problem.start and done:  # what a round goes too far for, a part of it may reach
        for share in PARTS:
            part = problem.slide.retract(points + share * (first.points - points))
            points, least = _better(problem, part, points, least)
            if points is part:
                cut = min(cut, share)
                break
    spent = 0
    if steps and problem.slide.moves:
        reached, spent = descended(problem, objective, points, steps)
        further = _fitting(problem, reached)
        if objective.error(further) < objective.error(points) and problem.merit(further) < rest:
            points = further
    return Move(points, done + spent, step_cut=cut, polish=spent, judged=True)


def _runs(model: Aligner, place: _Place, budget: int) -> tuple[_Seen, _Seen, float, int]:
    """As `_run`, from the best start: the problem's, or where the field is steep that to which transport leads, on the
    coarse level of a large mesh with rounds there."""
    problem, here = place.problem, place.seen(place.problem.start)
    if not budget or not steep(problem):
        return _run(model, place, here, budget)
    level = coarse_problem(problem)
    if level is not None and isinstance(place.objective, Alignment):
        coarse = _Place(level, Sampled(place.objective, problem.locator, level.mesh))
        found, _, cut, done = _run(model, coarse, coarse.better(coarse.seen(level.start), carried(level)), budget)
        over = carried_over(problem, level.mesh, found.points, place.mesh.project)
        there = here if over is None else place.better(here, over)
        if there is not here:
            best, first, share, more = _run(model, place, there, min(budget, AFTER), SETTLING)
            return best, first, min(cut, share), done + more
    return _run(model, place, place.better(here, carried(problem)), budget)


def _run(
    model: Aligner, place: _Place, start: _Seen, budget: int, settling: int = 0
) -> tuple[_Seen, _Seen, float, int]:
    """The best of some rounds and the first of them, the least share let through of a step that led to the best,
    or of any where none did, and how many they were. `settling`: so many are taken whatever they gain."""
    best = here = first = start
    least, cut, done, weak = 1.0, 1.0, 0, False
    enough = 1 - WEAK[start.points.shape[1]]
    while done < budget and not weak:
        there, share = place.round(model, here)
        done, least = done + 1, min(least, share)
        here = there if there.error < here.error or done <= settling else place.shortened(here, there)
        weak = done > settling and not here.error < enough * best.error
        if here.error < best.error:
            best, cut = here, least
        first = here if done == 1 else first
    return best, first, least if best is start else cut, done


def _better(problem: Problem, points: Array, known: Array, least: float) -> tuple[Array, float]:
    """Which of two meshes has the least merit, and that; `known` is admissible and has the merit `least`."""
    if points is known:
        return known, least
    fitting = _fitting(problem, points)
    merit = problem.merit(fitting)
    return (fitting, merit) if merit < least else (known, least)


def _fitting(problem: Problem, points: Array) -> Array:
    """Positions, or where they are not admissible those on the way to them that are."""
    return points if problem.admissible(points) else problem.drawn_back(points)[0]


@dataclass(frozen=True, eq=False)
class _Seen:
    """Positions, the predicted error there, and the cells' mean Hessians (k, c)."""

    points: Array
    error: float
    hessian: Array


class _Place:
    """The mesh and the field's Hessians as the network sees them."""

    def __init__(self, problem: Problem, objective: Alignment | Sampled) -> None:
        self.problem, self.objective = problem, objective
        workspace, mesh, slide = problem.workspace, problem.mesh, problem.slide
        self._curved = bool(len(slide.curved_edges))
        cells = objective.cells
        (kind,) = {b.kind for b in mesh.blocks}
        if not kind.is_simplex:
            cells = cells[:, kind.corners].reshape(-1, mesh.dim + 1)
        self._corners = np.ascontiguousarray(cells.T)
        if "one mesh" not in workspace:
            lift = sparse_lift(mesh, slide, problem.start, workspace)
            workspace["one mesh"] = OneMesh.of(mesh, _projector(slide, problem.start), lift)
        self.mesh: OneMesh = workspace["one mesh"]

    def better(self, here: _Seen, points: Array) -> _Seen:
        """Whichever has less error."""
        there = self.seen(points)
        return there if there.error < here.error else here

    def shortened(self, here: _Seen, there: _Seen) -> _Seen:
        """A part of the way from here to there on which the error falls, or all of it where it falls on none: the next
        rounds may gain what this one loses."""
        if self._curved:
            return there
        for share in PARTS:
            part = self.problem.slide.retract(here.points + share * (there.points - here.points))
            seen = self.seen(part) if self.problem.valid(part) else here
            if seen.error < here.error:
                return seen
        return there

    def round(self, model: Aligner, here: _Seen) -> tuple[_Seen, float]:
        """After one round, valid and on the boundary, and the share of the step that was let through."""
        slide, points = self.problem.slide, here.points
        if self._curved:
            self.mesh.projector = _projector(slide, points)
        with np.errstate(all="ignore"), torch.no_grad():
            step = model.proposed(self.mesh, points, here.hessian)
        out, part = self._let_through(points, step)
        if not self._curved:
            return self.seen(slide.retract(out)), part
        for _ in range(TRIES):
            back = slide.retract(out)
            if self.problem.valid(back):
                return self.seen(back), part
            out, part = points + SHORTER * (out - points), SHORTER * part
        return here, 0.0

    def _let_through(self, points: Array, step: Array) -> tuple[Array, float]:
        """Positions after as much of the step as keeps cells from flattening, and its share."""
        there = points + step
        if (self.mesh.ratio(there) >= KEEP * np.abs(self.mesh.ratio(points))).all():  # which NaN is not
            return there, 1.0
        return let_through_one(self.mesh, points, step)

    def seen(self, points: Array) -> _Seen:
        """Hessians at the vertices of every cell, and what they predict; of several fields the root of the sum of their
        squares."""
        h = self.objective.relative_hessians(points)
        corners = h.take(self._corners, axis=2)
        if self.mesh.boxes and isinstance(self.objective, Alignment):
            error = self.objective.error(points)
        else:
            cells = Cells.of(self.mesh, points)
            error = sum(predicted_sum(cells, one) for one in corners) ** 0.5
        together = corners[0] if len(h) == 1 else root_of_squares(h).take(self._corners, axis=1)
        return _Seen(points, error, together.mean(axis=1))


def _projector(slide: Slide, points: Array) -> Array:
    """(n, dim, dim) onto the admissible directions at these points."""
    slide.refresh(points)
    eye = np.eye(points.shape[1])
    return np.stack([slide.tangent(np.broadcast_to(e, points.shape)) for e in eye], axis=2)
