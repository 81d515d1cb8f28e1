"""Better weights: a model is trained on from its shipped weights for the time that is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.harness import row
from meshmove import DMM
from meshmove.neural.training import fit as mover
from meshmove.solvers import HyPINO
from meshmove.solvers.hypino import training as hypino

__all__ = ["MODELS", "train"]

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
