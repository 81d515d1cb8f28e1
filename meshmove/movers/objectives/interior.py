"""What E has to know of hexahedra and wedges beyond their corners.

Their Jacobian determinant can be negative between corners at which it is positive. With Bernstein coefficients b_i of
the determinant on a moved cell, and their mean b (which is the volume, up to a constant), the term

.. math::
    \\sum_K |K_0| \\sum_i \\max\\Bigl(0, 1 - \\frac{b_i / b}{\\theta_i}\\Bigr)^2

is zero on cells far from folding and in the original mesh, and pushes coefficients up before they are negative.
Coefficients may be negative on valid cells; so cells are refused, E being infinite, by the exact test of `geometry`.
While E is softened no cell is refused, and b is sqrt(b^2 + soften^2 b_0^2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry import CellMesh, Validity
from meshmove.geometry.arrays import Array
from meshmove.geometry.cells.bernstein import POSITIVE
from meshmove.geometry.cells.curvilinear import Curvilinear

__all__ = ["Interior"]


#: of its mean; a coefficient below this is pushed up, and this share of its original value is free
LOW, FREE = 0.1, 0.5


@dataclass(frozen=True, eq=False)
class _Block:
    rule: Curvilinear
    nodes: NDArray[np.int64]  # (m, v)
    sign: Array  # (m,)
    volume: Array  # |K0|, (m,)
    limit: Array  # (n, m): theta_i
    scale: Array  # (n, m)
    mean: Array  # b of the original cell, (m,)


class Interior:
    """The term above, and whether cells are valid, for cells whose corners do not say it.

    `volume` (n_cells,) is |K0|. Empty for meshes of other cells, which then cost nothing.
    """

    def __init__(self, mesh: CellMesh, volume: Array) -> None:
        self._n = mesh.n_points
        self._blocks = []
        for cells, nodes, rule, sign in Validity(mesh).inner:
            b = (rule.coefficients(mesh.points[nodes]) * sign[:, None]).T
            ratio = b / b.mean(axis=0)
            limit = np.minimum(LOW, ratio - (1 - FREE) * np.abs(ratio))
            scale = np.maximum(np.abs(limit), FREE * LOW)
            self._blocks.append(_Block(rule, nodes, sign, volume[cells], limit, scale, b.mean(axis=0)))

    def __bool__(self) -> bool:
        return bool(self._blocks)

    def __call__(self, points: Array, soften: float = 0.0) -> tuple[float, Array | None]:
        """The term and its gradient (n, dim); (inf, None) where a cell is not valid, unless E is softened."""
        energy, gradient = 0.0, np.zeros((self._n, 3))
        for block in self._blocks:
            part = _term(block, points[block.nodes], soften)
            if part is None:
                return np.inf, None
            value, cells, force = part
            energy += value
            nodes = block.nodes[cells].ravel()
            for c in range(3):
                gradient[:, c] += np.bincount(nodes, force[:, :, c].ravel(), self._n)
        return energy, gradient


def _term(block: _Block, x: Array, soften: float) -> tuple[float, NDArray, Array] | None:
    """The term, the cells where it is not zero, and its gradient (cells, v, dim) there."""
    b = (block.rule.coefficients(x) * block.sign[:, None]).T
    mean = b.mean(axis=0)
    slope: Array | float = 1.0
    if soften:
        positive = np.sqrt(mean * mean + (soften * block.mean) ** 2)
        slope, mean = mean / positive, positive
    else:
        doubtful = np.flatnonzero(~(b.min(axis=0) > 0))
        if len(doubtful) and not (block.rule.determinant.signs(b[:, doubtful].T) == POSITIVE).all():
            return None
    excess = np.maximum(0, (block.limit - b / mean) / block.scale)
    cells = np.flatnonzero(excess.any(axis=0))
    excess, ratio = excess[:, cells], (b / mean)[:, cells]
    energy = float(block.volume[cells] @ (excess**2).sum(axis=0))
    pull = -2 * block.volume[cells] * excess / block.scale[:, cells] / mean[cells]  # by b_i
    slope = np.broadcast_to(slope, mean.shape)[cells]
    pull -= (pull * ratio).sum(axis=0) * slope / len(b)
    return energy, cells, block.rule.pulled(x[cells], pull.T * block.sign[cells, None])
