"""Kinks at interfaces are no curvature: derivatives on each side, monitors and predictions that know the sides."""

import numpy as np
import pytest
import skfem

import meshmove
from meshmove.adaptation.choice import Predictor
from meshmove.geometry import CellMesh, PointLocator, Sides
from meshmove.monitors import Recovery, solution_error
from tests.shapes import ALL_KINDS, box, turn

AT = 0.5
every_kind = pytest.mark.parametrize("kind", ALL_KINDS)


def centres(mesh):
    return np.concatenate([mesh.points[b.nodes].mean(axis=1) for b in mesh.blocks])


def halves(kind, n=6, jitter=0.0):
    """The unit square or cube in two regions that meet at x = 0.5."""
    mesh = box(kind, n, jitter)
    mesh = CellMesh(mesh.points, mesh.blocks, regions=np.where(centres(mesh)[:, 0] < AT, 5, -2))
    return mesh if not jitter else mesh.moved(np.where(abs(mesh.points - AT) < 0.4 / n, AT, mesh.points))


def junction(kind):
    """The unit square or cube in three regions about x = y = 0.5, and a field that is linear in each of them."""
    mesh = box("quad" if kind == "triangle" else "hexahedron", 4)
    block = mesh.blocks[0]
    mesh = CellMesh.single(mesh.points, block.nodes[:, block.kind.simplices].reshape(-1, mesh.dim + 1), kind)

    def planes(points):
        x, y = (points - AT).T[:2]
        return np.stack([-3 * x, -3 * y, 0 * x]) + points[:, -1]

    regions = planes(centres(mesh)).argmax(axis=0)
    return CellMesh(mesh.points, mesh.blocks, regions=regions), planes(mesh.points).max(axis=0)


# -- sides ------------------------------------------------------------------------------------------------------------


@every_kind
def test_each_part_has_its_own_vertices(kind):
    mesh = halves(kind)
    sides = Sides.of(mesh)
    on = mesh.points[:, 0] == AT
    assert not sides.whole and len(sides.vertex) == mesh.n_points + on.sum()
    np.testing.assert_array_equal(np.bincount(sides.vertex), 1 + on)
    for block, cut in zip(mesh.blocks, sides.mesh.blocks, strict=True):
        np.testing.assert_array_equal(sides.vertex[cut.nodes], block.nodes)
        assert (np.ptp(sides.part[cut.nodes], axis=1) == 0).all()
    v = np.arange(len(sides.vertex), dtype=float)
    np.testing.assert_array_equal(sides.largest(v), np.flatnonzero(np.diff(sides.vertex, append=-1)))
    np.testing.assert_allclose(sides.averaging @ (sides.copying @ mesh.points), mesh.points)


def test_without_interfaces_nothing_is_cut():
    mesh = box("triangle", 3)
    for facets in ({}, {"rim": np.array([[0, 1]])}):
        whole = Sides.of(CellMesh(mesh.points, mesh.blocks, facets=facets))
        assert whole.whole and whole.mesh.blocks[0].nodes is mesh.blocks[0].nodes
    loose = Sides.of(CellMesh(np.r_[mesh.points, [[9, 9]]], mesh.blocks, regions=np.arange(mesh.n_cells)))
    assert loose.vertex[-1] == mesh.n_points and loose.part[-1] == -1


def test_a_named_line_that_parts_the_mesh_is_an_interface():
    mesh = box("quad", 4)
    on = np.flatnonzero(mesh.points[:, 0] == AT)
    line = np.stack([on[:-1], on[1:]], axis=1)
    named = CellMesh(mesh.points, mesh.blocks, facets={"sheet": line})
    assert len(Sides.of(named).vertex) == mesh.n_points + len(on)
    assert np.abs(Recovery(named).hessian(np.abs(mesh.points[:, 0] - AT))).max() < 1e-10


# -- derivatives ------------------------------------------------------------------------------------------------------


@every_kind
def test_derivatives_are_those_of_each_side(kind):
    # a quadratic on either side, continuous, its slope jumps
    mesh = halves(kind, jitter=0.1)
    q = turn(0.4, mesh.dim)
    turned = mesh.moved(mesh.points @ q.T)
    x = mesh.points.T
    left = x[0] < AT
    u = np.where(left, (x[0] - AT) * (1 + x[1]), 5 * (x[0] - AT) ** 2 - 3 * (x[0] - AT))
    recovery = Recovery(turned)
    sides = recovery.sides
    on_left = sides.mesh.points @ q[:, 0] < AT - 1e-9
    low = sides.part == sides.part[np.argmax(on_left)]
    h = np.einsum("ba,bcs,cd->ads", q, recovery.sided.hessian(u[sides.vertex]), q)
    np.testing.assert_allclose(h[0, 0], np.where(low, 0, 10), atol=1e-8)
    np.testing.assert_allclose(h[0, 1], np.where(low, 1, 0), atol=1e-8)
    g = q.T @ recovery.gradient(u)
    on = x[0] == AT
    np.testing.assert_allclose(g[0, on], (1 + x[1, on] - 3) / 2, atol=1e-9)  # the mean of both sides
    np.testing.assert_allclose(recovery.gradient_matrices[0] @ u, recovery.gradient(u)[0], atol=1e-9)


# -- what comes of it -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("monitor", ["hessian", "gradient", "curvature"])
@pytest.mark.parametrize("kind", ["triangle", "quad", "tetra", "hexahedron"])
def test_a_kink_on_an_interface_moves_nothing(kind, monitor):
    mesh = halves(kind, 4)
    x = mesh.points.T
    out = meshmove.adapt(mesh, np.where(x[0] < AT, x[0] - x[1], 0.495 + x[0] / 100 - x[1]), monitor=monitor)
    assert out.report.max_displacement == 0
    assert "linear" in out.report.warnings[0]


@pytest.mark.parametrize("kind", ["triangle", "tetra"])
def test_three_regions_that_meet_at_an_edge(kind):
    mesh, u = junction(kind)
    assert np.bincount(Sides.of(mesh).vertex).max() == 3
    out = meshmove.adapt(mesh, u)
    assert out.report.max_displacement == 0 and "linear" in out.report.warnings[0]
    untold = CellMesh(mesh.points, mesh.blocks)
    assert meshmove.adapt(untold, u).report.predicted_error_before > 0  # without regions it is curvature


def test_second_order_meshes_with_a_kink_stay():
    mesh = skfem.MeshTri2.from_mesh(skfem.MeshTri.init_tensor(*[np.linspace(0, 1, 9)] * 2))
    mesh = mesh.with_subdomains({"l": lambda x: x[0] < AT, "r": lambda x: x[0] > AT})
    out = meshmove.adapt(mesh, np.abs(mesh.p[0] - AT))
    assert out.report.max_displacement == 0


@pytest.mark.parametrize("kind", ["triangle", "quad"])
def test_a_front_inside_a_region_is_followed_as_if_there_were_no_kink(kind):
    mesh = halves(kind, 16)
    x = mesh.points.T
    front, kink = np.tanh(25 * (x[0] - 0.75)), 3 * np.abs(x[0] - AT)
    plain, both = (meshmove.adapt(mesh, u) for u in (front, front + kink))
    np.testing.assert_allclose(both.moved.points, plain.moved.points, atol=2e-3)
    assert both.report.predicted_error_after < 0.7 * both.report.predicted_error_before
    assert both.report.predicted_error_before == pytest.approx(plain.report.predicted_error_before, rel=1e-9)


@every_kind
def test_the_prediction_sees_the_hessian_of_the_cell_s_own_side(kind):
    # curved on one side only: its own part of the mesh has all of the error, wherever nodes glide
    mesh = halves(kind, 4)
    x = mesh.points.T
    u = np.where(x[0] < AT, 0, (x[0] - AT) ** 2)
    recovery = Recovery(mesh)
    predict = Predictor(mesh, recovery, u[:, None], PointLocator(mesh.simplicial()))
    glide = np.where((x[0] == AT) & (x[1] > 0) & (x[1] < 1), 0.03, 0)
    moved = mesh.points + glide[:, None] * np.eye(mesh.dim)[1]
    sides = recovery.sides
    h = np.zeros((mesh.dim, mesh.dim, len(sides.vertex)))
    h[0, 0] = 2 * (sides.part == sides.part[sides.vertex == np.argmax(x[0])][0])
    for points in (mesh.points, moved):
        assert predict(points) == pytest.approx(solution_error(sides.mesh, h, points[sides.vertex]), rel=1e-7)
