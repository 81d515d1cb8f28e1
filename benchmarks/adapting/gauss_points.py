"""Are determinants positive where finite elements are integrated? Shape functions at points, and no bounds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry import CellMesh
from meshmove.geometry.cells.curvilinear import curvilinear

__all__ = ["negative_at_gauss_points"]

Array = NDArray[np.float64]


def negative_at_gauss_points(mesh: CellMesh, points: Array, nodes: Array | None = None) -> NDArray[np.int64]:
    """Cells with a determinant of another sign than in `mesh` at a point of a rule of degree 5 (3 x 3 x 3 in boxes).

    A check by another way than `inverted_cells`: shape functions at points, and no bounds.
    """
    bad, first = [], 0
    for block in mesh.blocks:
        x, _ = block.kind.quadrature(5)
        pairs = [(mesh.points[block.nodes], points[block.nodes], np.moveaxis(block.kind.shape(x)[1], 0, 2))]
        if block.second is not None and nodes is not None and mesh.nodes is not None:
            ids = block.second_nodes
            rule = curvilinear(block.second)
            at = np.concatenate([2 * x[:2] - 1, 1 - x[2:]]) if rule.collapsed else x
            pairs.append((mesh.nodes[ids], nodes[ids], rule.slopes(at)))
        for old, new, slopes in pairs:
            before, after = (np.linalg.det(np.einsum("cqv,mvi->mqci", slopes, y)) for y in (old, new))
            bad.append(first + np.flatnonzero(~(np.sign(before) * after > 0).all(axis=1)))
        first += len(block)
    return np.unique(np.concatenate(bad))
