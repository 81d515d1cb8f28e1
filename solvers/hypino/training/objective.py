"""What the hypernetwork is trained for: errors of its solutions, and of the best combination of its features."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from meshmove.solvers.hypino.emitted import Emitted
from meshmove.solvers.hypino.hypino import HyPINO

from .problems import Problems

__all__ = ["Objective", "Weights", "projected_error", "relative_error"]


#: relative errors below this count in proportion, larger ones by their logarithm
SMALL = 0.05


@dataclass(frozen=True)
class Weights:
    """Weights of the parts of the loss; `smooth` is the published mixture's Huber threshold."""

    value: float = 1.0
    gradient: float = 0.1
    dirichlet: float = 0.3
    neumann: float = 0.03
    residual: float = 0.03
    unlabelled: float = 0.3
    projection: float = 0.1


class Objective(nn.Module):
    """The loss of a batch of problems and its parts, as numbers."""

    def __init__(self, model: HyPINO, weights: Weights | None = None, precision: torch.dtype | None = None) -> None:
        super().__init__()
        self.model, self.weights, self.precision = model, weights or Weights(), precision

    def forward(self, p: Problems) -> tuple[Tensor, dict[str, Tensor]]:
        w = self.weights
        emitted = self.model(p.coefficients, p.raster, self.precision)
        points = torch.cat([p.X.expand(len(p), -1, -1), p.edge], 2)
        features = emitted.features(points)
        n = p.X.shape[1]
        jets = (emitted.output[:, None, None] @ features)[:, :, 0]
        inner, outer = jets.split([n, points.shape[2] - n], 2)
        parts = _parts(p, inner, outer)
        known = p.labelled.to(inner.dtype)
        labelled, free = known.sum().clamp_min(1), (1 - known).sum().clamp_min(1)
        # between a mean, which hard problems rule, and a geometric mean, which easy ones do
        size = {name: (part / SMALL).log1p() for name, part in parts.items()}
        boundary = w.dirichlet * size["dirichlet"] + w.neumann * size["neumann"]
        on_known = w.value * size["value"] + w.gradient * size["gradient"] + w.residual * size["residual"] + boundary
        on_free = w.unlabelled * size["residual"] + boundary
        each = torch.where(p.labelled, on_known, 0 * on_free) + torch.where(p.labelled, 0 * on_known, on_free)
        loss = each.mean()
        log = {"value": (parts["value"] * known).sum() / labelled, "free": (on_free * (1 - known)).sum() / free}
        if w.projection:
            error = projected_error(p, emitted, features)
            log["projected"] = (error.log() * known).sum() / labelled
            loss = loss + w.projection * (error.log() * known).mean()
        return loss, {k: v.detach() for k, v in log.items()}


def _parts(p: Problems, inner: Tensor, outer: Tensor) -> dict[str, Tensor]:
    """Relative errors of every problem, (B,) each: root mean squares over the problem's own size."""
    inside = p.inside.to(inner.dtype)
    size = _rms(p.jets[:, 0], inside)
    # without a label the data's amplitude stands for the solution's
    given = _rms(p.values[:, 0], p.dirichlet.to(inner.dtype))
    c = p.coefficients
    stiff = c.abs() @ c.new_tensor([1.0, 3.0, 3.0, 10.0, 10.0])
    load = _rms(p.source, inside)
    size = torch.where(p.labelled, size, torch.maximum(given, load / stiff)).clamp_min(1e-6)
    slope = _rms(p.jets[:, 1:3].square().sum(1).sqrt(), inside)
    steep = torch.where(p.labelled, slope, 3 * size) + size
    residual = (c[:, :, None] * inner).sum(1) - p.source
    du = (outer[:, 1:3] * p.normals).sum(1)
    return {
        "value": _rms(inner[:, 0] - p.jets[:, 0], inside) / size,
        "gradient": _rms((inner[:, 1:3] - p.jets[:, 1:3]).square().sum(1).add(1e-12).sqrt(), inside) / steep,
        "residual": _rms(residual, inside) / (load + size * stiff),
        "dirichlet": _rms(outer[:, 0] - p.values[:, 0], p.dirichlet.to(inner.dtype)) / size,
        "neumann": _rms(du - p.values[:, 1], p.neumann.to(inner.dtype)) / steep,
    }


def _rms(x: Tensor, mask: Tensor) -> Tensor:
    return ((x * x * mask).sum(1) / mask.sum(1).clamp_min(1) + 1e-12).sqrt()


def relative_error(p: Problems, emitted: Emitted) -> Tensor:
    """Relative L2 error of every labelled problem at its interior points, (B,)."""
    inside = p.inside.to(p.jets.dtype)
    return _rms(emitted(p.X) - p.jets[:, 0], inside) / _rms(p.jets[:, 0], inside)


def projected_error(p: Problems, emitted: Emitted, features: Tensor | None = None, ridge: float = 1e-7) -> Tensor:
    """Relative L2 error of every problem after least squares over its emitted features, differentiable, (B,).

    Rows are the equation at interior points and the conditions at boundary points, columns are scaled to one; the
    normal equations are solved in double precision with a little ridge.

    Parameters
    ----------
    features
        Jets (B, 5, K, P + Q) at the interior, then the boundary points of `p`, where they are at hand already.
    """
    if features is None:
        features = emitted.features(torch.cat([p.X.expand(len(p), -1, -1), p.edge], 2))
    n = p.X.shape[1]
    c = p.coefficients
    stiff = c.abs() @ c.new_tensor([1.0, 3.0, 3.0, 10.0, 10.0])
    inside = p.inside.to(c.dtype)
    scale = (inside / stiff[:, None])[:, None]
    inner, outer = features.split([n, features.shape[-1] - n], 3)
    rows = torch.einsum("bj,bjkn->bkn", c, inner) * scale
    right = p.source * scale[:, 0]
    at_edge, dx, dy, _, _ = outer.unbind(1)
    flux = dx * p.normals[:, None, 0] + dy * p.normals[:, None, 1]
    on_d, on_n = 4.0 * p.dirichlet.to(c.dtype), 1.0 * p.neumann.to(c.dtype)
    A = torch.cat([rows, at_edge * on_d[:, None], flux * on_n[:, None]], 2)
    b = torch.cat([right, p.values[:, 0] * on_d, p.values[:, 1] * on_n], 1)
    size = A.square().sum(2, keepdim=True).add(1e-12).sqrt()
    A = torch.nan_to_num(A / size, nan=0.0, posinf=0.0, neginf=0.0).double()  # one singular problem in a batch
    G = A @ A.transpose(1, 2) + ridge * torch.eye(A.shape[1], dtype=A.dtype, device=A.device)
    out = torch.cholesky_solve(A @ b.double()[..., None], torch.linalg.cholesky(G)).to(c.dtype) / size
    u = (inner[:, 0] * out).sum(1)
    return _rms(u - p.jets[:, 0], inside) / _rms(p.jets[:, 0], inside)
