"""The training loop that all models share: resumable to the bit, on one device or several, of one machine or many."""

from __future__ import annotations

import csv
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from meshmove.whole_files import whole

from .checkpoint import read_checkpoint, restore, save_checkpoint
from .config import RunConfig
from .optimizers import schedule
from .processes import first_says
from .progress import Progress

__all__ = ["Run", "new_model", "seeded", "start_from", "write_row"]

#: of a model
M = TypeVar("M", bound=nn.Module)

#: a checkpoint is written between validations once this many times as long as that takes has passed
RARELY = 50


class Run(ABC):
    """A training run in a folder, which gets the log, the checkpoint and the best weights so far.

    A run that finds its own checkpoint there goes on from it, with the same numbers as one that was never interrupted.
    A checkpoint is written at validations, every now and then between them, and when the run is interrupted.
    The subclass says what the loss of a step is and what a validation measures; samples must depend on their number
    alone, so that any number of devices trains alike.

    Attributes
    ----------
    model, average
        What is trained, and the running average of its weights, which is validated and kept.
    objective
        The module that Fabric wraps: from a batch to the loss.
    optimizers
        Their learning rates, at first, are the highest of the schedule.
    step
        Steps done so far.

    Raises
    ------
    ValueError
        If the checkpoint in the folder belongs to another configuration, or the batch cannot be shared evenly.
    FileExistsError
        If the folder has a log or weights, and no checkpoint that says whose.
    """

    #: of the model, as checkpoints name it
    kind: ClassVar[str]
    #: of a validation, with what `measure` gives
    progress: ClassVar[type[Progress]]
    #: the measure that decides on the best weights, the less the better
    criterion: ClassVar[str]
    #: where given, the learning rate falls with the time since the run was made, at least as fast as with the steps,
    #: and the run ends with it (for one device: several could not agree)
    minutes: float | None = None

    def __init__(
        self,
        config: RunConfig,
        folder: str | Path,
        fabric: Any,
        model: nn.Module,
        objective: nn.Module,
        *optimizers: torch.optim.Optimizer,
    ) -> None:
        if config.batch % fabric.world_size:
            raise ValueError(f"Expected a batch that {fabric.world_size} devices can share evenly (got {config.batch})")
        self.config, self.folder, self.fabric, self.model = config, Path(folder), fabric, model
        self._made = time.monotonic()
        self.average: Any = deepcopy(model).to(fabric.device).eval()
        self.objective, *self.optimizers = fabric.setup(objective, *optimizers)
        self._rates = [[g["lr"] for g in o.param_groups] for o in optimizers]
        self.step, self.seconds, self.best, self.waited = 0, 0.0, math.inf, 0
        self._validated, self._total, self._count = -1, 0.0, 0  # and losses since the last validation
        self._between, self._kept, self._keeping = True, time.perf_counter(), 0.0
        self._fresh = first_says(fabric, lambda: not self._checkpoint.is_file())
        if not self._fresh:
            self._resume()
            self._made -= self.seconds

    @abstractmethod
    def loss(self) -> Tensor:
        """Of this process's share of the batch of this step."""

    @abstractmethod
    def measure(self) -> dict[str, float]:
        """Of the averaged weights on held-out samples; `spread` shares them among the processes."""

    def done(self) -> float:
        """How far the schedule of learning rates has come, from 0 to 1."""
        share = self.step / self.config.steps
        return share if self.minutes is None else min(1.0, max(share, self._spent()))

    def numbers(self) -> range:
        """Numbers of the samples that this process has of this step's batch."""
        share = self.config.batch // self.fabric.world_size
        first = self.step * self.config.batch + self.fabric.global_rank * share
        return range(first, first + share)

    def rows(self, on_step: Callable[[int], None] | None = None) -> Iterator[Any]:
        """Train, yielding at every validation; `on_step` is told the number of steps done after each of them."""
        c, began = self.config, time.perf_counter() - self.seconds
        if self._fresh:
            self._claim()
        while True:
            over = self._over()
            if self._due(over):
                self.seconds = time.perf_counter() - began
                yield self._validate(self._total / self._count if self._count else math.nan)
            if over or self.waited >= c.patience:
                return
            try:
                self._advance(on_step)
            except BaseException:
                if self._between:  # an interruption loses nothing but the step that it interrupts
                    self._keep(time.perf_counter() - began)
                raise
            if not self._due(self._over()) and time.perf_counter() - self._kept > RARELY * self._keeping:
                self._keep(time.perf_counter() - began)

    def _spent(self) -> float:
        """Share of the minutes that have passed."""
        return 0.0 if self.minutes is None else (time.monotonic() - self._made) / (60 * self.minutes)

    def _over(self) -> bool:
        return self.step >= self.config.steps or self._spent() >= 1

    def _due(self, over: bool) -> bool:
        """Whether a validation is to be made that was not; there is one at the end."""
        return (over or self.step % self.config.validate_every == 0) and self.step != self._validated

    def _advance(self, on_step: Callable[[int], None] | None) -> None:
        loss = self._train()
        self._total, self._count = self._total + loss, self._count + 1
        self.step += 1
        self._between = True
        if on_step is not None:
            on_step(self.step)

    def _train(self) -> float:
        c, f = self.config, self.fabric
        for optimizer, rates in zip(self.optimizers, self._rates, strict=True):
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * schedule(self.done())
            optimizer.zero_grad()
        loss = self.loss()
        f.backward(loss)
        self._between = False  # from here on weights, moments and average change
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), c.clip)
        if torch.isfinite(norm):  # one singular sample must not spoil the rest
            for optimizer in self.optimizers:
                optimizer.step()
        average = get_ema_multi_avg_fn(min(c.average, (self.step + 1) / (self.step + 10)))
        average(list(self.average.parameters()), list(self.model.parameters()), self.step)
        return float(f.all_reduce(loss.detach(), reduce_op="mean")) if f.world_size > 1 else float(loss.detach())

    @torch.no_grad()
    def _validate(self, train_loss: float) -> Any:
        found = self.measure()
        measures = first_says(self.fabric, lambda: found)  # all agree on stopping early
        better = measures[self.criterion] < self.best
        self.waited = 0 if better else self.waited + 1
        self.best = min(measures[self.criterion], self.best)
        row = self.progress(
            step=self.step,
            steps=self.config.steps,
            seconds=self.seconds,
            train_loss=train_loss,
            best=better,
            **measures,
        )
        self._validated, self._total, self._count = self.step, 0.0, 0
        if self.fabric.is_global_zero:
            self._write(row)
        self.fabric.barrier()
        return row

    @property
    def _checkpoint(self) -> Path:
        return self.folder / "checkpoint.safetensors"

    def identity(self) -> str:
        """What a checkpoint must agree in, to go on from it."""
        return self.config.as_json()

    def _resume(self) -> None:
        stored = first_says(self.fabric, lambda: read_checkpoint(self._checkpoint, self.identity(), self.kind))
        known = restore(stored, self.model, self.average, self.optimizers)
        self.step, self.seconds = int(known["step"]), float(known["seconds"])
        self.best, self.waited = float(known["best"]), int(known["waited"])

        # of older runs, which kept nothing between validations
        self._validated = int(known.get("validated", known["step"]))
        self._total, self._count = float(known.get("total", 0.0)), int(known.get("count", 0))

    def _claim(self) -> None:
        """Make the folder this run's, by a checkpoint; not one that has files of another."""
        names = ("log.csv", "best.safetensors")
        foreign = first_says(self.fabric, lambda: [name for name in names if (self.folder / name).exists()])
        if foreign:
            raise FileExistsError(
                f"Expected a folder of this run or none (got '{self.folder}' with {', '.join(foreign)}, but no "
                "checkpoint): name another folder, or move them away"
            )
        self._keep(0.0)

    def _keep(self, seconds: float) -> None:
        """Write the checkpoint between validations."""
        self.seconds, began = seconds, time.perf_counter()
        if self.fabric.is_global_zero:
            self._save()
        self._kept = time.perf_counter()
        self._keeping = self._kept - began

    def _write(self, row: Progress) -> None:
        write_row(self.folder / "log.csv", row.row())
        if row.best:
            self.average.save_pretrained(self.folder / "best.safetensors")
        self._save()

    def _save(self) -> None:
        facts = {
            "config": self.identity(),
            "step": str(self.step),
            "seconds": repr(self.seconds),
            "best": repr(self.best),
            "waited": str(self.waited),
            "validated": str(self._validated),
            "total": repr(self._total),
            "count": str(self._count),
        }
        save_checkpoint(self._checkpoint, self.model, self.average, self.optimizers, facts, self.kind)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Torch's random numbers start from this seed within, and go on outside as if nothing had been drawn."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def new_model(kind: Callable[[Any], M], config: RunConfig, start: nn.Module | None = None) -> M:
    """A model of a configuration's settings, its first weights drawn by the seed, or those of `start`.

    Raises
    ------
    ValueError
        The model to start from has weights of other names or shapes.
    """
    with seeded(config.seed):
        model = kind(config.settings)
    if start is not None:
        start_from(model, start)
    return model


def start_from(model: nn.Module, other: nn.Module) -> None:
    """Take the weights of another model of the same sizes over.

    Raises
    ------
    ValueError
        The other's weights have other names or shapes.
    """
    try:
        model.load_state_dict(other.state_dict())
    except RuntimeError as error:
        raise ValueError(f"Expected to start from a model with weights of the same sizes: {error}") from error


def write_row(log: Path, row: Mapping[str, object]) -> None:
    """One more line of a table with a header, in the place of those of the same step or a later one: a run that was
    killed after it wrote its log, and before its checkpoint, writes them again."""
    rows: list[dict[str, Any]] = []
    if log.exists():
        with log.open(newline="") as file:
            rows = [r for r in csv.DictReader(file) if int(r["step"]) < int(str(row["step"]))]
    with whole(log) as part, part.open("w", newline="") as file:
        table = csv.DictWriter(file, list(row))
        table.writeheader()
        table.writerows([*rows, row])
