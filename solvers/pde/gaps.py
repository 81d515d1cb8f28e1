"""How near the boundary of a domain comes to itself: holes that touch, or all but touch."""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import numpy as np

from meshmove.geometry.arrays import Array
from meshmove.geometry.domains import Domain
from meshmove.geometry.domains.boundary import Boundary
from meshmove.geometry.domains.meshing.gmsh_engine import shells
from meshmove.geometry.domains.meshing.sizes import joined_ends

__all__ = ["Gap", "narrowest"]


_SAMPLES = 65  #: on a curved piece, at first and in each round that narrows the search down
_ROUNDS = 6


class Gap(NamedTuple):
    """The least distance between two closed curves of a boundary, where it is (2,), and the names of the two."""

    width: float
    at: Array
    names: tuple[str, str]


def narrowest(domain: Domain, below: float) -> Gap | None:
    """The least gap between two of the closed curves around a domain, or None if all are `below` apart or more.

    Curves that share a point are 0 apart, and so is a curve from itself that comes back to one of its points.

    >>> from meshmove.geometry import Disk, Rectangle
    >>> square = Rectangle((-1, -1), (1, 1), name="outer")
    >>> gap = narrowest(square - [Disk((-0.3, 0), 0.2, name="a"), Disk((0.3, 0), 0.25, name="b")], below=0.5)
    >>> round(gap.width, 9), gap.names
    (0.15, ('a', 'b'))
    """
    boundary = domain.boundary
    ids, points = joined_ends(boundary)
    met = np.flatnonzero(np.bincount(ids.ravel()) > 2)
    if len(met):
        names = tuple(dict.fromkeys(boundary.pieces[i].name for i in np.flatnonzero((ids == met[0]).any(axis=0))))
        return Gap(0.0, points[:, met[0]], (names[0], names[-1]))
    loops = [loop for shell in shells(points, ids.T) for loop in shell]
    slack = np.array([[-below], [below]]) / 2
    boxes = boundary.boxes + slack
    near = []
    for one, other in combinations(loops, 2):
        meet = (boxes[one, None, 0] <= boxes[other, 1]) & (boxes[one, None, 1] >= boxes[other, 0])
        first, second = np.nonzero(meet.all(axis=-1))  # pieces that can be so near at all
        if len(first):
            parts = [Boundary(tuple(boundary.pieces[i] for i in np.unique(ids))) for ids in (one[first], other[second])]
            near.append(_between(*parts))
    least = min(near, key=lambda gap: gap.width, default=None)
    return least if least is not None and least.width < below else None


def _between(a: Boundary, b: Boundary) -> Gap:
    """The gap of two curves: between straight pieces it ends in a corner of either, else the search narrows it down."""
    found = [*_from(a, b), *_from(b, a)]
    return min(found, key=lambda gap: gap.width)


def _from(a: Boundary, b: Boundary) -> list[Gap]:
    found = []
    ends = a.ends[:, 0]
    distance, piece, _ = b.nearest(ends)
    k = int(distance.argmin())
    found.append(Gap(float(distance[k]), ends[:, k], (a.pieces[k].name, b.pieces[piece[k]].name)))
    for curve in (p for p in a.pieces if not p.straight):
        low, high = 0.0, 1.0
        for _ in range(_ROUNDS):
            s = np.linspace(low, high, _SAMPLES)
            distance, piece, _ = b.nearest(curve.point(s))
            k = int(distance.argmin())
            low, high = s[max(k - 1, 0)], s[min(k + 1, _SAMPLES - 1)]
        found.append(Gap(float(distance[k]), curve.point(s[[k]])[:, 0], (curve.name, b.pieces[piece[k]].name)))
    return found
