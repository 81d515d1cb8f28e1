"""Laws of point location: weights are convex, cells contain their points, the outside goes to the closest cell."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import Delaunay

from meshmove.geometry.cells import KINDS
from meshmove.geometry.errors import FieldError, InvalidMeshError
from meshmove.geometry.location import PointLocator
from meshmove.geometry.location.boxtree import BoxTree, morton_codes
from meshmove.geometry.location.inverse import closest_in_simplex, reference_weights
from meshmove.geometry.mesh import CellBlock, CellMesh

FLAT = ("triangle", "quad", "tetra")  # kinds whose facets are flat wherever the vertices are

SPLITS = {
    "triangle": [[0, 1, 2], [0, 3, 2]],  # one of them turned round: libraries mix signs
    "quad": [[0, 1, 2, 3]],
    "tetra": KINDS["hexahedron"].simplices[:, [1, 0, 2, 3]],
    "hexahedron": [list(range(8))],
    "wedge": [[0, 1, 2, 4, 5, 6], [0, 2, 3, 4, 6, 7]],
    "pyramid": [[*f, 8] for f in KINDS["hexahedron"].facets],
}


def grid_mesh(kind, n=5, jitter=0.2, seed=0, hole=None):
    """The unit square or cube, n cells along a side, interior vertices moved; boxes in `hole` left out."""
    dim = KINDS[kind].dim
    shape = (n + 1,) * dim
    index = np.stack(np.meshgrid(*[np.arange(n + 1)] * dim, indexing="ij"), -1).reshape(-1, dim)
    ids = np.arange(len(index)).reshape(shape)
    base = KINDS["quad" if dim == 2 else "hexahedron"].reference.astype(int)
    corner = np.stack(np.meshgrid(*[np.arange(n)] * dim, indexing="ij"), -1).reshape(-1, dim)
    boxes = np.stack([ids[tuple((corner + b).T)] for b in base], 1)
    if hole is not None:
        boxes = boxes[~hole((corner + 0.5) / n)]
    points = index / n
    inside = (index > 0) & (index < n)
    points = points + inside * np.random.default_rng(seed).uniform(-jitter, jitter, index.shape) / n
    if kind == "pyramid":
        centres = points[boxes].mean(1)
        boxes = np.c_[boxes, len(points) + np.arange(len(boxes))]
        points = np.concatenate([points, centres])
    return CellMesh.single(points, boxes[:, np.array(SPLITS[kind])].reshape(-1, KINDS[kind].vertices), kind)


def compact(points, cells, kind):
    """Without vertices that no cell uses."""
    used, cells = np.unique(cells, return_inverse=True)
    return CellMesh.single(points[used], cells.reshape(-1, KINDS[kind].vertices), kind)


def mixed_mesh():
    """Quads on the left, triangles on the right."""
    quads = grid_mesh("quad", 4)
    left = quads.points[quads.blocks[0].nodes].mean(1)[:, 0] < 0.5
    nodes = quads.blocks[0].nodes
    right = nodes[~left][:, np.array(SPLITS["triangle"])].reshape(-1, 3)
    return CellMesh(quads.points, (CellBlock(KINDS["quad"], nodes[left]), CellBlock(KINDS["triangle"], right)))


def place(where, mesh):
    return where.interpolate(mesh.points)


def assert_convex(where):
    assert where.weights.min() >= 0
    assert where.weights.max() <= 1
    assert np.allclose(where.weights.sum(1), 1, rtol=0, atol=1e-14)


def assert_in_own_cell(where, mesh):
    """The vertices are those of the cell, in order."""
    first = 0
    for block in mesh.blocks:
        rows = (where.cells >= first) & (where.cells < first + len(block))
        v = block.kind.vertices
        assert np.array_equal(where.nodes[rows, :v], block.nodes[where.cells[rows] - first])
        assert not where.weights[rows, v:].any()
        first += len(block)


def assert_found(mesh, points, guess=None, tolerance=1e-13):
    """Points inside the mesh: convex weights that give the point back."""
    where = PointLocator(mesh).find(points.T, guess)
    assert not where.outside.any()
    assert_convex(where)
    assert_in_own_cell(where, mesh)
    assert np.abs(place(where, mesh) - points).max() <= tolerance * mesh.extent
    return where


def distance_to_mesh(mesh, points):
    """By brute force over all cells."""
    nodes = np.concatenate([b.nodes[:, b.kind.simplices].reshape(-1, mesh.dim + 1) for b in mesh.blocks])
    every = np.repeat(mesh.points[nodes][None], len(points), 0)
    _, squared = closest_in_simplex(every.reshape(-1, *every.shape[2:]), np.repeat(points, len(nodes), 0))
    return np.sqrt(squared.reshape(len(points), -1).min(1))


def assert_closest(mesh, points, guess=None):
    where = PointLocator(mesh).find(points.T, guess)
    assert_convex(where)
    assert_in_own_cell(where, mesh)
    gap = np.linalg.norm(place(where, mesh) - points, axis=1)
    expected = distance_to_mesh(mesh, points)
    assert np.allclose(gap, expected, rtol=1e-9, atol=1e-12 * mesh.extent)
    assert np.array_equal(where.outside, expected > 1e-10 * mesh.extent)
    return where


@pytest.mark.parametrize("kind", SPLITS)
def test_finds_points_and_reproduces_linear_fields(kind):
    mesh = grid_mesh(kind)
    x = np.random.default_rng(1).random((500, mesh.dim))
    assert_found(mesh, x)
    a = np.arange(1, mesh.dim + 1)
    assert np.allclose(PointLocator(mesh).interpolate(2 + mesh.points @ a, x.T), 2 + x @ a, rtol=0, atol=1e-13)


@pytest.mark.parametrize("kind", ["quad", "hexahedron"])
def test_multilinear_fields_are_exact_on_boxes(kind):
    mesh = grid_mesh(kind, jitter=0)
    x = np.random.default_rng(1).random((300, mesh.dim))
    got = PointLocator(mesh).interpolate(np.c_[mesh.points.prod(1), mesh.points[:, 0]], x.T)
    assert np.allclose(got, np.c_[x.prod(1), x[:, 0]], rtol=0, atol=1e-13)


@pytest.mark.parametrize("kind", SPLITS)
def test_weights_are_the_shape_functions(kind):
    mesh = grid_mesh(kind, 3)
    k = KINDS[kind]
    rng = np.random.default_rng(2)
    reference = rng.dirichlet(np.ones(k.vertices), mesh.n_cells) @ k.reference
    shape = k.shape(reference.T)[0].T
    x = np.einsum("mv,mvd->md", shape, mesh.points[mesh.blocks[0].nodes])
    where = assert_found(mesh, x)
    same = where.cells == np.arange(mesh.n_cells)
    assert same.mean() > 0.9
    assert np.abs(where.weights - shape)[same].max() < 1e-10


@pytest.mark.parametrize("kind", SPLITS)
def test_vertices_edges_and_facets_belong_to_the_mesh(kind):
    mesh = grid_mesh(kind)
    nodes = mesh.blocks[0].nodes
    ends = mesh.points[mesh.edges]
    for x in (
        mesh.points,
        ends.mean(1),
        ends[:, 0] * 0.3 + ends[:, 1] * 0.7,
        *[mesh.points[nodes[:, f]].mean(1) for f in KINDS[kind].facets],
    ):
        assert_found(mesh, x)
    values = np.random.default_rng(0).random(mesh.n_points)
    assert np.allclose(PointLocator(mesh).interpolate(values, mesh.points.T), values, rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind", SPLITS)
@pytest.mark.parametrize("gap", [1e-12, 1e-6, 0.3, 50.0])
def test_points_outside_get_the_closest_cell(kind, gap):
    mesh = grid_mesh(kind, 4)
    rng = np.random.default_rng(3)
    x = rng.random((60, mesh.dim))
    axis = rng.integers(0, mesh.dim, 60)
    x[np.arange(60), axis] = np.where(rng.random(60) < 0.5, -gap, 1 + gap)
    x[:5] = x[:5].round() * (1 + 2 * gap) - gap
    where = PointLocator(mesh).find(x.T)
    assert_convex(where)
    # the closest point of the unit box
    assert np.abs(place(where, mesh) - x.clip(0, 1)).max() < 1e-12 + 1e-11 * gap
    assert where.outside.all() == (gap > 1e-10)


def test_mixed_cells():
    mesh = mixed_mesh()
    x = np.random.default_rng(0).random((400, 2))
    where = assert_found(mesh, x)
    assert len(np.unique(where.cells)) == mesh.n_cells
    assert_closest(mesh, x * 3 - 1)
    solid = CellMesh(
        np.concatenate([KINDS["hexahedron"].reference, [[0.5, 0.5, 2], [2, 0.5, 0.5]]]),
        (
            CellBlock(KINDS["hexahedron"], np.arange(8)[None]),
            CellBlock(KINDS["pyramid"], [[4, 5, 6, 7, 8]]),
            CellBlock(KINDS["tetra"], [[1, 2, 6, 9], [1, 6, 5, 9]]),
        ),
    )
    assert_closest(solid, np.random.default_rng(0).random((300, 3)) * 4 - 1)


HOLES = {
    "l-shape": lambda c: (c > 0.5).all(1),
    "hole": lambda c: (np.abs(c - 0.5) < 0.3).all(1),
    "two pieces": lambda c: np.abs(c[:, 0] - 0.5) < 0.2,
    "comb": lambda c: (np.floor(c[:, 0] * 9) % 2 == 1) & (c[:, 1] > 0.2),
}


@pytest.mark.parametrize("shape", HOLES)
@pytest.mark.parametrize("kind", ["triangle", "quad", "tetra"])
def test_non_convex_domains(shape, kind):
    mesh = grid_mesh(kind, 9 if KINDS[kind].dim == 2 else 5, hole=HOLES[shape])
    mesh = compact(mesh.points, mesh.blocks[0].nodes, kind)
    rng = np.random.default_rng(4)
    x = rng.random((300 if mesh.dim == 2 else 60, mesh.dim)) * 1.4 - 0.2
    assert_closest(mesh, x)
    assert_closest(mesh, x, guess=rng.integers(0, mesh.n_cells, len(x)))


def test_graded_and_stretched_meshes():
    rng = np.random.default_rng(5)
    radius = 10 ** rng.uniform(-4, 0, 1500)
    angle = rng.uniform(0, 2 * np.pi, 1500)
    points = np.c_[radius * np.cos(angle), radius * np.sin(angle)]
    mesh = CellMesh.single(points, Delaunay(points).simplices, "triangle")
    inner = points[rng.integers(0, 1500, 500)] * rng.uniform(0.1, 0.7, (500, 1))
    assert_found(mesh, inner)
    for factors in ([100, 1], [1, 1e-4]):
        flat = grid_mesh("triangle", 12).moved(grid_mesh("triangle", 12).points * factors)
        assert_found(flat, rng.random((500, 2)) * factors)
    # cells of 100:1 whose centres are far from most of their points
    points = rng.random((800, 2)) * [100, 1]
    cells = Delaunay(points / [100, 1]).simplices
    mesh = CellMesh.single(points, cells, "triangle")
    assert_closest(mesh, rng.random((100, 2)) * [104, 1.04] - [2, 0.02])


@pytest.mark.parametrize("kind", ["triangle", "hexahedron", "tetra"])
@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_scale_and_offset_do_not_matter(kind, scale):
    mesh = grid_mesh(kind)
    x = np.random.default_rng(6).random((200, mesh.dim)) * 1.4 - 0.2
    a = PointLocator(mesh).find(x.T)
    b = PointLocator(mesh.moved(mesh.points * scale)).find(x.T * scale)
    assert np.array_equal(a.outside, b.outside)
    # cells may differ where the closest point is in several of them
    assert (a.cells == b.cells).mean() > 0.9
    assert np.abs(place(a, mesh) - place(b, mesh)).max() < 1e-12
    far = mesh.moved(mesh.points + 1e6)
    c = PointLocator(far).find(x.T + 1e6)
    assert np.array_equal(a.outside, c.outside)
    assert np.abs(place(c, mesh) - place(a, mesh)).max() < 1e-8


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), kind=st.sampled_from(sorted(SPLITS)), spread=st.floats(0.1, 3))
def test_law_convex_weights_of_the_closest_point(seed, kind, spread):
    rng = np.random.default_rng(seed)
    mesh = grid_mesh(kind, int(rng.integers(1, 4)), jitter=0.15 if kind in FLAT else 0.0, seed=seed)
    x = 0.5 + spread * (rng.random((30, mesh.dim)) - 0.5)
    where = assert_closest(mesh, x)
    # neither numbering nor a guess changes the place
    cells = rng.permutation(mesh.n_cells)
    other = CellMesh.single(mesh.points, mesh.blocks[0].nodes[cells], kind)
    again = PointLocator(other).find(x.T, rng.integers(0, mesh.n_cells, 30))
    assert np.abs(place(again, other) - place(where, mesh)).max() < 1e-12


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), kind=st.sampled_from(["hexahedron", "wedge", "pyramid"]))
def test_law_cells_with_curved_facets_leave_no_gaps(seed, kind):
    rng = np.random.default_rng(seed)
    assert_found(grid_mesh(kind, 3, jitter=0.25, seed=seed), rng.random((60, 3)), tolerance=1e-12)


def test_guess_gives_the_same_places():
    mesh = grid_mesh("triangle", 20)
    x = np.random.default_rng(0).random((500, 2))
    locator = PointLocator(mesh)
    cold = locator.find(x.T)
    for guess in (cold.cells, np.zeros(500, int), cold.cells[::-1]):
        warm = locator.find(x.T, guess)
        assert np.abs(place(warm, mesh) - x).max() < 1e-14
    moved = np.clip(x + 0.02, 0, 1)
    assert np.abs(place(locator.find(moved.T, cold.cells), mesh) - moved).max() < 1e-14


@pytest.mark.parametrize("kind", ["triangle", "tetra"])
def test_law_a_locator_that_moves_along_finds_what_a_new_one_does(kind):
    """Points that left a mesh with a hole are followed on its outline as it is now."""
    rng = np.random.default_rng(3)
    mesh = grid_mesh(kind, 6, hole=lambda c: (np.abs(c - 0.5) < 0.2).all(1))
    there = mesh.moved(mesh.points + 0.03 * np.sin(7 * mesh.points[:, ::-1]))
    x = rng.uniform(-0.1, 1.1, (400, mesh.dim))
    guess = PointLocator(mesh).find(x.T).cells
    new, moved = PointLocator(there), PointLocator(mesh).moved(there.points)
    assert np.abs(place(moved.follow(x.T, guess), there) - place(new.follow(x.T, guess), there)).max() < 1e-13
    assert np.abs(place(moved.find(x.T), there) - place(new.find(x.T), there)).max() < 1e-13


def test_degenerate_cells_are_tolerated():
    points = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0.5, 0.5]])
    mesh = CellMesh.single(points, [[0, 4, 2], [0, 1, 2], [0, 2, 3]], "triangle")
    assert_found(mesh, np.random.default_rng(0).random((100, 2)))
    alone = PointLocator(CellMesh.single(points, [[0, 4, 2]], "triangle")).find([[0.25, 1], [0.25, 0]])
    assert alone.outside.tolist() == [False, True]


def test_no_points():
    where = PointLocator(grid_mesh("quad")).find(np.zeros((2, 0)))
    assert where.cells.shape == (0,) and where.weights.shape == (0, 4)


@pytest.mark.parametrize(
    ("points", "match"),
    [
        (np.zeros((5, 2)), r"shape \(2, m\).*transpose"),
        (np.zeros(2), r"shape \(2, m\)"),
        ([[0.0, np.nan], [0, 0]], "infinity at points 1"),
    ],
)
def test_bad_points(points, match):
    with pytest.raises(FieldError, match=match):
        PointLocator(grid_mesh("triangle")).find(points)


def test_bad_guess_values_and_meshes():
    mesh = grid_mesh("triangle")
    locator = PointLocator(mesh)
    for guess in ([0], [0, mesh.n_cells], [-1, 0]):
        with pytest.raises(FieldError, match="guess of 2 cell ids"):
            locator.find(np.zeros((2, 2)), guess)
    with pytest.raises(FieldError, match="one row a vertex"):
        locator.interpolate(np.zeros(3), np.zeros((2, 2)))
    with pytest.raises(FieldError, match="finite values"):
        locator.interpolate(np.full(mesh.n_points, np.nan), np.zeros((2, 2)))
    with pytest.raises(InvalidMeshError, match="with cells"):
        PointLocator(CellMesh.single(np.zeros((0, 2)), np.zeros((0, 3), int), "triangle"))
    with pytest.raises(InvalidMeshError, match="points 2"):
        PointLocator(CellMesh.single([[0, 0], [1, 0], [0, np.inf]], [[0, 1, 2]], "triangle"))


def test_box_tree_keeps_the_nearest():
    rng = np.random.default_rng(0)
    low = rng.random((300, 3))
    low = low[np.argsort(morton_codes(low, np.zeros(3), np.ones(3)))]
    high = low + rng.random((300, 3)) * 0.05
    x = rng.random((50, 3)) * 2 - 0.5
    point, box, gap = BoxTree(low, high).near(x, np.full(50, np.inf))
    every = (np.maximum(np.maximum(low - x[:, None], x[:, None] - high), 0) ** 2).sum(2)
    for i in range(50):
        assert np.isclose(gap[point == i].min(), every[i].min())
        assert every[i].argmin() in box[point == i]
    assert len(point) < 50 * 60


def test_newton_finds_the_apex_of_a_pyramid():
    kind = KINDS["pyramid"]
    x = np.repeat(kind.reference[None], 2, 0)
    weights, done = reference_weights(kind, x, np.array([[0.5, 0.5, 1], [0.5, 0.5, 1 - 1e-9]]))
    assert done.all()
    assert np.allclose(np.einsum("mv,mvd->md", weights, x), [[0.5, 0.5, 1], [0.5, 0.5, 1 - 1e-9]], atol=1e-14)
