"""`out.grid`: what PyVista is told of a moved mesh agrees with the report."""

import numpy as np
import pytest
import skfem

import meshmove
from meshmove.geometry.quality import cell_volumes, scaled_jacobian

pyvista = pytest.importorskip("pyvista")


def test_arrays_agree_with_the_report():
    mesh = skfem.MeshTri().refined(3)
    out = meshmove.adapt(mesh, np.tanh(9 * (mesh.p[0] - 0.5)), effort=0.3)
    grid, volume = out.grid, np.abs(cell_volumes(out.cells))
    assert np.array_equal(grid.points[:, :2].T, out.mesh.p) and not grid.points[:, 2].any()
    assert np.allclose(grid.points[:, :2] - grid["displacement"][:, :2], mesh.p.T, atol=1e-15)
    assert np.array_equal(grid["field"], out.fields["field"])
    assert np.array_equal(grid["quality"], scaled_jacobian(out.moved))
    off = np.sqrt((volume * grid["imbalance"] ** 2).sum() / volume.sum())
    assert off == pytest.approx(out.report.imbalance_after, rel=1e-12)
    assert (volume * grid["imbalance"]).sum() == pytest.approx(0, abs=1e-12)
    assert np.linalg.norm(grid["error"]) < np.linalg.norm(out.moved_for.at(out.cells.points))


def test_a_plane_lies_where_it_is_and_a_monitor_has_no_error():
    plane = pyvista.Plane(i_resolution=6, j_resolution=5).triangulate().rotate_x(40).translate((1, 2, 3))
    out = meshmove.adapt(plane, monitor=lambda x: 1 + (x[0] - 1) ** 2, effort=0.3)
    assert np.allclose(out.grid.points, out.mesh.points, atol=1e-6)
    assert np.allclose(out.grid["displacement"], out.mesh.points - plane.points, atol=1e-6)
    assert "error" not in out.grid.cell_data and "imbalance" in out.grid.cell_data


def test_degrees_of_freedom_that_are_no_nodes_stay_out():
    mesh = skfem.MeshTri().refined(3)
    basis = skfem.Basis(mesh, skfem.ElementTriP2())
    out = meshmove.adapt(mesh, (basis, basis.project(lambda x: np.tanh(9 * (x[0] - 0.5)))), effort=0.2)
    assert "field" not in out.grid.point_data and "error" not in out.grid.cell_data
    loop = meshmove.adapt_loop(mesh, lambda m: m.p[0] ** 4, steps=1, effort=0.2)
    assert np.array_equal(loop.grid.points, loop.adaptation.grid.points) and loop.first is mesh
