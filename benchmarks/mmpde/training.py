"""Training to a budget: the same minutes of the processor for every model, measured before the schedule is set."""

from __future__ import annotations

import json
import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks.harness import CPU
from benchmarks.mmpde.cases import DATA, Case, Scores, case_of, config_of, judged, weights_of
from benchmarks.mmpde.rivals import FNO, OnGrid, UNet
from benchmarks.mmpde.rivals import fit as fit_on_grid
from meshmove.solvers.mmpde import MMPDE, Config
from meshmove.solvers.mmpde import fit as fit_on_mesh

__all__ = ["Bench", "Trained", "train"]

WARM_UP, MEASURED = 3, 10
VALIDATIONS = 20
_GRID: dict[str, type[OnGrid]] = {"fno": FNO, "unet": UNet}


@dataclass(frozen=True, eq=False)
class Trained:
    """A model with its best weights, and what they cost: seconds and minutes are the processor's."""

    model: MMPDE
    steps: int
    seconds_a_step: float
    minutes: float

    @property
    def cost(self) -> dict[str, object]:
        """As columns of a row."""
        return {
            "weights": weights_of(self.model),
            "steps": self.steps,
            "seconds_a_step": self.seconds_a_step,
            "minutes": self.minutes,
        }


def train(
    case: Case, name: str, config: Config, folder: Path, moved: Path, minutes: float, show: bool, start: Any = None
) -> Trained:
    """A model trained in `folder`; goes on from there after an interruption, and is only read when it is done.

    Parameters
    ----------
    moved
        Folder of the moved meshes, which models share; making them is not part of the budget.
    start
        A model of this configuration's settings from which it goes on.

    Raises
    ------
    ValueError
        The folder has a run of another configuration or budget.
    """
    plan_file = folder / "plan.json"
    asked = {"config": json.loads(config.as_json()), "minutes": minutes}
    if plan_file.is_file():
        plan = json.loads(plan_file.read_text())
        if plan["asked"] != asked:
            raise ValueError(f"Expected in {folder} a run of this configuration and budget (got another): move it away")
    else:
        seconds = _seconds_a_step(case, name, config, moved, show, start)
        steps = max(2, round(60 * minutes / seconds))
        plan = {"asked": asked, "seconds_a_step": seconds, "steps": steps, "spent": 0.0}
        _write(plan_file, plan)
    config = replace(config, steps=plan["steps"], validate_every=max(1, plan["steps"] // VALIDATIONS))
    began, spent, stepping = CPU(), plan["spent"], 0.0

    def count(step: int) -> None:
        nonlocal began, stepping
        stepping += CPU() - began
        began = CPU()

    with _bar(f"{case.name} {name}, seed {config.seed}", config.steps, show) as bar:

        def on_step(step: int) -> None:
            count(step)
            bar(step)

        for _ in _fit(name, case, config, folder, moved, on_step, show, start):
            _write(plan_file, {**plan, "spent": spent + stepping})
            began = CPU()  # validation is not training
    kind = _GRID.get(name, MMPDE)
    model = kind.from_pretrained(folder / "best.safetensors")
    spent = json.loads(plan_file.read_text())["spent"]
    return Trained(model, plan["steps"], plan["seconds_a_step"], spent / 60)


def _fit(
    name: str,
    case: Case,
    config: Config,
    folder: Path,
    moved: Path,
    on_step: Callable[[int], None],
    show: bool,
    start: Any,
) -> Iterator[Any]:
    data, validation = case.train, case.validation
    if name in _GRID:
        return fit_on_grid(_GRID[name], config, folder, data=data, validation=validation, on_step=on_step)
    return fit_on_mesh(
        config, folder, data=data, validation=validation, cache=moved, accelerator="cpu", on_step=on_step,
        progress=show, start=start,
    )  # fmt: skip


def _seconds_a_step(case: Case, name: str, config: Config, moved: Path, show: bool, start: Any) -> float:
    """Of the processor, after warm-up; for all kinds of steps, of either branch and with bundles unrolled, by their
    shares."""
    late = 1 - config.pushforward if config.unroll > 1 else 0.0
    ahead = config.ahead if config.settings.moving else 1.0
    total = 0.0
    for branch, pushforward, share in ((1.0, 2.0, ahead * (1 - late)), (1.0, 0.0, ahead * late), (0.0, 0.0, 1 - ahead)):
        if not share:
            continue
        steps = WARM_UP + MEASURED
        probe = replace(
            config, steps=steps, ahead=branch, pushforward=pushforward, validate_every=steps, validation=1
        )  # fmt: skip
        clock: list[float] = []
        with tempfile.TemporaryDirectory() as folder:
            for _ in _fit(name, case, probe, Path(folder), moved, lambda step: clock.append(CPU()), show, start):  # noqa: B023
                pass
        seconds = [b - a for a, b in zip(clock, clock[1:], strict=False)][WARM_UP - 1 :]
        total += share * (statistics.median(seconds) if branch else statistics.mean(seconds))  # of bundles one or more
    return total


def _write(path: Path, plan: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(plan, indent=1))
    part.replace(path)


@contextmanager
def _bar(what: str, total: int, show: bool) -> Iterator[Callable[[int], None]]:
    """A progress bar on standard error, where that is a terminal; what it gives is told of the steps done."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not (show and console.is_terminal)) as progress:
        task = progress.add_task(what, total=total)
        yield lambda step: progress.update(task, completed=step)


@dataclass(frozen=True)
class Bench:
    """A run of the benchmark; what several parts need is made once, data sets and trained models for good.

    Parameters
    ----------
    folder
        Gets data/, moved/ and runs/NAME-SEED.
    minutes
        Of the processor for each training.
    """

    folder: Path
    quick: bool = False
    data: tuple[str, ...] = DATA
    minutes: float = 20.0
    seeds: int = 3
    progress: bool = False

    @cached_property
    def cases(self) -> list[Case]:
        return [case_of(name, self.folder / "data", self.quick, self.progress) for name in self.data]

    @cached_property
    def _trained(self) -> dict[tuple[str, str, int], Trained]:
        return {}

    @cached_property
    def _scores(self) -> dict[tuple[str, str, int], Scores]:
        return {}

    def trained(self, case: Case, name: str, seed: int = 0) -> Trained:
        """A model of `MODELS` or `RIVALS`, trained now or earlier."""
        key = case.name, name, seed
        if key not in self._trained:
            config = config_of(case, name, seed, self.quick)
            folder = self.folder / "runs" / f"{case.name}-{name}-{seed}"
            self._trained[key] = train(case, name, config, folder, self.folder / "moved", self.minutes, self.progress)
        return self._trained[key]

    def scores(self, case: Case, name: str) -> list[Scores]:
        """Of the models of all seeds."""
        for seed in range(self.seeds):
            if (case.name, name, seed) not in self._scores:
                model = self.trained(case, name, seed).model
                self._scores[case.name, name, seed] = judged(model, case, self.progress)
        return [self._scores[case.name, name, seed] for seed in range(self.seeds)]
