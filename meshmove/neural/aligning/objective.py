"""The data-free loss: the H1 error of an analytic field's interpolant on the meshes that the rounds lead to."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from meshmove.geometry.cells.quadrature import simplex_rule
from meshmove.procedural.fields import AnalyticFields

from .features import Cells, deformation, predicted
from .guard import KEEP
from .hessians import Walked
from .meshes.triangles import Triangles
from .network import Aligner

__all__ = ["Objective", "interpolation_error", "predicted_error"]

#: weights of the cells' distortion, and of cells that the guard had to save
DISTORTION, SAVED = 0.003, 3.0
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


def predicted_error(batch: Triangles, hessians: Walked, x: Tensor) -> Tensor:
    """What the recovered Hessians predict of it, squared (B,)."""
    h, cells = hessians(x), Cells.of(batch, x)
    return batch.per_mesh(sum(predicted(cells, h[:, k].T) for k in range(3)) / 3)


class Objective(nn.Module):
    """Mean over meshes and rounds of the logarithm of the error, relative to that before; later rounds count more.

    The network sees recovered Hessians, and the error is that of the field itself: so it learns what recovery hides.
    """

    def __init__(self, model: Aligner) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, batch: Triangles, hessians: Walked, field: AnalyticFields, start: Tensor | None = None, fine: bool = False
    ) -> tuple[Tensor, dict[str, Tensor]]:
        x = batch.points if start is None else start
        with torch.no_grad():
            before = interpolation_error(batch, field, x, fine)
        rounds = self.model(batch, hessians, start)
        weights = torch.arange(1.0, len(rounds) + 1, device=x.device)
        weights = weights / weights.sum()
        total = x.new_zeros(len(batch))
        for (x, wish, _), weight in zip(rounds, weights, strict=True):
            gain = 0.5 * torch.log(interpolation_error(batch, field, x, fine) / before.clamp_min(1e-30) + 1e-6)
            total = total + weight * (gain + self._shapes(batch, x, wish))
        finite = torch.isfinite(total)
        loss = torch.where(finite, total, 0.0).sum() / finite.sum().clamp_min(1)
        log = {"gain": gain.detach(), "cut": rounds[-1][2].detach()}
        return loss, log

    def _shapes(self, batch: Triangles, x: Tensor, wish: Tensor) -> Tensor:
        """(B,) distortion where the mesh is, and cells that would have been inverted without the guard."""
        ratio = batch.ratio(x)
        jacobian = deformation(batch, Cells.of(batch, x))
        distortion = (jacobian * jacobian).sum((0, 1)) / (2 * ratio.abs().clamp_min(1e-4)) - 1
        lost = torch.relu(0.5 * KEEP - batch.ratio(wish))
        cells = DISTORTION * distortion + SAVED * lost
        return batch.per_mesh(cells * batch.area) / batch.total
