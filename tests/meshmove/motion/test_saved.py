"""A moving mesh that is saved goes on to the bit when it is loaded; nothing else is in its file."""

import json

import meshio
import numpy as np
import pytest
import skfem

import meshmove
from meshmove import MeshFileError, MovingMesh, UnsupportedMeshError
from meshmove.geometry import CellMesh


def front(t):
    return lambda x: np.tanh(12 * (x[0] - 0.3 - t))


def square(n=8):
    return skfem.MeshTri.init_tensor(*[np.linspace(0, 1, n + 1)] * 2)


def tagged():
    mesh = square().with_boundaries({"left": lambda x: x[0] == 0}).with_subdomains({"low": lambda x: x[1] < 0.5})
    return mesh.with_boundaries({"middle": mesh.facets_around(np.arange(10))})


def of_meshio(dtype):
    mesh = square()
    inside = {"material": [(mesh.p[1, mesh.t].mean(axis=0) > 0.5).astype(np.int32)]}
    data = {"T": np.arange(81.0), "id": np.arange(81)}
    return meshio.Mesh(np.pad(mesh.p.T, ((0, 0), (0, 1))).astype(dtype), [("triangle", mesh.t.T)], data, inside)


def of_pyvista():
    pyvista = pytest.importorskip("pyvista")
    grid = pyvista.ImageData(dimensions=(9, 9, 1)).cast_to_structured_grid().cast_to_unstructured_grid()
    grid.points /= 8
    grid["T"] = np.arange(81.0)
    return grid


def surface_of_pyvista():
    grid = of_pyvista()
    surface = pytest.importorskip("pyvista").PolyData(grid.points, grid.cells)
    surface["T"] = grid["T"]
    return surface


def points_of(mesh):
    return (mesh.doflocs if hasattr(mesh, "doflocs") else np.asarray(mesh.points)).tobytes()


MESHES = {
    "tags": tagged,
    "quadrilaterals": lambda: skfem.MeshQuad().refined(3),
    "tetrahedra": lambda: skfem.MeshTet().refined(1),
    "second order": lambda: skfem.MeshTri2.from_mesh(square(4)),
    "periodic": lambda: skfem.MeshTri1DG.init_tensor(*[np.linspace(0, 1, 7)] * 2, periodic=[1]),
    "meshio": lambda: of_meshio(float),
    "meshio, float32": lambda: of_meshio(np.float32),
    "pyvista": of_pyvista,
    "pyvista, surface": lambda: surface_of_pyvista(),
}


@pytest.mark.parametrize("mesh", MESHES.values(), ids=MESHES)
def test_it_goes_on_to_the_bit(mesh, tmp_path):
    moving = MovingMesh(mesh(), monitor=meshmove.Monitor("gradient", intensity=4), effort=0.5)
    moving.start(front(0))
    for k in range(3):
        moving.step(front(0.02 * k), 0.02)
    moving.save(tmp_path / "a.npz")
    other = MovingMesh.load(tmp_path / "a.npz")
    assert type(other.mesh) is type(moving.mesh) and other.time == moving.time
    assert points_of(other.mesh) == points_of(moving.mesh)
    for k in range(3, 6):
        one, two = (m.step(front(0.02 * k), 0.02) for m in (moving, other))
        assert points_of(one.mesh) == points_of(two.mesh)
        assert np.asarray(one.carried).tobytes() == np.asarray(two.carried).tobytes()
    assert one.velocity.any()


def test_tags_and_data_come_back(tmp_path):
    MovingMesh(tagged()).save(tmp_path / "a.npz")
    mesh = MovingMesh.load(tmp_path / "a.npz").mesh
    assert all(np.array_equal(mesh.boundaries[k], v) for k, v in tagged().boundaries.items())
    assert np.array_equal(mesh.boundaries["middle"].ori, tagged().boundaries["middle"].ori)
    assert np.array_equal(mesh.subdomains["low"], tagged().subdomains["low"])
    MovingMesh(of_meshio(np.float32)).save(tmp_path / "b.npz")
    mesh = MovingMesh.load(tmp_path / "b.npz").mesh
    assert mesh.points.dtype == np.float32 and np.array_equal(mesh.point_data["id"], np.arange(81))
    assert mesh.cell_data["material"][0].dtype == np.int32


def test_moved_boundaries_and_references_go_on_too(tmp_path):
    mesh = square(6).with_boundaries({"piston": lambda x: x[0] == 0})
    reference = mesh.translated(np.stack([0.02 * np.sin(6 * mesh.p[0]) * mesh.p[0] * (1 - mesh.p[0]), 0 * mesh.p[0]]))
    moving = MovingMesh(mesh, reference=reference, fixed=[20], boundary={"piston": "fixed"})
    motion = {"piston": lambda x, t: x + [[t], [0]]}
    for k in range(3):
        moving.step(front(0.02 * k), 0.02, boundary_motion=motion)
    moving.save(tmp_path / "a.npz")
    other = MovingMesh.load(tmp_path / "a.npz")
    for k in range(3, 6):
        more = {"boundary_motion": motion} if k % 2 else {}
        one, two = (m.step(front(0.02 * k), 0.02, **more) for m in (moving, other))
        assert points_of(one.mesh) == points_of(two.mesh)
    assert points_of(one.reference) == points_of(two.reference)


def test_what_a_file_does_not_hold_is_asked_for(tmp_path):
    def steep(x):
        return 1 + 5 * np.exp(-50 * (x[0] - 0.5) ** 2)

    moving = MovingMesh(square(), monitor=steep, effort=0.5, mover=meshmove.Smooth())
    moving.step(dt=0.1)
    moving.save(tmp_path / "a.npz")
    with pytest.raises(ValueError, match=r"missing: monitor\)\. Pass them to MovingMesh.load"):
        MovingMesh.load(tmp_path / "a.npz")
    with pytest.raises(ValueError, match=r"lacks \(monitor; got 'effort'\)"):
        MovingMesh.load(tmp_path / "a.npz", monitor=steep, effort=2)
    other = MovingMesh.load(tmp_path / "a.npz", monitor=steep)
    assert points_of(moving.step(dt=0.1).mesh) == points_of(other.step(dt=0.1).mesh)


def test_the_file_holds_no_pickle_and_is_written_whole(tmp_path):
    moving = MovingMesh(square(4))
    moving.save(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        assert all(file[name].dtype.kind in "biufU" for name in file)
        assert json.loads(str(file["tree"]))["about"] == "meshmove.MovingMesh"
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]


def test_bad_files(tmp_path):
    with pytest.raises(MeshFileError, match="there is none"):
        MovingMesh.load(tmp_path / "no.npz")
    MovingMesh(square(4)).save(tmp_path / "a.npz")
    whole = (tmp_path / "a.npz").read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"words"):
        (tmp_path / "cut.npz").write_bytes(content)
        with pytest.raises(MeshFileError, match="saved to .*cut.npz"):
            MovingMesh.load(tmp_path / "cut.npz")
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    with pytest.raises(MeshFileError, match="saved to .*other.npz"):
        MovingMesh.load(tmp_path / "other.npz")
    (tmp_path / "file").write_text("")
    with pytest.raises(MeshFileError, match="able to write"):
        MovingMesh(square(4)).save(tmp_path / "file" / "a.npz")
    cells = CellMesh.single(square(4).p.T, square(4).t.T, "triangle")
    with pytest.raises(UnsupportedMeshError, match="Expected a mesh of one of"):
        MovingMesh(cells).save(tmp_path / "b.npz")
