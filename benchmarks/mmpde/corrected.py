"""Finite volumes corrected by MM-PDE: in distribution, twelve shifted cases and four beyond, and in the same time.

    python -m benchmarks.mmpde.corrected [--quick] [--only cases|time] [--cells N ...] [--train FOLDER [--seed N]]
                                         [--weights FILE] [--folder DIR] [--json FILE] [--record]

Beside them the same without the gate, and the network `burgers-still`, which has no base. Rollouts of 30 frames from
nodal values; errors are relative L2 errors against finite volumes on 192 x 192 cells, as means over trajectories;
seconds are the processor's. Truths are kept in the folder. With `--train` the model is learned anew in that folder,
from the families of `families.py`; a run that was interrupted goes on.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.harness import CPU, Rows, row
from benchmarks.mmpde.beside import at_equal_time
from benchmarks.mmpde.command import learning, parser, written
from benchmarks.mmpde.families import families
from benchmarks.mmpde.shifted import BEYOND, SHIFTED, USUAL, Shift, error

import numpy as np  # isort: skip
import torch
from numpy.typing import NDArray
from scipy.interpolate import RectBivariateSpline

from meshmove.geometry import CellMesh
from meshmove.solvers.data import Trajectories
from meshmove.solvers.generators.burgers import burgers_frames, burgers_mesh
from meshmove.solvers.generators.burgers_step import BurgersStep
from meshmove.solvers.mmpde import MMPDE, Config, Settings, fit
from meshmove.solvers.mmpde.graph import Graph
from meshmove.solvers.mmpde.stepper import Now

__all__ = ["FIRST", "SECOND", "off_as_field", "run", "train"]

BY_DEFAULT = False  #: minutes for the truths
#: of the model in the package, which learned twice: the second time from where it was, over longer rollouts
FIRST = Config(
    Settings(width=40, layers=6), steps=2000, unroll=2, pushforward=0.8, validate_every=400, validation=16,
    patience=10**9,
)  # fmt: skip
SECOND = replace(FIRST, steps=2800, unroll=3, pushforward=0.6, seed=1)
#: cells a side of the corrected solver, of the solver beside it, and runs of each, of which the fastest counts
CORRECTED, CELLS, REPEATS = (48, 64, 96), (32, 40, 48, 56, 64, 80, 96, 112, 128, 144), 3

Array = NDArray[np.float64]


#: can be run alone
PARTS = ("cases", "time")


def run(
    quick: bool,
    folder: Path | None = None,
    weights: str = "burgers-corrected",
    only: Sequence[str] = PARTS,
    corrected: Sequence[int] = CORRECTED,
) -> Rows:
    """The rows; truths are kept in a folder, or made for this run alone. In the same time with so many cells a side."""
    model = MMPDE.from_pretrained(weights, base=BurgersStep())
    with tempfile.TemporaryDirectory() as temporary:
        where = folder or Path(temporary)
        options: tuple[int | None, int] = (1, 96) if quick else (None, 192)
        cases = (USUAL, *SHIFTED[:2]) if quick else (USUAL, *SHIFTED, *BEYOND)
        rows = _cases(model, cases, where, *options) if "cases" in only else []
        return rows + (_at_equal_time(model, where, corrected) if "time" in only and not quick else [])


def train(folder: Path, data: Path, first: Config = FIRST, second: Config = SECOND) -> Path:
    """Learn in two folders of this one; goes on where an interrupted run was. Returns the file with the weights.

    What is held out is the same both times: the second one would be judged by what the first has learned from."""
    torch.set_num_threads(1)
    solver = BurgersStep()
    learned, held_out = families(data).split(0.9, seed=first.seed)
    start: MMPDE | None = None
    for name, config in (("first", first), ("second", second)):
        given = {"data": learned, "validation": held_out, "base": solver, "start": start}
        for p in fit(config, folder / name, accelerator="cpu", **given):
            print(f"{CPU():.0f} s  {p}", flush=True)
        start = MMPDE.from_pretrained(folder / name / "best.safetensors", base=solver)
    return folder / name / "best.safetensors"


# -- cases ----------------------------------------------------------------------------------------------------------


def _cases(model: MMPDE, cases: Sequence[Shift], folder: Path, count: int | None, cells: int) -> Rows:
    rows: Rows = []
    ratios: dict[Shift, float] = {}
    models = {"corrected": model, "ungated": ungated(model), "alone": MMPDE.from_pretrained("burgers-still")}
    for case in cases:
        found = _errors(models, case, folder, count, cells)
        ratios[case] = found["corrected"] / found["base"]
        rows.append(row(f"{case.name}: corrected / base", ratios[case], **found))
    twelve = [ratios[case] for case in cases if case in SHIFTED]
    middle, worst = median(twelve), max(twelve)
    rows.append(row("shifted cases, median of corrected / base", middle, "<= 0.5", middle <= 0.5))
    rows.append(row("shifted cases, worst of corrected / base", worst, "<= 1.05", worst <= 1.05))
    return rows


def ungated(model: MMPDE) -> MMPDE:
    """The model that takes all of its corrections."""
    other = deepcopy(model)
    other.gate.most.fill_(float("inf"))
    if other.seen is not None:
        wide = {name: [1e-30, 1e30] for name in other.seen.attributes}
        other.seen = replace(other.seen, attributes=wide, nodes={})
    return other


def _errors(models: Mapping[str, MMPDE], case: Shift, folder: Path, count: int | None, cells: int) -> dict[str, float]:
    """Of the last frame, by the models and by the base; means over trajectories."""
    truth, step = case.truth(folder, count, cells), BurgersStep()
    mesh, found = truth.mesh, []
    for i in range(len(truth)):
        u, nu = truth.fields["u"][i].astype(float), {"viscosity": float(truth.attributes["viscosity"][i])}
        ends = [m.rollout(mesh, u[0], case.frames, attributes=nu).last().values[:, 0] for m in models.values()]
        base = u[0]
        for _ in range(case.frames):
            base = step(mesh, {"u": base}, 1 / 30, nu)["u"]
        found.append([error(mesh, v, u[-1]) for v in (*ends, base)])
    return dict(zip((*models, "base"), np.mean(found, axis=0).tolist(), strict=True))


# -- in the same time -----------------------------------------------------------------------------------------------


def _at_equal_time(model: MMPDE, folder: Path, corrected: Sequence[int]) -> Rows:
    """As fields, on the truth's mesh: bicubic splines through the corrected nodal values, and through those of the
    solver on up to twice as many cells."""
    truth, beside = USUAL.truth(folder), [n for n in CELLS if n <= 2 * max(corrected)]
    runs: list[Callable[..., tuple[float, float]]] = [partial(_theirs, cells) for cells in beside]
    runs += [_ours(model, truth.on(burgers_mesh(cells)).mesh) for cells in corrected]
    runs[-1](*_given(truth, 0))  # warm up
    # in turn, so that all have the machine alike
    found = np.array([[[r(*_given(truth, i)) for r in runs] for i in range(len(truth))] for _ in range(REPEATS)])
    means = [(float(s), float(e)) for s, e in found.min(axis=0).mean(axis=0)]
    curve, what = means[: len(beside)], "in distribution, field"
    rows = [row(f"{what}: solver with {n} x {n} cells", e, seconds=s) for n, (s, e) in zip(beside, curve, strict=True)]
    for n, (seconds, off) in zip(corrected, means[len(beside) :], strict=True):
        ratio = off / at_equal_time(seconds, curve)
        rows.append(row(f"{what}: corrected, {n} x {n} cells", off, seconds=seconds))
        rows.append(row(f"{what}: corrected, {n} x {n} / solver in the same time", ratio, "<= 0.7", ratio <= 0.7))
    return rows


def _given(truth: Trajectories, i: int) -> tuple[Array, Array, float]:
    """The start at the nodes, the last frame on the fine mesh, and the viscosity."""
    fine = truth.finer
    assert fine is not None
    n, m = (round(len(t.points) ** 0.5) for t in (truth, fine))
    start = truth.fields["u"][i, 0].astype(float).reshape(n, n)
    return start, fine.fields["u"][i, -1].astype(float).reshape(m, m), float(fine.attributes["viscosity"][i])


def _ours(model: MMPDE, mesh: CellMesh) -> Callable[[Array, Array, float], tuple[float, float]]:
    """Seconds and error on a grid, of which everything is prepared."""
    graph, rim = Graph.of(mesh, model.settings.boundaries), (np.abs(mesh.points - 0.5) == 0.5).any(axis=1)
    n = round(mesh.n_points**0.5)

    def run(start: Array, end: Array, viscosity: float) -> tuple[float, float]:
        now = Now(_on_grid(start, n).reshape(-1, 1), mesh.points)
        began = CPU()
        for _ in range(USUAL.frames // model.settings.bundle):
            now = model.advance(graph, now, [viscosity], None)[-1]
            now.values[rim] = 0
        return CPU() - began, off_as_field(now.values.reshape(n, n), end)

    return run


def _theirs(cells: int, start: Array, end: Array, viscosity: float) -> tuple[float, float]:
    there = _on_grid(start, cells + 1)
    began = CPU()
    last = next(burgers_frames(there, [USUAL.frames / 30], viscosity))
    return CPU() - began, off_as_field(last, end)


def _on_grid(values: Array, n: int) -> Array:
    """Bicubic splines through values on one grid of the square, on one of n x n nodes."""
    x, y = np.linspace(0, 1, len(values)), np.linspace(0, 1, n)
    return RectBivariateSpline(x, x, values)(y, y)


def off_as_field(values: Array, truth: Array) -> float:
    """Relative L2 error of bicubic splines through values (n, n) on the grid of the truth."""
    return float(np.linalg.norm(_on_grid(values, len(truth)) - truth) / np.linalg.norm(truth))


def _main() -> None:
    made = parser(__doc__, "three cases, one trajectory each, truths on 96 x 96", "burgers-corrected")
    made.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="default: both")
    made.add_argument("--cells", nargs="+", type=int, default=CORRECTED, help="a side in the same time, default: all")
    learning(made)
    args = made.parse_args()
    weights = args.weights
    if args.train:
        stages = (replace(c, seed=2 * args.seed + k) for k, c in enumerate((FIRST, SECOND)))
        weights = str(train(args.train, args.folder, *stages))
    written(run(args.quick, args.folder, weights, args.only, args.cells), args, __file__)


if __name__ == "__main__":
    _main()
