"""Names of the sides of one mesh for another mesh of the same domain."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from meshmove.geometry import CellMesh, facets_of
from meshmove.geometry.arrays import Ids

__all__ = ["named_sides"]


def named_sides(mesh: CellMesh, other: CellMesh) -> dict[str, Ids]:
    """The named facets (f, k) of a mesh; those of names that only the other has are its facets next to such.

    >>> from dataclasses import replace
    >>> from meshmove.solvers.generators.burgers import burgers_mesh
    >>> bare = replace(burgers_mesh(2), facets={})
    >>> sorted(map(sorted, named_sides(bare, burgers_mesh(8))["left"].tolist()))
    [[0, 1], [1, 2]]
    """
    found = dict(mesh.facets)
    missing = [name for name in other.facets if name not in found]
    if not missing:
        return found
    ours, theirs = _rim(mesh), _rim(other)
    if not len(ours) or not len(theirs):
        return found
    _, nearest = cKDTree(_middle(other, theirs)).query(_middle(mesh, ours))
    keys = _keys(theirs)
    for name in missing:
        named = np.isin(keys, _keys(np.asarray(other.facets[name], np.int64)))
        if named[nearest].any():
            found[name] = ours[named[nearest]]
    return found


def _rim(mesh: CellMesh) -> Ids:
    facets = facets_of(mesh)
    return np.asarray(facets.nodes[facets.exterior], np.int64)


def _middle(mesh: CellMesh, facets: Ids) -> NDArray[np.float64]:
    """Means (f, d) of the facets' nodes."""
    there = facets >= 0
    points = np.where(there[:, :, None], mesh.points[np.maximum(facets, 0)], 0.0)
    return points.sum(axis=1) / there.sum(axis=1, keepdims=True)


def _keys(facets: Ids) -> NDArray[np.str_]:
    """A text for each facet, whatever the order of its nodes and the number of its fillings."""
    return np.array([",".join(map(str, sorted(row[row >= 0].tolist()))) for row in facets], dtype=str)
