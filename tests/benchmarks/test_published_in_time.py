"""Published tasks in time: the scheme against solutions that are known."""

from __future__ import annotations

import numpy as np
import pytest
import skfem

from benchmarks.published.in_time import MOVERS, Flow
from meshmove.solvers.fem.poisson import l2_error

MESH = skfem.MeshTri.init_tensor(*[np.linspace(0, 1, 9)] * 2)


@pytest.mark.parametrize("options", MOVERS.values(), ids=MOVERS)
def test_a_ramp_under_burgers_stays_one_also_on_a_mesh_that_follows(options):
    flow = Flow(lambda x: x[0], lambda x, u, t: np.stack([u, 0 * u]), 0.0, 0.2, rounds=6)
    mesh, u, _ = flow.followed(MESH, 8, options)
    assert np.allclose(u, mesh.p[0] / 1.2, atol=1e-4)


def test_a_bump_is_carried_in_second_order():
    def bump(x, t=0.0):
        return np.exp(-60 * ((x[0] - 0.35 - t) ** 2 + (x[1] - 0.5) ** 2))

    flow = Flow(bump, lambda x, u, t: np.stack([1 + 0 * x[0], 0 * x[0]]), 0.0, 0.2)
    errors = []
    for n in (16, 32):
        mesh = skfem.MeshTri.init_tensor(*[np.linspace(0, 1, n + 1)] * 2)
        errors.append(l2_error(mesh, flow.fixed(mesh, n), lambda x: bump(x, 0.2)))
    assert errors[1] < 0.35 * errors[0]
