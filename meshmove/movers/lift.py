"""The Laplacian lift: smooth displacements of least energy for given forces, which heed the straight sides."""

from __future__ import annotations

import numpy as np

from meshmove.geometry import CellMesh
from meshmove.geometry.arrays import Array
from meshmove.geometry.sliding import Slide

from .laplacian import Inverse, inverse, stiffness

__all__ = ["Lift"]


class Lift:
    """Inverse Laplacian of each component of forces (n, dim), those normal to straight sides being held.

    Components are taken in the frame of the domain's sides (`Slide.frame`), not of its coordinates: a turned mesh is
    moved as the mesh itself. Sides oblique to that frame are left to the projections of `Slide`.

    `weight` (s,): the coefficient of the Laplacian on the corner simplices.
    """

    def __init__(self, mesh: CellMesh, slide: Slide, weight: Array | float = 1.0) -> None:
        matrix, mass = stiffness(mesh, weight)
        frame = slide.frame
        aligned = np.array_equal(np.abs(frame), np.eye(mesh.dim))
        self._frame = None if aligned else frame
        inverses: dict[bytes, Inverse] = {}  # components with the same constraints share one
        self._inverses = []
        for column in slide.locked(frame).T:
            key = column.tobytes()
            if key not in inverses:
                inverses[key] = inverse(matrix, mass, mesh.dim, ~column)
            self._inverses.append(inverses[key])

    def __call__(self, force: Array) -> Array:
        """A solve with the factors of a small system, a V-cycle for a large one: symmetric and linear."""
        return self._each(force, accurate=False)

    def solve(self, force: Array) -> Array:
        """Accurate to about a percent at least."""
        return self._each(force, accurate=True)

    def _each(self, force: Array, accurate: bool) -> Array:
        turned = force if self._frame is None else force @ self._frame
        columns = [(k.solve if accurate else k)(turned[:, c]) for c, k in enumerate(self._inverses)]
        out = np.stack(columns, axis=1)
        return out if self._frame is None else out @ self._frame.T
