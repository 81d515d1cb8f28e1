"""Training of the stepper, on bundles that may be unrolled."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from meshmove.monitors import Monitor
from meshmove.neural.running import Run, fabric_of, matrices_apart, seeded
from meshmove.solvers.data import Trajectories, TrajectoryDataset

from .graph import Graph
from .model import Settings, State, TwoBranches
from .moving import MONITOR, Moving
from .samples import Batch, Samples, calibrate
from .seen import Seen
from .stepper import MMPDE

__all__ = ["CONFIGS", "Config", "Progress", "fit"]


@dataclass(frozen=True)
class Config:
    """A training run.

    The names in `settings` are those of the data. `ahead`: share of the steps in which the branch on the mesh learns;
    then that on the moved mesh does, each by a schedule of its own. `unroll`: most bundles that follow each other in a
    sample, as far as the trajectories reach; all but the last are predicted without a gradient (pushforward). For the
    branch on the mesh it sets in after `pushforward` of its steps, from when on each step draws their number, from two
    on; for the other each step draws it from the first on, for that has to know what is carried over. `noise`:
    amplitude added to normalised values. `matrices`: learning rate of all but the smallest weight matrices, which take
    steps of Muon; 0 for AdamW alone.
    """

    settings: Settings = field(default_factory=Settings)
    steps: int = 9000
    batch: int = 1
    learning_rate: float = 2e-3
    matrices: float = 0.01
    decay: float = 1e-5
    clip: float = 1.0
    average: float = 0.998
    ahead: float = 0.6
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


#: weight, in the loss, of values at nodes that learned interpolation brings back: it has no other gradient
RETURNED = 0.3

#: `small` trains in ten minutes on a CPU core; `full` has the published width
CONFIGS: dict[str, Config] = {
    "small": Config(),
    "full": Config(Settings(width=128, layers=10), 60_000, 16, learning_rate=1e-3, matrices=5e-3, half=True),
}


@dataclass(frozen=True)
class Progress:
    """One validation, with averaged weights on trajectories never trained on.

    `error`: mean relative L2 error over a bundle, by values at the moved nodes once that branch learns. `rollout`: the
    same over the last of the unrolled ones.
    """

    step: int
    steps: int
    seconds: float
    train_loss: float
    error: float
    rollout: float
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
    if devices > 1 and config.settings.moving:  # one branch learns at a time
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

    def forward(self, batch: Batch, generator: Any = None) -> Tensor:
        kind = batch.targets[0].device.type
        with torch.autocast(kind, torch.bfloat16, enabled=self._half and kind == "cuda"):
            return _unrolled(self.model, batch, self._noise, generator, RETURNED)[-1].mean()


def _unrolled(
    model: TwoBranches, batch: Batch, noise: float = 0.0, generator: Any = None, returned: float = 0.0
) -> list[Tensor]:
    """Relative L2 errors (n_meshes,) of each bundle; each starts where the last one ended, without a gradient."""
    errors: list[Tensor] = []
    ends: tuple[Tensor, Tensor | None] | None = None
    for k, state in enumerate(batch.states):
        if ends is not None:
            state = _gone_on(model, state, *ends)
        elif noise:
            state = _kicked(model, state, noise, generator)
        last = k == len(batch.states) - 1
        grad = last and torch.is_grad_enabled()
        with torch.set_grad_enabled(grad and state.moved is None):
            out = model.predicted(state)
        if state.moved is None:
            errors.append(_relative(state.graph, out, batch.targets[k]))
            ends = out[:, -1], None
            continue
        with torch.set_grad_enabled(grad):
            there = model.evolved(state, out)
            error = _relative(replace(state.graph, weight=state.moved.weight), there, batch.moved[k])
            if not last or model.settings.learned:
                at_nodes = model.returned(state, there[:, -1:])[:, 0]
                ends = at_nodes, there[:, -1]
                if returned and model.settings.learned:
                    error = error + returned * _relative(state.graph, at_nodes, batch.targets[k][:, -1])
        errors.append(error)
    return errors


def _gone_on(model: TwoBranches, state: State, values: Tensor, there: Tensor | None) -> State:
    """The state with values (N, F) at the nodes, and `there` at the moved nodes of the bundle before."""
    moved = state.moved
    if moved is not None:
        assert there is not None
        moved = replace(moved, values=model.taken_over(moved, there))
    return replace(state, values=values, moved=moved)


def _kicked(model: TwoBranches, state: State, noise: float, generator: Any) -> State:
    kick = noise * torch.randn(state.values.shape, generator=generator).to(state.values)
    moved = state.moved
    if moved is not None:
        with torch.no_grad():
            moved = replace(moved, values=moved.values + model.taken_there(state, kick))
    return replace(state, values=state.values + kick, moved=moved)


def _relative(graph: Graph, values: Tensor, target: Tensor) -> Tensor:
    return graph.norm(values.float() - target) / graph.norm(target).clamp_min(1e-6)


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
        with seeded(config.seed):
            model = MMPDE(config.settings)
        self._moves = model.monitor, model.mover = moves
        if start is None:
            calibrate(model, data)
        elif start.settings != config.settings:
            raise ValueError(f"Expected to start from a model of {config.settings} (got one of {start.settings})")
        else:
            model.load_state_dict(start.state_dict())
            seen = Seen.of(data, config.settings.layers)
            model.seen = seen if start.seen is None else start.seen | seen
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

    @property
    def _ahead(self) -> int:
        """Steps in which the branch on the mesh learns."""
        c = self.config
        return round(c.ahead * c.steps) if c.settings.moving else c.steps

    def done(self) -> float:
        first, last = self._ahead, self.config.steps
        return self.step / first if self.step < first else (self.step - first) / max(1, last - first)

    def loss(self) -> Tensor:
        c, f = self.config, self.fabric
        moved, rng = self.step >= self._ahead, np.random.default_rng([c.seed, self.step])
        late = self.done() >= c.pushforward and len(self._samples) > 1
        # the branch on the moved mesh has to know what is carried there
        drawn = rng.integers(0, len(self._samples)) if moved else rng.integers(1, len(self._samples)) if late else 0
        samples = self._samples[drawn]
        share = c.batch // f.world_size
        first = self.step * c.batch + f.global_rank * share
        ids = samples.shuffled(range(first, first + share), c.seed)
        generator = torch.Generator().manual_seed((c.seed + 1) * 1_000_003 + first)
        batch = samples.batch(ids, moved)
        return self.objective(batch.to(f.device), generator)

    def measure(self) -> dict[str, float]:
        c, moved = self.config, self.step >= self._ahead
        if c.settings.moving and not moved:
            self.waited = 0  # there is more to learn
        elif c.settings.moving and (self.step - 1) // c.validate_every * c.validate_every < self._ahead:
            self.best = math.inf  # another branch, another measure
        ids = self._held_out.each(c.settings.bundle)
        ids = ids[:: max(1, len(ids) // c.validation)]
        errors = []
        for k in range(0, len(ids), 8):
            batch = self._held_out.batch(ids[k : k + 8], moved).to(self.fabric.device)
            errors.append(torch.stack(_unrolled(self.average, batch)))
        mean = torch.cat(errors, 1).mean(1)
        return {"error": float(mean[0]), "rollout": float(mean[-1])}
