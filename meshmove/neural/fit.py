"""The training loop: data-free, resumable to the bit, on one device or several (Lightning Fabric)."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from .checkpoint import load_checkpoint, save_checkpoint
from .dmm import DMM, Settings
from .objective import Objective
from .running import append_row, schedule
from .running import fabric_of as _fabric
from .samples import Samples

__all__ = ["CONFIGS", "Config", "Progress", "fit"]


@dataclass(frozen=True)
class Config:
    """A training run. `batch` meshes a step in all, whatever the number of devices; `patience`: validations without
    improvement before the run stops early."""

    settings: Settings = field(default_factory=Settings)
    steps: int = 3000
    batch: int = 8
    nodes: tuple[int, int] = (150, 700)
    pool: int = 1024
    learning_rate: float = 3e-3
    clip: float = 1.0
    average: float = 0.995
    seed: int = 0
    validate_every: int = 100
    validation: int = 48
    patience: int = 12

    def as_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)


#: by dimension and name
CONFIGS: dict[tuple[int, str], Config] = {
    (2, "small"): Config(),
    (2, "full"): Config(Settings(width=64, layers=3), steps=20_000, batch=32, nodes=(150, 1000), pool=4096),
    (3, "small"): Config(Settings(dim=3), steps=600, batch=4, nodes=(150, 400), pool=256, validation=16),
    (3, "full"): Config(Settings(dim=3, width=64, layers=3), steps=10_000, batch=16, nodes=(200, 1500), pool=2048),
}


@dataclass(frozen=True)
class Progress:
    """One validation: where the run is, and how the averaged weights do on meshes and monitors never trained on."""

    step: int
    steps: int
    seconds: float
    train_loss: float
    loss: float
    imbalance: float
    cut: float
    best: bool


def fit(
    config: Config,
    folder: str | Path,
    *,
    devices: int = 1,
    accelerator: str = "auto",
    strategy: str | None = None,
    on_step: Callable[[int], None] | None = None,
) -> Iterator[Progress]:
    """Train, yielding at every validation; `folder` gets the log, the checkpoint and the best weights so far.

    A run that finds its own checkpoint in `folder` goes on from there, with the same numbers as one that was never
    interrupted. The batch is shared among the devices: every sample has a number, and depends on it alone.
    `on_step` is told the number of steps done after each of them.

    Raises
    ------
    ImportError
        Without lightning-fabric (``pip install meshmove[train]``).
    ValueError
        If the checkpoint in `folder` belongs to another configuration, or the batch cannot be shared evenly.
    """
    fabric = _fabric(devices, accelerator, strategy)
    if config.batch % fabric.world_size:
        raise ValueError(f"Expected a batch that {fabric.world_size} devices can share evenly (got {config.batch})")
    run = _Run(config, Path(folder), fabric)
    yield from run.steps(on_step or (lambda step: None))


class _Run:
    def __init__(self, config: Config, folder: Path, fabric: Any) -> None:
        self.config, self.folder, self.fabric = config, folder, fabric
        torch.manual_seed(config.seed)
        self.model = DMM(config.settings)
        self.average = DMM(config.settings).to(fabric.device).eval()
        self.average.load_state_dict(self.model.state_dict())
        optimizer = torch.optim.Adam(self.model.parameters(), config.learning_rate)
        self.objective, self.optimizer = fabric.setup(Objective(self.model), optimizer)
        s = config.settings
        self.samples = Samples(s.dim, config.seed, config.pool, config.nodes)
        self.validation = Samples(s.dim, config.seed + 1_000_003, config.validation, config.nodes)
        self.step, self.seconds, self.best, self.waited = 0, 0.0, math.inf, 0
        self.fresh = True
        self._resume()

    @property
    def _checkpoint(self) -> Path:
        return self.folder / "checkpoint.safetensors"

    def _resume(self) -> None:
        if not self._checkpoint.is_file():
            return
        self.fresh = False
        known = load_checkpoint(self._checkpoint, self.model, self.average, self.optimizer, self.config.as_json())
        self.step, self.seconds = int(known["step"]), float(known["seconds"])
        self.best, self.waited = float(known["best"]), int(known["waited"])

    def steps(self, on_step: Callable[[int], None]) -> Iterator[Progress]:
        c, began, losses = self.config, time.perf_counter() - self.seconds, []
        if self.fresh:
            yield self._validate(math.nan, 0.0)
        while self.step < c.steps and self.waited < c.patience:
            losses.append(self._train())
            self.step += 1
            on_step(self.step)
            if self.step % c.validate_every == 0 or self.step == c.steps:
                self.seconds = time.perf_counter() - began
                yield self._validate(sum(losses) / len(losses), self.seconds)
                losses = []

    def _train(self) -> float:
        c, f = self.config, self.fabric
        for group in self.optimizer.param_groups:
            group["lr"] = c.learning_rate * schedule(self.step / c.steps)
        share = c.batch // f.world_size
        first = self.step * c.batch + f.global_rank * share
        batch, monitor = self.samples.batch(range(first, first + share))
        self.optimizer.zero_grad()
        loss, _ = self.objective(batch.to(f.device), monitor.to(f.device))
        f.backward(loss)
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), c.clip)
        if torch.isfinite(norm):  # one sample with a vanishing cell must not spoil the rest
            self.optimizer.step()
        with torch.no_grad():
            decay = min(c.average, (self.step + 1) / (self.step + 10))
            for mean, now in zip(self.average.parameters(), self.model.parameters(), strict=True):
                mean.lerp_(now, 1 - decay)
        return float(f.all_reduce(loss.detach(), reduce_op="mean")) if f.world_size > 1 else float(loss.detach())

    @torch.no_grad()
    def _validate(self, train_loss: float, seconds: float) -> Progress:
        """Every process validates on all samples, so that all agree on stopping early."""
        objective, sums, count = Objective(self.average), torch.zeros(3), 0
        for first in range(0, self.config.validation, 8):
            numbers = range(first, min(first + 8, self.config.validation))
            batch, monitor = self.validation.batch(numbers)
            loss, log = objective.eval()(batch.to(self.fabric.device), monitor.to(self.fabric.device))
            sums += torch.tensor([float(loss), float(log["imbalance"]), float(log["cut"])]) * len(numbers)
            count += len(numbers)
        value, imbalance, cut = (sums / count).tolist()
        better = value < self.best
        self.waited = 0 if better else self.waited + 1
        self.best = min(value, self.best)
        row = Progress(self.step, self.config.steps, seconds, train_loss, value, imbalance, cut, better)
        if self.fabric.is_global_zero:
            self._write(row)
        self.fabric.barrier()
        return row

    def _write(self, row: Progress) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        append_row(self.folder / "log.csv", asdict(row))
        if row.best:
            self.average.save_pretrained(self.folder / "best.safetensors")
        facts = {
            "config": self.config.as_json(),
            "step": str(self.step),
            "seconds": repr(self.seconds),
            "best": repr(self.best),
            "waited": str(self.waited),
        }
        save_checkpoint(self._checkpoint, self.model, self.average, self.optimizer, facts)
