"""The coarse level of fields: where a thin layer asks cells to come from far, and on meshes that have one."""

from __future__ import annotations

import numpy as np
import pytest
import skfem

import meshmove
from meshmove.geometry import CellMesh, Disk, PointLocator, Rectangle, inverted_cells
from meshmove.neural.aligning import single
from meshmove.neural.aligning.meshes import coarse as module
from tests.meshmove.neural.test_coarse import problem

HOLED = Rectangle((0, 0), (1, 1)) - Disk((0.5, 0.5), 0.2)


def square(n):
    return skfem.MeshTri.init_tensor(*[np.linspace(0, 1, n)] * 2)


def thin(x, n):
    return np.tanh(0.5 * n * (np.hypot(x[0] - 0.4, x[1] - 0.45) - 0.3))


def alone(mesh, field, **options):
    return meshmove.adapt(mesh, field, mover="dmm", effort=0.1, **options)


def gain(out):
    assert out.report.inverted_cells == 0 and not len(inverted_cells(out.cells, out.moved.points))
    return out.report.predicted_error_before / out.report.predicted_error_after


def test_cells_come_further_to_a_thin_layer_by_way_of_a_coarse_level(monkeypatch):
    mesh = square(120)
    far = {}
    for large in (10**9, 10**4):
        monkeypatch.setattr(module, "LARGE", large)
        far[large] = gain(alone(mesh, thin(mesh.p, 120)))
    assert far[10**4] > 1.2 * far[10**9]


@pytest.mark.parametrize("kind", ["triangle", "quad"])
def test_curved_boundaries_fixed_ones_and_squares(kind, monkeypatch):
    monkeypatch.setattr(module, "LARGE", 600)
    used = []
    monkeypatch.setattr(single, "carried_over", lambda *a: used.append(module.carried_over(*a)) or used[-1])
    if kind == "quad":
        mesh = skfem.MeshQuad.init_tensor(*[np.linspace(0, 1, 61)] * 2)
        assert gain(alone(mesh, thin(mesh.p, 61))) > 1.5
    else:
        mesh = HOLED.mesh(0.03)
        layer = np.tanh(15 * (mesh.points[:, 0] + mesh.points[:, 1] - 0.6))
        out = alone(mesh, layer)
        assert gain(out) > 1.3
        rim = np.abs(HOLED.signed_distance(mesh.points.T)) < 1e-9
        assert np.abs(HOLED.signed_distance(out.moved.points[rim].T)).max() < 2e-3  # the hole is a polygon
        held = alone(mesh, layer, boundary="fixed")
        assert gain(held) > 1.2 and not held.displacement[rim].any()
    assert len(used) and all(x is not None for x in used)


def test_meshes_that_are_small_graded_moved_or_have_interfaces_have_no_coarse_level(monkeypatch):
    monkeypatch.setattr(module, "LARGE", 400)
    mesh = HOLED.mesh(0.04)
    level = module.coarse_problem(problem(mesh))
    assert mesh.n_points / 12 < level.mesh.n_points < mesh.n_points / 4
    moved = mesh.points.copy()
    moved[np.linalg.norm(moved - 0.1, axis=1).argmin()] += 1e-4
    split = CellMesh(mesh.points, mesh.blocks, regions=(mesh.points[mesh.corners[0]].mean(1)[:, 0] > 0.8).astype(int))
    t = np.linspace(0, 1, 24) ** 3
    graded = skfem.MeshTri.init_tensor(t, t)
    graded = CellMesh.single(graded.p.T, graded.t.T, "triangle")
    for without in (problem(mesh, start=moved), problem(split), problem(graded)):
        assert module.coarse_problem(without) is None
    monkeypatch.setattr(module, "LARGE", 10**6)
    assert module.coarse_problem(problem(mesh)) is None


def test_what_is_sampled_at_coarse_vertices_is_the_fine_hessian():
    fine, small = square(21), square(6)
    cells = [CellMesh.single(m.p.T, m.t.T, "triangle") for m in (fine, small)]

    class Linear:
        def relative_hessians(self, x):
            return np.stack([np.stack([1 + x[:, 0], x[:, 1], x[:, 0] - x[:, 1]])] * 2)

    sampled = module.Sampled(Linear(), PointLocator(cells[0]), cells[1])
    for by in (0.0, 0.01):  # looked up, then followed
        there = 0.9 * cells[1].points + by
        assert np.allclose(sampled.relative_hessians(there), Linear().relative_hessians(there), atol=1e-12)
