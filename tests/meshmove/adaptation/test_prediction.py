"""Predicted errors are asked for again and again at the same positions."""

from __future__ import annotations

import numpy as np
import pytest
import skfem

from meshmove.adaptation.judging.prediction import REMEMBERED, Remembered
from meshmove.geometry import CellMesh, PointLocator, Slide, facets_of
from meshmove.monitors import NodalDensity
from meshmove.movers import Problem, cell_mass
from tests.shapes import box


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


def test_cells_that_went_far_have_the_monitor_of_where_they_are(monkeypatch):
    mesh = skfem.MeshTri().refined(4)
    cells = CellMesh.single(mesh.p.T, mesh.t.T, "triangle")
    density = NodalDensity(1 + mesh.p[0] + 2 * mesh.p[1], PointLocator(cells))
    away = cells.points[::-1]  # turned by half a turn: no cell is near where it was
    vertices, shape = away[cells.corners[0]], np.array([[1, 0.2], [0, 0.3], [0, 0.5]])
    x = np.einsum("mvd,vq->dmq", vertices, shape)
    for together in (1 << 14, 100):
        monkeypatch.setattr("meshmove.monitors.density.CELLS", together)
        assert np.allclose(density.inside(vertices, shape), 1 + x[0] + 2 * x[1], atol=1e-12)


def test_a_monitor_at_its_own_vertices_is_to_the_bit_what_was_given():
    mesh = box("triangle", 4, jitter=0.2)
    given = np.exp(mesh.points[:, 0])
    density = NodalDensity(given, PointLocator(mesh))
    at = density.value(mesh.points.T)
    assert np.array_equal(at, given)
    at[:] = 0  # which is no part of the monitor
    assert np.array_equal(density.value(mesh.points.T), given)


@pytest.mark.parametrize("kind", ["triangle", "tetra", "quad"])
def test_masses_are_the_same_where_the_cells_are_the_monitors_own_and_elsewhere(kind):
    mesh = box(kind, 4, jitter=0.2)
    order = np.random.default_rng(3).permutation(mesh.n_cells)
    other = CellMesh.single(mesh.points, mesh.blocks[0].nodes[order], kind)
    locator = PointLocator(mesh.simplicial())
    density = NodalDensity(1 + np.exp(3 * mesh.points[:, 0] * mesh.points[:, 1]), locator)
    own = (mesh.points, mesh.points + 0.02 * np.sin(np.pi * mesh.points))
    for reference in (mesh, other, mesh.moved(own[1])):
        facets = facets_of(reference)
        problem = Problem(reference, facets, Slide(reference, facets), density, reference.points, 1.0, True)
        for points in own:
            assert np.allclose(problem.mass(points), cell_mass(reference, points, density.value), rtol=1e-9)
    known = density.means(mesh, mesh.points)
    assert (known is None) == (kind == "quad") and density.means(other, mesh.points) is None
    assert density.means(mesh, own[1]) is None
