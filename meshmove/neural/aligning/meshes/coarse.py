"""A coarse level of a large mesh: transport and rounds cost little there, and go further.

A displacement is smooth beside the cells of a large mesh, so that it can be found on one with fewer, and recovered
Hessians show nothing that is much thinner than the coarse cells. On the fine mesh a relaxation of a dozen steps ends
long before cells have come as far as a thin layer needs them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.sparse import csr_matrix, diags

from meshmove.geometry import CellMesh, PointLocator, Slide, facets_of
from meshmove.geometry.arrays import Array, Ids
from meshmove.movers import Alignment, Problem

from ...coarse import coarse_of

__all__ = ["LARGE", "Sampled", "carried_over", "coarse_problem"]


#: nodes of a mesh from which on a coarse level pays, and how many times fewer that has
LARGE, FEWER = 10_000, 8
#: cells of the coarse level are equal: it is none for a mesh of which a twentieth of the cells is smaller than this
#: share of the mean
EQUAL = 0.25
#: steps that even out the coarse displacement, whose gradient jumps from cell to cell
EVENED = 2


class Sampled:
    """Of a field on a coarse mesh what the network sees of it: the Hessians of the fine mesh at coarse vertices.

    `cells` (c, 3): the coarse triangles. `fine`: finds points in the fine mesh, split into simplices.
    """

    def __init__(self, objective: Alignment, fine: PointLocator, coarse: CellMesh) -> None:
        self.cells = coarse.corners[0]
        self._values = np.moveaxis(objective.relative_hessians(fine.mesh.points), 2, 0)  # (n, f, p)
        self._locator = fine
        self._near: Ids | None = None

    def relative_hessians(self, points: Array) -> Array:
        """(f, p, m) at positions (m, 2) of the coarse vertices; see `Alignment`."""
        where = self._locator.find(points.T) if self._near is None else self._locator.follow(points.T, self._near)
        self._near = where.cells
        found = where.interpolate(self._values.reshape(len(self._values), -1))
        return np.ascontiguousarray(found.T).reshape(*self._values.shape[1:], len(points))


def coarse_problem(problem: Problem) -> Problem | None:
    """The same on about an eighth of the nodes; None for meshes that are small, graded, or cannot be coarsened."""
    volume = problem.volume
    if problem.mesh.n_points < LARGE or np.quantile(volume, 0.05) < EQUAL * volume.mean():
        return None
    made = coarse_of(problem, problem.mesh.n_points // FEWER)
    if made is None:
        return None
    coarse, fixed = made
    facets = facets_of(coarse)
    return Problem(coarse, facets, Slide(coarse, facets, fixed=fixed), problem.density, coarse.points, discrete=True)


def carried_over(problem: Problem, coarse: CellMesh, points: Array, project: Callable[[Array], Array]) -> Array | None:
    """Admissible positions (n, 2) of the fine nodes where the coarse ones are at `points`; None where there are none.

    `project`: vectors (n, 2) onto the admissible directions of the fine nodes.
    """
    mesh = problem.mesh
    away = PointLocator(coarse).find(mesh.points.T).interpolate(points - coarse.points)
    i, j = mesh.edges.T
    beside = csr_matrix((np.ones(2 * len(i)), (np.r_[i, j], np.r_[j, i])), shape=(len(away), len(away)))
    mean, evened = diags(1 / np.maximum(np.asarray(beside.sum(1)).ravel(), 1)) @ beside, away
    for _ in range(EVENED):
        evened = 0.5 * (evened + project(mean @ evened))
    there = (problem.slide.retract(mesh.points + by) for by in (evened, away))
    return next((x for x in there if problem.admissible(x)), None)
