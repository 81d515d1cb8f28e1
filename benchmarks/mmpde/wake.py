"""The wake of a cylinder by finite elements on coarse cells, `WakeStep`, corrected: in distribution, beyond, in time.

    python -m benchmarks.mmpde.wake [--quick] [--only cases|time] [--train FOLDER [--seed N]] [--weights FILE]
                                    [--folder DIR] [--json FILE] [--record]

The truth are the same elements on edges half as long with steps half as long; both start from its fields. Errors are
relative L2 errors after 30 frames, fields less their mean in units of their spread: at the nodes of the coarse mesh,
and as functions, quadratic on its cells, against the truth at its own nodes. They are means over trajectories; seconds
are the processor's. Truths are kept in the folder. With `--train` the model is learned anew in that folder, from the
seven trajectories and their mirror images; a run that was interrupted goes on.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.harness import CPU, Rows, row
from benchmarks.mmpde.beside import at_equal_time
from benchmarks.mmpde.cases import WAKE, Case, case_of
from benchmarks.mmpde.command import learning, parser, written
from benchmarks.mmpde.corrected import ungated

import numpy as np  # isort: skip
import torch
from numpy.typing import NDArray

from meshmove.geometry import PointLocator
from meshmove.geometry.quality import vertex_volumes
from meshmove.solvers.data import Trajectories, TrajectoryDataset, cached
from meshmove.solvers.data.symmetry import Symmetry
from meshmove.solvers.fem.flow import FlowError
from meshmove.solvers.generators.wake import wake_mesh, wake_trajectories
from meshmove.solvers.generators.wake_step import DT, SIDES, SIZE, WakeStep
from meshmove.solvers.mmpde import MMPDE, Config, Settings, fit
from meshmove.solvers.mmpde.graph import Graph
from meshmove.solvers.mmpde.stepper import Now

__all__ = ["CONFIG", "Elements", "run", "train"]

BY_DEFAULT = False  #: ten minutes for the truths
#: of the model in the package
CONFIG = Config(
    Settings(width=40, layers=6), steps=2000, unroll=3, pushforward=0.5, validate_every=250, validation=24,
    patience=10**9,
)  # fmt: skip
#: trajectories that it learns from, the last of which choose the weights
LEARNED, HELD_OUT = 7, 1
#: the equation stays as it is if the channel is mirrored
MIRROR = Symmetry([[1, 0], [0, -1]], [0, 0], {"vorticity": -1, "v": -1})
#: edges of the solver beside the corrected one, and runs of each, of which the fastest counts
SIZES, REPEATS = (0.5, 0.43, 0.38, 0.33, 0.28), 2
PARTS = ("cases", "time")

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Beyond:
    """What training had not: a Reynolds number, or a flow that does not shed vortices yet."""

    name: str
    reynolds: float
    development: float = 40.0

    def truth(self, folder: Path, options: dict[str, Any]) -> Trajectories:
        def make() -> Trajectories:
            pair = self.reynolds, self.reynolds
            return wake_trajectories(1, seed=5, frames=31, reynolds=pair, development=self.development, **options)

        found = cached(folder / f"cylinder-beyond-{self.reynolds:g}-{self.development:g}.npz", make)
        return replace(found, attributes={"reynolds": found.attributes["reynolds"]})


BEYOND = (
    Beyond("Reynolds number 80", 80.0),
    Beyond("Reynolds number 250", 250.0),
    Beyond("the flow before it sheds", 150.0, 5.0),
    Beyond("the stream as it begins", 150.0, 0.0),
)


class Elements:
    """A `WakeStep` on its mesh, whose fields are quadratic there, and the truth's nodes at which they are looked at."""

    def __init__(self, truth: Trajectories, size: float = SIZE, sides: int = SIDES, steps: int = 13) -> None:
        self.step = WakeStep(size, float(truth.times[1]) / steps, sides=sides)
        grid, coarse = self.step.grid, wake_mesh(size, sides=sides)
        where = PointLocator(coarse).find(truth.points.T)
        (a, b, c), w = where.nodes.T, where.weights.T
        keys = grid.facets[0].astype(np.int64) * grid.nvertices + grid.facets[1]
        order = np.argsort(keys)
        pairs = [np.sort(np.stack(pair), axis=0) for pair in ((a, b), (b, c), (a, c))]
        middles = [order[np.searchsorted(keys[order], p[0] * grid.nvertices + p[1])] + grid.nvertices for p in pairs]
        self._nodes = np.stack([a, b, c, *middles])
        self._shares = np.stack([*(w * (2 * w - 1)), 4 * w[0] * w[1], 4 * w[1] * w[2], 4 * w[0] * w[2]])

    def on_fine(self, values: Array) -> Array:
        """Values (m, F) at the truth's nodes of those (n, F) at the nodes of the mesh."""
        return np.einsum("km,kmf->mf", self._shares, values[self._nodes])

    def after(self, values: Array, frames: int, dt: float, reynolds: float) -> Array:
        """Values (n, 3) some frames later, by the solver alone."""
        fields = dict(zip(("vorticity", "u", "v"), values.T, strict=True))
        for _ in range(frames):
            fields = self.step(self.step.mesh, fields, dt, {"reynolds": reynolds})
        return np.stack([fields[name] for name in ("vorticity", "u", "v")], axis=1)


def run(quick: bool, folder: Path, weights: str = "cylinder-corrected", only: Sequence[str] = PARTS) -> Rows:
    """The rows; truths are kept in the folder."""
    case = _case(folder, quick)
    elements = _elements(case)
    model = MMPDE.from_pretrained(weights, base=elements.step)
    rows = _cases(model, case, elements, folder, quick) if "cases" in only else []
    return rows + (_at_equal_time(model, case, elements) if "time" in only and not quick else [])


def train(folder: Path, data: Path, config: Config = CONFIG, quick: bool = False) -> Path:
    """Learn in this folder; goes on where an interrupted run was. Returns the file with the weights."""
    torch.set_num_threads(1)
    case = _case(data, quick)
    mesh = (step := _elements(case).step).mesh
    fine = [part.groups[0].finer for part in (case.train, case.validation)]
    learned, held_out = (TrajectoryDataset((f.on(mesh), MIRROR(f).on(mesh))) for f in fine if f is not None)
    for p in fit(config, folder, accelerator="cpu", data=learned, validation=held_out, base=step):
        print(f"{CPU():.0f} s  {p}", flush=True)
    return folder / "best.safetensors"


def _case(folder: Path, quick: bool) -> Case:
    """The tests of the other benchmarks, and fewer trajectories to learn from."""
    if quick:
        return case_of("cylinder", folder, True)
    _, tests, options = WAKE
    mesh = wake_mesh()

    def made(name: str, **given: Any) -> Trajectories:
        found = cached(folder / f"cylinder-{name}.npz", lambda: wake_trajectories(**given, **options))
        return replace(found, attributes={"reynolds": found.attributes["reynolds"]}).on(mesh)

    learned = made(f"corrected-{LEARNED}", n=LEARNED, seed=0, frames=31, development=40.0, settling=10.0)
    parts = (TrajectoryDataset((learned[some],)) for some in (slice(0, -HELD_OUT), slice(-HELD_OUT, None)))
    return Case("cylinder", *parts, made("fine-test", **tests), 30, options)


def _elements(case: Case) -> Elements:
    fine = case.test.finer
    assert fine is not None
    quick = {"size": 1.2, "sides": 12, "steps": 5} if case.options.get("size") else {}
    return Elements(fine, **quick)


# -- cases ----------------------------------------------------------------------------------------------------------


def _cases(model: MMPDE, case: Case, elements: Elements, folder: Path, quick: bool) -> Rows:
    usual, end = case.test.finer, case.horizon
    assert usual is not None
    given = [("in distribution", usual, end), (f"{2 * end} frames", usual, 2 * end)]
    if not quick:
        given += [(c.name, c.truth(folder, dict(case.options)), 30) for c in BEYOND]
    rows: Rows = []
    for name, truth, frames in given:
        found = _errors(model, case, elements, truth, frames)
        ratio = found["corrected"] / found["alone"]
        rows.append(row(f"{name}: corrected / alone, at nodes", ratio, "<= 1.05", ratio <= 1.05, **found))
    return rows


def _errors(model: MMPDE, case: Case, elements: Elements, truth: Trajectories, frames: int) -> dict[str, float]:
    there, dt = truth.on(elements.step.mesh), float(truth.times[1])
    values = np.stack([there.fields[name] for name in case.train.fields], axis=3).astype(float)
    volume, (mean, std) = vertex_volumes(there.mesh), case.scale
    models = {"corrected": model, "ungated": ungated(model)}
    found = []
    for i, u in enumerate(values):
        re = float(there.attributes["reynolds"][i])
        ends = [m.rollout(there.mesh, u[0], frames, attributes={"reynolds": re}).last().values for m in models.values()]
        ends.append(elements.after(u[0], frames, dt, re))
        size = (volume[:, None] * ((u[frames] - mean) / std) ** 2).sum()
        found.append([np.sqrt((volume[:, None] * ((v - u[frames]) / std) ** 2).sum() / size) for v in ends])
    return dict(zip((*models, "alone"), np.mean(found, axis=0).tolist(), strict=True))


# -- in the same time -----------------------------------------------------------------------------------------------


def _at_equal_time(model: MMPDE, case: Case, elements: Elements) -> Rows:
    fine = case.test.finer
    assert fine is not None
    runs = [_theirs(case, others) for others in _stable(fine, case)] + [_ours(model, case, elements)]
    some = range(len(fine))
    # in turn, so that all have the machine alike; the first round warms up
    found = np.array([[[r(i) for r in runs] for i in some] for _ in range(REPEATS + 1)][1:])
    means = [(float(s), float(e)) for s, e in found.min(axis=0).mean(axis=0)]
    *curve, (seconds, off) = means
    what = f"frame {case.horizon}, field"
    rows = [row(f"{what}: solver with edges of {n}", e, seconds=s) for n, (s, e) in zip(SIZES, curve, strict=True)]
    ratio = off / at_equal_time(seconds, curve)
    rows.append(row(f"{what}: corrected, edges of {SIZE}", off, seconds=seconds))
    rows.append(row(f"{what}: corrected / solver in the same time", ratio, "<= 0.5", ratio <= 0.5))
    nearest = np.mean([case.fine_error(i, case.horizon, elements.on_fine(_known(case, elements, i, case.horizon))[None])
                       for i in some])  # fmt: skip
    rows.append(row(f"{what}: the truth at the nodes of these", float(nearest)))
    return rows


def _stable(fine: Trajectories, case: Case) -> list[Elements]:
    """Of each edge length, with the longest steps, in shares of a frame, that all tests bear."""
    found = []
    for size in SIZES:
        sides = round(SIDES * SIZE / size)
        steps = round(float(fine.times[1]) / DT * SIZE / size)
        while True:
            elements = Elements(fine, size, sides, steps)
            try:
                for i in range(len(fine)):
                    _theirs(case, elements)(i)
                break
            except FlowError:
                steps += max(1, steps // 8)
        found.append(elements)
    return found


def _known(case: Case, elements: Elements, i: int, frame: int) -> Array:
    fine = case.test.finer
    assert fine is not None
    return fine.at(elements.step.mesh.points, i, slice(frame, frame + 1), case.train.fields)[0].astype(float)


def _theirs(case: Case, elements: Elements) -> Callable[[int], tuple[float, float]]:
    def run(i: int) -> tuple[float, float]:
        start, dt, (re,) = _known(case, elements, i, 0), float(case.test.times[1]), case.attributes(i)
        began = CPU()
        last = elements.after(start, case.horizon, dt, re)
        return CPU() - began, case.fine_error(i, case.horizon, elements.on_fine(last)[None])

    return run


def _ours(model: MMPDE, case: Case, elements: Elements) -> Callable[[int], tuple[float, float]]:
    mesh, s = elements.step.mesh, model.settings
    graph = Graph.of(mesh, s.boundaries)

    def run(i: int) -> tuple[float, float]:
        now, own = Now(_known(case, elements, i, 0), mesh.points), case.attributes(i)
        began = CPU()
        for _ in range(case.horizon // s.bundle):
            now = model.advance(graph, now, own, None)[-1]
        return CPU() - began, case.fine_error(i, case.horizon, elements.on_fine(now.values)[None])

    return run


def _main() -> None:
    made = parser(__doc__, "small meshes, a few frames and steps; nothing is kept", "cylinder-corrected")
    made.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="default: both")
    learning(made)
    args = made.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder, weights = Path(temporary) if args.quick else args.folder, args.weights
        if args.train or args.quick:
            config = replace(CONFIG, seed=args.seed)
            if args.quick:
                small = Settings(bundle=2, width=8, layers=2)
                config = replace(config, settings=small, steps=4, unroll=2, validate_every=4, validation=2)
            weights = str(train(args.train or folder / "model", folder, config, args.quick))
        rows = run(args.quick, folder, weights, args.only)
    written(rows, args, __file__)


if __name__ == "__main__":
    _main()
