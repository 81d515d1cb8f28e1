"""Moved cells are valid where they are integrated, whoever moved them; and what does not fold is left alone."""

import dataclasses

import meshio
import numpy as np
import pytest
import skfem

import meshmove
from meshmove.geometry import CellMesh, Validity, kind_of
from meshmove.meshes.source import Source
from meshmove.monitors import CallableDensity
from meshmove.movers import Functional, Move, Smooth
from meshmove.movers.objectives.interior import Interior
from tests.shapes import box, turn

OBLIQUE = np.array([5, 1, 1]) / 27**0.5


def layer(x):
    return 1 + 20 / np.cosh(12 * (OBLIQUE @ (x - 0.5))) ** 2


def blob(x):
    return 1 + 30 * np.exp(-60 * ((x - 0.45) ** 2).sum(axis=0))


def stairs():
    """Hexahedra of a ball of voxels."""
    mesh = skfem.MeshHex.init_tensor(*[np.linspace(0, 1, 5)] * 3)
    far = ((mesh.p[:, mesh.t].mean(axis=1) - 0.5) ** 2).sum(axis=0) > 0.32
    return mesh.remove_elements(np.flatnonzero(far))


def determinants(mesh, like, points):
    """At reference points (dim, q), with the sign that a cell has in the mesh `like`."""
    return mesh.mapping().detDF(points) * np.sign(like.mapping().detDF(points).mean(axis=-1, keepdims=True))


def gauss(mesh):
    rule = {2: skfem.ElementTriP1(), 3: skfem.ElementTetP1()}.get(mesh.dim())
    rule = {"Quadrilateral": skfem.ElementQuad1(), "Hexahedral": skfem.ElementHex1()}.get(mesh.elem.refdom.name, rule)
    return skfem.Basis(mesh, rule, intorder=5).quadrature[0]


# -- linear cells -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mover", ["monge-ampere", "smooth", "dmm"])
def test_no_mover_returns_hexahedra_that_are_inverted_at_gauss_points(mover):
    mesh = stairs()
    out = meshmove.adapt(mesh, monitor=layer, mover=mover, effort=0.5)
    assert determinants(out.mesh, mesh, gauss(mesh)).min() > 0
    assert not len(Validity(out.cells).lost(out.moved.points))
    assert out.report.imbalance_after < (0.9 if mover == "smooth" else 0.5) * out.report.imbalance_before


@pytest.mark.parametrize("kind", ["hexahedron", "wedge"])
def test_the_neural_guard_draws_back_from_cells_that_fold_between_their_corners(kind):
    torch = pytest.importorskip("torch")
    from meshmove.neural.batch import MeshBatch
    from meshmove.neural.energy import jacobians
    from meshmove.neural.guard import let_through, valid

    points = kind_of(kind).reference - [0.5, 0.5, 0]
    mesh = CellMesh.single(points, np.arange(len(points))[None], kind)
    there = points.copy()
    top = there[:, 2] == 1
    there[top, :2] = there[top, :2] @ (turn(2.6) @ np.diag([1.0, 4.0])).T
    batch = MeshBatch.of([mesh])
    batch.retract = lambda x, *which: x  # the nodes of a single cell are all corners: let them go
    start, end = torch.from_numpy(points), torch.from_numpy(there)
    assert jacobians(batch, end).min() > 0 and batch.folded(end).all() and not batch.folded(start).any()
    for new in (valid(batch, end, start), let_through(batch, start, end - start)[0]):
        assert Validity(mesh).keeps(new.numpy())
        assert float((new - start).norm()) > 0.05


def test_the_interior_term_is_zero_at_rest_infinite_past_it_and_free_on_other_cells():
    assert not Interior(box("tetra", 2), np.ones(48)) and not Interior(box("pyramid", 2), np.ones(48))
    mesh = box("hexahedron", 3, jitter=0.2)
    inside = Interior(mesh, np.ones(mesh.n_cells))
    energy, gradient = inside(mesh.points)
    assert energy == 0 and not gradient.any()
    cell = CellMesh.single(kind_of("wedge").reference - [0.5, 0.5, 0], np.arange(6)[None], "wedge")
    term = Interior(cell, np.ones(1))
    energies = []
    for angle in (0.0, 2.2, 2.4, np.arccos(-0.8) - 1e-3, np.arccos(-0.8) + 1e-3):
        points = cell.points.copy()
        points[3:, :2] = points[3:, :2] @ (turn(angle) @ np.diag([1.0, 4.0])).T
        energies.append(term(points)[0])
    assert energies[0] == 0 and energies == sorted(energies) and energies[3] < np.inf and energies[4] == np.inf
    assert term(points, soften=0.05)[0] < np.inf


@pytest.mark.parametrize("kind", ["hexahedron", "wedge"])
@pytest.mark.parametrize("soften", [0.0, 0.05])
def test_the_gradient_of_e_knows_the_interior_term(kind, soften):
    mesh = box(kind, 2)
    density = CallableDensity(lambda x: 1 + x[0] ** 2, np.zeros(3), 1.0)
    e = Functional(mesh, density, 0.01)
    for seed in range(50):
        points = mesh.points + 0.17 * np.random.default_rng(seed).uniform(-1, 1, mesh.points.shape)
        extra = e.inside(points, soften)[0]
        if np.isfinite(e(points, soften)[0]) and extra > 1e-4:
            break
    assert 1e-4 < extra < np.inf
    _, gradient = e(points, soften)
    way = np.random.default_rng(1).normal(size=points.shape)
    h = 1e-6
    slope = (e(points + h * way, soften)[0] - e(points - h * way, soften)[0]) / (2 * h)
    assert slope == pytest.approx(float((gradient * way).sum()), rel=1e-5)


def test_single_precision_does_not_fold_hexahedra():
    mesh = stairs()
    rest = Source.of(mesh).cells
    given = meshio.Mesh((1e-3 * rest.points).astype("f4"), [("hexahedron", rest.blocks[0].nodes)])
    out = meshmove.adapt(given, monitor=lambda x: layer(1e3 * x) ** 2, effort=0.3)
    assert out.mesh.points.dtype == np.float32
    moved = rest.moved(np.asarray(out.mesh.points, float))
    assert not len(Validity(Source.of(given).cells).lost(moved.points))


# -- cells of second order --------------------------------------------------------------------------------------------

SECOND = {
    "triangle": (skfem.MeshTri2, skfem.MeshTri, 2, 0.03),
    "quad": (skfem.MeshQuad2, skfem.MeshQuad, 2, 0.03),
    "tetra": (skfem.MeshTet2, skfem.MeshTet, 1, 0.03),
    "hexahedron": (skfem.MeshHex2, skfem.MeshHex, 1, 0.03),
}


def curved(kind, seed=17, bend=None):
    """A box with mid-side nodes inside displaced at random, all cells valid."""
    cls, linear, times, most = SECOND[kind]
    mesh = cls.from_mesh(linear().refined(times))
    inside = (np.abs(mesh.doflocs - 0.5) < 0.499).all(axis=0) & (np.arange(mesh.doflocs.shape[1]) >= mesh.nvertices)
    push = np.random.default_rng(seed).uniform(-1, 1, mesh.doflocs.shape) * inside * (bend or most)
    return dataclasses.replace(mesh, doflocs=mesh.doflocs + push)


@pytest.mark.parametrize("kind", SECOND)
def test_valid_cells_of_second_order_come_back_valid(kind):
    mesh = curved(kind)
    cells = Source.of(mesh).cells
    assert (Validity(cells).state == 1).all()
    out = meshmove.adapt(mesh, monitor=blob)
    dense = np.stack(np.meshgrid(*[np.linspace(0, 1, 7)] * mesh.dim())).reshape(mesh.dim(), -1)
    if kind in ("triangle", "tetra"):
        dense = dense[:, dense.sum(axis=0) <= 1 + 1e-12]
    assert determinants(out.mesh, mesh, np.concatenate([dense, gauss(mesh)], axis=1)).min() > 0
    moved = Source.of(out.mesh).cells
    assert not len(Validity(cells).lost(moved.points, moved.nodes))
    assert out.report.imbalance_after < (0.9 if kind == "tetra" else 0.6) * out.report.imbalance_before


def folding():
    """A fine mesh of curved triangles, some of which would fold."""
    mesh = skfem.MeshTri2.from_mesh(skfem.MeshTri().refined(4))
    x = mesh.doflocs.copy()
    inner = mesh.dofs.facet_dofs[0, np.setdiff1d(np.arange(mesh.facets.shape[1]), mesh.boundary_facets())]
    x[:, inner] += 0.09 / 16 * np.random.default_rng(0).uniform(-1, 1, (2, len(inner)))
    return skfem.MeshTri2(x, mesh.t)


def test_only_edges_of_folding_cells_are_straightened_and_the_numbers_are_those_of_the_mesh():
    mesh = folding()
    front = lambda x: np.tanh(20 * (x[0] - 0.5))  # noqa: E731
    out = meshmove.adapt(mesh, front(mesh.p))
    report = out.report
    (warning,) = report.warnings
    assert "of their edges inside were straightened" in warning
    assert report.predicted_error_after < 0.5 * report.predicted_error_before
    # the vertices are where those of the straight mesh go: they have not been drawn back
    straight = skfem.MeshTri(mesh.p[:, : mesh.nvertices], mesh.t)
    free = meshmove.adapt(straight, front(straight.p))
    np.testing.assert_allclose(out.mesh.p[:, : mesh.nvertices], free.mesh.p, atol=1e-12)
    assert report.predicted_error_after == pytest.approx(free.report.predicted_error_after)


class Given:
    """A mover that has the answer: positions (n, dim) in the mesh's own coordinates."""

    name = "given"

    def __init__(self, points, centre=0.5):
        self.points, self.centre = points, centre

    def __call__(self, problem):
        low, high = problem.mesh.points.min(axis=0), problem.mesh.points.max(axis=0)
        size = (high - low).max()  # of the mesh, which is one in its own coordinates
        return Move(np.clip(size * (self.points - self.centre), low, high), 1)


def test_where_straightening_cannot_help_steps_are_shortened_there_and_not_elsewhere():
    """An interface is curved, so it is not straightened; the nodes beside it go too close to it."""
    mesh = skfem.MeshTri2.from_mesh(skfem.MeshTri.init_tensor(np.linspace(0, 1, 9), np.linspace(0, 1, 9)))
    x = mesh.doflocs.copy()
    n = mesh.nvertices
    on = np.flatnonzero((np.abs(x[0] - 0.5) < 1e-9) & (np.arange(x.shape[1]) >= n))
    x[0, on] += 0.02 * np.where(np.arange(len(on)) % 2 == 0, 1, -1)
    left = np.flatnonzero(mesh.p[0, mesh.t].mean(axis=0) < 0.5)
    mesh = dataclasses.replace(mesh, doflocs=x, _subdomains={"left": left})
    cells = Source.of(mesh).cells
    aim = cells.points.copy()
    beside = (np.abs(aim[:, 0] - 0.625) < 1e-9) & (np.abs(aim[:, 1] - 0.5) < 0.2)
    aim[beside, 0] -= 0.11
    elsewhere = (np.abs(aim[:, 0] - 0.125) < 1e-9) & (np.abs(aim[:, 1] - 0.5) < 0.4)
    aim[elsewhere, 0] += 0.03
    u = np.where(np.abs(cells.points[:, 0] - 0.25) < 0.2, np.sin(20 * cells.points[:, 0]), 0) + (
        20 * (cells.points[:, 0] - 0.52) ** 2
    )
    out = meshmove.adapt(mesh, u, monitor=meshmove.Monitor("hessian", intensity=1.0), mover=Given(aim))
    report, moved = out.report, Source.of(out.mesh).cells
    assert not len(Validity(cells).lost(moved.points, moved.nodes))
    shortened = [w for w in report.warnings if "vertices went less than their whole step" in w]
    assert len(shortened) == 1 and len(set(report.warnings)) == len(report.warnings)
    np.testing.assert_allclose(moved.points[elsewhere], aim[elsewhere], atol=1e-12)
    gone = (cells.points - moved.points)[beside, 0]
    assert (0 < gone).all() and (gone < 0.11).all()
    # the number is that of these vertices: the straight mesh of them has the same
    flat = CellMesh.single(cells.points, cells.blocks[0].nodes, "triangle", regions=cells.regions)
    same = meshmove.adapt(flat, u, monitor=meshmove.Monitor("hessian", intensity=1.0), mover=Given(moved.points))
    assert report.predicted_error_after == pytest.approx(same.report.predicted_error_after, rel=1e-9)


def test_a_mesh_that_a_shortened_step_makes_worse_comes_back_as_it_was():
    class Worse:
        name = "worse"

        def __call__(self, problem):
            inner = problem.start.copy()
            inside = (np.abs(inner) < 0.49).all(axis=1)
            inner[inside] += 0.03
            return Move(inner, 1)

    mesh = skfem.MeshTri().refined(3)
    out = meshmove.adapt(mesh, monitor=lambda x: 1 + 1e-3 * x[0], mover=Worse())
    assert not out.displacement.any() and out.report.imbalance_after == out.report.imbalance_before
    assert any("the mesh stays as it was" in w for w in out.report.warnings)


def test_quarter_point_cells_stay_what_they_are():
    """Their determinant is zero at the crack's tip; they are neither refused nor folded."""
    mesh = skfem.MeshTri2.from_mesh(skfem.MeshTri().refined(3))
    x, tip = mesh.doflocs.copy(), int(np.argmin(((mesh.p[:, : mesh.nvertices].T - 0.5) ** 2).sum(axis=1)))
    facets = np.flatnonzero((mesh.facets == tip).any(axis=0))
    other = mesh.facets[:, facets].sum(axis=0) - tip
    x[:, mesh.dofs.facet_dofs[0, facets]] = 0.75 * x[:, [tip]] + 0.25 * x[:, other]
    mesh = dataclasses.replace(mesh, doflocs=x)
    cells = Source.of(mesh).cells
    assert (Validity(cells).state == 0).sum() == len(facets)
    out = meshmove.adapt(mesh, monitor=blob, fixed=np.append(other, tip))
    moved = Source.of(out.mesh).cells
    assert not len(Validity(cells).lost(moved.points, moved.nodes))
    assert (out.displacement[mesh.dofs.facet_dofs[0, facets]] == 0).all()


def test_nodes_amid_faces_and_cells_follow_curved_edges():
    """Under an affine move of the vertices the nodes of a quad9 mesh keep their places in the cells."""
    from meshmove.geometry.curved import MidNodes

    mesh = curved("quad", bend=0.02)
    cells = Source.of(mesh).cells
    turned = cells.points @ turn(0.4).T * 0.5
    moved = cells.nodes + MidNodes(cells).displacement(turned - cells.points)
    k = cells.blocks[0].kind.vertices
    for nodes in cells.blocks[0].second_nodes[:5]:
        serendipity = lambda x, n=nodes: x[n[8]] - (x[n[k:8]].sum(axis=0) / 2 - x[n[:k]].sum(axis=0) / 4)  # noqa: E731
        np.testing.assert_allclose(serendipity(moved), 0.5 * serendipity(cells.nodes), atol=1e-12)


@pytest.mark.parametrize("intensity", [None, 30.0])
def test_a_monitor_that_was_chosen_for_its_error_is_not_complained_of(intensity):
    mesh = skfem.MeshTri().refined(3)
    spike = np.exp(-2000 * ((mesh.p[0] - 0.5) ** 2 + (mesh.p[1] - 0.5) ** 2))
    report = meshmove.adapt(mesh, spike, monitor=meshmove.Monitor("hessian", intensity=intensity)).report
    told = [w for w in report.warnings if "imbalance" in w]
    if intensity is None:
        assert not told
    for text in told:
        assert f"{report.imbalance_after:.3g}" in text and "hessian, intensity 30" in text
        assert ("rises" in text) == (report.imbalance_after > 1.02 * report.imbalance_before)


def test_smooth_never_takes_a_step_that_folds_cells():
    mesh = Source.of(stairs()).cells
    out = meshmove.adapt(mesh, monitor=layer, mover=Smooth(passes=8))
    assert not len(Validity(mesh).lost(out.moved.points))
