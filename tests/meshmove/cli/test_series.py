"""Time series on the command line: one moving mesh through all frames, and what is said of them."""

import meshio
import numpy as np
import pytest
from typer.testing import CliRunner

from meshmove.cli.commands import app
from meshmove.meshes.series.files import read_series, write_series

TIMES = (0.0, 0.02, 0.04, 0.06)


def front(x, t):
    return np.tanh(15 * (x[0] - 0.4 - t))


def frame(t, n=12, name="u"):
    """Triangles on the unit square in space, with a front that moves, a vector, numbers and a region."""
    s = np.linspace(0, 1, n + 1)
    points = np.stack(np.meshgrid(s, s, indexing="ij"), axis=-1).reshape(-1, 2)
    a = np.arange((n + 1) ** 2).reshape(n + 1, n + 1)[:-1, :-1].ravel()
    cells = np.concatenate([np.c_[a, a + n + 1, a + n + 2], np.c_[a, a + n + 2, a + 1]])
    x = points.T
    data = {name: front(x, t), "linear": np.stack([x[0], 1 + x[1], 0 * x[0]], axis=1), "id": np.arange(len(points))}
    inside = {"material": [(points[cells].mean(axis=1)[:, 1] > 0.5).astype(np.int32)], "heat": [np.full(len(cells), t)]}
    return meshio.Mesh(np.c_[points, np.zeros(len(points))], [("triangle", cells)], data, inside)


@pytest.fixture
def run():
    def call(*words, code=0):
        result = CliRunner().invoke(app, [str(w) for w in words])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result.output

    return call


def written(folder, kind):
    if kind == "pattern":
        for k, t in enumerate(TIMES):
            frame(t).write(folder / f"run_{k + 8}.vtu")
        return folder / "run_*.vtu"
    return write_series(folder / f"run{kind}", [(t, frame(t)) for t in TIMES])


@pytest.mark.parametrize(("kind", "to"), [(".pvd", ".xdmf"), (".xdmf", ".pvd"), ("pattern", ".pvd")])
def test_all_frames_are_on_one_mesh_that_follows(run, tmp_path, kind, to):
    path, out = written(tmp_path, kind), tmp_path / f"moved{to}"
    said = run("adapt", path, "--field", "u", "-o", out, "--effort", 0.5)
    assert "frame 4 of 4" in said and f"wrote {out}" in said and "smallest volume ratio" in said
    series = read_series(out)
    assert series.times == (TIMES if kind != "pattern" else (0, 1, 2, 3))
    moved = [m.mesh for m in series]
    for before, mesh, t in zip(read_series(path), moved, TIMES, strict=True):
        assert np.array_equal(mesh.cells[0].data, before.mesh.cells[0].data)
        assert np.array_equal(mesh.point_data["id"], before.mesh.point_data["id"])
        assert np.array_equal(mesh.cell_data["heat"][0], before.mesh.cell_data["heat"][0])
        np.testing.assert_allclose(mesh.point_data["linear"][:, :2], mesh.points[:, :2] + [0, 1], atol=1e-12)
        assert np.abs(mesh.point_data["u"] - front(mesh.points.T, t)).max() < 0.2  # as the series itself knows it
    way = np.array([m.points[:, 0] for m in moved])
    assert np.abs(np.diff(way, axis=0)).max() > 0.005 and np.ptp(way, axis=0).max() < 0.12


def test_transfer_of_point_data_is_chosen(run, tmp_path):
    path, out = written(tmp_path, ".xdmf"), tmp_path / "moved.xdmf"
    run("adapt", path, "--field", "u", "-o", out, "--effort", 0.3, "--transfer", "none")
    for before, after in zip(read_series(path), read_series(out), strict=True):
        assert np.array_equal(before.mesh.point_data["u"], after.mesh.point_data["u"])
    run("adapt", path, "--field", "u", "-o", out, "--effort", 0.3, "--transfer", "conservative")

    def mass(mesh):
        p, t = mesh.points, mesh.cells[0].data
        area = 0.5 * np.abs(np.cross(p[t[:, 1]] - p[t[:, 0]], p[t[:, 2]] - p[t[:, 0]])[:, 2])
        return area @ mesh.point_data["u"][t].mean(axis=1)

    for before, after in zip(read_series(path), read_series(out), strict=True):
        assert mass(after.mesh) == pytest.approx(mass(before.mesh), abs=1e-12)


def test_a_film_of_it(run, tmp_path):
    pytest.importorskip("pyvista")
    path = written(tmp_path, ".xdmf")
    run("adapt", path, "--field", "u", "-o", tmp_path / "moved.pvd", "--effort", 0.3, "--plot", tmp_path / "film.gif")
    assert (tmp_path / "film.gif").stat().st_size > 20_000


def test_what_is_said_of_a_series(run, tmp_path):
    path = written(tmp_path, ".pvd")
    said = run("info", path)
    assert "4 frames, times 0 to 0.06, 0.02 apart" in said
    assert "u, all frames" in said and "288 triangle" in said and "first frame" in said
    frames = [(0.0, frame(0)), (1.0, frame(0)), (3.0, frame(0, n=6))]
    frames[1][1].point_data["u"][3] = np.nan
    said = run("info", write_series(tmp_path / "b.xdmf", frames))
    assert "1 to 2 apart" in said and "others from frame 2 on" in said and "1 values in all frames" in said


@pytest.mark.parametrize(
    ("frames", "field", "out", "message"),
    [
        ([frame(0), frame(0.1, name="v")], "u", "a.pvd", "frame 1 .*'u'"),
        ([frame(0), frame(0.1, n=6)], "u", "a.pvd", "frame 1 .*cells of the first frame"),
        ([frame(0), frame(np.nan)], "u", "a.pvd", "frame 1 .*NaN"),
        ([frame(0), frame(0.1)], "w", "a.pvd", "frame 0 .*'w'"),
        ([frame(0), frame(0.1)], "u", "a.vtu", ".xdmf or .xmf file for a time series"),
        ([frame(0), frame(0.1)], "u", "no/a.pvd", "folder that exists"),
    ],
)
def test_what_cannot_be_followed_leaves_nothing(run, tmp_path, frames, field, out, message):
    import re

    path = write_series(tmp_path / "run.xdmf", [(0.1 * k, m) for k, m in enumerate(frames)])
    said = run("adapt", path, "--field", field, "-o", tmp_path / out, "--effort", 0.3, code=1)
    assert re.search(message, " ".join(said.split()))
    assert {p.name for p in tmp_path.iterdir()} == {"run.xdmf", "run.h5"}


@pytest.mark.parametrize("command", [["adapt", "-o", "moved.pvd", "--field", "u"], ["info"]])
def test_files_in_the_place_of_a_pattern_are_told_from_it(run, tmp_path, command):
    found = run(command[0], *(tmp_path / f"run_{k}.vtu" for k in range(3)), *command[1:], code=1)
    assert f"'{tmp_path / 'run_*.vtu'}', with the quotation marks" in " ".join(found.split())


def test_a_film_of_another_kind_is_refused_first(run, tmp_path):
    path = written(tmp_path, ".xdmf")
    said = run("adapt", path, "--field", "u", "-o", tmp_path / "a.pvd", "--plot", tmp_path / "a.png", code=1)
    assert ".gif, .mp4 or .html" in " ".join(said.split()) and not (tmp_path / "a.pvd").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "'run.pvd', which does not exist"), ("<VTKFile><Coll", "a PVD collection in 'run.pvd'")],
)
def test_a_collection_that_cannot_be_read_is_named_and_not_the_output(run, tmp_path, monkeypatch, text, message):
    monkeypatch.chdir(tmp_path)
    if text is not None:
        (tmp_path / "run.pvd").write_text(text)
    said = run("adapt", "run.pvd", "--field", "u", "-o", "moved.pvd", code=1)
    assert message in " ".join(said.split())


def test_a_single_frame_is_a_series_where_a_collection_is_wanted(run, tmp_path):
    path = write_series(tmp_path / "run.pvd", [(0.5, frame(0.5))])
    run("adapt", path, "--field", "u", "-o", tmp_path / "moved.pvd", "--effort", 0.5)
    assert read_series(tmp_path / "moved.pvd").times == (0.5,)
