"""Pixel masks of a domain and of its named boundary pieces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry.arrays import Mask
from meshmove.geometry.errors import DomainError
from meshmove.geometry.given import as_numbers, real, shown

from .boundary import Boundary

__all__ = ["Raster", "rasterize"]


#: rows and columns of the largest grid
MOST_PIXELS = 100_000


@dataclass(frozen=True, eq=False)
class Raster:
    """A domain on a grid of pixels; row 0 is the lowest y, column 0 the lowest x.

    `interior` (h, w): pixels whose centre is inside. `boundary`: name -> (h, w), the pixels that the pieces of that
    name pass through, a curve without gaps. `bounds`: outer corners of the grid, lower and upper.
    """

    interior: Mask
    boundary: dict[str, Mask]
    bounds: tuple[tuple[float, float], tuple[float, float]]

    @property
    def points(self) -> NDArray[np.float64]:
        """Pixel centres (2, h w), row by row: values at them reshape to (h, w)."""
        (x, y), (h, w) = _edges(self.bounds, self.interior.shape), self.interior.shape
        x, y = 0.5 * (x[1:] + x[:-1]), 0.5 * (y[1:] + y[:-1])
        return np.stack([np.tile(x, h), np.repeat(y, w)])

    def __repr__(self) -> str:
        counts = ", ".join(f"{name}: {mask.sum()}" for name, mask in self.boundary.items())
        return f"Raster({self.interior.shape}, interior: {self.interior.sum()} pixels, {counts})"


def _edges(bounds: tuple, shape: tuple[int, ...]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    (x0, y0), (x1, y1) = bounds
    return np.linspace(x0, x1, shape[1] + 1), np.linspace(y0, y1, shape[0] + 1)


def rasterize(boundary: Boundary, shape: tuple[int, int] = (224, 224), bounds: tuple | None = None) -> Raster:
    """Masks of shape (rows, columns) over `bounds` ((x0, y0), (x1, y1)), the domain's own box by default.

    Raises
    ------
    DomainError
        If the domain is empty, the shape is not positive or the bounds have no area.

    >>> from meshmove.geometry.domains import Disk, Rectangle
    >>> (Rectangle((-1, -1), (1, 1), "outer") - Disk((0, 0), 0.5, "hole")).rasterize((8, 8))
    Raster((8, 8), interior: 52 pixels, outer: 28, hole: 12)
    """
    shape, bounds = _checked(shape, boundary.bounds if bounds is None else bounds)
    raster = Raster(np.zeros(shape, bool), _curves(boundary, shape, bounds), bounds)
    inside = boundary.encloses(raster.points)
    passed = np.logical_or.reduce(list(raster.boundary.values())).ravel()
    inside[passed] = boundary.signed_distance(raster.points[:, passed]) <= 0  # centres that lie on the boundary
    raster.interior[...] = inside.reshape(shape)
    return raster


def _checked(shape: Any, bounds: Any) -> tuple[tuple[int, int], tuple[tuple[float, float], tuple[float, float]]]:
    sizes = as_numbers(shape, "a raster shape", "(rows, columns)", DomainError)
    if sizes.shape != (2,) or sizes.dtype.kind not in "iu" or sizes.min() < 1 or sizes.max() > MOST_PIXELS:
        raise DomainError(
            f"Expected a raster shape (rows, columns) of positive numbers, at most {MOST_PIXELS:,} (got {shown(shape)})"
        )
    box = real(bounds, "bounds", "((x0, y0), (x1, y1))", DomainError)
    if box.shape != (2, 2) or not (np.isfinite(box).all() and (box[0] < box[1]).all()):  # NaN for an empty one
        raise DomainError(f"Expected a domain with an interior and bounds ((x0, y0), (x1, y1)) (got {shown(bounds)})")
    (x0, y0), (x1, y1) = box.tolist()
    return (int(sizes[0]), int(sizes[1])), ((x0, y0), (x1, y1))


def _curves(boundary: Boundary, shape: tuple[int, int], bounds: tuple) -> dict[str, Mask]:
    masks = {name: np.zeros(shape, bool) for name in boundary.names}
    grid = _edges(bounds, shape)
    low = np.array(bounds[0])[:, None]
    pixel = np.array([grid[0][1] - grid[0][0], grid[1][1] - grid[1][0]])[:, None]
    for piece in boundary.pieces:
        # between two crossings of grid lines a piece is inside one pixel
        cuts = np.concatenate([[0.0, 1.0], piece.crossings(0, grid[0]), piece.crossings(1, grid[1])])
        cuts = np.unique(cuts)
        at = (piece.point(0.5 * (cuts[1:] + cuts[:-1])) - low) / pixel
        column, row = np.floor(at).astype(int)
        # what runs along the upper edges of the grid belongs to its last pixels
        column[np.abs(at[0] - shape[1]) < 1e-9] = shape[1] - 1
        row[np.abs(at[1] - shape[0]) < 1e-9] = shape[0] - 1
        seen = (row >= 0) & (row < shape[0]) & (column >= 0) & (column < shape[1])
        masks[piece.name][row[seen], column[seen]] = True
    return masks
