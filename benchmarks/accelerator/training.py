"""Better weights: a model is trained on from its shipped weights for the time that is left."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.harness import row
from meshmove import DMM
from meshmove.learning.weights import WeightsError
from meshmove.neural.aligning import fit as aligning
from meshmove.neural.aligning.meshes.drawn import make_meshes, read_meshes
from meshmove.neural.aligning.network import Aligner
from meshmove.neural.training import fit as mover
from meshmove.solvers import HyPINO
from meshmove.solvers.hypino import training as hypino

from .aligning import aligning as measured

__all__ = ["ALIGNER", "MODELS", "train", "train_aligner"]

#: steps that tell how many there is time for, and the first of them, which load kernels and do not count
PROBE, FIRST = 12, 4
#: of the time that goes into steps, the rest into validations and slower steps
SHARE = 0.85


def _mover(name: str, batch: int) -> tuple[Any, Any, Any]:
    model = DMM.from_pretrained(name)
    shipped = mover.CONFIGS[model.settings.dim, "small"]
    return mover.fit, model, replace(shipped, settings=model.settings, batch=batch, learning_rate=1e-3, validation=64)


def _hypino(name: str, batch: int) -> tuple[Any, Any, Any]:
    model = HyPINO.from_pretrained(name)
    small = hypino.CONFIGS["small"]
    settings = replace(model.settings, sweeps=small.settings.sweeps)
    return hypino.fit, model, replace(small, settings=settings, batch=4 * batch, learning_rate=5e-4)


#: by name: what gives the function that trains, the shipped model and the configuration, for a size of the batch
MODELS: dict[str, Callable[[str, int], tuple[Any, Any, Any]]] = {
    "dmm-2d": _mover,
    "dmm-3d": _mover,
    "hypino-small": _hypino,
}


def train(
    name: str, seconds: float, folder: Path, accelerator: str, batch: int, validation: int | None = None
) -> Iterator[dict[str, object]]:
    """Train the model of this name for about so long; the best weights stay in `folder`.

    Every validation, on so many samples, is a row. The first is that of the shipped weights.
    """
    began = time.perf_counter()
    fit, model, config = MODELS[name](name, batch)
    config = replace(config, seed=2, patience=99, validation=validation or config.validation)
    options = {"accelerator": accelerator, "start": model}
    times: list[float] = []
    probe = replace(config, steps=PROBE, validate_every=PROBE, validation=1)
    for _ in fit(probe, folder / f"{name}-probe", on_step=lambda _: times.append(time.perf_counter()), **options):
        pass
    each = (times[-1] - times[FIRST - 1]) / (PROBE - FIRST)
    steps = max(PROBE, int(SHARE * (seconds - (time.perf_counter() - began)) / each))
    config = replace(config, steps=steps, validate_every=max(PROBE, steps // 8))
    for r in fit(config, folder / name, **options):
        what = f"{name} trained on, step {r.step} of {r.steps}, {time.perf_counter() - began:.0f} s"
        yield row(what, ", ".join(f"{k} {v:.4g}" for k, v in _measures(r).items()) + (", best" if r.best else ""))


def _measures(progress: Any) -> dict[str, float]:
    """What a validation measured, without where the run is."""
    return {k: v for k, v in vars(progress).items() if k not in ("step", "steps", "seconds", "best")}


#: the network that aligns, which `train_aligner` trains
ALIGNER = "aligner-2d"


def train_aligner(
    seconds: float, folder: Path, accelerator: str, nodes: int, start: Path | None, meshes: Path | None, tiny: bool
) -> Iterator[dict[str, object]]:
    """Train the network that aligns for so long, with about so many nodes a step; the best weights stay in `folder`.

    `start`: weights to start from, the shipped ones by default; `meshes`: a file of `write_meshes`, or made now.
    """
    began = time.perf_counter()
    try:
        model = Aligner.from_pretrained(start or ALIGNER)
    except WeightsError:
        if start is not None:
            raise
        model = Aligner()
    config = aligning.CONFIGS["full"]
    config = replace(
        config, settings=model.settings, batch=nodes, seed=5, steps=10**6, validation=256, validate_every=250
    )
    if tiny:
        config = replace(config, steps=2, validate_every=2, validation=2, fields=2, batch=500)
    pool = list(make_meshes(6, (60, 120), 3)) if tiny else None
    pool = pool if meshes is None else read_meshes(meshes)
    workers = 1 if accelerator == "cpu" else os.cpu_count() or 1
    yield from measured(model, accelerator, tiny)
    left = seconds - (time.perf_counter() - began) - 10
    config = replace(config, minutes=None if tiny else left / 60)
    for r in aligning.fit(config, folder / ALIGNER, accelerator=accelerator, start=model, meshes=pool, workers=workers):
        what = f"{ALIGNER} trained on, step {r.step}, {time.perf_counter() - began:.0f} s"
        yield row(what, ", ".join(f"{k} {v:.4g}" for k, v in _measures(r).items()) + (", best" if r.best else ""))
