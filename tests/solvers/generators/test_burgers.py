"""The Burgers solver: order against an exact solution, conservation, no new extrema, and seeded data."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshmove.geometry import FieldError
from meshmove.solvers.generators.burgers import burgers_frames, burgers_trajectories, random_field, travelling_wave


def torus(n):
    return np.stack(np.meshgrid(*[np.arange(n) / n] * 2, indexing="ij"))


def last(u0, end, viscosity, **options):
    return list(burgers_frames(u0, [end], viscosity, **options))[0]


@pytest.mark.parametrize("viscosity", [0.02, 0.005])
def test_second_order_against_the_cole_hopf_solution(viscosity):
    exact, errors = travelling_wave(viscosity), []
    for n in (24, 48, 96):
        x = torus(n)
        u = last(exact(x, 0.0), 0.5, viscosity, boundary="periodic")
        errors.append(np.linalg.norm(u - exact(x, 0.5)) / np.linalg.norm(exact(x, 0.5)))
    assert np.log2(errors[0] / errors[1]) > 1.9
    assert np.log2(errors[1] / errors[2]) > 1.9
    assert errors[2] < 0.0015


def test_the_exact_solution_solves_the_equation():
    nu, h, x = 0.03, 1e-3, torus(7)
    u = travelling_wave(nu)
    e = [np.array([1.0, 0.0])[:, None, None] * h, np.array([0.0, 1.0])[:, None, None] * h]
    slope = sum(u(x + d, 0.2) - u(x - d, 0.2) for d in e) / (2 * h)
    laplacian = sum(u(x + d, 0.2) - 2 * u(x, 0.2) + u(x - d, 0.2) for d in e) / h**2
    rate = (u(x, 0.2 + h) - u(x, 0.2 - h)) / (2 * h)
    np.testing.assert_allclose(rate + u(x, 0.2) * slope, nu * laplacian, atol=2e-4)


def test_walls_converge_to_themselves_at_second_order():
    ends = [last(random_field(n, np.random.default_rng(1)), 0.3, 0.02)[:: (n - 1) // 24, :: (n - 1) // 24]
            for n in (25, 49, 97)]  # fmt: skip
    assert np.log2(np.linalg.norm(ends[0] - ends[1]) / np.linalg.norm(ends[1] - ends[2])) > 1.7


@settings(max_examples=25)
@given(st.integers(0, 1000), st.sampled_from([0.0, 0.002, 0.02]))
def test_the_integral_stays_on_the_torus(seed, viscosity):
    u0 = random_field(24, np.random.default_rng(seed), boundary="periodic") + 0.3
    u = last(u0, 0.2, viscosity, boundary="periodic")
    assert abs(u.mean() - u0.mean()) < 1e-13


@settings(max_examples=25)
@given(st.integers(0, 1000), st.sampled_from([0.0, 0.002, 0.02]), st.sampled_from(["wall", "periodic"]))
def test_no_new_extrema_and_energy_falls(seed, viscosity, boundary):
    u0 = random_field(24, np.random.default_rng(seed), boundary=boundary)
    before = u0
    for u in burgers_frames(u0, [0.05, 0.1, 0.3], viscosity, boundary=boundary):
        assert u.max() <= before.max() + 1e-12 and u.min() >= before.min() - 1e-12
        assert (u**2).sum() <= (before**2).sum()
        before = u


def test_the_smaller_viscosity_makes_no_wiggles_on_the_default_grid():
    # layers are as thin as a cell or two; with wiggles the total variation would grow
    u0 = random_field(193, np.random.default_rng(1))
    variation = [sum(np.abs(np.diff(u, axis=a)).sum() for a in (0, 1))
                 for u in burgers_frames(u0, [0, 0.1, 0.25, 0.4], 0.002)]  # fmt: skip
    assert (np.diff(variation) < 0).all()


@settings(max_examples=25)
@given(st.integers(0, 1000))
def test_x_and_y_are_alike(seed):
    u0 = random_field(17, np.random.default_rng(seed))
    np.testing.assert_allclose(last(u0.T, 0.1, 0.01), last(u0, 0.1, 0.01).T, atol=1e-13)


def test_frames_do_not_depend_on_those_between_and_the_input_stays():
    u0 = random_field(33, np.random.default_rng(4))
    copy = u0.copy()
    direct, stops = last(u0, 0.4, 0.01), list(burgers_frames(u0, [0.0, 0.1, 0.2, 0.4], 0.01))
    np.testing.assert_array_equal(u0, copy)
    np.testing.assert_array_equal(stops[0], u0)
    assert np.linalg.norm(stops[-1] - direct) < 1e-4 * np.linalg.norm(direct)


def test_trajectories_are_seeded_and_do_not_depend_on_their_number():
    small = {"cells": 16, "stride": 2, "frames": 3, "end": 0.1}
    three, two = (burgers_trajectories(n, seed=5, viscosity=(0.01, 0.02), **small) for n in (3, 2))
    np.testing.assert_array_equal(three.fields["u"][:2], two.fields["u"])
    np.testing.assert_array_equal(three.attributes["viscosity"], [0.01, 0.02, 0.01])
    other = burgers_trajectories(2, seed=6, **small)
    assert not np.allclose(other.fields["u"], two.fields["u"])


@pytest.mark.parametrize("boundary", ["wall", "periodic"])
def test_sub_sampled_nodes_are_nodes_of_the_fine_grid(boundary):
    fine, coarse = (burgers_trajectories(1, cells=16, stride=s, frames=2, end=0.1, boundary=boundary) for s in (1, 4))
    ids = np.arange(17**2).reshape(17, 17)[::4, ::4].ravel()
    np.testing.assert_array_equal(fine.points[ids], coarse.points)
    np.testing.assert_array_equal(fine.fields["u"][..., ids], coarse.fields["u"])
    sides = np.concatenate(list(coarse.boundaries.values())).ravel()
    assert (np.isin(coarse.points[sides], (0, 1)).any(axis=1)).all()
    if boundary == "wall":
        assert not coarse.fields["u"][..., sides].any()
    else:
        grid = coarse.fields["u"].reshape(2, 5, 5)
        np.testing.assert_array_equal(grid[:, 0], grid[:, -1])


def test_bad_input_is_named():
    with pytest.raises(FieldError, match=r"square grid, at least 5 a side \(got shape \(4, 4\)\)"):
        burgers_frames(np.zeros((4, 4)), [1], 0.1)
    with pytest.raises(FieldError, match="Expected finite values"):
        burgers_frames(np.full((6, 6), np.nan), [1], 0.1)
    with pytest.raises(ValueError, match=r"at least 0 \(got -1\)"):
        burgers_frames(np.zeros((6, 6)), [1], -1)
    with pytest.raises(ValueError, match="'wall' or 'periodic' \\(got 'open'\\)"):
        burgers_frames(np.zeros((6, 6)), [1], 0.1, boundary="open")
    with pytest.raises(ValueError, match=r"increasing times from 0 on \(got 0.1 after 0.2\)"):
        list(burgers_frames(np.zeros((6, 6)), [0.2, 0.1], 0.1))
    with pytest.raises(ValueError, match="a stride that divides the cells .*stride=5"):
        burgers_trajectories(1, cells=16, stride=5)
