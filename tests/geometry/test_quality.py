"""Volumes, inverted cells, scaled Jacobians and aspect ratios."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshmove.geometry import CellMesh, aspect_ratio, cell_volumes, corner_volumes, inverted_cells, scaled_jacobian
from meshmove.geometry.cells import KINDS
from tests.shapes import ALL_KINDS, box, turn

FLAT_KINDS = ("triangle", "quad", "mixed 2-D")


def islands(kind, count=4):
    """Cells that share no vertex, so that each can be flipped by itself."""
    k = KINDS[kind]
    shift = 3.0 * np.arange(count)[:, None] * np.eye(k.dim)[0]
    points = (k.reference + shift[:, None]).reshape(-1, k.dim)
    return CellMesh.single(points, np.arange(len(points)).reshape(count, -1), kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("flipped", [[], [1], [0, 3], [0, 1, 3], [0, 1, 2, 3]])
def test_flipped_cells_are_counted(kind, flipped):
    mesh = islands(kind)
    points = mesh.points.copy()
    nodes = mesh.blocks[0].nodes[flipped].ravel()
    points[nodes, -1] *= -1
    assert inverted_cells(mesh, points).tolist() == flipped
    points[nodes, -1] *= -1
    assert inverted_cells(mesh, points).tolist() == []  # flipped twice


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_a_mirrored_mesh_is_wholly_inverted_and_twice_mirrored_it_is_whole(kind):
    mesh = box(kind, 3, jitter=0.2)
    mirrored = mesh.points * np.where(np.arange(mesh.dim) == 0, -1, 1)
    assert len(inverted_cells(mesh, mirrored)) == mesh.n_cells
    assert not len(inverted_cells(mesh.moved(mirrored), mirrored))
    assert not len(inverted_cells(mesh, -mesh.points)) if mesh.dim == 2 else len(inverted_cells(mesh, -mesh.points))


def test_the_original_sign_counts_since_meshes_mix_orientations():
    mesh = box("triangle", 4)
    signs = np.sign(cell_volumes(mesh))
    assert set(signs) == {-1, 1}
    assert not len(inverted_cells(mesh, mesh.points))
    nodes = mesh.blocks[0].nodes.copy()
    nodes[::3] = nodes[::3, ::-1]
    other = CellMesh.single(mesh.points, nodes, "triangle")
    moved = mesh.points + np.random.default_rng(1).normal(scale=0.15, size=mesh.points.shape)
    assert len(inverted_cells(mesh, moved)) > 0
    assert inverted_cells(other, moved).tolist() == inverted_cells(mesh, moved).tolist()


@pytest.mark.parametrize("kind", ["triangle", "quad", "tetra", "hexahedron"])
def test_a_vertex_pulled_through_the_opposite_facet_inverts_its_cells_only(kind):
    mesh = box(kind, 3)
    corner = int(np.argmin(mesh.points.sum(axis=1)))
    points = mesh.points.copy()
    points[corner] = 0.9
    around = np.flatnonzero((mesh.blocks[0].nodes == corner).any(axis=1))
    assert inverted_cells(mesh, points).tolist() == around.tolist()


def test_a_quad_that_is_no_longer_convex_is_inverted_although_its_area_is_positive():
    mesh = CellMesh.single([[0, 0], [1, 0], [1, 1], [0, 1]], [[0, 1, 2, 3]], "quad")
    points = mesh.points.copy()
    points[2] = 0.4
    assert cell_volumes(mesh, points)[0] > 0
    assert inverted_cells(mesh, points).tolist() == [0]
    assert scaled_jacobian(mesh, points)[0] < 0


@pytest.mark.parametrize("value", [np.nan, 0.0])
def test_flat_cells_and_cells_with_nan_count_as_inverted(value):
    mesh = islands("triangle", 3)
    points = mesh.points.copy()
    points[mesh.blocks[0].nodes[1], 1] = value
    assert inverted_cells(mesh, points).tolist() == [1]


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_cells_fill_the_box(kind):
    mesh = box(kind, 3, jitter=0.15)
    assert np.abs(cell_volumes(mesh)).sum() == pytest.approx(1, rel=1e-13)
    assert not len(inverted_cells(box(kind, 3), mesh.points))
    assert len(corner_volumes(mesh)) == len(mesh.corners[0])
    assert (np.sign(corner_volumes(mesh)) == np.sign(cell_volumes(mesh))[mesh.corners[1]]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_volumes_are_integrals_of_the_jacobian(kind):
    k, rng = KINDS[kind], np.random.default_rng(3)
    points = k.reference + rng.uniform(-0.1, 0.1, k.reference.shape)
    x, w = k.quadrature(5)
    integral = np.linalg.det(np.einsum("vi,vjq->qij", points, k.shape(x)[1])) @ w
    mesh = CellMesh.single(points, [np.arange(k.vertices)], kind)
    assert cell_volumes(mesh)[0] == pytest.approx(integral, rel=1e-13)


@pytest.mark.parametrize("kind", ["quad", "hexahedron"])
def test_the_square_and_the_cube_are_perfect(kind):
    mesh = islands(kind)
    np.testing.assert_allclose(scaled_jacobian(mesh), 1)
    np.testing.assert_allclose(aspect_ratio(mesh), 1)


def test_the_regular_simplices_are_perfect():
    triangle = CellMesh.single([[0, 0], [1, 0], [0.5, np.sqrt(0.75)]], [[0, 2, 1]], "triangle")
    tetra = CellMesh.single([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1.0]], [[0, 1, 2, 3]], "tetra")
    for mesh in (triangle, tetra):
        np.testing.assert_allclose(scaled_jacobian(mesh), 1)
        np.testing.assert_allclose(aspect_ratio(mesh), 1)


def test_slivers_have_a_small_jacobian_and_a_large_aspect_ratio():
    for height in (1e-2, 1e-4):
        mesh = CellMesh.single([[0, 0], [1, 0], [0.5, height]], [[0, 1, 2]], "triangle")
        assert scaled_jacobian(mesh)[0] < 5 * height
        assert aspect_ratio(mesh)[0] == pytest.approx(np.sqrt(0.75) / height, rel=1e-3)


@given(
    kind=st.sampled_from(ALL_KINDS),
    scale=st.sampled_from([1e-9, 1.0, 1e9]),
    angle=st.floats(0, 6),
    shift=st.floats(-3, 3),
    seed=st.integers(0, 99),
)
def test_law_rotation_translation_and_scale_do_not_matter(kind, scale, angle, shift, seed):
    mesh = box(kind, 2, jitter=0.3, seed=seed)
    other = mesh.moved(scale * (mesh.points @ turn(angle, mesh.dim).T + shift))
    np.testing.assert_allclose(cell_volumes(other), scale**mesh.dim * cell_volumes(mesh), rtol=1e-9)
    np.testing.assert_allclose(scaled_jacobian(other), scaled_jacobian(mesh), rtol=1e-8)
    np.testing.assert_allclose(aspect_ratio(other), aspect_ratio(mesh), rtol=1e-8)


@given(kind=st.sampled_from(FLAT_KINDS), seed=st.integers(0, 99))
def test_law_node_numbering_and_cell_order_do_not_matter(kind, seed):
    mesh, rng = box(kind, 3, jitter=0.3, seed=seed), np.random.default_rng(seed)
    number = rng.permutation(mesh.n_points)
    points = np.empty_like(mesh.points)
    points[number] = mesh.points
    order = [rng.permutation(len(b)) for b in mesh.blocks]
    blocks = tuple(type(b)(b.kind, number[b.nodes[o]]) for b, o in zip(mesh.blocks, order, strict=True))
    other = CellMesh(points, blocks)
    first = np.cumsum([0, *(len(b) for b in mesh.blocks)])
    whole = np.concatenate([o + f for o, f in zip(order, first, strict=False)])
    for measure in (cell_volumes, scaled_jacobian, aspect_ratio):
        np.testing.assert_array_equal(measure(other), measure(mesh)[whole])
