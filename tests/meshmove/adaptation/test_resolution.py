"""Fields that a mesh does not resolve, and fields with odd second derivatives."""

import numpy as np
import pytest
import skfem

import meshmove
from meshmove import Outcome
from meshmove.adaptation.judging.resolution import cell_to_feature
from meshmove.geometry import CellBlock, CellMesh
from meshmove.monitors import Recovery
from tests.shapes import box, centres

MESHES = {
    "triangles": skfem.MeshTri().refined(3),
    "quadrilaterals": skfem.MeshQuad().refined(3),
    "tetrahedra": skfem.MeshTet().refined(2),
}


@pytest.mark.parametrize("kind", ["triangle", "quad", "tetra", "hexahedron"])
def test_the_ratio_is_that_of_cells_to_features(kind):
    """Of sin(k x) and cells of length h it is h k, whatever the field's unit, and it halves with the cells."""
    ratios = []
    for n in (8, 16) if kind in ("triangle", "quad") else (6, 12):
        mesh = box(kind, n)
        ratios.append(cell_to_feature(Recovery(mesh), 1e9 * np.sin(4 * mesh.points[:, 0]) + 7e9))
        assert ratios[-1] == pytest.approx(4 / n, rel=0.25)
    assert ratios[1] == pytest.approx(ratios[0] / 2, rel=0.15)


@pytest.mark.parametrize("kinds", [("triangle", "quad"), ("tetra", "hexahedron")])
def test_cells_that_are_no_simplices_see_what_oscillates_along_both_axes(kinds):
    ratios = []
    for kind in kinds:
        mesh = box(kind, 8)
        x = mesh.points
        ratios.append(cell_to_feature(Recovery(mesh), np.sin(12 * x[:, 0]) * np.cos(9.6 * x[:, 1])))
    assert min(ratios) > 1 and ratios[0] == pytest.approx(ratios[1], rel=0.1)


def test_cells_in_several_blocks_count_as_in_one():
    mesh = box("triangle", 8)
    nodes = mesh.blocks[0].nodes
    parts = CellMesh(mesh.points, tuple(CellBlock(mesh.blocks[0].kind, part) for part in (nodes[:5], nodes[5:])))
    of = mesh.points[:, 0] ** 4
    assert cell_to_feature(Recovery(parts), of) == pytest.approx(cell_to_feature(Recovery(mesh), of), rel=1e-12)


def test_equidistribution_is_not_advised_to_one_who_takes_it():
    mesh = MESHES["triangles"]
    of = {
        objective: next(w for w in report.warnings if w.outcome is Outcome.UNRESOLVED)
        for objective in ("alignment", "equidistribution")
        for report in [meshmove.adapt(mesh, np.tanh(60 * (mesh.p[0] - 0.52)), effort=0.1, objective=objective).report]
    }
    assert "or take objective=" in of["alignment"]
    assert "objective=" not in of["equidistribution"] and "or refine" in of["equidistribution"]


def test_a_kink_on_an_interface_is_no_feature():
    mesh = box("triangle", 8)
    x = mesh.points[:, 0]
    mesh = CellMesh(mesh.points, mesh.blocks, regions=(centres(mesh)[:, 0] < 0.5).astype(np.int64))
    assert cell_to_feature(Recovery(mesh), np.abs(x - 0.5)) < 1e-9
    assert cell_to_feature(Recovery(mesh), np.full(len(x), 3.0)) == 0


@pytest.mark.parametrize("kind", MESHES)
def test_a_front_narrower_than_a_cell_is_told_and_a_wide_one_is_not(kind):
    mesh = MESHES[kind]

    def outcomes(steep):
        return meshmove.adapt(mesh, np.tanh(steep * (mesh.p[0] - 0.52)), effort=0.3).report

    narrow = outcomes(60)
    assert Outcome.UNRESOLVED in narrow.outcomes and narrow.inverted_cells == 0
    told = next(w for w in narrow.warnings if w.outcome is Outcome.UNRESOLVED)
    assert "times as wide" in told and "equidistribution" in told
    assert Outcome.UNRESOLVED not in outcomes(2).outcomes


ODD = {
    "along a line": lambda x: (x[0] + 2 * x[1]) ** 2,
    "flat on one half": lambda x: np.maximum(0, x[0] - 0.5) ** 3,
    "indefinite": lambda x: x[0] ** 3 - 3 * x[0] * x[1] ** 2,
    "a saddle": lambda x: (x[0] - 0.3) * (x[1] - 0.6),
    "a kink": lambda x: np.abs(x[0] + 0.3 * x[1] - 0.6),
    "a jump": lambda x: (x[0] > 0.45).astype(float),
    "noise": lambda x: np.random.default_rng(0).normal(size=x.shape[1]),
    "one node": lambda x: (np.arange(x.shape[1]) == x.shape[1] // 2).astype(float),
    "rounding": lambda x: 1 + 1e-15 * x[0],
}


@pytest.mark.parametrize("kind", MESHES)
@pytest.mark.parametrize("name", ODD)
def test_whatever_the_second_derivatives_meshes_are_valid_and_predicted_no_worse(name, kind):
    mesh = MESHES[kind]
    report = meshmove.adapt(mesh, ODD[name](mesh.p), effort=0.3).report
    assert report.inverted_cells == 0 and report.min_volume_ratio > 0
    if report.predicted_error_before is not None:
        assert np.isfinite(report.predicted_error_after)
        assert report.predicted_error_after <= report.predicted_error_before * (1 + 1e-9)
    if name == "rounding":
        assert report.max_displacement == 0 and Outcome.NOTHING_TO_MEET in report.outcomes


@pytest.mark.parametrize("name", ["a saddle", "indefinite", "a jump"])
def test_quadratic_elements_take_them_too(name):
    mesh = MESHES["triangles"]
    basis = skfem.Basis(mesh, skfem.ElementTriP2())
    report = meshmove.adapt(mesh, (basis, ODD[name](basis.doflocs)), effort=0.3).report
    assert report.inverted_cells == 0
    if name == "a saddle":  # is in the space
        assert report.max_displacement == 0 and "quadratic" in report.warnings[0]


def test_a_solve_that_keeps_to_its_first_mesh_is_told():
    mesh = MESHES["triangles"]
    basis = skfem.Basis(mesh, skfem.ElementTriP1())
    with pytest.raises(meshmove.geometry.FieldError, match="does not move with it"):
        meshmove.adapt_loop(mesh, lambda m: (basis, np.tanh(9 * m.p[0] - 4)), steps=2)
    with pytest.raises(meshmove.geometry.FieldError, match="one a node of the mesh"):
        meshmove.adapt_loop(mesh, lambda m: np.tanh(9 * m.refined(1).p[0] - 4), steps=1)
