"""A time stepper for simulations of your own, trained within a minute: data, `fit`, `rollout` beside the truth.

"vessels": a tracer is carried through random vessels with holes, each with a mesh and a flow of its own; tested in a
vessel that training never saw. "spots": Gray and Scott's reaction in a cube of tetrahedra; tested from another start.

    python examples/mmpde_own_data.py [--data vessels|spots] [--steps 1500] [--out DIR] [--small]
"""

import tempfile
from pathlib import Path

import numpy as np
import torch
import typer

from meshmove.solvers import MMPDE, TrajectoryDataset
from meshmove.solvers.generators.advection import advection_dataset
from meshmove.solvers.generators.gray_scott import gray_scott_trajectories
from meshmove.solvers.mmpde import Config, Settings


def data_of(name: str, small: bool) -> TrajectoryDataset:
    """Yours could come from `TrajectoryDataset.from_files("runs/*.xdmf")` or `from_arrays`."""
    if name == "vessels":
        return advection_dataset(*((3, 2) if small else (10, 4)), nodes=(300, 700), progress=True)
    return TrajectoryDataset((gray_scott_trajectories(4 if small else 10, cells=6 if small else 10, progress=True),))


def main(data: str = "vessels", steps: int = 1500, out: Path = Path("out"), small: bool = False) -> dict[str, float]:
    if data not in ("vessels", "spots"):
        raise typer.BadParameter(f"expected --data vessels or spots (got {data})")
    torch.set_num_threads(1)  # at this size more threads wait for each other
    everything = data_of(data, small)
    if data == "vessels":  # the last vessel is not trained on
        train, test = TrajectoryDataset(everything.groups[:-1]), everything.groups[-1]
    else:
        train, rest = everything.split(0.75 if small else 0.9)
        test = rest.groups[0]

    settings = Settings(fields=train.fields, dim=train.dim, layers=5)
    config = Config(settings, steps=steps, validate_every=max(1, steps // 5))
    with tempfile.TemporaryDirectory() as folder:  # one that stays lets an interrupted run go on
        model = MMPDE(settings).fit(train, folder, config=config, progress=True)

    fields = {name: values[0] for name, values in test.fields.items()}  # (frames, nodes) of the first trajectory
    start = {name: values[0] for name, values in fields.items()}
    given = {name: float(values[0]) for name, values in test.attributes.items()}
    rollout = model.rollout(test.mesh, start, len(test.times) - 1, attributes=given)
    print(rollout.report)

    shown = "v" if data == "spots" else "c"
    last, truth = rollout.last().values[:, train.fields.index(shown)], fields[shown][-1]
    numbers = {
        "error": float(np.linalg.norm(last - truth) / np.linalg.norm(truth)),
        "if nothing changed": float(np.linalg.norm(fields[shown][0] - truth) / np.linalg.norm(truth)),
    }
    for what, value in numbers.items():
        print(f"{what:20} {value:.3g}")
    out.mkdir(parents=True, exist_ok=True)
    rollout.animate(out / f"mmpde_{data}.gif", field=shown, exact=test)
    return numbers


if __name__ == "__main__":
    typer.run(main)
