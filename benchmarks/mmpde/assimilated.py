"""Measurements that keep a corrected solver on track: `burgers-corrected`, started wrong.

    python -m benchmarks.mmpde.assimilated [--quick] [--weights FILE] [--folder DIR] [--json FILE] [--record]

Of the nodes 2 % are measured every fifth frame with noise of 5 % of the field's spread, always the same ones, the last
time at the last frame, 60, where errors are taken: relative L2 errors at nodes against finite volumes on 192 x 192
cells, medians over six trajectories and two draws of nodes and noise each. A wrong start is the
truth five frames late. Beside it the solver alone, which no network corrects.
"""

from __future__ import annotations

import tempfile
from copy import deepcopy
from pathlib import Path
from statistics import median

from benchmarks.harness import Rows, row
from benchmarks.mmpde.command import parser, written
from benchmarks.mmpde.parts import LATE, NOISE, SHARE
from benchmarks.mmpde.shifted import Shift, error

import numpy as np  # isort: skip
from numpy.typing import NDArray

from meshmove.geometry import CellMesh
from meshmove.solvers import MMPDE, BurgersStep
from meshmove.solvers.mmpde import Observation

__all__ = ["run"]

BY_DEFAULT = False  #: a minute for the truths
#: frames of a rollout, and between measurements; draws of nodes and noise
FRAMES, EVERY, DRAWS = 60, 5, 2
WALLS = ("left", "right", "bottom", "top")

Array = NDArray[np.float64]


def run(quick: bool, folder: Path | None = None, weights: str = "burgers-corrected") -> Rows:
    """The rows; truths are kept in a folder, or made for this run alone."""
    model, rows = MMPDE.from_pretrained(weights, base=BurgersStep()), []
    case = Shift("65 frames", frames=FRAMES + LATE, count=6)
    with tempfile.TemporaryDirectory() as temporary:
        truth = case.truth(folder or Path(temporary), *((1, 96) if quick else ()))
    for name, each in (("corrected", model), ("solver alone", uncorrected(model))):
        for late in (0, LATE):
            found = [_both(each, truth.mesh, *_of(truth, i), late, i) for i in range(len(truth))]
            alone, measured = median(free for free, _ in found), median(e for _, seen in found for e in seen)
            ratio = measured / alone
            start = f"start {late} frames late" if late else "right start"
            goal = ("<= 0.5", ratio <= 0.5) if late and each is model else (None, None)
            rows.append(row(f"{name}, {start}: with measurements / free", ratio, *goal, free=alone, seen=measured))
    return rows


def uncorrected(model: MMPDE) -> MMPDE:
    """The model without any correction: the base's own frames."""
    other = deepcopy(model)
    for p in other.still.decode[-1].parameters():
        p.data.zero_()
    return other


def _of(truth: object, i: int) -> tuple[Array, dict[str, float]]:
    """Frames (frames, n) and the viscosity."""
    return truth.fields["u"][i].astype(float), {"viscosity": float(truth.attributes["viscosity"][i])}  # type: ignore[attr-defined]


def _both(
    model: MMPDE, mesh: CellMesh, frames: Array, given: dict[str, float], late: int, seed: int
) -> tuple[float, list[float]]:
    """Error of the last frame of a free rollout, and of those with measurements."""
    path, end = model.rollout(mesh, frames[late], FRAMES, attributes=given), frames[FRAMES]
    seen = [observations(mesh, frames[: FRAMES + 1], [seed, draw]) for draw in range(DRAWS)]
    lasts = [model.assimilate(path, each, hold=WALLS).last() for each in seen]
    return error(mesh, path.last().values[:, 0], end), [error(mesh, f.values[:, 0], end) for f in lasts]


def observations(mesh: CellMesh, frames: Array, seed: list[int]) -> list[Observation]:
    """Noisy values at some nodes."""
    rng, noise = np.random.default_rng(seed), NOISE * float(frames.std())
    nodes = rng.choice(mesh.n_points, round(SHARE * mesh.n_points), replace=False)
    every = range(EVERY, len(frames), EVERY)
    values = [frames[k, nodes] + noise * rng.standard_normal(len(nodes)) for k in every]
    return [Observation(k, {"u": u}, noise, nodes=nodes) for k, u in zip(every, values, strict=True)]


def _main() -> None:
    args = parser(__doc__, "one trajectory, its truth on 96 x 96", "burgers-corrected").parse_args()
    written(run(args.quick, args.folder, args.weights), args, __file__)


if __name__ == "__main__":
    _main()
