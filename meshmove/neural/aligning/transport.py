"""Transport before the rounds: a dozen steps of relaxation towards the field's monitor, by way of its powers.

The network turns and stretches cells, and carries them a few cells far. To a narrow peak or ring they must come from
further away, and there each step of the relaxation of the Monge-Ampère equation costs one solve with the Laplacian.
"""

from __future__ import annotations

import numpy as np

from meshmove.geometry.arrays import Array
from meshmove.geometry.quality import simplex_volumes
from meshmove.movers import Problem
from meshmove.movers.density import Power
from meshmove.movers.descent.relaxation import divergence, relax
from meshmove.movers.imbalance import balance
from meshmove.movers.laplacian import corner_weights
from meshmove.movers.lift import Lift

__all__ = ["carried", "steep"]

#: largest share of the monitor in a cell, relative to the mean, above which cells are carried
STEEP = 3.0

#: of the monitor, one after the other: relaxation to a steep monitor itself stalls, or inverts cells
POWERS = (0.35, 0.7)
#: steps for each, and the residual, relative to that before, at which they end
STEPS, TOLERANCE = 6, 0.03
#: parts of the way that are tried where cells are inverted at its end
PARTS = (1.0, 0.6, 0.3)
#: weight of the cells' shapes; it has no part in the relaxation
DISTORTION = 0.05


def steep(problem: Problem) -> bool:
    """Whether cells have to travel far to meet the monitor of the problem: the monitor is that of the vertices."""
    at, (corners, owner) = problem.start, problem.mesh.corners
    monitor = problem.density.value(at.T).take(corners).mean(axis=1)
    mass = monitor * np.abs(simplex_volumes(at, corners))
    if len(mass) > problem.mesh.n_cells:
        mass = np.bincount(owner, mass * corner_weights(problem.mesh))
    return float(balance(mass, problem.volume, problem.component).max()) + 1 > STEEP


def carried(problem: Problem) -> Array:
    """Admissible positions (n, dim) nearer to the monitor of the problem than its start, or the start."""
    workspace, slide, points = problem.workspace, problem.slide, problem.start
    if "lift" not in workspace:
        workspace["lift"] = Lift(problem.mesh, slide)
    if "forces" not in workspace:
        workspace["forces"] = [b.T.tocsr() for b in divergence(problem.mesh)]
    for power in POWERS:
        functional = problem.functional(DISTORTION, Power(problem.density, power))
        forces, lift = workspace["forces"], workspace["lift"].solve
        reached = relax(functional, forces, lift, slide, points, steps=STEPS, tolerance=TOLERANCE).points
        parts = (slide.retract(points + part * (reached - points)) for part in PARTS)
        there = next((x for x in parts if problem.admissible(x)), None)
        if there is None:
            break
        points = there
    return points
