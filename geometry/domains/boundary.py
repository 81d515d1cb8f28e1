"""`Boundary`: the closed curves around a domain, with distance, winding number, and Boolean combination."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from meshmove.geometry.arrays import Array, Ids
from meshmove.geometry.errors import DomainError
from meshmove.geometry.given import real

from .intersect import cuts
from .pieces import Arc, Piece

__all__ = ["Boundary", "as_points", "cover", "split_at"]

Operation = Literal["union", "intersection", "difference"]

ON = 1e-9  #: pieces this close (relative to the extent) coincide
SNAP = 1e-7  #: ends this close are one corner, pieces shorter than this are dropped
CHUNK = 1 << 20  #: point-piece pairs worked on at once
_SOME = np.linspace(0, 1, 4, endpoint=False)  #: parameters on arcs


@dataclass(frozen=True)
class Boundary:
    """Pieces with the domain on their left; together they form closed curves, in any order."""

    pieces: tuple[Piece, ...]

    def __len__(self) -> int:
        return len(self.pieces)

    @cached_property
    def bounds(self) -> Array:
        """Corners of the bounding box, (2, 2): lower, upper."""
        if not self.pieces:
            return np.full((2, 2), np.nan)
        return np.stack([self.boxes[:, 0].min(0), self.boxes[:, 1].max(0)])

    @cached_property
    def boxes(self) -> Array:
        """Bounding boxes of the pieces, (pieces, 2, 2)."""
        return np.array([p.box for p in self.pieces])

    @cached_property
    def extent(self) -> float:
        return float(np.linalg.norm(self.bounds[1] - self.bounds[0])) if self.pieces else 0.0

    @cached_property
    def area(self) -> float:
        # about the middle of the box, where the least cancels
        if not self.pieces:
            return 0.0
        middle = self.bounds.mean(0)
        ends = self.ends - middle[:, None, None]
        chords = 0.5 * (ends[0, 0] * ends[1, 1] - ends[1, 0] * ends[0, 1]).sum()
        caps = sum(_cap(p) for p in self.pieces if isinstance(p, Arc))
        return float(chords + caps)

    @cached_property
    def lengths(self) -> Array:
        return np.array([p.length for p in self.pieces])

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(p.name for p in self.pieces))

    @cached_property
    def ends(self) -> Array:
        """Start and end of every piece, (2, 2, pieces): coordinate, end, piece."""
        return np.stack([p.ends for p in self.pieces], axis=2)

    @cached_property
    def _straight(self) -> tuple[Ids, Array, Array]:
        ids = np.array([i for i, p in enumerate(self.pieces) if p.straight], dtype=np.int64)
        a = self.ends[:, 0, ids] if len(ids) else np.empty((2, 0))
        return ids, a, (self.ends[:, 1, ids] - a if len(ids) else a)

    @cached_property
    def _curved(self) -> list[tuple[int, Arc]]:
        return [(i, p) for i, p in enumerate(self.pieces) if isinstance(p, Arc)]

    def _chunks(self, n: int) -> Iterable[slice]:
        step = max(1, CHUNK // max(1, len(self)))
        return (slice(i, i + step) for i in range(0, n, step))

    def nearest(self, x: Array) -> tuple[Array, Ids, Array]:
        """Distance of points (2, n) to the boundary, the nearest piece, and the parameter on it, each (n,)."""
        n = x.shape[1]
        distance, piece, s = np.full(n, np.inf), np.zeros(n, dtype=np.int64), np.zeros(n)
        ids, a, e = self._straight
        if len(ids):
            square = (e * e).sum(0)
            for part in self._chunks(n):
                w = x[:, part, None] - a[:, None]
                u = np.clip((w[0] * e[0] + w[1] * e[1]) / square, 0, 1)
                d = np.hypot(w[0] - u * e[0], w[1] - u * e[1])
                k = d.argmin(1)
                rows = np.arange(len(k))
                distance[part], piece[part], s[part] = d[rows, k], ids[k], u[rows, k]
        most = np.minimum(distance, self._at_most(x))
        for i, arc in self._curved:
            near = np.flatnonzero(_apart(arc.box, x) <= most + ON * self.extent)  # elsewhere another is nearer
            d, u = arc.nearest(x[:, near])
            closer = d < distance[near]
            at = near[closer]
            distance[at], piece[at], s[at] = d[closer], i, u[closer]
            most[at] = np.minimum(most[at], distance[at])
        return distance, piece, s

    def _at_most(self, x: Array) -> Array:
        """Distances (n,) to the nearest of some points on arcs: no arc whose box is farther away is the nearest.

        Infinite where all arcs are of circles, whose nearest points are as cheap.
        """
        out = np.full(x.shape[1], np.inf)
        for _, arc in self._curved if any(arc.axes[0] != arc.axes[1] for _, arc in self._curved) else ():
            for a, b in arc.point(_SOME).T:
                out = np.minimum(out, np.hypot(x[0] - a, x[1] - b))
        return out

    def encloses(self, x: Array) -> NDArray[np.bool_]:
        """Whether the winding number around points (2, n) is one; on the boundary itself either answer may come.

        An arc subtends the angle of its chord, and a full turn more for points between arc and chord.
        """
        n = x.shape[1]
        angle = np.zeros(n)
        if not self.pieces:
            return angle > 1
        a, b = self.ends[:, 0], self.ends[:, 1]
        for part in self._chunks(n):
            p, q = a[:, None] - x[:, part, None], b[:, None] - x[:, part, None]
            side = p[0] * q[1] - p[1] * q[0] + 0.0  # no -0.0, whose arctan2 would be -pi
            angle[part] = np.arctan2(side, (p * q).sum(0)).sum(1)
            for i, arc in self._curved:
                u = arc.local(x[:, part]) / np.array(arc.axes)[:, None]
                inside = (u * u).sum(0) < 1
                cap = inside & ((side[:, i] < 0) if arc.t1 > arc.t0 else (side[:, i] >= 0))
                angle[part] += np.where(cap, np.copysign(2 * np.pi, arc.t1 - arc.t0), 0)
        return angle > np.pi

    def signed_distance(self, x: Array) -> Array:
        distance = self.nearest(x)[0]
        return np.where(self.encloses(x), -distance, distance)

    def evaluate(self, piece: Ids, s: Array) -> tuple[Array, Array]:
        """Points and outward unit normals at parameters of pieces, each (2, n)."""
        x, normal = np.empty((2, len(piece))), np.empty((2, len(piece)))
        for i in np.unique(piece):
            at = piece == i
            x[:, at] = self.pieces[i].point(s[at])
            t = self.pieces[i].tangent(s[at])
            normal[:, at] = t[1], -t[0]
        return x, normal

    def combined(self, other: Boundary, operation: Operation) -> Boundary:
        """The boundary of the union, intersection or difference of the domains that the two bound."""
        inside = operation == "intersection"
        mine = _trimmed(self, other, inside, -1 if operation == "difference" else 1)
        theirs = _trimmed(other, self, operation != "union", 0)
        if operation == "difference":
            theirs = [p.reversed() for p in theirs]
        return Boundary((*mine, *theirs))


def _apart(box: Array, x: Array) -> Array:
    """Distances (n,) of points (2, n) to a box, 0 inside."""
    return np.hypot(*np.maximum(np.maximum(box[0][:, None] - x, x - box[1][:, None]), 0.0))


def _cap(arc: Arc) -> float:
    """Signed area between an arc and its chord."""
    turn = arc.t1 - arc.t0
    # t - sin t by its series where the two cancel
    bulge = turn**3 / 6 * (1 - turn**2 / 20 * (1 - turn**2 / 42)) if abs(turn) < 1e-2 else turn - np.sin(turn)
    return 0.5 * arc.axes[0] * arc.axes[1] * float(bulge)


def _trimmed(mine: Boundary, other: Boundary, inside: bool, shared: int) -> list[Piece]:
    """Parts of my pieces inside (or outside) the other domain.

    Parts on the other's boundary are kept where the directions agree (`shared` 1), are opposite (-1), or never (0).
    """
    if not mine.pieces or not other.pieces:
        return [] if inside else list(mine.pieces)
    extent = float(np.linalg.norm(np.ptp(np.concatenate([mine.bounds, other.bounds]), axis=0)))
    slack = np.array([[-SNAP], [SNAP]]) * extent
    near = _overlap(mine.boxes, other.bounds + slack)
    kept = [] if inside else [p for p, reached in zip(mine.pieces, near, strict=True) if not reached]
    parts: list[Piece] = []
    for i in np.flatnonzero(near):
        partners = [other.pieces[j] for j in np.flatnonzero(_overlap(other.boxes, mine.boxes[i] + slack))]
        piece = mine.pieces[i]
        parts += split_at(piece, cuts(piece, partners, ON * extent), SNAP * extent) if partners else [piece]
    if not parts:
        return kept
    # judge a part where it is farthest from the other boundary: a touch in the middle says nothing
    trial = np.array([0.5, 0.2871, 0.7394])
    x = np.concatenate([p.point(trial) for p in parts], axis=1)
    distance, closest, s = other.nearest(x)
    distance = distance.reshape(-1, len(trial))
    at = np.arange(len(parts)) * len(trial) + distance.argmax(1)
    within = other.encloses(x[:, at])
    coincide = distance.max(1) <= ON * extent
    t = np.stack([p.tangent(trial[[j % len(trial)]])[:, 0] for p, j in zip(parts, at, strict=True)], axis=1)
    normal = other.evaluate(closest[at], s[at])[1]
    agree = np.sign(normal[0] * t[1] - normal[1] * t[0])
    keep = np.where(coincide, (agree == shared) & (shared != 0), within == inside)
    return kept + [p for p, wanted in zip(parts, keep, strict=True) if wanted]


def _overlap(boxes: Array, box: Array) -> NDArray[np.bool_]:
    return ((boxes[:, 0] <= box[1]) & (boxes[:, 1] >= box[0])).all(1)


def split_at(piece: Piece, s: Array, shortest: float) -> list[Piece]:
    """The piece cut at parameters s; parts that would be too short are left to their neighbour."""
    gap = shortest / piece.length
    marks = [0.0]
    for value in s:
        if value - marks[-1] > gap and 1 - value > gap:
            marks.append(float(value))
    marks.append(1.0)
    return [piece.part(u, v) for u, v in zip(marks[:-1], marks[1:], strict=True)] if len(marks) > 2 else [piece]


def cover(boundary: Boundary) -> tuple[Array, Array]:
    """Equal boxes that cover the domain and are filled by at least half: lower corners (2, m) and size (2,)."""
    low, high = boundary.bounds
    cell, corners = (high - low), low[:, None]
    offsets = np.array([[0, 1, 0, 1], [0, 0, 1, 1]])
    while boundary.area < 0.5 * cell.prod() * corners.shape[1] and corners.shape[1] < 50_000:
        cell = cell / 2
        corners = (corners[:, :, None] + cell[:, None, None] * offsets[:, None]).reshape(2, -1)
        corners = corners[:, boundary.signed_distance(corners + cell[:, None] / 2) <= 0.5001 * np.linalg.norm(cell)]
    return corners, cell


def as_points(x: ArrayLike) -> Array:
    """Points as a float array (2, n)."""
    x = real(x, "points", "an array of shape (2, n)", DomainError)
    if x.ndim != 2 or x.shape[0] != 2:
        raise DomainError(f"Expected points of shape (2, n) (got {x.shape}); transpose an (n, 2) array")
    if not np.isfinite(x).all():
        raise DomainError(f"Expected finite points (got {x[:, ~np.isfinite(x).all(0)][:, 0].tolist()})")
    return x
