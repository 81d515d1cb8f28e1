"""The command ``meshmove train``: a model from data, with a progress bar, a log and checkpoints."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from .training import Training, training

__all__ = ["app"]

app = typer.Typer(help="Train a model.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """Train a model."""


@app.command()
@training()
def mover(options: Training, dim: Annotated[int, typer.Option(help="Dimension of the meshes, 2 or 3.")] = 2) -> None:
    """Train the mesh mover; run the same command again to go on after an interruption."""
    from meshmove.neural.training import fit as fitting

    def words(key: tuple[int, str]) -> str:
        return f"--dim {key[0]} --config {key[1]}"

    config = options.configured(fitting.CONFIGS, (dim, options.config), words)
    options.watch(fitting, *options.started(config, fitting.DMM), _mover_line)


@app.command()
@training("devices", "nodes")
def aligner(options: Training) -> None:
    """Train the network that aligns; run the same command again to go on after an interruption."""
    from meshmove.neural import Aligner
    from meshmove.neural.aligning import fit as fitting

    options.watch(fitting, *options.started(options.of(fitting), Aligner), _aligner_line)


@app.command()
@training()
def hypino(options: Training) -> None:
    """Train the hypernetwork for linear problems; run the same command again to go on after an interruption."""
    from meshmove.solvers.hypino import HyPINO
    from meshmove.solvers.hypino import training as fitting

    options.watch(fitting, *options.started(options.of(fitting), HyPINO), _hypino_line)


@app.command()
@training("devices", "nodes")
def space(options: Training) -> None:
    """Train the small network that writes the knots of projection; run the same command again to go on."""
    from meshmove.solvers.hypino.space import Space
    from meshmove.solvers.hypino.training import space as fitting

    options.watch(fitting, *options.started(options.of(fitting), Space), _space_line)


@app.command()
@training("start")
def mmpde(
    options: Training,
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
) -> None:
    """Train the time stepper on trajectories; run the same command again to go on after an interruption."""
    import meshmove
    from meshmove.solvers.data import TrajectoryDataset
    from meshmove.solvers.mmpde import training as fitting

    config = options.of(fitting)
    config = replace(config, settings=replace(config.settings, moving=moving))
    read = TrajectoryDataset.from_files(data, progress=True)
    read = read.without(*(without or ()))
    if mesh is not None:
        read = read.on(meshmove.load(mesh))
    options.watch(fitting, config, None, _mmpde_line, data=read, progress=True)


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
