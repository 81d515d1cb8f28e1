"""How nodes are moved for the second branch: followed, by the mover anew, by its network; what each costs and gives.

    python -m benchmarks.mmpde.movement [--quick] [--folder DIR] [--json FILE]

Of Burgers' equation, in distribution. The truth at the moved nodes says how good a mesh is for what is to be held
there; rollouts are those of `burgers` of the package, which learned on meshes by the classical mover. Errors are
relative L2 errors of fields, linear on the moved mesh; seconds of the processor are for one bundle, and for its move.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.harness import CPU, Rows, machine, row, table
from benchmarks.mmpde import families
from benchmarks.mmpde.cases import Case
from benchmarks.mmpde.shifted import USUAL

import numpy as np  # isort: skip
import torch
from numpy.typing import NDArray

from meshmove.geometry import CellMesh
from meshmove.motion.frames import Moving
from meshmove.neural import Neural
from meshmove.solvers.data import TrajectoryDataset
from meshmove.solvers.mmpde import MMPDE
from meshmove.solvers.mmpde.graph import Graph
from meshmove.solvers.mmpde.stepper import Now

__all__ = ["WAYS", "run"]

BY_DEFAULT = False  #: minutes for the truths
TESTS = 3

#: a name, and what moves the nodes of a mesh
WAYS: dict[str, Callable[[CellMesh], Moving]] = {
    "followed": Moving,
    "the mover anew": lambda mesh: Moving(mesh, steps=0),
    "the network alone": lambda mesh: Moving(mesh, mover=Neural(polish=0), steps=0),
    "the network, two steps of polish": lambda mesh: Moving(mesh, mover=Neural(polish=2), steps=0),
    "the network, ten steps of polish": lambda mesh: Moving(mesh, mover=Neural(), steps=0),
}


class _Clocked:
    """A mover that adds up what its moves cost."""

    def __init__(self, moving: Moving) -> None:
        self._moving, self.seconds = moving, []
        self.mesh, self.locator = moving.mesh, moving.locator

    def __call__(self, values: Any, start: Any = None) -> NDArray[np.float64]:
        began = CPU()
        points = self._moving(values, start)
        self.seconds.append(CPU() - began)
        return points


def run(quick: bool, folder: Path | None = None) -> Rows:
    """Each way on the same bundles; truths are kept in a folder, or made for this run alone."""
    with tempfile.TemporaryDirectory() as temporary:
        shift = replace(USUAL, count=1, frames=5) if quick else USUAL
        truth = shift.truth(folder or Path(temporary), cells=48 if quick else families.CELLS)[:TESTS]
    data = TrajectoryDataset((truth,))
    case = Case("burgers", data, data, truth, shift.frames, {})
    model = MMPDE.from_pretrained("burgers")
    rows: Rows = []
    for name, make in WAYS.items():
        held, rolled = _held(case, model.settings.bundle, make), _rolled(case, model, make)
        rows.append(row(f"{name}: truth at the moved nodes", held[0], seconds=held[1]))
        rows.append(row(f"{name}: rollout", rolled[0], seconds=rolled[1], moves=rolled[2]))
    base = {r["name"].split(": ")[1]: r for r in rows[:2]}
    for r in list(rows[2:]):
        what = r["name"].split(": ")[1]
        rows.append(row(f"{r['name']} / followed", r["measured"] / base[what]["measured"],
                        seconds=r["seconds"] / base[what]["seconds"]))  # fmt: skip
    return rows


def _held(case: Case, bundle: int, make: Callable[[CellMesh], Moving]) -> tuple[float, float]:
    """Error of the truth at the moved nodes, and seconds of a move; means over bundles one after the other."""
    moving = _Clocked(make(case.test.mesh))
    found = []
    for i in range(len(case.test)):
        points = None
        for k in range(0, case.horizon, bundle):
            points = moving(case.values[i, [k, k + bundle], :, 0].T, points)
            there = case.test.at(points, i, slice(k + 1, k + 1 + bundle)).astype(float)
            frames = [Now(case.values[i, k], points, v) for v in there]
            found.append(case.field_error(i, k + 1, frames))
    return float(np.mean(found)), median(moving.seconds)


def _rolled(case: Case, model: MMPDE, make: Callable[[CellMesh], Moving]) -> tuple[float, float, float]:
    """Error of the last frame, mean over trajectories, and seconds of a bundle and of its move."""
    graph, moving = Graph.of(case.test.mesh, model.settings.boundaries), _Clocked(make(case.test.mesh))
    found, seconds = [], []
    for i in range(len(case.test)):
        now = Now(case.values[i, 0], case.test.mesh.points)
        for _ in range(case.horizon // model.settings.bundle):
            began = CPU()
            now = model.advance(graph, now, case.attributes(i), moving)[-1]  # type: ignore[arg-type]
            seconds.append(CPU() - began)
        found.append(case.field_error(i, case.horizon, [now]))
    return float(np.mean(found)), median(seconds), median(moving.seconds)


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one bundle, the truth on the same mesh")
    parser.add_argument("--folder", type=Path, default=Path("out/mmpde/data"), help="of truths, default: %(default)s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows to this file as well")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = run(args.quick, args.folder)
    sys.stdout.write(table(rows) + "\n")
    if args.json:
        args.json.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1, default=str) + "\n")


if __name__ == "__main__":
    _main()
