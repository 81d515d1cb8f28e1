"""Trajectories as a symmetry of their equation has them."""

import numpy as np
import pytest

from meshmove.solvers.data import DatasetError, Symmetry
from meshmove.solvers.generators.burgers import burgers_mesh, burgers_trajectories
from meshmove.solvers.generators.burgers_step import BurgersStep

TURN = Symmetry(
    [[-1, 0], [0, -1]], [1, 1], {"u": -1}, {"left": "right", "right": "left", "top": "bottom", "bottom": "top"}
)


@pytest.fixture(scope="module")
def data():
    return burgers_trajectories(2, cells=16, stride=1, frames=3, end=0.2)


def test_twice_is_none_and_sides_stay_where_they_are(data):
    once = TURN(data)
    twice = TURN(once)
    assert np.allclose(twice.points, data.points) and np.array_equal(twice.fields["u"], data.fields["u"])
    for name, k, at in (("left", 0, 0), ("right", 0, 1), ("bottom", 1, 0), ("top", 1, 1)):
        assert np.allclose(once.points[once.boundaries[name], k], at)


def test_what_comes_out_solves_the_equation(data):
    turned, step = TURN(data), BurgersStep()
    u = step(turned.mesh, {"u": turned.fields["u"][0, 0].astype(float)}, 0.1, {"viscosity": 0.005})["u"]
    assert np.allclose(u, turned.fields["u"][0, 1], atol=1e-6)


def test_the_finer_mesh_goes_along(data):
    coarse = TURN(data.on(burgers_mesh(8)))
    where = np.random.default_rng(0).random((9, 2))
    assert np.allclose(coarse.at(where, 1), -data.at(1 - where, 1), atol=1e-6)


def test_what_does_not_fit_is_named(data):
    with pytest.raises(DatasetError, match="regular matrix"):
        Symmetry([[1, 1], [1, 1]], [0, 0])(data)
    with pytest.raises(DatasetError, match="regular matrix"):
        Symmetry([[1]], [0])(data)
    with pytest.raises(DatasetError, match=r"fields \['u'\].*'v'"):
        Symmetry(np.eye(2), [0, 0], {"v": 2})(data)
    with pytest.raises(DatasetError, match="stay apart"):
        Symmetry(np.eye(2), [0, 0], {}, {"left": "right"})(data)
