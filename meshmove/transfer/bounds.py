"""Clip and redistribute: values within bounds that have a given integral."""

from __future__ import annotations

import numpy as np

from meshmove.geometry.arrays import Array, Ids
from meshmove.geometry.errors import FieldError

__all__ = ["bounded"]


def bounded(
    values: Array,
    bounds: bool | tuple[float, float],
    old: Array,
    low: Array,
    high: Array,
    lumped: Array,
    component: Ids,
    total: Array,
) -> Array:
    """The values (n, k) closest to `values` (lumped L2 norm) within bounds, with the integrals `total` (c, k).

    They are clip(v + lambda, low, high) with one multiplier for each component and column. `low`, `high` (n, k)
    are the local bounds for `bounds=True`, widened towards the range of the `old` values of the component as far as
    the integral demands.
    """
    k = values.shape[1]
    count = len(total)
    # one flat problem: every column of every component is a group of its own
    group = (component[:, None] * k + np.arange(k)).ravel()
    v, m, goal = values.ravel(), np.repeat(lumped, k), total.ravel()
    volume = np.bincount(group, m, count * k)
    if bounds is True:
        least, most = np.full(count * k, np.inf), np.full(count * k, -np.inf)
        np.minimum.at(least, group, old.ravel())
        np.maximum.at(most, group, old.ravel())
        hint = "; the moved mesh fills another volume, so carry the field without bounds"
    else:
        least, most = _pair(bounds, count * k)
        hint = "; widen the bounds"
    slack = 1e-9 * np.maximum(np.abs(goal), volume * np.maximum(np.abs(least), np.abs(most)))
    bad = np.flatnonzero((goal < volume * least - slack) | (goal > volume * most + slack))
    if len(bad):
        i = bad[0]
        mean = goal[i] / volume[i] if volume[i] else np.nan
        raise FieldError(
            f"Expected a mean between the bounds {least[i]:g} and {most[i]:g} (got {mean:g} in "
            f"{len(bad)} component or column, first {i // k}, {i % k}){hint}"
        )
    lo, hi = least[group], most[group]
    if bounds is True:
        # a vertex that no quadrature point came near has no local bounds
        lo = np.where(np.isfinite(low.ravel()), np.maximum(low.ravel(), lo), lo)
        hi = np.where(np.isfinite(high.ravel()), np.minimum(high.ravel(), hi), hi)
        lo, hi = _widened(lo, hi, least[group], most[group], m, group, goal)
    return _shifted(v, lo, hi, m, group, goal).reshape(values.shape)


def _pair(bounds: object, count: int) -> tuple[Array, Array]:
    try:
        low, high = (float(b) for b in bounds)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        raise FieldError(f"Expected bounds True, None or a pair of numbers (got {bounds!r})") from None
    if not low <= high:
        raise FieldError(f"Expected a lower bound that is not above the upper one (got {low:g}, {high:g})")
    return np.full(count, low), np.full(count, high)


def _widened(lo: Array, hi: Array, least: Array, most: Array, m: Array, group: Ids, goal: Array) -> tuple[Array, Array]:
    """Local bounds, moved towards the global ones by the fraction of the way that makes the goal feasible."""

    def total(x: Array) -> Array:
        return np.asarray(np.bincount(group, m * x, len(goal)), float)

    lowest, highest = total(lo), total(hi)
    excess, lack = np.maximum(lowest - goal, 0), np.maximum(goal - highest, 0)
    room_below, room_above = lowest - total(least), total(most) - highest
    # a little more than needed, lest every value is stuck at its bound
    down = np.where(excess > 0, np.minimum(1.01 * excess / np.where(room_below > 0, room_below, 1), 1), 0)
    up = np.where(lack > 0, np.minimum(1.01 * lack / np.where(room_above > 0, room_above, 1), 1), 0)
    return lo + down[group] * (least - lo), hi + up[group] * (most - hi)


def _shifted(v: Array, lo: Array, hi: Array, m: Array, group: Ids, goal: Array) -> Array:
    """clip(v + lambda, lo, hi) with sum(m clip) = goal in each group, by Newton's method between brackets."""

    def total(x: Array) -> Array:
        return np.asarray(np.bincount(group, x, len(goal)), float)

    left, right = np.full(len(goal), np.inf), np.full(len(goal), -np.inf)
    np.minimum.at(left, group, lo - v)
    np.maximum.at(right, group, hi - v)
    shift = np.zeros(len(goal))
    left, right = np.minimum(left, 0), np.maximum(right, 0)
    size = total(m * np.maximum(np.abs(lo), np.abs(hi)))
    for _ in range(200):
        moved = v + shift[group]
        rest = goal - total(m * np.clip(moved, lo, hi))
        if (np.abs(rest) <= 1e-14 * size).all():
            break
        # the sum grows with the shift: each residual narrows the bracket
        left, right = np.where(rest > 0, shift, left), np.where(rest < 0, shift, right)
        slope = total(m * ((moved > lo) & (moved < hi)))
        newton = shift + rest / np.where(slope > 0, slope, 1)
        good = (slope > 0) & (newton > left) & (newton < right)
        shift = np.where(rest == 0, shift, np.where(good, newton, (left + right) / 2))
    return np.clip(v + shift[group], lo, hi)
