"""What the commands of ``meshmove train`` have in common: options, and what is seen of a run."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from .console import errors

__all__ = ["Training", "training"]


@dataclass(frozen=True)
class Training:
    """The options that trainings share, as given; those that a command does not have are at their defaults."""

    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder for the log, checkpoint and weights.")]
    config: Annotated[str, typer.Option(help="small (a laptop) or full (a GPU).")] = "small"
    devices: Annotated[int, typer.Option(help="Processes of each node that share each batch.")] = 1
    nodes: Annotated[int, typer.Option(help="Machines that share each batch, under torchrun or Slurm's srun.")] = 1
    accelerator: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto"
    steps: Annotated[int | None, typer.Option(help="Another number of steps than the configuration's.")] = None
    seed: Annotated[int | None, typer.Option(help="Another seed than the configuration's.")] = None
    start: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Start from these weights: a shipped model's name, or a file.")
    ] = None

    def configured(self, configs: Mapping[Any, Any], name: Any, known: Callable[[Any], str] = str) -> Any:
        """The configuration of this name, with the number of steps and the seed that were given.

        Raises
        ------
        ValueError
            There is none; the message lists those that there are.
        """
        if name not in configs:
            raise ValueError(f"Expected one of: {', '.join(map(known, configs))} (got {known(name)})")
        given = {"steps": self.steps, "seed": self.seed}
        return replace(configs[name], **{key: value for key, value in given.items() if value is not None})

    def of(self, fitting: Any) -> Any:
        """The configuration that was chosen of those of a training."""
        return self.configured(fitting.CONFIGS, self.config, lambda name: f"--config {name}")

    def started(self, config: Any, kind: Any) -> tuple[Any, Any]:
        """The configuration with the settings of the model to start from, and that model, if there is one."""
        if self.start is None:
            return config, None
        model = kind.from_pretrained(self.start)
        return replace(config, settings=model.settings), model

    def watch(self, fitting: Any, config: Any, start: Any, line: Callable[[Any], str], **options: Any) -> None:
        """Train; the first process shows a bar and a `line` of each validation."""
        from meshmove.learning.processes import is_first

        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        times = (TimeElapsedColumn(), TimeRemainingColumn())
        shared = {name: n for name, n in (("devices", self.devices), ("nodes", self.nodes)) if n != 1}
        with Progress(*columns, *times, console=console, disable=not console.is_terminal) as progress:
            bar = progress.add_task("training", total=config.steps)
            rows = fitting.fit(
                config,
                self.out,
                accelerator=self.accelerator,
                start=start,
                on_step=lambda step: progress.update(bar, completed=step),
                **shared,
                **options,
            )
            for row in rows:
                if is_first():
                    mark = "  best" if row.best else ""
                    typer.echo(f"step {row.step:6d}  {row.seconds:7.0f} s  {line(row)}{mark}")
        if is_first():
            files = [self.out / name for name in ("best.safetensors", "log.csv", "checkpoint.safetensors")]
            typer.echo("wrote {}, {} and {}".format(*files))


def training(*without: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A command of a training: its first argument is a `Training`, whose fields are its options, but those `without`.

    Options of its own come first. Errors are told in a line; a package that is missing is one.
    """

    def made(command: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
        shared = [p for p in _parameters(command.__name__) if p.name not in without]

        @wraps(command)
        def run(**given: Any) -> None:
            chosen = Training(**{p.name: given.pop(p.name) for p in shared})
            with errors():
                try:
                    command(chosen, **given)
                except ImportError as error:
                    raise ValueError(str(error)) from error

        parameters = [*own, *shared]
        run.__dict__["__signature__"] = inspect.Signature(parameters, return_annotation=None)
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        return run

    return made


def _parameters(name: str) -> list[inspect.Parameter]:
    """Of a command of this name: the fields of `Training` as keyword arguments."""
    hints = get_type_hints(Training, include_extras=True)
    defaults = {f.name: f.default for f in fields(Training)} | {"out": Path("checkpoints") / name}
    kind = inspect.Parameter.KEYWORD_ONLY
    return [inspect.Parameter(n, kind, default=d, annotation=hints[n]) for n, d in defaults.items()]
