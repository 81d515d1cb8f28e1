"""Ritz descent: the mesh moves such that the energy of the user's own problem falls."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meshmove.geometry.arrays import Array

from .descent import minimise
from .lift import Lift
from .objectives.energy import Energy, EnergyFunctional
from .problem import Move, Problem

__all__ = ["Ritz"]


#: a step that lowers the functional, half a logarithm of a squared error, by less than this ends the descent
TOLERANCE = 1e-5
#: of the lifted force, the length of the first step that is tried, as for alignment
OPENING = 1e-3
#: how much longer the next first step is after one along which the energy curves downwards, as those of solids may
LONGER = 4.0
#: an unknown gap is taken as this multiple of what a first step that strains cells by STRAIN is predicted to bring
GUESS, STRAIN = 10.0, 0.1


@dataclass(frozen=True)
class Ritz:
    """Descends an energy J(x) of node positions, by L-BFGS with the Laplacian lift; each evaluation is a solve.

    Parameters
    ----------
    energy
        J and its derivatives by the nodes, in the problem's coordinates.
    gap
        How far J at the start is above its least value; None where that is not known.
    steps
        Of the descent, at effort 1.
    distortion
        Weight of the cells' shapes beside the logarithm of the error.
    """

    energy: Energy
    gap: float | None = None
    steps: int = 20
    distortion: float = 0.01
    name: str = "ritz"

    def __call__(self, problem: Problem) -> Move:
        """From `problem.start`; the start where no admissible positions with less energy are found."""
        start, slide = problem.start, problem.slide
        origin, forces = self.energy(start)
        if forces is None or not slide.moves:
            return Move(start, 0, judged=True)
        lift = Lift(problem.mesh, slide)
        gap = self._guessed(problem, lift, forces) if self.gap is None else self.gap
        if not gap > 0:
            return Move(start, 0, judged=True)
        functional = EnergyFunctional(
            problem.mesh, self.energy, origin, gap, self.distortion, slide.curved_edges, slide.shells
        )
        out = minimise(
            functional,
            lambda force: OPENING * lift(force),
            slide,
            start,
            steps=max(1, round(self.steps * problem.effort)),
            tolerance=TOLERANCE,
            absolute=True,
            memory=12,
            reach=functional.reach,
            opening=1.0,
            longer=LONGER,
        )
        points = out.points if problem.admissible(out.points) else problem.drawn_back(out.points)[0]
        lower = self.energy(points)[0] < origin
        return Move(points if lower else start, out.iterations, judged=True)

    def _guessed(self, problem: Problem, lift: Lift, forces: Array) -> float:
        """From the slope along the lifted force, and how far that may go before it strains an edge much."""
        slide = problem.slide
        slide.refresh(problem.start)
        gathered = slide.gather(forces)
        direction = slide.spread(lift(gathered))
        a, b = problem.mesh.edges.T
        length = np.linalg.norm(problem.start[a] - problem.start[b], axis=1)
        strain = (np.linalg.norm(direction[a] - direction[b], axis=1) / length).max(initial=0.0)
        return GUESS * STRAIN * float(np.vdot(gathered, direction)) / strain if strain > 0 else 0.0
