"""The Laplacian lift: smooth displacements of least energy for given forces, which heed the straight sides."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix, diags

from meshmove.communicator import SERIAL, Communicator, box_of
from meshmove.geometry import CellMesh
from meshmove.geometry.arrays import Array
from meshmove.geometry.sliding import Slide

from .laplacian import Inverse, Inverses, inverse, stiffness

__all__ = ["Lift"]

#: stiffness of the springs, of unit area and for a mesh of unit extent. From 1 to 8 balls and disks gain the same but
#: for a few percent, and much less without: a ball of 129 nodes 1.4 instead of 2.05, one of 833 1.3 instead of 2.25
SPRING = 4.0


class Lift:
    """Inverse Laplacian of each component of forces (n, dim), those normal to straight sides being held.

    Nodes on curved and oblique boundaries may not leave these either. No component of theirs is held, but each is drawn
    back, as by springs: or else a force on a domain with round sides only would carry all of it away.

    Components are taken in the frame of the domain's sides (`Slide.frame`), not of its coordinates: a turned mesh is
    moved as the mesh itself. That nodes stay on sides oblique to it, `Slide` sees to.

    `weight` (s,): the coefficient of the Laplacian on the corner simplices. `across`, `inverses`: the processes that
    share the mesh, and what inverts a Laplacian that is the sum of theirs.
    """

    def __init__(
        self,
        mesh: CellMesh,
        slide: Slide,
        weight: Array | float = 1.0,
        across: Communicator = SERIAL,
        inverses: Inverses = inverse,
    ) -> None:
        matrix, mass = stiffness(mesh, weight)
        frame = slide.frame
        aligned = np.array_equal(np.abs(frame), np.eye(mesh.dim))
        self._frame, self._across = None if aligned else frame, across
        known: list[tuple[Array, Array, Inverse]] = []  # components with the same constraints share one
        self._inverses: list[Inverse] = []
        # of an edge or facet that belongs to a node the length or area is about sqrt(stiffness * mass)
        low, high = box_of(mesh.points, across)
        extent = np.linalg.norm(high - low)
        spring = SPRING / extent * np.sqrt(across.accumulate(matrix.diagonal()) * across.accumulate(mass.copy()))
        for column, back in zip(slide.locked(frame).T, slide.held_back(frame).T, strict=True):
            drawn = np.where(column | (back < 1e-9), 0, spring * back)
            alike = across.first([np.array_equal(a, column) and np.array_equal(b, drawn) for a, b, _ in known])
            if alike is None:
                own = csr_matrix(matrix + diags(drawn))
                alike = len(known)
                known.append((column, drawn, inverses(own, mass, mesh.dim, ~column)))
            self._inverses.append(known[alike][2])

    def __call__(self, force: Array) -> Array:
        """A solve with the factors of a small system, a V-cycle for a large one: symmetric and linear."""
        return self._each(force, accurate=False)

    def solve(self, force: Array) -> Array:
        """Accurate to about a percent at least."""
        return self._each(force, accurate=True)

    def _each(self, force: Array, accurate: bool) -> Array:
        turned = force if self._frame is None else force @ self._frame
        columns = [(k.solve if accurate else k)(turned[:, c]) for c, k in enumerate(self._inverses)]
        out = self._across.update(np.stack(columns, axis=1))
        return out if self._frame is None else out @ self._frame.T
