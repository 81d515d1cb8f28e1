"""Morton order, and a tree of bounding boxes over it: exact nearest neighbours among boxes, all points at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry.arrays import Array, Ids

__all__ = ["BoxTree", "morton_codes"]


_WIDTH = 8

# (shift, mask) pairs that move the bits of a number one (or two) places apart
_SPREAD = {
    2: [
        (16, 0x0000FFFF0000FFFF),
        (8, 0x00FF00FF00FF00FF),
        (4, 0x0F0F0F0F0F0F0F0F),
        (2, 0x3333333333333333),
        (1, 0x5555555555555555),
    ],
    3: [
        (32, 0x001F00000000FFFF),
        (16, 0x001F0000FF0000FF),
        (8, 0x100F00F00F00F00F),
        (4, 0x10C30C30C30C30C3),
        (2, 0x1249249249249249),
    ],
}


def morton_codes(x: Array, low: Array, span: Array) -> NDArray[np.uint64]:
    """Positions (m,) along the Z-order curve of points (m, dim) in the box [low, low + span]; clipped to it.

    >>> morton_codes(np.array([[0.0, 0], [1, 0], [0, 1], [1, 1]]), np.zeros(2), np.ones(2)).argsort()
    array([0, 1, 2, 3])
    """
    dim = x.shape[1]
    top = float(2 ** (31 if dim == 2 else 21) - 1)
    code = np.zeros(len(x), np.uint64)
    for axis in range(dim):
        bits = (np.clip((x[:, axis] - low[axis]) / span[axis], 0, 1) * top).astype(np.uint64)
        for shift, mask in _SPREAD[dim]:
            bits = (bits | (bits << np.uint64(shift))) & np.uint64(mask)
        code |= bits << np.uint64(axis)
    return code


class BoxTree:
    """Bounding boxes (n, dim) in an order in which neighbours are close: eight boxes share a parent."""

    def __init__(self, low: Array, high: Array) -> None:
        self.levels = [(low, high)]
        while len(low) > _WIDTH:
            starts = np.arange(0, len(low), _WIDTH)
            low, high = np.minimum.reduceat(low, starts), np.maximum.reduceat(high, starts)
            self.levels.append((low, high))

    def near(self, x: Array, upper: Array) -> tuple[Ids, Ids, Array]:
        """Boxes that may hold the thing nearest to each point.

        `x` (m, dim); `upper` (m,) is a known bound on the squared distance to the nearest. Returns pairs of point
        and box, grouped by point, and the squared distance of each pair. Every box contains something, so the
        distance to its far corner is a bound too: it prunes each level before the next is opened.
        """
        upper = upper.copy()
        top = len(self.levels[-1][0])
        point = np.repeat(np.arange(len(x)), top)
        node = np.tile(np.arange(top), len(x))
        for depth in range(len(self.levels) - 1, -1, -1):
            low, high = (side[node] for side in self.levels[depth])
            y = x[point]
            below, above = low - y, y - high
            gap = (np.maximum(np.maximum(below, above), 0) ** 2).sum(1)
            far = (np.maximum(-below, -above) ** 2).sum(1)
            np.minimum.at(upper, point, far)
            # a hair of slack: a bound and a distance that are equal may differ in the last digits
            keep = gap <= upper[point] * (1 + 1e-9) + 1e-300
            point, node, gap = point[keep], node[keep], gap[keep]
            if depth:
                size = len(self.levels[depth - 1][0])
                point = np.repeat(point, _WIDTH)
                node = (node[:, None] * _WIDTH + np.arange(_WIDTH)).ravel()
                point, node = point[node < size], node[node < size]
        return point, node, gap
