"""Variable diffusion: the simplest mover, a few linear solves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse.linalg import spsolve

from meshmove.options import count

from .laplacian import per_component, stiffness
from .problem import Move, Problem

__all__ = ["Smooth"]


@dataclass(frozen=True)
class Smooth:
    """Solves div(m grad x) = 0 for the positions, with m frozen between a few passes (Winslow 1966, 1981).

    Cells shrink where m is large, but are not equidistributed: fast and very robust, a rival for the others.
    Each pass is shortened until no cell is inverted; of all passes the best one is kept (`Problem.merit`).
    """

    passes: int = 5
    name: str = "smooth"

    def __post_init__(self) -> None:
        count(self.passes, "passes", low=1)

    def __call__(self, problem: Problem) -> Move:
        slide, mesh = problem.slide, problem.mesh
        points = best = problem.start
        least = problem.merit(points)
        simplices, _ = mesh.corners
        k = 0
        for k in range(1, max(1, round(self.passes * problem.effort)) + 1):  # noqa: B007
            m = problem.density.value(points.T)
            slide.refresh(points)
            basis = slide.basis()
            matrix = per_component(stiffness(mesh, m[simplices].mean(axis=1))[0], mesh.dim)
            residual = matrix @ points.ravel()
            reduced = (basis.T @ matrix @ basis).tocsc()
            step = (basis @ np.atleast_1d(spsolve(reduced, -(basis.T @ residual)))).reshape(points.shape)
            length = 1.0
            while length > 1e-3 and not problem.admissible(slide.retract(points + length * step)):
                length /= 2
            if length <= 1e-3:
                break
            points = slide.retract(points + length * step)
            value = problem.merit(points)
            if value < least:
                best, least = points, value
        return Move(best, k, judged=True)
