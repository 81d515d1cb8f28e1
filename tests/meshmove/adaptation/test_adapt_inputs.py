"""Every kind of mesh and of field goes into `adapt`, and comes out as what it was, its nodes elsewhere."""

import copy
import dataclasses

import meshio
import numpy as np
import pytest
import pyvista as pv
import skfem
import torch
from pyvista import examples
from torch_geometric.data import Data

import meshmove
from meshmove.geometry import inverted_cells
from meshmove.meshes.registry import converter_for
from tests.shapes import box, bump, front, turn

FAST = meshmove.Monitor("gradient", intensity=4)
SKFEM = [
    skfem.MeshTri1, skfem.MeshTri2, skfem.MeshQuad1, skfem.MeshQuad2, skfem.MeshTet1, skfem.MeshTet2,
    skfem.MeshHex1, skfem.MeshHex2, skfem.MeshWedge1,
]  # fmt: skip
every_class = pytest.mark.parametrize("cls", SKFEM, ids=lambda c: c.__name__)


def make(cls):
    if cls is skfem.MeshWedge1:
        cells = box("wedge", 3)
        mesh = cls(cells.points.T.copy(), cells.blocks[0].nodes.T.copy())
    else:
        mesh = cls().refined(3 if cls().dim() == 2 else 2)
    mesh = mesh.with_boundaries({"left": lambda x: x[0] == 0, "all": lambda x: x[0] >= 0})
    return mesh.with_subdomains({"low": lambda x: x[1] < 0.5, "half": lambda x: x[0] < 0.5})


def assert_sound(out, dim):
    """What holds for every result."""
    r = out.report
    assert r.inverted_cells == 0 and r.min_volume_ratio > 0
    assert r.imbalance_after < r.imbalance_before
    assert out.displacement.dtype == np.float64 and out.displacement.shape == (out.cells.n_nodes, dim)
    lengths = np.linalg.norm(out.displacement, axis=1)
    assert lengths.max() == r.max_displacement > 0
    assert not len(inverted_cells(out.cells, out.moved.points))
    assert type(out.mesh) is type(out.original) and out.mesh is not out.original


# -- scikit-fem -------------------------------------------------------------------------------------------------------


@every_class
def test_scikit_fem_meshes_keep_tags_numbering_and_orientation(cls):
    mesh = make(cls)
    if mesh.dim() == 2 and cls in (skfem.MeshTri1, skfem.MeshQuad1):
        mesh = mesh.with_boundaries({"oriented": mesh.facets_around(np.arange(4))})
    before = copy.deepcopy(mesh)
    out = meshmove.adapt(mesh, monitor=bump)
    assert_sound(out, mesh.dim())
    for other in (out.mesh, before):  # the result, and that the input is what it was
        assert other.t.dtype == mesh.t.dtype and np.array_equal(other.t, mesh.t)
        for mine, theirs in ((other.boundaries, mesh.boundaries), (other.subdomains, mesh.subdomains)):
            assert list(mine) == list(theirs)
            for name in mine:
                assert type(mine[name]) is type(theirs[name]) and np.array_equal(mine[name], theirs[name])
                assert np.array_equal(getattr(mine[name], "ori", 0), getattr(theirs[name], "ori", 0))
    assert before.p.tobytes() == mesh.p.tobytes()
    assert np.array_equal(out.mesh.p, mesh.p + out.displacement.T)


@every_class
def test_every_form_of_a_field_gives_the_same_mesh(cls):
    mesh = make(cls)
    nodal = front(mesh.p)
    elem = {2: {3: skfem.ElementTriP1, 4: skfem.ElementQuad1}, 3: {4: skfem.ElementTetP1, 8: skfem.ElementHex1}}
    expected = meshmove.adapt(mesh, nodal, monitor=FAST).displacement
    forms = {"function": front, "list": nodal.tolist(), "twice": np.c_[nodal, nodal]}
    if cls is not skfem.MeshWedge1:
        basis = skfem.Basis(mesh, elem[mesh.dim()][mesh.t.shape[0]]())
        forms["pair"] = (basis, front(basis.doflocs))
    if mesh.p.shape[1] != mesh.nvertices:
        forms["vertices"] = nodal[np.unique(mesh.t)]
    for name, form in forms.items():
        got = meshmove.adapt(mesh, form, monitor=FAST).displacement
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12, err_msg=name)


def test_functions_may_return_several_fields_and_see_points_as_columns():
    mesh, seen = make(skfem.MeshTri1), []

    def both(x):
        seen.append(x.shape)
        return np.stack([front(x), x[1] ** 2])

    out = meshmove.adapt(mesh, both, monitor=FAST)
    assert set(seen) == {(2, mesh.nvertices)}
    assert out.fields["field"].shape == (mesh.nvertices, 2)
    np.testing.assert_array_equal(out.fields["field"][:, 0], front(out.mesh.p))
    single = meshmove.adapt(mesh, np.stack([front(mesh.p), mesh.p[1] ** 2], axis=1), monitor=FAST)
    np.testing.assert_allclose(single.displacement, out.displacement, atol=1e-12)


def as_meshio(mesh, u):
    return meshio.Mesh(mesh.p.T, [("triangle", mesh.t.T)], point_data={"u": u, "ids": np.arange(len(u))})


def as_pyvista(mesh, u):
    cells = {pv.CellType.TRIANGLE: mesh.t.T}
    grid = pv.UnstructuredGrid(cells, np.column_stack([mesh.p.T, np.zeros(len(u))]))
    grid.point_data["u"], grid.point_data["ids"] = u, np.arange(len(u))
    return grid


@pytest.mark.parametrize("dtype", [np.float32, np.int64, bool, complex])
def test_fields_of_other_types(dtype):
    mesh = make(skfem.MeshTri1)
    field = (5 + 5 * front(mesh.p)).astype(int).astype(dtype)
    out = meshmove.adapt(mesh, field, monitor=FAST)
    assert_sound(out, 2)
    assert out.fields["field"].dtype == (field.dtype if field.dtype.kind in "fc" else float)


@pytest.mark.parametrize("library", [as_meshio, as_pyvista])
def test_integer_point_data_that_are_the_field_are_carried(library):
    """Others are numbers or marks, and stay."""
    mesh = make(skfem.MeshTri1)
    u = (50 + 50 * front(mesh.p)).astype(int)
    given = library(mesh, u)
    out = meshmove.adapt(given, "u", monitor=FAST)
    assert not np.array_equal(out.fields["u"], u)
    assert np.array_equal(out.fields["u"], out.transfer(u)) and np.array_equal(
        out.mesh.point_data["u"], out.fields["u"]
    )
    assert np.array_equal(out.mesh.point_data["ids"], np.arange(len(u)))


@pytest.mark.parametrize("cls", [skfem.MeshTri2, skfem.MeshTet2], ids=lambda c: c.__name__)
def test_curved_meshes_of_second_order_keep_a_valid_map(cls):
    mesh = cls.init_circle(2) if cls is skfem.MeshTri2 else cls.init_ball(1)
    nodes, places = mesh.dofs.get_facet_dofs(mesh.boundary_facets()).flatten(), mesh.p.copy()
    places[:, nodes] /= np.linalg.norm(places[:, nodes], axis=0)
    mesh = dataclasses.replace(mesh, doflocs=places)
    out = meshmove.adapt(mesh, lambda x: np.tanh(8 * x[0]), monitor=FAST)
    assert_sound(out, mesh.dim())
    basis = skfem.Basis(out.mesh, out.mesh.elem(), intorder=4)
    original = skfem.Basis(mesh, mesh.elem(), intorder=4)
    assert (np.sign(basis.mapping.detDF(basis.X)) == np.sign(original.mapping.detDF(original.X))).all()
    assert basis.dx.sum() == pytest.approx(original.dx.sum(), rel=0.03)


# -- meshio -----------------------------------------------------------------------------------------------------------


def mixed(width=2, dtype=np.float64):
    """Quadrilaterals, triangles, boundary lines and a point, in an order that no mesher would choose."""
    cells = box("mixed 2-D", 6)
    (quads, triangles), n = (b.nodes for b in cells.blocks), cells.n_points
    bottom = np.flatnonzero(cells.points[:, 1] == 0)
    bottom = bottom[np.argsort(cells.points[bottom, 0])]
    points = np.r_[np.c_[cells.points, np.zeros((n, width - 2))], np.full((1, width), 9.0)].astype(dtype)
    lines = np.c_[bottom[:-1], bottom[1:]]
    blocks = [("line", lines[:3]), ("triangle", triangles), ("vertex", [[0], [n]]), ("quad", quads)]
    blocks.append(("line", lines[3:]))
    sizes = [len(c) for _, c in blocks]
    mesh = meshio.Mesh(points, blocks)
    x = points.T[:2]
    mesh.point_data = {
        "u": front(x), "single": front(x).astype(np.float32), "id": np.arange(n + 1), "flow": np.c_[x.T, front(x)],
        "mask": x[0] > 0.5, "stress": np.ones((n + 1, 2, 2)),
    }  # fmt: skip
    mesh.cell_data = {
        "gmsh:physical": [np.full(s, t, np.int32) for s, t in zip(sizes, [7, 1, 5, 1, 7], strict=True)],
        "material": [np.linspace(0, 1, s) for s in sizes],
    }
    mesh.field_data = {"floor": np.array([7, 1]), "body": np.array([1, 2])}
    mesh.point_sets = {"origin": np.array([0])}
    mesh.cell_sets = {"some": [np.arange(min(s, 2), dtype=np.uint64) for s in sizes]}
    mesh.info = {"made by": "hand"}
    return mesh


def assert_same_meshio(a, b, but=()):
    assert type(a) is type(b)
    assert [c.type for c in a.cells] == [c.type for c in b.cells]
    for c, d in zip(a.cells, b.cells, strict=True):
        assert c.data.dtype == d.data.dtype and np.array_equal(c.data, d.data)
    assert list(a.point_data) == list(b.point_data)
    for name in set(a.point_data) - set(but):
        assert a.point_data[name].dtype == b.point_data[name].dtype
        assert a.point_data[name].tobytes() == b.point_data[name].tobytes(), name
    assert list(a.cell_data) == list(b.cell_data) and list(a.cell_sets) == list(b.cell_sets)
    for data in ("cell_data", "cell_sets"):
        for name in getattr(a, data):
            for x, y in zip(getattr(a, data)[name], getattr(b, data)[name], strict=True):
                assert x.dtype == y.dtype and x.tobytes() == y.tobytes()
    for data in ("field_data", "point_sets"):
        mine, theirs = getattr(a, data), getattr(b, data)
        assert list(mine) == list(theirs) and all(np.array_equal(mine[k], theirs[k]) for k in mine)
    assert a.info == b.info
    assert (a.gmsh_periodic is None) == (b.gmsh_periodic is None)


@pytest.mark.parametrize("width", [2, 3])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_meshio_meshes_of_mixed_blocks_keep_all_data(width, dtype):
    mesh = mixed(width, dtype)
    before = copy.deepcopy(mesh)
    out = meshmove.adapt(mesh, "u", monitor=FAST, transfer=None)
    assert_sound(out, 2)
    assert_same_meshio(out.mesh, mesh)
    assert_same_meshio(mesh, before)
    assert before.points.tobytes() == mesh.points.tobytes()
    assert out.mesh.points.dtype == dtype and out.fields == {}
    assert (out.mesh.points[-1] == 9).all()  # the node that no cell uses
    assert not out.displacement[-1].any()


@pytest.mark.parametrize("transfer", ["interpolate", "conservative"])
def test_floating_data_are_carried_and_all_else_stays(transfer):
    mesh = mixed()
    out = meshmove.adapt(mesh, "u", monitor=FAST, transfer=transfer)
    assert_same_meshio(out.mesh, mesh, but=("u", "single", "flow", "stress"))
    assert set(out.fields) == {"u", "single", "flow", "stress"}
    for name, values in out.fields.items():
        np.testing.assert_array_equal(out.mesh.point_data[name], values)
        assert values.dtype == mesh.point_data[name].dtype and values.shape == mesh.point_data[name].shape
    used = np.arange(len(mesh.points) - 1)
    if transfer == "interpolate":  # exact for coordinates as fields
        np.testing.assert_allclose(out.fields["flow"][used, :2], out.mesh.points[used], atol=1e-12)
        np.testing.assert_allclose(out.transfer(mesh.point_data["u"]), out.fields["u"])
    assert np.abs(out.fields["u"][used] - front(out.mesh.points[used].T)).max() < 0.5
    np.testing.assert_allclose(out.fields["stress"], 1, rtol=1e-12)


@pytest.mark.parametrize("suffix", [".vtu", ".vtk", ".msh"])
def test_a_path_is_read_and_the_result_can_be_written(suffix, tmp_path):
    mesh = mixed(3)
    mesh.point_data = {"u": mesh.point_data["u"]}
    mesh.points, mesh.cells = mesh.points[:-1], [c for c in mesh.cells if c.type != "vertex"]
    mesh = meshio.Mesh(mesh.points, mesh.cells, point_data={"u": mesh.point_data["u"][:-1]})
    path = tmp_path / f"in{suffix}"
    meshmove.save(mesh, path)
    for given in (path, str(path)):
        out = meshmove.adapt(given, "u", monitor=FAST)
        assert isinstance(out.mesh, meshio.Mesh)
        assert_sound(out, 2)
    meshmove.save(out.mesh, tmp_path / f"out{suffix}")
    back = meshmove.load(tmp_path / f"out{suffix}")
    assert np.array_equal(back.points, out.mesh.points)
    assert np.array_equal(back.point_data["u"], out.mesh.point_data["u"])


# -- PyVista ----------------------------------------------------------------------------------------------------------


def grid(dtype=np.float64):
    mesh = mixed(3, dtype)
    cells = np.concatenate([np.c_[np.full(len(c.data), c.data.shape[1]), c.data].ravel() for c in mesh.cells])
    number = {"line": 3, "triangle": 5, "vertex": 1, "quad": 9}
    types = np.concatenate([np.full(len(c.data), number[c.type]) for c in mesh.cells])
    out = pv.UnstructuredGrid(cells, types, mesh.points)
    for name in ("u", "single", "id", "flow"):
        out.point_data[name] = mesh.point_data[name]
    out.cell_data["gmsh:physical"] = np.concatenate(mesh.cell_data["gmsh:physical"])
    out.field_data["time"] = [1.5]
    out.set_active_scalars("u")
    return out


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_unstructured_grids_keep_all_data(dtype):
    mesh = grid(dtype)
    before = mesh.copy(deep=True)
    out = meshmove.adapt(mesh, "u", monitor=FAST, transfer=None)
    assert_sound(out, 2)
    assert mesh == before
    assert out.mesh.points.dtype == dtype
    same = out.mesh.copy(deep=True)
    same.points = mesh.points
    assert same == mesh
    assert out.mesh.point_data.active_scalars_name == "u"
    carried = meshmove.adapt(mesh, "u", monitor=FAST)
    assert carried.mesh.point_data["single"].dtype == np.float32
    assert not np.array_equal(carried.mesh["u"], mesh["u"]) and np.array_equal(carried.mesh["id"], mesh["id"])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_triangulated_planes_in_space_stay_in_their_plane(dtype):
    frame = turn(0.7, 3, 0) @ turn(-1.1, 3, 1)
    flat = pv.Plane(i_size=2, j_size=2, i_resolution=9, j_resolution=9).triangulate()
    mesh = flat.copy()
    mesh.points = (np.asarray(flat.points, float) @ frame.T + [1, 2, 3]).astype(dtype)
    mesh.point_data["u"] = front(np.asarray(flat.points).T)
    out = meshmove.adapt(mesh, "u", monitor=FAST)
    assert_sound(out, 2)
    assert isinstance(out.mesh, pv.PolyData) and out.mesh.points.dtype == dtype
    np.testing.assert_array_equal(out.mesh.faces, mesh.faces)
    local = (np.asarray(out.mesh.points, float) - [1, 2, 3]) @ frame
    np.testing.assert_allclose(local[:, 2], 0, atol=1e-14 if dtype == np.float64 else 1e-6)
    assert np.abs(local).max() < 1 + (1e-12 if dtype == np.float64 else 1e-6)


def test_tetrahedra_and_hexahedra_of_pyvista():
    for mesh in (examples.load_hexbeam(), examples.load_tetbeam()):
        out = meshmove.adapt(mesh, lambda x: np.tanh(3 * (x[2] - 2.4)), monitor=FAST)
        assert_sound(out, 3)
        assert np.array_equal(out.mesh.cells, mesh.cells)
        assert np.abs(out.mesh.bounds - np.array(mesh.bounds)).max() == 0


# -- PyTorch Geometric ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["triangle", "quad", "tetra", "hexahedron"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_graphs_keep_their_attributes(kind, dtype):
    cells = box(kind, 5)
    rows = torch.from_numpy(cells.blocks[0].nodes.T.copy())
    data = Data(pos=torch.from_numpy(cells.points).to(dtype), cells=rows, edge_index=torch.tensor([[0, 1], [1, 0]]))
    data.u = torch.from_numpy(front(cells.points.T)).to(dtype)
    data.label = torch.arange(cells.n_points)
    before = data.clone()
    out = meshmove.adapt(data, "u", monitor=FAST, transfer=None)
    assert_sound(out, cells.dim)
    for key in ("cells", "edge_index", "u", "label"):
        assert torch.equal(out.mesh[key], data[key]) and torch.equal(before[key], data[key])
    assert torch.equal(before.pos, data.pos) and out.mesh.pos.dtype == dtype
    carried = meshmove.adapt(data, "u", monitor=FAST)
    assert carried.mesh.u.dtype == dtype and not torch.equal(carried.mesh.u, data.u)


# -- the same mesh in every library -----------------------------------------------------------------------------------


def test_all_libraries_give_the_same_mesh():
    cells = box("triangle", 8)
    t = cells.blocks[0].nodes
    faces = np.c_[np.full(len(t), 3), t].ravel()
    meshes = [
        skfem.MeshTri(cells.points.T.copy(), t.T.copy(), sort_t=False),
        meshio.Mesh(cells.points, [("triangle", t)]),
        pv.UnstructuredGrid(faces, np.full(len(t), 5), np.c_[cells.points, np.zeros(cells.n_points)]),
        pv.PolyData(np.c_[cells.points, np.zeros(cells.n_points)], faces),
        Data(pos=torch.from_numpy(cells.points), face=torch.from_numpy(t.T.copy())),
    ]
    expected = meshmove.adapt(cells, front, monitor=FAST)
    for mesh in meshes:
        out = meshmove.adapt(mesh, front, monitor=FAST)
        np.testing.assert_array_equal(out.displacement, expected.displacement)
        np.testing.assert_array_equal(converter_for(out.mesh).read(out.mesh).points, expected.moved.points)


def test_the_default_call_on_a_real_mesh_with_a_callable_monitor_and_no_field():
    out = meshmove.adapt(make(skfem.MeshTri1), monitor=bump)
    assert_sound(out, 2)
    assert out.report.monitor == "bump" and out.report.predicted_error_before is None
    text = str(out.report)
    assert text.startswith("mover") and "imbalance" in text and "inverted cells" in text
    assert "Adaptation of a MeshTri1" in repr(out)


def test_long_warnings_stay_in_the_column_of_values():
    mesh = make(skfem.MeshTri1)
    basis = skfem.Basis(mesh, skfem.ElementTriP4())
    report = meshmove.adapt(mesh, (basis, basis.project(lambda x: np.tanh(9 * x[0] - 4))), effort=0.2).report
    lines = str(report).splitlines()
    assert max(map(len, lines)) <= 120 and lines[-1].startswith(" " * 23) and lines[-1][23] != " "
    words = str(report).split("warning")[1].split()
    assert words == " ".join(report.warnings).split()
