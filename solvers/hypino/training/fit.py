"""Training of the hypernetwork, on problems made on the fly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from meshmove.learning.processes import fabric_of, spread
from meshmove.learning.progress import Progress as RunProgress
from meshmove.learning.run import Run, new_model
from meshmove.solvers.hypino.hypino import HyPINO

from .config import CONFIGS, Config
from .objective import Objective, projected_error, relative_error
from .problems import Problems, build, draw

__all__ = ["CONFIGS", "Config", "Progress", "fit"]

#: seeds of validation problems lie apart from those of training
HELD_OUT = 7_000_003


@dataclass(frozen=True)
class Progress(RunProgress):
    """One validation.

    `error` is the median relative L2 error of the emitted solutions, `mean_log` the mean of its logarithm (what decides
    on the best weights), `projected` the geometric mean after least squares over the emitted features.
    """

    error: float
    mean_log: float
    projected: float


def fit(
    config: Config,
    folder: str | Path,
    *,
    devices: int = 1,
    nodes: int = 1,
    accelerator: str = "auto",
    strategy: str | None = None,
    start: HyPINO | None = None,
    on_step: Callable[[int], None] | None = None,
) -> Iterator[Progress]:
    """Train, yielding at every validation; `folder` gets the log, the checkpoint and the best weights so far.

    A run that finds its own checkpoint in `folder` goes on from there, with the same numbers as one that was never
    interrupted. The batch is shared among the devices of all nodes. `on_step` is told the number of steps done after
    each of them. `start`: a model whose weights training starts from.

    Raises
    ------
    ImportError
        Without lightning-fabric (``pip install meshmove[train]``).
    ValueError
        If the checkpoint in `folder` belongs to another configuration, the batch cannot be shared evenly, or the model
        to start from has weights of other sizes.
    """
    run = _Run(config, folder, fabric_of(devices, accelerator, strategy, nodes), start)
    yield from run.rows(on_step)


class _Run(Run):
    kind, progress, criterion = "hypino", Progress, "mean_log"
    config: Config

    def __init__(self, config: Config, folder: str | Path, fabric: Any, start: HyPINO | None = None) -> None:
        model = new_model(HyPINO, config, start)
        matrices = [p for p in model.parameters() if p.ndim > 1]
        rest = [p for p in model.parameters() if p.ndim < 2]
        groups = [{"params": matrices, "weight_decay": config.decay}, {"params": rest, "weight_decay": 0.0}]
        optimizer = torch.optim.AdamW(groups, config.learning_rate, betas=(0.9, 0.98))
        half = torch.bfloat16 if config.half else None
        super().__init__(config, folder, fabric, model, Objective(model, config.weights, half), optimizer)
        self._held_out: dict[int, Problems] = {}

    def loss(self) -> Tensor:
        c, f = self.config, self.fabric
        draws = draw(c.batch, (c.seed, self.step), c.interior, c.edge, c.unlabelled, c.bubbles)
        problems = build(draws.share(f.global_rank, f.world_size).to(f.device), c.settings.raster)
        return self.objective(problems)[0]

    def measure(self) -> dict[str, float]:
        def errors(first: int) -> Tensor:
            problems = self._problems(first)
            emitted = self.average(problems.coefficients, problems.raster)
            return torch.stack([relative_error(problems, emitted), projected_error(problems, emitted)])

        error, projected = spread(self.fabric, range(0, self.config.validation, 32), errors)
        return {
            "error": float(error.median()),
            "mean_log": float(error.log().mean()),
            "projected": float(projected.log().mean().exp()),
        }

    def _problems(self, first: int) -> Problems:
        """Up to 32 of the held-out problems, made when this process first asks for them."""
        c = self.config
        if first not in self._held_out:
            draws = draw(min(32, c.validation - first), (c.seed + HELD_OUT, first), 512, 256, 0.0)
            self._held_out[first] = build(draws.to(self.fabric.device), c.settings.raster)
        return self._held_out[first]
