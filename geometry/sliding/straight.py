"""Which chains are straight lines, and which patches are planes: nodes glide on those without being led back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry.arrays import Array, Ids

from .chains import FLAT, Chains
from .frames import axis
from .surfaces import Surface

__all__ = ["Lines", "flat_patches", "straight_chains"]


@dataclass(frozen=True, eq=False)
class Lines:
    """Chains (c,): whether they are curved; of the others the direction (c, dim), and between which positions along it
    they run, `low` and `high` (c,)."""

    curved: NDArray[np.bool_]
    along: Array
    low: Array
    high: Array


def straight_chains(points: Array, chains: Chains) -> Lines:
    n = chains.chain.max(initial=-1) + 1
    lines = Lines(np.zeros(n, bool), np.zeros((n, points.shape[1])), np.zeros(n), np.zeros(n))
    for k, x in enumerate(_points_of(points, chains.edges, chains.chain)):
        along = axis(x[np.argmax(((x - x[0]) ** 2).sum(1))] - x[0])
        off = x - x[0] - np.outer((x - x[0]) @ along, along)
        lines.curved[k] = np.abs(off).max() > FLAT * np.ptp(x, axis=0).max()
        at = x @ along
        lines.along[k], lines.low[k], lines.high[k] = along, at.min(), at.max()
    return lines


def flat_patches(points: Array, surface: Surface) -> tuple[NDArray[np.bool_], Array]:
    """Whether patches are curved (p,), and the normals (p, 3) of those that are not."""
    n = surface.patch.max(initial=-1) + 1
    curved, normal = np.zeros(n, bool), np.zeros((n, 3))
    for k, x in enumerate(_points_of(points, surface.triangles, surface.patch)):
        centred = x - x.mean(0)
        normal[k] = axis(np.linalg.svd(centred.T @ centred)[0][:, 2])
        curved[k] = np.abs(centred @ normal[k]).max() > FLAT * np.ptp(x, axis=0).max()
    return curved, normal


def _points_of(points: Array, members: Ids, label: Ids) -> Iterator[Array]:
    """The points of each group of edges or triangles `members` (m, k), labelled 0, 1, ... (m,)."""
    order = np.argsort(label, kind="stable")
    stops = np.searchsorted(label[order], np.arange(label.max(initial=-1) + 2))
    for start, stop in zip(stops[:-1], stops[1:], strict=True):
        yield points[np.unique(members[order[start:stop]])]
