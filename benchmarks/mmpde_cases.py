"""What the parts of the benchmark of MM-PDE share: the data sets, the models that are compared, and the measure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from meshmove.monitors.monitor import vertex_volumes
from meshmove.solvers.data import Trajectories, TrajectoryDataset, cached
from meshmove.solvers.data.burgers import burgers_trajectories
from meshmove.solvers.data.trajectories import progress_of
from meshmove.solvers.data.wake import wake_trajectories
from meshmove.solvers.mmpde import CONFIGS, MMPDE, Config, Settings
from meshmove.solvers.mmpde.graph import Graph

__all__ = [
    "DATA",
    "MODELS",
    "RIVALS",
    "SHIPPED",
    "Case",
    "Runner",
    "Scores",
    "case_of",
    "config_of",
    "judged",
    "persistence",
    "weights_of",
]

Array = NDArray[np.float64]

DATA = ("burgers", "cylinder")
#: name of a model -> as a row calls it
MODELS = {
    "mmpde": "two branches",
    "single": "one branch",
    "wide": "one branch with as many weights",
    "edges": "one branch with as many weights, messages along edges",
    "linear": "two branches, fixed linear interpolation",
    "uncut": "two branches, no residual cut",
}
#: the kind of the weights in the package, which is set beside solvers and networks on a grid
SHIPPED = {"burgers": "single", "cylinder": "edges"}
#: of the two branches: together a layer more than the single branch of the small configuration
_BRANCHES = {"moving": True, "layers": 5, "corrections": 3}
#: messages as in published steppers, on the mesh's edges and on far ones
_EDGES = {"messages": "edges", "layers": 6, "reach": 3.0}
RIVALS = {"fno": "FNO", "unet": "U-Net"}

#: what the generators are asked for: train, test and common options; tests have twice as many frames after the first
_FULL: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "burgers": (
        {"n": 80, "seed": 11, "frames": 31, "end": 1.0},
        {"n": 20, "seed": 12, "frames": 61, "end": 2.0},
        {"cells": 192, "stride": 4, "viscosity": (0.005, 0.002)},
    ),
    "cylinder": ({"n": 16, "seed": 0, "frames": 31}, {"n": 4, "seed": 1, "frames": 61}, {"interval": 0.25, "dt": 0.01}),
}
_QUICK: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "burgers": (
        {"n": 2, "seed": 0, "frames": 7, "end": 0.3},
        {"n": 1, "seed": 1, "frames": 13, "end": 0.6},
        {"cells": 24, "stride": 2, "viscosity": (0.02, 0.01)},
    ),
    "cylinder": (
        {"n": 2, "seed": 0, "frames": 7},
        {"n": 1, "seed": 1, "frames": 13},
        {"interval": 0.1, "dt": 0.02, "size": 0.7, "sides": 16, "development": 0.5, "settling": 0.1},
    ),
}


@dataclass(frozen=True, eq=False)
class Case:
    """A data set: trajectories to train on and to choose weights by, and longer ones to test on.

    `horizon`: last frame of the training trajectories; `options`: of the generator, for the solver beside the model.
    """

    name: str
    train: TrajectoryDataset
    validation: TrajectoryDataset
    test: Trajectories
    horizon: int
    options: Mapping[str, Any]

    @cached_property
    def values(self) -> NDArray:
        """(trajectories, frames, n, F) of the tests."""
        return np.stack([self.test.fields[name] for name in self.train.fields], axis=3).astype(float)

    def attributes(self, i: int) -> list[float]:
        """Of the test trajectory i."""
        return [float(self.test.attributes[name][i]) for name in self.train.attributes]

    @cached_property
    def scale(self) -> tuple[Array, Array]:
        """Mean and standard deviation (F,) of the fields over the training data."""
        scales = self.train.scales()
        mean, std = zip(*(scales[name] for name in self.train.fields), strict=True)
        return np.array(mean), np.array(std)

    @cached_property
    def _weight(self) -> Array:
        volume = vertex_volumes(self.test.mesh)
        return volume / volume.sum()

    def error(self, values: Array, truth: Array) -> float:
        """Relative L2 error by the lumped mass of values (..., n, F), fields less their mean and divided by their size.

        So every field counts alike, and a mean that all frames share, such as that of the stream, makes no error small.
        """
        mean, std = self.scale
        off = (self._weight[:, None] * ((values - truth) / std) ** 2).sum()
        return float(np.sqrt(off / (self._weight[:, None] * ((truth - mean) / std) ** 2).sum()))

    def starts(self, bundle: int) -> list[tuple[int, int]]:
        """Trajectory and frame of the test starts, at multiples of the bundle within the training horizon."""
        return [(i, k) for i in range(len(self.test)) for k in range(0, self.horizon - bundle + 1, bundle)]


def case_of(name: str, folder: Path, quick: bool = False, progress: bool = False) -> Case:
    """A data set from `folder`; made and written where it is not there."""
    train, test, common = (_QUICK if quick else _FULL)[name]
    make = {"burgers": burgers_trajectories, "cylinder": wake_trajectories}[name]
    parts = [
        cached(folder / f"{name}-{part}.npz", lambda own=own: make(**own, **common, progress=progress))
        for part, own in (("train", train), ("test", test))
    ]
    if name == "cylinder":  # the Strouhal number is measured from the future
        parts = [replace(p, attributes={"reynolds": p.attributes["reynolds"]}) for p in parts]
    learned, validation = TrajectoryDataset((parts[0],)).split(0.9)
    return Case(name, learned, validation, parts[1], train["frames"] - 1, common)


def config_of(case: Case, model: str, seed: int, quick: bool = False) -> Config:
    """The configuration of a model of `MODELS` or `RIVALS`, but for the number of steps, which the budget decides."""
    config = CONFIGS["small"]
    if quick:
        small = Settings(bundle=2, width=8, layers=2, corrections=2, neighbours=6, interpolation=4, directions=4)
        config = replace(config, settings=small, batch=2, validation=4)
    # all of the budget is used
    config = replace(config, seed=seed, unroll=2, patience=10**9).of(case.train)
    one = replace(config.settings, moving=False)
    two = replace(one, **({"moving": True} if quick else _BRANCHES))
    if model in ("mmpde", "linear", "uncut"):
        return replace(config, settings=replace(two, learned=model != "linear", cut=model != "uncut"))
    if model in ("wide", "edges"):
        one = replace(one, **(_EDGES if model == "edges" else {}))
        return replace(config, settings=replace(one, width=_width(one, weights_of(MMPDE(two)))))
    changes: dict[str, dict[str, Any]] = {
        "single": {},
        "fno": {"width": 4 if quick else 24, "layers": 2 if quick else 4},
        "unet": {"width": 4 if quick else 32, "layers": 2 if quick else 3},
    }
    return replace(config, settings=replace(one, **changes[model]))


def _width(one: Settings, wanted: int) -> int:
    """The least width with which a branch has as many weights as wanted."""
    width = 4
    while weights_of(MMPDE(replace(one, width=width))) < wanted:
        width += 1
    return width


def weights_of(model: torch.nn.Module) -> int:
    """Number of weights."""
    return sum(p.numel() for p in model.parameters())


class Runner:
    """A model on the mesh of a data set; what stays from start to start is made once."""

    def __init__(self, model: MMPDE, case: Case) -> None:
        s, mesh = model.settings, case.test.mesh
        self.model, self._case, self._points = model, case, mesh.points
        self._graph = Graph.of(mesh, s.boundaries, s.reach, s.directions)
        self._moving = model.moving_on(mesh) if s.moving else None

    def bundles(self, values: Array, attributes: list[float]) -> Iterator[Array]:
        """Bundles (bundle, n, F) without end, from values (n, F); nodes move by what is predicted."""
        points = self._points
        while True:
            frames, points = self.model.advance(self._graph, values, attributes, self._moving, points)
            values = frames[-1]
            yield frames

    def frames(self, i: int, start: int, steps: int) -> Array:
        """The next frames (steps, n, F) of the test trajectory i from one of its frames on."""
        made: list[Array] = []
        for bundle in self.bundles(self._case.values[i, start], self._case.attributes(i)):
            made += list(bundle)
            if len(made) >= steps:
                break
        return np.stack(made[:steps])


@dataclass(frozen=True)
class Scores:
    """Errors on the tests: mean over starts of one bundle, mean over trajectories of the last frame of the training
    horizon."""

    bundle: float
    last: float


def judged(model: MMPDE, case: Case, progress: bool = False) -> Scores:
    """One bundle from every start, and a rollout from every first frame."""
    runner, w = Runner(model, case), model.settings.bundle
    bundle = [
        case.error(runner.frames(i, k, w), case.values[i, k + 1 : k + 1 + w])
        for i, k in progress_of(case.starts(w), f"{case.name}: bundles", progress)
    ]
    last = [
        case.error(runner.frames(i, 0, case.horizon)[-1], case.values[i, case.horizon])
        for i in progress_of(range(len(case.test)), f"{case.name}: rollouts", progress)
    ]
    return Scores(float(np.mean(bundle)), float(np.mean(last)))


def persistence(case: Case, bundle: int) -> Scores:
    """Errors of the forecast that nothing changes."""
    u, end = case.values, case.horizon
    errors = [case.error(u[i, k], u[i, k + 1 : k + 1 + bundle]) for i, k in case.starts(bundle)]
    return Scores(
        float(np.mean(errors)), float(np.mean([case.error(u[i, 0], u[i, end]) for i in range(len(case.test))]))
    )
