"""A second branch, on the moved mesh, on top of `burgers-corrected`: base steps there, or what a short training adds.

    python -m benchmarks.mmpde.second_branch [--quick] [--moves] [--steps N] [--train FOLDER] [--folder DIR]
                                             [--json FILE]

With `--moves` the base makes its steps on the moved mesh, too, and nothing is learned. Without, the branch learns from
trajectories of the usual viscosities and heights on the grid alone. Errors are relative L2 errors after
30 frames against finite volumes on 192 x 192 cells, as means over trajectories: at the nodes of the mesh, and of the
field as a function, which is linear on the moved mesh for two branches, and a bicubic spline for one; seconds are the
processor's. A training that was interrupted goes on; truths are kept in the folder.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from benchmarks.harness import CPU, Rows, machine, row, table
from benchmarks.mmpde import families
from benchmarks.mmpde.corrected import off_as_field
from benchmarks.mmpde.shifted import SHIFTED, USUAL, Shift, error

import numpy as np  # isort: skip
import torch
from numpy.typing import NDArray

from meshmove.geometry import PointLocator
from meshmove.solvers.data import Trajectories, TrajectoryDataset
from meshmove.solvers.generators.burgers import burgers_mesh, burgers_trajectories
from meshmove.solvers.generators.burgers_step import BurgersStep
from meshmove.solvers.mmpde import MMPDE, Config

__all__ = ["run", "train", "with_moves"]

BY_DEFAULT = False  #: minutes of training
#: trajectories that it learns from; layers of the branch
LEARNED, LAYERS = 16, 5
#: in distribution, and off in viscosity, height and start
CASES = (USUAL, *(c for c in SHIFTED if c.name in ("viscosity 0.001", "height 3", "a Gaussian")))

Array = NDArray[np.float64]


def train(folder: Path, data: Trajectories, steps: int) -> MMPDE:
    """`burgers-corrected` with a second branch; goes on where an interrupted run was."""
    torch.set_num_threads(1)
    model = MMPDE.from_pretrained("burgers-corrected", base=BurgersStep()).with_second_branch(LAYERS)
    config = Config(
        model.settings, steps=steps, ahead=0.0, unroll=2, validate_every=max(1, steps // 4), validation=8,
        patience=10**9,
    )  # fmt: skip
    learned = TrajectoryDataset((data.on(burgers_mesh(families.COARSE)),))
    return model.fit(learned, folder, config=config, start=model, accelerator="cpu")


def with_moves() -> MMPDE:
    """`burgers-corrected` whose base makes its steps on the moved mesh, too, where nothing corrects it yet."""
    one = MMPDE.from_pretrained("burgers-corrected", base=BurgersStep())
    return one.with_second_branch(LAYERS, base_moves=True)


def run(model: MMPDE, folder: Path, cases: tuple[Shift, ...] = CASES, cells: int = families.CELLS) -> Rows:
    """Of one branch and of the model with two; the truth is on so many cells."""
    one = MMPDE.from_pretrained("burgers-corrected", base=BurgersStep())
    rows: Rows = []
    for case in cases:
        truth = case.truth(folder, cells=cells)
        first, both = (_errors(m, case, truth) for m in (one, model))
        rows += [row(f"{case.name}: {what}", e["field"], **e) for what, e in (("one branch", first), ("two", both))]
        for kind in ("field", "nodes"):
            ratio = both[kind] / first[kind]
            limit = ("<= 0.8", ratio <= 0.8) if case is USUAL else (None, None)
            rows.append(row(f"{case.name}: two branches / one, {kind}", ratio, *limit))
    return rows


def _errors(model: MMPDE, case: Shift, truth: Trajectories) -> dict[str, float]:
    """Of the last frame, means over trajectories."""
    mesh, fine, found = truth.mesh, truth.finer, []
    assert fine is not None
    n, m = (round(len(t.points) ** 0.5) for t in (truth, fine))
    for i in range(len(truth)):
        u, nu = truth.fields["u"][i].astype(float), {"viscosity": float(truth.attributes["viscosity"][i])}
        began = CPU()
        last = model.rollout(mesh, u[0], case.frames, attributes=nu).last()
        spent, end = CPU() - began, fine.fields["u"][i, -1].astype(float)
        if last.there is None:
            off = off_as_field(last.values[:, 0].reshape(n, n), end.reshape(m, m))
        else:
            there = PointLocator(mesh.moved(last.moved).simplicial()).interpolate(last.there, fine.points.T)
            off = float(np.linalg.norm(there[:, 0] - end) / np.linalg.norm(end))
        found.append((off, error(mesh, last.values[:, 0], u[-1]), spent))
    return dict(zip(("field", "nodes", "seconds"), np.mean(found, axis=0).tolist(), strict=True))


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="four steps on two short trajectories, one case")
    parser.add_argument("--moves", action="store_true", help="the base on the moved mesh, without training")
    parser.add_argument("--steps", type=int, default=600, help="of training, default: %(default)s")
    parser.add_argument("--train", type=Path, default=Path("out/mmpde/second"), help="default: %(default)s")
    parser.add_argument("--folder", type=Path, default=Path("out/mmpde/data"), help="of truths, default: %(default)s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows to this file as well")
    args = parser.parse_args()
    if args.moves:
        rows = run(with_moves(), args.folder, CASES[:1] if args.quick else CASES)
    elif args.quick:
        with tempfile.TemporaryDirectory() as folder:
            few = burgers_trajectories(2, cells=48, stride=1, frames=11, end=1 / 3, viscosity=(0.005, 0.002))
            cases = (replace(USUAL, count=1, frames=5),)
            rows = run(train(Path(folder), few, 4), Path(folder), cases, 48)
    else:
        data = families.usual(families.USUAL, args.folder)[:LEARNED]
        rows = run(train(args.train, data, args.steps), args.folder)
    sys.stdout.write(table(rows) + "\n")
    if args.json:
        args.json.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1, default=str) + "\n")


if __name__ == "__main__":
    _main()
