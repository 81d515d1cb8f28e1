"""Facets, feature curves and surfaces, and gliding along them."""

import numpy as np
import pytest
import skfem
from hypothesis import given
from hypothesis import strategies as st

from meshmove.geometry import CellMesh, InvalidMeshError, Slide, cell_volumes, facets_of
from meshmove.plugins.skfem import converter
from tests.shapes import ALL_KINDS, box, turn

EXTERIOR = {
    "triangle": 12, "quad": 12, "tetra": 108, "hexahedron": 54, "wedge": 72, "pyramid": 54, "mixed 2-D": 12,
    "mixed 3-D": 60,
}  # fmt: skip


def fan(curve):
    """Triangles between the middle of a closed curve (n, 2) and its segments."""
    n, middle = len(curve), curve.mean(axis=0)
    cells = np.c_[np.arange(n), np.roll(np.arange(n), -1), np.full(n, n)]
    return CellMesh.single(np.r_[curve, [middle]], cells, "triangle")


def slide_of(mesh, *args):
    return Slide(mesh, facets_of(mesh), *args)


def glide(slide, mesh, size, seed=0):
    """Positions after a random step, back on the boundary."""
    step = np.random.default_rng(seed).normal(scale=size, size=mesh.points.shape)
    return slide.retract(mesh.points + step)


def circle(n, radius=1.0, centre=(0.3, -0.2)):
    a = 2 * np.pi * (np.arange(n) + 0.2 * np.sin(3 * np.arange(n))) / n
    return np.c_[np.cos(a), np.sin(a)] * radius + centre


# -- facets -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_every_facet_is_found_once(kind):
    mesh = box(kind, 3)
    facets = facets_of(mesh)
    assert facets.exterior.sum() == EXTERIOR[kind]
    sides = sum(len(b) * len(b.kind.facets) for b in mesh.blocks)
    assert 2 * len(facets.nodes) - facets.exterior.sum() == sides
    assert len({frozenset(f) for f in facets.nodes.tolist()}) == len(facets.nodes)
    assert not facets.constrained[~facets.exterior].any()
    assert facets.components(mesh.n_cells).max() == 0


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_regions_meet_at_interfaces_and_are_components_of_their_own(kind):
    mesh = box(kind, 4)
    right = np.concatenate([mesh.points[b.nodes].mean(axis=1)[:, 0] for b in mesh.blocks]) > 0.5
    mesh = CellMesh(mesh.points, mesh.blocks, regions=np.where(right, 7, -3))
    facets = facets_of(mesh)
    inner = facets.nodes[facets.constrained & ~facets.exterior]
    used = inner[inner >= 0]
    assert len(inner) and np.allclose(mesh.points[used, 0], 0.5)
    component = facets.components(mesh.n_cells)
    assert len(np.unique(component)) == 2 and len(np.unique(component[right])) == 1
    free_sides = facets.label[facets.exterior]
    assert len(np.unique(free_sides)) == 2  # the outside of either region


def test_named_facets_are_found_whatever_the_order_of_their_vertices():
    mesh = box("quad", 2)
    bottom = np.flatnonzero(mesh.points[:, 1] == 0)
    bottom = bottom[np.argsort(mesh.points[bottom, 0])]
    named = CellMesh(
        mesh.points, mesh.blocks, facets={"bottom": np.c_[bottom[1:], bottom[:-1]], "none": np.zeros((0, 2))}
    )
    facets = facets_of(named)
    assert np.isin(facets.nodes[facets.names["bottom"]], bottom).all() and len(facets.names["none"]) == 0
    assert len(np.unique(facets.label[facets.exterior])) == 2


def test_facets_that_do_not_exist_and_branching_facets_are_named():
    mesh = box("triangle", 2)
    wrong = CellMesh(mesh.points, mesh.blocks, facets={"wall": np.array([[0, 8]])})
    with pytest.raises(InvalidMeshError, match=r"boundary 'wall' .* \(facets 0 of it are not\).*re-mesh"):
        facets_of(wrong)
    points = np.array([[0, 0], [1, 0], [0, 1], [0.5, 1], [0.5, -1.0]])
    with pytest.raises(InvalidMeshError, match=r"at most two cells on a facet \(cells 0, 1, 2 share one\)"):
        facets_of(CellMesh.single(points, [[0, 1, 2], [0, 1, 3], [1, 0, 4]], "triangle"))


# -- curves -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [12, 40, 200])
@pytest.mark.parametrize("radius", [1e-9, 1.0, 1e9])
def test_nodes_of_a_meshed_circle_glide_on_the_circle_itself(n, radius):
    mesh = fan(circle(n, radius, (0.3 * radius, 0.1 * radius)))
    slide = slide_of(mesh)
    assert not slide.fixed.any()
    x = glide(slide, mesh, 0.3 * radius / n)[:n]
    assert np.abs(x - mesh.points[:n]).max() > 0.1 * radius / n
    distance = np.linalg.norm(x - [0.3 * radius, 0.1 * radius], axis=1) / radius
    np.testing.assert_allclose(distance, 1, rtol=0, atol=1e-12)


def test_a_stadium_keeps_its_lines_and_its_arcs():
    a = np.linspace(-np.pi / 2, np.pi / 2, 13)
    right = np.c_[1 + np.cos(a), np.sin(a)]
    top = np.c_[np.linspace(1, -1, 9)[1:-1], np.ones(7)]
    curve = np.r_[right, top, -right, -top]
    mesh = fan(curve)
    slide = slide_of(mesh)
    x = glide(slide, mesh, 0.03)[: len(curve)]
    straight, over = np.abs(x[:, 0]) <= 1, np.maximum(np.abs(x[:, 0]) - 1, 0)
    np.testing.assert_allclose(np.abs(x[straight, 1]), 1, rtol=0, atol=1e-13)
    np.testing.assert_allclose(np.hypot(over, x[:, 1])[~straight], 1, rtol=0, atol=1e-12)
    assert np.abs(x - curve).max() > 0.03


def test_an_airfoil_keeps_its_trailing_edge_and_its_polyline():
    s = (1 - np.cos(np.linspace(0, np.pi, 41))) / 2
    half = 0.6 * (0.2969 * np.sqrt(s) - 0.126 * s - 0.3516 * s**2 + 0.2843 * s**3 - 0.1036 * s**4)
    curve = np.r_[np.c_[s, half][::-1], np.c_[s, -half][1:-1]]
    mesh = fan(curve)
    slide = slide_of(mesh)
    assert slide.fixed[0]  # the trailing edge
    assert set(np.flatnonzero(slide.fixed)) <= {0, *range(38, 43)}  # and, coarse as it is, the nose
    x = glide(slide, mesh, 0.005)[: len(curve)]
    a, b = curve, np.roll(curve, -1, axis=0)
    t = np.clip(((x[:, None] - a) * (b - a)).sum(2) / ((b - a) ** 2).sum(1), 0, 1)[:, :, None]
    gap = np.linalg.norm(a + t * (b - a) - x[:, None], axis=2).min(axis=1)
    sagitta = (np.linalg.norm(b - a, axis=1) ** 2).max() / 8 / 0.02  # an arc bulges at most so far over its chord
    assert gap.max() < sagitta and np.abs(x - curve).max() > 1e-3


@pytest.mark.parametrize("degrees", [1.0, 5.0, 20.0])
def test_shallow_kinks_of_a_polygon_are_corners(degrees):
    rise = np.tan(np.deg2rad(degrees) / 2)
    across = np.linspace(-1, 1, 11)
    top = np.c_[across, 1 - rise * np.abs(across)][::-1]
    curve = np.r_[[[-1, 0]], np.c_[across, 0 * across][1:-1], [[1, 0]], top]
    mesh = fan(curve)
    slide = slide_of(mesh)
    assert slide.fixed[: len(curve)].sum() == 5
    assert slide.fixed[np.flatnonzero((curve == [0, 1]).all(axis=1))].all()
    x = glide(slide, mesh, 0.03)[: len(curve)]
    upper = curve[:, 1] > 0.5
    np.testing.assert_allclose(x[upper, 1], 1 - rise * np.abs(x[upper, 0]), rtol=0, atol=1e-14)


def test_a_change_of_name_is_a_corner():
    x = np.linspace(0, 1, 5)
    mesh = skfem.MeshTri.init_tensor(x, x).with_boundaries({"inlet": lambda p: (p[1] == 0) & (p[0] < 0.5)})
    slide = slide_of(converter.read(mesh))
    assert slide.fixed.sum() == 5
    assert slide.fixed[(mesh.p.T == [0.5, 0]).all(axis=1)].all()


# -- surfaces ---------------------------------------------------------------------------------------------------------


def shell(kind, n, warp):
    """The box [-1, 1]^3 with its vertices (n, 3) put elsewhere by `warp`."""
    mesh = box(kind, n)
    return mesh.moved(warp(2 * mesh.points - 1))


@pytest.mark.parametrize("kind", ["tetra", "hexahedron", "wedge", "pyramid", "mixed 3-D"])
def test_a_turned_cube_has_eight_corners_twelve_edges_and_six_planes(kind):
    frame = turn(0.4, 3, 0) @ turn(0.7, 3, 2)
    mesh = shell(kind, 4, lambda p: p @ frame.T)
    slide = slide_of(mesh)
    assert slide.fixed.sum() == 8
    x, home = glide(slide, mesh, 0.1) @ frame, mesh.points @ frame
    on = np.abs(np.abs(home) - 1) < 1e-9
    np.testing.assert_allclose(x[on], home[on], rtol=0, atol=1e-14)
    assert np.abs(x - home)[on.any(axis=1)].max() > 0.05


@pytest.mark.parametrize("kind", ["tetra", "hexahedron"])
def test_a_cylinder_keeps_its_rims_its_lids_and_its_side(kind):
    def warp(p):  # squares to circles
        r, s = np.abs(p[:, :2]).max(axis=1), np.linalg.norm(p[:, :2], axis=1)
        return np.c_[p[:, :2] * (r / np.where(s > 0, s, 1))[:, None], p[:, 2]]

    mesh = shell(kind, 8, warp)
    slide = slide_of(mesh)
    assert not slide.fixed.any()
    x, r = glide(slide, mesh, 0.02), np.linalg.norm(mesh.points[:, :2], axis=1)
    lid, side = np.abs(mesh.points[:, 2]) == 1, r > 1 - 1e-9
    np.testing.assert_array_equal(x[lid, 2], mesh.points[lid, 2])
    moved = np.linalg.norm(x[:, :2], axis=1)
    sagitta = 1 - np.cos(np.pi / 32 * 1.4)
    assert moved[side].max() < 1 + 1e-12 and moved[side].min() > 1 - sagitta
    np.testing.assert_allclose(slide.retract(x), x, rtol=0, atol=1e-13)


@pytest.mark.parametrize("kind", ["tetra", "hexahedron"])
def test_a_sphere_has_no_features(kind):
    def warp(p):
        r, s = np.abs(p).max(axis=1), np.linalg.norm(p, axis=1)
        return p * (r / np.where(s > 0, s, 1))[:, None]

    mesh = shell(kind, 8, warp)
    slide = slide_of(mesh)
    assert not slide.fixed.any()
    outer = np.linalg.norm(mesh.points, axis=1) > 1 - 1e-9
    x = np.linalg.norm(glide(slide, mesh, 0.02)[outer], axis=1)
    assert x.max() < 1 + 1e-12 and x.min() > 0.95


def test_a_chamfer_of_ten_degrees_is_an_edge():
    rise = np.tan(np.deg2rad(10))

    def warp(p):
        return np.c_[p[:, :2], p[:, 2] - np.where(p[:, 2] > 0, rise * np.maximum(p[:, 0], 0) * p[:, 2], 0)]

    mesh = shell("hexahedron", 4, warp)
    slide = slide_of(mesh)
    assert slide.fixed.sum() == 10  # the cube's, and the ends of the kink
    x = glide(slide, mesh, 0.1)
    top = np.isclose(mesh.points[:, 2], 1 - rise * np.maximum(mesh.points[:, 0], 0))
    np.testing.assert_allclose(x[top, 2], 1 - rise * np.maximum(x[top, 0], 0), rtol=0, atol=1e-13)
    kink = top & (mesh.points[:, 0] == 0)
    np.testing.assert_allclose(x[kink, 0], 0, rtol=0, atol=1e-14)


# -- sliding ----------------------------------------------------------------------------------------------------------


@given(kind=st.sampled_from(ALL_KINDS), seed=st.integers(0, 99), size=st.sampled_from([1e-3, 0.1, 3.0]))
def test_law_retraction_is_idempotent_and_admissible_points_stay(kind, seed, size):
    mesh = box(kind, 3, jitter=0.2, seed=seed)
    mesh = mesh.moved(mesh.points @ turn(seed, mesh.dim).T)
    slide = slide_of(mesh)
    np.testing.assert_allclose(slide.retract(mesh.points), mesh.points, rtol=0, atol=1e-15)
    x = glide(slide, mesh, size, seed)
    np.testing.assert_allclose(slide.retract(x), x, rtol=0, atol=1e-14 * max(1, size))
    assert (x[slide.fixed] == mesh.points[slide.fixed]).all()


@given(seed=st.integers(0, 99), size=st.sampled_from([1e-3, 0.05, 1.0]))
def test_law_retraction_onto_a_circle_is_idempotent(seed, size):
    mesh = fan(circle(30))
    slide = slide_of(mesh)
    x = glide(slide, mesh, size, seed)
    np.testing.assert_allclose(slide.retract(x), x, rtol=0, atol=1e-13)


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_tangents_are_projections_and_the_basis_spans_them(kind):
    mesh = box(kind, 3, jitter=0.2)
    mesh = mesh.moved(mesh.points @ turn(0.5, mesh.dim).T)
    slide = slide_of(mesh)
    v = np.random.default_rng(0).normal(size=mesh.points.shape)
    t = slide.tangent(v)
    np.testing.assert_allclose(slide.tangent(t), t, atol=1e-14)
    assert np.vdot(v - t, t) == pytest.approx(0, abs=1e-12)
    basis = slide.basis()
    np.testing.assert_allclose((basis.T @ basis).toarray(), np.eye(basis.shape[1]), atol=1e-14)
    np.testing.assert_allclose((basis @ (basis.T @ v.ravel())).reshape(v.shape), t, atol=1e-14)
    np.testing.assert_allclose(slide.retract(mesh.points + 1e-3 * t), mesh.points + 1e-3 * t, atol=1e-15)


def test_modes_by_name_and_pinned_nodes():
    x = np.linspace(0, 1, 5)
    named = {"left": lambda p: p[0] == 0, "right": lambda p: p[0] == 1}
    mesh = converter.read(skfem.MeshTri.init_tensor(x, x).with_boundaries(named))
    left = mesh.points[:, 0] == 0
    slide = slide_of(mesh, {"left": "fixed", "right": "slide"}, [12])
    assert slide.fixed[left].all() and slide.fixed[12] and slide.fixed.sum() == 5 + 2 + 1
    outer = ((mesh.points == 0) | (mesh.points == 1)).any(axis=1)
    assert slide_of(mesh, "fixed").fixed.tolist() == outer.tolist()
    everything = slide_of(mesh, "slide", np.ones(mesh.n_points, bool))
    assert not everything.moves and slide.moves
    for boundary, message in (
        ("glide", r"'slide', 'fixed' or a dict .* \(got 'glide'\)"),
        ({"top": "fixed"}, r"name of a boundary .* \(got 'top'; it has: 'left', 'right'\)"),
        ({"left": "free"}, r"'slide' or 'fixed' for boundary 'left' \(got 'free'\)"),
    ):
        with pytest.raises(ValueError, match=message):
            slide_of(mesh, boundary)


def test_periodic_images_take_the_same_step():
    mesh = skfem.MeshTri1DG.init_tensor(np.linspace(0, 1, 5), np.linspace(0, 1, 5), periodic=[0, 1])
    mesh = converter.read(mesh)
    slide = slide_of(mesh)
    x = glide(slide, mesh, 0.02)
    step = x - mesh.points
    a, b = mesh.periodic.T
    np.testing.assert_allclose(step[a], step[b], rtol=0, atol=1e-16)
    force = np.random.default_rng(0).normal(size=mesh.points.shape)
    one = slide.spread(np.random.default_rng(1).normal(size=mesh.points.shape))
    assert np.vdot(slide.gather(force), one) == pytest.approx(np.vdot(force, one))  # gather is spread's adjoint
    basis = slide.basis()
    np.testing.assert_allclose(basis @ (basis.T @ one.ravel() / basis.power(2).sum(axis=0).A1), one.ravel(), atol=1e-12)


def test_volume_is_kept_by_gliding_on_polygons():
    for kind in ALL_KINDS:
        mesh = box(kind, 3)
        mesh = mesh.moved(mesh.points @ turn(np.pi / 4, mesh.dim).T)
        x = glide(slide_of(mesh), mesh, 0.02)
        sign = np.sign(cell_volumes(mesh))
        assert (sign * cell_volumes(mesh, x)).sum() == pytest.approx(1, rel=1e-12)


# -- coarse bends -----------------------------------------------------------------------------------------------------


def wavy(n):
    """A square, its sides waves of n segments each that never turn sharply."""
    s = np.arange(n) / n
    wave = 0.045 * np.sin(2 * np.pi * s)
    sides = [np.c_[s, wave], np.c_[1 + wave, s], np.c_[1 - s, 1 + wave], np.c_[wave, 1 - s]]
    return fan(np.concatenate(sides))


@pytest.mark.parametrize("stretch", [1.0, 100.0])
def test_bends_that_edges_would_cut_off_are_corners_on_coarse_lines_only(stretch):
    matrix = turn(0.3) @ np.diag([stretch, 1.0])
    for n, top, held in ((7, 2, True), (60, 15, False)):
        mesh = wavy(n)
        fixed = slide_of(mesh.moved(mesh.points @ matrix.T)).fixed
        assert fixed[[0, n, 2 * n, 3 * n]].all()
        assert bool(fixed[top]) == held


@pytest.mark.parametrize("n", [12, 24])
def test_sag_is_how_far_the_middles_of_edges_are_off_their_curve(n):
    a = 2 * np.pi * np.arange(n) / n
    mesh = fan(np.c_[np.cos(a), np.sin(a)])
    size = slide_of(mesh).sag(mesh.points) / (1 - np.cos(np.pi / n))
    assert size == pytest.approx(1 / np.sqrt(3), rel=0.05)  # a disk and a square of side sqrt(3) have equal inertia


def test_straight_sides_have_no_sag():
    square = box("triangle", 3)
    assert slide_of(square).sag(square.points) == 0


@pytest.mark.parametrize("matrix", [1e6 * np.eye(2), turn(0.4), 1e-6 * turn(2.0)])
def test_sag_does_not_depend_on_units_or_direction(matrix):
    mesh = wavy(60)
    points = glide(slide_of(mesh), mesh, 0.01)
    there = slide_of(mesh).sag(points)
    assert there > 0
    assert slide_of(mesh.moved(mesh.points @ matrix.T)).sag(points @ matrix.T) == pytest.approx(there, rel=1e-6)
