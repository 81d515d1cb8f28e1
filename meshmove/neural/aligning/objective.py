"""The data-free loss: errors of an analytic field on the meshes that rounds lead to, as they are and as predicted."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from meshmove.geometry import kind_of
from meshmove.geometry.cells.quadrature import box_rule, simplex_rule
from meshmove.procedural.fields import AnalyticFields

from .features import TINY, Cells, bends, deformation, square_of
from .guard import KEEP
from .hessians import Walked
from .meshes.triangles import Triangles
from .network import Aligner

__all__ = ["Objective", "interpolation_error", "predicted_errors"]

#: weights of the cells' distortion, of cells that the guard had to save, and of those that come near to it: in a round
#: they keep less than this share of their volume
DISTORTION, SAVED, NEAR, SPARED = 0.003, 3.0, 2.0, 0.35
#: share of the predicted errors in the loss; the rest is the field's own H1 error
PREDICTED = 0.5
#: weight of the dual error in the predicted L2 error, as the judge of `adapt` has it
DUAL = 1 / 3
#: degrees of quadrature: exact for |grad e|^2 of a quadratic field, three points; and six
USUAL, FINE = 2, 4


def interpolation_error(batch: Triangles, field: AnalyticFields, x: Tensor, fine: bool = False) -> Tensor:
    """Squared H1 seminorm (B,) of u - Iu on each mesh, its nodes at x (n, 2); `fine`: by six points a cell."""
    if batch.boxes:
        return _of_boxes(batch, field, x, 3 if fine else 2)
    points, parts = simplex_rule(2, FINE if fine else USUAL)
    rule, weights = x.new_tensor(points.T), x.new_tensor(2 * parts)
    u = batch.corners(field.value(x, batch.node_graph)[:, None])[:, :, 0]
    cells = Cells.of(batch, x)
    slope = (u[:, None].permute(1, 2, 0) * cells.slopes).sum(1).T
    where = (rule @ batch.corners(x)).reshape(-1, 2)
    truth = field.gradient(where, batch.cell_graph.repeat_interleave(len(rule))).view(-1, len(rule), 2)
    square = ((truth - slope[:, None]) ** 2).sum(2) @ weights
    return batch.per_mesh(cells.size * square)


def _of_boxes(batch: Triangles, field: AnalyticFields, x: Tensor, many: int) -> Tensor:
    """The same of bilinear interpolants on quadrilaterals, by so many points of Gauss each way."""
    points, parts = box_rule(2, 2 * many - 1)
    shape, slope = (x.new_tensor(v) for v in kind_of("quad").shape(points))  # (4, q), (4, 2, q)
    quads, graph = batch.cells[:, 0].view(-1, 4), batch.cell_graph[::4]
    u, corner = field.value(x, batch.node_graph)[quads], x[quads]
    j = torch.einsum("civ,idq->cqvd", corner, slope)
    det = j[:, :, 0, 0] * j[:, :, 1, 1] - j[:, :, 0, 1] * j[:, :, 1, 0]
    det = torch.where(det.abs() > TINY, det, TINY)
    s, t = torch.einsum("ci,idq->dcq", u, slope)
    found = [s * j[:, :, 1, 1] - t * j[:, :, 1, 0], t * j[:, :, 0, 0] - s * j[:, :, 0, 1]]
    where = torch.einsum("civ,iq->cqv", corner, shape).reshape(-1, 2)
    truth = field.gradient(where, graph.repeat_interleave(len(parts))).view(*det.shape, 2)
    square = (truth[..., 0] - found[0] / det) ** 2 + (truth[..., 1] - found[1] / det) ** 2
    each = (square * det.abs()) @ x.new_tensor(parts)
    return each.new_zeros(len(batch)).index_add(0, graph, each)


def predicted_errors(batch: Triangles, hessians: Walked, x: Tensor) -> Tensor:
    """Squares (3, B) of what recovered Hessians predict: the interpolant's H1 error, its L2 error, and the dual error.

    The last is that of `meshmove.monitors.solution_error`. Hessians count as in `Alignment`: as the mean of what those
    at the vertices of a cell give.
    """
    h, cells = hessians(x), Cells.of(batch, x)
    size = cells.size
    rho = square_of(cells, bends(cells, batch.identity + torch.zeros_like(h[:, 0].T)))
    slope, plain = torch.zeros_like(size), torch.zeros_like(size)
    for k in range(3):
        a, b, c = bend = bends(cells, h[:, k].T)
        slope = slope + square_of(cells, bend) / 3
        if batch.boxes:
            plain = plain + (3 * a * a + 3 * b * b + 5 * a * b) / 1080
        else:
            plain = plain + (a * a + b * b + c * c + (a + b + c) ** 2) / 2160
    return torch.stack([batch.per_mesh(v) for v in (size * slope, size * plain, size * slope * rho)])


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
        self, batch: Triangles, hessians: Walked, field: AnalyticFields, start: Tensor | None = None, fine: bool = False
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

    def errors(self, batch: Triangles, hessians: Walked, field: AnalyticFields, x: Tensor, fine: bool) -> Tensor:
        """Logarithms (2, B): of the H1 error of the field's interpolant, and of the predicted errors' mean."""
        own = 0.5 * torch.log(interpolation_error(batch, field, x, fine) + 1e-12)
        slope, plain, dual = 0.5 * torch.log(predicted_errors(batch, hessians, x) + 1e-24)
        return torch.stack([own, 0.5 * (slope + (1 - DUAL) * plain + DUAL * dual)])

    def _shapes(self, batch: Triangles, x: Tensor, wish: Tensor) -> Tensor:
        """(B,) distortion where the mesh is, and cells that would have been inverted without the guard."""
        ratio = batch.ratio(x)
        jacobian = deformation(batch, Cells.of(batch, x))
        distortion = (jacobian * jacobian).sum((0, 1)) / (2 * ratio.abs().clamp_min(1e-4)) - 1
        lost = torch.relu(0.5 * KEEP - batch.ratio(wish))
        cells = DISTORTION * distortion + SAVED * lost
        return batch.per_mesh(cells * batch.area) / batch.total


def _flattened(batch: Triangles, x: Tensor, wish: Tensor) -> Tensor:
    """(B,) mean over the cells of what a round from x takes from them beyond what they may lose without the guard: it
    cuts the steps of all nodes around such a cell."""
    left = batch.ratio(wish) / batch.ratio(x.detach()).clamp_min(1e-3)
    lost = torch.relu(SPARED - left).clamp_max(1.0)
    return NEAR * batch.per_mesh(lost) / batch.per_mesh(torch.ones_like(lost))
