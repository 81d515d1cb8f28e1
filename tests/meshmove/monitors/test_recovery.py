"""Laws of derivative recovery: exact for quadratics everywhere, whatever the cells, frame, scale and numbering."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import Delaunay

from meshmove.geometry import CellBlock, CellMesh, FieldError, kind_of
from meshmove.monitors.recovery import Recovery, recover_gradient, recover_hessian

seeds = st.integers(0, 2**32 - 1)


def delaunay(rng, dim, n):
    """Random points inside the unit cube, jittered from a grid so that the hull has no slivers of measure zero."""
    k = round(n ** (1 / dim))
    points = np.stack(np.meshgrid(*[np.linspace(0, 1, k)] * dim), axis=-1).reshape(-1, dim)
    points += rng.uniform(-0.3, 0.3, points.shape) / k
    return CellMesh.single(points, Delaunay(points).simplices, "triangle" if dim == 2 else "tetra")


def box(kind, n=4):
    """A uniform grid of the unit square or cube in cells of one kind."""
    dim = kind_of(kind).dim
    axes = np.meshgrid(*[np.arange(n + 1)] * dim, indexing="ij")
    points = np.stack([a.ravel() for a in axes], axis=1) / n
    ids = np.arange(len(points)).reshape(axes[0].shape)
    root = kind_of("quad" if dim == 2 else "hexahedron")
    corner = [ids[tuple(slice(int(c), int(c) + n) for c in r)].ravel() for r in root.reference]
    cells = np.stack(corner, axis=1)
    if kind in ("triangle", "tetra"):
        cells = cells[:, root.simplices].reshape(-1, dim + 1)
    if kind == "wedge":
        cells = cells[:, [[0, 1, 2, 4, 5, 6], [0, 2, 3, 4, 6, 7]]].reshape(-1, 6)
    if kind == "pyramid":
        apex = len(points) + np.arange(len(cells))
        points = np.concatenate([points, points[cells].mean(axis=1)])
        sides = [[*cells[:, f[::-1]].T, apex] for f in root.facets]
        cells = np.concatenate([np.stack(s, axis=1) for s in sides])
    return CellMesh.single(points, cells, kind)


def quadratic(rng, dim, points, scale=1.0):
    """Values of a random quadratic that varies by about 1 over a mesh of extent `scale`; gradient; Hessian."""
    a, b = rng.normal(size=(dim, dim)), rng.normal(size=dim)
    a, x = (a + a.T) / scale**2, points.T
    b = b / scale - a @ points.mean(axis=0)
    return 0.5 * np.einsum("an,ab,bn->n", x, a, x) + b @ x, a @ x + b[:, None], a[:, :, None]


def rotation(rng, dim):
    q = np.linalg.qr(rng.normal(size=(dim, dim)))[0]
    return q * np.sign(np.linalg.det(q))


def assert_exact(mesh, rng, scale=1.0, tol=1e-7):
    u, g, h = quadratic(rng, mesh.dim, mesh.points, scale)
    recovery = Recovery(mesh)
    assert np.abs(recovery.gradient(u) - g).max() * scale < tol
    assert np.abs(recovery.hessian(u) - h).max() * scale**2 < tol


@settings(max_examples=40, deadline=None)
@given(seeds, st.sampled_from([(2, 30), (2, 200), (3, 150)]), st.sampled_from([1e-9, 1e-3, 1.0, 1e9]))
def test_quadratics_are_exact_to_the_boundary_in_any_frame(seed, size, scale):
    rng = np.random.default_rng(seed)
    mesh = delaunay(rng, *size)
    frame = scale * rotation(rng, mesh.dim)
    assert_exact(mesh.moved(mesh.points @ frame + scale * rng.normal(size=mesh.dim)), rng, scale)


@pytest.mark.parametrize("kind", ["triangle", "quad", "tetra", "hexahedron", "wedge", "pyramid"])
def test_quadratics_are_exact_on_every_kind_of_cell(kind):
    rng = np.random.default_rng(0)
    mesh = box(kind)
    assert_exact(mesh, rng)
    inner = ((mesh.points > 0) & (mesh.points < 1)).all(axis=1, keepdims=True)
    assert_exact(mesh.moved(mesh.points + inner * rng.uniform(-0.05, 0.05, mesh.points.shape)), rng)


def test_quadratics_are_exact_on_mixed_cells():
    points = box("quad").points
    nodes = box("quad").blocks[0].nodes
    split = nodes[:7][:, kind_of("quad").simplices].reshape(-1, 3)
    mesh = CellMesh(points, (CellBlock(kind_of("triangle"), split), CellBlock(kind_of("quad"), nodes[7:])))
    assert_exact(mesh, np.random.default_rng(1))


@pytest.mark.parametrize("stretch", [100, 10_000])
@pytest.mark.parametrize("dim", [2, 3])
def test_quadratics_of_the_stretched_frame_are_exact_on_stretched_cells(stretch, dim):
    # a field that varies as the cells do: the quadratic of the unstretched points, oblique to the axes
    rng = np.random.default_rng(2)
    mesh = delaunay(rng, dim, 200)
    u, g, h = quadratic(rng, dim, mesh.points)
    frame = np.diag([1.0] * (dim - 1) + [1 / stretch]) @ rotation(rng, dim)
    recovery = Recovery(mesh.moved(mesh.points @ frame))
    tol = 1e-8 * stretch  # the stored positions are rounded by so much of a cell's width
    assert np.abs(frame @ recovery.gradient(u) - g).max() < tol
    assert np.abs(np.einsum("ab,bcn,dc->adn", frame, recovery.hessian(u), frame) - h).max() < tol


def test_quadratics_are_exact_on_graded_cells():
    mesh = box("triangle", 20)
    assert_exact(mesh.moved(np.expm1(6 * mesh.points) / np.expm1(6)), np.random.default_rng(3), tol=1e-5)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_numbering_does_not_matter(seed):
    rng = np.random.default_rng(seed)
    mesh = delaunay(rng, 2, 100)
    u = np.sin(5 * mesh.points[:, 0]) * mesh.points[:, 1]
    order = rng.permutation(mesh.n_points)
    cells = np.argsort(order)[mesh.blocks[0].nodes][rng.permutation(mesh.n_cells)]
    other = CellMesh.single(mesh.points[order], np.roll(cells, 1, axis=1), "triangle")
    expected = recover_hessian(mesh, u)[:, :, order]
    np.testing.assert_allclose(recover_hessian(other, u[order]), expected, atol=1e-8 * np.abs(expected).max())


@settings(max_examples=20, deadline=None)
@given(seeds, st.sampled_from([2, 3]))
def test_derivatives_turn_with_the_frame(seed, dim):
    rng = np.random.default_rng(seed)
    mesh = delaunay(rng, dim, 100)
    u = np.tanh(4 * mesh.points[:, 0] - mesh.points[:, 1])
    q = rotation(rng, dim)
    here, there = Recovery(mesh), Recovery(mesh.moved(mesh.points @ q.T))
    np.testing.assert_allclose(there.gradient(u), q @ here.gradient(u), atol=1e-6)
    turned = np.einsum("ab,bcn,dc->adn", q, here.hessian(u), q)
    np.testing.assert_allclose(there.hessian(u), turned, atol=1e-8 * np.abs(turned).max())


def test_a_constant_has_no_derivatives_however_large():
    mesh = delaunay(np.random.default_rng(4), 2, 100)
    assert not recover_gradient(mesh, np.full(mesh.n_points, 1e12)).any()
    assert not recover_hessian(mesh, np.full(mesh.n_points, 1e12)).any()


def test_nothing_crosses_from_one_component_to_another():
    one = box("triangle", 3)
    points = np.concatenate([one.points, one.points + [1, 0]])  # they touch, but share no vertex
    mesh = CellMesh.single(
        points, np.concatenate([one.blocks[0].nodes, one.blocks[0].nodes + one.n_points]), "triangle"
    )
    left = np.arange(mesh.n_points) < one.n_points
    x, y = points.T
    h = recover_hessian(mesh, np.where(left, x**2, 1000 * x * y))
    np.testing.assert_allclose(h[0, 0], np.where(left, 2, 0), atol=1e-8)
    np.testing.assert_allclose(h[0, 1], np.where(left, 0, 1000), atol=1e-8)


@pytest.mark.parametrize("kind", ["triangle", "quad", "tetra", "hexahedron", "wedge", "pyramid"])
def test_one_cell_has_the_gradient_of_a_linear_field(kind):
    kind = kind_of(kind)
    mesh = CellMesh.single(kind.reference, [np.arange(kind.vertices)], kind.name)
    slope = np.arange(1.0, kind.dim + 1)
    np.testing.assert_allclose(recover_gradient(mesh, mesh.points @ slope), np.outer(slope, np.ones(kind.vertices)))
    np.testing.assert_allclose(recover_hessian(mesh, mesh.points @ slope), 0, atol=1e-12)


@pytest.mark.parametrize("kind", ["triangle", "quad", "tetra", "hexahedron"])
def test_a_strip_one_cell_thick_keeps_its_curvature_along(kind):
    # nothing can be known about the second derivative across: it must come out as zero, not as an artefact
    rng = np.random.default_rng(5)
    dim = kind_of(kind).dim
    mesh = box(kind, 8)
    used = np.flatnonzero(mesh.points[:, -1] < 0.2)
    cells = mesh.blocks[0].nodes
    cells = cells[np.isin(cells, used).all(axis=1)]
    points, q = mesh.points[used] * np.array([*[1.0] * (dim - 1), 1e-2]), rotation(rng, dim)
    strip = CellMesh.single(points @ q.T, np.searchsorted(used, cells), kind)
    recovery = Recovery(strip)
    x = points.T
    slope = np.array([3.0, -50.0, 7.0][:dim])
    np.testing.assert_allclose(q.T @ recovery.gradient(slope @ x), slope[:, None] * np.ones_like(x[:1]), atol=1e-8)
    expected = np.zeros((dim, dim, 1))
    expected[0, 0] = 2
    h = np.einsum("ba,bcn,cd->adn", q, recovery.hessian(x[0] ** 2), q)
    np.testing.assert_allclose(h, expected * np.ones(len(used)), atol=1e-7)


def test_vertices_that_no_cell_uses_get_zero():
    mesh = CellMesh.single([[0, 0], [1, 0], [0, 1], [9, 9]], [[0, 1, 2]], "triangle")
    assert not recover_gradient(mesh, [0, 1, 2, 3])[:, 3].any()
    assert np.isfinite(recover_hessian(mesh, [0, 1, 2, 3])).all()


def test_random_points_give_finite_derivatives_of_the_right_size():
    # the hull of random points has slivers 1:1,000, on which second derivatives across are hard to come by
    rng = np.random.default_rng(6)
    points = rng.random((2000, 2))
    mesh = CellMesh.single(points, Delaunay(points).simplices, "triangle")
    x, y = points.T
    inside = ((points > 0.02) & (points < 0.98)).all(axis=1)
    error = recover_hessian(mesh, np.sin(6 * x) * np.cos(4 * y))[0, 0] + 36 * np.sin(6 * x) * np.cos(4 * y)
    assert np.sqrt(np.mean(error[inside] ** 2)) < 3
    assert np.abs(error).max() < 200


def test_recovery_converges():
    errors = []
    for n in (20, 40, 80):
        mesh = box("triangle", n)
        x, y = mesh.points.T
        g, h = Recovery(mesh).gradient(np.sin(3 * x + y)), Recovery(mesh).hessian(np.sin(3 * x + y))
        errors.append((np.abs(g[0] - 3 * np.cos(3 * x + y)).max(), np.abs(h[0, 1] + 3 * np.sin(3 * x + y)).max()))
    rates = np.log2(np.array(errors[:-1]) / errors[1:])
    assert (rates > [1.8, 0.9]).all()  # to the boundary; inside a regular mesh one order more


def test_several_fields_at_once():
    mesh = box("quad")
    x, y = mesh.points.T
    recovery = Recovery(mesh)
    both = recovery.hessian(np.c_[x * y, y**2])
    assert both.shape == (2, 2, mesh.n_points, 2)
    np.testing.assert_allclose(both[:, :, :, 1], recovery.hessian(y**2), atol=1e-12)
    assert recovery.gradient(np.c_[x * y, y**2]).shape == (2, mesh.n_points, 2)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros(3), r"one value for each of the 25 vertices \(got an array of shape \(3,\)\)"),
        (np.where(np.arange(25) == 7, np.nan, 0), "NaN or infinity at vertices 7"),
    ],
)
def test_bad_values_are_named(values, message):
    with pytest.raises(FieldError, match=message):
        recover_gradient(box("quad"), values)
