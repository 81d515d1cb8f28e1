"""The mover of a rollout: no inverted cell, nothing to do for a constant, both movers by name."""

import numpy as np
import pytest

from meshmove.geometry import inverted_cells
from meshmove.motion.frames import Moving, mover_of
from meshmove.movers import MongeAmpere
from tests.shapes import box, front

KINDS = ["triangle", "quad", "mixed 2-D", "tetra"]


def cells_of(kind):
    return box(kind, 12 if kind != "tetra" else 5, 0.1)


@pytest.mark.parametrize("kind", KINDS)
def test_nodes_gather_on_a_front_that_passes_and_no_cell_is_inverted(kind):
    mesh = cells_of(kind)
    moving, start = Moving(mesh), None
    for at in (0.3, 0.5, 0.7):
        u = np.tanh(15 * (mesh.points[:, 0] - at))
        start = moving(u, start)
        assert not len(inverted_cells(mesh, start))
        assert np.abs(start[:, 0] - at).mean() < np.abs(mesh.points[:, 0] - at).mean()
        assert start.min() > -1e-9 and start.max() < 1 + 1e-9


@pytest.mark.parametrize("mover", ["monge-ampere", "dmm"])
def test_both_movers_work_and_a_constant_moves_nothing(mover):
    mesh = cells_of("triangle")
    moving = Moving(mesh, mover=mover)
    assert np.array_equal(moving(np.full(mesh.n_points, 3.0)), mesh.points)
    moved = moving(front(mesh.points.T))
    assert not len(inverted_cells(mesh, moved)) and np.abs(moved - mesh.points).max() > 0.01
    again = moving(front(mesh.points.T), moved)  # from where it is, it hardly moves
    assert np.abs(again - moved).max() < 0.5 * np.abs(moved - mesh.points).max()


def test_several_fields_decide_together():
    mesh = cells_of("triangle")
    u = np.stack([front(mesh.points.T), np.zeros(mesh.n_points)], axis=1)
    assert np.allclose(Moving(mesh)(u), Moving(mesh)(u[:, :1]), atol=1e-2)


def test_the_unit_of_length_does_not_matter():
    mesh = cells_of("triangle")
    u = front(mesh.points.T)
    far = type(mesh)(1000 * mesh.points + 5000, mesh.blocks)
    assert np.allclose((Moving(far)(u) - 5000) / 1000, Moving(mesh)(u), atol=1e-6)


def test_movers_are_known_by_name():
    own = MongeAmpere()
    assert mover_of(own) is own
    with pytest.raises(ValueError, match=r"'dmm' or 'monge-ampere' \(got 'best'\)"):
        mover_of("best")
