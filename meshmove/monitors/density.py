"""Monitors as positive functions of space: from a user's callable, or from values at the nodes of a mesh."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry import CellMesh, MonitorError, PointLocator
from meshmove.geometry.errors import first_ids

__all__ = ["CallableDensity", "NodalDensity"]

Array = NDArray[np.float64]

#: step of the difference quotients, relative to the size of the mesh
STEP = 1e-6


class CallableDensity:
    """m(x) of a user, at points x (dim, n) in physical space; gradients by forward differences.

    Parameters
    ----------
    function
        Positive, vectorised.
    centre, scale
        The coordinates in use are (x - centre) / scale.
    """

    def __init__(self, function: Callable[[Array], Array], centre: Array, scale: float) -> None:
        self._function, self._centre, self._scale = function, centre[:, None], scale

    def value(self, x: Array) -> Array:
        m = np.asarray(self._function(self._centre + self._scale * x), dtype=float)
        if m.shape == ():
            m = np.full(x.shape[1], float(m))
        if m.shape != (x.shape[1],):
            raise MonitorError(
                f"Expected the monitor to return one value a point, shape ({x.shape[1]},), for x of shape {x.shape} "
                f"(got {m.shape})"
            )
        if not (m > 0).all() or not np.isfinite(m).all():
            bad = np.flatnonzero(~((m > 0) & np.isfinite(m)))
            at = self._centre[:, 0] + self._scale * x[:, bad[0]]
            raise MonitorError(
                f"Expected a positive, finite monitor (got {m[bad[0]]} at x = {tuple(float(c) for c in at)}, and "
                f"{len(bad)} bad values in all). Add a floor, such as 1 + m."
            )
        return m

    def value_and_gradient(self, x: Array) -> tuple[Array, Array]:
        m = self.value(x)
        gradient = np.empty_like(x)
        for c in range(len(x)):
            shifted = x.copy()
            shifted[c] += STEP
            gradient[c] = (self.value(shifted) - m) / (shifted[c] - x[c])
        return m, gradient


class NodalDensity:
    """Interpolant of positive vertex values (n,) on a mesh; constant beyond its boundary.

    Points are looked up from the cell where they were last time, since a mover's nodes creep.
    """

    def __init__(self, mesh: CellMesh, values: Array, locator: PointLocator | None = None) -> None:
        bad = np.flatnonzero(~((values > 0) & np.isfinite(values)))
        if len(bad):
            raise MonitorError(f"Expected positive, finite monitor values (got others at vertices {first_ids(bad)})")
        self._values = values
        self._locator = locator or PointLocator(mesh)
        self._guess: dict[int, NDArray[np.int64]] = {}
        self._slope = _slopes(mesh, values) if all(b.kind.is_simplex for b in mesh.blocks) else None

    def value(self, x: Array) -> Array:
        return self._find(x).interpolate(self._values)

    def value_and_gradient(self, x: Array) -> tuple[Array, Array]:
        where = self._find(x)
        m = where.interpolate(self._values)
        if self._slope is not None:
            return m, self._slope[:, where.cells]
        gradient = np.empty_like(x)
        for c in range(len(x)):
            shifted = x.copy()
            shifted[c] += STEP
            near = self._locator.find(shifted, guess=where.cells)
            gradient[c] = (near.interpolate(self._values) - m) / (shifted[c] - x[c])
        return m, gradient

    def _find(self, x: Array):
        where = self._locator.find(x, guess=self._guess.get(x.shape[1]))
        self._guess[x.shape[1]] = where.cells
        return where


def _slopes(mesh: CellMesh, values: Array) -> Array:
    """Gradients (dim, n_cells) of the linear interpolant on simplices."""
    simplices, _ = mesh.corners
    x, u = mesh.points[simplices], values[simplices]
    edges, rise = x[:, 1:] - x[:, :1], u[:, 1:] - u[:, :1]
    return np.linalg.solve(edges, rise[:, :, None])[:, :, 0].T
