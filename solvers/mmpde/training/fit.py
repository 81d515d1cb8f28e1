"""Training of the stepper, on bundles that may be unrolled."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from meshmove.learning.optimizers import matrices_apart
from meshmove.learning.processes import fabric_of, spread
from meshmove.learning.progress import Progress as RunProgress
from meshmove.learning.run import Run, new_model
from meshmove.monitors import Monitor
from meshmove.motion.frames import MONITOR, Moving
from meshmove.solvers.data import Trajectories, TrajectoryDataset
from meshmove.solvers.mmpde.correcting.base import Base, Step, matching
from meshmove.solvers.mmpde.network import TwoBranches
from meshmove.solvers.mmpde.prior.seen import Seen

from .config import Config
from .correction import calibrate_correction, open_gates, set_gates
from .objective import Objective, unrolled_errors
from .reproduction import reproduce
from .samples import Samples, calibrate

__all__ = ["Progress", "StepperRun", "fit"]


@dataclass(frozen=True)
class Progress(RunProgress):
    """One validation.

    `error`: mean relative L2 error over a bundle, by values at the moved nodes once that branch learns. `rollout`: the
    same over the last of the unrolled ones.
    """

    error: float
    rollout: float


def fit(
    config: Config,
    folder: str | Path,
    *,
    data: TrajectoryDataset,
    validation: TrajectoryDataset | None = None,
    monitor: Monitor = MONITOR,
    mover: str = "monge-ampere",
    cache: str | Path | None = None,
    start: TwoBranches | None = None,
    base: Step | Base | None = None,
    devices: int = 1,
    nodes: int = 1,
    accelerator: str = "auto",
    strategy: str | None = None,
    on_step: Callable[[int], None] | None = None,
    progress: bool = False,
) -> Iterator[Progress]:
    """Train on a data set, yielding at every validation; `folder` gets log, checkpoint, best weights and moved meshes.

    A run that finds its own checkpoint in `folder` goes on from there, with the same numbers as one that was never
    interrupted. The batch is shared among the devices of all nodes, which see `folder` and `cache`.

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
    base
        The solver that the model is to correct, see `MMPDE`; by default that of the model to start from.

    Raises
    ------
    BaseError
        The base is missing or another one, or it fails on the data.
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
    base = start.base if base is None and start is not None else base
    if base is not None:
        base = Base.of(base)
        settings = replace(config.settings, base=base.name, numbers=base.numbers)
        config = replace(config, settings=settings)
    base = matching(base, config.settings.base, config.settings.numbers)
    if validation is None:
        data, validation = data.split(0.9, seed=config.seed)
    if devices * nodes > 1 and config.settings.moving:  # one branch learns at a time
        strategy = strategy or "ddp_find_unused_parameters_true"
    fabric = fabric_of(devices, accelerator, strategy, nodes)
    folder, sets = Path(folder), (data, validation)
    cache = Path(cache or folder / "moved")
    run = StepperRun(config, folder, fabric, sets, (monitor, mover), cache, start, base, progress)
    yield from run.rows(on_step)


class StepperRun(Run):
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
        start: TwoBranches | None,
        base: Base | None,
        show: bool,
    ) -> None:
        data, validation = sets
        model = new_model(TwoBranches, config).correcting(base)
        self._moves = model.monitor, model.mover = moves
        if start is None:
            calibrate(model, data)
        elif start.settings != config.settings:
            raise ValueError(f"Expected to start from a model of {config.settings} (got one of {start.settings})")
        else:
            model.load_state_dict(start.state_dict())
            open_gates(model)
            seen = Seen.of(data, config.settings.layers)
            model.seen = seen if start.seen is None else start.seen | seen
        optimizers = matrices_apart(model, config.learning_rate, config.matrices, config.decay)
        objective = Objective(model, config.noise, config.half)
        super().__init__(config, folder, fabric, model, objective, *optimizers)

        def made(group: Trajectories) -> Moving:
            return model.moving_on(group.mesh)

        frames = min(len(g.times) for g in (*data.groups, *validation.groups))
        most = max(1, min(config.unroll, (frames - 1) // config.settings.bundle))

        with fabric.rank_zero_first():  # which writes the moved meshes that the others read
            shortest, held_out = (
                Samples(d, model, made, cache, progress=show and fabric.is_global_zero) for d in (data, validation)
            )
        if base is not None and start is None and self._fresh:
            calibrate_correction(model, shortest)
            self.average.load_state_dict(model.state_dict())
        if config.settings.moving and config.settings.placed and start is None and self._fresh:
            reproduce(model, shortest)
            self.average.load_state_dict(model.state_dict())
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
        c = self.config
        moved, rng = self.step >= self._ahead, np.random.default_rng([c.seed, self.step])
        late = self.done() >= c.pushforward and len(self._samples) > 1
        # the branch on the moved mesh has to know what is carried there
        drawn = rng.integers(0, len(self._samples)) if moved else rng.integers(1, len(self._samples)) if late else 0
        samples = self._samples[drawn]
        numbers = self.numbers()
        ids = samples.shuffled(numbers, c.seed)
        generator = torch.Generator().manual_seed((c.seed + 1) * 1_000_003 + numbers[0])
        batch = samples.batch(ids, moved)
        return self.objective(batch.to(self.fabric.device), generator)

    def measure(self) -> dict[str, float]:
        c, moved = self.config, self.step >= self._ahead
        if c.settings.moving and not moved:
            self.waited = 0  # there is more to learn
        elif c.settings.moving and (self.step - 1) // c.validate_every * c.validate_every < self._ahead:
            self.best = math.inf  # another branch, another measure
        ids = self._held_out.each(c.settings.bundle)
        ids = ids[:: max(1, len(ids) // c.validation)]
        if c.settings.base:
            set_gates(self.average, self._samples[0], moved)

        def errors(some: Any) -> Tensor:
            batch = self._held_out.batch(some, moved).to(self.fabric.device)
            return torch.stack(unrolled_errors(self.average, batch))

        mean = spread(self.fabric, [ids[k : k + 8] for k in range(0, len(ids), 8)], errors).mean(1)
        return {"error": float(mean[0]), "rollout": float(mean[-1])}
