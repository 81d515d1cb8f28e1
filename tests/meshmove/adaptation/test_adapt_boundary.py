"""The boundary, interfaces and periodic images under `adapt`: nodes glide, and nothing else about them changes."""

import meshio
import numpy as np
import pytest
import skfem

import meshmove
from meshmove.geometry import CellMesh, cell_volumes, facets_of
from meshmove.movers.imbalance import cell_mass
from tests.shapes import ALL_KINDS, assert_valid, box, bump, centres, mesh_dim, ring, size, turn

every_kind = pytest.mark.parametrize("kind", ALL_KINDS)
plane_kinds = pytest.mark.parametrize("kind", ["triangle", "quad", "mixed 2-D"])
MOVERS = ("monge-ampere", "smooth")


# -- the boundary -----------------------------------------------------------------------------------------------------


def boundary_of(mesh):
    """Vertices (b,) of the boundary and its length or area."""
    facets = facets_of(mesh)
    outer = facets.nodes[facets.exterior]
    p = mesh.points
    if mesh.dim == 2:
        total = np.linalg.norm(p[outer[:, 0]] - p[outer[:, 1]], axis=1).sum()
    else:
        rows = [outer[:, :3]]
        if outer.shape[1] > 3:
            quad = outer[:, 3] >= 0
            rows.append(outer[quad][:, [0, 2, 3]])
        a, b, c = (p[np.concatenate(rows)[:, k]] for k in range(3))
        total = np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2
    return np.unique(outer[outer >= 0]), total


@every_kind
@pytest.mark.parametrize("mover", MOVERS)
def test_nodes_of_a_box_stay_on_its_sides_to_the_bit(kind, mover):
    mesh = box(kind, size(kind))
    out = meshmove.adapt(mesh, monitor=ring if mesh.dim == 2 else bump, mover=mover)
    assert_valid(out)
    on = (mesh.points == 0) | (mesh.points == 1)
    assert (out.moved.points[on] == mesh.points[on]).all()
    assert np.abs(out.displacement[on.any(axis=1)]).max() > 1e-3  # they do glide
    assert np.abs(cell_volumes(out.moved)).sum() == pytest.approx(1, rel=1e-12)


def ell(kind, n=4):
    """The square or cube without its last quadrant or octant's column."""
    mesh = box(kind, 2 * n if mesh_dim(kind) == 2 else n)
    keep = ~(centres(mesh)[:, :2] > 0.5).all(axis=1)
    first, blocks = 0, []
    for b in mesh.blocks:
        blocks.append((b.kind, b.nodes[keep[first : first + len(b)]]))
        first += len(b)
    used = np.unique(np.concatenate([c.ravel() for _, c in blocks if len(c)]))
    number = np.zeros(mesh.n_points, np.int64)
    number[used] = np.arange(len(used))
    cells = tuple(type(mesh.blocks[0])(k, number[c]) for k, c in blocks if len(c))
    return CellMesh(mesh.points[used], cells)


@every_kind
@pytest.mark.parametrize("angle", [0, np.pi / 4])
@pytest.mark.parametrize("boundary", ["slide", "fixed"])
def test_length_area_and_volume_of_polygons_are_kept(kind, angle, boundary):
    mesh = ell(kind)
    frame = turn(angle, mesh.dim)
    mesh = mesh.moved(mesh.points @ frame.T)
    out = meshmove.adapt(mesh, monitor=lambda x: bump(frame.T @ x), boundary=boundary)
    assert_valid(out)
    nodes, total = boundary_of(mesh)
    assert boundary_of(out.moved)[1] == pytest.approx(total, rel=1e-12)
    assert np.abs(cell_volumes(out.moved)).sum() == pytest.approx(0.75, rel=1e-12)
    if boundary == "fixed":
        assert out.moved.points[nodes].tobytes() == mesh.points[nodes].tobytes()
    assert out.report.max_displacement > 0 or mesh.dim == 3


@pytest.mark.parametrize("pinned", ["ids", "mask", "list"])
@plane_kinds
def test_fixed_nodes_do_not_move(kind, pinned):
    mesh = box(kind, 8)
    ids = np.array([3, 11, 40, 41])
    mask = np.isin(np.arange(mesh.n_points), ids)
    fixed = {"ids": ids, "mask": mask, "list": ids.tolist()}[pinned]
    out = meshmove.adapt(mesh, monitor=bump, fixed=fixed)
    assert_valid(out)
    assert (out.displacement[ids] == 0).all() and (out.displacement[~mask] != 0).any()


@pytest.mark.parametrize("how", [{"fixed": [12, 40]}, {"boundary": "fixed"}])
def test_nodes_that_are_held_stay_where_a_moved_mesh_has_them(how):
    mesh = box("triangle", 8)
    moved = meshmove.adapt(mesh, monitor=bump).mesh
    edge = ((mesh.points == 0) | (mesh.points == 1)).any(axis=1)
    held = how.get("fixed", edge)
    assert np.abs(moved.points[held] - mesh.points[held]).max() > 0.01
    for monitor in (lambda x: bump(1 - x), lambda x: 1.0):
        out = meshmove.adapt(moved, monitor=monitor, reference=mesh, **how)
        assert_valid(out)
        assert (out.displacement[held] == 0).all() and out.report.max_displacement > 0.01


def test_everything_fixed_moves_nothing():
    mesh = box("triangle", 4)
    out = meshmove.adapt(mesh, monitor=bump, fixed=np.ones(mesh.n_points, bool))
    assert out.moved.points.tobytes() == mesh.points.tobytes()


@pytest.mark.parametrize("mode", ["slide", "fixed"])
def test_each_boundary_has_its_own_mode(mode):
    mesh = skfem.MeshTri().refined(3).with_boundaries({"left": lambda x: x[0] == 0, "floor": lambda x: x[1] == 0})
    out = meshmove.adapt(mesh, monitor=bump, boundary={"left": mode, "floor": "slide"})
    assert_valid(out)
    left, floor = mesh.p[0] == 0, mesh.p[1] == 0
    assert (out.displacement[left, 0] == 0).all() and (out.displacement[floor, 1] == 0).all()
    assert (np.abs(out.displacement[left]).max() == 0) == (mode == "fixed")
    assert np.abs(out.displacement[floor, 0]).max() > 1e-3


def test_nodes_of_a_disk_stay_on_its_circle():
    mesh = skfem.MeshTri.init_circle(3)
    out = meshmove.adapt(mesh, monitor=lambda x: 1 + 5 * np.exp(-5 * (x[0] - 0.7) ** 2))
    assert_valid(out)
    rim = mesh.boundary_nodes()
    np.testing.assert_allclose(np.linalg.norm(out.mesh.p[:, rim], axis=0), 1, rtol=0, atol=1e-12)
    assert np.abs(out.displacement[rim]).max() > 0.01


def test_an_annulus_keeps_both_of_its_circles():
    angle, rings = 2 * np.pi * np.arange(40) / 40, np.linspace(0.5, 1, 4)
    points = np.concatenate([r * np.c_[np.cos(angle), np.sin(angle)] for r in rings])
    i, j = np.arange(40), np.roll(np.arange(40), -1)
    cells = np.concatenate([np.c_[k + i, k + 40 + i, k + 40 + j, k + j] for k in (0, 40, 80)])
    mesh = CellMesh.single(points, cells, "quad")
    out = meshmove.adapt(mesh, monitor=lambda x: 1 + 5 * np.exp(-10 * ((x[0] - 0.7) ** 2 + x[1] ** 2)))
    assert_valid(out)
    assert out.report.imbalance_after < 0.05
    radius = np.linalg.norm(out.moved.points, axis=1)
    np.testing.assert_allclose(radius[:40], 0.5, rtol=0, atol=1e-12)
    np.testing.assert_allclose(radius[-40:], 1, rtol=0, atol=1e-12)


def test_a_rounded_column_keeps_its_lids_and_its_edges():
    mesh = box("hexahedron", 6)
    p = 2 * mesh.points - 1
    x, y = p[:, 0], p[:, 1]
    mesh = mesh.moved(np.c_[x * np.sqrt(1 - y**2 / 2.2), y * np.sqrt(1 - x**2 / 2.2), p[:, 2]])  # almost a disk
    out = meshmove.adapt(mesh, monitor=lambda x: 1 + 5 * np.exp(-5 * ((x[0] - 0.5) ** 2 + x[2] ** 2)))
    assert_valid(out)
    lid = np.abs(mesh.points[:, 2]) == 1
    assert (out.displacement[lid, 2] == 0).all()
    nodes, _ = boundary_of(mesh)
    assert np.abs(out.displacement[nodes]).max() > 0.01
    volume = np.abs(cell_volumes(mesh)).sum()
    assert np.abs(cell_volumes(out.moved)).sum() == pytest.approx(volume, rel=0.02)  # its side is faceted


# -- interfaces and components ----------------------------------------------------------------------------------------


@every_kind
def test_interfaces_stay_on_their_line_and_regions_keep_their_volume(kind):
    mesh = box(kind, size(kind))
    right = centres(mesh)[:, 0] > 0.5
    mesh = CellMesh(mesh.points, mesh.blocks, regions=right.astype(int))
    out = meshmove.adapt(mesh, monitor=bump)
    assert_valid(out)
    on = mesh.points[:, 0] == 0.5
    assert (out.displacement[on, 0] == 0).all() and np.abs(out.displacement[on, 1]).max() > 1e-3
    volume = np.abs(cell_volumes(out.moved))
    assert volume[right].sum() == pytest.approx(0.5, rel=1e-12)


def test_a_round_interface_keeps_its_circle():
    a = 2 * np.pi * np.arange(24) / 24
    disk = meshmove.geometry.Disk((0, 0), 0.5)
    rings = [np.c_[np.cos(a), np.sin(a)] * r for r in (0.17, 0.33, 0.5, 0.75, 1.0)]
    points = np.concatenate([[[0, 0]], *rings])
    i, j = np.arange(24), np.roll(np.arange(24), -1)
    cells = [np.c_[np.zeros(24, int), 1 + i, 1 + j]]
    for k in range(4):
        inner, outer = 1 + 24 * k, 25 + 24 * k
        cells += [np.c_[inner + i, outer + i, outer + j], np.c_[inner + i, outer + j, inner + j]]
    cells = np.concatenate(cells)
    inside = disk.contains(points[cells].mean(axis=1).T)
    mesh = CellMesh.single(points, cells, "triangle", regions=np.asarray(inside).astype(int))
    out = meshmove.adapt(mesh, monitor=lambda x: 1 + 5 * np.exp(-5 * ((x[0] - 0.5) ** 2 + x[1] ** 2)))
    assert_valid(out)
    for radius in (0.5, 1.0):
        on = np.isclose(np.linalg.norm(points, axis=1), radius)
        np.testing.assert_allclose(np.linalg.norm(out.moved.points[on], axis=1), radius, rtol=0, atol=1e-12)
        assert np.abs(out.displacement[on]).max() > 0.005


def beside(mesh, gap=0.5):
    """Two copies of a mesh side by side, and which points belong to the second."""
    n = mesh.n_points
    points = np.concatenate([mesh.points, mesh.points + [1 + gap, *[0] * (mesh.dim - 1)]])
    blocks = tuple(type(b)(b.kind, np.concatenate([b.nodes, b.nodes + n])) for b in mesh.blocks)
    return CellMesh(points, blocks), np.arange(2 * n) >= n


@every_kind
def test_components_keep_their_own_mass(kind):
    single = box(kind, size(kind))
    mesh, second = beside(single)

    def both(x):  # on the second nothing happens, but its density is a hundred times higher
        return np.where(x[0] < 1.25, bump(x), 500.0)

    out = meshmove.adapt(mesh, monitor=both)
    alone = meshmove.adapt(single, monitor=bump)
    assert_valid(out)
    assert np.abs(out.displacement[second]).max() < 1e-3 * np.abs(out.displacement).max()
    mass = cell_mass(single, out.moved.points[~second], bump)
    assert mass.std() <= 1.2 * cell_mass(single, alone.moved.points, bump).std() + 1e-4


# -- periodic ---------------------------------------------------------------------------------------------------------


def wave(x):
    return 1.5 + np.sin(2 * np.pi * (x[0] - 0.1)) * np.cos(2 * np.pi * (x[1] - 0.2))


@pytest.mark.parametrize("cls", [skfem.MeshTri1DG, skfem.MeshQuad1DG])
@pytest.mark.parametrize("axes", [[0], [0, 1]])
def test_periodic_images_move_alike(cls, axes):
    x = np.linspace(0, 1, 9)
    mesh = cls.init_tensor(x, x, periodic=axes)
    out = meshmove.adapt(mesh, monitor=wave)
    assert_valid(out)
    a, b = out.cells.periodic.T
    step = out.moved.points - out.cells.points
    np.testing.assert_allclose(step[a], step[b], rtol=0, atol=1e-15)
    across = out.cells.points[:, 0] == 0
    assert np.abs(step[across]).max() > 1e-3
    assert np.abs(cell_volumes(out.moved)).sum() == pytest.approx(1, rel=1e-12)
    assert type(out.mesh) is cls and np.array_equal(out.mesh.t, mesh.t)


def test_gmsh_periodic_meshes_stay_periodic():
    cells = box("triangle", 8)
    p = cells.points
    left, right = (np.flatnonzero(p[:, 0] == s) for s in (0, 1))
    left, right = left[np.argsort(p[left, 1])], right[np.argsort(p[right, 1])]
    mesh = meshio.Mesh(p, [("triangle", cells.blocks[0].nodes)])
    mesh.gmsh_periodic = [[1, (2, 1), None, np.c_[right, left]]]
    out = meshmove.adapt(mesh, monitor=wave)
    assert_valid(out)
    np.testing.assert_array_equal(out.displacement[left], out.displacement[right])
    assert np.abs(out.displacement[left, 1]).max() > 1e-3
    assert out.mesh.gmsh_periodic is not None
