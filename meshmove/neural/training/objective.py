"""The data-free loss: E of the inverse map and of the move after every round, averaged over meshes and monitors."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from meshmove.neural.batch import MeshBatch
from meshmove.neural.dmm import DMM
from meshmove.neural.energy import Density, energy, imbalance, state

__all__ = ["Objective"]

#: E is compared on a logarithmic scale, so that easy and hard meshes count alike; below this all are good
FLOOR = 1e-4


class Objective(nn.Module):
    """Mean of log E over meshes and rounds, later rounds counting more; no mesh from any mover enters.

    Where a round left inverted cells its state is softened, and so is E (see `energy.state`).
    """

    def __init__(self, model: DMM) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: MeshBatch, density: Density) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss, and what to log: medians over the meshes, and the share of them whose step was cut by half."""
        s = self.model.settings
        trace = self.model(batch, density, detach=True)
        inverse = [energy(batch, at, s.inverse_distortion, trace.log_q) for at in trace.images]
        forward = [energy(batch, at, s.distortion) for at in trace.moves[1:]]
        loss = _score(inverse) + _score(forward)
        with torch.no_grad():
            log = {
                "inverse": inverse[-1].median(),
                "forward": forward[-1].median(),
                "imbalance": imbalance(batch, state(batch, trace.points, density)).median(),
                "cut": (trace.cut < 0.5).double().mean(),
            }
        return loss, log


def _score(energies: list[Tensor]) -> Tensor:
    weights = torch.arange(1.0, len(energies) + 1)
    total = sum(w * torch.log(e + FLOOR) for w, e in zip(weights / weights.sum(), energies, strict=True))
    finite = torch.isfinite(total)
    return torch.where(finite, total, 0.0).sum() / finite.sum().clamp_min(1)
