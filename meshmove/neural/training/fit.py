"""Training of the mover: data-free, on meshes and monitors made on the fly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from meshmove.learning.config import RunConfig
from meshmove.learning.processes import fabric_of, spread
from meshmove.learning.progress import Progress as RunProgress
from meshmove.learning.run import Run, new_model
from meshmove.neural.dmm import DMM, Settings

from .objective import Objective
from .samples import Samples

__all__ = ["CONFIGS", "Config", "Progress", "fit"]


@dataclass(frozen=True)
class Config(RunConfig):
    """A training run, on a `pool` of meshes of so many `nodes`; samples are meshes with a monitor each."""

    settings: Settings = field(default_factory=Settings)
    steps: int = 3000
    batch: int = 8
    nodes: tuple[int, int] = (150, 700)
    pool: int = 1024
    learning_rate: float = 3e-3
    average: float = 0.995


#: by dimension and name
CONFIGS: dict[tuple[int, str], Config] = {
    (2, "small"): Config(),
    (2, "full"): Config(Settings(width=64, layers=3), steps=20_000, batch=32, nodes=(150, 1000), pool=4096),
    (3, "small"): Config(Settings(dim=3), steps=600, batch=4, nodes=(150, 400), pool=256, validation=16),
    (3, "full"): Config(Settings(dim=3, width=64, layers=3), steps=10_000, batch=16, nodes=(200, 1500), pool=2048),
}


@dataclass(frozen=True)
class Progress(RunProgress):
    """One validation; of the averaged weights' moves the loss, the imbalance that they leave, and the share of meshes
    whose step was cut by half."""

    loss: float
    imbalance: float
    cut: float


def fit(
    config: Config,
    folder: str | Path,
    *,
    devices: int = 1,
    nodes: int = 1,
    accelerator: str = "auto",
    strategy: str | None = None,
    start: DMM | None = None,
    on_step: Callable[[int], None] | None = None,
) -> Iterator[Progress]:
    """Train, yielding at every validation; `folder` gets the log, the checkpoint and the best weights so far.

    A run that finds its own checkpoint in `folder` goes on from there, with the same numbers as one that was never
    interrupted. The batch is shared among the devices of all nodes: every sample has a number, and depends on it alone.
    `start`: a model whose weights training starts from. `on_step` is told the number of steps done after each of them.

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
    kind, progress, criterion = "dmm", Progress, "loss"

    def __init__(self, config: Config, folder: str | Path, fabric: Any, start: DMM | None = None) -> None:
        model = new_model(DMM, config, start)
        optimizer = torch.optim.Adam(model.parameters(), config.learning_rate)
        super().__init__(config, folder, fabric, model, Objective(model), optimizer)
        dim = config.settings.dim
        self._samples = Samples(dim, config.seed, config.pool, config.nodes)
        self._held_out = Samples(dim, config.seed + 1_000_003, config.validation, config.nodes)
        self._validation = config.validation

    def loss(self) -> Tensor:
        batch, monitor = self._samples.batch(self.numbers())
        return self.objective(batch.to(self.fabric.device), monitor.to(self.fabric.device))[0]

    def measure(self) -> dict[str, float]:
        objective = Objective(self.average).eval()

        def sums(numbers: range) -> Tensor:
            batch, monitor = self._held_out.batch(numbers)
            loss, log = objective(batch.to(self.fabric.device), monitor.to(self.fabric.device))
            return len(numbers) * torch.tensor([[float(loss)], [float(log["imbalance"])], [float(log["cut"])]])

        count = self._validation
        bundles = [range(first, min(first + 8, count)) for first in range(0, count, 8)]
        means = spread(self.fabric, bundles, sums).sum(1) / count
        return dict(zip(("loss", "imbalance", "cut"), means.tolist(), strict=True))
