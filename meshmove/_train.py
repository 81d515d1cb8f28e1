"""The command ``meshmove train``: a model from data made on the fly, with a progress bar, a log and checkpoints."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

__all__ = ["app"]

app = typer.Typer(help="Train a model on data made on the fly.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """Train a model on data made on the fly."""


@app.command()
def mover(
    config: Annotated[str, typer.Option(help="small (a laptop) or full (a GPU).")] = "small",
    dim: Annotated[int, typer.Option(help="Dimension of the meshes, 2 or 3.")] = 2,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="Folder for the log, checkpoint and weights.")
    ] = Path("checkpoints/mover"),
    devices: Annotated[int, typer.Option(help="Processes that share each batch.")] = 1,
    accelerator: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    steps: Annotated[int | None, typer.Option(help="Another number of steps than the configuration's.")] = None,
    seed: Annotated[int | None, typer.Option(help="Another seed than the configuration's.")] = None,
) -> None:
    """Train the mesh mover; run the same command again to go on after an interruption."""
    from .cli import _errors

    with _errors():
        try:
            fitting = importlib.import_module("meshmove.neural.fit")
            if (dim, config) not in fitting.CONFIGS:
                known = ", ".join(f"--dim {d} --config {name}" for d, name in fitting.CONFIGS)
                raise ValueError(f"Expected one of: {known} (got --dim {dim} --config {config})")
            wanted = fitting.CONFIGS[dim, config]
            changes = {k: v for k, v in (("steps", steps), ("seed", seed)) if v is not None}
            _watch(fitting, replace(wanted, **changes), out, devices, accelerator)
        except ImportError as error:
            raise ValueError(str(error)) from error


def _watch(fitting, config, out: Path, devices: int, accelerator: str) -> None:
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("training", total=config.steps)
        rows = fitting.fit(
            config,
            out,
            devices=devices,
            accelerator=accelerator,
            on_step=lambda step: progress.update(bar, completed=step),
        )
        for row in rows:
            mark = "  best" if row.best else ""
            typer.echo(
                f"step {row.step:6d}  {row.seconds:7.0f} s  loss {row.loss:8.4f}  imbalance {row.imbalance:.4f}  "
                f"steps cut by half {row.cut:.3f}{mark}"
            )
    typer.echo(f"wrote {out / 'best.safetensors'}, {out / 'log.csv'} and {out / 'checkpoint.safetensors'}")
