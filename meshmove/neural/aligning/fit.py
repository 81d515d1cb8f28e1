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
from meshmove.geometry.arrays import Array
from meshmove.learning.alone import Alone
from meshmove.learning.config import RunConfig
from meshmove.learning.progress import Progress as RunProgress
from meshmove.learning.run import Run, new_model

from .meshes.drawn import make_meshes
from .network import Aligner, Settings
from .objective import Objective
from .samples import Group, groups

__all__ = ["CONFIGS", "Config", "Progress", "fit"]

#: how often a step starts where `adapt` does, after transport if the field is steep, and from meshes that the network
#: has moved for another field, and for the same; else from rest
CARRIED, MOVED, GONE_ON = 0.65, 0.1, 0.1
#: how often it sees finite element solutions in place of the fields themselves
SOLVED = 0.6
#: kinds of fields of the held-out cases that start where transport has led, and their share of all held-out cases
STEEP, STEEPS = ("thin",), 0.5


@dataclass(frozen=True)
class Config(RunConfig):
    """A training run. `batch`: about so many nodes a step; `pool`: distinct meshes, of so many `nodes`, with so many
    `fields` each, and `large` ones of `large_nodes`. `minutes`: where given, the learning rate falls with the time, and
    the run ends with it. `quads`: share of steps, and of distinct meshes, with quadrilaterals or hexahedra."""

    settings: Settings = field(default_factory=lambda: Settings(turns=True))
    steps: int = 6000
    batch: int = 2000
    nodes: tuple[int, int] = (100, 420)
    pool: int = 240
    large: int = 0
    large_nodes: tuple[int, int] = (500, 1700)
    fields: int = 8
    learning_rate: float = 1.5e-3
    average: float = 0.995
    validation: int = 48
    patience: int = 1000
    minutes: float | None = None
    quads: float = 0.0


CONFIGS: dict[str, Config] = {
    "small": Config(large=72, quads=0.25),
    "space": Config(
        settings=Settings(turns=True, dim=3, rounds=4),
        batch=1200,
        nodes=(180, 600),
        pool=56,
        large=16,
        large_nodes=(600, 1400),
        fields=6,
        quads=0.4,
        average=0.995,
        learning_rate=1e-3,
        minutes=70,
        validation=16,
        validate_every=150,
    ),
    "full": Config(steps=20_000, batch=30_000, nodes=(120, 1200), pool=3000, fields=16, validate_every=200),
}


@dataclass(frozen=True)
class Progress(RunProgress):
    """One validation.

    `gain`: by what factor the H1 error of the interpolant falls, in the geometric mean; `worst`: the fifth percentile
    of it; `steep`: the gain where features are a cell or two wide, after transport, and `predicted` that of the mean of
    the predicted errors there; `cut`: share of meshes of which the guard let less than half of some step through.
    """

    loss: float
    gain: float
    worst: float
    steep: float
    predicted: float
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
            dim = config.settings.dim
            pool = list(make_meshes(config.pool, config.nodes, config.seed, dim=dim))
            pool += make_meshes(config.large, config.large_nodes, config.seed + 500_009, dim=dim)
            held_out = list(make_meshes(config.validation, config.nodes, config.seed + 1_000_003, dim=dim))
        else:
            pool, held_out = list(meshes[: -config.validation]), list(meshes[-config.validation :])
        steep = held_out[: max(1, round(STEEPS * len(held_out)))]
        self._pool = self._groups(pool, config.fields, 0, workers, "starts")
        self._held_out = self._groups(held_out, 2, 1, workers, "held-out-starts")
        self._quads: list[Group] = []
        if config.quads and meshes is None:
            many, few = (max(1, round(config.quads * k)) for k in (config.pool, config.validation))
            dim = config.settings.dim
            known = list(make_meshes(many, config.nodes, config.seed + 250_007, quads=True, dim=dim))
            large = max(0, round(config.quads * config.large))
            known += make_meshes(large, config.large_nodes, config.seed + 750_019, quads=True, dim=dim)
            others = list(make_meshes(few, config.nodes, config.seed + 1_250_009, quads=True, dim=dim))
            self._quads = self._groups(known, config.fields, 3, workers, "quad-starts")
            self._held_out += self._groups(others, 2, 4, workers, "held-out-quad-starts")
        self._steep = self._groups(steep, 2, 2, workers, "steep-starts", kinds=STEEP)
        if self._quads:
            self._steep += self._groups(others, 2, 5, workers, "steep-quad-starts", kinds=STEEP)

    def _groups(
        self, meshes: list[CellMesh], fields: int, more: int, workers: int, name: str, **options: Any
    ) -> list[Group]:
        self.folder.mkdir(parents=True, exist_ok=True)
        return groups(
            meshes,
            nodes=self.config.batch,
            fields=fields,
            seed=self.config.seed + more,
            device=self.fabric.device,
            workers=workers,
            kept=self.folder / f"{name}.npz",
            **options,
        )

    def loss(self) -> Tensor:
        generator = torch.Generator().manual_seed(1_000_000 * self.config.seed + self.step)
        pool = self._pool if self._fraction(generator) >= self.config.quads or not self._quads else self._quads
        group = pool[int(torch.randint(len(pool), (1,), generator=generator))]
        which, luck = group.which(generator), self._fraction(generator)
        field, start = group.fields(which), None
        u = group.solved(which) if self._fraction(generator) < SOLVED else group.shown(field)
        if luck < CARRIED:
            start = group.carried(which)
        elif luck < CARRIED + MOVED + GONE_ON:
            other = group.shown(group.drawn(generator)) if luck < CARRIED + MOVED else u
            start = self._moved(group, other, generator)
        return self.objective(group.batch, group.recovered(u, generator), field, start)[0]

    @staticmethod
    def _fraction(generator: torch.Generator) -> float:
        return float(torch.rand(1, generator=generator))

    @torch.no_grad()
    def _moved(self, group: Group, u: Tensor, generator: torch.Generator) -> Tensor:
        """Where the network takes the meshes for nodal values (n,) of some fields, part of the way."""
        other = group.recovered(u)
        rounds = int(torch.randint(1, self.config.settings.rounds + 1, (1,), generator=generator))
        x = self.model(group.batch, other, rounds=rounds)[-1][0]
        share = torch.rand(len(group), generator=generator).to(x)[group.batch.node_graph, None]
        part = group.batch.points + share * (x - group.batch.points)
        flat = group.batch.ratio(part) < 0.05
        sick = torch.zeros(len(group), dtype=torch.bool, device=x.device)
        sick = sick.index_fill(0, group.batch.cell_graph[flat], True)
        return torch.where(sick[group.batch.node_graph, None], group.batch.points, part)

    def measure(self) -> dict[str, float]:
        return measured(self.average, self._held_out, self._steep)


@torch.no_grad()
def measured(model: Aligner, held_out: Sequence[Group], steep: Sequence[Group]) -> dict[str, float]:
    """Means of the losses, gains of the error by a finer rule, and how often the guard had to cut."""
    ordinary, thin = _outcomes(model, held_out, False), _outcomes(model, steep, True)
    return {
        "loss": 0.5 * (ordinary[0] + thin[0]),
        "gain": math.exp(ordinary[1].mean()),
        "worst": math.exp(float(np.quantile(ordinary[1], 0.05))),
        "steep": math.exp(thin[1].mean()),
        "predicted": math.exp(thin[2].mean()),
        "cut": float(np.mean([*ordinary[3], *thin[3]])),
    }


def _outcomes(model: Aligner, held_out: Sequence[Group], carried: bool) -> tuple[float, Array, Array, Array]:
    """Mean loss, logarithms of the true and of the predicted gains of all meshes against those at rest, and which steps
    were cut; from rest or after transport."""
    objective, losses, gains, predicted, cuts = Objective(model), [], [], [], []
    for number, group in enumerate(held_out):
        which = group.which(torch.Generator().manual_seed(number))
        field, u, start = group.fields(which), group.solved(which), group.carried(which) if carried else None
        loss, log = objective(group.batch, group.recovered(u), field, start)
        losses.append(float(loss) * len(group))
        x = model(group.batch, group.recovered(u), start)[-1][0]
        before, after = (
            objective.errors(group.batch, group.recovered(u), field, y, fine=True) for y in (group.batch.points, x)
        )
        gains += (before - after)[0].tolist()
        predicted += (before - after)[1].tolist()
        cuts += (log["cut"] < 0.5).tolist()
    return sum(losses) / len(gains), np.array(gains), np.array(predicted), np.array(cuts)
