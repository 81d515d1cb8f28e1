"""The errors of an example on the mesh as it was over those on the moved one, for `benchmarks.mpi.run`."""

from __future__ import annotations

import json
import sys


def in_scikit_fem() -> float:
    import numpy as np
    import skfem

    from examples.poisson_steep import l2_error, solve
    from meshmove import adapt_loop

    mesh = skfem.MeshTri.init_tensor(*[np.linspace(0, 1, 41)] * 2)
    return float(l2_error(mesh) / l2_error(adapt_loop(mesh, solve).mesh))


def in_dolfinx() -> float:
    from examples.dolfinx import poisson_steep

    return float(poisson_steep.main()["factor"])


if __name__ == "__main__":
    factor = {"skfem": in_scikit_fem, "dolfinx": in_dolfinx}[sys.argv[1]]()
    print("RESULT " + json.dumps({"factor": factor}), flush=True)
