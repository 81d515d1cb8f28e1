"""Solves on an accelerator: the Gauss-Newton matrices of all meshes of a batch as dense Cholesky factors.

A factorisation of a few thousand unknowns is no work for an accelerator, and unlike conjugate gradients it is as exact
as the sparse one of the processor. Meshes are taken in groups that fit the memory.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .batch import MeshBatch
from .energy import Linearised

__all__ = ["DENSE", "dense_solver"]

#: unknowns of a mesh up to which its matrix is kept dense
DENSE = 8192
#: numbers (of eight bytes) that the factors of a group may take
ROOM = 2**30


def dense_solver(batch: MeshBatch, model: Linearised, points: Tensor, shift: float) -> Callable[[Tensor], Tensor]:
    """z (n, d) from g (n, d): A^-1 on the admissible displacements at `points`, A = B^T |K0| w B + eps L.

    With the projector P onto them it is P A P + (1 - P) that is factorised, each mesh by itself, with a `shift` of its
    diagonal. A mesh whose matrix is not positive definite gets NaN.
    """
    d = batch.dim
    projector = batch.projector(points)
    width = d * max(b - a for a, b in zip(batch.first[:-1], batch.first[1:], strict=True))
    each = max(1, min(len(batch), ROOM // width**2))
    factors = []
    for begin in range(0, len(batch), each):
        end = min(begin + each, len(batch))
        matrix = _assembled(batch, model, begin, end, width)
        factors.append(_factor(matrix, _padded(batch, projector, begin, end, width), shift))

    def solve(forces: Tensor) -> Tensor:
        g = torch.einsum("nij,nj->ni", projector, forces.detach().to(projector))
        out = torch.empty_like(g)
        for k, factor in enumerate(factors):
            begin = k * each
            flat = g.new_zeros(len(factor), width)
            spans = list(zip(batch.first[begin:], batch.first[begin + 1 :], strict=False))[: len(factor)]
            for i, (a, b) in enumerate(spans):
                flat[i, : d * (b - a)] = g[a:b].flatten()
            flat = torch.cholesky_solve(flat[:, :, None], factor)[:, :, 0]
            for i, (a, b) in enumerate(spans):
                out[a:b] = flat[i, : d * (b - a)].view(-1, d)
        return torch.einsum("nij,nj->ni", projector, out).to(forces)

    return solve


def _assembled(batch: MeshBatch, model: Linearised, begin: int, end: int, width: int) -> Tensor:
    """A (m, N, N) of the meshes from `begin` to `end`."""
    d, device = batch.dim, batch.points.device
    mesh = batch.cell_graph[batch.owner]
    some = ((mesh >= begin) & (mesh < end)).nonzero()[:, 0]
    first = torch.tensor(batch.first, device=device)
    nodes = batch.simplices - first[mesh][:, None]
    unknowns = (nodes[:, :, None] * d + torch.arange(d, device=device)).flatten(1)
    out = batch.points.new_zeros(end - begin, width, width)

    def add(rows: Tensor, columns: Tensor, owner: Tensor, local: Tensor) -> None:
        i, j = rows[:, :, None].expand_as(local), columns[:, None, :].expand_as(local)
        out.index_put_(((owner - begin)[:, None, None].expand_as(local), i, j), local, accumulate=True)

    rates = model.values.detach().flatten(1)
    one, other = _pairs(batch.owner, some)
    weight = model.weight.detach()[batch.owner[one]]
    local = (weight[:, None] * rates[one])[:, :, None] * rates[other][:, None, :]
    add(unknowns[one], unknowns[other], mesh[one], local)
    gradients = model.gradients.detach()[some]
    stiff = torch.as_tensor(model.stiff).detach().to(gradients).expand(len(batch.owner))[some]
    local = (gradients @ gradients.transpose(1, 2)) * stiff[:, None, None]
    for k in range(d):
        add(nodes[some] * d + k, nodes[some] * d + k, mesh[some], local)
    return out


def _pairs(owner: Tensor, some: Tensor) -> tuple[Tensor, Tensor]:
    """All pairs of corner simplices of one cell, each way and each with itself, out of `some` of whole cells."""
    order = some[torch.argsort(owner[some], stable=True)]
    _, place, count = torch.unique_consecutive(owner[order], return_inverse=True, return_counts=True)
    begin = count.cumsum(0) - count
    times = count[place]
    one = torch.repeat_interleave(order, times)
    within = torch.arange(len(one), device=order.device) - torch.repeat_interleave(times.cumsum(0) - times, times)
    return one, order[torch.repeat_interleave(begin[place], times) + within]


def _padded(batch: MeshBatch, projector: Tensor, begin: int, end: int, width: int) -> Tensor:
    """The projectors (m, width / d, d, d) of some meshes, zero beyond their last node."""
    d = batch.dim
    out = projector.new_zeros(end - begin, width // d, d, d)
    for k in range(begin, end):
        a, b = batch.first[k], batch.first[k + 1]
        out[k - begin, : b - a] = projector[a:b]
    return out


def _factor(matrix: Tensor, projector: Tensor, shift: float) -> Tensor:
    """Cholesky factors (m, N, N) of P A P + (1 - P) s, s the size of A's diagonal; NaN where there is none."""
    m, width, d = len(matrix), matrix.shape[1], projector.shape[2]
    blocks = matrix.view(m, width // d, d, width // d, d)
    matrix = torch.einsum("maij,majbk,mbkl->maibl", projector, blocks, projector).reshape(m, width, width)
    diagonal = matrix.diagonal(dim1=1, dim2=2)
    diagonal *= 1 + shift
    rest = torch.eye(d).to(projector) - projector
    size = diagonal.mean(dim=1).clamp_min(1e-30)
    node = torch.arange(width // d, device=matrix.device)
    matrix.view(m, width // d, d, width // d, d)[:, node, :, node, :] += (rest * size[:, None, None, None]).transpose(
        0, 1
    )
    factor, info = torch.linalg.cholesky_ex(matrix)
    return torch.where((info > 0)[:, None, None], torch.nan, factor)
