"""Laws of the predicted interpolation error: exact for quadratics, and near the truth for steep fields."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshmove.geometry import KINDS, CellBlock, CellMesh, FieldError, kind_of
from meshmove.monitors.interpolation_error import hessian_norm, interpolation_error
from meshmove.monitors.recovery import recover_hessian

seeds = st.integers(0, 2**32 - 1)


def fine_rule(kind):
    """An independent rule of high degree: Gauss points of the cube, collapsed where the cell is a simplex or wedge."""
    x, w = np.polynomial.legendre.leggauss(7)
    grids = np.meshgrid(*[(x + 1) / 2] * kind.dim, indexing="ij")
    weights = np.prod(np.meshgrid(*[w / 2] * kind.dim, indexing="ij"), axis=0).ravel()
    g = np.stack([a.ravel() for a in grids])
    if kind.name in ("triangle", "tetra", "wedge"):
        weights *= 1 - g[0]
        g[1] *= 1 - g[0]
    if kind.name == "tetra":
        left = 1 - g[0] - g[1]
        weights *= left
        g[2] *= left
    return g, weights


def true_error(mesh, f):
    """L2 error of interpolation on each cell, squared, by brute force."""
    squared = []
    for block in mesh.blocks:
        points, weights = fine_rule(block.kind)
        shape, slopes = block.kind.shape(points)
        vertices = mesh.points[block.nodes]
        jacobian = np.einsum("mva,vcq->mqac", vertices, slopes)
        error = f(np.einsum("mva,vq->amq", vertices, shape)) - f(np.moveaxis(vertices, 2, 0)) @ shape
        squared.append((error**2 * weights * np.abs(np.linalg.det(jacobian))).sum(axis=1))
    return np.concatenate(squared)


def symmetric(rng, dim):
    a = rng.normal(size=(dim, dim))
    return a + a.T


def one_cell(rng, name):
    """A random affine image of the reference cell; quadrilaterals with one vertex moved besides."""
    kind = kind_of(name)
    points = kind.reference @ (rng.normal(size=(kind.dim, kind.dim)) + 2 * np.eye(kind.dim))
    if name == "quad":
        points[2] *= rng.uniform(0.8, 1.5)
    return CellMesh.single(points + rng.normal(size=kind.dim), [np.arange(kind.vertices)], name)


def everywhere(matrix, n):
    return np.repeat(matrix[:, :, None], n, axis=2)


def square(n, grading=0.0):
    s = np.linspace(0, 1, n + 1)
    s = s + grading * np.sin(2 * np.pi * (s - 0.5)) / (2 * np.pi)
    x, y = (g.ravel() for g in np.meshgrid(s, s, indexing="ij"))
    ids = np.arange((n + 1) ** 2).reshape(n + 1, n + 1)
    a, b, c, d = (i.ravel() for i in (ids[:-1, :-1], ids[1:, :-1], ids[1:, 1:], ids[:-1, 1:]))
    return CellMesh.single(np.c_[x, y], np.concatenate([np.c_[a, b, c], np.c_[a, c, d]]), "triangle")


@settings(max_examples=60, deadline=None)
@given(seeds, st.sampled_from(sorted(KINDS)), st.sampled_from([1e-9, 1.0, 1e9]))
def test_quadratics_are_exact_on_every_kind_of_cell(seed, name, scale):
    rng = np.random.default_rng(seed)
    mesh = one_cell(rng, name)
    h = symmetric(rng, mesh.dim)
    truth = true_error(mesh, lambda x: 0.5 * np.einsum("a...,ab,b...->...", x, h, x))
    scaled = mesh.moved(mesh.points * scale)
    total, squared = interpolation_error(scaled, everywhere(h / scale**2, mesh.n_points))
    np.testing.assert_allclose(squared, truth * scale**mesh.dim, rtol=1e-8)
    assert np.isclose(total, np.sqrt(squared.sum()))


@pytest.mark.parametrize(("dim", "own", "two", "apart"), [(2, 1 / 90, 1 / 180, 0), (3, 1 / 210, 1 / 420, 1 / 840)])
def test_on_simplices_it_is_the_quadratic_form_of_the_edges(dim, own, two, apart):
    rng = np.random.default_rng(0)
    mesh = one_cell(rng, "triangle" if dim == 2 else "tetra")
    h, edges = symmetric(rng, dim), mesh.edges
    vectors = np.diff(mesh.points[edges], axis=1)[:, 0]
    d = np.einsum("ea,ab,eb->e", vectors, h, vectors)
    shared = (edges[:, None, :, None] == edges[None, :, None, :]).sum(axis=(2, 3))
    form = np.choose(shared, [apart, two, own])
    volume = abs(np.linalg.det(mesh.points[1:] - mesh.points[0])) / (2 if dim == 2 else 6)
    assert np.isclose(interpolation_error(mesh, everywhere(h, dim + 1))[1], volume / 4 * d @ form @ d)


def test_on_parallelepipeds_it_is_the_quadratic_form_of_the_axes():
    rng = np.random.default_rng(1)
    mesh = one_cell(rng, "hexahedron")
    h, axes = symmetric(rng, 3), mesh.points[[1, 3, 4]] - mesh.points[0]
    d = np.einsum("ca,ab,cb->c", axes, h, axes)
    volume = abs(np.linalg.det(axes))
    expected = volume / 144 * (d.sum() ** 2 + (d**2).sum() / 5)
    assert np.isclose(interpolation_error(mesh, everywhere(h, 8))[1], expected)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_frame_numbering_and_orientation_do_not_matter(seed):
    rng = np.random.default_rng(seed)
    mesh = square(4)
    h = np.stack([symmetric(rng, 2) for _ in range(mesh.n_points)], axis=2)
    total, squared = interpolation_error(mesh, h)
    q = np.linalg.qr(rng.normal(size=(2, 2)))[0]
    turned = interpolation_error(
        mesh.moved(mesh.points @ q.T + 100 * rng.normal(size=2)), np.einsum("ab,bcn,dc->adn", q, h, q)
    )
    np.testing.assert_allclose(turned[1], squared, rtol=1e-6)
    order, cells = rng.permutation(mesh.n_points), rng.permutation(mesh.n_cells)
    nodes = np.argsort(order)[mesh.blocks[0].nodes][cells][:, rng.permutation(3)]
    other = interpolation_error(CellMesh.single(mesh.points[order], nodes, "triangle"), h[:, :, order])
    np.testing.assert_allclose(other[1], squared[cells], rtol=1e-12)
    assert np.isclose(other[0], total)
    np.testing.assert_allclose(interpolation_error(mesh, -3 * h)[1], 9 * squared)


def test_hessians_of_cells_and_of_vertices_agree_where_they_are_constant():
    points = square(2).points
    triangles, quads = [[0, 3, 4], [0, 4, 1]], [[1, 4, 5, 2], [3, 6, 7, 4], [4, 7, 8, 5]]
    mesh = CellMesh(points, (CellBlock(kind_of("triangle"), triangles), CellBlock(kind_of("quad"), quads)))
    h = np.array([[1.0, 2.0], [2.0, -3.0]])
    one, two = interpolation_error(mesh, everywhere(h, 9)), interpolation_error(mesh, everywhere(h, 5))
    np.testing.assert_allclose(one[1], two[1])
    expected = true_error(mesh, lambda x: 0.5 * np.einsum("a...,ab,b...->...", x, h, x))
    np.testing.assert_allclose(one[1], expected)


def test_as_many_cells_as_vertices_need_a_word():
    kind = kind_of("tetra")
    mesh = CellMesh.single(kind.reference, [np.arange(4)] * 4, "tetra")  # four times the same cell
    h = np.zeros((3, 3, 4))
    h[0, 0, 0] = 1.0
    assert interpolation_error(mesh, h)[1].all()
    assert interpolation_error(mesh, h, cellwise=True)[1].astype(bool).tolist() == [True, False, False, False]


def test_a_sign_change_inside_a_cell_does_not_cancel():
    mesh = CellMesh.single([[0, 0], [1, 0], [1, 1], [0, 1]], [[0, 1, 2, 3]], "quad")
    h = everywhere(np.eye(2), 4) * [1, 1, -1, -1]
    assert np.isclose(interpolation_error(mesh, h)[0], interpolation_error(mesh, np.abs(h))[0])


def test_moved_points_take_the_place_of_the_mesh_s_own():
    mesh = square(5)
    h = everywhere(np.eye(2), mesh.n_points)
    moved = mesh.points + 0.02 * np.sin(9 * mesh.points[:, ::-1])
    np.testing.assert_array_equal(interpolation_error(mesh, h, moved)[1], interpolation_error(mesh.moved(moved), h)[1])


def test_very_flat_cells_keep_their_digits():
    # curvature across a layer only, cells stretched along it and oblique to the axes
    points = square(10).points * [1, 1e-4]
    angle = np.array([[0.6, 0.8], [-0.8, 0.6]])
    mesh = square(10).moved(points @ angle.T)
    across = angle @ [0, 1]
    total = interpolation_error(mesh, everywhere(np.outer(across, across) * 1e8, mesh.n_points))[0]
    plain = interpolation_error(square(10), everywhere(np.diag([0.0, 1.0]), mesh.n_points))[0]
    assert np.isclose(total, plain * np.sqrt(1e-4), rtol=1e-6)


@pytest.mark.parametrize("grading", [0.0, -0.6, 0.6])
@pytest.mark.parametrize(
    "field",
    [
        lambda x: np.tanh(60 * ((x[0] - 0.5) ** 2 + (x[1] - 0.5) ** 2 - 0.08)),
        lambda x: np.exp(-200 * ((x[0] - 0.3) ** 2 + (x[1] - 0.4) ** 2)),
    ],
)
def test_prediction_from_nodal_values_tends_to_the_truth(field, grading):
    # nodal values 1/20 apart do not show all of a layer 1/30 wide: the coarsest prediction is low, never wild
    ratios = []
    for n in (20, 40, 80):
        mesh = square(n, grading)
        predicted, _ = interpolation_error(mesh, recover_hessian(mesh, field(mesh.points.T)))
        ratios.append(predicted / np.sqrt(true_error(mesh, field).sum()))
    assert 0.5 < ratios[0] < 1.4
    assert abs(np.log(ratios[2])) < abs(np.log(ratios[0]))
    assert 0.9 < ratios[2] < 1.1


def test_hessian_norm_is_frobenius():
    rng = np.random.default_rng(2)
    h = np.stack([symmetric(rng, 3) for _ in range(5)], axis=2)
    np.testing.assert_allclose(hessian_norm(h), [np.linalg.norm(h[:, :, i]) for i in range(5)])


@pytest.mark.parametrize(
    ("hessian", "points", "message"),
    [
        (
            np.zeros((2, 2, 5)),
            None,
            r"shape \(2, 2, 9\) at the vertices or \(2, 2, 8\) in the cells \(got \(2, 2, 5\)\)",
        ),
        (np.zeros((3, 3, 9)), None, r"got \(3, 3, 9\)"),
        (np.full((2, 2, 9), np.inf), None, "finite Hessians"),
        (np.zeros((2, 2, 9)), np.zeros((2, 9)), r"positions of shape \(9, 2\) \(got \(2, 9\)\)"),
    ],
)
def test_bad_input_is_named(hessian, points, message):
    with pytest.raises(FieldError, match=message):
        interpolation_error(square(2), hessian, points)
