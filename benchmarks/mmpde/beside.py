"""MM-PDE beside the solvers that made its data: the time for the same frames, and the error in the same time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import islice
from statistics import median

from benchmarks.harness import CPU, Rows, row
from benchmarks.mmpde.cases import MODELS, SHIPPED, Case, Runner
from benchmarks.mmpde.training import Bench

import numpy as np  # isort: skip
import torch
from numpy.typing import NDArray
from scipy.interpolate import RectBivariateSpline

from meshmove.geometry import PointLocator
from meshmove.solvers.fem.flow import Flow, FlowError
from meshmove.solvers.fem.meshes import skfem_mesh
from meshmove.solvers.generators.burgers import burgers_frames, random_field
from meshmove.solvers.generators.wake import refined_wake_mesh, wake_flow, wake_mesh
from meshmove.solvers.mmpde import CONFIGS

__all__ = ["at_equal_time", "coarse_burgers", "coarse_wake", "solver", "step_time"]

Array = NDArray[np.float64]

#: cells a side, and edge lengths in the wake
CELLS, SIZES = (12, 16, 24, 32, 48, 64, 96), (0.9, 0.7, 0.55, 0.43, 0.34, 0.27)


# -- time -----------------------------------------------------------------------------------------------------------


def step_time(bench: Bench) -> Rows:
    """Seconds of the processor for one bundle: the model, and the solver of the data; medians of pairs. And for how
    long the small configuration trains.

    Set-up, meshing and factorisations are left out on both sides.
    """
    return [r for case in bench.cases for name in dict.fromkeys((SHIPPED[case.name], "single"))
            for r in _step_time(bench, case, name)]  # fmt: skip


def _step_time(bench: Bench, case: Case, name: str) -> Rows:
    trained = bench.trained(case, name)
    model, w = trained.model, trained.model.settings.bundle
    runner, ours, theirs = Runner(model, case), [], []
    next(runner.bundles(0, 0))  # warm up
    for i in range(min(len(case.test), 2 if bench.quick else 4)):
        bundles = runner.bundles(i, 0)
        for solve in islice(_SOLVED[case.name](case, i, w), case.horizon // w):
            ours.append(_seconds(lambda bundles=bundles: next(bundles)))
            theirs.append(_seconds(solve))
    ratio, more = median(theirs) / median(ours), {"model": median(ours), "solver": median(theirs)}
    what = f"{case.name}, {MODELS[name]}"
    steps = CONFIGS["small"].steps
    minutes = trained.seconds_a_step * steps / 60
    return [
        row(f"{what}: one bundle of {w} frames, solver / MM-PDE", ratio, ">= 10", ratio >= 10, **more),
        row(f"{what}: {steps} steps of training, minutes on one core", minutes, "<= 90", minutes <= 90),
        _on_gpu(what, case, runner),
    ]


def _seconds(call: Callable[[], object]) -> float:
    began = CPU()
    call()
    return CPU() - began


def _burgers_bundles(case: Case, i: int, bundle: int) -> Iterator[Callable[[], object]]:
    u0 = random_field(case.options["cells"] + 1, np.random.default_rng([case.test.about["seed"], i]))
    frames = burgers_frames(u0, case.test.times[1:], case.attributes(i)[0])
    while True:
        yield lambda: [next(frames) for _ in range(bundle)]


def _wake_bundles(case: Case, i: int, bundle: int) -> Iterator[Callable[[], object]]:
    """From the flow's beginning: steps cost the same at any time."""
    dt = case.options["dt"]
    flow, steps = wake_flow(case.test.mesh, case.attributes(i)[0], dt), round(case.test.times[1] / dt)
    flow.vorticity()

    def advance() -> None:
        for _ in range(bundle):
            flow.step(steps)
            flow.vorticity()

    while True:
        yield advance


_SOLVED = {"burgers": _burgers_bundles, "cylinder": _wake_bundles}


def _on_gpu(what: str, case: Case, runner: Runner) -> dict:
    """One bundle with the network on a GPU, by the wall clock."""
    name = f"{what}: one bundle on a GPU, seconds"
    if not torch.cuda.is_available():
        return row(name, "not measured: no GPU")
    runner.model.cuda()
    spent = []
    try:
        bundles = runner.bundles(0, 0)
        for _ in range(case.horizon // runner.model.settings.bundle):
            began = time.perf_counter()
            next(bundles)  # its result is on the host: nothing is left to wait for
            spent.append(time.perf_counter() - began)
    finally:
        runner.model.cpu()
    return row(name, median(spent[1:] or spent))


# -- error in the same time -----------------------------------------------------------------------------------------


def solver(bench: Bench) -> Rows:
    """The last frame of the training horizon by the data's solver on fewer cells, beside the model's, as fields.

    Both start from the nodal values of the first frame; seconds are for all frames, set-up left out.
    """
    rows: Rows = []
    for case in bench.cases:
        some = range(min(len(case.test), 1 if bench.quick else 6))
        runner = Runner(bench.trained(case, SHIPPED[case.name]).model, case)
        runner.frames(0, 0, 1)  # warm up
        ours = [_ours(runner, case, i) for i in some]
        ours_seconds, ours_error = (float(np.mean(column)) for column in zip(*ours, strict=True))
        what = f"{case.name}: frame {case.horizon}"
        rows.append(row(f"{what}, MM-PDE", ours_error, seconds=ours_seconds))
        levels, coarse = (CELLS, coarse_burgers) if case.name == "burgers" else (SIZES, coarse_wake)
        curve: list[tuple[float, float]] = []
        for level in levels[:2] if bench.quick else levels:
            found = [_theirs(coarse(case, i, level), case, i) for i in some]
            curve.append(tuple(float(np.mean(column)) for column in zip(*found, strict=True)))  # type: ignore[arg-type]
            cells = f"{level} x {level} cells" if case.name == "burgers" else f"edges of {level}"
            rows.append(row(f"{what}, solver with {cells}", curve[-1][1], seconds=curve[-1][0]))
            if curve[-1][0] > 2 * ours_seconds:
                break
        theirs = at_equal_time(ours_seconds, curve)
        ratio = ours_error / theirs
        rows.append(row(f"{what}, MM-PDE / solver in the same time", ratio, seconds=ours_seconds))
    return rows


def at_equal_time(seconds: float, curve: list[tuple[float, float]]) -> float:
    """Error after so many seconds, from pairs of seconds and errors, between them in logarithms.

    Before the first pair and after the last it is theirs.

    >>> round(at_equal_time(10.0, [(1.0, 1.0), (100.0, 0.01)]), 12)
    0.1
    """
    spent, wrong = np.array(sorted(curve)).T
    return float(np.exp(np.interp(np.log(seconds), np.log(spent), np.log(np.minimum.accumulate(wrong)))))


def _ours(runner: Runner, case: Case, i: int) -> tuple[float, float]:
    """Seconds, and the error of the last frame."""
    began = CPU()
    last = runner.frames(i, 0, case.horizon)[-1]
    return CPU() - began, case.field_error(i, case.horizon, [last])


def _theirs(made: tuple[Callable[[], Array], Callable[[Array], Array]], case: Case, i: int) -> tuple[float, float]:
    """The same; bringing that frame to the fine mesh takes no time."""
    last, on_fine = made
    began = CPU()
    end = last()
    return CPU() - began, case.fine_error(i, case.horizon, on_fine(end)[None])


def coarse_burgers(case: Case, i: int, cells: int) -> tuple[Callable[[], Array], Callable[[Array], Array]]:
    """The last frame from cells x cells, and what brings it to the nodes (n, 1) of the data's solver; by splines."""
    n, fine = round(len(case.test.points) ** 0.5), case.options["cells"] + 1
    x, y, z = np.linspace(0, 1, n), np.linspace(0, 1, cells + 1), np.linspace(0, 1, fine)
    start = RectBivariateSpline(x, x, case.values[i, 0, :, 0].reshape(n, n))(y, y)
    end, viscosity = case.test.times[[case.horizon]], case.attributes(i)[0]

    def last() -> Array:
        return next(burgers_frames(start, end, viscosity))

    return last, lambda u: RectBivariateSpline(y, y, u)(z, z).reshape(-1, 1)


def coarse_wake(case: Case, i: int, size: float) -> tuple[Callable[[], Array], Callable[[Array], Array]]:
    """The last frame from a coarser mesh and as much longer steps, and what brings it to the nodes (n, 3) of the data's
    solver; linear interpolation to that mesh, and from its once refined one.

    Steps are halved until the flow does not blow up. The data have no pressure, so it starts from zero.
    """
    fine = case.test.finer
    assert fine is not None
    mesh = wake_mesh(size, sides=case.options.get("sides", 48))
    grid = skfem_mesh(mesh)
    interval = float(case.test.times[1])
    dt = case.options["dt"] * size / case.options.get("size", 0.215)
    names, there = case.train.fields, PointLocator(case.test.mesh)
    velocity = [names.index(k) for k in ("u", "v")]
    back = PointLocator(refined_wake_mesh(mesh, grid)).find(fine.points.T)

    def begun(steps: int) -> Flow:
        flow = wake_flow(grid, case.attributes(i)[0], interval / steps)
        start = case.values[i, 0][:, velocity]
        flow.start(lambda x: tuple(there.interpolate(start, x).T))  # type: ignore[arg-type, return-value]
        flow.vorticity()
        return flow

    steps = max(1, int(np.ceil(interval / dt - 1e-9)))
    while not _stable(begun(steps), steps * case.horizon):
        steps *= 2
    flow = begun(steps)

    def last() -> Array:
        flow.step(steps * case.horizon)
        fields = {"vorticity": flow.vorticity(), "u": flow.velocity[0], "v": flow.velocity[1]}
        return np.stack([fields[k] for k in names], axis=1)

    return last, back.interpolate


def _stable(flow: Flow, steps: int) -> bool:
    try:
        flow.step(steps)
    except FlowError:
        return False
    return True
