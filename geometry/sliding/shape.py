"""The curved shape that edges and facets of a boundary stand for, and how far they stray from it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry.arrays import Array, Ids

from .curves import Curves
from .middles import edge_index
from .smooth.patches import Patches
from .surfaces import Surface

__all__ = ["Shape"]


class Shape:
    """Curves over edges and surfaces over triangles of a mesh of n nodes.

    `frame` (dim, dim): lengths of vectors times it are parts of the mesh's size.
    """

    def __init__(self, n: int, frame: Array) -> None:
        self.frame, self._n = frame, n
        #: what projects, the edges (e, 2) or triangles (t, 3) that stand for it, and the chain or patch of each
        self._parts: list[tuple[Curves | Patches, Ids, Ids]] = []

    def add_curves(self, curves: Curves, used: NDArray[np.bool_]) -> None:
        curves.index(used)
        self._parts.append((curves, curves.edges[used], curves.chain[used]))

    def add_surfaces(self, surfaces: Patches, surface: Surface, used: NDArray[np.bool_]) -> None:
        self._parts.append((surfaces, surface.triangles[used], surface.patch[used]))

    def piece(self, number: Ids, n: int, mine: Callable[[Ids], NDArray[np.bool_]]) -> Shape:
        """What a piece of the mesh counts of it, whose n nodes have a `number` there (see `Constraints.piece`)."""
        out = Shape(n, self.frame)
        for part, members, group in self._parts:
            own = mine(members)
            if own.any():
                out._parts.append((part, number[members[own]], group[own]))
        return out

    def sag(self, points: Array) -> float:
        """Largest distance of the middle of an edge or triangle of points (n, dim) from its curve or surface."""
        most = 0.0
        for part, members, group in self._parts:
            middle = points[members].mean(axis=1)
            off = (part.project(middle, group)[0] - middle) @ self.frame
            most = max(most, float(np.sqrt((off**2).sum(axis=1)).max()))
        return most

    def middles(self, ends: Ids, middle: Array) -> Array:
        """Points (k, dim) amid edges `ends` (k, 2), put on their curve or surface where they have one."""
        out = middle.copy()
        # surfaces come first: a feature edge is a side of triangles, too, and its curve has the last word
        for part, members, group in self._parts:
            k = members.shape[1]
            sides = members if k == 2 else np.concatenate([members[:, [i, (i + 1) % k]] for i in range(k)])
            at = edge_index(sides, ends, self._n)
            on = np.flatnonzero(at >= 0)
            if len(on):
                out[on] = part.project(middle[on], group[at[on] % len(group)])[0]
        return out
