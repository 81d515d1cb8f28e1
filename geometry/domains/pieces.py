"""Boundary pieces: straight segments and elliptic arcs, each a curve s -> x(s), 0 <= s <= 1, the domain on its left.

Everything a domain knows (area, distance, samples, mesh vertices) is computed from these pieces, not from polygons
that approximate them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import ellipeinc

from meshmove.geometry.arrays import Array

__all__ = ["Arc", "Piece", "Segment"]

Point = tuple[float, float]

SETTLED = 4e-15  #: steps of an angle that are rounding


@dataclass(frozen=True)
class Segment:
    """The straight piece x(s) = start + s (end - start)."""

    start: Point
    end: Point
    name: str

    straight = True

    @property
    def length(self) -> float:
        return float(np.hypot(self.end[0] - self.start[0], self.end[1] - self.start[1]))

    def point(self, s: Array) -> Array:
        a, b = np.array(self.start)[:, None], np.array(self.end)[:, None]
        return (1 - s) * a + s * b

    def tangent(self, s: Array) -> Array:
        e = np.array(self.end) - np.array(self.start)
        return np.repeat((e / np.linalg.norm(e))[:, None], np.size(s), axis=1)

    def along(self, fraction: Array) -> Array:
        """Parameters s at fractions of the arc length."""
        return np.asarray(fraction, float)

    def radius(self, s: Array) -> Array:
        """Radius of curvature."""
        return np.full(np.shape(s), np.inf)

    def part(self, s0: float, s1: float) -> Segment:
        (a, b) = self.point(np.array([s0, s1])).T
        start = self.start if s0 == 0 else (float(a[0]), float(a[1]))
        end = self.end if s1 == 1 else (float(b[0]), float(b[1]))
        return replace(self, start=start, end=end)

    def reversed(self) -> Segment:
        return replace(self, start=self.end, end=self.start)

    def nearest(self, x: Array) -> tuple[Array, Array]:
        """Distances of points (2, n) and the parameters of their nearest points."""
        a = np.array(self.start)[:, None]
        e = np.array(self.end)[:, None] - a
        s = np.clip(((x - a) * e).sum(0) / (e * e).sum(), 0, 1)
        return np.linalg.norm(x - a - s * e, axis=0), s

    def crossings(self, axis: int, values: Array) -> Array:
        """Parameters at which a coordinate takes the values."""
        a, b = self.start[axis], self.end[axis]
        if a == b:
            return np.empty(0)
        s = (np.asarray(values) - a) / (b - a)
        return s[(s >= 0) & (s <= 1)]

    @property
    def ends(self) -> Array:
        """Start and end, the columns of (2, 2)."""
        return np.array([self.start, self.end]).T

    @cached_property
    def box(self) -> Array:
        """Lower and upper corner of the bounding box, (2, 2)."""
        return np.sort([self.start, self.end], axis=0)


@dataclass(frozen=True)
class Arc:
    """The arc center + R(angle) (a cos t, b sin t), t = t0 + s (t1 - t0), inside one quadrant of its ellipse."""

    center: Point
    axes: Point
    angle: float
    t0: float
    t1: float
    name: str

    straight = False

    @property
    def _rotation(self) -> Array:
        c, s = np.cos(self.angle), np.sin(self.angle)
        return np.array([[c, -s], [s, c]])

    def local(self, x: Array) -> Array:
        """Points (2, n) in the frame of the ellipse."""
        return self._rotation.T @ (x - np.array(self.center)[:, None])

    def _t(self, s: Array) -> Array:
        # exact at both ends, so that neighbouring arcs share them to the last bit
        return (1 - np.asarray(s, float)) * self.t0 + np.asarray(s, float) * self.t1

    def _length_to(self, t: Array | float) -> Array:
        a, b = self.axes
        return b * ellipeinc(t, 1 - (a / b) ** 2)

    @property
    def length(self) -> float:
        return float(abs(self._length_to(self.t1) - self._length_to(self.t0)))

    def point(self, s: Array) -> Array:
        t = self._t(s)
        local = np.stack([self.axes[0] * np.cos(t), self.axes[1] * np.sin(t)])
        return self._rotation @ local + np.array(self.center)[:, None]

    def tangent(self, s: Array) -> Array:
        t = self._t(s)
        d = self._rotation @ np.stack([-self.axes[0] * np.sin(t), self.axes[1] * np.cos(t)])
        return np.sign(self.t1 - self.t0) * d / np.linalg.norm(d, axis=0)

    def along(self, fraction: Array) -> Array:
        fraction = np.asarray(fraction, float)
        a, b = self.axes
        if a == b:
            return fraction
        start, end = self._length_to(self.t0), self._length_to(self.t1)
        target = start + fraction * (end - start)
        table = np.linspace(0, 1, 129)
        lengths = (self._length_to(self._t(table)) - start) / (end - start)
        t = self._t(np.interp(fraction, lengths, table))
        for _ in range(4):  # Newton from an interpolated start
            t = t - (self._length_to(t) - target) / np.hypot(a * np.sin(t), b * np.cos(t))
        return np.clip((t - self.t0) / (self.t1 - self.t0), 0, 1)

    def radius(self, s: Array) -> Array:
        t, (a, b) = self._t(s), self.axes
        return np.hypot(a * np.sin(t), b * np.cos(t)) ** 3 / (a * b)

    def part(self, s0: float, s1: float) -> Arc:
        t0, t1 = self._t(np.array([s0, s1]))
        return replace(self, t0=float(t0), t1=float(t1))

    def reversed(self) -> Arc:
        return replace(self, t0=self.t1, t1=self.t0)

    def parameters(self, t: Array, slack: float = 0.0) -> Array:
        """Parameters s of those angles t (any period) that lie on the arc, with some slack at its ends."""
        low, span = min(self.t0, self.t1), abs(self.t1 - self.t0)
        turned = np.mod(np.asarray(t) - low + slack, 2 * np.pi) - slack
        s = np.clip(turned[turned <= span + slack] / span, 0, 1)
        return s if self.t1 > self.t0 else 1 - s

    def nearest(self, x: Array) -> tuple[Array, Array]:
        q = self.local(x)
        d = np.linalg.norm(x[:, None] - self.ends[:, :, None], axis=0)
        s = (d[1] < d[0]).astype(float)
        best = d.min(0)
        low, high = sorted((self.t0, self.t1))
        a, b = self.axes
        if a == b:
            t = low + np.mod(np.arctan2(q[1], q[0]) - low, 2 * np.pi)
            hit = np.flatnonzero(t <= high)
            brackets = [(hit, t[hit])]
        else:
            # In a quadrant g / (sin cos) has at most one extremum, at tan^3 t = -b y / (a x): both sides of it are
            # monotone, so each holds at most one foot point.
            turn = low + np.mod(np.arctan2(np.cbrt(-b * q[1]), np.cbrt(a * q[0])) - low, np.pi)
            turn = np.minimum(turn, high)
            brackets = [self._foot(q, np.full_like(turn, low), turn), self._foot(q, turn, np.full_like(turn, high))]
        for hit, t in brackets:
            new = np.clip((t - self.t0) / (self.t1 - self.t0), 0, 1)
            dist = np.hypot(a * np.cos(t) - q[0, hit], b * np.sin(t) - q[1, hit])
            closer = dist < best[hit]
            best[hit[closer]], s[hit[closer]] = dist[closer], new[closer]
        return best, s

    def _foot(self, q: Array, low: Array, high: Array) -> tuple[NDArray, Array]:
        """Local minima of the distance with angles in [low, high]: which points have one, and where."""
        a, b = self.axes

        def slope(t: Array, x: Array, y: Array) -> tuple[Array, Array]:
            s, c = np.sin(t), np.cos(t)
            return (b * b - a * a) * s * c + a * x * s - b * y * c, (b * b - a * a) * (c * c - s * s) + (
                a * x * c + b * y * s
            )

        hit = np.flatnonzero((slope(low, *q)[0] < 0) & (slope(high, *q)[0] > 0))
        low, high, q = low[hit], high[hit], q[:, hit]
        # the angle of the point's own ray, close to the foot where the point is close to the curve
        t = low + np.mod(np.arctan2(a * q[1], b * q[0]) - low, 2 * np.pi)
        t = np.where(t < high, t, 0.5 * (low + high))
        going = np.arange(len(hit))
        for _ in range(80):  # Newton, kept inside a shrinking bracket
            g, dg = slope(t[going], *q[:, going])
            low[going], high[going] = np.where(g < 0, t[going], low[going]), np.where(g >= 0, t[going], high[going])
            step = t[going] - g / np.where(dg > 0, dg, np.inf)
            within = (dg > 0) & (step >= low[going]) & (step <= high[going])  # with ends: the last step is none
            new = np.where(within, step, 0.5 * (low[going] + high[going]))
            far, t[going] = np.abs(new - t[going]), new
            going = going[far > SETTLED]
            if not len(going):
                break
        return hit, t

    def crossings(self, axis: int, values: Array) -> Array:
        across, down = self._rotation[axis] * np.array(self.axes)  # across cos t + down sin t
        size, shift = np.hypot(across, down), np.arctan2(down, across)
        ratio = (np.asarray(values) - self.center[axis]) / size
        swing = np.arccos(ratio[np.abs(ratio) <= 1])
        return self.parameters(np.concatenate([shift + swing, shift - swing]))

    @cached_property
    def ends(self) -> Array:
        return self.point(np.array([0.0, 1.0]))

    @cached_property
    def box(self) -> Array:
        swing = self._rotation * np.array(self.axes)  # coordinate i is swing[i] . (cos t, sin t)
        t = np.arctan2(swing[:, 1], swing[:, 0])
        s = self.parameters(np.concatenate([t, t + np.pi]))
        x = np.concatenate([self.ends, self.point(s)], axis=1)
        return np.stack([x.min(1), x.max(1)])


Piece = Segment | Arc
