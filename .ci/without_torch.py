"""In an environment without torch all that is classical runs, and what is neural names the extra that it needs."""

from __future__ import annotations

import importlib.util
import sys

import numpy as np
import skfem

import meshmove
from meshmove.solvers import PROBLEMS, solve_poisson

NEURAL = {"DMM", "MeshBatch", "Neural", "WeightsError"}


def main() -> int:
    if importlib.util.find_spec("torch") is not None:
        print("Expected an environment without torch (it is there)")
        return 1
    ring = PROBLEMS["ring"]
    loop = meshmove.adapt_loop(ring.mesh(12), lambda mesh: solve_poisson(mesh, ring.source, ring.exact))
    moving = meshmove.MovingMesh(skfem.MeshTri().refined(3))
    moving.start(lambda x: np.tanh(9 * (x[0] - 0.4)))
    moving.step(np.tanh(9 * (moving.mesh.p[0] - 0.5)), dt=0.1)
    said = []
    for name in sorted(meshmove.__all__):
        try:
            getattr(meshmove, name)
        except ImportError as error:
            said += [name] if 'pip install "meshmove[neural]"' in str(error) else []
    try:
        meshmove.adapt(ring.mesh(4), lambda x: x[0] ** 2, mover="dmm")
    except meshmove.MeshmoveError as error:
        named = "meshmove[neural]" in str(error)
    if not named or set(said) != NEURAL:
        print(f"Expected {sorted(NEURAL)} and mover='dmm' to name their extra (got {said}, {named})")
        return 1
    print(f"without torch: {loop!r}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
