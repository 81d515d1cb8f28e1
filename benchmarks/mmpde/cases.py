"""What the parts of the benchmark of MM-PDE share: the data sets, the models that are compared, and the measure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import RectBivariateSpline
from scipy.sparse import csr_matrix, diags
from scipy.sparse.linalg import splu

from meshmove.geometry import CellMesh, PointLocator
from meshmove.geometry.quality import vertex_volumes
from meshmove.progress import progress_of
from meshmove.solvers.data import Trajectories, TrajectoryDataset, cached
from meshmove.solvers.generators.burgers import burgers_mesh, burgers_trajectories
from meshmove.solvers.generators.wake import wake_mesh, wake_trajectories
from meshmove.solvers.mmpde import CONFIGS, MMPDE, Config, Settings
from meshmove.solvers.mmpde.graph import Graph
from meshmove.solvers.mmpde.stepper import Now

__all__ = [
    "CARRYING",
    "DATA",
    "MODELS",
    "OTHER",
    "RIVALS",
    "SHIPPED",
    "WAKE",
    "Case",
    "Runner",
    "Scores",
    "case_of",
    "config_of",
    "judged",
    "moved",
    "persistence",
    "best_on_the_mesh",
    "unmoved",
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
    "operators": "one branch with as many weights, differential operators",
    "curved": "two branches, slopes at the nodes",
    "learned": "two branches, learned interpolation",
    "placed": "two branches, learned interpolation as published",
    "cut": "two branches, residual cut",
    "increment": "one branch with as many weights, no residual path",
}
#: how two branches carry fields between meshes, if not linearly on cells
CARRYING: dict[str, dict[str, Any]] = {
    "curved": {"curved": True},
    "learned": {"learned": True},
    "placed": {"learned": True, "placed": True, "neighbours": 30},
    "cut": {"cut": 16},
}
#: the kind of the weights in the package, which is set beside solvers and networks on a grid
SHIPPED = {"burgers": "mmpde", "cylinder": "single"}
#: of the two branches
_BRANCHES = {"moving": True, "layers": 5, "corrections": 5}
#: messages as in published steppers, on the mesh's edges and on far ones
_EDGES = {"messages": "edges", "layers": 6, "reach": 3.0}
#: what the branches of a case pass; the other kind is set beside it
_KIND: dict[str, dict[str, Any]] = {"burgers": {}, "cylinder": _EDGES}
OTHER = {"burgers": "edges", "cylinder": "operators"}
RIVALS = {"fno": "FNO", "unet": "U-Net"}

#: what the generators are asked for: train, test and common options; tests have twice as many frames after the first
_FULL: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "burgers": (
        {"n": 80, "seed": 11, "frames": 31, "end": 1.0},
        {"n": 20, "seed": 12, "frames": 61, "end": 2.0},
        {"cells": 192, "stride": 1, "viscosity": (0.005, 0.002)},
    ),
    "cylinder": (
        {"n": 16, "seed": 0, "frames": 31},
        {"n": 4, "seed": 1, "frames": 61},
        {"interval": 0.25, "dt": 0.01, "refined": True},
    ),
}
_QUICK: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "burgers": (
        {"n": 2, "seed": 0, "frames": 7, "end": 0.3},
        {"n": 1, "seed": 1, "frames": 13, "end": 0.6},
        {"cells": 24, "stride": 1, "viscosity": (0.02, 0.01)},
    ),
    "cylinder": (
        {"n": 2, "seed": 0, "frames": 7},
        {"n": 1, "seed": 1, "frames": 13},
        {"interval": 0.1, "dt": 0.02, "size": 0.7, "sides": 16, "development": 0.5, "settling": 0.1, "refined": True},
    ),
}
#: what `_FULL` has of the wake
WAKE = _FULL["cylinder"]
#: so many times as long as those of Burgers' data are the edges of the mesh on which the models work
_COARSER = {False: 4, True: 2}


def _mesh_of(name: str, quick: bool, common: Mapping[str, Any]) -> CellMesh:
    """The mesh on which the models work."""
    if name == "burgers":
        return burgers_mesh(common["cells"] // _COARSER[quick])
    return wake_mesh(**{key: common[key] for key in ("size", "sides") if key in common})


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
        return self._relative(values, truth, self._weight)

    def field_error(self, i: int, first: int, frames: Sequence[Now]) -> float:
        """The same of frames of the test trajectory i, but of the fields as functions: linear on the cells of the mesh
        or, where a model has them there, of the moved mesh; against the solver's own, on its finer mesh."""
        fine = self.test.finer
        assert fine is not None
        assert all(f.points is frames[0].points for f in frames)  # of one bundle
        there = [f.on_moved for f in frames]
        if there[0] is None:
            values, mesh = np.stack([f.values for f in frames], axis=1), self.test.mesh
        else:
            values, mesh = np.stack(there, axis=1), self.test.mesh.moved(frames[0].points)  # type: ignore[arg-type]
        found = PointLocator(mesh.simplicial()).interpolate(values.reshape(len(values), -1), fine.points.T)
        found = found.reshape(len(fine.points), *values.shape[1:]).transpose(1, 0, 2)
        return self.fine_error(i, first, found)

    def spline_error(self, i: int, first: int, frames: Sequence[Now]) -> float:
        """The same of values at nodes between which bicubic splines are laid; nan where these are no grid."""
        fine, n = self.test.finer, round(len(self.test.points) ** 0.5)
        if self.name != "burgers":
            return float("nan")
        assert fine is not None
        x, z = np.linspace(0, 1, n), np.linspace(0, 1, round(len(fine.points) ** 0.5))
        laid = [RectBivariateSpline(x, x, f.values.reshape(n, n))(z, z).reshape(-1, 1) for f in frames]
        return self.fine_error(i, first, np.stack(laid))

    def projected(self, i: int, frames: range) -> list[Now]:
        """Of all fields that are linear on the cells of the mesh, those nearest to the test trajectory i."""
        fine = self.test.finer
        assert fine is not None
        matrix, solver = self._projection
        values = np.stack([np.asarray(fine.fields[name][i, frames], float) for name in self.train.fields], axis=2)
        return [Now(solver.solve(matrix @ u), self.test.points) for u in values]

    @cached_property
    def _projection(self) -> tuple[Any, Any]:
        assert self.test.finer is not None
        where = PointLocator(self.test.mesh.simplicial()).find(self.test.finer.points.T)
        rows = np.repeat(np.arange(len(where.nodes)), where.nodes.shape[1])
        there = csr_matrix((where.weights.ravel(), (rows, where.nodes.ravel())))
        matrix = there.T @ diags(self._fine_weight)
        return matrix, splu((matrix @ there).tocsc())

    def fine_error(self, i: int, first: int, values: Array) -> float:
        """Of values (frames, nodes, F) at the nodes of the solver's mesh."""
        fine = self.test.finer
        assert fine is not None
        frames = slice(first, first + len(values))
        truth = np.stack([np.asarray(fine.fields[name][i, frames], float) for name in self.train.fields], axis=2)
        return self._relative(values, truth, self._fine_weight)

    def _relative(self, values: Array, truth: Array, weight: Array) -> float:
        mean, std = self.scale
        off = (weight[:, None] * ((values - truth) / std) ** 2).sum()
        return float(np.sqrt(off / (weight[:, None] * ((truth - mean) / std) ** 2).sum()))

    @cached_property
    def _fine_weight(self) -> Array:
        assert self.test.finer is not None
        volume = vertex_volumes(self.test.finer.mesh)
        return volume / volume.sum()

    def starts(self, bundle: int) -> list[tuple[int, int]]:
        """Trajectory and frame of the test starts, at multiples of the bundle within the training horizon."""
        return [(i, k) for i in range(len(self.test)) for k in range(0, self.horizon - bundle + 1, bundle)]


def case_of(name: str, folder: Path, quick: bool = False, progress: bool = False) -> Case:
    """A data set from `folder`; made and written where it is not there."""
    train, test, common = (_QUICK if quick else _FULL)[name]
    make = {"burgers": burgers_trajectories, "cylinder": wake_trajectories}[name]
    parts = [
        cached(folder / f"{name}-fine-{part}.npz", lambda own=own: make(**own, **common, progress=progress))
        for part, own in (("train", train), ("test", test))
    ]
    if name == "cylinder":  # the Strouhal number is measured from the future
        parts = [replace(p, attributes={"reynolds": p.attributes["reynolds"]}) for p in parts]
    mesh = _mesh_of(name, quick, common)
    parts = [p.on(mesh) for p in parts]
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
    plain = replace(config.settings, moving=False)
    one = replace(plain, **_KIND[case.name])
    two = replace(one, **({"moving": True} if quick else _BRANCHES))
    if model == "mmpde" or model in CARRYING:
        return replace(config, settings=replace(two, **CARRYING.get(model, {})))
    if model in ("wide", "edges", "operators", "increment"):
        increment = replace(one, residual=False)
        kind = {"wide": one, "edges": replace(plain, **_EDGES), "operators": plain, "increment": increment}[model]
        return replace(config, settings=replace(kind, width=_width(kind, weights_of(MMPDE(two)))))
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

    def bundles(self, i: int, start: int, exact: bool = False) -> Iterator[list[Now]]:
        """Bundles without end from a frame of the test trajectory i, known at nodes, or `exact` at the moved ones."""
        case = self._case

        def there(points: Array) -> Array:
            return case.test.at(points.T, i, slice(start, start + 1))[0].astype(float)

        now = Now(case.values[i, start], self._points, there if exact and self._moving else None)
        while True:
            frames = self.model.advance(self._graph, now, case.attributes(i), self._moving)
            now = frames[-1]
            yield frames

    def frames(self, i: int, start: int, steps: int, exact: bool = False) -> list[Now]:
        """The next frames of the test trajectory i from one of its frames on."""
        made: list[Now] = []
        for bundle in self.bundles(i, start, exact):
            made += bundle
            if len(made) >= steps:
                break
        return made[:steps]


@dataclass(frozen=True)
class Scores:
    """Errors on the tests: mean over starts of one bundle, mean over trajectories of the last frame of the training
    horizon; of the fields, of their values at the nodes, and of splines between these.

    A bundle starts from the truth at a model's own nodes; `bundle_told`: of the fields, started from that at those of
    the mesh."""

    bundle: float
    last: float
    bundle_nodes: float
    last_nodes: float
    bundle_splines: float
    last_splines: float
    bundle_told: float


def judged(model: MMPDE, case: Case, progress: bool = False) -> Scores:
    """One bundle from every start, and a rollout from the nodal values of every first frame."""
    runner, w = Runner(model, case), model.settings.bundle
    told = None
    if model.settings.moving:
        told = float(np.mean([case.field_error(i, k + 1, runner.frames(i, k, w)) for i, k in case.starts(w)]))
    return _scored(
        case, w, lambda i, k: runner.frames(i, k, w, exact=True), lambda i: runner.frames(i, 0, case.horizon)[-1], told,
        progress,
    )  # fmt: skip


def persistence(case: Case, bundle: int) -> Scores:
    """Errors of the forecast that nothing changes."""
    u, points = case.values, case.test.points
    return _scored(case, bundle, lambda i, k: [Now(u[i, k], points)] * bundle, lambda i: Now(u[i, 0], points))


def unmoved(case: Case, bundle: int) -> Scores:
    """Errors of the true values at the nodes of the mesh."""
    u, points, end = case.values, case.test.points, case.horizon
    return _scored(
        case, bundle, lambda i, k: [Now(v, points) for v in u[i, k + 1 : k + 1 + bundle]],
        lambda i: Now(u[i, end], points),
    )  # fmt: skip


def best_on_the_mesh(case: Case, bundle: int) -> Scores:
    """Errors of the fields that are nearest to the truth, of those that are linear on the cells of the mesh."""
    end = case.horizon
    return _scored(
        case, bundle, lambda i, k: case.projected(i, range(k + 1, k + 1 + bundle)),
        lambda i: case.projected(i, range(end, end + 1))[0],
    )  # fmt: skip


def moved(case: Case, model: MMPDE) -> Scores:
    """Errors of the true values at the nodes that a model moves: whether moving can pay at all."""
    u, w, end, moving = case.values, model.settings.bundle, case.horizon, model.moving_on(case.test.mesh)

    def forecast(i: int, k: int) -> list[Now]:
        points = moving(np.concatenate([u[i, k], u[i, k + w]], axis=1))
        there = case.test.at(points, i, slice(k + 1, k + 1 + w)).astype(float)
        back = PointLocator(case.test.mesh.moved(points).simplicial())
        return [Now(back.interpolate(v, case.test.points.T), points, v) for v in there]

    return _scored(case, w, forecast, lambda i: forecast(i, end - w)[-1])


def _scored(
    case: Case,
    bundle: int,
    forecast: Callable[[int, int], list[Now]],
    last: Callable[[int], Now],
    told: float | None = None,
    progress: bool = False,
) -> Scores:
    def errors(i: int, first: int, frames: list[Now]) -> tuple[float, ...]:
        truth = case.values[i, first : first + len(frames)]
        at_nodes = case.error(np.stack([f.values for f in frames]), truth)
        return case.field_error(i, first, frames), at_nodes, case.spline_error(i, first, frames)

    starts = progress_of(case.starts(bundle), f"{case.name}: bundles", progress)
    rollouts = progress_of(range(len(case.test)), f"{case.name}: rollouts", progress)
    a = np.mean([errors(i, k + 1, forecast(i, k)) for i, k in starts], axis=0)
    b = np.mean([errors(i, case.horizon, [last(i)]) for i in rollouts], axis=0)
    pairs = [float(v) for pair in zip(a, b, strict=True) for v in pair]
    return Scores(*pairs, pairs[0] if told is None else told)
