"""PyVista in and out: bits, types and active arrays kept; grids that are cast; the accessor."""

import numpy as np
import pytest
import pyvista as pv
from pyvista import examples

import meshmove
import meshmove.plugins.pyvista_accessor  # noqa: F401
from meshmove.geometry.cells import KINDS
from meshmove.geometry.errors import FieldError, InvalidMeshError, UnsupportedMeshError
from meshmove.geometry.mesh import CellMesh
from meshmove.geometry.quality import cell_volumes, vertex_means
from meshmove.meshes.registry import converter_for
from meshmove.plugins.blocks import QUADRATIC
from meshmove.plugins.casting import movable
from meshmove.plugins.pyvista import VTK_TYPES, cellmesh_to_pyvista, converter

NUMBER = {name: number for number, (name, _) in VTK_TYPES.items()}


def one_cell(kind, dtype=np.float32):
    """A grid of one cell and where its nodes stand, from VTK itself: its reference coordinates of that cell."""
    from vtkmodules.vtkCommonDataModel import vtkGenericCell

    cell = vtkGenericCell()
    cell.SetCellType(NUMBER[kind])
    n = cell.GetNumberOfPoints()
    points = np.reshape([cell.GetParametricCoords()[i] for i in range(3 * n)], (n, 3))
    return pv.UnstructuredGrid(
        np.arange(-1, n) + (np.arange(-1, n) < 0) * (n + 1), [NUMBER[kind]], points.astype(dtype)
    )


def grid(dtype=np.float64):
    """Triangles and quadrilaterals with lines and a point between them, and data of several types."""
    points = np.array([[0, 0, 2], [1, 0, 2], [1, 1, 2], [0, 1, 2], [2, 0, 2], [2, 1, 2], [-0.0, 9, 7]], dtype)
    cells = [3, 1, 4, 5, 1, 0, 2, 0, 1, 4, 0, 1, 2, 3, 2, 4, 5, 3, 1, 5, 2]
    mesh = pv.UnstructuredGrid(cells, [5, 1, 3, 9, 3, 5], points)
    mesh.point_data["u"] = np.arange(7, dtype=np.float32)
    mesh.point_data["flow"] = np.ones((7, 3))
    mesh.point_data["id"] = np.arange(7)
    mesh.cell_data["gmsh:physical"] = np.array([1, 9, 5, 2, 6, 1])
    mesh.field_data["time"] = [1.5]
    mesh.set_active_scalars("u")
    mesh.set_active_vectors("flow")
    return mesh


def assert_identical(a, b):
    assert type(a) is type(b)
    assert a.points.dtype == b.points.dtype and a.points.tobytes() == b.points.tobytes()
    assert a == b
    for data in ("point_data", "cell_data", "field_data"):
        mine, theirs = getattr(a, data), getattr(b, data)
        assert list(mine) == list(theirs)
        assert all(mine[k].dtype == theirs[k].dtype for k in mine)
    assert a.point_data.active_scalars_name == b.point_data.active_scalars_name
    assert a.point_data.active_vectors_name == b.point_data.active_vectors_name


MESHES = {
    "mixed": grid,
    "mixed float32": lambda: grid(np.float32),
    "hexbeam": examples.load_hexbeam,
    "triangles": lambda: pv.Plane(i_resolution=3, j_resolution=2).triangulate(),
    "turned quadrilaterals": lambda: pv.Plane(i_resolution=3, j_resolution=2).rotate_x(30).rotate_y(20),
    "polydata with lines": lambda: pv.Plane(i_resolution=2, j_resolution=2) + pv.Line((-0.5, 0, 0), (0.5, 0, 0)),
    "tetrahedra": lambda: examples.load_tetbeam(),
}


@pytest.mark.parametrize("name", MESHES)
def test_a_round_trip_keeps_every_bit(name):
    mesh = MESHES[name]()
    dim = converter.read(mesh).dim
    same = converter.write(mesh, np.zeros((mesh.n_points, dim)))
    assert_identical(same, mesh)
    assert not np.shares_memory(same.points, mesh.points)


@pytest.mark.parametrize("name", MESHES)
def test_nodes_move_by_the_displacement_and_the_input_stays(name):
    mesh = MESHES[name]()
    before, cells = mesh.copy(deep=True), converter.read(mesh)
    d = cells.lifted(0.01 * np.random.default_rng(0).normal(size=cells.points.shape))
    moved = converter.write(mesh, d)
    assert_identical(mesh, before)
    tolerance = 1e-6 if mesh.points.dtype == np.float32 else 1e-13
    np.testing.assert_allclose(converter.read(moved).points, (cells.points + d[cells_nodes(cells)]), atol=tolerance)
    assert converter.dtype(moved) == mesh.points.dtype == moved.points.dtype
    moved.points = mesh.points
    assert_identical(moved, mesh)


def cells_nodes(cells):
    return slice(None) if cells.lift is None else np.flatnonzero(np.diff(cells.lift.indptr) == 1)


@pytest.mark.parametrize("kind", [*KINDS, *QUADRATIC])
def test_every_kind_has_vtk_s_node_order(kind):
    mesh = one_cell(kind)
    cells = converter.read(mesh)
    assert abs(cell_volumes(cells)[0]) == pytest.approx(
        {"triangle": 1 / 2, "quad": 1, "tetra": 1 / 6, "hexahedron": 1, "wedge": 1 / 2, "pyramid": 1 / 3}[
            cells.blocks[0].kind.name
        ],
        rel=1e-6,
    )
    if kind != "pyramid13":  # whose reference coordinates collapse at the apex
        # VTK's nodes stand in the middle of what they belong to, so an affine map of the vertices carries them along
        np.testing.assert_allclose(cells.lifted(cells.points), mesh.points[:, : cells.dim], atol=1e-7)
    vtk_cell = mesh.GetCell(0)
    for i in range(vtk_cell.GetNumberOfEdges() if kind in QUADRATIC else 0):
        first, last, middle = (vtk_cell.GetEdge(i).GetPointId(k) for k in range(3))
        lift = cells.lift.toarray()
        np.testing.assert_array_equal(lift[middle], (lift[first] + lift[last]) / 2)


def test_lower_dimensional_cells_give_named_boundaries():
    cells = converter.read(grid())
    assert repr(cells) == "CellMesh(2-D: 6 points, 2 triangle, 1 quad)"
    assert {k: v.tolist() for k, v in cells.facets.items()} == {"5": [[0, 1]], "6": [[4, 5]]}
    assert cells.regions.tolist() == [0, 0, 1]
    assert cells.n_nodes == 7


def test_point_data_are_read_and_replaced():
    mesh = grid(np.float32)
    assert list(converter.fields(mesh)) == ["u", "flow", "id"]
    out = converter.with_fields(mesh, {"u": np.linspace(0, 1, 7), "new": np.zeros((7, 2))})
    assert out.point_data["u"].dtype == np.float32 and out.point_data["new"].shape == (7, 2)
    assert (out.point_data.active_scalars_name, out.point_data.active_vectors_name) == ("u", "flow")
    assert "new" not in mesh.point_data and mesh.point_data["u"][6] == 6
    with pytest.raises(FieldError, match="Expected 7 nodal values for 'u'"):
        converter.with_fields(mesh, {"u": np.zeros(3)})


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (pv.Sphere, UnsupportedMeshError, "surface in 3-D"),
        (pv.Line, UnsupportedMeshError, "got a mesh whose highest cells are line"),
        (pv.PolyData, InvalidMeshError, "empty mesh"),
        (pv.UnstructuredGrid, InvalidMeshError, "empty mesh"),
        (lambda: pv.Polygon(n_sides=6), UnsupportedMeshError, r"got polygon\). Triangulate"),
        (lambda: pv.Plane().triangulate().strip(), UnsupportedMeshError, "triangle strip.*triangulate"),
        (pv.MultiBlock, UnsupportedMeshError, "got MultiBlock.*combine"),
        (lambda: pv.PointSet(np.eye(3)), UnsupportedMeshError, r"got PointSet\). Try mesh.cast_to_unstructured_grid"),
    ],
)
def test_what_cannot_be_moved_is_named(make, error, message):
    mesh = make()
    with pytest.raises(error, match=message):
        converter_for(mesh).read(mesh)


STRUCTURED = {
    "image": lambda: pv.ImageData(dimensions=(7, 6, 5), spacing=(0.2, 0.2, 0.3)),
    "plane image": lambda: pv.ImageData(dimensions=(9, 8, 1), spacing=(0.1, 0.2, 1)),
    "rectilinear": lambda: pv.RectilinearGrid(np.linspace(0, 1, 6) ** 2, np.linspace(0, 1, 5), np.linspace(0, 2, 4)),
    "structured": lambda: pv.StructuredGrid(*np.meshgrid(*[np.linspace(0, 1, 5)] * 3, indexing="ij")),
}


@pytest.mark.parametrize("name", STRUCTURED)
def test_structured_grids_are_cast_and_keep_their_data_and_cells(name):
    mesh = STRUCTURED[name]()
    mesh["u"], mesh.cell_data["k"] = np.tanh(9 * (mesh.points[:, 0] - 0.4)), np.arange(mesh.n_cells) % 7 / 7.0
    mesh.set_active_scalars("u")
    cells = converter.read(mesh)
    volume = mesh.compute_cell_sizes()["Volume" if cells.dim == 3 else "Area"]
    assert np.allclose(np.abs(cell_volumes(cells)), volume)  # cell for cell
    out = meshmove.adapt(mesh, "u", effort=0.2)
    assert type(out.mesh) is pv.UnstructuredGrid and out.original is mesh
    assert out.mesh.n_points == mesh.n_points and np.array_equal(out.mesh["k"], mesh["k"])
    same = meshmove.adapt(movable(mesh), "u", effort=0.2)
    assert np.array_equal(out.mesh.points, same.mesh.points)
    assert f"cast{' ' * 19}{type(mesh).__name__} to UnstructuredGrid" in str(out.report) and not same.report.cast


def test_hidden_cells_stay_out():
    mesh = STRUCTURED["structured"]()
    mesh.hide_cells(range(16), inplace=True)
    assert movable(mesh).n_cells == mesh.n_cells - 16


def test_voxels_and_pixels_of_a_part_become_cells_that_deform():
    image = STRUCTURED["image"]()
    image["x"] = image.points[:, 0]
    part = image.threshold(0.5, scalars="x")
    assert set(part.celltypes) == {11}
    assert np.allclose(cell_volumes(converter.read(part)), 0.012)
    assert movable(part).active_scalars_name == "x" and np.array_equal(movable(part).points, part.points)
    flat = STRUCTURED["plane image"]().cast_to_unstructured_grid()
    assert set(flat.celltypes) == {8} and np.allclose(np.abs(cell_volumes(converter.read(flat))), 0.02)


def test_cell_data_are_a_field():
    mesh = examples.load_hexbeam()
    mesh.clear_data()
    mesh.cell_data["p"] = np.tanh(3 * (mesh.cell_centers().points[:, 2] - 2.5))
    mesh.cell_data["velocity"] = np.stack([mesh["p"]] * 3, axis=1)
    cells = converter.read(mesh)
    out = meshmove.adapt(mesh, "p", effort=0.2)
    same = meshmove.adapt(mesh, cells.lifted(vertex_means(cells, mesh["p"])), effort=0.2)
    assert np.array_equal(out.mesh.points, same.mesh.points) and out.moved_for.name == "p"
    assert out.report.max_displacement > 0.01
    assert meshmove.adapt(mesh, "velocity", effort=0.2).moved_for.values.shape == (mesh.n_points, 3)
    with pytest.raises(FieldError, match=r"got 'q'; the mesh has: 'p' on cells, 'velocity' on cells"):
        meshmove.adapt(mesh, "q")


def test_the_accessor_takes_the_active_scalars():
    mesh = STRUCTURED["plane image"]()
    mesh["u"], mesh["v"] = np.tanh(9 * (mesh.points[:, 0] - 0.4)), mesh.points[:, 1] ** 2
    mesh.set_active_scalars("v")
    assert "ImageData, as UnstructuredGrid: adapt" in repr(mesh.meshmove)
    moved = mesh.meshmove.adapt(effort=0.2)
    assert moved == meshmove.adapt(mesh, "v", effort=0.2).mesh and moved.active_scalars_name == "v"
    assert mesh.meshmove.adapt("u", effort=0.2) == meshmove.adapt(mesh, "u", effort=0.2).mesh
    assert mesh.meshmove.moved(monitor=lambda x: 1 + x[0], effort=0.2).moved_for is None
    mesh["id"] = np.arange(mesh.n_points)
    mesh.set_active_scalars("id")
    with pytest.raises(FieldError, match=r"floating-point numbers \(got 'id'; the data set has: u, v, id\)"):
        mesh.meshmove.adapt()


def test_the_accessor_gives_a_field_of_cells_back_at_the_points():
    mesh = pv.Plane(i_resolution=9, j_resolution=8)
    mesh.clear_data()
    mesh.cell_data["p"] = np.tanh(9 * mesh.cell_centers().points[:, 0])
    moved = mesh.meshmove.adapt(effort=0.2)  # active
    assert type(moved) is pv.PolyData and "p" not in moved.cell_data and len(moved.point_data["p"]) == mesh.n_points
    assert moved.active_scalars_name == "p" and "p" in mesh.cell_data


def test_the_accessor_parts_options_of_the_move_and_of_the_picture(tmp_path):
    mesh = STRUCTURED["plane image"]()
    mesh["u"] = np.tanh(9 * (mesh.points[:, 0] - 0.4))
    figure = mesh.meshmove.plot("u", effort=0.2, kind="quality", label="shape", filename=tmp_path / "a.png")
    assert "shape" in [axes.get_xlabel() for axes in figure.axes]
    with pytest.raises(ValueError, match=r"options of adapt and of the picture.*did you mean 'filename'"):
        mesh.meshmove.plot("u", filenam="a.png")


@pytest.mark.parametrize("kind", KINDS)
def test_cell_meshes_become_grids(kind):
    reference = KINDS[kind].reference
    mesh = CellMesh.single(reference, [range(len(reference))], kind)
    back = converter.read(cellmesh_to_pyvista(mesh))
    assert np.array_equal(back.points, mesh.points) and np.array_equal(back.blocks[0].nodes, mesh.blocks[0].nodes)
