"""Features: derivatives in closed form, and what they reproduce."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshmove.solvers.projection import Splines, Tanh
from meshmove.solvers.projection.features.analytic import Analytic
from meshmove.solvers.projection.features.singular import Local
from meshmove.solvers.projection.field import Expansion, Sum, Zero


def assert_derivatives(jets, X, step=1e-5, tol=1e-6):
    """Derivatives are those of the values, by central differences."""
    at = jets(X)
    for axis in (0, 1):
        d = np.zeros((2, 1))
        d[axis] = step
        high, low = jets(X + d), jets(X - d)
        scale = 1 + np.abs(at).max()
        assert np.abs((high[0] - low[0]) / (2 * step) - at[1 + axis]).max() < tol * scale
        assert np.abs((high[1 + axis] - low[1 + axis]) / (2 * step) - at[3 + axis]).max() < 10 * tol * scale


@given(st.integers(2, 9), st.integers(2, 9), st.integers(3, 7), st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_splines_are_a_partition_of_unity_with_true_derivatives(nx, ny, degree, seed):
    splines = Splines((nx, ny), degree)
    rng = np.random.default_rng(seed)
    X = rng.uniform(-0.99, 0.99, (2, 20))
    assert np.allclose(splines.expand(np.ones(splines.size), X)[0], 1)
    weights = rng.normal(size=splines.size)
    assert_derivatives(lambda X: splines.expand(weights, X), X, tol=1e-5)
    for k in range(5):
        unit = np.zeros((5, 20))
        unit[k] = 1
        assert np.allclose(splines.matrix(X, unit) @ weights, splines.expand(weights, X)[k])


def test_tanh_features_are_seeded_and_have_true_derivatives():
    X = np.random.default_rng(0).uniform(-1, 1, (2, 9))
    assert_derivatives(Tanh(30, seed=2).jets, X)
    assert np.array_equal(Tanh(30, seed=2).jets(X), Tanh(30, seed=2).jets(X))
    assert not np.array_equal(Tanh(30, seed=2).jets(X), Tanh(30, seed=3).jets(X))


def _analytic():
    none = complex(np.nan)
    n = 6
    return Analytic(
        np.array([[1.3], [0.7]]) * np.ones((1, n)),
        np.full(n, 0.1 + 0.2j),
        np.array([none, none, -0.5 - 0.3j, -0.5 - 0.3j, none, none]),
        np.full(n, np.exp(2j)),
        np.array([2 / 3, 4 / 3, 2 / 3, 1.0, 0.0, -2.0]),
        np.array([0, -np.pi / 2, 0, 1, 0, 1.0]),
        np.array([0, 1, 0, -1, 0, 0.0]),
    )


def test_analytic_features_and_their_cut_off_have_true_derivatives():
    X = np.random.default_rng(1).uniform(0.3, 0.8, (2, 9))
    assert_derivatives(_analytic().jets, X)
    local = Local(_analytic(), 1.5)
    at = local.support(X)
    assert_derivatives(local.jets, X[:, at])
    assert len(Local(_analytic(), 0.01).support(X)) == 0


def test_powers_without_conjugate_are_harmonic_in_their_own_plane():
    features = _analytic()
    jets = features.jets(np.random.default_rng(1).uniform(0.3, 0.8, (2, 9)))
    sX, sY = features.scale[:, :, None]
    laplacian = jets[3] / sX**2 + jets[4] / sY**2
    plain = features.conjugate < 1
    assert np.abs(laplacian[plain]).max() < 1e-10
    assert np.abs(laplacian[~plain]).max() > 1e-3


def test_fields_add_up():
    X = np.random.default_rng(0).uniform(-1, 1, (2, 5))
    tanh = Tanh(4, seed=1)
    field = Expansion(None, (tanh,), np.ones(4))
    assert np.allclose(field.jets(X), tanh.jets(X).sum(1))
    assert np.allclose(Sum((field, Zero(), field), (2.0, 5.0, -1.0)).jets(X), field.jets(X))


@pytest.mark.parametrize("cells", [(5, 9), (9, 5)])
def test_the_shorter_side_is_numbered_first(cells):
    splines = Splines(cells, 3)
    assert splines.band == 3 * (min(splines.sides) + 1) + 1
