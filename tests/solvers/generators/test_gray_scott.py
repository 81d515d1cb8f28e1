"""Gray-Scott on tetrahedra: orders against exact solutions, bounds, steady states, and seeded data."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from meshmove.geometry import FieldError, cell_volumes
from meshmove.solvers.generators.gray_scott import cube_mesh, gray_scott_frames, gray_scott_trajectories


def last(mesh, u0, v0, feed, kill, end, steps, **options):
    return list(gray_scott_frames(mesh, u0, v0, feed, kill, frames=2, interval=end, steps=steps, **options))[-1]


def test_second_order_in_space_against_a_decaying_mode():
    # without v: u = 1 - w, w_t = Du Laplace(w) - F w
    feed, diffusion, errors = 0.04, (0.1, 0.05), []
    for cells in (4, 8):
        mesh = cube_mesh(cells)
        x, y, _ = mesh.points.T
        w = np.cos(np.pi * x) * np.cos(np.pi * y)
        u, v = last(mesh, 1 - w, 0 * w, feed, 0.06, 0.5, 40)
        exact = w * np.exp(-(diffusion[0] * 2 * np.pi**2 + feed) * 0.5)
        errors.append(np.linalg.norm(1 - u - exact) / np.linalg.norm(exact))
        assert not v.any()
    assert np.log2(errors[0] / errors[1]) > 1.8 and errors[1] < 0.05


def test_second_order_in_time():
    mesh = cube_mesh(4, 4.0)
    x = mesh.points[:, 0]
    v = 0.4 * np.exp(-((x - 1) ** 2))
    ends = [np.concatenate(last(mesh, 1 - v, v, 0.04, 0.06, 20, s)) for s in (10, 20, 40, 80)]
    steps = [np.linalg.norm(a - b) for a, b in zip(ends, ends[1:], strict=False)]
    assert np.log2(steps[0] / steps[1]) > 1.7 and 1.8 < np.log2(steps[1] / steps[2]) < 2.3


def test_uniform_values_follow_the_ordinary_equations():
    feed, kill = 0.04, 0.06

    def rate(_, y):
        return [-y[0] * y[1] ** 2 + feed * (1 - y[0]), y[0] * y[1] ** 2 - (feed + kill) * y[1]]

    exact = solve_ivp(rate, (0, 30), [0.6, 0.4], rtol=1e-10, atol=1e-12).y[:, -1]
    mesh = cube_mesh(3)
    u, v = last(mesh, np.full(64, 0.6), np.full(64, 0.4), feed, kill, 30, 300)
    np.testing.assert_allclose([u, v], np.repeat(exact[:, None], 64, axis=1), rtol=1e-5)


@settings(max_examples=10, deadline=None)
@given(st.floats(0, 0.1), st.floats(0, 0.1), st.integers(1, 20))
def test_nothing_reacts_where_there_is_no_v(feed, kill, steps):
    u, v = last(cube_mesh(2), np.ones(27), np.zeros(27), feed, kill, 20.0, steps)
    np.testing.assert_allclose(u, 1, rtol=1e-12)
    assert not v.any()


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 100))
def test_diffusion_alone_keeps_the_integrals(seed):
    rng = np.random.default_rng(seed)
    mesh = cube_mesh(3)
    weight = np.zeros(mesh.n_points)
    np.add.at(weight, mesh.blocks[0].nodes, cell_volumes(mesh)[:, None] / 4)
    u0 = rng.random(64)
    u, _ = last(mesh, u0, np.zeros(64), 0, 0, 0.1, 5)
    assert abs(weight @ u - weight @ u0) < 1e-14 and np.ptp(u) < np.ptp(u0)


def test_data_stay_in_bounds_and_form_patterns():
    data = gray_scott_trajectories(6, seed=1, cells=8, refine=1)
    u, v = data.fields["u"], data.fields["v"]
    assert u.min() > 0 and u.max() < 1 + 1e-6 and v.min() > -1e-6 and v.max() < 1
    assert (v[:, -1].max(axis=1) > 0.1).all()  # they live
    assert np.median(v[:, -1].mean(axis=1) / v[:, 0].mean(axis=1)) > 2
    change = np.linalg.norm(np.diff(v, axis=1), axis=2) / np.linalg.norm(v[:, 1:], axis=2)
    assert change.max() < 1 and np.median(change) > 0.01
    assert set(data.attributes) == {"feed", "kill"} and len(data.boundaries) == 6
    assert (cell_volumes(data.mesh) > 0).all() and np.isclose(cell_volumes(data.mesh).sum(), 7.5**3)


def test_steps_are_short_enough():
    rough, fine = (gray_scott_trajectories(1, cells=6, refine=1, steps=s).fields["v"] for s in (5, 20))
    assert np.linalg.norm(rough[0, -1] - fine[0, -1]) < 5e-3 * np.linalg.norm(fine[0, -1])


def test_refined_cells_keep_the_nodes_of_the_mesh():
    coarse, fine = (gray_scott_trajectories(1, cells=3, frames=2, refine=r) for r in (1, 3))
    np.testing.assert_array_equal(coarse.points, fine.points)
    for name in ("u", "v"):
        np.testing.assert_array_equal(coarse.fields[name][0, 0], fine.fields[name][0, 0])
    again = gray_scott_trajectories(1, cells=9, frames=2, refine=1)
    ids = [int(np.argmin(np.linalg.norm(again.points - x, axis=1))) for x in fine.points]
    np.testing.assert_array_equal(again.fields["v"][..., ids], fine.fields["v"])


def test_trajectories_are_seeded_and_do_not_depend_on_their_number():
    three, two = (gray_scott_trajectories(n, seed=2, cells=3, frames=3) for n in (3, 2))
    for name in ("u", "v"):
        np.testing.assert_array_equal(three.fields[name][:2], two.fields[name])
    assert not np.array_equal(three.fields["v"][0], three.fields["v"][1])


def test_bad_input_is_named():
    mesh, one = cube_mesh(1), np.ones(8)
    options = {"frames": 2, "interval": 1.0}
    with pytest.raises(FieldError, match=r"8 finite values \(got an array of shape \(3,\)\)"):
        gray_scott_frames(mesh, np.ones(3), one, 0.1, 0.1, **options)
    with pytest.raises(ValueError, match="feed=-1"):
        gray_scott_frames(mesh, one, one, -1, 0.1, **options)
    with pytest.raises(ValueError, match="steps=0"):
        gray_scott_frames(mesh, one, one, 0.1, 0.1, steps=0, **options)
    with pytest.raises(FieldError, match=r"blew up before frame 1\); take more steps"):
        list(gray_scott_frames(mesh, one, 1e3 * one, 0.1, 0.1, **options))
    with pytest.raises(ValueError, match=r"at least one trajectory .*\(got 0, 2\)"):
        gray_scott_trajectories(0)
    with pytest.raises(ValueError, match=r"at least one cell and a positive side \(got 0, 1.0\)"):
        cube_mesh(0)
