"""What recovered Hessians predict of the errors of a batch: what judges where its meshes were moved to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

import torch
from torch import Tensor

from .features import Cells, bends, square_of
from .meshes.simplices import Simplices

__all__ = ["best_of", "merit", "predicted_errors"]

Hessians = Callable[[Tensor], Tensor]

#: weight of the dual error in the predicted L2 error, as the judge of `adapt` has it
DUAL = 1 / 3


@torch.no_grad()
def best_of(batch: Simplices, hessians: Hessians, found: Sequence[Tensor]) -> Tensor:
    """For each node (n,) which of several positions (n, dim) of all nodes has the least `merit` for its mesh."""
    merits = torch.stack([merit(predicted_errors(batch, hessians, x.detach())) for x in found])
    return torch.where(torch.isfinite(merits), merits, torch.inf).argmin(0)[batch.node_graph]


def merit(squares: Tensor) -> Tensor:
    """Logarithm (B,) of the mean of the predicted H1 and L2 errors, by which `adapt` judges a mesh, for the squares
    (3, B) of `predicted_errors`."""
    slope, plain, dual = 0.5 * torch.log(squares + 1e-24)
    return 0.5 * (slope + (1 - DUAL) * plain + DUAL * dual)


def predicted_errors(batch: Simplices, hessians: Hessians, x: Tensor) -> Tensor:
    """Squares (3, B) of what recovered Hessians predict: the interpolant's H1 error, its L2 error, and the dual error.

    The last is that of `meshmove.monitors.solution_error`. Hessians count as in `Alignment`: as the mean of what those
    at the vertices of a cell give.
    """
    h, cells = hessians(x).permute(2, 1, 0), Cells.of(batch, x)
    size, along = cells.size, bends(cells, h)
    rho = square_of(cells, bends(cells, batch.identity + torch.zeros_like(h[:, 0])))
    slope, plain = square_of(cells, along).mean(0), _plain(along, batch.dim, batch.boxes).mean(0)
    return torch.stack([batch.per_mesh(v) for v in (size * slope, size * plain, size * slope * rho)])


def _plain(along: tuple[Tensor, ...], dim: int, boxes: bool) -> Tensor:
    """Mean (v, c) over a cell of the square of the interpolant's error, for the `bends` of its Hessians."""
    if boxes:
        sides = along[:dim]
        return (sum(d * d for d in sides) + 5 * sum(sides) ** 2) / 720
    total = sum(along) ** 2 + sum(d * d for d in along)
    if dim == 2:
        return total / 720
    at = [0.0] * 4
    for (i, j), d in zip(combinations(range(4), 2), along, strict=True):
        at[i], at[j] = at[i] + d, at[j] + d
    return (total + sum(v * v for v in at)) / 3360
