"""meshio in and out: any blocks, every array to the bit, named boundaries and subdomains from sets and tags."""

import copy

import meshio
import numpy as np
import pytest
import skfem
import skfem.io.meshio
from meshio._mesh import topological_dimension

import meshmove
from meshmove.geometry.errors import FieldError, InvalidMeshError, UnsupportedMeshError
from meshmove.geometry.quality import cell_volumes
from meshmove.plugins.blocks import QUADRATIC
from meshmove.plugins.meshio import converter

# one cell of each second-order kind: VTK's reference coordinates of the further nodes
LINEAR = {
    "triangle": [[0, 0], [1, 0], [0, 1]],
    "quad": [[0, 0], [1, 0], [1, 1], [0, 1]],
    "tetra": [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "hexahedron": [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]],
    "wedge": [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [0, 1, 1]],
    "pyramid": [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0.5, 0.5, 1]],
}


def mixed(dtype=np.float64, width=3):
    """Points, lines, a quadrilateral and triangles of two blocks, all beside each other, an unused node, data."""
    points = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [2, 0], [2, 1], [-0.0, 5]])
    points = np.pad(points, ((0, 0), (0, width - 2))).astype(dtype)
    cells = [
        ("triangle", np.array([[1, 4, 5]], np.int32)),
        ("vertex", np.array([[0]])),
        ("line", np.array([[0, 1], [1, 4]])),
        ("quad", np.array([[0, 1, 2, 3]], np.uint64)),
        ("line", np.array([[4, 5]])),
        ("triangle", np.array([[1, 5, 2]])),
    ]
    mesh = meshio.Mesh(
        points,
        cells,
        point_data={"u": np.arange(7, dtype=np.float32), "v": np.ones((7, 3)), "id": np.arange(7)},
        cell_data={
            "gmsh:physical": [np.array(v) for v in ([1], [9], [5, 5], [2], [6], [1])],
            "w": [np.array(v, float) for v in ([1], [9], [5, 5], [np.nan], [6], [1])],
        },
        field_data={"bottom": np.array([5, 1]), "left": np.array([1, 2]), "note": np.array([1.5])},
        point_sets={"pin": np.array([0, 2])},
        cell_sets={"part": [np.array([0]), None, np.array([1]), None, np.array([0], np.uint64), np.array([], int)]},
        info={"made": "here"},
    )
    return mesh


def assert_identical(a, b, points=True):
    """Every array to the bit."""
    assert type(a) is type(b)
    assert a.points.dtype == b.points.dtype
    assert not points or a.points.tobytes() == b.points.tobytes()
    assert [c.type for c in a.cells] == [c.type for c in b.cells]
    for x, y in zip(a.cells, b.cells, strict=True):
        assert x.data.dtype == y.data.dtype and np.array_equal(x.data, y.data)
    for name in ("point_data", "cell_data", "field_data", "point_sets", "cell_sets"):
        mine, theirs = getattr(a, name), getattr(b, name)
        assert list(mine) == list(theirs)
        for key in mine:
            lists = [v if isinstance(v, list) else [v] for v in (mine[key], theirs[key])]
            for x, y in zip(*lists, strict=True):
                assert (x is None) == (y is None)
                assert x is None or (x.dtype == y.dtype and x.tobytes() == y.tobytes())
    assert a.info == b.info


@pytest.mark.parametrize("dtype", ["f4", "f8", ">f8"])
@pytest.mark.parametrize("width", [2, 3])
def test_a_round_trip_keeps_every_bit(dtype, width):
    mesh = mixed(dtype, width)
    same = converter.write(mesh, np.zeros((7, 2)))
    assert_identical(same, mesh)
    assert not np.shares_memory(same.points, mesh.points)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_nodes_move_by_the_displacement_and_the_input_stays(dtype):
    mesh = mixed(dtype)
    before = copy.deepcopy(mesh)
    d = np.random.default_rng(0).normal(size=(7, 2))
    d[[1, 6]] = 0
    moved = converter.write(mesh, d)
    assert_identical(mesh, before)
    assert_identical(moved, mesh, points=False)
    assert np.array_equal(moved.points[:, :2], (mesh.points[:, :2] + d).astype(dtype))
    assert moved.points[[1, 6]].tobytes() == mesh.points[[1, 6]].tobytes()
    assert moved.points[:, 2].tobytes() == mesh.points[:, 2].tobytes()
    assert converter.dtype(moved) == np.dtype(dtype)


def test_whole_number_coordinates_can_move():
    mesh = meshio.Mesh(np.array([[0, 0], [1, 0], [0, 1]]), [("triangle", [[0, 1, 2]])])
    assert converter.dtype(mesh) == np.float64
    assert np.array_equal(converter.write(mesh, np.full((3, 2), 0.25)).points, mesh.points + 0.25)


def test_mixed_blocks_are_read_in_order():
    cells = converter.read(mixed())
    assert repr(cells) == "CellMesh(2-D: 6 points, 1 triangle, 1 quad, 1 triangle)"
    assert cell_volumes(cells).tolist() == [0.5, 1.0, 0.5]
    assert cells.n_nodes == 7 and not cells.lifted(np.ones((6, 2)))[6].any()
    assert {k: v.tolist() for k, v in cells.facets.items()} == {
        "part": [[1, 4], [4, 5]],
        "bottom": [[0, 1], [1, 4]],
        "6": [[4, 5]],
    }
    assert len(set(cells.regions.tolist())) == 3  # tag 2; tag 1 in "part"; tag 1 alone


def test_planes_in_space_are_moved_in_their_plane():
    mesh = mixed()
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))[0]
    mesh.points = mesh.points @ turn.T
    cells = converter.read(mesh)
    np.testing.assert_allclose(np.abs(cell_volumes(cells)), [0.5, 1.0, 0.5])
    moved = converter.write(mesh, cells.lifted(np.full((6, 2), 0.3)))
    normal = turn[:, 2]
    np.testing.assert_allclose((moved.points - mesh.points) @ normal, 0, atol=1e-15)
    np.testing.assert_allclose(converter.read(moved).points, cells.points + 0.3, atol=1e-14)
    assert converter.write(mesh, np.zeros((7, 2))).points.tobytes() == mesh.points.tobytes()


@pytest.mark.parametrize("kind", [k for k in QUADRATIC if k in topological_dimension])  # the others: PyVista's tests
def test_second_order_nodes_follow_their_edges_faces_and_cells(kind):
    linear, parents = QUADRATIC[kind]
    corners = np.array(LINEAR[linear], float)
    points = np.concatenate([corners, [corners[list(p)].mean(axis=0) for p in parents]])
    mesh = meshio.Mesh(points, [(kind, [range(len(points))])])
    cells = converter.read(mesh)
    assert cells.n_points == len(corners)
    affine = np.random.default_rng(0).normal(size=(corners.shape[1],) * 2)
    np.testing.assert_allclose(cells.lifted(corners @ affine), points @ affine, atol=1e-14)
    offset = np.zeros(points.shape)
    offset[len(corners) :] = 0.05  # curved
    curved = meshio.Mesh(points + offset, mesh.cells)
    d = 0.1 * np.random.default_rng(1).normal(size=corners.shape)
    both = [converter.write(m, cells.lifted(d)).points for m in (curved, mesh)]
    np.testing.assert_allclose(both[0] - both[1], offset, atol=1e-15)


@pytest.mark.parametrize("cls", [skfem.MeshTri2, skfem.MeshTet2, skfem.MeshQuad2, skfem.MeshHex2])
def test_second_order_meshes_of_other_makers_agree(cls):
    """scikit-fem's numbering, permuted to meshio's by scikit-fem, gives the same lift."""
    mesh = cls().refined(1)
    theirs = skfem.io.meshio.to_meshio(mesh)
    cells = converter.read(theirs)
    np.testing.assert_allclose(cells.lifted(cells.points), theirs.points, atol=1e-15)
    assert np.abs(cell_volumes(cells)).sum() == pytest.approx(1)


def test_boundary_triangles_beside_tetrahedra_are_named():
    points = np.array([*LINEAR["tetra"], [1, 1, 1]], float)
    cells = [("triangle", [[0, 1, 2], [0, 1, 3]]), ("tetra", [[0, 1, 2, 3], [1, 2, 3, 4]]), ("line", [[0, 1]])]
    sets = {"wall": [np.array([1]), None, np.array([0])], "body": [None, np.array([1]), None]}
    read = converter.read(meshio.Mesh(points, cells, cell_sets=sets))
    assert {k: v.tolist() for k, v in read.facets.items()} == {"wall": [[0, 1, 3]]}
    assert read.regions.tolist() == [0, 1]


def test_triangles_and_quadrilaterals_of_one_boundary_are_padded():
    points = np.array([*LINEAR["wedge"]], float)
    mesh = meshio.Mesh(
        points,
        [("wedge", [range(6)]), ("triangle", [[0, 1, 2]]), ("quad", [[0, 1, 4, 3]])],
        cell_data={"medit:ref": [[0], [4], [4]]},
    )
    assert converter.read(mesh).facets["4"].tolist() == [[0, 1, 2, -1], [0, 1, 4, 3]]


def test_scikit_fem_subdomains_in_a_meshio_mesh_are_subdomains():
    mesh = skfem.MeshTri().refined(1).with_subdomains({"low": lambda x: x[1] < 0.5})
    cells = converter.read(skfem.io.meshio.to_meshio(mesh))
    assert np.array_equal(np.flatnonzero(cells.regions), mesh.subdomains["low"])


def test_gmsh_periodic_translations_are_pairs():
    mesh = meshio.Mesh(
        np.array(LINEAR["quad"], float),
        [("quad", [[0, 1, 2, 3]])],
        gmsh_periodic=[[1, (2, 4), np.eye(4).ravel(), np.array([[1, 0], [2, 3]], np.uint64)]],
    )
    assert converter.read(mesh).periodic.tolist() == [[1, 0], [2, 3]]
    assert converter.write(mesh, np.zeros((4, 2))).gmsh_periodic[0][3].dtype == np.uint64
    mesh.gmsh_periodic[0][3] = np.array([[1, 0], [3, 2], [0, 3]])
    with pytest.raises(UnsupportedMeshError, match="translates.*entity 4 and its image 2.*gmsh_periodic = None"):
        converter.read(mesh)


def test_point_data_are_read_and_replaced():
    mesh = mixed()
    fields = converter.fields(mesh)
    assert list(fields) == ["u", "v", "id"]
    fields["u"][:] = -1
    assert mesh.point_data["u"].tolist() == list(range(7))
    out = converter.with_fields(mesh, {"u": np.linspace(0, 1, 7), "new": np.zeros((7, 2))})
    assert out.point_data["u"].dtype == np.float32 and out.point_data["new"].shape == (7, 2)
    assert np.array_equal(out.point_data["v"], mesh.point_data["v"])
    assert "new" not in mesh.point_data
    with pytest.raises(FieldError, match=r"Expected 7 nodal values for 'u' \(got an array of shape \(3,\)\)"):
        converter.with_fields(mesh, {"u": np.zeros(3)})


P3 = np.eye(3)
BAD = [
    (meshio.Mesh(P3, []), InvalidMeshError, "empty mesh: 3 nodes and no cells"),
    (meshio.Mesh(np.zeros((0, 3)), [("triangle", np.zeros((0, 3), int))]), InvalidMeshError, "empty mesh"),
    (meshio.Mesh(P3, [("line", [[0, 1]]), ("vertex", [[0]])]), UnsupportedMeshError, "line.*1-D meshes are not moved"),
    (meshio.Mesh(P3, [("triangle10", [[0, 1, 2] * 3 + [0]])]), UnsupportedMeshError,
     "kinds triangle, quad, tetra, hexahedron, wedge, pyramid, triangle6.*got triangle10"),
    (meshio.Mesh(P3, [("polygon", [[0, 1, 2]])]), UnsupportedMeshError, "got polygon.*Split or convert"),
    (meshio.Mesh(P3, [("triangle", [[0, 1, 3], [0, 1, 2]])]), InvalidMeshError, "node ids from 0 to 2.*1 cells: 0"),
    (meshio.Mesh(P3[:, :2], [("tetra", [[0, 1, 2, 0]])]), InvalidMeshError, "3-D cells to have 3 coordinates.*got 2"),
    (meshio.Mesh(np.full((3, 3), np.nan), [("triangle", [[0, 1, 2]])]), InvalidMeshError, "3 nodes: 0, 1, 2"),
    (meshio.Mesh(np.array(LINEAR["tetra"]), [("triangle", [[0, 1, 2], [0, 1, 3]])]), UnsupportedMeshError,
     "surface in 3-D"),
    (meshio.Mesh(np.array([[0, 0], [2, 0], [0, 2], [1, 0], [1, 1], [0, 1], [1, -1]]),
                 [("triangle6", [range(6)]), ("triangle", [[0, 6, 3]])]), InvalidMeshError, "hanging nodes, 1: 3"),
]  # fmt: skip


@pytest.mark.parametrize(("mesh", "error", "message"), BAD)
def test_what_cannot_be_moved_is_named(mesh, error, message):
    with pytest.raises(error, match=message):
        converter.read(mesh)


def test_a_displacement_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"Expected displacements of shape \(7, 2\) \(got \(6, 2\)\)"):
        converter.write(mixed(), np.zeros((6, 2)))


@pytest.mark.parametrize("kind, nodes", [("wedge18", 18)])
def test_second_order_cells_with_nodes_amid_faces_name_the_option_of_gmsh(kind, nodes):
    mesh = meshio.Mesh(np.random.default_rng(0).random((nodes, 3)), [(kind, [list(range(nodes))])])
    with pytest.raises(UnsupportedMeshError, match="SecondOrderIncomplete"):
        meshmove.adapt(mesh, lambda x: x[0])
