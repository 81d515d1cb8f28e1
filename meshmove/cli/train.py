"""The command ``meshmove train``: a model from data, with a progress bar, a log and checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from .console import errors

__all__ = ["app"]

app = typer.Typer(help="Train a model.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """Train a model."""


ConfigName = Annotated[str, typer.Option(help="small (a laptop) or full (a GPU).")]
Out = Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder for the log, checkpoint and weights.")]
Devices = Annotated[int, typer.Option(help="Processes that share each batch.")]
Accelerator = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Steps = Annotated[int | None, typer.Option(help="Another number of steps than the configuration's.")]
Start = Annotated[
    str | None, typer.Option(metavar="MODEL", help="Start from these weights: a shipped model's name, or a file.")
]
Seed = Annotated[int | None, typer.Option(help="Another seed than the configuration's.")]


@app.command()
def mover(
    config: ConfigName = "small",
    dim: Annotated[int, typer.Option(help="Dimension of the meshes, 2 or 3.")] = 2,
    out: Out = Path("checkpoints/mover"),
    devices: Devices = 1,
    accelerator: Accelerator = "auto",
    steps: Steps = None,
    seed: Seed = None,
    start: Start = None,
) -> None:
    """Train the mesh mover; run the same command again to go on after an interruption."""
    with errors():
        try:
            from meshmove.neural.training import fit as fitting

            if (dim, config) not in fitting.CONFIGS:
                known = ", ".join(f"--dim {d} --config {name}" for d, name in fitting.CONFIGS)
                raise ValueError(f"Expected one of: {known} (got --dim {dim} --config {config})")
            changed = _changed(fitting.CONFIGS[dim, config], steps, seed)
            _watch(fitting, *_started(changed, fitting.DMM, start), out, devices, accelerator, _mover_line)
        except ImportError as error:
            raise ValueError(str(error)) from error


@app.command()
def aligner(
    config: ConfigName = "small",
    out: Out = Path("checkpoints/aligner"),
    accelerator: Accelerator = "auto",
    steps: Steps = None,
    seed: Seed = None,
    start: Start = None,
) -> None:
    """Train the network that aligns; run the same command again to go on after an interruption."""
    with errors():
        from meshmove.neural import Aligner
        from meshmove.neural.aligning import fit as fitting

        changed, model = _started(_named(fitting, config, steps, seed), Aligner, start)
        _watch(fitting, changed, model, out, 1, accelerator, _aligner_line)


@app.command()
def hypino(
    config: ConfigName = "small",
    out: Out = Path("checkpoints/hypino"),
    devices: Devices = 1,
    accelerator: Accelerator = "auto",
    steps: Steps = None,
    seed: Seed = None,
    start: Start = None,
) -> None:
    """Train the hypernetwork for linear problems; run the same command again to go on after an interruption."""
    with errors():
        try:
            from meshmove.solvers.hypino import HyPINO
            from meshmove.solvers.hypino import training as fitting

            changed, model = _started(_named(fitting, config, steps, seed), HyPINO, start)
            _watch(fitting, changed, model, out, devices, accelerator, _hypino_line)
        except ImportError as error:
            raise ValueError(str(error)) from error


@app.command()
def space(
    config: ConfigName = "small",
    out: Out = Path("checkpoints/space"),
    accelerator: Accelerator = "auto",
    steps: Steps = None,
    seed: Seed = None,
    start: Start = None,
) -> None:
    """Train the small network that writes the knots of projection; run the same command again to go on."""
    with errors():
        try:
            from meshmove.solvers.hypino.space import Space
            from meshmove.solvers.hypino.training import space as fitting

            changed, model = _started(_named(fitting, config, steps, seed), Space, start)
            _watch(fitting, changed, model, out, 1, accelerator, _space_line)
        except ImportError as error:
            raise ValueError(str(error)) from error


@app.command()
def mmpde(
    data: Annotated[
        list[str],
        typer.Option(
            metavar="FILES", help="Trajectories: a file (.npz, .xdmf, .pvd), a folder or a pattern; repeatable."
        ),
    ],
    without: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="An attribute that the model must not see; repeatable.")
    ] = None,
    moving: Annotated[
        bool, typer.Option("--moving", help="A second branch on a moved mesh, where the fields live.")
    ] = False,
    mesh: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A mesh, coarser than that of the data, on which the model is to work."),
    ] = None,
    config: ConfigName = "small",
    out: Out = Path("checkpoints/mmpde"),
    devices: Devices = 1,
    accelerator: Accelerator = "auto",
    steps: Steps = None,
    seed: Seed = None,
) -> None:
    """Train the time stepper on trajectories; run the same command again to go on after an interruption."""
    with errors():
        try:
            import meshmove
            from meshmove.solvers.data import TrajectoryDataset
            from meshmove.solvers.mmpde import training as fitting

            changed = _named(fitting, config, steps, seed)
            changed = replace(changed, settings=replace(changed.settings, moving=moving))
            read = TrajectoryDataset.from_files(data, progress=True)
            read = read.without(*(without or ()))
            if mesh is not None:
                read = read.on(meshmove.load(mesh))
            _watch(fitting, changed, None, out, devices, accelerator, _mmpde_line, data=read, progress=True)
        except ImportError as error:
            raise ValueError(str(error)) from error


def _named(fitting: Any, config: str, steps: int | None, seed: int | None) -> Any:
    """The configuration of this name, with other numbers of steps and seed where they are given."""
    if config not in fitting.CONFIGS:
        known = ", ".join(f"--config {name}" for name in fitting.CONFIGS)
        raise ValueError(f"Expected one of: {known} (got --config {config})")
    return _changed(fitting.CONFIGS[config], steps, seed)


def _changed(config: Any, steps: int | None, seed: int | None) -> Any:
    return replace(config, **{k: v for k, v in (("steps", steps), ("seed", seed)) if v is not None})


def _started(config: Any, kind: Any, start: str | None) -> tuple[Any, Any]:
    """The configuration with the settings of the model to start from, and that model, if there is one."""
    if start is None:
        return config, None
    model = kind.from_pretrained(start)
    return replace(config, settings=model.settings), model


def _mover_line(row: Any) -> str:
    return f"loss {row.loss:8.4f}  imbalance {row.imbalance:.4f}  steps cut by half {row.cut:.3f}"


def _aligner_line(row: Any) -> str:
    return f"loss {row.loss:8.4f}  H1 error {row.gain:.3f} times less  steps cut by half {row.cut:.3f}"


def _hypino_line(row: Any) -> str:
    return f"loss {row.train_loss:7.4f}  relative error {row.error:.4f}  after projection {row.projected:.4f}"


def _space_line(row: Any) -> str:
    return f"loss {row.loss:7.4f}  {row.knots:.3f} times as many knots as the best density"


def _mmpde_line(row: Any) -> str:
    return f"loss {row.train_loss:7.4f}  error of a bundle {row.error:.4f}  of the last {row.rollout:.4f}"


def _watch(
    fitting: Any,
    config: Any,
    start: Any,
    out: Path,
    devices: int,
    accelerator: str,
    line: Callable[[Any], str],
    **options: Any,
) -> None:
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
            start=start,
            on_step=lambda step: progress.update(bar, completed=step),
            **options,
        )
        for row in rows:
            mark = "  best" if row.best else ""
            typer.echo(f"step {row.step:6d}  {row.seconds:7.0f} s  {line(row)}{mark}")
    typer.echo(f"wrote {out / 'best.safetensors'}, {out / 'log.csv'} and {out / 'checkpoint.safetensors'}")
