"""Fields that a mesh does not resolve, and fields with odd second derivatives."""

from functools import cache
from itertools import permutations

import numpy as np
import pytest
import skfem
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

import meshmove
from meshmove import Outcome
from meshmove.adaptation.judging.between_nodes import INSIDE, BetweenNodes
from meshmove.adaptation.judging.resolution import cell_to_feature, warned
from meshmove.geometry import CellBlock, CellMesh, PointLocator
from meshmove.geometry.cells.kinds import KINDS
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
    assert min(ratios) > 1 and ratios[0] == pytest.approx(ratios[1], rel=0.4)


@pytest.mark.parametrize("kind", ["quad", "hexahedron", "wedge"])
@given(st.integers(0, 2**32 - 1))
def test_it_does_not_hang_on_the_numbering_of_cells(kind, seed):
    rng = np.random.default_rng(seed)
    mesh = box(kind, 4 if kind == "quad" else 3)
    block, turns = mesh.blocks[0], _turns(kind)
    front = np.tanh(5 * (mesh.points - rng.uniform(0.3, 0.7, mesh.dim)) @ rng.normal(size=mesh.dim))
    turned = block.nodes[np.arange(len(block))[:, None], turns[rng.integers(len(turns), size=len(block))]]
    other = CellMesh(mesh.points, (CellBlock(block.kind, turned),))
    assert cell_to_feature(Recovery(other), front) == pytest.approx(cell_to_feature(Recovery(mesh), front), rel=1e-9)


@cache
def _turns(kind):
    """All numberings of a cell that keep its sides and its sign."""
    reference = KINDS[kind].reference
    frame = {"quad": [0, 1, 3], "hexahedron": [0, 1, 3, 4], "wedge": [0, 1, 2, 3]}[kind]
    out = []
    for first, *others in permutations(range(len(reference)), len(frame)):
        turn = np.linalg.solve(reference[frame[1:]], reference[others] - reference[first])
        gaps = cdist(reference @ turn + reference[first], reference)
        if np.linalg.det(turn) > 0 and gaps.min(axis=1).max() < 1e-9:
            out.append(gaps.argmin(axis=1))
    return np.array(out)


def test_cells_in_several_blocks_count_as_in_one():
    mesh = box("triangle", 8)
    nodes = mesh.blocks[0].nodes
    parts = CellMesh(mesh.points, tuple(CellBlock(mesh.blocks[0].kind, part) for part in (nodes[:5], nodes[5:])))
    of = mesh.points[:, 0] ** 4
    assert cell_to_feature(Recovery(parts), of) == pytest.approx(cell_to_feature(Recovery(mesh), of), rel=1e-12)


def test_equidistribution_is_advised_where_nothing_keeps_from_alignment():
    assert "or take objective=" in warned(1.5)[0] and "objective=" not in warned(1.5, aligned=False)[0]
    assert warned(0.9) == () == warned(float("nan"))
    mesh = MESHES["triangles"]
    for objective in ("alignment", "equidistribution"):
        field = np.tanh(60 * (mesh.p[0] - 0.52))
        report = meshmove.adapt(mesh, field, effort=0.1, objective=objective).report
        told = [w for w in report.warnings if w.outcome is Outcome.UNRESOLVED]
        assert "or refine" in told[0] and "objective=" not in "".join(told)


WAVY = {"triangle": skfem.MeshTri().refined(3), "quad": skfem.MeshQuad().refined(3)}


def _missed(mesh, function):
    """L2 error of the interpolant."""
    element = skfem.ElementTriP1() if isinstance(mesh, skfem.MeshTri) else skfem.ElementQuad1()
    basis = skfem.Basis(mesh, element, intorder=8)
    x = np.asarray(basis.global_coordinates())
    true = function(x.reshape(2, -1)).reshape(x.shape[1:])
    return np.sqrt(((np.asarray(basis.interpolate(function(mesh.p))) - true) ** 2 * basis.dx).sum())


@pytest.mark.parametrize("kind", WAVY)
def test_what_oscillates_everywhere_loses_next_to_nothing(kind):
    mesh = WAVY[kind]

    def waves(x):
        return np.sin(12 * x[0]) * np.cos(9.6 * x[1])

    out = meshmove.adapt(mesh, waves(mesh.p))
    assert any("was not aligned" in w for w in out.report.warnings)
    assert _missed(out.mesh, waves) < 1.05 * _missed(mesh, waves)
    loop = meshmove.adapt_loop(mesh, lambda m: waves(m.p))
    assert _missed(loop.mesh, waves) < 1.05 * _missed(mesh, waves)


@pytest.mark.parametrize("kind", WAVY)
def test_a_front_narrower_than_a_cell_is_come_near_to_without_alignment(kind):
    mesh = WAVY[kind]

    def front(x):
        return np.tanh(60 * (x[0] - 0.52))

    out = meshmove.adapt(mesh, front(mesh.p))
    assert any("was not aligned" in w for w in out.report.warnings)
    assert _missed(out.mesh, front) < 0.6 * _missed(mesh, front)


def test_a_layer_on_the_boundary_is_aligned_to_though_cells_are_wider():
    mesh = WAVY["triangle"]

    def layer(x):
        return np.exp(-20 * x[0])

    out = meshmove.adapt(mesh, layer(mesh.p))
    assert Outcome.UNRESOLVED in out.report.outcomes and not any("was not aligned" in w for w in out.report.warnings)
    assert _missed(out.mesh, layer) < 0.25 * _missed(mesh, layer)


@pytest.mark.parametrize("kind", ["triangle", "quad", "tetra", "hexahedron", "wedge"])
def test_between_nodes_a_quadratic_field_is_shown_as_it_is(kind):
    mesh = box(kind, 3)
    recovery = Recovery(mesh)
    x = mesh.points

    def field(x):
        return x[:, 0] ** 2 - x[:, 0] * x[:, 1] + 0.5 * x[:, -1] ** 2 + x[:, 1]

    squeezed = x + 0.15 * np.sin(np.pi * x) * np.array([1, -0.5, 0.7])[: mesh.dim]
    split = mesh.split_along(field(x))
    nodes = split.blocks[0].nodes
    rule = INSIDE[mesh.dim]

    def missed(points):
        inside = np.einsum("qv,cvd->cqd", rule, points[nodes])
        true = field(inside.reshape(-1, mesh.dim)).reshape(inside.shape[:2])
        volume = np.abs(np.linalg.det(points[nodes[:, 1:]] - points[nodes[:, :1]]))
        return np.sqrt(volume @ ((true - field(points)[nodes] @ rule.T) ** 2).sum(axis=1))

    between = BetweenNodes(recovery, np.stack([field(x), 3 - 2 * field(x)], axis=1), PointLocator(split))
    assert between.error(x) == pytest.approx(1, rel=1e-12)
    assert between.error(squeezed) == pytest.approx(missed(squeezed) / missed(x), rel=1e-8)
    assert missed(squeezed) > 1.05 * missed(x)


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
    assert "times as wide" in told and "refine" in told
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
