"""Points in a domain and on its boundary, spread evenly in the coordinates of the unit square."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from meshmove.geometry.arrays import Ids
from meshmove.geometry.domains import Domain
from meshmove.geometry.domains.boundary import Boundary
from meshmove.geometry.domains.pieces import Piece

from ..functions import Array
from .frame import UnitFrame

__all__ = ["lengths", "points_along", "scattered", "walked"]


_DEEPEST = 40
#: real roots of g^(d+1) = g + 1, whose powers make the additive recurrence in d = 2 and 3 dimensions
_ROOTS = (1.32471795724474602596, 1.22074408460575947536)


def scattered(
    domain: Domain, frame: UnitFrame, n: int, seed: int, density: Callable[[Array], Array] | None = None
) -> tuple[Array, Array]:
    """Points (2, n) of low discrepancy in a domain, in unit coordinates; what share (n,) of the area each stands for,
    up to a factor.

    `seed` shifts the sequence. `density`: a positive function of X that the density of points follows.

    References
    ----------
    Roberts, The unreasonable effectiveness of quasirandom sequences, 2018 (additive recurrence).
    """
    outline = domain.boundary
    step = _ROOTS[density is not None] ** -np.arange(1.0, 3.0 if density is None else 4.0)
    shift = np.random.default_rng(seed).random(len(step))
    found: list[Array] = []
    have, first, top, block = 0, 1, 0.0, int(4.4 * n * frame.half.prod() / domain.area) + 16
    while have < n:
        trial = np.mod(shift[:, None] + step[:, None] * np.arange(first, first + block), 1)
        trial = trial[:, outline.encloses(frame.to_physical(2 * trial[:2] - 1))]
        share = np.ones(trial.shape[1])
        if density is not None:
            rho = np.asarray(density(2 * trial[:2] - 1), float)
            top = top or float(rho.max(initial=0.0))
            level = np.clip(rho / top, 0.02, 1.0)  # no part of the domain is left out
            kept = trial[2] < level
            trial, share = trial[:, kept], 1 / level[kept]
        found.append(np.concatenate([2 * trial[:2] - 1, share[None]]))
        have += len(share)
        first, block = first + block, min(2 * block, 1 << 20)
    out = np.concatenate(found, axis=1)[:, :n]
    return out[:2], out[2]


def lengths(boundary: Boundary, frame: UnitFrame) -> Array:
    """Lengths of the pieces in unit coordinates, (pieces,)."""
    pieces = boundary.pieces
    s = np.linspace(0, 1, 33)
    lengths = np.empty(len(pieces))
    for i, p in enumerate(pieces):
        X = p.point(s[[0, -1]] if p.straight else s) / frame.half[:, None]
        lengths[i] = np.hypot(*np.diff(X, axis=1)).sum()
    return lengths


def points_along(boundary: Boundary, frame: UnitFrame, piece: Ids, fraction: Array) -> tuple[Array, Array]:
    """Points and physical normals at fractions of the arc length, in unit coordinates, of pieces."""
    s = fraction.copy()
    for i in np.unique(piece):
        curve = boundary.pieces[i]
        if not curve.straight:
            s[piece == i] = _along(curve, frame, fraction[piece == i])
    return boundary.evaluate(piece, s)


def _along(curve: Piece, frame: UnitFrame, fraction: Array) -> Array:
    """Parameters of a curved piece at fractions of its arc length in unit coordinates."""
    s = np.linspace(0, 1, 65)
    X = curve.point(s) / frame.half[:, None]
    length = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(X, axis=1)))])
    return np.interp(fraction, length / length[-1], s)


def walked(path: Callable[[Array], Array], step: float) -> tuple[Array, Array]:
    """Parameters (n,) from 0 to 1 at which no coordinate of a path (2, n) has moved by more than `step` between two of
    them, or by `_DEEPEST` halvings; and how far it has come (n,), by the larger of both coordinates.
    """
    s = np.linspace(0, 1, 17)
    for _ in range(_DEEPEST):
        moved = np.abs(np.diff(path(s), axis=1)).max(axis=0)
        long = np.flatnonzero(moved > step)
        if not len(long):
            break
        s = np.insert(s, long + 1, 0.5 * (s[long] + s[long + 1]))
    moved = np.abs(np.diff(path(s), axis=1)).max(axis=0)
    return s, np.concatenate([[0.0], moved.cumsum()])
