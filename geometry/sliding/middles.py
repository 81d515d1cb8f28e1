"""What second-order cells tell of their boundary: where the middles of its edges lie."""

from __future__ import annotations

import numpy as np

from meshmove.geometry.arrays import Array, Ids
from meshmove.geometry.curved import MidNodes
from meshmove.geometry.mesh import CellMesh

__all__ = ["edge_index", "known_bulges"]


def known_bulges(mesh: CellMesh, edges: Ids) -> Array | None:
    """From the middle of each edge (e, 2) to its mid-side node, (e, dim), NaN where there is none.

    None for a mesh of straight cells.
    """
    middle = MidNodes(mesh)
    if not middle.curved:
        return None
    at = edge_index(middle.ends, edges, mesh.n_points)
    return np.where((at >= 0)[:, None], middle.bulge[at], np.nan)


def edge_index(edges: Ids, wanted: Ids, n: int) -> Ids:
    """Where each edge (k, 2) of `wanted` stands among `edges` (e, 2) of n nodes, either way round; -1: nowhere."""
    if not len(edges):
        return np.full(len(wanted), -1)
    keys, searched = (e.min(axis=1) * n + e.max(axis=1) for e in (edges, wanted))
    order = np.argsort(keys)
    at = order[np.searchsorted(keys[order], searched).clip(max=len(keys) - 1)]
    return np.where(keys[at] == searched, at, -1)
