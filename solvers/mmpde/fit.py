"""Training of the stepper: interpolation first, then everything, on bundles that may be unrolled."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from meshmove.monitors import Monitor
from meshmove.neural.running import Run, fabric_of, matrices_apart
from meshmove.solvers.data import Trajectories, TrajectoryDataset

from .graph import Graph
from .model import Settings, TwoBranches
from .moving import MONITOR, Moving
from .samples import Batch, Samples, calibrate
from .stepper import MMPDE

__all__ = ["CONFIGS", "Config", "Progress", "fit"]


@dataclass(frozen=True)
class Config:
    """A training run.

    The names in `settings` are those of the data. `pretrain`: the share of the steps in which only the interpolation
    learns, to bring a field to the moved nodes and back. `unroll`: most bundles that follow each other in a sample, as
    far as the trajectories reach; all but the last are predicted without a gradient (pushforward). It sets in after
    `pushforward` of the steps, from when on each step draws their number, from two on. `noise`: amplitude added to
    normalised values. `matrices`: learning rate of all but the smallest weight matrices, which take steps of Muon;
    0 for AdamW alone.
    """

    settings: Settings = field(default_factory=Settings)
    steps: int = 9000
    batch: int = 1
    learning_rate: float = 2e-3
    matrices: float = 0.01
    decay: float = 1e-5
    clip: float = 1.0
    average: float = 0.998
    pretrain: float = 0.02
    unroll: int = 4
    pushforward: float = 0.7
    noise: float = 0.0
    half: bool = False
    seed: int = 0
    validate_every: int = 1000
    validation: int = 40
    patience: int = 20

    def as_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    def of(self, data: TrajectoryDataset) -> Config:
        """The configuration with the names and the dimension of a data set."""
        names = sorted({name for g in data.groups for name in g.boundaries})
        settings = replace(
            self.settings, fields=data.fields, attributes=data.attributes, boundaries=tuple(names), dim=data.dim
        )
        return replace(self, settings=settings)


#: share of the loss that the first branch's own prediction has, for nodes are moved to where it says
PREDICTED = 0.3

#: `small` trains in ten minutes on a CPU core; `full` has the published width
CONFIGS: dict[str, Config] = {
    "small": Config(),
    "full": Config(Settings(width=128, layers=10), 60_000, 16, learning_rate=1e-3, matrices=5e-3, half=True),
}


@dataclass(frozen=True)
class Progress:
    """One validation, with averaged weights on trajectories never trained on.

    `error`: mean relative L2 error over a bundle. `rollout`: the same over the last of the unrolled ones.
    `interpolation`: of a field brought to the moved nodes and back.
    """

    step: int
    steps: int
    seconds: float
    train_loss: float
    error: float
    rollout: float
    interpolation: float
    best: bool


def fit(
    config: Config,
    folder: str | Path,
    *,
    data: TrajectoryDataset,
    validation: TrajectoryDataset | None = None,
    monitor: Monitor = MONITOR,
    mover: str = "monge-ampere",
    cache: str | Path | None = None,
    start: MMPDE | None = None,
    devices: int = 1,
    accelerator: str = "auto",
    strategy: str | None = None,
    on_step: Callable[[int], None] | None = None,
    progress: bool = False,
) -> Iterator[Progress]:
    """Train on a data set, yielding at every validation; `folder` gets log, checkpoint, best weights and moved meshes.

    A run that finds its own checkpoint in `folder` goes on from there, with the same numbers as one that was never
    interrupted. The batch is shared among the devices.

    Parameters
    ----------
    validation
        By default a tenth of the trajectories, which are left out of training.
    monitor, mover
        How nodes are moved, for a model with a moving branch; kept with the weights.
    cache
        Folder of the moved meshes, by default "moved" in `folder`.
    start
        A model whose weights and normalisation training starts from.

    Raises
    ------
    ImportError
        Without lightning-fabric (``pip install meshmove[train]``).
    ValueError
        If the checkpoint in `folder` belongs to another configuration, monitor or mover, the batch cannot be shared
        evenly, the mover is not named, or the model to start from has other settings.
    DatasetError
        Trajectories are shorter than a bundle, or there is only one of them.
    """
    if not isinstance(mover, str):
        raise ValueError(f"Expected a mover by its name, to be kept with the weights (got {mover!r})")
    config = config.of(data)
    if validation is None:
        data, validation = data.split(0.9, seed=config.seed)
    if devices > 1:  # at first only a part of the weights has a gradient
        strategy = strategy or "ddp_find_unused_parameters_true"
    fabric = fabric_of(devices, accelerator, strategy)
    folder, sets = Path(folder), (data, validation)
    cache = Path(cache or folder / "moved")
    run = _Run(config, folder, fabric, sets, (monitor, mover), cache, start, progress)
    yield from run.rows(on_step)


class _Objective(nn.Module):
    def __init__(self, model: TwoBranches, noise: float, half: bool) -> None:
        super().__init__()
        self.model, self._noise, self._half = model, noise, half

    def forward(self, batch: Batch, only_interpolation: bool = False, generator: Any = None) -> Tensor:
        if only_interpolation:
            return _there_and_back(self.model, batch.states[0]).mean()
        kind = batch.targets[0].device.type
        with torch.autocast(kind, torch.bfloat16, enabled=self._half and kind == "cuda"):
            return _unrolled(self.model, batch, self._noise, generator, PREDICTED)[-1].mean()


def _unrolled(
    model: TwoBranches, batch: Batch, noise: float = 0.0, generator: Any = None, share: float = 0.0
) -> list[Tensor]:
    """Relative L2 errors (n_meshes,) of each bundle; each starts where the last one ended, without a gradient."""
    errors, values = [], None
    for k, (state, target) in enumerate(zip(batch.states, batch.targets, strict=True)):
        if values is not None:
            state = replace(state, values=values)
        if noise and k == 0:
            kick = torch.randn(state.values.shape, generator=generator).to(state.values)
            state = replace(state, values=state.values + noise * kick)
        last = k == len(batch.states) - 1
        with torch.set_grad_enabled(last and torch.is_grad_enabled()):
            predicted = out = model.predicted(state)
            if model.settings.moving:
                out = model.corrected(state, predicted)
        values = out[:, -1]
        error = _relative(state.graph, out, target)
        if share and model.settings.moving:
            error = (1 - share) * error + share * _relative(state.graph, predicted, target)
        errors.append(error)
    return errors


def _relative(graph: Graph, values: Tensor, target: Tensor) -> Tensor:
    return graph.norm(values.float() - target) / graph.norm(target).clamp_min(1e-6)


def _there_and_back(model: TwoBranches, state: Any) -> Tensor:
    returned = model.interpolate(state)[3]
    return state.graph.norm(returned - state.values) / state.graph.norm(state.values).clamp_min(1e-6)


class _Run(Run):
    kind, progress, criterion = "mmpde", Progress, "rollout"
    config: Config

    def __init__(
        self,
        config: Config,
        folder: Path,
        fabric: Any,
        sets: tuple[TrajectoryDataset, TrajectoryDataset],
        moves: tuple[Monitor, str],
        cache: Path,
        start: MMPDE | None,
        show: bool,
    ) -> None:
        data, validation = sets
        torch.manual_seed(config.seed)
        model = MMPDE(config.settings)
        self._moves = model.monitor, model.mover = moves
        if start is None:
            calibrate(model, data)
        elif start.settings != config.settings:
            raise ValueError(f"Expected to start from a model of {config.settings} (got one of {start.settings})")
        else:
            model.load_state_dict(start.state_dict())
        optimizers = matrices_apart(model, config.learning_rate, config.matrices, config.decay)
        objective = _Objective(model, config.noise, config.half)
        super().__init__(config, folder, fabric, model, objective, *optimizers)

        def made(group: Trajectories) -> Moving:
            return model.moving_on(group.mesh)

        frames = min(len(g.times) for g in (*data.groups, *validation.groups))
        most = max(1, min(config.unroll, (frames - 1) // config.settings.bundle))

        with fabric.rank_zero_first():  # which writes the moved meshes that the others read
            shortest, held_out = (
                Samples(d, model, made, cache, progress=show and fabric.is_global_zero) for d in (data, validation)
            )
        self._samples = [shortest.unrolled(k) for k in range(1, most + 1)]
        self._held_out = held_out.unrolled(most)

    def identity(self) -> str:
        config = self.config.as_json()
        return config if self._moves == (MONITOR, "monge-ampere") else f"{config}, {self._moves}"

    def loss(self) -> Tensor:
        c, f = self.config, self.fabric
        t = self.step / c.steps
        late = t >= c.pushforward and len(self._samples) > 1
        drawn = np.random.default_rng([c.seed, self.step]).integers(1, len(self._samples)) if late else 0
        samples = self._samples[drawn]
        share = c.batch // f.world_size
        first = self.step * c.batch + f.global_rank * share
        ids = samples.shuffled(range(first, first + share), c.seed)
        generator = torch.Generator().manual_seed((c.seed + 1) * 1_000_003 + first)
        only = c.settings.moving and c.settings.learned and t < c.pretrain
        return self.objective(samples.batch(ids).to(f.device), only, generator)

    def measure(self) -> dict[str, float]:
        ids = self._held_out.each(self.config.settings.bundle)
        ids = ids[:: max(1, len(ids) // self.config.validation)]
        errors, returned = [], []
        for k in range(0, len(ids), 8):
            batch = self._held_out.batch(ids[k : k + 8]).to(self.fabric.device)
            errors.append(torch.stack(_unrolled(self.average, batch)))
            if self.config.settings.moving:
                returned.append(_there_and_back(self.average, batch.states[0]))
        mean = torch.cat(errors, 1).mean(1)
        there_and_back = float(torch.cat(returned).mean()) if returned else 0.0
        return {"error": float(mean[0]), "rollout": float(mean[-1]), "interpolation": there_and_back}
