"""Cells of second order in pieces: where the nodes between their vertices go, see `adaptation.settle`."""

from __future__ import annotations

import numpy as np

from meshmove.adaptation.settle import LEAST_BEND, bulges_of
from meshmove.geometry import Validity
from meshmove.geometry.arrays import Array
from meshmove.geometry.curved import MidNodes

from ..layout import Layout
from ..mesh import SecondOrder
from ..unit import SharedMesh

__all__ = ["SecondNodes"]


#: halvings after which a bulge vanishes, and one round more
ROUNDS = 6


class SecondNodes:
    """The nodes of a piece between its vertices, for positions of these.

    `straightened`: edges, of all pieces, that lost some of their bulge when positions were last asked for.
    """

    def __init__(self, unit: SharedMesh, second: SecondOrder) -> None:
        self._unit, self._cells = unit, second.cells
        self._middle, self._validity = MidNodes(second.cells), Validity(second.cells)
        self._layout = Layout(unit.layout.ranks, second.ids, second.owners, second.n_owned)
        self._own = self._middle.ids < second.n_owned
        self._loose = self._middle.bulge.any(axis=1) & ~unit.on_facets(self._middle.ends)
        self.straightened = 0

    def at(self, points: Array) -> Array | None:
        """Positions (k, dim) of all nodes for those of the vertices (n, dim), to the last bit those of their owners.

        Where cells fold, edges inside regions are straightened; None where that does not help.
        """
        across, ends = self._unit.layout, self._middle.ends
        bend = np.ones(len(ends))
        for _ in range(ROUNDS):
            nodes = self._placed(points, bend)
            lost = self._validity.lost(points, nodes)
            if across.every(not len(lost)):
                self.straightened = int(across.sum(np.array([(self._own & (bend < 1)).sum()], float))[0])
                return nodes
            hit = np.zeros(len(points))
            hit[self._cells.blocks[0].nodes[lost].ravel()] = 1
            near = across.update(across.accumulate(hit)) > 0  # an edge is straightened in all pieces that have it
            bent = self._loose & near[ends].all(axis=1) & (bend > 0)
            if across.every(not bent.any()):
                return None
            bend[bent] = np.where(bend[bent] <= LEAST_BEND, 0, 0.5 * bend[bent])
        return None

    def _placed(self, points: Array, bend: Array) -> Array:
        step = points - self._cells.points
        bulges = bulges_of(self._unit, self._cells, self._middle, step)
        assert self._cells.nodes is not None
        return self._layout.update(self._cells.nodes + self._middle.displacement(step, bend, bulges))
