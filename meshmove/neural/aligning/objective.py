"""The data-free loss: errors of an analytic field on the meshes that rounds lead to, as they are and as predicted."""

from __future__ import annotations

from math import factorial

import torch
from torch import Tensor, nn

from meshmove.geometry import kind_of
from meshmove.geometry.cells.quadrature import box_rule, simplex_rule
from meshmove.procedural.fields import AnalyticFields

from .features import Cells, deformation
from .guard import KEEP
from .hessians import Walked
from .meshes.simplices import Simplices
from .meshes.tensors import gradients
from .network import Aligner
from .predicted import merit, predicted_errors

__all__ = ["Objective", "interpolation_error"]

#: weights of the cells' distortion, of cells that the guard had to save, and of those that come near to it: in a round
#: they keep less than this share of their volume
DISTORTION, SAVED, NEAR, SPARED = 0.003, 3.0, 2.0, 0.35
#: share of the predicted errors in the loss; the rest is the field's own H1 error
PREDICTED = 0.5
#: degrees of quadrature: exact for |grad e|^2 of a quadratic field; and a finer one
USUAL, FINE = 2, {2: 4, 3: 5}


def interpolation_error(batch: Simplices, field: AnalyticFields, x: Tensor, fine: bool = False) -> Tensor:
    """Squared H1 seminorm (B,) of u - Iu on each mesh, its nodes at x (n, dim); `fine`: by a rule of degree 4 or 5."""
    if batch.boxes:
        return _of_boxes(batch, field, x, 3 if fine else 2)
    points, parts = simplex_rule(batch.dim, FINE[batch.dim] if fine else USUAL)
    rule, weights = x.new_tensor(points.T), x.new_tensor(factorial(batch.dim) * parts)
    u = batch.corners(field.value(x, batch.node_graph)[:, None])[:, :, 0]
    cells = Cells.of(batch, x)
    slope = (u[:, None].permute(1, 2, 0) * cells.slopes).sum(1).T
    where = (rule @ batch.corners(x)).reshape(-1, batch.dim)
    truth = field.gradient(where, batch.cell_graph.repeat_interleave(len(rule))).view(-1, len(rule), batch.dim)
    square = ((truth - slope[:, None]) ** 2).sum(2) @ weights
    return batch.per_mesh(cells.size * square)


def _of_boxes(batch: Simplices, field: AnalyticFields, x: Tensor, many: int) -> Tensor:
    """The same of multilinear interpolants on quadrilaterals or hexahedra, by so many points of Gauss each way."""
    kind = kind_of("quad" if batch.dim == 2 else "hexahedron")
    points, parts = box_rule(batch.dim, 2 * many - 1)
    shape, slope = (x.new_tensor(v) for v in kind.shape(points))  # (v, q), (v, dim, q)
    boxes, graph = batch.cells[:, 0].view(-1, len(shape)), batch.cell_graph[:: len(shape)]
    u, corner = field.value(x, batch.node_graph)[boxes], x[boxes]
    edges = torch.einsum("civ,idq->dvcq", corner, slope)
    size, turned = gradients(list(edges.flatten(2)))
    along = torch.einsum("ci,idq->dcq", u, slope).flatten(1)
    found = (along * turned[:, 1:]).sum(1)  # (dim, c q)
    where = torch.einsum("civ,iq->cqv", corner, shape).reshape(-1, batch.dim)
    truth = field.gradient(where, graph.repeat_interleave(len(parts))).T
    square = ((truth - found) ** 2).sum(0) * size.abs() * factorial(batch.dim)
    each = square.view(-1, len(parts)) @ x.new_tensor(parts)
    return each.new_zeros(len(batch)).index_add(0, graph, each)


class Objective(nn.Module):
    """Mean over meshes and rounds of the logarithm of errors, relative to those before; later rounds count more.

    Of two kinds: the H1 error of the field's interpolant, by the field itself, so that the network learns what recovery
    hides; and the geometric mean of the predicted H1 and L2 errors, by which `adapt` judges a mesh: on a mesh that has
    carried its cells to a steep feature they leave much more to gain than the first tells.
    """

    def __init__(self, model: Aligner) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, batch: Simplices, hessians: Walked, field: AnalyticFields, start: Tensor | None = None, fine: bool = False
    ) -> tuple[Tensor, dict[str, Tensor]]:
        x = batch.points if start is None else start
        with torch.no_grad():
            before = self.errors(batch, hessians, field, x, fine)
        rounds = self.model(batch, hessians, start)
        weights = torch.arange(1.0, len(rounds) + 1, device=x.device)
        weights = weights / weights.sum()
        total = x.new_zeros(len(batch))
        gain, predicted = total, total
        for (there, wish, _), weight in zip(rounds, weights, strict=True):
            gain, predicted = self.errors(batch, hessians, field, there, fine) - before
            error = (1 - PREDICTED) * gain + PREDICTED * predicted
            total = total + weight * (error + self._shapes(batch, there, wish))
            total = total + _flattened(batch, x, wish) / len(rounds)
            x = there
        finite = torch.isfinite(total)
        loss = torch.where(finite, total, 0.0).sum() / finite.sum().clamp_min(1)
        cut = torch.stack([share for *_, share in rounds]).amin(0)
        return loss, {"gain": gain.detach(), "predicted": predicted.detach(), "cut": cut}

    def errors(self, batch: Simplices, hessians: Walked, field: AnalyticFields, x: Tensor, fine: bool) -> Tensor:
        """Logarithms (2, B): of the H1 error of the field's interpolant, and of the predicted errors' mean."""
        own = 0.5 * torch.log(interpolation_error(batch, field, x, fine) + 1e-12)
        return torch.stack([own, merit(predicted_errors(batch, hessians, x))])

    def _shapes(self, batch: Simplices, x: Tensor, wish: Tensor) -> Tensor:
        """(B,) distortion where the mesh is, and cells that would have been inverted without the guard."""
        ratio = batch.ratio(x)
        jacobian = deformation(batch, Cells.of(batch, x))
        distortion = (jacobian * jacobian).sum((0, 1)) / (
            batch.dim * ratio.abs().clamp_min(1e-4) ** (2 / batch.dim)
        ) - 1
        lost = torch.relu(0.5 * KEEP - batch.ratio(wish))
        cells = DISTORTION * distortion + SAVED * lost
        return batch.per_mesh(cells * batch.area) / batch.total


def _flattened(batch: Simplices, x: Tensor, wish: Tensor) -> Tensor:
    """(B,) mean over the cells of what a round from x takes from them beyond what they may lose without the guard: it
    cuts the steps of all nodes around such a cell."""
    left = batch.ratio(wish) / batch.ratio(x.detach()).clamp_min(1e-3)
    lost = torch.relu(SPARED - left).clamp_max(1.0)
    return NEAR * batch.per_mesh(lost) / batch.per_mesh(torch.ones_like(lost))
