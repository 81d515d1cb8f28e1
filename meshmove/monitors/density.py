"""Monitors as positive functions of space: from a user's callable, or from values at the nodes of a mesh."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from meshmove.geometry import CellMesh, Location, MonitorError, PointLocator
from meshmove.geometry.arrays import Array, Ids
from meshmove.geometry.errors import first_ids
from meshmove.geometry.quality import barycentric
from meshmove.options import called

__all__ = ["CallableDensity", "NodalDensity", "chunks"]


#: step of the difference quotients, relative to the size of the mesh
STEP = 1e-6
#: how far values of a monitor may be apart: their squares, and products with volumes, stay within float64
APART = 1e150
#: cells whose sample points are looked up together
CELLS = 1 << 14


class CallableDensity:
    """m(x) of a user, at points x (dim, n) in physical space; gradients by forward differences.

    Only ratios of a monitor matter, so values are taken in a unit of their own: the largest at the first points asked.

    Parameters
    ----------
    function
        Positive, vectorised.
    centre, scale
        The coordinates in use are (x - centre) / scale.
    place
        Takes points (n, dim) to where they are in physical space, (n, 3) for a plane mesh in space. None: they are
        there.
    """

    def __init__(
        self,
        function: Callable[[Array], Array],
        centre: Array,
        scale: float,
        place: Callable[[Array], Array] | None = None,
    ) -> None:
        self._function, self._centre, self._scale, self._place = function, centre[:, None], scale, place
        #: of the unit, a power of two; known once values were asked for
        self.exponent: int | None = None

    def _physical(self, x: Array) -> Array:
        """A copy of points (dim, n) in physical space, which the function may write to."""
        there = self._centre + self._scale * x
        return there if self._place is None else np.ascontiguousarray(self._place(there.T).T)

    def value(self, x: Array) -> Array:
        m = called(self._function, self._physical(x), "the monitor m(x)", MonitorError)
        if m.dtype.kind not in "fiub":
            raise MonitorError(f"Expected real monitor values (got {m.dtype})")
        m = m.astype(float)
        if m.shape == ():
            m = np.full(x.shape[1], float(m))
        if m.shape != (x.shape[1],):
            raise MonitorError(
                f"Expected the monitor to return one value a point, shape ({x.shape[1]},), for x of shape {x.shape} "
                f"(got {m.shape})"
            )
        if m.size and not (m.min() > 0 and m.max() < np.inf):  # NaN fails both
            bad = np.flatnonzero(~((m > 0) & np.isfinite(m)))
            at = self._physical(x)[:, bad[0]]
            raise MonitorError(
                f"Expected a positive, finite monitor (got {m[bad[0]]} at x = {tuple(float(c) for c in at)}, and "
                f"{len(bad)} bad values in all). Add a floor, such as 1 + m."
            )
        return self._in_unit(m)

    def _in_unit(self, m: Array) -> Array:
        """Values divided by a power of two, which changes no digit."""
        if not m.size:
            return m
        if self.exponent is None:
            self.exponent = int(np.frexp(m.max())[1])
        low, high = (int(np.frexp(v)[1]) - self.exponent for v in (m.min(), m.max()))
        if max(-low, high) > np.log2(APART):
            unit = float(np.ldexp(0.5, self.exponent))
            raise MonitorError(
                f"Expected monitor values within a factor of {APART:g} of each other (got {m.min():.3g} to "
                f"{max(m.max(), unit):.3g}). Add a floor, such as 1 + m, or take a power or the logarithm of it"
            )
        return np.ldexp(m, -self.exponent)

    def value_and_gradient(self, x: Array) -> tuple[Array, Array]:
        m = self.value(x)
        gradient = np.empty_like(x)
        for c in range(len(x)):
            shifted = x.copy()
            shifted[c] -= np.copysign(STEP, x[c])  # towards the centre, never out of the mesh's box
            gradient[c] = (self.value(shifted) - m) / (shifted[c] - x[c])
        return m, gradient


def chunks(cells: int) -> Iterator[slice]:
    """So many cells, a few at a time."""
    return (slice(k, k + CELLS) for k in range(0, cells, CELLS))


class NodalDensity:
    """Piecewise linear interpolant of positive vertex values (n,); constant beyond the boundary.

    Points are looked up from the cell where they were last time, since a mover's nodes creep.

    Parameters
    ----------
    values
        One value a vertex of the locator's mesh.
    locator
        Of a mesh of simplices (see `CellMesh.simplicial`).
    near
        Its cells (m,) near which the first m points are, where that is known.
    """

    def __init__(self, values: Array, locator: PointLocator, near: Ids | None = None) -> None:
        bad = np.flatnonzero(~((values > 0) & np.isfinite(values)))
        if len(bad):
            raise MonitorError(f"Expected positive, finite monitor values (got others at vertices {first_ids(bad)})")
        self._values, self._locator = values, locator
        self._guess: dict[int, Ids] = {} if near is None else {len(near): near}
        simplices = locator.mesh.corners[0].T
        x = np.ascontiguousarray(locator.mesh.points.T).take(simplices, axis=1)
        self._slope = np.einsum("cvs,vs->cs", barycentric(x)[0], values.take(simplices))

    def value(self, x: Array) -> Array:
        if np.array_equal(x.T, self._locator.mesh.points):
            return self._values.copy()
        return self._find(x).interpolate(self._values)

    def value_and_gradient(self, x: Array) -> tuple[Array, Array]:
        where = self._find(x)
        return where.interpolate(self._values), self._slope.take(where.cells, axis=1)

    def inside(self, vertices: Array, shape: Array) -> Array:
        """Values (m, q) in cells with vertices (m, v, dim), at the points of which these are the shape functions
        (v, q): some cells at a time, since points are many more."""
        out = np.empty((len(vertices), shape.shape[1]))
        for chunk in chunks(len(vertices)):
            x = np.einsum("mvd,vq->dmq", vertices[chunk], shape)
            near = self._locator.find(x.mean(axis=2)).cells  # from where cells were the way may be long
            where = self._locator.follow(x.reshape(len(x), -1), np.repeat(near, x.shape[2]))
            out[chunk] = where.interpolate(self._values).reshape(x.shape[1:])
        return out

    def means(self, mesh: CellMesh, points: Array) -> Array | None:
        """Means (n_cells,) over a mesh's simplices with vertices at `points` (n, dim), if the locator has these."""
        own, simplices = self._locator.mesh, mesh.corners[0]
        if not (np.array_equal(points, own.points) and np.array_equal(simplices, own.corners[0])):
            return None
        return np.add.reduce(self._values.take(simplices.T)) / simplices.shape[1]

    def near(self, count: int) -> Ids | None:
        """Where the last points were that came in this number, None if none did."""
        return self._guess.get(count)

    def _find(self, x: Array) -> Location:
        guess = self._guess.get(x.shape[1])
        where = self._locator.find(x) if guess is None else self._locator.follow(x, guess)
        self._guess[x.shape[1]] = where.cells
        return where
