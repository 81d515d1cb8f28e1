"""Where a boundary piece meets other pieces.

The answer is liberal: a parameter too many only splits a piece once more, one too few loses a corner. Near tangency
roots are good to the square root of rounding only, along the curves, which leave each other slower still.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from meshmove.geometry.arrays import Array

from .pieces import Arc, Piece, Segment

__all__ = ["cuts"]

SLACK = 1e-9


def cuts(piece: Piece, others: Sequence[Piece], tolerance: float) -> Array:
    """Sorted parameters in (0, 1) at which `piece` meets `others`: crossings, touches and ends of overlaps."""
    segments = [p for p in others if isinstance(p, Segment)]
    found = [_with_segments(piece, segments)] if segments else []
    found += [_with_arc(piece, arc) for arc in others if isinstance(arc, Arc)]
    ends = np.concatenate([p.ends for p in others], axis=1) if others else np.empty((2, 0))
    distance, s = piece.nearest(ends)
    found.append(s[distance <= tolerance])
    return np.sort(np.concatenate(found))


def _with_segments(piece: Piece, segments: Sequence[Segment]) -> Array:
    a = np.array([p.start for p in segments]).T
    e = np.array([p.end for p in segments]).T - a
    if isinstance(piece, Segment):
        start = np.array(piece.start)[:, None]
        d = np.array(piece.end)[:, None] - start
        w = a - start
        det = d[0] * e[1] - d[1] * e[0]
        crossing = np.abs(det) > 1e-12 * np.linalg.norm(d) * np.linalg.norm(e, axis=0)
        det = np.where(crossing, det, 1)
        s, u = (w[0] * e[1] - w[1] * e[0]) / det, (w[0] * d[1] - w[1] * d[0]) / det
        ok = crossing & (np.abs(s - 0.5) <= 0.5 + SLACK) & (np.abs(u - 0.5) <= 0.5 + SLACK)
        return np.clip(s[ok], 0, 1)
    t, _ = _line_angles(piece, a, e)
    return piece.parameters(t, SLACK)


def _line_angles(arc: Arc, a: Array, e: Array) -> tuple[Array, Array]:
    """Angles on the arc's ellipse, and positions on the segments a + u e, where the two meet."""
    axes = np.array(arc.axes)[:, None]
    p = arc.local(a) / axes
    d = arc.local(a + e) / axes - p
    dd, pd = (d * d).sum(0), (p * d).sum(0)
    # squared half chord from the distance of the line, which keeps digits that the discriminant loses
    away = (p[0] * d[1] - p[1] * d[0]) ** 2 / dd
    half = np.where(away <= 1 + SLACK, np.sqrt(np.maximum(1 - away, 0) / dd), np.nan)
    u = np.concatenate([-pd / dd - half, -pd / dd + half])
    ok = np.abs(u - 0.5) <= 0.5 + SLACK
    x = np.tile(p, 2) + u * np.tile(d, 2)
    return np.arctan2(x[1], x[0])[ok], np.clip(u[ok], 0, 1)


def _with_arc(piece: Piece, arc: Arc) -> Array:
    if isinstance(piece, Segment):
        a = np.array(piece.start)[:, None]
        t, u = _line_angles(arc, a, np.array(piece.end)[:, None] - a)
        return np.array([s for angle, s in zip(t, u, strict=True) if arc.parameters(np.array([angle]), SLACK).size])
    return _arc_arc(piece, arc)


def _arc_arc(piece: Arc, arc: Arc) -> Array:
    """Zeros of the other ellipse's implicit function along `piece`, a trigonometric polynomial of degree two."""
    q = np.array(arc.axes)[:, None]
    center = (arc.local(np.array(piece.center)[:, None]) / q)[:, 0]
    axes = (arc._rotation.T @ piece._rotation * np.array(piece.axes)) / q
    u, v = axes[:, 0], axes[:, 1]  # in the frame where the other ellipse is the unit circle: center + u cos + v sin
    c2, s2 = (u @ u - v @ v) / 2, u @ v
    c1, s1 = 2 * center @ u, 2 * center @ v
    c0 = (u @ u + v @ v) / 2 + center @ center - 1
    scale = max(1.0, u @ u + v @ v + center @ center)
    if max(map(abs, (c2, s2, c1, s1, c0))) < 1e-12 * scale:  # the same ellipse: ends of the overlap are cut elsewhere
        return np.empty(0)
    quartic = np.array([(c2 - 1j * s2) / 2, (c1 - 1j * s1) / 2, c0, (c1 + 1j * s1) / 2, (c2 + 1j * s2) / 2])
    quartic[np.abs(quartic) < 1e-15 * scale] = 0
    z = np.roots(quartic)
    t = np.angle(z[np.abs(np.abs(z) - 1) < 1e-3])

    def value(t: Array) -> Array:
        return c2 * np.cos(2 * t) + s2 * np.sin(2 * t) + c1 * np.cos(t) + s1 * np.sin(t) + c0

    for _ in range(3):
        slope = 2 * (s2 * np.cos(2 * t) - c2 * np.sin(2 * t)) + s1 * np.cos(t) - c1 * np.sin(t)
        step = value(t) / np.where(slope == 0, np.inf, slope)
        t = t - np.clip(step, -1e-3, 1e-3)
    t = t[np.abs(value(t)) < SLACK * scale]
    s = piece.parameters(t, SLACK)
    x = piece.point(s) if s.size else np.empty((2, 0))
    on = arc.nearest(x)[0] <= 1e-7 * max(arc.axes)
    return s[on]
