"""A constant state at which nothing moves, if the data know one; and how far from it the fields are around a node."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry import CellMesh
from meshmove.geometry.arrays import Array
from meshmove.solvers.data import TrajectoryDataset

from .shapes import rim_of

__all__ = ["both_ways", "departures", "rest_of"]


#: share of the nodes and frames, those nearest to the state, that show whether nothing moves there
QUIET = 1e-3
#: how much faster than elsewhere, for their distance to it, they may change
FASTER = 3.0
#: a change from within the state itself, in usual changes, by which it is left
LEFT = 0.1
#: about how many frames are looked at, and what is left of the least departure among them, for those that are not
FRAMES, HALF = 400, 0.5
#: the least departure, in standard deviations, at which nothing is taken off, whatever the data have
SMALLEST = 1e-3
#: a change, in standard deviations, that is rounding
ROUNDING = 1e-5


def rest_of(
    data: TrajectoryDataset, held: Mapping[str, Mapping[str, float]], rings: int
) -> tuple[tuple[float, ...], float] | None:
    r"""The state (F,) and the least departure from it, in standard deviations, that the data have around a node.

    A candidate is the value to which boundaries hold the fields, if it is one for each field. It is at rest if changes
    vanish with the departure: where :math:`d = \max |u - c|` over a node and its neighbours is least, the ratio of the
    change to the next frame to d must not exceed what it is elsewhere by far, as it would if the fields were driven.
    """
    values = {name: {at[name] for at in held.values() if name in at} for name in data.fields}
    if any(len(known) != 1 for known in values.values()):
        return None
    state = np.array([next(iter(values[name])) for name in data.fields])
    std = np.array([max(data.scales()[name][1], 1e-12) for name in data.fields])
    quiet, every, least = [], [], np.inf
    starts = [(j, i, k) for j, g in enumerate(data.groups) for i in range(len(g)) for k in range(len(g.times) - 1)]
    edges = [both_ways(g.mesh) for g in data.groups]
    inner = [np.delete(np.arange(len(g.points)), rim_of(g.mesh)) for g in data.groups]
    for j, i, k in starts[:: max(1, len(starts) // FRAMES)]:
        frames = (np.stack([data.groups[j].fields[name][i, k + m] for name in data.fields], axis=1) for m in (0, 1))
        now, then = ((f.astype(float) - state) / std for f in frames)
        pairs = np.stack([departures(edges[j], now, 1), np.abs(then - now).max(axis=1)])[:, inner[j]]
        if not pairs.size:
            return None
        quiet.append(pairs[:, np.argsort(pairs[0])[: max(1, int(QUIET * pairs.shape[1]))]])
        every.append((pairs**2).mean(axis=1))
        least = min(least, float(departures(edges[j], now, rings).min()))
    usual = np.sqrt(np.mean(every, axis=0))
    distance, change = np.concatenate(quiet, axis=1)
    left = change[distance < SMALLEST]  # it was there, and did not stay
    rate = np.sqrt((change**2).mean()) * usual[0] - FASTER * usual[1] * np.sqrt((distance**2).mean())
    if rate > ROUNDING * usual[0] or left.max(initial=0.0) > LEFT * usual[1] + ROUNDING:
        return None
    return tuple(float(v) for v in state), max(HALF * least, SMALLEST)


def both_ways(mesh: CellMesh) -> NDArray[np.int64]:
    """Edges (2, e) from, to: both ways, sorted by where they end."""
    both = np.concatenate([mesh.edges, np.asarray(mesh.edges)[:, ::-1]])
    return both[np.lexsort((both[:, 0], both[:, 1]))].T


def departures(edges: NDArray[np.int64], off: Array, rings: int, enough: float = np.inf) -> Array:
    """The largest absolute value (n,) of (n, F) over the nodes that so many edges, of `both_ways`, reach from each.

    Rings are left out once all nodes have `enough`.
    """
    out = np.abs(off).max(axis=1)
    if not edges.size:
        return out
    ends, first = np.unique(edges[1], return_index=True)
    for _ in range(rings):
        if out.min() >= enough:
            break
        out[ends] = np.maximum(out[ends], np.maximum.reduceat(out[edges[0]], first))
    return out
