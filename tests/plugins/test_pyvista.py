"""PyVista in and out: bits, types and active arrays kept; the accessor; pictures."""

from types import SimpleNamespace

import numpy as np
import pytest
import pyvista as pv
import skfem
from pyvista import examples

from meshmove.geometry.cells import KINDS
from meshmove.geometry.errors import FieldError, InvalidMeshError, UnsupportedMeshError
from meshmove.geometry.mesh import CellMesh
from meshmove.geometry.quality import cell_volumes
from meshmove.meshes.registry import converter_for
from meshmove.plugins.blocks import QUADRATIC
from meshmove.plugins.pyvista import VTK_TYPES, cellmesh_to_pyvista, converter, plot

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
        (lambda: pv.ImageData(dimensions=(3, 3, 3)), UnsupportedMeshError, r"got ImageData.*cast_to_structured_grid"),
        (
            lambda: pv.ImageData(dimensions=(3, 3, 3)).cast_to_unstructured_grid(),
            UnsupportedMeshError,
            "got voxel.*cast_to_structured_grid",
        ),
        (pv.MultiBlock, UnsupportedMeshError, "got MultiBlock.*combine"),
        (
            lambda: pv.StructuredGrid(*np.meshgrid([0.0, 1], [0.0, 1], [0.0, 1])),
            UnsupportedMeshError,
            r"got StructuredGrid\). Try mesh.cast_to_unstructured_grid",
        ),
    ],
)
def test_what_cannot_be_moved_is_named(make, error, message):
    mesh = make()
    with pytest.raises(error, match=message):
        converter_for(mesh).read(mesh)


def test_the_accessor_calls_adapt(monkeypatch):
    import meshmove
    import meshmove.plugins.pyvista_accessor  # noqa: F401

    calls = []

    def adapt(mesh, field=None, **options):
        calls.append((mesh, field, options))
        return SimpleNamespace(mesh="moved")

    monkeypatch.setattr(meshmove, "adapt", adapt, raising=False)
    for mesh in (grid(), pv.Plane()):
        assert mesh.meshmove.adapt("u", effort=0.3) == "moved"
        assert calls.pop() == (mesh, "u", {"effort": 0.3})
        assert type(mesh).__name__ in repr(mesh.meshmove)


@pytest.mark.parametrize("kind", KINDS)
def test_cell_meshes_become_grids(kind):
    reference = KINDS[kind].reference
    mesh = CellMesh.single(reference, [range(len(reference))], kind)
    back = converter.read(cellmesh_to_pyvista(mesh))
    assert np.array_equal(back.points, mesh.points) and np.array_equal(back.blocks[0].nodes, mesh.blocks[0].nodes)


def adaptation(mesh, monitor=True):
    """Stands in for the result of `adapt`: a mesh stretched inside its box."""
    own = converter_for(mesh)
    cells = own.read(mesh)
    low, size = cells.points.min(axis=0), np.ptp(cells.points, axis=0)
    moved = cells.points + 0.04 * size * np.sin(2 * np.pi * (cells.points - low) / size)
    nodal = np.linspace(0, 1, cells.n_nodes)
    return SimpleNamespace(
        mesh=own.write(mesh, cells.lifted(moved - cells.points)),
        original=mesh,
        cells=cells,
        moved=cells.moved(moved),
        fields={"u": nodal, "flow": np.stack([nodal, nodal], axis=1)},
        monitor=1 + cells.points[:, 0] ** 2 if monitor else None,
        report=SimpleNamespace(imbalance_before=0.7, imbalance_after=0.03),
    )


def picture(path):
    from PIL import Image

    return np.asarray(Image.open(path).convert("RGB"), float)


@pytest.mark.parametrize(
    ("mesh", "color"),
    [
        (skfem.MeshTri2().refined(2), None),
        (skfem.MeshQuad.init_tensor(np.linspace(0, 3, 10), np.linspace(0, 1, 4)), "flow"),
        (skfem.MeshTet().refined(2), "u"),
        (grid(), "u"),
    ],
)
def test_pictures_show_both_meshes(mesh, color, tmp_path):
    plot(adaptation(mesh), color, filename=tmp_path / "out.png", show=False)
    pixels = picture(tmp_path / "out.png")
    drawn = (np.ptp(pixels, axis=2) > 20).mean()
    assert 0.2 < drawn < 0.95
    assert (pixels[0] == 255).all() and (pixels[-1] == 255).all()


def test_a_picture_without_any_field_is_drawn_plain(tmp_path):
    out = adaptation(skfem.MeshTri().refined(2), monitor=False)
    out.fields = {}
    plot(out, filename=tmp_path / "plain.png")
    assert picture(tmp_path / "plain.png").std() > 10


def test_a_colour_that_is_not_there_lists_those_that_are():
    with pytest.raises(FieldError, match=r"one of monitor, u, flow \(got 'p'\)"):
        plot(adaptation(skfem.MeshTri().refined(1)), "p", filename="never.png")
