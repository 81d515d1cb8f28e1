r"""A solver of one's own, corrected: what a wind carries round and what spreads, by scikit-fem on 24 x 24 squares.

    python -m benchmarks.mmpde.own_solver [--quick] [--steps N] [--json FILE]

    u_t + w . grad u = k laplace u,  w = pi (1/2 - y, x - 1/2),  u = 0 on the boundary of the unit square,

by linear triangles and Crank and Nicolson's steps, one a frame. The truth is the same on 96 x 96 with six steps a
frame. Errors are relative L2 errors after 30 frames, half a turn, of bicubic splines through nodal values, as means
over trajectories that training had not; seconds are the processor's. Matrices are factored once, outside of the clock,
so that a step of the solver is hardly more than reading them.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.harness import CPU, Rows, machine, row, table
from benchmarks.mmpde.beside import at_equal_time
from benchmarks.mmpde.corrected import off_as_field
from benchmarks.mmpde.families import delaunay, jiggled, mirrored
from benchmarks.mmpde.shifted import error

import numpy as np  # isort: skip
import skfem
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import splu
from skfem.helpers import dot, grad

from meshmove.geometry import CellMesh
from meshmove.solvers.data import Trajectories, TrajectoryDataset
from meshmove.solvers.fem.meshes import skfem_mesh
from meshmove.solvers.generators.burgers import burgers_mesh
from meshmove.solvers.mmpde import MMPDE, Config, Settings

__all__ = ["crank_nicolson", "run"]

BY_DEFAULT = False  #: a minute
COARSE, FINE, FRAMES, SUB = 24, 96, 30, 6
#: of diffusivity
SPREAD = 5e-4, 1e-2
#: cells a side and steps a frame of the solver in the same time
BESIDE = tuple((cells, steps) for cells in (24, 32, 40, 48, 64) for steps in (1, 2, 3))

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Beyond:
    """A diffusivity, the width and height of a Gaussian at the start (of none for a disc), and the mesh."""

    name: str
    spread: float = 2e-3
    width: float = 0.08
    height: float = 1.0
    mesh: Any = partial(burgers_mesh, COARSE)


#: what training had not: it knows one mesh, starts of some widths and heights, and a range of diffusivities
SHIFTED = (
    Beyond("diffusivity 1e-4", 1e-4),
    Beyond("diffusivity 0.03", 0.03),
    Beyond("diffusivity 0.1", 0.1),
    Beyond("height 5", height=5.0),
    Beyond("height 0.1", height=0.1),
    Beyond("a narrow Gaussian", width=0.03),
    Beyond("a wide Gaussian", width=0.2),
    Beyond("a disc", width=0.0),
    Beyond("mirrored diagonals", mesh=partial(mirrored, COARSE)),
    Beyond("jiggled by a quarter of a cell", mesh=partial(jiggled, COARSE, 0.25, 1)),
    Beyond("Delaunay's triangles", mesh=partial(delaunay, COARSE, 1)),
    Beyond("16 x 16 cells", mesh=partial(burgers_mesh, 16)),
    Beyond("40 x 40 cells", mesh=partial(burgers_mesh, 40)),
    Beyond("64 x 64 cells", mesh=partial(burgers_mesh, 64)),
)


@skfem.BilinearForm
def mass(u: Any, v: Any, w: Any) -> Any:
    return u * v


@skfem.BilinearForm
def carried(u: Any, v: Any, w: Any) -> Any:
    wind = np.pi * np.stack([0.5 - w.x[1], w.x[0] - 0.5])
    return dot(wind, grad(u)) * v + w.k * dot(grad(u), grad(v))


@lru_cache(maxsize=64)
def factors(mesh: CellMesh, dt: float, k: float) -> tuple[Any, Any, Any]:
    """What a step needs of a mesh, which is the same object from step to step."""
    basis = skfem.Basis(skfem_mesh(mesh), skfem.ElementTriP1())
    m, a, inner = mass.assemble(basis), carried.assemble(basis, k=k), basis.complement_dofs(basis.get_dofs())
    left, right = ((m + s * dt / 2 * a)[inner][:, inner] for s in (1, -1))
    return splu(left.tocsc()), right, inner


def crank_nicolson(
    mesh: CellMesh, fields: Mapping[str, Array], dt: float, attributes: Mapping[str, float]
) -> dict[str, Array]:
    """The solver as a user has it."""
    solver, right, inner = factors(mesh, dt, attributes["diffusivity"])
    u = np.zeros(mesh.n_points)
    u[inner] = solver.solve(right @ fields["u"][inner])
    return {"u": u}


def run(quick: bool, steps: int = 1500) -> Rows:
    """Train, and set the corrected solver beside the one alone, in the same frames and in the same time."""
    torch.set_num_threads(1)
    counts, cells = ((4, 1), COARSE) if quick else ((24, 6), FINE)
    train, test = (_truth(n, seed, cells) for seed, n in enumerate(counts))
    settings = Settings(attributes=("diffusivity",), width=32, layers=5)
    config = Config(settings, steps=steps, validate_every=max(1, steps // 5), unroll=2)
    began = CPU()
    with tempfile.TemporaryDirectory() as folder:
        data = TrajectoryDataset((train.on(burgers_mesh(COARSE)),))
        model = MMPDE(settings, base=crank_nicolson).fit(data, folder, config=config)
    spent = CPU() - began
    ours = _mean(partial(_ours, model), test)
    alone = {pair: _mean(partial(_theirs, *pair), test) for pair in (((COARSE, 1),) if quick else BESIDE)}
    same = alone[COARSE, 1]
    rows = [row("advection: corrected", ours[1], seconds=ours[0], training=spent)]
    rows += [row(f"advection: solver, {n} x {n}, {s} a frame", e, seconds=t) for (n, s), (t, e) in alone.items()]
    rows.append(row("advection: corrected / solver on the same mesh", ours[1] / same[1], "< 1", ours[1] < same[1]))
    if not quick:
        rows.append(row("advection: corrected / solver in the same time",
                        ours[1] / at_equal_time(ours[0], list(alone.values()))))  # fmt: skip
        rows += _shifted(model)
    return rows


def _shifted(model: MMPDE) -> Rows:
    """Errors at nodes beside those of the solver on the same mesh, on what training had not."""
    rows: Rows = []
    for case in SHIFTED:
        mesh, fine = case.mesh(), _mesh(FINE)
        away = np.linalg.norm(fine.points - (0.35, 0.6), axis=1)
        start = np.exp(-((away / case.width) ** 2) / 2) if case.width else (away < 0.15).astype(float)
        start = case.height * start * (4 * fine.points * (1 - fine.points)).prod(axis=1)
        given = np.stack([start, _frames(fine, start, case.spread, SUB)[-1]])[None]
        truth = (
            TrajectoryDataset.from_arrays(fine, [0, 1], {"u": given}).groups[0].on(mesh).fields["u"][0].astype(float)
        )
        last = model.rollout(mesh, truth[0], FRAMES, attributes={"diffusivity": case.spread}).last().values[:, 0]
        ours, alone = (error(mesh, u, truth[1]) for u in (last, _frames(mesh, truth[0], case.spread, 1)[-1]))
        rows.append(row(f"{case.name}: corrected / solver", ours / alone, corrected=ours, alone=alone))
    ratios = [r["measured"] for r in rows]
    rows.append(row("beyond training, median of corrected / solver", median(ratios)))
    rows.append(row("beyond training, worst of corrected / solver", max(ratios), "<= 1.05", max(ratios) <= 1.05))
    return rows


def _truth(n: int, seed: int, cells: int) -> Trajectories:
    mesh, rng = burgers_mesh(cells), np.random.default_rng(seed)
    spread = np.exp(rng.uniform(*np.log(SPREAD), n))
    fields = np.stack([_frames(mesh, _start(rng, mesh.points), k, SUB) for k in spread]).astype(np.float32)
    times = np.arange(FRAMES + 1) / FRAMES
    return TrajectoryDataset.from_arrays(mesh, times, {"u": fields}, {"diffusivity": spread}).groups[0]


def _start(rng: np.random.Generator, x: Array) -> Array:
    """One to three Gaussians that vanish on the boundary."""
    u = np.zeros(len(x))
    for _ in range(rng.integers(1, 4)):
        centre, width, height = rng.uniform(0.25, 0.75, 2), rng.uniform(0.05, 0.1), rng.uniform(0.5, 1)
        u += rng.choice([-1, 1]) * height * np.exp(-((x - centre) ** 2).sum(axis=1) / (2 * width**2))
    return u * (4 * x * (1 - x)).prod(axis=1)


def _frames(mesh: CellMesh, start: Array, k: float, steps: int) -> Array:
    """(FRAMES + 1, n) by so many steps a frame."""
    out = [start]
    for _ in range(FRAMES):
        u = out[-1]
        for _ in range(steps):
            u = crank_nicolson(mesh, {"u": u}, 1 / FRAMES / steps, {"diffusivity": k})["u"]
        out.append(u)
    return np.stack(out)


def _mean(run_of: Any, test: Trajectories) -> tuple[float, float]:
    """Seconds and error over the tests, of the second run, for which all is prepared."""
    found = np.array([[run_of(test, i) for i in range(len(test))] for _ in range(2)][1])
    seconds, error = found.mean(axis=0).tolist()
    return seconds, error


def _ours(model: MMPDE, test: Trajectories, i: int) -> tuple[float, float]:
    there, k = test.on(burgers_mesh(COARSE)), float(test.attributes["diffusivity"][i])
    trajectory = model.rollout(there.mesh, there.fields["u"][i, 0], FRAMES, attributes={"diffusivity": k})
    trajectory.last()  # graph and factors are kept
    began = CPU()
    last = trajectory.last().values[:, 0]
    return CPU() - began, _off(last, test, i)


def _theirs(cells: int, steps: int, test: Trajectories, i: int) -> tuple[float, float]:
    there, k = test.on(_mesh(cells)), float(test.attributes["diffusivity"][i])
    began = CPU()
    last = _frames(_mesh(cells), there.fields["u"][i, 0].astype(float), k, steps)[-1]
    return CPU() - began, _off(last, test, i)


_mesh = lru_cache(burgers_mesh)


def _off(values: Array, test: Trajectories, i: int) -> float:
    n, m = (round(len(v) ** 0.5) for v in (values, test.points))
    return off_as_field(values.reshape(n, n), test.fields["u"][i, -1].astype(float).reshape(m, m))


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="four trajectories, the truth on the same mesh")
    parser.add_argument("--steps", type=int, default=1500, help="of training, default: %(default)s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows to this file as well")
    args = parser.parse_args()
    rows = run(args.quick, args.steps)
    sys.stdout.write(table(rows) + "\n")
    if args.json:
        args.json.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1, default=str) + "\n")


if __name__ == "__main__":
    _main()
