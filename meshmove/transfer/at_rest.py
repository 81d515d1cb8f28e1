"""What is known on the mesh in use, as functions of space that do not move along with it.

A monitor that is linear between the nodes in use, and is smoothed over these, moves with them: where they gather it is
sharper, and where they part it is blunter, by as much as they move themselves. Descent to the place that such a monitor
asks for leads to another monitor, and that to another place, for ever: in a field that stood still nodes went at a
tenth to a half of their size in each time constant. On the mesh at rest the same indicator is smoothed with weights
that are always the same, and has its kinks where they were before.
"""

from __future__ import annotations

from functools import reduce
from operator import add

import numpy as np
from scipy.sparse import csr_matrix

from meshmove.geometry import CellMesh, PointLocator, Sides
from meshmove.geometry.arrays import Array
from meshmove.geometry.sides import Places
from meshmove.monitors import Monitor

__all__ = ["AtRest"]


class AtRest:
    """The reference mesh, to which values at the nodes in use are taken.

    Parameters
    ----------
    base
        The reference.
    sides
        It, cut apart along its interfaces.
    """

    def __init__(self, base: CellMesh, sides: Sides) -> None:
        self._base, self.sides, self.locator = base, sides, PointLocator(base.simplicial())
        _ = sides.home

    def home(self, points: Array, last: Places | None = None) -> Places:
        """Where the vertices at rest are in the mesh in use, with vertices at `points` (n, dim).

        `last`: where they were a moment ago.
        """
        near = self.sides.home if last is None else last
        return self.sides.moved(points).locate(self._base.points, self.locator.moved(points), near)

    def seen(self, values: Array, home: Places) -> Array:
        """Values (..., s) of the sides in use, at those at rest."""
        corners = zip(home.vertices.T, home.weights.T, strict=True)
        return reduce(add, (values.take(nodes, axis=-1) * w for nodes, w in corners))

    def monitor(self, monitor: Monitor, indicator: Array, smooth: csr_matrix, home: Places) -> Array:
        """m (n,) at rest of an indicator (n,) in use."""
        there = self.sides.largest(self.seen(indicator[self.sides.vertex], home))
        return monitor.values(self._base, np.ascontiguousarray(there), smooth)
