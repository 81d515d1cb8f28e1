"""Splines on uneven cells: against SciPy's, and against the even ones."""

import numpy as np
from scipy.interpolate import BSpline

from meshmove.solvers.projection import Splines
from meshmove.solvers.projection.features.knots import Knots


def _uneven(cells=9, seed=0):
    inner = np.sort(np.random.default_rng(seed).uniform(-1, 1, cells - 1))
    return Knots(np.concatenate([[-1.0], inner, [1.0]]))


def test_jets_are_those_of_b_splines():
    knots, degree, rng = _uneven(), 6, np.random.default_rng(1)
    h = knots.lengths
    before, after = -1 - h[0] * np.arange(degree, 0, -1), 1 + h[-1] * np.arange(1, degree + 1)
    weights, s = rng.normal(size=knots.cells + degree), rng.uniform(-1, 1, 300)
    function = BSpline(np.concatenate([before, knots.breaks, after]), weights, degree)
    cell, jets = knots.jets(s, degree, 3)
    for order in range(3):
        mine = (jets[order] * weights[cell[:, None] + np.arange(degree + 1)]).sum(axis=1)
        theirs = function(s, nu=order)
        assert np.abs(mine - theirs).max() < 1e-11 * np.abs(theirs).max()


def test_even_knots_are_even_splines():
    X = np.random.default_rng(0).uniform(-1, 1, (2, 200))
    even, graded = Splines((8, 5)), Splines.graded((Knots.even(8), Knots.even(5)))
    (cell, jets), (other, same) = even.one_sided(X), graded.one_sided(X)
    assert (cell == other).all()
    assert np.allclose(jets, same, rtol=1e-11, atol=1e-11 * np.abs(jets).max())
    assert np.allclose(even.index(X), graded.index(X))
    assert np.allclose(graded.shares(0), 1)


def test_points_of_cells_are_counted_where_they_are():
    knots = _uneven()
    s = knots.nodes(np.array([-0.5, 0.0]))
    assert np.allclose(knots.index(s).reshape(-1, 2), np.arange(knots.cells)[:, None] + np.array([0.25, 0.5]))
    assert np.allclose(knots.index(np.array([-1.0, 1.0])), [0, knots.cells])
