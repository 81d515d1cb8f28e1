"""The network on one mesh of `adapt`: rounds under guard, each judged, and a few classical steps after them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch

from meshmove.geometry import Slide
from meshmove.geometry.arrays import Array
from meshmove.movers import Alignment, Move, Problem
from meshmove.movers.align import descended

from .guard import let_through
from .lift import sparse_lift
from .network import Aligner
from .triangles import Triangles

__all__ = ["aligned", "pretrained"]


#: so many rounds in a row that lower the predicted error by less than this share are the last ones
PATIENCE, WEAK = 2, 0.005
#: rounds beyond those of training, where they still help
MORE = 3
#: parts of the first round that are tried where no round lowers the error
PARTS = 0.5, 0.25
#: halvings of a round whose nodes, back on a curved boundary, would invert cells
HALVINGS = 6


@lru_cache(maxsize=1)
def pretrained() -> Aligner:
    """The shipped model."""
    return Aligner.from_pretrained("aligner-2d")


def aligned(model: Aligner, problem: Problem, steps: int, rounds: int | None = None) -> Move:
    """Rounds of the network, then steps of classical alignment, from the best of the rounds.

    Rounds are compared by the predicted H1 error, which costs little; what comes of them is taken only where it is
    better than the start by `Problem.merit`.
    """
    objective = problem.objective
    if objective is None:
        raise ValueError("Expected a problem with an objective: the predicted error of a field")
    place = _Place(problem, objective)
    points = best = first = problem.start
    error, cut, done, worse = objective.error(points), 1.0, 0, 0
    budget = (model.settings.rounds + MORE if rounds is None else rounds) if problem.slide.moves else 0
    while done < budget and worse < PATIENCE:
        points, share = place.round(model, points)
        done, cut = done + 1, min(cut, share)
        reached = objective.error(points)
        worse = 0 if reached < (1 - WEAK) * error else worse + 1
        if reached < error:
            best, error = points, reached
        first = points if done == 1 else first
    least = problem.merit(problem.start)
    best, least = _better(problem, best, problem.start, least)
    if best is problem.start and done:  # what a round goes too far for, a part of it may reach
        for share in PARTS:
            part = problem.slide.retract(best + share * (first - best))
            best, least = _better(problem, part, best, least)
            if best is part:
                cut = min(cut, share)
                break
    spent = 0
    if steps and problem.slide.moves:
        points, spent = descended(problem, objective, best, steps)
        best, least = _better(problem, points, best, least)
    return Move(best, done + spent, step_cut=cut, polish=spent, judged=True)


def _better(problem: Problem, points: Array, known: Array, least: float) -> tuple[Array, float]:
    """Which of two meshes has the least merit, and that; `known` is admissible and has the merit `least`."""
    if points is known:
        return known, least
    fitting = points if problem.admissible(points) else problem.drawn_back(points)[0]
    merit = problem.merit(fitting)
    return (fitting, merit) if merit < least else (known, least)


class _Place:
    """The mesh and the field's Hessians as the network sees them."""

    def __init__(self, problem: Problem, objective: Alignment) -> None:
        self.problem, self.objective = problem, objective
        workspace = problem.workspace
        self._curved = bool(len(problem.slide.curved_edges))
        if "triangles" not in workspace:
            mesh, slide = problem.mesh, problem.slide
            projector, lift = _projector(slide, problem.start), sparse_lift(mesh, slide, problem.start)
            workspace["triangles"] = Triangles.of([mesh], [projector], lift, torch.float64)
        self.batch: Triangles = workspace["triangles"]

    @torch.no_grad()
    def round(self, model: Aligner, points: Array) -> tuple[Array, float]:
        """Positions after one round, valid and on the boundary, and the share of the step that was let through."""
        problem, batch = self.problem, self.batch
        if self._curved:
            batch.projector = torch.from_numpy(_projector(problem.slide, points))
        x = torch.from_numpy(points)
        step = model.proposed(batch, x, torch.from_numpy(self._hessians(points)))
        there, share = let_through(batch, x, step)
        out, part = there.numpy(), float(share)
        if not self._curved:
            return problem.slide.retract(out), part
        for _ in range(HALVINGS):
            back = problem.slide.retract(out)
            if problem.valid(back):
                return back, part
            out, part = 0.5 * (out + points), 0.5 * part
        return points, 0.0

    def _hessians(self, points: Array) -> Array:
        """(c, 3, 3) at the vertices of every cell; of several fields the root of the sum of their squares."""
        h = self.objective.relative_hessians(points)
        together = h[0] if len(h) == 1 else _root(h)
        return np.ascontiguousarray(together[:, self.objective.cells].transpose(1, 2, 0))


def _root(h: Array) -> Array:
    """Root (3, s) of the sum of the squares of symmetric matrices (f, 3, s), components xx, xy, yy."""
    xx, xy, yy = (
        (h[:, 0] ** 2 + h[:, 1] ** 2).sum(0),
        (h[:, 1] * (h[:, 0] + h[:, 2])).sum(0),
        (h[:, 2] ** 2 + h[:, 1] ** 2).sum(0),
    )
    det = np.sqrt(np.maximum(xx * yy - xy * xy, 0))
    return np.stack([xx + det, xy, yy + det]) / np.sqrt(xx + yy + 2 * det + 1e-300)


def _projector(slide: Slide, points: Array) -> Array:
    """(n, 2, 2) onto the admissible directions at these points."""
    slide.refresh(points)
    eye = np.eye(2)
    return np.stack([slide.tangent(np.broadcast_to(e, points.shape)) for e in eye], axis=2)
