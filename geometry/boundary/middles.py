"""What second-order cells tell of their boundary: where the middles of its edges lie."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..curved import MidNodes
from ..mesh import CellMesh

__all__ = ["known_bulges"]

Array = NDArray[np.float64]
Ids = NDArray[np.int64]


def known_bulges(mesh: CellMesh, edges: Ids) -> Array | None:
    """From the middle of each edge (e, 2) to its mid-side node, (e, dim), NaN where there is none.

    None for a mesh of straight cells.
    """
    middle = MidNodes(mesh)
    if not middle.curved:
        return None
    keys = _keys(middle.ends, mesh.n_points)
    order = np.argsort(keys)
    wanted = _keys(edges, mesh.n_points)
    at = order[np.searchsorted(keys[order], wanted).clip(max=len(keys) - 1)]
    return np.where((keys[at] == wanted)[:, None], middle.bulge[at], np.nan)


def _keys(edges: Ids, n: int) -> Ids:
    return edges.min(axis=1) * n + edges.max(axis=1)
