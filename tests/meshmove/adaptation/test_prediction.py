"""Predicted errors are asked for again and again at the same positions."""

from __future__ import annotations

import numpy as np
import skfem

from meshmove.adaptation.judging.prediction import REMEMBERED, Remembered
from meshmove.geometry import CellMesh, PointLocator
from meshmove.monitors import NodalDensity


def test_a_function_is_evaluated_once_at_positions_that_are_remembered():
    asked = []
    known = Remembered(lambda points: asked.append(1) or float(points.sum()))
    points = np.ones((3, 2))
    assert known(points) == known(points.copy()) == 6 and len(asked) == 1
    points[0] = 5.0  # what was asked for is not what the array holds now
    assert known(points) == 14 and known(np.ones((3, 2))) == 6 and len(asked) == 2
    for k in range(REMEMBERED):
        known(np.full((3, 2), float(k + 7)))
    known(np.ones((3, 2)))
    assert len(asked) == 3 + REMEMBERED


def test_cells_that_went_far_have_the_monitor_of_where_they_are():
    mesh = skfem.MeshTri().refined(4)
    cells = CellMesh.single(mesh.p.T, mesh.t.T, "triangle")
    density = NodalDensity(1 + mesh.p[0] + 2 * mesh.p[1], PointLocator(cells))
    away = cells.points[::-1]  # turned by half a turn: no cell is near where it was
    x = away[cells.corners[0]].transpose(2, 0, 1)
    assert np.allclose(density.clusters(x), 1 + x[0] + 2 * x[1], atol=1e-12)
