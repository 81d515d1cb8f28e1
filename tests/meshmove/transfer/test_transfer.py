"""Laws of field transfer: linear fields are exact, integrals and bounds are kept, errors are of second order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshmove.geometry.cells import KINDS
from meshmove.geometry.errors import FieldError, InvalidMeshError
from meshmove.geometry.location import PointLocator
from meshmove.geometry.mesh import CellBlock, CellMesh
from meshmove.transfer import conservative, interpolate
from meshmove.transfer.bounds import bounded
from tests.shapes import box

FLAT = ("triangle", "quad", "tetra")


def grid_mesh(kind, n, sizes=None):
    """The unit square or cube (or a box), n cells along a side."""
    dim = KINDS[kind].dim
    index = np.stack(np.meshgrid(*[np.arange(n + 1)] * dim, indexing="ij"), -1).reshape(-1, dim)
    ids = np.arange(len(index)).reshape((n + 1,) * dim)
    base = KINDS["quad" if dim == 2 else "hexahedron"]
    corner = np.stack(np.meshgrid(*[np.arange(n)] * dim, indexing="ij"), -1).reshape(-1, dim)
    boxes = np.stack([ids[tuple((corner + b).T)] for b in base.reference.astype(int)], 1)
    points = index / n * (1 if sizes is None else np.asarray(sizes))
    split = {
        "wedge": [[0, 1, 2, 4, 5, 6], [0, 2, 3, 4, 6, 7]],
        "pyramid": [[*f, 8] for f in base.facets],
        "triangle": [[0, 1, 2], [0, 3, 2]],
    }.get(kind, base.simplices if KINDS[kind].is_simplex else [list(range(base.vertices))])
    if kind == "pyramid":
        boxes, points = np.c_[boxes, len(points) + np.arange(len(boxes))], np.r_[points, points[boxes].mean(1)]
    return CellMesh.single(points, boxes[:, np.array(split)].reshape(-1, KINDS[kind].vertices), kind)


def swirled(points, amount=0.08):
    """Moves inside of the unit box; the sides glide along themselves."""
    x = points.T
    bubble = np.prod(np.sin(np.pi * x), axis=0)
    moved = points + amount * np.stack([bubble * np.cos(3 * x[(i + 1) % len(x)] + i) for i in range(len(x))], 1)
    return moved + 0.05 * np.sin(2 * np.pi * points)


def stretched(points):
    """Coordinates moved each by itself: facets that are flat stay flat."""
    return points + 0.12 * np.sin(np.pi * points) ** 2


def quadrature(mesh, degree=5):
    """Shape values, nodes, weights and places of a rule, for each block."""
    for block in mesh.blocks:
        xi, weight = block.kind.quadrature(degree)
        shape, slope = block.kind.shape(xi)
        x = mesh.points[block.nodes]
        volume = np.abs(np.linalg.det(np.einsum("mvd,vcq->mqdc", x, slope)))
        yield shape, block.nodes, volume * weight, np.einsum("vq,mvd->mqd", shape, x)


def integral(mesh, values):
    return sum(
        np.einsum("mq,vq,mv...->...", w, shape, np.asarray(values)[nodes]) for shape, nodes, w, _ in quadrature(mesh)
    )


def error(mesh, values, exact):
    total = sum(
        ((np.einsum("vq,mv->mq", shape, values[nodes]) - exact(np.moveaxis(x, -1, 0))) ** 2 * w).sum()
        for shape, nodes, w, x in quadrature(mesh)
    )
    return float(np.sqrt(total))


def assert_conserved(mesh, moved, before, after):
    size = integral(mesh, np.abs(before))
    assert np.all(np.abs(integral(moved, after) - integral(mesh, before)) <= 1e-12 * size)


def pair(kind, n=None):
    mesh = grid_mesh(kind, n or (8 if KINDS[kind].dim == 2 else 4))
    return mesh, mesh.moved(swirled(mesh.points) if kind in FLAT else stretched(mesh.points))


KINDS_TESTED = ["triangle", "quad", "tetra", "hexahedron", "wedge", "pyramid"]


@pytest.mark.parametrize("kind", KINDS_TESTED)
def test_interpolation_is_exact_for_linear_fields(kind):
    mesh, moved = pair(kind)
    a = np.arange(1, mesh.dim + 1)
    values = np.c_[3 + mesh.points @ a, mesh.points[:, 0]]
    expected = np.c_[3 + moved.points @ a, moved.points[:, 0]]
    assert np.allclose(interpolate(mesh, values, moved.points), expected, rtol=0, atol=1e-13)
    again = interpolate(mesh, values[:, 0], moved.points, PointLocator(mesh))
    assert np.allclose(again, expected[:, 0], rtol=0, atol=1e-13)


def test_interpolation_takes_complex_values_and_the_mesh_itself():
    mesh, _ = pair("triangle")
    values = np.exp(1j * mesh.points[:, 0])
    assert np.allclose(interpolate(mesh, values, mesh.points), values, rtol=0, atol=1e-14)


@pytest.mark.parametrize("bounds", [None, True])
@pytest.mark.parametrize("kind", KINDS_TESTED)
def test_conservation_and_exact_linear_fields(kind, bounds):
    mesh, moved = pair(kind)
    rng = np.random.default_rng(0)
    values = np.c_[rng.standard_normal(mesh.n_points), mesh.points @ np.arange(1, mesh.dim + 1) + 1, 0 * rng.random(1)
                   + np.full(mesh.n_points, 7.0)]  # fmt: skip
    after = conservative(mesh, moved, values, bounds)
    assert after.shape == values.shape
    assert_conserved(mesh, moved, values, after)
    assert np.allclose(after[:, 1], moved.points @ np.arange(1, mesh.dim + 1) + 1, rtol=0, atol=1e-11)
    assert np.allclose(after[:, 2], 7, rtol=1e-12)
    one = conservative(mesh, moved, values[:, 0], bounds, PointLocator(mesh))
    assert np.allclose(one, after[:, 0], rtol=0, atol=1e-10)


def test_mesh_that_did_not_move_keeps_the_field():
    for kind in ("triangle", "hexahedron"):
        mesh, _ = pair(kind)
        values = np.random.default_rng(0).random(mesh.n_points)
        for bounds in (None, True, (0, 1)):
            assert np.allclose(conservative(mesh, mesh, values, bounds), values, rtol=0, atol=1e-11)


def test_mixed_cells_and_complex_values():
    quads = grid_mesh("quad", 6)
    nodes = quads.blocks[0].nodes
    left = np.arange(len(nodes)) < len(nodes) // 2
    right = nodes[~left][:, [[0, 1, 2], [0, 2, 3]]].reshape(-1, 3)
    mesh = CellMesh(quads.points, (CellBlock(KINDS["quad"], nodes[left]), CellBlock(KINDS["triangle"], right)))
    moved = mesh.moved(swirled(mesh.points))
    values = np.cos(4 * mesh.points[:, 0]) + 1j * mesh.points[:, 1]
    after = conservative(mesh, moved, values)
    assert_conserved(mesh, moved, values, after)
    assert np.allclose(after.imag, moved.points[:, 1], rtol=0, atol=1e-12)


def test_components_keep_their_own_integrals():
    # two squares that touch without sharing vertices, and one away
    one = grid_mesh("triangle", 6)
    shifts, n = ([0, 0], [1, 0], [3, 0]), one.n_points
    cells = np.concatenate([one.blocks[0].nodes + i * n for i in range(3)])
    mesh = CellMesh.single(np.concatenate([one.points + s for s in shifts]), cells, "triangle")
    moved = mesh.moved(
        np.concatenate([swirled(one.points, a) + s for a, s in zip((0.1, -0.1, 0.05), shifts, strict=True)])
    )
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.random(n), 100 + rng.random(n), np.zeros(n)])
    for bounds in (None, True):
        after = conservative(mesh, moved, values, bounds)
        for i in range(3):
            rows = slice(i * n, i * n + n)
            part, new = one.moved(mesh.points[rows]), one.moved(moved.points[rows])
            assert np.isclose(integral(new, after[rows]), integral(part, values[rows]), rtol=1e-12, atol=1e-14)
        assert np.allclose(after[2 * n :], 0, atol=1e-14)
        assert after[:n].max() < 10


def test_it_is_the_projection():
    """Moments with the new shape functions are those of the old field, but for a rest that quadrature leaves."""
    mesh, moved = pair("triangle", 8)
    values = np.tanh(8 * (mesh.points[:, 0] - 0.4))
    i, j = np.nonzero(np.add.outer(np.arange(24), np.arange(24)) < 24)
    xi = np.concatenate([np.stack([i, j]) + 1 / 3, (np.stack([i, j]) + 2 / 3)[:, i + j < 23]], axis=1) / 24
    (block,) = moved.blocks
    shape, _ = block.kind.shape(xi)
    x = np.einsum("vq,mvd->mqd", shape, moved.points[block.nodes])
    volume = np.linalg.det(np.diff(moved.points[block.nodes], axis=1))
    u = PointLocator(mesh).interpolate(values, x.reshape(-1, 2).T).reshape(x.shape[:2])

    def missed(v):
        gap = u - np.einsum("vq,mv->mq", shape, v[block.nodes])
        moments = np.einsum("mq,vq,m->mv", gap, shape, np.abs(volume)) / (2 * shape.shape[1])
        return np.linalg.norm(np.bincount(block.nodes.ravel(), moments.ravel()))

    assert missed(conservative(mesh, moved, values)) < 0.25 * missed(interpolate(mesh, values, moved.points))


@pytest.mark.parametrize("kind", ["triangle", "quad", "tetra"])
def test_errors_are_of_second_order(kind):
    def field(x):
        return np.tanh(4 * (x[0] - 0.5 + 0.3 * np.sin(3 * x[1])))

    sizes = (16, 32) if kind != "tetra" else (7, 14)
    errors = []
    for n in sizes:
        mesh, moved = pair(kind, n)
        values = field(mesh.points.T)
        carried = [
            interpolate(mesh, values, moved.points),
            conservative(mesh, moved, values),
            conservative(mesh, moved, values, True),
        ]
        errors.append([error(moved, v, field) for v in carried])
    order = np.log2(np.array(errors[0]) / errors[1])
    assert order.min() > 1.7
    # projection loses less than interpolation
    assert (np.array(errors)[:, 1:] < np.array(errors)[:, :1]).all()


@pytest.mark.parametrize("kind", ["triangle", "quad", "tetra", "hexahedron"])
def test_bounds_hold_at_a_steep_front(kind):
    mesh, moved = pair(kind)
    values = (np.abs(mesh.points - 0.45).max(1) < 0.25).astype(float)
    free = conservative(mesh, moved, values)
    assert free.min() < -1e-3 or free.max() > 1 + 1e-3
    for bounds in (True, (0, 1), (-0.001, 2)):
        after = conservative(mesh, moved, values, bounds)
        low, high = (0, 1) if bounds is True else bounds
        assert low <= after.min() and after.max() <= high
        assert_conserved(mesh, moved, values, after)


def test_local_bounds():
    mesh, moved = pair("triangle", 16)
    # a small step on a plateau far above the rest: global bounds alone would let it ring
    values = np.where(mesh.points[:, 0] < 0.3, 100.0, np.where(mesh.points[:, 1] > 0.5, 1.0, 0.0))
    after = conservative(mesh, moved, values, True)
    away = moved.points[:, 0] > 0.55
    assert after[away].min() >= 0 and after[away].max() <= 1
    assert_conserved(mesh, moved, values, after)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    kind=st.sampled_from(["triangle", "quad", "tetra"]),
    scale=st.sampled_from([1e-9, 1.0, 1e9]),
    steep=st.booleans(),
)
def test_law_integral_and_bounds(seed, kind, scale, steep):
    rng = np.random.default_rng(seed)
    mesh = grid_mesh(kind, 5 if KINDS[kind].dim == 2 else 3)
    moved = mesh.moved(swirled(mesh.points, rng.uniform(-0.1, 0.1)) * scale)
    mesh = mesh.moved(mesh.points * scale)
    values = rng.random(mesh.n_points) ** (12 if steep else 1) * 10 ** rng.uniform(-8, 8)
    for bounds in (None, True):
        after = conservative(mesh, moved, values, bounds)
        assert_conserved(mesh, moved, values, after)
        if bounds:
            assert values.min() <= after.min() and after.max() <= values.max()


def test_clip_and_redistribute_widens_bounds_that_cannot_hold_the_integral():
    lumped, component = np.ones(4), np.zeros(4, int)
    old = np.array([[0.0], [1], [1], [2]])
    low, high = np.full((4, 1), 0.0), np.full((4, 1), 0.5)
    got = bounded(np.zeros((4, 1)), True, old, low, high, lumped, component, np.array([[4.0]]))
    assert np.isclose(got.sum(), 4) and got.max() <= 2
    with pytest.raises(FieldError, match="another volume"):
        bounded(np.zeros((4, 1)), True, old, low, high, lumped, component, np.array([[9.0]]))


@pytest.mark.parametrize(
    ("values", "bounds", "match"),
    [
        (np.zeros(5), None, "one row a vertex"),
        (np.zeros((81, 2, 2)), None, "one row a vertex"),
        (np.full(81, np.nan), None, "finite values"),
        (np.full(81, 3.0), (0, 1), r"mean between the bounds 0 and 1 \(got 3 "),
        (np.zeros(81), (1, 0), "not above"),
        (np.zeros(81), "tight", "pair of numbers"),
        (np.zeros(81), (0, np.nan), "not above"),
        (np.zeros(81, complex), True, "real values"),
    ],
)
def test_bad_fields(values, bounds, match):
    mesh, moved = pair("triangle")
    with pytest.raises(FieldError, match=match):
        conservative(mesh, moved, values, bounds)


def test_bad_meshes_and_points():
    mesh, _ = pair("triangle")
    for other in (grid_mesh("quad", 8), grid_mesh("triangle", 5)):
        with pytest.raises(InvalidMeshError, match="the same cells"):
            conservative(mesh, other, np.zeros(mesh.n_points))
    with pytest.raises(FieldError, match=r"shape \(m, 2\), one row a point \(got \(4, 3\)\)"):
        interpolate(mesh, np.zeros(mesh.n_points), np.zeros((4, 3)))
    with pytest.raises(FieldError, match="finite values"):
        interpolate(mesh, np.full(mesh.n_points, np.inf), mesh.points)


def test_inputs_are_not_changed():
    mesh, moved = pair("triangle")
    values = np.random.default_rng(0).random(mesh.n_points)
    copies = [a.copy() for a in (values, mesh.points, moved.points)]
    conservative(mesh, moved, values, True)
    assert all(np.array_equal(a, b) for a, b in zip(copies, (values, mesh.points, moved.points), strict=True))


@pytest.mark.parametrize("kind", ["triangle", "quad", "tetra", "hexahedron"])
def test_interpolation_does_not_leave_the_range_by_rounding(kind):
    mesh, rng = box(kind, 3), np.random.default_rng(0)
    points = rng.random((4000, mesh.dim))
    ones = interpolate(mesh, np.full(mesh.n_points, 0.1), points)
    assert np.array_equal(ones, np.full(len(points), 0.1))
    assert interpolate(mesh, 1j * mesh.points[:, 0], points).imag == pytest.approx(points[:, 0], abs=1e-12)
