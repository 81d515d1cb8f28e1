"""Random outlines of plane domains: loops of pieces that run from corner to corner, as dense polylines (k, 2)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from meshmove.geometry.arrays import Array

__all__ = [
    "Loop",
    "airfoil",
    "airfoil_domain",
    "channel",
    "ellipse",
    "hole",
    "polygon",
    "rectangle",
    "reentrant",
    "star_polygon",
    "with_holes",
]

Rng = np.random.Generator
#: a closed curve: consecutive pieces, each smooth
Loop = list[Array]

_SAMPLES = 17  # on a straight side: enough to follow a size field


def polygon(corners: Array) -> Loop:
    """Straight sides between corners (k, 2)."""
    corners = np.asarray(corners, float)
    t = np.linspace(0, 1, _SAMPLES)[:, None]
    return [a + t * (b - a) for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True)]


def rectangle(low: ArrayLike, high: ArrayLike) -> Loop:
    """A box with the given corners."""
    (x0, y0), (x1, y1) = np.asarray(low), np.asarray(high)
    return polygon(np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]))


def ellipse(centre: Array, axes: Array, angle: float = 0.0) -> Loop:
    """An ellipse in two pieces."""
    t = np.linspace(0, 2 * np.pi, 97)
    c, s = np.cos(angle), np.sin(angle)
    x = np.asarray(centre) + np.stack([axes[0] * np.cos(t), axes[1] * np.sin(t)], axis=1) @ np.array([[c, s], [-s, c]])
    x[-1] = x[0]
    return [x[:49], x[48:]]


def airfoil(camber: float, place: float, thickness: float, angle: float, centre: Array, chord: float) -> Loop:
    """NACA 4-digit section (Jacobs, Ward and Pinkerton, NACA report 460, 1933), its trailing edge closed."""
    x = 0.5 * (1 - np.cos(np.linspace(0, np.pi, 61)))
    half = 5 * thickness * (0.2969 * np.sqrt(x) - 0.126 * x - 0.3516 * x**2 + 0.2843 * x**3 - 0.1036 * x**4)
    fore = x < place
    line = np.where(fore, camber * (2 * place * x - x**2) / place**2, 0)
    line = np.where(fore, line, camber * (1 - 2 * place + 2 * place * x - x**2) / (1 - place) ** 2)
    slope = np.where(fore, 2 * camber * (place - x) / place**2, 2 * camber * (place - x) / (1 - place) ** 2)
    normal = np.stack([-slope, np.ones_like(x)], axis=1) / np.sqrt(1 + slope**2)[:, None]
    mean = np.stack([x, line], axis=1)
    upper, lower = mean + half[:, None] * normal, mean - half[:, None] * normal
    lower[-1] = upper[-1]
    c, s = np.cos(angle), np.sin(angle)
    turn = np.array([[c, s], [-s, c]])
    return [np.asarray(centre) + chord * ((p - [0.5, 0]) @ turn) for p in (lower, upper[::-1])]


def star_polygon(rng: Rng) -> Loop:
    """A star-shaped polygon of 3 to 9 random corners, none of them sharp."""
    k = int(rng.integers(3, 10))
    while True:
        angle = 2 * np.pi * (np.arange(k) + rng.uniform(-0.35, 0.35, k)) / k
        radius = rng.uniform(0.3 if k > 4 else 0.6, 1, k)
        corners = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        a = np.roll(corners, 1, axis=0) - corners
        b = np.roll(corners, -1, axis=0) - corners
        turn = np.arctan2(b[:, 0] * a[:, 1] - b[:, 1] * a[:, 0], (a * b).sum(axis=1)) % (2 * np.pi)
        sides = np.linalg.norm(b, axis=1)
        if turn.min() > 0.6 and turn.max() < 2 * np.pi - 0.6 and sides.min() > 0.2:
            return polygon(corners)


def hole(rng: Rng, centre: Array, radius: float) -> Loop:
    """A round, elliptic or angular hole inside the given circle."""
    kind = rng.integers(3)
    if kind == 0:
        return ellipse(centre, np.full(2, radius))
    if kind == 1:
        return ellipse(centre, radius * np.array([1, rng.uniform(0.35, 1)]), rng.uniform(0, np.pi))
    k = int(rng.integers(3, 7))
    angle = 2 * np.pi * (np.arange(k) + rng.uniform(-0.2, 0.2, k)) / k + rng.uniform(0, 2 * np.pi)
    return polygon(np.asarray(centre) + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1))


def _corners(loop: Loop) -> Array:
    return np.concatenate(loop)


def with_holes(rng: Rng, outer: Loop, count: int, gap: float) -> list[Loop]:
    """The outline and up to `count` holes, at least `gap` from it and from each other."""
    boundary = _corners(outer)
    low, high = boundary.min(axis=0), boundary.max(axis=0)
    span = (high - low).min()
    loops, found = [outer], [(low, -1.0)][:0]
    middle = boundary.mean(axis=0)
    for _ in range(12 * count):
        centre = middle + rng.uniform(-0.5, 0.5, 2) * (high - low)
        radius = rng.uniform(0.04, 0.18) * span
        near = np.linalg.norm(boundary - centre, axis=1).min()
        if near < radius + gap or not _contains(boundary, centre):
            continue
        if all(np.linalg.norm(c - centre) > r + radius + gap for c, r in found):
            found.append((centre, radius))
            loops.append(hole(rng, centre, radius))
        if len(found) == count:
            break
    return loops


def _contains(loop: Array, x: Array) -> bool:
    a, b = loop - x, np.roll(loop, -1, axis=0) - x
    angle = np.arctan2(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0], (a * b).sum(axis=1))
    return abs(angle.sum()) > np.pi


def reentrant(rng: Rng) -> Loop:
    """Forms with inward corners: L, stairs, a notch, a box less a wedge, a pie with a piece out, a chevron."""
    a, b = rng.uniform(0.25, 0.75, 2)
    kind = rng.integers(6)
    if kind == 0:  # L
        corners = [(0, 0), (1, 0), (1, b), (a, b), (a, 1), (0, 1)]
    elif kind == 1:  # stairs
        x, y = np.sort(rng.uniform(0.2, 0.8, 2)), np.sort(rng.uniform(0.2, 0.8, 2))[::-1]
        if min(np.ptp(x), np.ptp(y)) < 0.15:
            x, y = np.array([0.35, 0.7]), np.array([0.7, 0.35])
        corners = [(0, 0), (1, 0), (1, y[1]), (x[1], y[1]), (x[1], y[0]), (x[0], y[0]), (x[0], 1), (0, 1)]
    elif kind == 2:  # V-notch
        half = rng.uniform(0.1, 0.25)
        corners = [(0, 0), (1, 0), (1, 1), (a + half, 1), (a, b), (a - half, 1), (0, 1)]
        corners = [(x, y) for x, y in corners if -1e-9 <= x <= 1 + 1e-9]
    elif kind == 3:  # a wedge out of a corner
        corners = [(0, 0), (1, 0), (1, a), (rng.uniform(0.3, 0.6), rng.uniform(0.3, 0.6)), (b, 1), (0, 1)]
    elif kind == 4:  # a disk with a sector out
        opening = rng.uniform(0.3, 1.7)
        t = np.linspace(opening, 2 * np.pi - 0.0, 65)
        arc = np.stack([np.cos(t), np.sin(t)], axis=1)
        s = np.linspace(0, 1, _SAMPLES)[:, None]
        return [arc, (1 - s) * arc[-1], s * arc[0]]
    else:  # a chevron
        depth, tilt = rng.uniform(0.35, 0.8), rng.uniform(0.3, 0.7)
        corners = [(0, 0), (1, tilt), (2, 0), (2, depth), (1, depth + tilt), (0, depth)]
    return polygon(np.array(corners, float))


def airfoil_domain(rng: Rng) -> tuple[list[Loop], float]:
    """A box with one airfoil, at times two, of unit chord; and the chord."""
    angle = rng.uniform(-0.3, 0.3)
    thickness, camber = rng.uniform(0.08, 0.24), rng.uniform(0, 0.07)
    box = rectangle([-rng.uniform(1, 2), -rng.uniform(0.8, 1.5)], [rng.uniform(1, 3), rng.uniform(0.8, 1.5)])
    first = airfoil(camber, rng.uniform(0.25, 0.6), thickness, -angle, np.zeros(2), 1.0)
    if rng.random() < 0.8:
        return [box, first], 1.0
    flap = airfoil(0.02, 0.4, 0.15, angle - 0.5, np.array([0.75, -0.35]), 0.4)
    return [box, first, flap], 1.0


def channel(rng: Rng) -> list[Loop]:
    """A long box with obstacles in the stream, or a step or a constriction in its walls."""
    long = rng.uniform(2, 5)
    kind = rng.random()
    if kind < 0.2:  # backward-facing step
        x, y = rng.uniform(0.2, 0.5) * long, rng.uniform(0.25, 0.6)
        return [polygon(np.array([(x, 0), (long, 0), (long, 1), (0, 1), (0, y), (x, y)]))]
    if kind < 0.35:  # constriction
        t = np.linspace(0, long, 65)
        depth, width = rng.uniform(0.1, 0.35), rng.uniform(0.2, 0.5)
        bump = depth * np.exp(-(((t - 0.5 * long) / width) ** 2))
        floor = np.stack([t, bump - bump[0]], axis=1)
        roof = np.stack([t, 1 - (bump - bump[0]) * rng.uniform(0, 1)], axis=1)[::-1]
        s = np.linspace(0, 1, _SAMPLES)[:, None]
        return [[floor, floor[-1] + s * (roof[0] - floor[-1]), roof, roof[-1] + s * (floor[0] - roof[-1])]]
    loops = [rectangle([0, 0], [long, 1])]
    count = int(rng.integers(1, 4))
    for x in long * (np.arange(count) + rng.uniform(0.3, 0.7, count)) / count:
        radius = rng.uniform(0.08, min(0.25, 0.25 * long / count))
        loops.append(hole(rng, np.array([x, rng.uniform(0.2 + radius, 0.8 - radius)]), radius))
    return loops
