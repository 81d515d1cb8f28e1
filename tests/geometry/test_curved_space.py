"""Curved boundaries in space: nodes glide on the shape that facets stand for, and it keeps its volume."""

from dataclasses import replace

import numpy as np
import pytest
import skfem

import meshmove
from meshmove.geometry import CellMesh, Slide, cell_volumes, facets_of
from meshmove.geometry.sliding.shells import Shells
from meshmove.geometry.sliding.smooth.normals import edge_bulges, vertex_normals
from meshmove.geometry.sliding.smooth.patches import Patches
from meshmove.movers import MongeAmpere, Move, Problem
from meshmove.movers.objectives.volumes import VOLUME
from meshmove.movers.problem import SAG, SAG_GROWTH
from meshmove.movers.run import Run
from meshmove.plugins.skfem import converter
from tests.shapes import assert_valid, box, turn

# -- meshes: vertices on an exact shape, and how far points are off it ------------------------------------------------


def tet_ball(refinements=2):
    return converter.read(skfem.MeshTet.init_ball(refinements))


def rounded(kind, n, axes):
    """The box [-1, 1]^3, its squares (two axes) or itself (three) made round."""
    mesh = box(kind, n)
    p = 2 * mesh.points - 1
    r, s = np.abs(p[:, :axes]).max(axis=1), np.linalg.norm(p[:, :axes], axis=1)
    p[:, :axes] *= (r / np.where(s > 0, s, 1))[:, None]
    return mesh.moved(p)


def torus(kind="hexahedron", around=12, radius=0.4):
    """Disks of squares or triangles about the z axis at distance 1, joined to a ring of cells."""
    if kind == "hexahedron":
        disk = skfem.MeshQuad.init_tensor(*2 * [np.linspace(-1, 1, 4)])
        r, s = np.abs(disk.p).max(axis=0), np.linalg.norm(disk.p, axis=0)
        x, z = radius * disk.p * r / s
    else:
        disk = skfem.MeshTri.init_circle(1)
        x, z = radius * disk.p
    low, m = disk.t.T, disk.nvertices
    cells = np.concatenate([np.c_[low + k * m, low + (k + 1) % around * m] for k in range(around)])
    angle = np.repeat(2 * np.pi * np.arange(around) / around, m)
    x, z = np.tile(x, around), np.tile(z, around)
    points = np.c_[(1 + x) * np.cos(angle), (1 + x) * np.sin(angle), z]
    return CellMesh.single(points, cells, kind)


def hollow_cube(kind="hexahedron", n=6, radius=2 / 3, filled=False):
    """The box [-1, 1]^3 with a ball in it, as a hole or as another region."""
    mesh = box(kind, n)
    p = 2 * mesh.points - 1
    r, s = np.abs(p).max(axis=1), np.linalg.norm(p, axis=1)
    ball = p * (r / np.where(s > 0, s, 1))[:, None]
    blend = np.clip((1 - r) / (1 - radius), 0, 1)[:, None]  # round within `radius`, straight outside
    mesh = mesh.moved(blend * ball + (1 - blend) * p)
    inside = np.concatenate([r[b.nodes].max(axis=1) for b in mesh.blocks]) < radius + 1e-9
    if filled:
        return replace(mesh, regions=inside.astype(int))
    (block,) = mesh.blocks
    used, nodes = np.unique(block.nodes[~inside], return_inverse=True)
    return CellMesh.single(mesh.points[used], nodes.reshape(-1, block.nodes.shape[1]), kind)


def off_sphere(radius):
    return lambda p: np.linalg.norm(p, axis=1) - radius


def off_cylinder(p):
    return np.linalg.norm(p[:, :2], axis=1) - 1


def off_torus(p):
    return np.hypot(np.linalg.norm(p[:, :2], axis=1) - 1, p[:, 2]) - 0.4


SHAPES = {
    "ball": (tet_ball, off_sphere(1)),
    "ball of hexahedra": (lambda: rounded("hexahedron", 5, 3), off_sphere(1)),
    "ball of wedges": (lambda: rounded("wedge", 4, 3), off_sphere(1)),
    "cylinder of three kinds": (lambda: rounded("mixed 3-D", 4, 2), off_cylinder),
    "cylinder": (lambda: rounded("tetra", 4, 2), off_cylinder),
    "cylinder of wedges": (lambda: rounded("wedge", 4, 2), off_cylinder),
    "torus": (torus, off_torus),
    "torus of wedges": (lambda: torus("wedge", 16), off_torus),
    "hole": (hollow_cube, off_sphere(2 / 3)),
    "inclusion": (lambda: hollow_cube("tetra", filled=True), off_sphere(2 / 3)),
}
every_shape = pytest.mark.parametrize("shape", SHAPES)


def slide_of(mesh, *args):
    return Slide(mesh, facets_of(mesh), *args)


def glided(slide, mesh, share, seed=0):
    """Positions after a random step of about a share of the curved facets' edges, back on the boundary."""
    a, b = slide.curved_edges.T
    size = share * np.linalg.norm(mesh.points[a] - mesh.points[b], axis=1).mean()
    return slide.retract(mesh.points + np.random.default_rng(seed).normal(scale=size, size=mesh.points.shape))


def volumes(mesh, points=None):
    """Volume of every region."""
    v = np.abs(cell_volumes(mesh, mesh.points if points is None else points))
    return np.bincount(np.zeros(mesh.n_cells, int) if mesh.regions is None else mesh.regions, v)


def blob(centre, width, strength=10):
    centre = np.array(centre)[:, None]
    return lambda x: 1 + strength * np.exp(-(((x - centre) / width) ** 2).sum(axis=0))


# -- what nodes glide on ----------------------------------------------------------------------------------------------


@every_shape
def test_nodes_glide_on_the_shape_that_the_facets_stand_for(shape):
    make, off = SHAPES[shape]
    mesh = make()
    slide = slide_of(mesh)
    on = np.unique(slide.curved_edges)
    rest = off(mesh.points[on])
    on = on[np.abs(rest) < 1e-9]  # not the axis-parallel sides of the cube around
    facets = facets_of(mesh)
    sides = facets.nodes[facets.constrained][:, :3]
    sides = sides[np.isin(sides, on).all(axis=1)]
    sag = np.abs(off(mesh.points[sides].mean(axis=1))).max()
    for seed in range(3):
        x = glided(slide, mesh, 0.3, seed)
        assert np.abs(x - mesh.points)[on].max() > 0.05
        assert np.abs(off(x[on])).max() < 0.08 * sag
        np.testing.assert_allclose(slide.retract(x), x, rtol=0, atol=1e-13)


@every_shape
def test_law_gliding_turns_shifts_and_grows_with_the_mesh(shape):
    mesh = SHAPES[shape][0]()
    frame = turn(0.7, 3, 0) @ turn(-1.1, 3, 1)

    def there(x):
        return 1e3 * x @ frame.T + [5.0, -2.0, 7e3]

    step = np.random.default_rng(1).normal(scale=0.03, size=mesh.points.shape)
    x = slide_of(mesh).retract(mesh.points + step)
    y = slide_of(mesh.moved(there(mesh.points))).retract(there(mesh.points + step))
    np.testing.assert_allclose(y, there(x), rtol=0, atol=1e-6)


@every_shape
def test_law_gliding_does_not_depend_on_numbering(shape):
    mesh = SHAPES[shape][0]()
    rng = np.random.default_rng(2)
    new = rng.permutation(mesh.n_points)  # node k becomes new[k]
    old = np.argsort(new)
    blocks, order, first = [], [], 0
    for b in mesh.blocks:
        cells = rng.permutation(len(b))
        blocks.append(type(b)(b.kind, new[b.nodes[cells]]))
        order.append(first + cells)
        first += len(b)
    regions = None if mesh.regions is None else mesh.regions[np.concatenate(order)]
    other = CellMesh(mesh.points[old], tuple(blocks), regions=regions)
    step = rng.normal(scale=0.03, size=mesh.points.shape)
    x = slide_of(mesh).retract(mesh.points + step)
    np.testing.assert_allclose(slide_of(other).retract(mesh.points[old] + step[old]), x[old], rtol=0, atol=1e-9)


def test_rims_in_space_are_the_circles_themselves():
    for turns in (turn(0.0, 3), turn(0.5, 3, 0) @ turn(1.0, 3, 1)):
        mesh = rounded("hexahedron", 3, 2)  # twelve edges around
        mesh = mesh.moved(mesh.points @ turns.T)
        slide = slide_of(mesh)
        assert not slide.fixed.any()
        x, home = glided(slide, mesh, 0.2) @ turns, mesh.points @ turns
        rim = (np.abs(np.abs(home[:, 2]) - 1) < 1e-9) & (np.linalg.norm(home[:, :2], axis=1) > 1 - 1e-9)
        np.testing.assert_allclose(np.linalg.norm(x[rim, :2], axis=1), 1, rtol=0, atol=1e-12)
        np.testing.assert_allclose(x[rim, 2], home[rim, 2], rtol=0, atol=1e-12)
        assert np.abs(x - home)[rim].max() > 0.05


def test_curves_in_space_that_are_no_circles_are_kept():
    mesh = rounded("hexahedron", 8, 2)
    mesh = mesh.moved(mesh.points * [1.6, 1.0, 1.0])  # an elliptic cylinder: its rims are ellipses
    slide = slide_of(mesh)
    x = glided(slide, mesh, 0.2)
    rim = (np.abs(mesh.points[:, 2]) == 1) & (np.linalg.norm(mesh.points[:, :2] / [1.6, 1], axis=1) > 1 - 1e-9)
    gliding = rim & ~slide.fixed
    chords = 1 - np.cos(np.pi / 32)  # what the chords of the rim stray, about
    assert gliding.sum() > rim.sum() / 2 and np.abs(x - mesh.points)[gliding].max() > 0.02
    assert np.abs(np.linalg.norm(x[rim, :2] / [1.6, 1], axis=1) - 1).max() < 0.3 * chords


def test_flat_facets_among_curved_ones_stay_flat():
    mesh = hollow_cube()
    slide = slide_of(mesh)
    x = glided(slide, mesh, 0.2)
    on = np.abs(mesh.points) == 1
    np.testing.assert_array_equal(x[on], mesh.points[on])
    mesh = rounded("tetra", 5, 2)
    lid = np.abs(mesh.points[:, 2]) == 1
    np.testing.assert_array_equal(glided(slide_of(mesh), mesh, 0.3)[lid, 2], mesh.points[lid, 2])


def test_normals_of_spheres_are_exact_and_bulges_reach_them():
    rng = np.random.default_rng(0)
    mesh = tet_ball(2)
    facets = facets_of(mesh)
    used, triangles = np.unique(facets.nodes[facets.exterior], return_inverse=True)
    x = mesh.points[used] + 0.05 * rng.normal(size=(len(used), 3))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    triangles = triangles.reshape(-1, 3)
    inwards = np.linalg.det(x[triangles]) < 0
    triangles[inwards] = triangles[inwards][:, ::-1]
    none = np.zeros(len(x), bool)
    normal = vertex_normals(x, triangles, none, np.zeros_like(x))
    np.testing.assert_allclose(normal, x, rtol=0, atol=1e-12)
    edges = triangles[:, :2]
    middle = x[edges].mean(axis=1) + edge_bulges(x, normal, edges)
    np.testing.assert_allclose(np.linalg.norm(middle, axis=1), 1, rtol=0, atol=1e-12)


def test_the_closest_point_of_a_patch_is_closer_than_a_lattice_of_others():
    rng = np.random.default_rng(3)
    corners = rng.normal(size=(1, 3, 3))
    bulge = 0.1 * rng.normal(size=(1, 3, 3))
    patch = Patches(corners, bulge, np.zeros(1, int), 1.0)
    a = np.linspace(0, 1, 60)
    st = np.array([(s, t) for s in a for t in a if s + t <= 1 + 1e-12])
    lattice = patch.at(np.zeros(len(st), int), st)
    middles = corners[0][[0, 1, 2]] / 2 + corners[0][[1, 2, 0]] / 2 + bulge[0]
    np.testing.assert_allclose(patch.at(np.zeros(3, int), np.array([[0.5, 0], [0.5, 0.5], [0, 0.5]])), middles)
    x = lattice[rng.integers(len(st), size=200)] + 0.1 * rng.normal(size=(200, 3))
    on, normal = patch.project(x, np.zeros(200, int))
    least = np.linalg.norm(lattice[None] - x[:, None], axis=2).min(axis=1)
    assert (np.linalg.norm(on - x, axis=1) <= least + 1e-12).all()
    np.testing.assert_allclose(np.linalg.norm(normal, axis=1), 1)


# -- volumes ----------------------------------------------------------------------------------------------------------


@every_shape
def test_shells_enclose_the_cells_between_them(shape):
    mesh = SHAPES[shape][0]()
    everything = np.ones(mesh.n_points, bool)
    shells = Shells(mesh, facets_of(mesh), everything)
    x = mesh.points + 0.01 * np.random.default_rng(0).normal(size=mesh.points.shape)
    for points in (mesh.points, x):
        total = (np.sign(cell_volumes(mesh)) * cell_volumes(mesh, points)).sum()
        # the shells of the two sides of an interface cancel
        assert shells.enclosed(points).sum() == pytest.approx(total, rel=1e-12)
    assert shells.change(1.1 * mesh.points) == pytest.approx(1.1**3 - 1, rel=1e-9)
    weight, along = np.arange(1.0, len(shells) + 1), np.random.default_rng(1).normal(size=x.shape)
    slope = (weight @ (shells.change(x + 1e-6 * along) - shells.change(x - 1e-6 * along))) / 2e-6
    assert np.vdot(shells.pull(x, weight), along) == pytest.approx(slope, rel=1e-6)


def test_shells_in_the_plane_are_outlines():
    mesh = converter.read(skfem.MeshTri.init_circle(2))
    shells = Shells(mesh, facets_of(mesh), np.ones(mesh.n_points, bool))
    assert shells.rest == pytest.approx(np.abs(cell_volumes(mesh)).sum(), rel=1e-12)
    along = np.random.default_rng(1).normal(size=mesh.points.shape)
    slope = (shells.change(mesh.points + 1e-6 * along) - shells.change(mesh.points - 1e-6 * along))[0] / 2e-6
    assert np.vdot(shells.pull(mesh.points, np.ones(1)), along) == pytest.approx(slope, rel=1e-6)


@pytest.mark.parametrize("mover", ["monge-ampere", "smooth"])
@every_shape
def test_curved_domains_keep_their_volume_and_their_shape(shape, mover):
    make, off = SHAPES[shape]
    mesh = make()
    out = meshmove.adapt(mesh, monitor=blob((0.7, 0.3, 0.1), 0.5), mover=mover, effort=0.5)
    assert_valid(out)
    assert out.report.imbalance_after < 0.9 * out.report.imbalance_before
    np.testing.assert_allclose(volumes(mesh, out.moved.points), volumes(mesh), rtol=VOLUME * (1 + 1e-9))
    on = np.flatnonzero(np.abs(off(mesh.points)) < 1e-9)
    assert np.abs(out.displacement[on]).max() > 0.01
    assert np.abs(off(out.moved.points[on])).max() < 4e-3
    assert not any("encloses" in w for w in out.report.warnings)


@pytest.mark.parametrize("centre", [(0.5, 0, 0), (-0.4, 0.5, 0.3)])
def test_a_coarse_ball_keeps_its_volume_under_a_front(centre):
    mesh = skfem.MeshTet.init_ball(2)
    normal = np.array(centre) / np.linalg.norm(centre)
    field = np.tanh(8 * (normal @ mesh.p - np.linalg.norm(centre)))
    out = meshmove.adapt(mesh, field, monitor=meshmove.Monitor("hessian", intensity=2.5))
    assert_valid(out)
    assert out.report.predicted_error_after < 0.8 * out.report.predicted_error_before
    before, after = (np.abs(cell_volumes(m)).sum() for m in (out.cells, out.moved))
    assert abs(after / before - 1) <= VOLUME * (1 + 1e-9)
    radius = np.linalg.norm(out.mesh.p[:, mesh.boundary_nodes()], axis=0)
    np.testing.assert_allclose(radius, 1, rtol=0, atol=1.5e-3)


@pytest.mark.parametrize(
    "make", [lambda: skfem.MeshTri.init_circle(2), lambda: skfem.MeshQuad.init_tensor(*2 * [np.linspace(-1, 1, 7)])]
)
def test_curved_domains_in_the_plane_keep_their_area(make):
    mesh = converter.read(make())
    if len(mesh.blocks[0].nodes[0]) == 4:  # a disk of quadrilaterals
        r, s = np.abs(mesh.points).max(axis=1), np.linalg.norm(mesh.points, axis=1)
        mesh = mesh.moved(mesh.points * (r / np.where(s > 0, s, 1))[:, None])
    out = meshmove.adapt(mesh, monitor=blob((0.7, 0.2), 0.4, 20))
    assert_valid(out)
    np.testing.assert_allclose(volumes(mesh, out.moved.points), volumes(mesh), rtol=VOLUME * (1 + 1e-9))
    rim = np.linalg.norm(mesh.points, axis=1) > 1 - 1e-9
    np.testing.assert_allclose(np.linalg.norm(out.moved.points[rim], axis=1), 1, rtol=0, atol=1e-12)
    assert np.abs(out.displacement[rim]).max() > 0.02


# -- what is not kept -------------------------------------------------------------------------------------------------


def waves(n=60):
    """A square with sides of one wave each, and positions of its nodes that leave long chords on the first side's crest
    and trough: the one takes away what the other gives."""
    s = np.arange(n) / n
    rest = np.zeros(n)
    sides = []
    for t in (s, 0.4 * s + 0.3 * (s > 0.25) + 0.3 * (s >= 0.75)):
        wave = [0.045 * np.sin(2 * np.pi * u) for u in (t, s, s, s)]
        rows = [np.c_[t, wave[0]], np.c_[1 + wave[1], s], np.c_[1 - s, 1 + wave[2]], np.c_[rest + wave[3], 1 - s]]
        sides.append(np.r_[np.concatenate(rows), [[0.5, 0.5]]])
    i = np.arange(4 * n)
    mesh = CellMesh.single(sides[0], np.c_[i, (i + 1) % (4 * n), np.full(4 * n, 4 * n)], "triangle")
    return mesh, sides[1]


def problem_of(mesh, merit):
    facets = facets_of(mesh)
    return Problem(mesh, facets, Slide(mesh, facets), blob((0.5, 0.5), 1), mesh.points, predict=merit)


def test_chords_that_stray_are_refused_even_where_the_area_is_kept():
    mesh, there = waves()
    problem = problem_of(mesh, lambda x: 1 - np.abs(x - mesh.points).max())
    points = problem.slide.retract(there)
    assert problem.valid(points) and np.abs(problem.slide.shells.change(points)).max() < VOLUME
    limit = max(SAG, SAG_GROWTH * problem.rest_sag)
    assert problem.slide.sag(points) > 1.05 * limit and not problem.admissible(points)
    back, share = problem.drawn_back(points)
    assert problem.admissible(back) and 0.3 < share < 1
    assert problem.slide.sag(back) > 0.8 * limit


def test_the_classical_mover_keeps_nothing_whose_chords_stray():
    mesh, there = waves()
    problem = problem_of(mesh, lambda x: 1 - np.abs(x - mesh.points).max())
    run = Run(MongeAmpere(), replace(problem, density=_Constant()))
    assert run.consider(problem.slide.retract(there))
    assert problem.admissible(run.best) and np.abs(run.best - mesh.points).max() > 0.005
    assert run.best_merit == problem.merit(run.best)


class _Constant:
    def value(self, x):
        return np.ones(x.shape[1])


def test_a_mover_takes_no_more_of_the_volume_than_may_be():
    class Squeeze:
        name = "squeeze"

        def __call__(self, problem: Problem) -> Move:
            along = np.array([0.7, 0, 0]) * (0.25 - problem.mesh.points[:, :1] ** 2)  # in unit coordinates
            return Move(problem.slide.retract(problem.start + along), 1)

    mesh = tet_ball()
    out = meshmove.adapt(mesh, monitor=lambda x: 1 + 5 * np.exp(-4 * (x[0] - 0.9) ** 2), mover=Squeeze())
    change = volumes(mesh, out.moved.points)[0] / volumes(mesh)[0] - 1
    assert 0.5 * VOLUME < abs(change) <= VOLUME  # no more of the way was gone than keeps the ball's volume
    assert any("'squeeze'" in w and "cut off a curved boundary" in w for w in out.report.warnings)


# -- nodes that are held ----------------------------------------------------------------------------------------------


def test_held_nodes_of_a_sphere_stay_to_the_bit_and_the_others_glide():
    mesh = tet_ball()
    surface = np.flatnonzero(np.linalg.norm(mesh.points, axis=1) > 1 - 1e-9)
    held = surface[::3]
    out = meshmove.adapt(mesh, monitor=blob((0.7, 0.3, 0.1), 0.5), fixed=held)
    assert_valid(out)
    assert (out.displacement[held] == 0).all() and np.abs(out.displacement[surface]).max() > 0.01
    out = meshmove.adapt(mesh, monitor=blob((0.7, 0.3, 0.1), 0.5), boundary="fixed")
    assert (out.displacement[surface] == 0).all() and np.abs(out.displacement).max() > 0.01


def test_periodic_lids_of_a_cylinder_move_alike():
    mesh = rounded("hexahedron", 5, 2)
    p = mesh.points
    low, high = (np.flatnonzero(p[:, 2] == z) for z in (-1, 1))
    low, high = (ids[np.lexsort(p[ids, :2].round(9).T)] for ids in (low, high))
    mesh = replace(mesh, periodic=np.c_[high, low])
    out = meshmove.adapt(mesh, monitor=lambda x: 1 + 5 * np.exp(-5 * (x[0] - 0.6) ** 2))
    assert_valid(out)
    np.testing.assert_allclose(out.displacement[low], out.displacement[high], rtol=0, atol=1e-14)
    side = np.linalg.norm(p[:, :2], axis=1) > 1 - 1e-9
    assert np.abs(out.displacement[low]).max() > 0.01
    assert np.abs(off_cylinder(out.moved.points[side])).max() < 1e-3
    np.testing.assert_allclose(volumes(mesh, out.moved.points), volumes(mesh), rtol=VOLUME * (1 + 1e-9))


# -- second-order cells -----------------------------------------------------------------------------------------------


def curved(mesh, onto):
    """A second-order mesh, its nodes on the boundary put on a shape."""
    p = mesh.doflocs.copy()
    facets = mesh.boundary_facets()
    ids = np.unique(np.concatenate([mesh.dofs.get_facet_dofs(facets).flatten()]))
    p[:, ids] = onto(p[:, ids])
    return type(mesh)(p, mesh.t), ids


def ellipsoid():
    """Tetrahedra of second order, and how far points (3, n) are off their ellipsoid."""
    axes = np.array([[1.5], [1.0], [1.2]])
    straight = skfem.MeshTet.init_ball(2)
    straight = replace(straight, doflocs=straight.p * axes)
    mesh, rim = curved(skfem.MeshTet2.from_mesh(straight), lambda p: p / np.linalg.norm(p / axes, axis=0))
    return mesh, rim, lambda p: np.linalg.norm(p / axes, axis=0) - 1


def sector():
    """Hexahedra of second order between two cylinders, and how far points (3, n) on the inner one are off it."""
    box_ = skfem.MeshHex2.from_mesh(skfem.MeshHex.init_tensor(*3 * [np.linspace(0, 1, 5)]))
    r, a, z = box_.doflocs
    mesh = replace(box_, doflocs=np.stack([(1 + r) * np.cos(1.4 * a), (1 + r) * np.sin(1.4 * a), z]))
    return mesh, np.flatnonzero(r == 0), lambda p: np.linalg.norm(p[:2], axis=0) - 1


@pytest.mark.parametrize("make", [ellipsoid, sector])
def test_nodes_of_second_order_cells_glide_on_their_curved_facets(make):
    mesh, rim, off = make()
    out = meshmove.adapt(mesh, monitor=blob((0.9, 0.5, 0.1), 0.5))
    assert out.report.inverted_cells == 0
    assert np.abs(out.displacement[rim]).max() > 0.05
    assert np.abs(off(out.mesh.doflocs[:, rim])).max() < 4e-3
    before, after = (skfem.CellBasis(m, m.elem(), intorder=6).dx.sum() for m in (mesh, out.mesh))
    assert after == pytest.approx(before, rel=2e-3)
