"""The ranges of what the shipped time steppers were trained on, written into the files with their weights.

`python -m benchmarks.mmpde.seen` makes the training data anew (six minutes; they are kept in `--folder`), by the
generators and seeds that the models' cards name, and leaves the weights as they are.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from meshmove.learning.weights import read_weights, write_weights
from meshmove.solvers.data import TrajectoryDataset, cached
from meshmove.solvers.generators.burgers import burgers_mesh, burgers_trajectories
from meshmove.solvers.generators.wake import wake_trajectories
from meshmove.solvers.mmpde.network import FOLDER, KIND
from meshmove.solvers.mmpde.prior.seen import Seen


def _burgers(folder: Path) -> TrajectoryDataset:
    options = {"seed": 11, "stride": 1, "viscosity": (0.005, 0.002)}
    fine = cached(folder / "burgers-fine.npz", lambda: burgers_trajectories(80, progress=True, **options))
    return TrajectoryDataset((fine,)).on(burgers_mesh(48))


def _cylinder(folder: Path) -> TrajectoryDataset:
    wake = cached(folder / "wake.npz", lambda: wake_trajectories(16, frames=31, progress=True))
    return TrajectoryDataset((wake,)).without("strouhal")


MODELS: dict[str, Callable[[Path], TrajectoryDataset]] = {
    "burgers": _burgers,
    "burgers-still": _burgers,
    "cylinder": _cylinder,
}


def write_seen(name: str, data: TrajectoryDataset) -> Seen:
    """Write what a shipped model has seen of its training data into the file with its weights."""
    settings, tensors = read_weights(name, KIND, FOLDER)
    seen = Seen.of(data, int(str(settings["layers"])))
    write_weights(FOLDER / f"{name}.safetensors", KIND, {**settings, "seen": seen.as_json()}, tensors)
    return seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(MODELS)}; by default all")
    parser.add_argument("--folder", type=Path, default=Path("checkpoints/mmpde-seen"), help="for the data")
    given = parser.parse_args()
    unknown = [name for name in given.names if name not in MODELS]
    if unknown:
        parser.error(f"expected names of {list(MODELS)} (got {unknown})")
    for name in given.names or MODELS:
        train, _ = MODELS[name](given.folder).split(0.9, seed=0)
        for what, ranges in write_seen(name, train).as_json().items():
            print(f"{name}  {what}  {ranges}")


if __name__ == "__main__":
    main()
