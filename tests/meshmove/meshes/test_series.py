"""Time series of meshes in files: what is written is read back, frame by frame, or nothing is there."""

import meshio
import numpy as np
import pytest

from meshmove import MeshFileError
from meshmove.meshes.series.files import in_order, is_series, read_series, write_series


def meshes(count=3, mixed=False):
    """Two triangles, or a triangle, a quadrilateral and a line, whose nodes move."""
    p = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [2, 0.5]], float)
    cells = [("triangle", [[0, 1, 2], [0, 2, 3]])]
    if mixed:
        cells = [("quad", [[0, 1, 2, 3]]), ("triangle", [[1, 4, 2]]), ("line", [[0, 1], [1, 4]])]
    out = []
    for k in range(count):
        data = {"u": np.arange(5.0) + k, "v": np.arange(10.0).reshape(5, 2) * k}
        inside = {"T": [np.full(len(c), float(k)) for _, c in cells]}
        top = {"inlet": [np.array([0]), *(None for _ in cells[1:])]}
        out.append((0.25 * k, meshio.Mesh(p * (1 + 0.1 * k), cells, data, inside, cell_sets=top)))
    return out


@pytest.mark.parametrize("mixed", [False, True], ids=["one kind", "several kinds"])
@pytest.mark.parametrize("kind", [".pvd", ".xdmf"])
def test_a_series_comes_back(tmp_path, kind, mixed):
    path = write_series(tmp_path / f"run{kind}", meshes(mixed=mixed))
    assert is_series(path)
    for _ in range(2):  # again, over itself
        series = read_series(path)
        assert series.times == (0, 0.25, 0.5) and len(series) == 3
        for (time, one), moment in zip(meshes(mixed=mixed), series, strict=True):
            other = moment.mesh
            assert moment.time == time and "run" in moment.name
            assert np.array_equal(other.points[:, :2], one.points)
            assert [(c.type, c.data.tolist()) for c in other.cells] == [(c.type, c.data.tolist()) for c in one.cells]
            assert np.array_equal(other.point_data["u"], one.point_data["u"])
            assert np.array_equal(other.point_data["v"], one.point_data["v"])
            assert np.array_equal(np.concatenate(other.cell_data["T"]), np.concatenate(one.cell_data["T"]))
            assert np.array_equal(other.cell_sets["inlet"][0], [0])
        write_series(path, meshes(mixed=mixed))
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("kind", [".pvd", ".xdmf"])
def test_vtk_reads_it_too(tmp_path, kind):
    pyvista = pytest.importorskip("pyvista")
    path = write_series(tmp_path / f"run{kind}", meshes())
    reader = pyvista.get_reader(path)
    assert np.allclose(reader.time_values, [0, 0.25, 0.5])
    reader.set_active_time_value(0.5)
    grid = reader.read()
    grid = grid[0] if isinstance(grid, pyvista.MultiBlock) else grid
    assert np.allclose(grid.points[:, :2], meshes()[2][1].points) and np.allclose(grid["u"], np.arange(5.0) + 2)


def test_cells_that_stay_are_written_once(tmp_path):
    path = write_series(tmp_path / "run.xdmf", meshes())
    lines = [line for line in path.read_text().split("<Topology") if "</Topology" in line]
    assert len({line.split("run.h5:")[1].split("<")[0] for line in lines}) == 1 and len(lines) == 3


@pytest.mark.parametrize("kind", [".pvd", ".xdmf"])
def test_nothing_stays_when_a_frame_fails(tmp_path, kind):
    def broken():
        yield meshes()[0]
        raise RuntimeError("the second frame")

    with pytest.raises(RuntimeError):
        write_series(tmp_path / f"run{kind}", broken())
    assert not list(tmp_path.iterdir())
    write_series(tmp_path / f"run{kind}", meshes())
    before = {p: p.read_bytes() for p in tmp_path.rglob("*.*") if p.is_file()}
    with pytest.raises(RuntimeError):
        write_series(tmp_path / f"run{kind}", broken())
    assert {p: p.read_bytes() for p in tmp_path.rglob("*.*") if p.is_file()} == before


def test_a_pattern_is_taken_in_the_order_of_its_numbers(tmp_path):
    for k in (1, 2, 10):
        mesh = meshes()[0][1]
        mesh.point_data["u"][:] = k
        mesh.write(tmp_path / f"run_{k}.vtk")
    series = read_series(tmp_path / "run_*.vtk")
    assert series.times == (0, 1, 2) and [m.mesh.point_data["u"][0] for m in series] == [1, 2, 10]
    assert in_order(tmp_path.iterdir())[-1].name == "run_10.vtk"


def test_what_is_no_series(tmp_path):
    assert not is_series(tmp_path / "a.vtu")
    meshes()[0][1].write(tmp_path / "one.xdmf")
    assert not is_series(tmp_path / "one.xdmf")
    with pytest.raises(MeshFileError, match="does not exist"):
        read_series(tmp_path / "a.pvd")
    with pytest.raises(MeshFileError, match="no such file"):
        read_series(tmp_path / "run_*.vtu")
    (tmp_path / "cut.pvd").write_text("<VTKFile")
    with pytest.raises(MeshFileError, match="PVD collection in .*cut.pvd"):
        read_series(tmp_path / "cut.pvd")
    with pytest.raises(MeshFileError, match="XDMF file with a temporal collection .*one.xdmf"):
        read_series(tmp_path / "one.xdmf")
    with pytest.raises(MeshFileError, match="'run.vtu'"):
        write_series(tmp_path / "run.vtu", meshes())
    with pytest.raises(MeshFileError, match="able to write"):
        write_series(tmp_path / "no" / "run.xdmf", meshes())
    path = write_series(tmp_path / "run.pvd", [(1.0, meshes()[0][1]), (0.5, meshes()[1][1])])
    with pytest.raises(MeshFileError, match=r"times that increase \(got 0.5 after 1, at frame 1"):
        read_series(path)


def test_a_frame_that_is_gone_is_named(tmp_path):
    path = write_series(tmp_path / "run.pvd", meshes())
    (tmp_path / "run" / "frame00001.vtu").unlink()
    with pytest.raises(MeshFileError, match="frame00001.vtu"):
        list(read_series(path))
    path = write_series(tmp_path / "run.xdmf", meshes())
    (tmp_path / "run.h5").unlink()
    with pytest.raises(MeshFileError, match="XDMF file .*run.xdmf"):
        list(read_series(path))
