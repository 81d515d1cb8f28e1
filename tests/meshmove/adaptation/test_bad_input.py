"""Bad input to `adapt`: every case is named, with what was expected, what came, and what to try."""

import inspect
import re

import meshio
import numpy as np
import pytest
import pyvista as pv
import skfem

import meshmove
from meshmove import (
    FieldError,
    InvalidMeshError,
    MeshFileError,
    MeshmoveError,
    MonitorError,
    TangledMeshError,
    UnsupportedMeshError,
    adapt,
)
from meshmove.geometry import CellMesh
from tests.shapes import ALL_KINDS, box, bump, front, turn

FAST = meshmove.Monitor("gradient", intensity=4)
SQUARE = np.array([[0, 0], [1, 0], [1, 1], [0, 1.0]])
TWO = np.array([[0, 1, 2], [0, 2, 3]])


@pytest.fixture
def mesh():
    return skfem.MeshTri().refined(3).with_boundaries({"left": lambda x: x[0] == 0})


def triangles(points, cells=TWO, **rest):
    return meshio.Mesh(np.asarray(points, float), [("triangle", np.asarray(cells))], **rest)


# -- the field --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("form", ["array", "name", "function"])
def test_nan_and_infinity_are_named_with_their_nodes(value, form):
    cells = box("triangle", 3)
    u = front(cells.points.T)
    u[[2, 5, 7]] = value
    mesh = triangles(cells.points, cells.blocks[0].nodes, point_data={"u": u})
    field = {"array": u, "name": "u", "function": lambda x: u}[form]
    with pytest.raises(FieldError, match=r"Expected finite values \(NaN or infinity at 3 nodes of .*: 2, 5, 7\)"):
        adapt(mesh, field)


def test_many_bad_nodes_are_counted_and_the_first_are_shown(mesh):
    with pytest.raises(FieldError, match=r"at 81 nodes of the field: 0, 1, 2, 3, 4 \(and 76 more\)"):
        adapt(mesh, np.full(81, np.nan))


@pytest.mark.parametrize("shape", [(80,), (82, 2), (), (0,), (1, 81)])
def test_a_field_of_another_length_is_named(mesh, shape):
    message = f"Expected the field with 81 rows, one a node of the mesh (got shape {shape})"
    with pytest.raises(FieldError, match=re.escape(message)):
        adapt(mesh, np.zeros(shape))


def test_meshes_of_second_order_take_nodes_or_vertices():
    mesh = skfem.MeshTri2().refined(1)
    with pytest.raises(FieldError, match=r"with 25 \(nodes\) or 9 \(vertices\) rows"):
        adapt(mesh, np.zeros(24))


def test_an_unknown_name_lists_those_that_exist(mesh):
    u = np.zeros(4)
    with pytest.raises(FieldError, match=r"point data \(got 'T'; the mesh has: 'temperature', 'p'\)"):
        adapt(triangles(SQUARE, point_data={"temperature": u, "p": u}), "T")
    with pytest.raises(FieldError, match=r"\(got 'T'; the mesh has: none\)"):
        adapt(mesh, "T")


def test_a_field_without_columns_is_named(mesh):
    with pytest.raises(FieldError, match=r"at least one column \(got shape \(81, 0\)\)"):
        adapt(mesh, np.zeros((81, 0)))


@pytest.mark.parametrize("field", [{"u": 1}, ["a"] * 81, object()])
def test_what_is_no_field_is_named(mesh, field):
    with pytest.raises(FieldError, match=r"name of point or cell data, a function .*\(got (dict|list|object)\)"):
        adapt(mesh, field)


def test_no_field_at_all_lists_what_there_is(mesh):
    with pytest.raises(ValueError, match=r"a field, or a monitor function .*point data: none"):
        adapt(mesh)
    with pytest.raises(ValueError, match=r"point data: 'u'"):
        adapt(triangles(SQUARE, point_data={"u": np.zeros(4)}))


def test_a_pair_of_another_mesh_is_named(mesh):
    basis = skfem.Basis(skfem.MeshTri(), skfem.ElementTriP1())
    with pytest.raises(FieldError, match=r"a basis on the mesh that is moved, 128 cells \(got one on another mesh"):
        adapt(mesh, (basis, np.zeros(4)))


# -- the monitor ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
def test_a_monitor_that_is_not_positive_and_finite_is_named_with_a_place(mesh, value):
    def monitor(x):
        return np.where(x[0] > 0.9, value, 1.0)

    with pytest.raises(MonitorError, match=rf"a positive, finite monitor \(got {value} at x = \(.*bad values.*floor"):
        adapt(mesh, monitor=monitor)


def test_a_monitor_that_is_bad_between_the_nodes_only_is_named(mesh):
    with pytest.raises(MonitorError, match="positive, finite monitor"):
        adapt(mesh, monitor=lambda x: np.cos(16 * np.pi * x[0]) + 0.5)


def test_a_monitor_of_another_shape_is_named(mesh):
    with pytest.raises(
        MonitorError, match=r"one value a point, shape \(81,\), for x of shape \(2, 81\) \(got \(81, 2\)"
    ):
        adapt(mesh, monitor=lambda x: x.T)


def test_a_monitor_need_only_be_positive_on_the_mesh():
    angle = 2 * np.pi * np.arange(10) / 10
    cells = np.c_[np.arange(10), np.roll(np.arange(10), -1), np.full(10, 10)]
    disk = CellMesh.single(np.r_[np.c_[np.cos(angle), np.sin(angle)], [[0, 0]]], cells, "triangle")
    out = adapt(disk, monitor=lambda x: 1.5 + x[0])
    assert out.report.imbalance_after < out.report.imbalance_before


@pytest.mark.parametrize("kind, width", [("triangle", 1e4), ("quad", 1e4), ("tetra", 300)])
def test_a_monitor_too_steep_for_the_mesh_gives_a_valid_mesh_and_a_warning(kind, width):
    out = adapt(box(kind, 5), monitor=lambda x: 1 + 1e6 * np.exp(-width * ((x - 0.52) ** 2).sum(axis=0)))
    assert out.report.inverted_cells == 0
    assert out.report.imbalance_after <= out.report.imbalance_before
    assert any("too steep" in w and "refine the mesh" in w for w in out.report.warnings)


# -- names and numbers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options, message",
    [
        ({"monitor": "laplace"}, r"monitor of 'hessian', 'gradient', 'curvature', or a callable \(got 'laplace'\)"),
        ({"monitor": 3}, r"monitor by name, a Monitor or a function \(got int\)"),
        ({"mover": "magic"}, r"mover of 'auto', .*'monge-ampere', 'smooth', or a Mover \(got 'magic'\)"),
        ({"transfer": "copy"}, r"transfer 'interpolate', 'conservative' or None \(got 'copy'\)"),
        ({"effort": 0}, r"positive effort \(got 0\)"),
        ({"effort": -1.0}, r"positive effort \(got -1.0\)"),
        ({"effort": "high"}, r"positive effort \(got 'high'\)"),
        ({"mover": None}, r"a mover by name, or a Mover \(got NoneType\)"),
        ({"boundary": None}, r"'slide', 'fixed' or a dict of them by name \(got None\)"),
        ({"boundary": ["left"]}, r"a dict of them by name \(got \['left'\]\)"),
        ({"fixed": "left"}, r"node ids from 0 to 80 in `fixed`"),
        ({"effort": np.nan}, r"positive effort \(got nan\)"),
        ({"boundary": "free"}, r"boundary 'slide', 'fixed' or a dict of them by name \(got 'free'\)"),
        ({"boundary": {"lft": "fixed"}}, r"name of a boundary of the mesh \(got 'lft'; it has: 'left'\)"),
        ({"boundary": {"left": "free"}}, r"'slide' or 'fixed' for boundary 'left' \(got 'free'\)"),
        ({"fixed": [81]}, r"node ids from 0 to 80 in `fixed` \(got int64 \[81\]\)"),
        ({"fixed": [-1]}, r"node ids from 0 to 80 in `fixed`"),
        ({"fixed": [0.5]}, r"node ids from 0 to 80 in `fixed` \(got float64"),
        ({"fixed": np.ones(80, bool)}, r"mask of shape \(81,\) for `fixed` \(got \(80,\)\)"),
        ({"device": "cuda"}, r"device None or 'cpu' for the mover 'monge-ampere' \(got 'cuda'\)"),
    ],
)
def test_arguments_that_are_not_a_choice_list_the_choices(mesh, options, message):
    options = {"mover": "monge-ampere", **options}
    with pytest.raises(ValueError, match=message):
        adapt(mesh, front, **options)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"kind": "laplace"}, r"'hessian', 'gradient', 'curvature'"),
        ({"intensity": -1}, r"intensity of at least 0 \(got -1\)"),
        ({"exponent": np.nan}, r"exponent of at least 0 \(got nan\)"),
        ({"smoothing": -1}, r"sweeps of at least 0 \(got -1\)"),
        ({"smoothing": 0.5}, r"sweeps of at least 0 \(got 0.5\)"),
        ({"bounds": (2, 1)}, r"bounds 0 < low < high \(got \(2, 1\)\)"),
        ({"bounds": (0, 1)}, r"bounds 0 < low < high"),
    ],
)
def test_parameters_of_monitors_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        meshmove.Monitor(**options)


# -- the cells --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_degenerate_cells_are_named(kind):
    mesh = box(kind, 3)
    points = mesh.points.copy()
    a, b = mesh.blocks[-1].nodes[0, :2]
    points[a] = points[b]
    with pytest.raises(
        InvalidMeshError, match=r"positive volume \(\d+ of \d+ are degenerate: cells \d+.*Remove or merge"
    ):
        adapt(mesh.moved(points), monitor=bump)


def test_a_flat_triangle_is_degenerate_at_every_scale():
    for scale in (1e-9, 1.0, 1e9):
        points = scale * np.array([[0, 0], [1, 0], [0.5, 0], [0, 1]])
        with pytest.raises(InvalidMeshError, match=r"\(1 of 2 are degenerate: cells 0\)"):
            adapt(triangles(points, [[0, 1, 2], [0, 2, 3]]), monitor=bump)


@pytest.mark.parametrize("kind", ["quad", "hexahedron", "wedge", "pyramid", "mixed 2-D", "mixed 3-D"])
def test_cells_with_inverted_corners_are_named(kind):
    mesh = box(kind, 3)
    points = mesh.points.copy()
    points[np.argmin(points.sum(axis=1))] = 0.25
    with pytest.raises(TangledMeshError, match=r"without inverted corners \(cells \d+.*Untangle or re-mesh"):
        adapt(mesh.moved(points), monitor=bump)


@pytest.mark.parametrize("kind", ["triangle", "tetra"])
def test_a_tangled_mesh_of_simplices_is_named_with_its_cells(kind):
    mesh = box(kind, 4)
    inner = ((mesh.points > 0) & (mesh.points < 1)).all(axis=1)
    points = mesh.points.copy()
    points[np.flatnonzero(inner)[0]] += 0.45  # across its neighbours
    with pytest.raises(TangledMeshError, match=r"opposite sides of their facet .*cells \d+, \d+.*tangled"):
        adapt(mesh.moved(points), monitor=bump)


def test_all_cells_turned_the_other_way_are_fine():
    mesh = box("triangle", 4)
    mirrored = mesh.moved(mesh.points * [-1, 1])
    out = adapt(mirrored, monitor=lambda x: bump(x * [[-1], [1]]))
    expected = adapt(mesh, monitor=bump)
    np.testing.assert_allclose(out.displacement * [-1, 1], expected.displacement, atol=1e-6)


def test_duplicated_nodes_are_named():
    points = np.r_[SQUARE, SQUARE[[0, 2]]]
    with pytest.raises(InvalidMeshError, match=r"\(2 pairs coincide: nodes 0, 2, 4, 5\).*merge them.*fixed="):
        adapt(triangles(points, [[0, 1, 2], [4, 5, 3]]), monitor=bump)


def test_a_wanted_crack_is_held_by_fixing_it():
    mesh = box("quad", 4)
    p, cells = mesh.points, mesh.blocks[0].nodes.copy()
    crack = np.flatnonzero((p[:, 0] == 0.5) & (p[:, 1] > 0.4))
    twin = np.arange(len(p))
    twin[crack[p[crack, 1] > 0.5]] = len(p) + np.arange((p[crack, 1] > 0.5).sum())
    right = p[cells].mean(axis=1)[:, 0] > 0.5
    cells[right] = twin[cells[right]]
    doubled = crack[p[crack, 1] > 0.5]
    cracked = CellMesh.single(np.r_[p, p[doubled]], cells, "quad")
    with pytest.raises(InvalidMeshError, match="pairs coincide"):
        adapt(cracked, monitor=bump)
    pinned = np.r_[doubled, twin[doubled]]
    out = adapt(cracked, monitor=bump, fixed=pinned)
    assert (out.displacement[pinned] == 0).all() and out.report.max_displacement > 0


def test_hanging_nodes_are_named_and_can_be_held():
    points = np.array([[0, 0], [2, 0], [2, 2], [0, 2], [4, 0], [4, 2], [2, 1], [3, 1.0]])
    quads = [[0, 1, 2, 3]]
    tris = [[1, 4, 7], [4, 5, 7], [5, 2, 7], [2, 6, 7], [6, 1, 7]]
    mesh = meshio.Mesh(points, [("quad", quads), ("triangle", tris)])
    with pytest.raises(
        InvalidMeshError, match=r"conforming mesh \(nodes 6 hang on the middle of another cell's facet\)"
    ):
        adapt(mesh, monitor=bump)
    out = adapt(mesh, monitor=lambda x: 1 + x[0], fixed=[1, 2, 6])
    assert (out.displacement[[1, 2, 6]] == 0).all()


def test_facets_of_no_cell_are_named():
    mesh = meshio.Mesh(
        SQUARE, [("line", [[1, 3]]), ("triangle", TWO)], cell_sets={"wall": [np.array([0]), np.array([], int)]}
    )
    with pytest.raises(InvalidMeshError, match=r"facet of boundary 'wall' .*orphaned facets cannot be moved"):
        adapt(mesh, monitor=bump)


def test_doubled_cells_are_named():
    with pytest.raises(InvalidMeshError, match=r"at most two cells on a facet \(cells .*Remove doubled cells"):
        adapt(triangles(SQUARE, [[0, 1, 2], [0, 2, 3], [0, 1, 2], [0, 1, 2]]), monitor=bump)


def test_a_cell_given_twice_is_named():
    with pytest.raises(InvalidMeshError):
        adapt(triangles(SQUARE, [[0, 1, 2], [0, 2, 3], [0, 1, 2]]), monitor=bump)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_coordinates_that_are_not_finite_are_named(value):
    points = SQUARE.copy()
    points[2, 0] = value
    for mesh in (triangles(points), CellMesh.single(points, TWO, "triangle")):
        with pytest.raises(InvalidMeshError, match=r"finite coordinates \(got NaN or infinity at .*nodes.* 2\)"):
            adapt(mesh, monitor=bump)


# -- the mesh ---------------------------------------------------------------------------------------------------------


def test_meshes_in_one_dimension_are_refused():
    line = meshio.Mesh(SQUARE, [("line", [[0, 1], [1, 2]])])
    for mesh in (skfem.MeshLine().refined(2), line, pv.Line()):
        with pytest.raises(UnsupportedMeshError, match="1-D meshes"):
            adapt(mesh, monitor=bump)


def test_surfaces_in_space_are_refused():
    sphere = pv.Sphere()
    for mesh in (sphere, pv.to_meshio(sphere), sphere.cast_to_unstructured_grid()):
        with pytest.raises(UnsupportedMeshError, match="plane"):
            adapt(mesh, monitor=bump)


def test_empty_meshes_are_refused():
    for mesh in (meshio.Mesh(np.zeros((0, 2)), []), meshio.Mesh(SQUARE, []), pv.UnstructuredGrid(), pv.PolyData()):
        with pytest.raises(InvalidMeshError, match="Expected a mesh with cells"):
            adapt(mesh, monitor=bump)
    with pytest.raises(InvalidMeshError, match="Expected a mesh with cells"):
        adapt(CellMesh(np.zeros((0, 2)), ()), monitor=bump)


def test_lines_and_points_beside_triangles_are_fine():
    cells = [("line", [[0, 1]]), ("vertex", [[3]]), ("triangle", box("triangle", 4).blocks[0].nodes)]
    mesh = meshio.Mesh(box("triangle", 4).points, cells)
    out = adapt(mesh, monitor=bump)
    assert [(b.type, b.data.tolist()) for b in out.mesh.cells] == [(b.type, b.data.tolist()) for b in mesh.cells]


@pytest.mark.parametrize("thing", [None, 3, [[0, 0]], np.zeros((3, 2)), object()])
def test_what_is_no_mesh_lists_the_libraries(thing):
    with pytest.raises(UnsupportedMeshError, match=r"mesh of one of .*meshio.*skfem.*\(got "):
        adapt(thing, monitor=bump)


def test_a_reference_of_another_topology_is_named(mesh):
    for other in (skfem.MeshTri().refined(2), skfem.MeshQuad().refined(3), box("triangle", 8)):
        with pytest.raises(InvalidMeshError, match=r"reference with the cells of the mesh.*Pass the mesh from which"):
            adapt(mesh, front, reference=other)


def test_a_reference_of_the_other_orientation_is_named(mesh):
    with pytest.raises(TangledMeshError, match=r"keeps the orientation of its reference \(cells 0, 1"):
        adapt(mesh, front, reference=mesh.mirrored((1, 0)))


def test_a_reference_of_another_domain_is_named(mesh):
    for other in (mesh.translated((2, 1)), mesh.scaled((2, 1))):
        with pytest.raises(InvalidMeshError, match=r"on the boundary of its reference \(\d+ nodes are up to"):
            adapt(other, front, reference=mesh)


# -- files ------------------------------------------------------------------------------------------------------------


def test_paths_that_cannot_be_read_are_named(tmp_path):
    (tmp_path / "mesh.xyz").write_text("?")
    (tmp_path / "broken.vtu").write_text("<VTKFile type='Unstr")
    for name, message in (
        ("none.vtu", "none.vtu', which does not exist"),
        ("mesh.xyz", r"extensions .*\.vtu.* \(got 'mesh.xyz'\)"),
        ("broken.vtu", "readable mesh in .*broken.vtu.*Is it complete"),
    ):
        with pytest.raises(MeshFileError, match=message):
            adapt(tmp_path / name, "u")


def test_nothing_is_left_where_the_result_cannot_be_written(tmp_path, mesh):
    out = adapt(mesh, monitor=bump)
    with pytest.raises(MeshFileError, match="existing folder"):
        meshmove.save(out.mesh, tmp_path / "no" / "mesh.vtu")
    with pytest.raises(MeshFileError, match=r"extensions .* \(got 'mesh.xyz'\)"):
        meshmove.save(out.mesh, tmp_path / "mesh.xyz")
    assert not list(tmp_path.iterdir())


# -- all of them ------------------------------------------------------------------------------------------------------


def test_every_error_has_one_base_and_a_builtin_beside_it():
    errors = [FieldError, InvalidMeshError, TangledMeshError, MonitorError, UnsupportedMeshError, MeshFileError]
    assert all(issubclass(e, MeshmoveError) for e in errors)
    assert all(issubclass(e, ValueError) for e in errors[:4]) and issubclass(UnsupportedMeshError, TypeError)
    assert issubclass(MeshFileError, OSError) and issubclass(TangledMeshError, InvalidMeshError)


def test_what_is_tiny_huge_or_far_away_simply_works():
    for kind in ("triangle", "tetra"):
        mesh = box(kind, 4)
        for scale, offset in ((1e-9, 0.0), (1e9, 0.0), (1.0, 1e6)):
            points = scale * mesh.points @ turn(0.3, mesh.dim).T + offset
            out = adapt(mesh.moved(points), lambda x, p=points: front((x - p[0][:, None]) / np.ptp(p)), monitor=FAST)
            assert out.report.inverted_cells == 0 and out.report.imbalance_after < out.report.imbalance_before


@pytest.mark.parametrize("scale", [1e-300, 1e-150, 1e150, 1e300])
def test_lengths_that_arithmetic_does_not_hold_ask_for_another_unit(scale):
    triangles = scale * SQUARE, [("triangle", TWO)]
    for mesh in (box("tetra", 2).moved(scale * box("tetra", 2).points), meshio.Mesh(*triangles)):
        with pytest.raises(InvalidMeshError, match="Choose another unit of length"):
            adapt(mesh, lambda x: np.tanh(x[0]), monitor=FAST)


def test_the_signature_is_the_contract():
    names = "mesh field monitor mover effort boundary fixed reference regions transfer device objective".split()
    parameters = inspect.signature(adapt).parameters
    assert list(parameters) == names
    assert all(parameters[n].kind is inspect.Parameter.KEYWORD_ONLY for n in names[2:])
    defaults = [parameters[n].default for n in names[1:]]
    assert defaults == [None, "hessian", "auto", 1.0, "slide", None, None, "auto", "interpolate", None, "alignment"]
