"""Third derivatives of quadratic elements on a mesh in pieces: see `monitors.quadratic`."""

from __future__ import annotations

import numpy as np

from meshmove.communicator import Communicator
from meshmove.geometry import Sides
from meshmove.geometry.arrays import Array
from meshmove.geometry.refine import edge_numbers
from meshmove.monitors.quadratic import FineRecovery

from .overlap import Overlap

__all__ = ["SharedFineRecovery"]


class SharedFineRecovery:
    """Recovery on the mesh of half the cell size. Its patches of patches reach as far as the layers of an overlap."""

    def __init__(self, overlap: Overlap, across: Communicator) -> None:
        self._overlap, self._across, mesh = overlap, across, overlap.mesh
        self._fine: FineRecovery | None = None
        if mesh.n_cells:
            self._sides, self._number = Sides.of(mesh), edge_numbers(mesh)
            self._fine = FineRecovery(mesh, self._sides)

    def third(self, values: Array, middles: Array) -> Array:
        """(dim, dim, dim, n) at the vertices of the piece, ghosts too: the mean over the sides of an interface.

        `values` (n,) there, `middles` (m, e) at the middles of the edges of its cells.
        """
        overlap, d = self._overlap, self._overlap.mesh.dim
        at, between = overlap.spread(values), overlap.of_cells(middles)
        found = np.zeros((len(at), d**3))
        if self._fine is not None:
            edge = np.empty(self._number.max() + 1)
            edge[self._number] = between.ravel()
            third = self._fine.third(np.concatenate([at, edge]))
            found = self._sides.averaging @ third.reshape(d**3, -1).T
        out = self._across.update(np.ascontiguousarray(overlap.taken(found)))
        return out.T.reshape(d, d, d, -1)
