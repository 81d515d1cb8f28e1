"""The guarantee: steps are shortened, cells mended, meshes drawn back, until no cell is inverted anywhere."""

from __future__ import annotations

import torch
from torch import Tensor

from .batch import MeshBatch
from .energy import jacobians
from .repair import LEAST, repair

__all__ = ["SOFTEN", "let_through", "repaired", "softening", "valid"]

#: a step leaves every corner at least this share of its mesh's flattest one, or of FLAT
KEEP, FLAT = 0.1, 0.3
#: so many times nodes of cells in the way take this share less of a step, and displacements then rise no steeper
LOCAL, SHORTER, STEEP, SWEEPS = 24, 0.7, 0.3, 60
#: cells are mended where they are no more than this share of all
FEW = 0.05
#: softening of determinants while a mesh has inverted cells
SOFTEN = 0.05


def let_through(batch: MeshBatch, x: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
    """Positions (n, d) after as much of the step as keeps cells from flattening, and its share (meshes,).

    The share is that of the root mean square. Differentiable as if it were constant.
    """
    finite = torch.isfinite(step.new_zeros(len(batch)).index_add(0, batch.node_graph, step.sum(1)))
    step = torch.where(finite[batch.node_graph, None], step, 0.0)
    with torch.no_grad():
        before = jacobians(batch, x)
        floor = torch.where(before > 0, KEEP * before.clamp_max(FLAT), -torch.inf)
    new, length = _drawn_back(batch, x, step, floor)
    norm = _size(batch, step)
    share = torch.where(norm > 0, _size(batch, length[:, None] * step) / norm.clamp_min(1e-300), 1.0)
    return new, torch.where(finite, share, 0.0)


def _drawn_back(batch: MeshBatch, x: Tensor, step: Tensor, floor: Tensor) -> tuple[Tensor, Tensor]:
    """Positions at which cells are valid and corners (s,) above `floor`, and the shares (n,) of the step to them.

    A few cells in the way are mended rather than waited for. Else their nodes take less of the step, and those around
    them so much more that displacements change no faster than STEEP. A mesh for which this fails stays at x.
    """
    length, there = _admitted(batch, x.detach(), step.detach(), floor)
    new = batch.retract(x + length[:, None] * step)
    return new + (there - new.detach()), length


@torch.no_grad()
def _admitted(batch: MeshBatch, x: Tensor, step: Tensor, floor: Tensor) -> tuple[Tensor, Tensor]:
    length, there = step.new_ones(len(x)), x
    mesh = batch.cell_graph[batch.owner]
    count = torch.bincount(mesh, minlength=len(batch))
    left = torch.ones(len(batch), dtype=torch.bool, device=x.device)
    sound = ~batch.folded(x)
    for k in range(LOCAL):
        trial = batch.retract(x + length[:, None] * step, left)
        low = ~(jacobians(batch, trial) >= floor) | (batch.folded(trial) & sound)  # NaN is bad
        bad = torch.bincount(mesh[low], minlength=len(batch))
        fine = left & (bad == 0)
        there = torch.where(fine[batch.node_graph, None], trial, there)
        left = left & ~fine
        few = left & (bad < FEW * count)
        if k % 3 == 0 and bool(few.any()):
            trial = repair(batch, trial)
            wrong = ~(jacobians(batch, trial) >= floor.clamp_max(LEAST)) | (batch.folded(trial) & sound)
            fine = few & (torch.bincount(mesh[wrong], minlength=len(batch)) == 0)
            there = torch.where(fine[batch.node_graph, None], trial, there)
            left = left & ~fine
        if not bool(left.any()):
            return length, there
        hit = torch.zeros_like(length).index_fill(0, batch.simplices[low & left[mesh]].reshape(-1), 1.0)
        length = _gradual(batch, torch.where(hit > 0, SHORTER * length, length), step)
    return torch.where(left[batch.node_graph], 0.0, length), there


def _gradual(batch: MeshBatch, length: Tensor, step: Tensor) -> Tensor:
    """The largest shares (n,) below `length` with which the displacement changes by less than STEEP along edges."""
    i, j = batch.edges
    size = (step * step).sum(1).sqrt()
    rise = STEEP * (batch.points[i] - batch.points[j]).norm(dim=1) / torch.maximum(size[i], size[j]).clamp_min(1e-12)
    for _ in range(SWEEPS):
        new = length.scatter_reduce(0, j, length[i] + rise, "amin")
        if bool((new == length).all()):
            break
        length = new
    return length


def _size(batch: MeshBatch, step: Tensor) -> Tensor:
    """Root of the squared step, integrated over each mesh, (meshes,)."""
    squares = (step.detach() ** 2).sum(1) * batch.mass
    return squares.new_zeros(len(batch)).index_add(0, batch.node_graph, squares).sqrt()


def softening(batch: MeshBatch, x: Tensor) -> Tensor:
    """Zero for valid meshes."""
    with torch.no_grad():
        least = batch.least(jacobians(batch, x))
        return torch.where(least > 1e-3, 0.0, SOFTEN).to(x)


def repaired(batch: MeshBatch, points: Tensor) -> Tensor:
    """Local repair, differentiable as if its correction were constant."""
    return points + (repair(batch, points.detach()) - points.detach())


def rounding(batch: MeshBatch, points: Tensor) -> Tensor:
    """Bound (s,) on the error of `jacobians` that comes of the precision of the coordinates."""
    x = points[batch.simplices]
    edges = (x[:, 1:] - x[:, :1]).flatten(1).norm(dim=1)
    rest = batch.rest.flatten(1).norm(dim=1)
    return 4 * torch.finfo(points.dtype).eps * rest * (1 + (edges * rest) ** (batch.dim - 1))


def valid(batch: MeshBatch, points: Tensor, start: Tensor) -> Tensor:
    """The positions, drawn back towards `start` around inverted cells."""
    points = torch.where(torch.isfinite(points), points, start)
    with torch.no_grad():
        floor = rounding(batch, points)
        if bool(((jacobians(batch, points) > floor) & ~batch.folded(points)).all()):
            return points
    return _drawn_back(batch, start, points - start, 2 * floor)[0]
