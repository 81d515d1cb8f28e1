"""The data-free loss: errors of an analytic field on the meshes that rounds lead to, as they are and as predicted."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from meshmove.geometry.cells.quadrature import simplex_rule
from meshmove.procedural.fields import AnalyticFields

from .features import Cells, bends, deformation, square_of
from .guard import KEEP
from .hessians import Walked
from .meshes.triangles import Triangles
from .network import Aligner

__all__ = ["Objective", "interpolation_error", "predicted_errors"]

#: weights of the cells' distortion, and of cells that the guard had to save
DISTORTION, SAVED = 0.003, 3.0
#: share of the predicted errors in the loss; the rest is the field's own H1 error
PREDICTED = 0.5
#: weight of the dual error in the predicted L2 error, as the judge of `adapt` has it
DUAL = 1 / 3
#: degrees of quadrature: exact for |grad e|^2 of a quadratic field, three points; and six
USUAL, FINE = 2, 4


def interpolation_error(batch: Triangles, field: AnalyticFields, x: Tensor, fine: bool = False) -> Tensor:
    """Squared H1 seminorm (B,) of u - Iu on each mesh, its nodes at x (n, 2); `fine`: by six points a cell."""
    points, parts = simplex_rule(2, FINE if fine else USUAL)
    rule, weights = x.new_tensor(points.T), x.new_tensor(2 * parts)
    u = batch.corners(field.value(x, batch.node_graph)[:, None])[:, :, 0]
    cells = Cells.of(batch, x)
    slope = (u[:, None].permute(1, 2, 0) * cells.slopes).sum(1).T
    where = (rule @ batch.corners(x)).reshape(-1, 2)
    truth = field.gradient(where, batch.cell_graph.repeat_interleave(len(rule))).view(-1, len(rule), 2)
    square = ((truth - slope[:, None]) ** 2).sum(2) @ weights
    return batch.per_mesh(cells.size * square)


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
        for (x, wish, _), weight in zip(rounds, weights, strict=True):
            gain, predicted = self.errors(batch, hessians, field, x, fine) - before
            error = (1 - PREDICTED) * gain + PREDICTED * predicted
            total = total + weight * (error + self._shapes(batch, x, wish))
        finite = torch.isfinite(total)
        loss = torch.where(finite, total, 0.0).sum() / finite.sum().clamp_min(1)
        log = {"gain": gain.detach(), "predicted": predicted.detach(), "cut": rounds[-1][2].detach()}
        return loss, log

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
