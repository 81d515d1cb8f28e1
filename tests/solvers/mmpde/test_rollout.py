"""Trajectories as files and grids: what is written is whole, and read back it is the same."""

from dataclasses import replace

import meshio
import numpy as np
import pytest
import skfem

from meshmove.solvers import Trajectories, TrajectoryDataset
from meshmove.solvers.mmpde import Frame
from meshmove.solvers.mmpde.rollout import interpolated
from tests.solvers.mmpde.cases import front, model_of


@pytest.fixture(scope="module")
def trajectory():
    mesh = skfem.MeshTri.init_tensor(*[np.linspace(0, 1, 9)] * 2).with_boundaries({"left": lambda x: x[0] == 0})
    return model_of().rollout(mesh, front, 4, attributes={"viscosity": 0.02})


@pytest.mark.parametrize("name", ["out.pvd", "out.npz"])
def test_what_is_saved_is_read_back(trajectory, tmp_path, name):
    path = trajectory.save(tmp_path / name)
    assert path == tmp_path / name
    data = TrajectoryDataset.from_files(path, ["u"])
    assert len(data) == 1 and data.fields == ("u",) and data.step == pytest.approx(0.1)
    frames = list(trajectory)
    assert np.allclose(data.groups[0].fields["u"][0], [f.values[:, 0] for f in frames], atol=1e-12)
    assert np.allclose(data.groups[0].points, trajectory.source.cells.points)
    assert np.array_equal(data.groups[0].cells["triangle"], trajectory.source.cells.blocks[0].nodes)


def test_a_collection_has_the_displacement_of_each_frame(trajectory, tmp_path):
    trajectory.save(tmp_path / "out.pvd")
    files = sorted((tmp_path / "out").iterdir())
    assert len(files) == 5 and {p.name for p in tmp_path.iterdir()} == {"out", "out.pvd"}
    last, frame = meshio.read(files[-1]), trajectory.last()
    assert np.allclose(last.points[:, :2] + last.point_data["displacement"][:, :2], frame.moved)
    trajectory.save(tmp_path / "out.pvd")  # again, over the old one
    assert len(list(tmp_path.glob("out*/*"))) == 5 and len(TrajectoryDataset.from_files(tmp_path / "out.pvd")) == 1
    for _ in range(2):
        (tmp_path / "out").mkdir(exist_ok=True)
        (tmp_path / "out" / "frame00000.vtu").write_text("thesis")  # of somebody else
        trajectory.save(tmp_path / "out.pvd")
        assert (tmp_path / "out" / "frame00000.vtu").read_text() == "thesis"
    assert len(list(tmp_path.glob("out-*/*"))) == 5
    text = (tmp_path / "out.pvd").read_text().replace("<!-- frames of meshmove", "<!-- frames of others")
    (tmp_path / "out.pvd").write_text(text)
    trajectory.save(tmp_path / "out.pvd")
    assert len(list(tmp_path.glob("out-*/*"))) == 10


def test_all_frames_become_trajectories(trajectory):
    data = trajectory.collected()
    assert isinstance(data, Trajectories) and set(data.fields) == {"u", "moved_x", "moved_y", "u_moved"}
    moved = np.stack([data.fields["moved_x"][0], data.fields["moved_y"][0]], axis=2)
    assert np.array_equal(moved, [f.moved for f in trajectory]) and set(data.boundaries) == {"left"}
    assert np.array_equal(data.fields["u_moved"][0], [f.there[:, 0] for f in trajectory])


def test_grids_for_pyvista(trajectory):
    pytest.importorskip("pyvista")
    blocks, frame = trajectory.to_pyvista(), trajectory.last()
    assert len(blocks) == 5 and blocks.get_block_name(4) == "t = 0.4"
    assert np.allclose(blocks[4]["u"], frame.values[:, 0])
    assert np.allclose(blocks[4].points[:, :2], trajectory.source.cells.points)
    moved = trajectory.to_pyvista(moved=True)
    assert np.allclose(moved[4].points[:, :2], frame.moved)
    assert np.array_equal(moved[4]["u"], frame.there[:, 0]) and np.array_equal(blocks[4]["u_moved"], moved[4]["u"])
    assert np.allclose(moved[4].points - moved[4]["displacement"], blocks[4].points)


@pytest.mark.parametrize("name", ["out.pvd", "out.npz"])
def test_nothing_half_written_stays_when_a_frame_fails(trajectory, tmp_path, name):
    def frames(mesh, values, attributes, steps):
        yield Frame(0.0, values, mesh.points)
        raise RuntimeError("the second frame")

    broken = replace(trajectory, frames=frames)
    with pytest.raises(RuntimeError, match="the second frame"):
        broken.save(tmp_path / name)
    assert not list(tmp_path.iterdir())
    trajectory.save(tmp_path / name)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*.*") if p.is_file()}
    with pytest.raises(RuntimeError):
        broken.save(tmp_path / name)  # what was there stays
    assert {p: p.read_bytes() for p in tmp_path.rglob("*.*") if p.is_file()} == before


def test_other_kinds_of_files_are_refused(trajectory, tmp_path):
    with pytest.raises(ValueError, match=r"\.pvd or \.npz file \(got 'out.vtu'\)"):
        trajectory.save(tmp_path / "out.vtu")


def test_linear_fields_are_carried_to_moved_nodes(trajectory):
    cells = trajectory.source.cells
    moved = trajectory.last().moved
    assert np.allclose(interpolated(cells, cells.points @ [[1.0], [2.0]], moved), moved @ [[1.0], [2.0]], atol=1e-9)
