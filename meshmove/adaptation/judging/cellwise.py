"""The field that a mesh moved to, and the error that is predicted for it on each cell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meshmove.geometry import CellMesh, FieldError, PointLocator, Sides
from meshmove.geometry.arrays import Array
from meshmove.monitors import Recovery, interpolation_error

__all__ = ["CellErrors"]


@dataclass(frozen=True, eq=False)
class CellErrors:
    """Fields (n_vertices, k) called `name` on a mesh, for elements of `degree`, and their errors on its cells.

    From second derivatives that are recovered on the mesh that came, as `Predictor` has it; of several fields, each
    relative to its error there.
    """

    name: str
    cells: CellMesh
    values: Array
    degree: int | None = 1

    @property
    def known(self) -> bool:
        """Whether errors are predicted cell by cell: those of linear elements."""
        return self.degree == 1

    def at(self, points: Array) -> Array:
        """L2 errors of interpolation (n_cells,) with the vertices at `points` (n, dim).

        Raises
        ------
        FieldError
            The field is not one of linear elements.

        >>> mesh = CellMesh.single([[0, 0], [1, 0], [1, 1], [0, 1]], [[0, 1, 2], [0, 2, 3]], "triangle")
        >>> bool(CellErrors("x", mesh, mesh.points[:, :1]).at(mesh.points).max() < 1e-12)
        True
        """
        if not self.known:
            raise FieldError(
                f"Expected a field of linear elements (got {self.name!r} of others, whose errors are not predicted "
                "cell by cell)"
            )
        sides = Sides.of(self.cells)
        recovery = Recovery(self.cells, sides)
        hessians = [recovery.sided.hessian(u[sides.vertex]) for u in self.values.T]
        rest = [interpolation_error(sides.mesh, h, cellwise=False)[0] for h in hessians]
        places = sides.locate(points, PointLocator(self.cells.simplicial()))
        total = np.zeros(self.cells.n_cells)
        for hessian, scale in zip(hessians, rest, strict=True):
            at = np.moveaxis(sides.interpolate(np.moveaxis(hessian, -1, 0), places), 0, -1)
            squares = interpolation_error(sides.mesh, at, points[sides.vertex], cellwise=False)[1]
            total += squares / (scale**2 if len(rest) > 1 and scale > 0 else 1.0)
        return np.sqrt(total)
