"""Recovered Hessians at moved positions as tensors: linear on each triangle, found by walking from the last one."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .meshes.triangles import Triangles

__all__ = ["Walked", "affine_coordinates", "neighbours"]

#: steps of a walk from one cell to the next
LONGEST = 40


def neighbours(cells: NDArray[np.int64]) -> NDArray[np.int64]:
    """The cell (c, 3) beyond the side opposite to each vertex; the cell itself beyond the boundary."""
    sides = np.sort(np.stack([cells[:, [1, 2]], cells[:, [2, 0]], cells[:, [0, 1]]], axis=1), axis=2).reshape(-1, 2)
    key = sides[:, 0] * (cells.max() + 1) + sides[:, 1]
    order = np.argsort(key, kind="stable")
    same = np.flatnonzero(key[order][1:] == key[order][:-1])
    out = np.repeat(np.arange(len(cells)), 3)
    a, b = order[same], order[same + 1]
    out[a], out[b] = b // 3, a // 3
    return out.reshape(-1, 3)


def affine_coordinates(batch: Triangles) -> tuple[Tensor, Tensor]:
    """Barycentric coordinates of each cell at rest as constant (c, 3) and slope (c, 3, 2)."""
    first = batch.points[batch.cells[:, 0]]
    constant = -(batch.slopes @ first[:, :, None])[:, :, 0]
    constant = constant + constant.new_tensor([1.0, 0.0, 0.0])
    return constant, batch.slopes


class Walked:
    """Nodal Hessians (n, 3) of a batch at rest, components xx, xy, yy, as a function of moved node positions.

    Linear on the triangles of `split`, which is the batch itself, or its quadrilaterals cut in halves. Differentiable
    in positions and values; which cell a node lies in is constant to the derivative. Beyond the boundary the
    barycentric coordinates are cut at zero.
    """

    def __init__(self, batch: Triangles, split: Triangles, beside: Tensor, values: Tensor, around: Tensor) -> None:
        self.batch, self._beside, self._values, self._cells = batch, beside, values, split.cells
        self._constant, self._slope = affine_coordinates(split)
        self._cell = around

    def nodal(self, x: Tensor) -> Tensor:
        """(n, 3) at node positions (n, 2)."""
        self._walk(x.detach())
        cell = self._cell
        weights = self._constant[cell] + (self._slope[cell] * x[:, None]).sum(2)
        weights = weights.clamp_min(0)
        weights = weights / weights.sum(1, keepdim=True)
        return (weights[:, :, None] * self._values[self._cells[cell]]).sum(1)

    def __call__(self, x: Tensor) -> Tensor:
        """(c, 3, 3): at the vertices of every cell."""
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
