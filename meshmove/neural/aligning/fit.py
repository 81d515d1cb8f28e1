"""Training of the network that aligns: on procedural meshes and analytic fields, on a processor or an accelerator."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from meshmove.geometry import CellMesh
from meshmove.learning.alone import Alone
from meshmove.learning.config import RunConfig
from meshmove.learning.progress import Progress as RunProgress
from meshmove.learning.run import Run, new_model
from meshmove.procedural.fields import AnalyticFields

from .network import Aligner, Settings
from .objective import Objective, interpolation_error
from .samples import Group, groups, make_meshes

__all__ = ["CONFIGS", "Config", "Progress", "fit"]

#: how often a step starts from a mesh that the network has moved for another field, and for the same
MOVED, GONE_ON = 0.25, 0.15


@dataclass(frozen=True)
class Config(RunConfig):
    """A training run. `batch`: about so many nodes a step; `pool`: distinct meshes, of so many `nodes`, with so many
    `fields` each. `minutes`: where given, the learning rate falls with the time, and the run ends with it."""

    settings: Settings = field(default_factory=Settings)
    steps: int = 6000
    batch: int = 2000
    nodes: tuple[int, int] = (120, 420)
    pool: int = 700
    fields: int = 24
    learning_rate: float = 2e-3
    average: float = 0.995
    validation: int = 96
    patience: int = 1000
    minutes: float | None = None


CONFIGS: dict[str, Config] = {
    "small": Config(),
    "full": Config(steps=20_000, batch=30_000, nodes=(120, 1200), pool=3000, validate_every=200),
}


@dataclass(frozen=True)
class Progress(RunProgress):
    """One validation.

    `gain`: by what factor the H1 error of the interpolant falls, in the geometric mean; `worst`: the fifth percentile
    of it; `cut`: share of meshes of which the guard let less than half of the last step through.
    """

    loss: float
    gain: float
    worst: float
    cut: float


def fit(
    config: Config,
    folder: str | Path,
    *,
    devices: int = 1,
    accelerator: str = "auto",
    start: Aligner | None = None,
    meshes: Sequence[CellMesh] | None = None,
    workers: int = 1,
    on_step: Callable[[int], None] | None = None,
) -> Iterator[Progress]:
    """Train, yielding at every validation; `folder` gets the log, the checkpoint and the best weights so far.

    A run that finds its own checkpoint in `folder` goes on from there. `start`: a model whose weights training starts
    from. `meshes`: in place of ones made now; the last `config.validation` of them are held out.
    `workers`: processes that prepare them.

    Raises
    ------
    ValueError
        If the checkpoint in `folder` belongs to another configuration, or the model to start from has weights of other
        sizes, or more than one device is asked for.
    """
    if devices != 1:
        raise ValueError(f"Expected one device: batches of groups of meshes are not shared (got {devices})")
    run = _Run(config, folder, Alone.on(accelerator), start, meshes, workers)
    yield from run.rows(on_step)


class _Run(Run):
    kind, progress, criterion = "aligner", Progress, "loss"

    def __init__(
        self,
        config: Config,
        folder: str | Path,
        fabric: Any,
        start: Aligner | None,
        meshes: Sequence[CellMesh] | None,
        workers: int,
    ) -> None:
        model = new_model(Aligner, config, start)
        optimizer = torch.optim.AdamW(model.parameters(), config.learning_rate, weight_decay=1e-4)
        super().__init__(config, folder, fabric, model, Objective(model), optimizer)
        self.config: Config
        self.minutes = config.minutes
        if meshes is None:
            pool = list(make_meshes(config.pool, config.nodes, config.seed))
            held_out = list(make_meshes(config.validation, config.nodes, config.seed + 1_000_003))
        else:
            pool, held_out = list(meshes[: -config.validation]), list(meshes[-config.validation :])
        options: dict[str, Any] = {"nodes": config.batch, "device": fabric.device, "workers": workers}
        self._pool = groups(pool, fields=config.fields, seed=config.seed, **options)
        self._held_out = groups(held_out, fields=2, seed=config.seed + 1, **options)

    def loss(self) -> Tensor:
        generator = torch.Generator().manual_seed(1_000_000 * self.config.seed + self.step)
        group = self._pool[int(torch.randint(len(self._pool), (1,), generator=generator))]
        field, luck, start = group.drawn(generator), float(torch.rand(1, generator=generator)), None
        if luck < MOVED + GONE_ON:
            start = self._moved(group, group.drawn(generator) if luck < MOVED else field, generator)
        return self.objective(group.batch, group.recovered(field, generator), field, start)[0]

    @torch.no_grad()
    def _moved(self, group: Group, field: AnalyticFields, generator: torch.Generator) -> Tensor:
        """Where the network takes the meshes for some fields, part of the way."""
        other = group.recovered(field)
        rounds = int(torch.randint(1, self.config.settings.rounds + 1, (1,), generator=generator))
        x = self.model(group.batch, other, rounds=rounds)[-1][0]
        share = torch.rand(len(group), generator=generator).to(x)[group.batch.node_graph, None]
        part = group.batch.points + share * (x - group.batch.points)
        flat = group.batch.ratio(part) < 0.05
        sick = torch.zeros(len(group), dtype=torch.bool, device=x.device)
        sick = sick.index_fill(0, group.batch.cell_graph[flat], True)
        return torch.where(sick[group.batch.node_graph, None], group.batch.points, part)

    def measure(self) -> dict[str, float]:
        return measured(self.average, self._held_out)


@torch.no_grad()
def measured(model: Aligner, held_out: Sequence[Group]) -> dict[str, float]:
    """Mean of the loss, gains of the error by a finer rule, and how often the guard had to cut."""
    objective, losses, gains, cuts = Objective(model), [], [], []
    for number, group in enumerate(held_out):
        field = group.drawn(torch.Generator().manual_seed(number))
        hessians = group.recovered(field)
        loss, log = objective(group.batch, hessians, field)
        losses.append(float(loss) * len(group))
        x = model(group.batch, group.recovered(field))[-1][0]
        errors = [interpolation_error(group.batch, field, y, fine=True) for y in (group.batch.points, x)]
        gains += (0.5 * torch.log(errors[0] / errors[1])).tolist()
        cuts += (log["cut"] < 0.5).tolist()
    gain = np.array(gains)
    return {
        "loss": sum(losses) / len(gain),
        "gain": math.exp(gain.mean()),
        "worst": math.exp(float(np.quantile(gain, 0.05))),
        "cut": float(np.mean(cuts)),
    }
