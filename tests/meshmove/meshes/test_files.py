"""Files in and out: bits, tags and sets survive; damaged files and unwritable paths are said clearly."""

import logging
import os

import meshio
import numpy as np
import pytest
import pyvista as pv
import skfem
from pyvista import examples

from meshmove.geometry.errors import MeshmoveError, UnsupportedMeshError
from meshmove.meshes.files import cell_sets as sets_of
from meshmove.meshes.files import writing as _writing
from meshmove.meshes.files.io import MeshFileError, load, save
from meshmove.meshes.registry import converter_for
from meshmove.meshes.source import Source


@pytest.fixture(scope="module")
def channels(tmp_path_factory):
    """A plate with a disk in it, made by Gmsh: named curves and surfaces, one curve group without a name, a point."""
    gmsh = pytest.importorskip("gmsh", exc_type=ImportError)
    folder = tmp_path_factory.mktemp("gmsh")
    gmsh.initialize(interruptible=False)
    gmsh.option.setNumber("General.Terminal", 0)
    occ = gmsh.model.occ
    occ.fragment([(2, occ.addRectangle(0, 0, 0, 2, 1))], [(2, occ.addDisk(0.5, 0.5, 0, 0.2, 0.2))])
    occ.synchronize()
    disk, rest = (e[1] for e in gmsh.model.getEntities(2))
    circle = gmsh.model.getBoundary([(2, disk)], oriented=False)[0][1]
    sides = [e[1] for e in gmsh.model.getEntities(1) if e[1] != circle]
    for dim, tags, name in ((2, [disk], "disk"), (2, [rest], "rest"), (1, [circle], "circle"), (1, sides[:2], "wall")):
        gmsh.model.addPhysicalGroup(dim, tags, name=name)
    gmsh.model.addPhysicalGroup(1, sides[2:], tag=77)
    gmsh.model.addPhysicalGroup(0, [1], name="probe")
    gmsh.option.setNumber("Mesh.MeshSizeMax", 0.25)
    gmsh.model.mesh.generate(2)
    paths = {}
    for order in (1, 2):
        gmsh.model.mesh.setOrder(order)
        for version in (2.2, 4.1):
            for binary in (0, 1):
                gmsh.option.setNumber("Mesh.MshFileVersion", version)
                gmsh.option.setNumber("Mesh.Binary", binary)
                paths[order, version, binary] = folder / f"channel-{order}-{version}-{binary}.msh"
                gmsh.write(str(paths[order, version, binary]))
    gmsh.finalize()
    return paths


def test_numbers_of_entities_in_gmsh_files_are_no_region_of_the_cells_of_scikit_fem(channels):
    """`skfem.Mesh.load` makes a subdomain of them: a few cells, whose borders would be held as interfaces."""
    skfem = pytest.importorskip("skfem")
    mesh = skfem.Mesh.load(channels[1, 4.1, 0])
    assert "gmsh:bounding_entities" in mesh.subdomains
    names = Source.of(mesh).cells.region_names
    assert len(names) == 1 and set(names) < {"disk", "rest"}  # either tells both apart


def test_gmsh_files_of_periodic_meshes_give_pairs(tmp_path):
    gmsh = pytest.importorskip("gmsh", exc_type=ImportError)
    gmsh.initialize(interruptible=False)
    gmsh.option.setNumber("General.Terminal", 0)
    points = [gmsh.model.geo.addPoint(x, y, 0, 0.2) for x, y in ((0, 0), (1, 0), (1, 1), (0, 1))]
    lines = [gmsh.model.geo.addLine(points[i], points[(i + 1) % 4]) for i in range(4)]
    gmsh.model.geo.addPlaneSurface([gmsh.model.geo.addCurveLoop(lines)])
    gmsh.model.geo.synchronize()
    gmsh.model.mesh.setPeriodic(1, [lines[1]], [lines[3]], [1, 0, 0, 1, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1])
    gmsh.model.addPhysicalGroup(2, [1], name="all")
    gmsh.model.mesh.generate(2)
    gmsh.write(str(tmp_path / "periodic.msh"))
    gmsh.option.setNumber("Mesh.SaveAll", 1)
    gmsh.write(str(tmp_path / "some tagged.msh"))
    gmsh.finalize()
    mesh = load(tmp_path / "periodic.msh")
    save(mesh, tmp_path / "again.msh")
    for read in (converter_for(m).read(m) for m in (mesh, load(tmp_path / "again.msh"))):
        offset = read.points[read.periodic[:, 0]] - read.points[read.periodic[:, 1]]
        assert len(offset) == 6
        np.testing.assert_allclose(offset, np.broadcast_to([1, 0], offset.shape), atol=1e-9)
    with pytest.raises(MeshFileError, match="gmsh:physical.*Put every entity into a physical group"):
        load(tmp_path / "some tagged.msh")


def summary(mesh):
    """What a mesh means, whatever the file: named facets by their midpoints, and subdomains by their cells' centres."""
    cells = converter_for(mesh).read(mesh)
    places = {k: sorted(map(tuple, cells.points[f].mean(axis=1).round(9).tolist())) for k, f in cells.facets.items()}
    centres = np.concatenate([cells.points[b.nodes].mean(axis=1) for b in cells.blocks]).round(9)
    groups = {tuple(sorted(map(tuple, centres[cells.regions == r].tolist()))) for r in np.unique(cells.regions)}
    return places, groups


@pytest.mark.parametrize("key", [(o, v, b) for o in (1, 2) for v in (2.2, 4.1) for b in (0, 1)])
def test_gmsh_files_give_named_boundaries_and_subdomains(channels, key):
    mesh = load(channels[key])
    cells = converter_for(mesh).read(mesh)
    assert sorted(cells.facets) == ["77", "circle", "wall"]
    radius = np.linalg.norm(cells.points[cells.facets["circle"]] - 0.5, axis=2)
    np.testing.assert_allclose(radius, 0.2, atol=1e-12)
    assert len(np.unique(cells.regions)) == 2
    assert (cells.lift is None) == (key[0] == 1)


@pytest.mark.parametrize("suffix", [".msh", ".vtu", ".vtk"])
@pytest.mark.parametrize("key", [(1, 2.2, 0), (1, 4.1, 1), (2, 2.2, 1), (2, 4.1, 0)])
def test_tags_and_sets_survive_msh_to(channels, key, suffix, tmp_path, capfd):
    mesh = load(channels[key])
    mesh.point_data["temperature"] = np.random.default_rng(0).normal(size=len(mesh.points))
    own = converter_for(mesh)
    d = own.read(mesh).lifted(1e-3 * np.random.default_rng(1).normal(size=own.read(mesh).points.shape))
    moved = own.write(mesh, d)
    save(moved, tmp_path / f"out{suffix}")
    back = load(tmp_path / f"out{suffix}")
    assert np.array_equal(back.points, moved.points)  # .vtk is big-endian
    assert np.array_equal(back.point_data["temperature"], moved.point_data["temperature"])
    assert summary(back) == summary(moved)
    tags = [np.concatenate([np.ravel(v) for v in m.cell_data["gmsh:physical"]]) for m in (moved, back)]
    assert np.array_equal(*tags)
    if suffix == ".msh":
        assert {k: v.tolist() for k, v in back.field_data.items()} == {
            k: v.tolist() for k, v in mesh.field_data.items()
        }
    else:
        assert {"circle", "wall", "disk", "rest", "probe"} <= set(back.cell_sets)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("suffix", [".vtu", ".vtk", ".msh", ".xdmf", ".med"])
def test_sets_survive_formats_without_sets(suffix, tmp_path):
    points = np.random.default_rng(0).normal(size=(6, 3)) * [1, 1, 0]
    mesh = meshio.Mesh(
        points,
        [("line", [[0, 1], [1, 4]]), ("triangle", [[0, 1, 2], [1, 4, 5], [1, 5, 2]])],
        cell_sets={
            "wall": [np.array([1]), None],
            "hot": [None, np.array([0, 2])],
            "wide": [np.array([], int), np.array([0, 1])],
        },
        point_sets={"pin": np.array([2, 3])},
    )
    save(mesh, tmp_path / f"sets{suffix}")
    back = load(tmp_path / f"sets{suffix}")
    assert np.array_equal(back.points, points)
    assert summary(back) == summary(mesh)
    assert back.point_sets["pin"].tolist() == [2, 3]
    assert "set:wall" not in back.cell_data
    assert list(mesh.cell_sets) == ["wall", "hot", "wide"] and not mesh.cell_data  # the input is as it was


def test_sets_go_into_abaqus_files_as_sets(tmp_path):
    points = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.0]])
    mesh = meshio.Mesh(points, [("triangle", [[0, 1, 2], [0, 2, 3]])], cell_sets={"HOT": [np.array([1])]})
    save(mesh, tmp_path / "sets.inp")
    assert load(tmp_path / "sets.inp").cell_sets["HOT"][0].tolist() == [1]


@pytest.mark.parametrize(
    "mesh",
    [
        skfem.MeshTri().refined(1).with_boundaries({"left": lambda x: x[0] == 0}),
        skfem.MeshQuad2().refined(1).with_subdomains({"low": lambda x: x[1] < 0.5}),
        skfem.MeshTet2(),
        skfem.MeshHex().refined(1),
    ],
    ids=lambda m: type(m).__name__,
)
def test_scikit_fem_meshes_are_saved_as_scikit_fem_does(mesh, tmp_path):
    save(mesh, tmp_path / "mesh.vtu")
    back = skfem.Mesh.load(tmp_path / "mesh.vtu")
    np.testing.assert_array_equal(back.p[:, back.dofs.element_dofs], mesh.p[:, mesh.dofs.element_dofs])
    for tags in ("boundaries", "subdomains"):
        for name, ids in (getattr(mesh, tags) or {}).items():
            assert np.array_equal(np.sort(getattr(back, tags)[name]), np.sort(ids))


@pytest.mark.parametrize("suffix", [".vtu", ".vtk"])
def test_pyvista_meshes_are_saved_by_vtk(suffix, tmp_path):
    grid = examples.load_hexbeam()
    grid.field_data["time"] = [1.25]
    save(grid, tmp_path / f"beam{suffix}")
    back = pv.read(tmp_path / f"beam{suffix}")
    assert back == grid and back.points.dtype == grid.points.dtype
    save(pv.Plane(), tmp_path / "plane.vtp")
    assert pv.read(tmp_path / "plane.vtp").n_points == pv.Plane().n_points
    save(grid, tmp_path / "beam.msh")
    assert np.array_equal(load(tmp_path / "beam.msh").points, grid.points)


def test_graphs_are_saved(tmp_path):
    import warnings

    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch_geometric.data import Data
    data = Data(pos=torch.eye(3), face=torch.tensor([[0], [1], [2]]), u=torch.arange(3.0))
    save(data, tmp_path / "graph.vtk")
    assert load(tmp_path / "graph.vtk").point_data["u"].tolist() == [0, 1, 2]


def test_files_of_two_parts_are_moved_together(tmp_path):
    mesh = meshio.Mesh(np.eye(3), [("triangle", [[0, 1, 2]])])
    save(mesh, tmp_path / "two.xdmf")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["two.h5", "two.xdmf"]
    assert np.array_equal(load(tmp_path / "two.xdmf").points, np.eye(3))


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(MeshFileError, match="got '.*gone.msh', which does not exist"):
        load(tmp_path / "gone.msh")
    with pytest.raises(MeshFileError, match="which is a folder"):
        load(tmp_path)
    assert issubclass(MeshFileError, MeshmoveError) and issubclass(MeshFileError, OSError)


@pytest.mark.parametrize("name", ["mesh.docx", "mesh", "mesh.vtu.bak"])
def test_an_unknown_extension_lists_the_known_ones(name, tmp_path):
    (tmp_path / name).write_text("something")
    for action in (lambda: load(tmp_path / name), lambda: save(skfem.MeshTri(), tmp_path / name)):
        with pytest.raises(MeshFileError, match=rf"extensions .*\.msh.*\.vtk.*\.vtu.*\.xdmf.*\(got '{name}'\)"):
            action()


@pytest.mark.parametrize("suffix", [".msh", ".vtu", ".vtk", ".xdmf", ".inp", ".med", ".stl", ".ply", ".su2", ".bdf"])
@pytest.mark.parametrize("content", [b"", b"hello\n", b"$MeshFormat\n4.1 0 8\n$EndMeshFormat\n", bytes(range(256))])
def test_rubbish_is_refused_quietly(suffix, content, tmp_path, capfd):
    (tmp_path / f"bad{suffix}").write_bytes(content)
    with pytest.raises(MeshFileError, match=rf"readable mesh in '.*bad\{suffix}' \(got an error as .*Is it complete"):
        load(tmp_path / f"bad{suffix}")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9])
@pytest.mark.parametrize("key", [(1, 2.2, 0), (1, 2.2, 1), (1, 4.1, 0), (1, 4.1, 1), ".vtu", ".vtk"])
def test_files_cut_short_are_refused_quietly(channels, key, share, tmp_path, capfd):
    path = channels[key] if isinstance(key, tuple) else tmp_path / f"whole{key}"
    if not isinstance(key, tuple):
        save(load(channels[1, 4.1, 1]), path)
    content = path.read_bytes()
    cut = tmp_path / f"cut{path.suffix}"
    cut.write_bytes(content[: int(share * len(content))])
    with pytest.raises(MeshFileError) as caught:
        load(cut)
    assert caught.value.__cause__ is not None
    assert capfd.readouterr() == ("", "")


def test_nothing_is_written_where_it_fails(tmp_path, monkeypatch):
    mesh = meshio.Mesh(np.eye(3), [("triangle", [[0, 1, 2]])])
    path = tmp_path / "kept.vtu"
    path.write_text("what was there")

    def half(name, *_, **__):
        with open(name, "w") as file:
            file.write("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_writing, "writer", lambda _: half)
    with pytest.raises(MeshFileError, match="able to write '.*kept.vtu'.*No space left.*choose another folder"):
        save(mesh, path)
    assert path.read_text() == "what was there"
    assert [p.name for p in tmp_path.iterdir()] == ["kept.vtu"]


def test_a_path_that_cannot_be_written_is_named(tmp_path):
    mesh = meshio.Mesh(np.eye(3), [("triangle", [[0, 1, 2]])])
    with pytest.raises(MeshFileError, match="existing folder.*no/such.*Create it first"):
        save(mesh, tmp_path / "no/such/mesh.vtu")
    (tmp_path / "folder.vtu").mkdir()
    with pytest.raises(MeshFileError, match="folder.vtu', which is a folder"):
        save(mesh, tmp_path / "folder.vtu")
    if os.path.isdir("/proc/self"):
        with pytest.raises(MeshFileError, match="able to write '/proc/self/mesh.vtu'"):
            save(mesh, "/proc/self/mesh.vtu")


def test_a_mesh_that_a_format_cannot_hold_is_named(tmp_path):
    mesh = meshio.Mesh(np.eye(4)[:, :3], [("tetra", [[0, 1, 2, 3]])])
    with pytest.raises(MeshFileError, match=r"format '.obj' to hold this mesh.*Try .vtu"):
        save(mesh, tmp_path / "solid.obj")
    assert not list(tmp_path.iterdir())
    with pytest.raises(UnsupportedMeshError, match="periodic MeshTri1DG.*Save the mesh that it was made from"):
        save(skfem.MeshTri1DG.init_tensor(*[np.linspace(0, 1, 4)] * 2, periodic=[0]), tmp_path / "periodic.vtu")
    with pytest.raises(UnsupportedMeshError, match="one of .*meshio"):
        save(object(), tmp_path / "thing.vtu")


def test_what_meshio_says_is_logged(tmp_path, caplog, capfd):
    flat = meshio.Mesh(np.eye(3)[:, :2], [("triangle", [[0, 1, 2]])])
    with caplog.at_level(logging.INFO, logger=_writing.__name__):
        save(flat, tmp_path / "flat.vtu")
    assert "requires 3D points" in caplog.text
    assert capfd.readouterr() == ("", "")
    assert flat.points.shape == (3, 2)


def test_names_that_are_lost_with_gmsh_s_groups_are_not_given_twice():
    mesh = meshio.Mesh(
        np.array([[0, 0], [1, 0], [0, 1.0]]),
        [("line", [[0, 1]]), ("triangle", [[0, 1, 2]])],
        cell_data={"gmsh:physical": [[3], [1]]},
        cell_sets={"wall": [np.array([0]), None]},
    )
    assert list(sets_of.cell_groups(mesh)) == ["wall"]
