"""Incompressible flow: orders of convergence, exact flows, and the known frequency behind a cylinder."""

import numpy as np
import pytest
import skfem

from meshmove.geometry import aspect_ratio, cell_volumes
from meshmove.solvers.fem.flow import Flow, FlowError
from meshmove.solvers.fem.meshes import skfem_mesh
from meshmove.solvers.generators.wake import (
    PROBE,
    strouhal_law,
    strouhal_number,
    wake_flow,
    wake_mesh,
    wake_trajectories,
)


def square(n, side=1.0):
    return skfem.MeshTri.init_tensor(*[np.linspace(0, side, n + 1)] * 2).with_defaults()


def vortices(n, dt, end, nu=0.05, velocity_alone=False):
    """Relative error of the Taylor-Green vortices, which decay in a box that lets the fluid slip; and the flow."""

    def exact(x, t):
        fall = np.exp(-2 * nu * t)
        return np.sin(x[0]) * np.cos(x[1]) * fall, -np.cos(x[0]) * np.sin(x[1]) * fall

    slip = {"left": (0, None), "right": (0, None), "top": (None, 0), "bottom": (None, 0)}
    flow = Flow(square(n, np.pi), nu, dt, slip)
    flow.start(lambda x: exact(x, 0), lambda x: (np.cos(2 * x[0]) + np.cos(2 * x[1])) / 4)
    flow._before = np.array(exact(flow.points, -dt))
    if velocity_alone:
        flow.restart(flow.velocity)
    flow.step(round(end / dt))
    wrong = flow.velocity - np.array(exact(flow.points, end))
    return np.linalg.norm(wrong) / np.linalg.norm(flow.velocity), flow


def test_third_order_in_space():
    errors = [vortices(n, 0.01, 0.3)[0] for n in (4, 8, 16)]
    assert np.log2(errors[0] / errors[1]) > 2.8 and np.log2(errors[1] / errors[2]) > 2.8


def test_second_order_in_time():
    errors = [vortices(16, dt, 1.0)[0] for dt in (0.2, 0.1)]
    assert 1.7 < np.log2(errors[0] / errors[1]) < 2.3


def test_from_a_velocity_alone_pressure_and_rate_of_change_are_found():
    _, flow = vortices(16, 0.02, 0.0, velocity_alone=True)
    x, y = flow._p1.doflocs
    off = flow.pressure - (np.cos(2 * x) + np.cos(2 * y)) / 4
    assert np.abs(off - off.mean()).max() < 0.05
    rate = (flow.velocity - flow._before) / flow.dt
    assert np.linalg.norm(rate + 0.1 * flow.velocity) < 0.05 * np.linalg.norm(flow.velocity)
    # and it goes on nearly as exactly as one that is told them
    (told, _), (found, _) = (vortices(16, 0.05, 1.0, velocity_alone=alone) for alone in (False, True))
    assert found < 3 * told


def test_the_energy_of_vortices_decays_as_it_should():
    _, flow = vortices(12, 0.05, 1.0)
    assert np.isclose(flow.kinetic_energy(), np.pi**2 / 4 * np.exp(-4 * 0.05), rtol=2e-3)
    assert flow.divergence_norm() < 0.02
    x, y = flow.points
    exact = 2 * np.sin(x) * np.sin(y) * np.exp(-2 * 0.05)
    assert np.abs(flow.vorticity() - exact).max() < 0.06


def test_a_channel_keeps_its_parabola_and_loses_no_fluid():
    flow = Flow(square(4), 0.1, 0.05, {"left": (lambda x: 4 * x[1] * (1 - x[1]), 0), "top": (0, 0), "bottom": (0, 0)})
    flow.start(lambda x: (np.ones(x.shape[1]), np.zeros(x.shape[1])))
    flow.step(400)
    np.testing.assert_allclose(flow.velocity[0], 4 * flow.points[1] * (1 - flow.points[1]), atol=1e-9)
    np.testing.assert_allclose(flow.velocity[1], 0, atol=1e-9)
    x, y = flow.mesh.p
    inner = (x > 0.1) & (x < 0.9) & (y > 0.1) & (y < 0.9)  # a cell with two sides on the wall leaves its corner open
    assert np.ptp(flow.pressure[inner] + 0.8 * x[inner]) < 1e-9


def test_the_mesh_has_its_boundaries_and_good_cells():
    mesh = wake_mesh()
    assert 2300 < mesh.n_points < 2700
    assert (cell_volumes(mesh) > 0).all() and aspect_ratio(mesh).max() < 6
    length = {
        name: np.linalg.norm(mesh.points[f[:, 0]] - mesh.points[f[:, 1]], axis=1).sum()
        for name, f in mesh.facets.items()
    }
    assert np.isclose(length["inlet"], 10) and np.isclose(length["outlet"], 10) and np.isclose(length["walls"], 32)
    assert np.isclose(length["cylinder"], np.pi, rtol=1e-3)
    np.testing.assert_array_equal(wake_mesh().points, mesh.points)
    grid = skfem_mesh(mesh)
    assert {k: len(v) for k, v in grid.boundaries.items()} == {k: len(v) for k, v in mesh.facets.items()}


def test_the_frequency_of_shedding_is_the_known_one():
    # coarse and short; a tenth of the channel is blocked, and the stream faster by at most that
    dt = 0.02
    flow = wake_flow(wake_mesh(0.5, sides=24), 150, dt)
    probe = np.argmin(((flow.points - np.array(PROBE)[:, None]) ** 2).sum(axis=0))
    flow.step(1000)
    signal = []
    for _ in range(750):
        flow.step()
        signal.append(flow.velocity[1, probe])
    assert np.ptp(signal) > 0.8
    known = strouhal_law(150)
    assert 0.97 * known < strouhal_number(signal, dt) < known / (1 - 0.1)


def test_trajectories_are_seeded_and_the_refined_ones_begin_with_the_mesh():
    options = {"size": 0.8, "sides": 16, "frames": 2, "interval": 0.1, "dt": 0.02, "development": 0.4, "settling": 0.2}
    data, again, refined = (wake_trajectories(2, seed=3, refined=r, **options) for r in (False, False, True))
    n = len(data.points)
    assert n == wake_mesh(0.8, sides=16).n_points and set(data.fields) == {"vorticity", "u", "v"}
    for name, values in data.fields.items():
        np.testing.assert_array_equal(values, again.fields[name])
        np.testing.assert_array_equal(values, refined.fields[name][..., :n])
    np.testing.assert_array_equal(refined.points[:n], data.points)
    assert refined.mesh.n_cells == 4 * data.mesh.n_cells
    assert np.isclose(cell_volumes(refined.mesh).sum(), cell_volumes(data.mesh).sum())
    assert ((data.attributes["reynolds"] > 100) & (data.attributes["reynolds"] < 200)).all()
    cylinder = np.unique(data.boundaries["cylinder"])
    assert not data.fields["u"][..., cylinder].any()


def test_bad_input_is_named():
    mesh = square(2)
    with pytest.raises(ValueError, match=r"positive viscosity and time step \(got 0, 0.1\)"):
        Flow(mesh, 0, 0.1, {})
    with pytest.raises(ValueError, match=r"boundaries of the mesh.*got \['door'\]"):
        Flow(mesh, 1, 0.1, {"door": (0, 0)})
    with pytest.raises(ValueError, match=r"positive Reynolds number \(got -5\)"):
        wake_flow(wake_mesh(0.8), -5)
    with pytest.raises(ValueError, match=r"multiple of dt .*interval=0.25, dt=0.02"):
        wake_trajectories(1, interval=0.25, dt=0.02)
    with pytest.raises(ValueError, match="1 crossings"):
        strouhal_number(np.arange(10.0), 0.1)


def test_a_step_that_is_too_long_is_named():
    flow = wake_flow(wake_mesh(0.8, sides=16), 200, 0.5)
    with pytest.raises(FlowError, match="take dt < 0.5"):
        flow.step(200)
