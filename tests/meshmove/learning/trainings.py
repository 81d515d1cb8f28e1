"""The trainings of all models, each small enough to run in a second, behind one signature."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from meshmove.learning.weights import read_weights
from meshmove.neural import DMM
from meshmove.neural import Settings as MoverSettings
from meshmove.neural.aligning import fit as aligning
from meshmove.neural.aligning.network import Aligner
from meshmove.neural.aligning.network import Settings as AlignerSettings
from meshmove.neural.training import fit as moving
from meshmove.solvers.hypino import HyPINO
from meshmove.solvers.hypino import Settings as HyPINOSettings
from meshmove.solvers.hypino import training as solving
from meshmove.solvers.mmpde import MMPDE
from meshmove.solvers.mmpde import fit as fit_stepper
from tests.solvers.mmpde.cases import TINY as STEPPER
from tests.solvers.mmpde.cases import dataset

MOVER = moving.Config(
    MoverSettings(width=8, layers=1),
    steps=4, batch=2, nodes=(20, 40), pool=6, validate_every=2, validation=3, patience=5,
)  # fmt: skip
SOLVER = solving.Config(
    HyPINOSettings(raster=16, patch=2, width=32, depths=(1, 1), window=4, fields=2, hidden=8, rank=2),
    steps=4, batch=4, interior=40, edge=40, half=False, validate_every=2, validation=6, patience=5, average=0.9,
)  # fmt: skip
ALIGNER = aligning.Config(
    AlignerSettings(width=8, layers=1, rounds=2),
    steps=4, batch=300, pool=3, fields=2, nodes=(40, 60), validate_every=2, validation=2, average=0.5,
)  # fmt: skip


def _stepper(config: Any, folder: Path, **options: Any) -> Iterator[Any]:
    return fit_stepper(config, folder, data=dataset(), **options)


@dataclass(frozen=True)
class Training:
    """`kind` as checkpoints name it; `criterion`: the measure that decides. `gaps`: by how much, at most, weights of a
    run on two processes may differ from those of one, and what share of them by a tenth of it (Adam turns the rounding
    of a vanishing gradient into a step); None: one process only."""

    kind: str
    criterion: str
    model: Any
    config: Any
    fit: Callable[..., Iterator[Any]]
    gaps: tuple[float, float] | None

    def run(self, folder: Path, upto: int | None = None, devices: int = 1, **changes: Any) -> list[Any]:
        """All rows, or the first ones, after which the run is left."""
        config = replace(self.config, **changes)
        with closing(self.fit(config, folder, devices=devices, accelerator="cpu")) as rows:
            return list(itertools.islice(rows, upto))

    def tensors(self, folder: Path) -> dict[str, Any]:
        """Of the checkpoint: weights, their average, moments."""
        return read_weights(Path(folder) / "checkpoint.safetensors", f"{self.kind}-checkpoint")[1]


TRAININGS = {
    t.kind: t
    for t in (
        Training("dmm", "loss", DMM, MOVER, moving.fit, (1e-6, 0.0)),
        Training("aligner", "loss", Aligner, ALIGNER, aligning.fit, None),
        Training("hypino", "mean_log", HyPINO, SOLVER, solving.fit, (2e-3, 5e-3)),
        Training("mmpde", "rollout", MMPDE, STEPPER, _stepper, (5e-3, 2e-2)),
    )
}
