"""`adapt` of a field with the network: under guard, on any triangles, never worse than the mesh that came."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import skfem

import meshmove
from meshmove.geometry import CellMesh, inverted_cells
from meshmove.neural import Neural
from meshmove.outcomes import Outcome
from tests.shapes import box

STEPS = np.linspace(0, 1, 13)
MESH = skfem.MeshTri.init_tensor(STEPS, STEPS)


def layer(x):
    return np.tanh(15 * (x[0] + 0.4 * x[1] - 0.7))


def assert_sound(out):
    assert out.report.inverted_cells == 0 and not len(inverted_cells(out.cells, out.moved.points))
    before, after = out.report.predicted_error_before, out.report.predicted_error_after
    assert before is None or after <= before * (1 + 1e-9)


def alone(mesh, field, **options):
    return meshmove.adapt(mesh, field, mover="dmm", effort=0.1, **options)


def test_the_network_alone_lowers_the_predicted_error():
    report = alone(MESH, layer).report
    assert report.objective == "alignment" and report.mover == "dmm" and report.polish == 0
    assert 0 < report.step_cut <= 1 and report.inverted_cells == 0
    assert report.predicted_error_after < 0.85 * report.predicted_error_before


def test_effort_adds_steps_of_alignment():
    quick, full = alone(MESH, layer).report, meshmove.adapt(MESH, layer, mover="dmm").report
    assert full.polish > 0 and full.predicted_error_after < quick.predicted_error_after


def test_the_interpolation_error_itself_falls():
    out = alone(MESH, layer)

    def error(mesh):
        basis = skfem.Basis(mesh, skfem.ElementTriP1(), intorder=6)
        u = basis.interpolate(layer(mesh.p))
        return skfem.Functional(lambda w: (w["u"] - layer(w.x)) ** 2).assemble(basis, u=u) ** 0.5

    assert error(out.mesh) < 0.8 * error(MESH)


def test_steps_are_taken_for_the_h1_error_where_a_bound_of_the_l2_error_holds_against_long_cells():
    t = np.linspace(0, 1, 17)
    mesh = skfem.MeshTri.init_tensor(t, t)

    def profile(s):
        return s - np.exp(40 * (s - 1))

    def gradient(x):
        slope = [1 - 40 * np.exp(40 * (s - 1)) for s in x]
        return np.stack([slope[0] * profile(x[1]), slope[1] * profile(x[0])])

    def error(out):
        basis = skfem.Basis(out.mesh, skfem.ElementTriP1(), intorder=6)
        u = basis.interpolate(profile(out.mesh.p[0]) * profile(out.mesh.p[1]))
        return float(((u.grad - gradient(basis.global_coordinates())) ** 2 * basis.dx).sum() ** 0.5)

    u = profile(mesh.p[0]) * profile(mesh.p[1])
    quick, full = alone(mesh, u), meshmove.adapt(mesh, u, mover="dmm", effort=0.8)
    assert error(full) < 0.9 * error(quick)
    assert_sound(full)


def test_a_name_and_its_object_are_the_same_mover():
    a, b = alone(MESH, layer), meshmove.adapt(MESH, layer, mover=Neural(), effort=0.1)
    assert np.array_equal(a.mesh.p, b.mesh.p)


def test_moves_scale_with_the_mesh_and_not_with_the_field():
    plain = alone(MESH, layer(MESH.p))
    other = alone(MESH.scaled(50.0).translated((3.0, -9.0)), 1e-6 * layer(MESH.p) + 2)
    assert np.allclose(other.displacement, 50 * plain.displacement, atol=50 * 1e-5)


def test_boundaries_that_are_curved_keep_their_nodes():
    disk = skfem.MeshTri.init_circle(3)
    out = alone(disk, lambda x: np.tanh(12 * (x[0] - 0.2)))
    assert_sound(out)
    rim = disk.boundary_nodes()
    assert np.abs(np.hypot(*out.mesh.p[:, rim]) - 1).max() < 0.02
    assert out.report.predicted_error_after < out.report.predicted_error_before


def test_nodes_that_are_fixed_stay():
    held = np.flatnonzero(np.abs(MESH.p[0] - 0.5) < 0.05)
    out = alone(MESH, layer, fixed=held, boundary="fixed")
    assert not out.displacement[held].any() and not out.displacement[MESH.boundary_nodes()].any()
    assert out.displacement.any()


def test_regions_keep_their_interface():
    mesh = MESH.with_subdomains({"left": lambda x: x[0] < 0.5})
    line = np.flatnonzero(np.isclose(mesh.p[0], 0.5))
    out = alone(mesh, lambda x: np.abs(x[0] - 0.5) + 0.1 * layer(x))
    assert np.allclose(out.mesh.p[0, line], 0.5, atol=1e-12)
    assert out.report.predicted_error_after < out.report.predicted_error_before


def test_several_fields_count_alike():
    u = np.stack([layer(MESH.p), 1e5 * layer(MESH.p[::-1])], axis=1)
    report = alone(MESH, u).report
    assert report.predicted_error_after < 0.95 * report.predicted_error_before


def test_a_mesh_that_was_moved_before_goes_on_from_where_it_is():
    first = alone(MESH, layer)
    again = alone(first.mesh, lambda x: np.tanh(15 * (x[0] + 0.4 * x[1] - 0.9)), reference=MESH)
    assert_sound(again)
    assert np.abs(again.displacement).max() > 1e-3


@pytest.mark.parametrize(
    "field", [lambda x: 0 * x[0], lambda x: 3 + 2 * x[0], lambda x: np.random.default_rng(0).random(x.shape[1])]
)
def test_fields_that_show_nothing_or_noise_do_no_harm(field):
    out = alone(MESH, field(MESH.p))
    assert_sound(out)


def test_meshes_without_a_node_inside_or_with_one():
    one = skfem.MeshTri.init_tensor(*[np.linspace(0, 1, 3)] * 2)
    for mesh in (skfem.MeshTri(), skfem.MeshTri().refined(), one):
        out = alone(mesh, lambda x: np.exp(3 * x[0]) + x[1] ** 2)
        assert_sound(out)


def test_wedges_are_left_to_the_network_for_monitors():
    wedges = box("wedge")
    assert alone(wedges, np.tanh(6 * (wedges.points[:, 0] - 0.5))).report.objective == "equidistribution"
    for mover in ("dmm", Neural()):
        report = meshmove.adapt(MESH, layer, mover=mover, effort=0.1, objective="equidistribution").report
        assert report.objective == "equidistribution"


def test_a_field_with_nan_is_refused_by_name():
    u = layer(MESH.p)
    u[7] = np.nan
    with pytest.raises(meshmove.FieldError, match="7"):
        alone(MESH, u)


def test_another_device_is_said_to_have_no_part(monkeypatch):
    monkeypatch.setattr("meshmove.neural.mover.check_device", lambda device: None)
    there, here = alone(MESH, layer, device="cuda"), alone(MESH, layer, device="cpu")
    assert np.array_equal(there.mesh.p, here.mesh.p)
    assert Outcome.ON_THE_PROCESSOR in there.report.outcomes and Outcome.ON_THE_PROCESSOR not in here.report.outcomes


def test_half_precision_of_the_field_is_as_good_as_its_digits():
    out = alone(MESH, layer(MESH.p).astype(np.float16))
    assert_sound(out)
    assert out.report.predicted_error_after < 0.9 * out.report.predicted_error_before


def test_a_steep_field_is_reached_by_transport():
    mesh = skfem.MeshTri.init_tensor(*[np.linspace(0, 1, 25)] * 2)
    report = alone(mesh, lambda x: np.exp(-((x[0] - 0.3) ** 2 + (x[1] - 0.4) ** 2) / 0.05**2)).report
    assert report.inverted_cells == 0 and report.predicted_error_after < 0.5 * report.predicted_error_before


def test_what_is_no_aligner_or_objective_is_refused():
    with pytest.raises(ValueError, match="Aligner or None"):
        Neural(aligner="best")
    with pytest.raises(ValueError, match="'alignment' or 'equidistribution'"):
        Neural(objective="speed")
    assert (
        replace(Neural(), objective="equidistribution").aligns(CellMesh.single(MESH.p.T, MESH.t.T, "triangle")) is False
    )
