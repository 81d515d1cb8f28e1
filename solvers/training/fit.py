"""The training loop of the hypernetwork: problems made on the fly, resumable to the bit, on one device or several."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from meshmove.neural.checkpoint import load_checkpoint, save_checkpoint
from meshmove.neural.running import append_row, fabric_of, schedule
from meshmove.solvers.hypino.model import HyPINO

from .config import CONFIGS, Config
from .objective import Objective, projected_error, relative_error
from .problems import Problems, build, draw

__all__ = ["CONFIGS", "Config", "Progress", "fit"]

#: seeds of validation problems lie apart from those of training
HELD_OUT = 7_000_003


@dataclass(frozen=True)
class Progress:
    """One validation: where the run is, and how the averaged weights do on problems never trained on.

    `error` is the median relative L2 error of the emitted solutions, `mean_log` the mean of its logarithm (what decides
    on the best weights), `projected` the geometric mean after least squares over the emitted features.
    """

    step: int
    steps: int
    seconds: float
    train_loss: float
    error: float
    mean_log: float
    projected: float
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
    interrupted. The batch is shared among the devices. `on_step` is told the number of steps done after each of them.

    Raises
    ------
    ImportError
        Without lightning-fabric (``pip install meshmove[train]``).
    ValueError
        If the checkpoint in `folder` belongs to another configuration, or the batch cannot be shared evenly.
    """
    fabric = fabric_of(devices, accelerator, strategy)
    if config.batch % fabric.world_size:
        raise ValueError(f"Expected a batch that {fabric.world_size} devices can share evenly (got {config.batch})")
    run = _Run(config, Path(folder), fabric)
    yield from run.steps(on_step or (lambda step: None))


class _Run:
    def __init__(self, config: Config, folder: Path, fabric: Any) -> None:
        self.config, self.folder, self.fabric = config, folder, fabric
        torch.manual_seed(config.seed)
        self.model = HyPINO(config.settings)
        self.average = HyPINO(config.settings).to(fabric.device).eval()
        self.average.load_state_dict(self.model.state_dict())
        matrices = [p for p in self.model.parameters() if p.ndim > 1]
        rest = [p for p in self.model.parameters() if p.ndim < 2]
        groups = [{"params": matrices, "weight_decay": config.decay}, {"params": rest, "weight_decay": 0.0}]
        optimizer = torch.optim.AdamW(groups, config.learning_rate, betas=(0.9, 0.98))
        half = torch.bfloat16 if config.half else None
        self.objective, self.optimizer = fabric.setup(Objective(self.model, config.weights, half), optimizer)
        self.step, self.seconds, self.best, self.waited = 0, 0.0, math.inf, 0
        self._held_out: list[Problems] = []
        self.fresh = True
        self._resume()

    @property
    def _checkpoint(self) -> Path:
        return self.folder / "checkpoint.safetensors"

    def _resume(self) -> None:
        if not self._checkpoint.is_file():
            return
        self.fresh = False
        config = self.config.as_json()
        known = load_checkpoint(self._checkpoint, self.model, self.average, self.optimizer, config, "hypino")
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
        draws = draw(c.batch, (c.seed, self.step), c.interior, c.edge, c.unlabelled, c.bubbles)
        problems = build(draws.share(f.global_rank, f.world_size).to(f.device), c.settings.raster)
        self.optimizer.zero_grad()
        loss, _ = self.objective(problems)
        f.backward(loss)
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), c.clip)
        if torch.isfinite(norm):  # one singular problem must not spoil the rest
            self.optimizer.step()
        with torch.no_grad():
            decay = min(c.average, (self.step + 1) / (self.step + 10))
            for mean, now in zip(self.average.parameters(), self.model.parameters(), strict=True):
                mean.lerp_(now, 1 - decay)
        return float(f.all_reduce(loss.detach(), reduce_op="mean")) if f.world_size > 1 else float(loss.detach())

    @torch.no_grad()
    def _validate(self, train_loss: float, seconds: float) -> Progress:
        """Every process validates on all problems, so that all agree on stopping early."""
        plain, projected = [], []
        for problems in self._validation():
            emitted = self.average(problems.coefficients, problems.raster)
            plain.append(relative_error(problems, emitted))
            projected.append(projected_error(problems, emitted))
        error = torch.cat(plain)
        value = float(error.log().mean())
        better = value < self.best
        self.waited = 0 if better else self.waited + 1
        self.best = min(value, self.best)
        after = float(torch.cat(projected).log().mean().exp())
        median = float(error.median())
        row = Progress(self.step, self.config.steps, seconds, train_loss, median, value, after, better)
        if self.fabric.is_global_zero:
            self._write(row)
        self.fabric.barrier()
        return row

    def _validation(self) -> list[Problems]:
        c = self.config
        if not self._held_out:
            for first in range(0, c.validation, 32):
                size = min(32, c.validation - first)
                draws = draw(size, (c.seed + HELD_OUT, first), 512, 256, 0.0)
                self._held_out.append(build(draws.to(self.fabric.device), c.settings.raster))
        return self._held_out

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
        save_checkpoint(self._checkpoint, self.model, self.average, self.optimizer, facts, "hypino")
