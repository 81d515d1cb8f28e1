"""Files that meshio does not read are read by VTK where PyVista is installed: surfaces, grids, collections, Exodus."""

import meshio
import numpy as np
import pytest
import pyvista as pv
from scipy.io import netcdf_file

import meshmove
from meshmove.meshes.files.io import MeshFileError, load
from meshmove.meshes.source import Source


def plane():
    grid = pv.Plane(i_resolution=4, j_resolution=3).triangulate()
    grid.clear_data()
    grid.point_data["u"] = np.linspace(0, 1, grid.n_points)
    grid.cell_data["material"] = np.arange(grid.n_cells) // 8
    return grid


def test_surfaces_keep_points_cells_and_data(tmp_path):
    grid = plane()
    for name in ("plane.vtp", "plane.vtk"):
        grid.save(tmp_path / name)
        mesh = load(tmp_path / name)
        assert np.array_equal(mesh.points, grid.points)
        assert np.array_equal(mesh.cells_dict["triangle"], grid.regular_faces)
        assert np.array_equal(mesh.point_data["u"], grid.point_data["u"])
        assert Source.of(mesh).cells.region_names == ("material",)
    assert meshmove.adapt(tmp_path / "plane.vtp", "u").report.inverted_cells == 0


@pytest.mark.parametrize(
    ("name", "grid"),
    [
        ("a.vts", pv.ImageData(dimensions=(4, 3, 2)).cast_to_structured_grid()),
        ("a.vtr", pv.RectilinearGrid(np.arange(4.0), np.arange(3.0), np.arange(2.0))),
        ("a.vti", pv.ImageData(dimensions=(4, 3, 2))),
        ("a.vtk", pv.ImageData(dimensions=(4, 3, 2))),
    ],
)
def test_grids_become_hexahedra(name, grid, tmp_path):
    grid.save(tmp_path / name)
    mesh = load(tmp_path / name)
    assert len(mesh.cells_dict["hexahedron"]) == 6 and len(mesh.points) == 24
    assert Source.of(mesh).cells.n_cells == 6


def halves():
    left = pv.UnstructuredGrid({9: np.array([[0, 1, 3, 2]])}, np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0.0]]))
    return pv.MultiBlock({"left": left, "right": left.translate((1, 0, 0))})


def test_blocks_share_nodes_and_become_sets(tmp_path):
    halves().save(tmp_path / "two.vtm")
    mesh = load(tmp_path / "two.vtm")
    assert len(mesh.points) == 6 and list(mesh.cell_sets) == ["left", "right"]
    cells = Source.of(mesh).cells
    assert cells.region_names and len(np.unique(cells.regions)) == 2


def test_of_a_collection_the_last_time_is_read(tmp_path):
    entries = []
    for k in range(3):
        grid = plane()
        grid.point_data["u"] += k
        grid.save(tmp_path / f"step{k}.vtp")
        entries.append(f'<DataSet timestep="{k}" part="0" file="step{k}.vtp"/>')
    text = '<?xml version="1.0"?>\n<VTKFile type="Collection" version="0.1"><Collection>{}</Collection></VTKFile>\n'
    (tmp_path / "all.pvd").write_text(text.format("".join(entries)))
    assert load(tmp_path / "all.pvd").point_data["u"].min() == 2


def exodus(path):
    """Two quadrilaterals in two blocks, a named side and a named node, as Exodus lays them out in netCDF."""
    points = np.array([[0, 0], [1, 0], [2, 0], [0, 1], [1, 1], [2, 1.0]])
    with netcdf_file(path, "w", version=2) as f:
        f.api_version, f.version, f.floating_point_word_size, f.file_size, f.title = 5.1, 5.1, 8, 1, b"two"
        sizes = dict(
            len_string=33, len_line=81, four=4, num_dim=2, num_nodes=6, num_elem=2, num_el_blk=2, num_side_sets=1,
            num_node_sets=1, num_el_in_blk1=1, num_nod_per_el1=4, num_el_in_blk2=1, num_nod_per_el2=4, num_side_ss1=1,
            num_nod_ns1=1,
        )  # fmt: skip
        f.createDimension("time_step", None)
        for name, size in sizes.items():
            f.createDimension(name, size)

        def put(variable, kind, dims, values, **attributes):
            variable = f.createVariable(variable, kind, dims)
            variable[:] = values
            for key, value in attributes.items():
                setattr(variable, key, value)

        def words(*names):
            return np.array([list(n.ljust(33, "\0")) for n in names], "S1")

        f.createVariable("time_whole", "d", ("time_step",))
        put("coordx", "d", ("num_nodes",), points[:, 0])
        put("coordy", "d", ("num_nodes",), points[:, 1])
        put("coor_names", "c", ("num_dim", "len_string"), words("x", "y"))
        put("eb_status", "i", ("num_el_blk",), [1, 1])
        put("eb_prop1", "i", ("num_el_blk",), [10, 20], name=b"ID")
        put("eb_names", "c", ("num_el_blk", "len_string"), words("steel", "copper"))
        put("connect1", "i", ("num_el_in_blk1", "num_nod_per_el1"), [[1, 2, 5, 4]], elem_type=b"QUAD4")
        put("connect2", "i", ("num_el_in_blk2", "num_nod_per_el2"), [[2, 3, 6, 5]], elem_type=b"QUAD4")
        put("ss_status", "i", ("num_side_sets",), [1])
        put("ss_prop1", "i", ("num_side_sets",), [7], name=b"ID")
        put("ss_names", "c", ("num_side_sets", "len_string"), words("inlet"))
        put("elem_ss1", "i", ("num_side_ss1",), [1])
        put("side_ss1", "i", ("num_side_ss1",), [4])
        put("ns_status", "i", ("num_node_sets",), [1])
        put("ns_prop1", "i", ("num_node_sets",), [8], name=b"ID")
        put("ns_names", "c", ("num_node_sets", "len_string"), words("pin"))
        put("node_ns1", "i", ("num_nod_ns1",), [5])
    return points


@pytest.mark.parametrize("suffix", [".e", ".exo", ".ex2"])
def test_exodus_needs_no_netcdf4(suffix, tmp_path):
    points = exodus(tmp_path / f"two{suffix}")
    mesh = load(tmp_path / f"two{suffix}")
    cells = Source.of(mesh).cells
    assert len(mesh.points) == 6 and cells.n_cells == 2
    assert sorted(map(tuple, mesh.points[:, :2].tolist())) == sorted(map(tuple, points.tolist()))
    names = list(mesh.cell_sets)
    assert any("steel" in n for n in names) and any("copper" in n for n in names)
    assert len(np.unique(cells.regions)) == 2
    (inlet,) = (k for k in cells.facets if "inlet" in k)
    assert cells.points[cells.facets[inlet]][0, :, 0].tolist() == [0, 0]
    (pin,) = (v for k, v in mesh.point_sets.items() if "pin" in k)
    assert mesh.points[pin][:, :2].tolist() == [[1, 1]]


@pytest.mark.parametrize("suffix", [".vtp", ".vts", ".pvd", ".vtm", ".e", ".exo", ".pvtu", ".vti"])
@pytest.mark.parametrize("content", [b"", b"hello\n", b"<VTKFile type='PolyData'><PolyData>", bytes(range(256))])
def test_rubbish_is_refused_quietly(suffix, content, tmp_path, capfd):
    (tmp_path / f"bad{suffix}").write_bytes(content)
    with pytest.raises(MeshFileError, match=rf"readable mesh in '.*bad\{suffix}'"):
        load(tmp_path / f"bad{suffix}")
    assert capfd.readouterr() == ("", "")


def test_without_pyvista_it_is_said_what_to_install(tmp_path, monkeypatch):
    plane().save(tmp_path / "plane.vtp")
    exodus(tmp_path / "two.e")
    monkeypatch.setattr("meshmove.meshes.files.io._LIBRARIES", ())
    for name in ("plane.vtp", "two.e"):
        with pytest.raises(MeshFileError, match=r'pip install "?(meshmove\[pyvista\]|netCDF4)'):
            load(tmp_path / name)


def test_meshio_is_asked_first(tmp_path):
    meshmove.save(
        meshio.Mesh(np.eye(3), [("triangle", [[0, 1, 2]])], cell_sets={"a": [np.array([0])]}), tmp_path / "a.vtu"
    )
    assert load(tmp_path / "a.vtu").cell_sets["a"][0].tolist() == [0]


@pytest.mark.parametrize("name", ["huge.vtp", "huge.vtu"])
def test_a_count_beyond_the_memory_ends_no_process(name, tmp_path, capfd):
    path = tmp_path / name
    grid = plane() if name.endswith("p") else plane().cast_to_unstructured_grid()
    grid.save(path)
    text = path.read_bytes()
    for count in (b'NumberOfPolys="24"', b'NumberOfCells="24"'):
        text = text.replace(count, count[:-1] + b'000000000000"')
    path.write_bytes(text.replace(b'<VTKFile type="U', b'<VTKFile kind="" type="U'))
    with pytest.raises(MeshFileError, match="damaged; VTK says: |ReadError"):
        load(path)
    assert not capfd.readouterr().err


@pytest.mark.parametrize("name", ["in let", 'the "wall"', "a<b&c>d", "100%", "größe"])
@pytest.mark.parametrize("ending", [".vtk", ".vtu", ".xdmf"])
def test_sets_keep_names_that_end_a_name_in_some_format(tmp_path, name, ending):
    mesh = meshio.Mesh(np.eye(3), [("triangle", [[0, 1, 2], [0, 2, 1]])])
    mesh.cell_sets, mesh.point_sets = {name: [np.array([1])], "other": [np.array([0])]}, {name: np.array([2])}
    meshmove.save(mesh, tmp_path / f"mesh{ending}")
    again = meshmove.load(tmp_path / f"mesh{ending}")
    assert again.cell_sets[name][0].tolist() == [1] and again.cell_sets["other"][0].tolist() == [0]
    assert again.point_sets[name].tolist() == [2]


NUMBERS = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"]


def test_vtk_reads_our_numbers_of_all_types_and_we_its(tmp_path):
    values = {kind: np.array([1, 120, 3, 0, 7]).astype(kind) for kind in NUMBERS}
    cells = {kind: [v[:2]] for kind, v in values.items()}
    p = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [2, 0, 0]], float)
    mesh = meshio.Mesh(p, [("triangle", [[0, 1, 2], [0, 2, 3]])], values, cells)
    mesh.cell_sets = {"a set": [np.array([1])]}
    meshmove.save(mesh, tmp_path / "ours.vtk")
    grid = pv.read(tmp_path / "ours.vtk")
    assert grid["set:a%20set"].tolist() == [0, 1]  # a set's name is escaped in every format
    grid.save(tmp_path / "theirs.vtk")
    again = load(tmp_path / "theirs.vtk")
    assert again.cell_sets["a set"][0].tolist() == [1]
    for kind in NUMBERS:
        for found in (grid.point_data[kind], again.point_data[kind]):
            assert np.dtype(found.dtype).newbyteorder("=") == kind and np.array_equal(found, values[kind])
        assert np.array_equal(grid.cell_data[kind], cells[kind][0])
