"""Recovered Hessians at moved positions as tensors: linear on each simplex, found by walking from the last one."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .meshes.simplices import Simplices

__all__ = ["Walked", "affine_coordinates", "neighbours"]

#: steps of a walk from one cell to the next
LONGEST = 40


def neighbours(cells: NDArray[np.int64]) -> NDArray[np.int64]:
    """The cell (c, dim+1) beyond the side opposite to each vertex; the cell itself beyond the boundary."""
    many = cells.shape[1]
    sides = np.stack([np.delete(cells, k, axis=1) for k in range(many)], axis=1).reshape(-1, many - 1)
    sides = np.sort(sides, axis=1)
    order = np.lexsort(sides.T)
    same = np.flatnonzero((sides[order][1:] == sides[order][:-1]).all(axis=1))
    out = np.repeat(np.arange(len(cells)), many)
    a, b = order[same], order[same + 1]
    out[a], out[b] = b // many, a // many
    return out.reshape(-1, many)


def affine_coordinates(batch: Simplices) -> tuple[Tensor, Tensor]:
    """Barycentric coordinates of each cell at rest as constant (c, dim+1) and slope (c, dim+1, dim)."""
    first = batch.points[batch.cells[:, 0]]
    constant = -(batch.slopes @ first[:, :, None])[:, :, 0]
    constant[:, 0] += 1.0
    return constant, batch.slopes


class Walked:
    """Nodal Hessians (n, k) of a batch at rest, by components, as a function of moved node positions.

    Linear on the simplices of `split`, which is the batch itself, or its quadrilaterals or hexahedra cut apart.
    Differentiable in positions and values; which cell a node lies in is constant to the derivative. Beyond the boundary
    the barycentric coordinates are cut at zero.
    """

    def __init__(self, batch: Simplices, split: Simplices, beside: Tensor, values: Tensor, around: Tensor) -> None:
        self.batch, self._beside, self._values, self._cells = batch, beside, values, split.cells
        self._constant, self._slope = affine_coordinates(split)
        self._cell = around

    def nodal(self, x: Tensor) -> Tensor:
        """(n, k) at node positions (n, dim)."""
        self._walk(x.detach())
        cell = self._cell
        weights = self._constant[cell] + (self._slope[cell] * x[:, None]).sum(2)
        weights = weights.clamp_min(0)
        weights = weights / weights.sum(1, keepdim=True)
        return (weights[:, :, None] * self._values[self._cells[cell]]).sum(1)

    def __call__(self, x: Tensor) -> Tensor:
        """(c, dim+1, k): at the vertices of every cell."""
        return self.batch.corners(self.nodal(x))

    @torch.no_grad()
    def _walk(self, x: Tensor) -> None:
        cell = self._cell
        on_cpu = x.device.type == "cpu"
        going = torch.arange(len(x), device=x.device)
        for _ in range(LONGEST if on_cpu else LONGEST // 2):
            at = cell[going] if on_cpu else cell
            here = x[going] if on_cpu else x
            weights = self._constant[at] + (self._slope[at] * here[:, None]).sum(2)
            least, which = weights.min(1)
            ahead = torch.where(least < -1e-5, self._beside[at, which], at)
            if not on_cpu:
                cell = ahead
                continue
            cell = cell.index_copy(0, going, ahead)
            going = going[ahead != at]
            if not len(going):
                break
        self._cell = cell
