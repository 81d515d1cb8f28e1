"""The benchmark of measurements: what is observed, and that without corrections a model is its base."""

import numpy as np

from benchmarks.mmpde import assimilated
from meshmove.solvers import MMPDE, BurgersStep
from meshmove.solvers.generators.burgers import burgers_mesh


def test_observations_are_of_every_fifth_frame_at_the_same_nodes():
    mesh = burgers_mesh(20)
    frames = np.random.default_rng(0).standard_normal((13, mesh.n_points))
    seen = assimilated.observations(mesh, frames, [0, 1])
    assert [s.frame for s in seen] == [5, 10] and len(seen[0]) == round(0.02 * 441)
    assert np.array_equal(seen[0].nodes, seen[1].nodes)
    off = np.concatenate([s.values["u"] - frames[s.frame, s.nodes] for s in seen])
    assert 0.02 < off.std() / frames.std() < 0.1


def test_without_corrections_a_model_is_its_base():
    mesh, solver = burgers_mesh(10), BurgersStep()
    model = assimilated.uncorrected(MMPDE.from_pretrained("burgers-corrected", base=solver))
    u, given = np.sin(np.pi * mesh.points).prod(axis=1), {"viscosity": 0.01}
    last = model.rollout(mesh, u, 5, attributes=given).last().values[:, 0]
    for _ in range(5):
        u = solver(mesh, {"u": u}, 1 / 30, given)["u"]
    assert np.allclose(last, u, rtol=1e-6, atol=1e-9)
