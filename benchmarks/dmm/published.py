"""The published Data-free Mesh Mover against ours on its own two data sets, Burgers' equation and a cylinder's wake.

Its metrics, on trajectories that were not used for training: standard deviation and range (largest less smallest) of
the monitor-weighted cell volumes m|K|, in units of their mean, and the relative L2 error of piecewise linear
interpolation, against the field on four times finer edges (Burgers) or the quadratic one (wake). The mesh of the wake
is graded, so there the first two say little of a mover: q = m|K|/|K0|, what every mover makes even, has its columns
too (q_std is the imbalance). Inverted cells, and frames that have some, are counted. All movers get its monitor.
Data go to out/data, checkpoints to checkpoints/published_dmm; both are made where they are not there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.harness import CPU, Rows, main, row, timed

import numpy as np  # isort: skip
import torch
from numpy.typing import NDArray

import meshmove
from benchmarks.dmm.published_dmm.case import Case, published_monitor
from benchmarks.dmm.published_dmm.train import Config, move, trained
from meshmove.geometry import CellMesh, PointLocator, cell_volumes, inverted_cells
from meshmove.movers import cell_mass
from meshmove.solvers.data.trajectories import Trajectories, cached
from meshmove.solvers.fem.meshes import skfem_mesh
from meshmove.solvers.generators.burgers import burgers_trajectories
from meshmove.solvers.generators.wake import wake_trajectories

Array = NDArray[np.float64]

#: movers of `adapt` that are compared; one that the package does not know is named and left out
MOVERS = ("monge-ampere", "dmm")
#: steps of Adam by branch: three minutes each on one core
STEPS = {"graph": 800, "grid": 2000}
DATA, CHECKPOINTS = "out/data", "checkpoints/published_dmm"


@dataclass(frozen=True)
class Bench:
    """A data set: fields to train with (f, n), and test fields on a finer mesh, some nodes of which are the mesh's."""

    name: str
    mesh: CellMesh
    train: NDArray
    fine: CellMesh
    test: NDArray
    nodes: NDArray[np.int64]
    branches: tuple[str, ...]


def burgers(quick: bool) -> Bench:
    """31 frames on 48 x 48 cells, sub-sampled from 192 x 192."""
    cells, stride, n = (48, 2, (4, 2)) if quick else (192, 4, (40, 10))
    kind = "quick" if quick else "full"
    train = cached(f"{DATA}/burgers-{kind}.npz", lambda: burgers_trajectories(n[0], seed=1, cells=cells, stride=stride,
                                                                              progress=True))  # fmt: skip
    test = cached(f"{DATA}/burgers-{kind}-test.npz", lambda: burgers_trajectories(n[1], seed=2, cells=cells, stride=1,
                                                                                  progress=True))  # fmt: skip
    nodes = np.arange((cells + 1) ** 2).reshape(cells + 1, -1)[::stride, ::stride].ravel()
    return _bench("burgers", "u", train, test, nodes, 10, ("graph", "grid"))


def wake(quick: bool) -> Bench:
    """30 frames of vorticity on one unstructured mesh, Re 100 to 200."""
    options = {"size": 0.5, "sides": 16, "dt": 0.025, "frames": 6, "settling": 2.0} if quick else {}
    n, kind = ((2, 1), "quick") if quick else ((10, 2), "full")
    train = cached(f"{DATA}/wake-{kind}.npz", lambda: wake_trajectories(n[0], seed=1, progress=True, **options))
    test = cached(
        f"{DATA}/wake-{kind}-test.npz",
        lambda: wake_trajectories(n[1], seed=2, refined=True, progress=True, **options),
    )
    return _bench("wake", "vorticity", train, test, np.arange(train.mesh.n_points), 5, ("graph",))


def _bench(
    name: str, field: str, train: Trajectories, test: Trajectories, nodes: NDArray, every: int, branches: tuple
) -> Bench:
    frames = test.fields[field][:, ::every]
    return Bench(
        name,
        train.mesh,
        train.fields[field].reshape(-1, len(train.points)),
        test.mesh,
        frames.reshape(-1, frames.shape[2]).astype(float),
        nodes,
        branches,
    )


class Judge:
    """The metrics of node positions for each test frame."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.coarse = bench.test[:, bench.nodes]
        self.monitor = published_monitor(bench.mesh, self.coarse.T).T
        self._on_mesh, self._on_fine = PointLocator(bench.mesh), PointLocator(bench.fine)
        self._volume = np.abs(cell_volumes(bench.mesh))
        volume = np.abs(cell_volumes(bench.fine))
        corners = bench.fine.blocks[0].nodes
        self._weight = np.bincount(corners.ravel(), np.repeat(volume / 3, 3), bench.fine.n_points)

    def density(self, frame: int) -> Callable[[Array], Array]:
        """The published monitor of a test frame, at points (2, n)."""
        values = self.monitor[frame]
        return lambda x: self._on_mesh.find(x).interpolate(values)

    def __call__(self, frame: int, points: Array) -> Array:
        """Deviation and range of m|K|, the same of m|K|/|K0|, interpolation error, inverted cells (6,)."""
        mesh, fine = self.bench.mesh, self.bench.fine
        mass = np.abs(cell_mass(mesh, points, self.density(frame)))
        q = mass / self._volume * (self._volume.sum() / mass.sum())
        mass = mass / mass.mean()
        spread = np.sqrt(self._volume @ (q - 1) ** 2 / self._volume.sum())
        exact = self.bench.test[frame]
        values = self._on_fine.find(points.T).interpolate(exact)
        error = PointLocator(mesh.moved(points)).find(fine.points.T).interpolate(values) - exact
        relative = np.sqrt((self._weight @ error**2) / (self._weight @ exact**2))
        inverted = len(inverted_cells(mesh, points))
        return np.array([mass.std(), np.ptp(mass), spread, np.ptp(q), relative, inverted])


def _row(name: str, found: list[Array], seconds: float, target: str | None = None, met: bool | None = None) -> dict:
    """Means over the frames; inverted cells in all."""
    mean = np.mean(found, axis=0)
    inverted = [int(f[5]) for f in found]
    return row(
        name,
        float(mean[0]),
        target,
        met,
        range=float(mean[1]),
        q_std=float(mean[2]),
        q_range=float(mean[3]),
        error=float(mean[4]),
        inverted=sum(inverted),
        frames=f"{np.count_nonzero(inverted)}/{len(found)}",
        ms=1000 * seconds,
    )


def _missing(grid: Any, mover: str) -> str:
    """Why a mover cannot take part, or nothing."""
    try:
        meshmove.adapt(grid, monitor=lambda x: 1 + x[0] ** 2, mover=mover, transfer=None)
    except (ValueError, meshmove.MeshmoveError) as error:  # not registered, or without weights
        return str(error).partition(" (")[0]
    return ""


def compare(bench: Bench, configs: dict[str, Config]) -> Rows:
    """Rows of one data set."""
    judge = Judge(bench)
    frames = range(len(bench.test))
    results = [_row(f"{bench.name}: uniform mesh", [judge(f, bench.mesh.points) for f in frames], 0.0)]
    training: Rows = []
    case = Case(bench.mesh, bench.train)
    published = []
    for branch in bench.branches:
        fit = trained(case, configs[branch], CHECKPOINTS, bench.name)
        seconds, points = timed(lambda fit=fit: move(case, fit.network, judge.coarse), clock=CPU)
        found = [judge(f, points[f]) for f in frames]
        published.append(np.mean(found, axis=0))
        results.append(_row(f"{bench.name}: published, {branch} branch", found, seconds / len(frames)))
        training.append(row(f"{bench.name}: training, {branch} branch (CPU s)", fit.seconds, loss=fit.history[-1][1]))
    grid = skfem_mesh(bench.mesh)
    for mover in MOVERS:
        missing = _missing(grid, mover)
        if missing:
            training.append(row(f"{bench.name}: {mover!r} left out: {missing}", 0.0, loss=0.0))
            continue
        found, total, handed = [], 0.0, 0
        for f in frames:
            seconds, out = timed(
                lambda f=f, mover=mover: meshmove.adapt(grid, monitor=judge.density(f), mover=mover, transfer=None),
                clock=CPU,
            )
            total += seconds
            handed += any("classical mover" in w for w in out.report.warnings)
            found.append(judge(f, np.ascontiguousarray(out.mesh.p.T)))
        mean, rival = np.mean(found, axis=0), np.min(published, axis=0)
        met = bool((mean[:2] < rival[:2]).all() and not mean[5])
        name = f"{bench.name}: {mover}" + f", {handed}/{len(found)} by the classical mover" * bool(handed)
        results.append(_row(name, found, total / len(found), "std, range < published", met))
    return results + training


def run(quick: bool = False) -> Rows:
    """Both data sets; `quick` takes small ones and hardly trains."""
    torch.set_num_threads(1)
    configs = {branch: Config(branch=branch, steps=steps) for branch, steps in STEPS.items()}
    if quick:
        configs = {b: replace(c, steps=20, bfgs_rounds=1, bfgs_steps=5) for b, c in configs.items()}
    return compare(burgers(quick), configs) + compare(wake(quick), configs)


if __name__ == "__main__":
    main(run)
