"""Films: a frame a step, colours that mean the same in all of them, edges that fade, whole files or none."""

import html.parser
import json
import os
import re
import shutil
import subprocess
import sys

import meshio
import numpy as np
import pytest
import skfem

import meshmove
from meshmove import FieldError, MeshFileError, MovingMesh
from meshmove.meshes.series.files import read_series

pyvista = pytest.importorskip("pyvista")
pytest.importorskip("PIL")

from PIL import Image  # noqa: E402

from meshmove.optional import MissingPackageError  # noqa: E402
from meshmove.plugins.pictures import film_files  # noqa: E402
from meshmove.plugins.pictures.films import viewer  # noqa: E402
from meshmove.plugins.pictures.screen import Look, Screen  # noqa: E402
from meshmove.plugins.pictures.stills import limits_of, stills_of, times_of  # noqa: E402

SMALL = {"size": 120}


def front(t):
    return lambda x: np.tanh(12 * (x[0] - 0.3 - t))


def frames(count=3, n=3):
    """Meshes that shear, with a front that goes through them."""
    mesh = skfem.MeshTri().refined(n)
    moved = [mesh.translated(np.stack([0.1 * k * mesh.p[1], 0 * mesh.p[0]])) for k in range(count)]
    return [(m, front(0.2 * k), 0.5 * k) for k, m in enumerate(moved)]


def pictures(path):
    with Image.open(path) as film:
        out = []
        for k in range(film.n_frames):
            film.seek(k)
            out.append(np.asarray(film.convert("RGB")).astype(int))
        return film.info["duration"], np.array(out)


def test_a_loop_is_recorded_step_by_step(tmp_path):
    moving = MovingMesh(skfem.MeshTri().refined(3))
    with moving.record(tmp_path / "deep" / "run.xdmf") as film:
        moving.start(front(0))  # no step of time: no frame
        before, given = [], []
        for k in range(4):
            u = front(0.02 * k)(moving.mesh.p)
            before.append(moving.mesh.p), given.append(u)
            moving.step(u, 0.02)
        film.add(front(0.08))
        before.append(moving.mesh.p), given.append(front(0.08)(moving.mesh.p))
        assert not list((tmp_path / "deep").iterdir())  # nothing is written yet
    assert not moving.watchers
    series = read_series(tmp_path / "deep" / "run.xdmf")
    assert np.allclose(series.times, 0.02 * np.arange(5), rtol=0, atol=1e-15)
    for moment, p, u in zip(series, before, given, strict=True):
        assert np.array_equal(moment.mesh.points.T, p) and np.array_equal(moment.mesh.point_data["field"], u)
    assert np.ptp(before, axis=0).max() > 0


def test_which_of_several_fields_is_shown(tmp_path):
    moving = MovingMesh(skfem.MeshTri().refined(2))
    p = moving.mesh.p
    vector = skfem.Basis(moving.mesh, skfem.ElementVector(skfem.ElementTriP1()))
    dofs = vector.project(lambda x: np.stack([3 + 0 * x[0], 4 + 0 * x[0]]))
    with moving.record(tmp_path / "a.pvd", field="v") as film:
        moving.step({"u": p[0], "v": (vector, dofs)}, 0.1)
    assert film.stills[0].name == "v" and np.allclose(film.stills[0].shown, 5)
    mesh = next(iter(read_series(tmp_path / "a.pvd"))).mesh
    assert np.allclose(mesh.point_data["v"], [3, 4, 0]) and np.array_equal(mesh.point_data["u"], p[0])
    with pytest.raises(FieldError, match=r"which field to show \(got 'w'; there is: 'u', 'v'\)"):
        with moving.record(tmp_path / "b.pvd", field="w"):
            moving.step({"u": p[0], "v": (vector, dofs)}, 0.1)
    assert not (tmp_path / "b.pvd").exists() and not moving.watchers


def test_every_so_many_steps_make_a_frame(tmp_path):
    moving = MovingMesh(skfem.MeshTri().refined(2))
    with moving.record(tmp_path / "a.pvd", every=3):
        for k in range(7):
            moving.step(front(0.01 * k), 0.5)
    assert read_series(tmp_path / "a.pvd").times == (0, 1.5, 3)
    with pytest.raises(ValueError, match="steps between frames"):
        moving.record(tmp_path / "a.pvd", every=0)
    with pytest.raises(TypeError, match=r"Expected frames .*got NoneType"):
        meshmove.animate(None, tmp_path / "b.gif")


def test_a_loop_that_fails_leaves_what_was_there(tmp_path):
    (tmp_path / "a.gif").write_bytes(b"old")
    moving = MovingMesh(skfem.MeshTri().refined(2))
    with pytest.raises(RuntimeError), moving.record(tmp_path / "a.gif"):
        moving.step(front(0), 0.1)
        raise RuntimeError
    assert (tmp_path / "a.gif").read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1


def test_colours_mean_the_same_in_all_frames_and_the_domain_moves(tmp_path):
    path = meshmove.animate(frames(), tmp_path / "a.gif", size=160, edges=False, frames_per_second=4)
    duration, found = pictures(path)
    assert duration == 250 and len(found) == 3 and [p.name for p in tmp_path.iterdir()] == ["a.gif"]
    bars = found[:, -30:]
    assert (bars == bars[0]).all() and bars.std() > 20
    titles = found[:, :40]
    assert (titles[0] != titles[1]).any()  # the time stamp
    body = found[:, 48:-76]
    assert [np.abs(body[k] - body[0]).max() > 20 for k in range(3)] == [False, True, True]


def test_edges_fade_where_cells_are_a_few_pixels_wide():
    x = np.concatenate([np.linspace(0, 0.1, 41), np.linspace(0.1, 1, 4)[1:]])
    mesh = skfem.MeshQuad.init_tensor(x, x)
    screen = Screen(stills_of([(mesh, None, 0)]), Look(size=160))
    screen.image(0)
    alpha = np.asarray(screen._skin.edges["rgba"])[:, 3]
    middle = np.asarray(screen._skin.edges.cell_centers().points)
    fine, coarse = (middle[:, :2] < 0.09).all(axis=1), (middle[:, :2] > 0.15).all(axis=1)
    screen.close()
    assert fine.sum() > 2000 and (alpha[fine] == 0).all() and (alpha[coarse] > 180).all()


def test_every_kind_of_mesh_is_drawn():
    cases = [
        (skfem.MeshTet().refined(2), None),
        (skfem.MeshHex().refined(2), lambda x: x[0]),
        (skfem.MeshTri2.from_mesh(skfem.MeshTri().refined(2)), lambda x: x[0]),
        (meshio.Mesh(np.eye(3), [("triangle", [[0, 1, 2]])], {"T": np.arange(3.0)}), "T"),
    ]
    for mesh, field in cases:
        screen = Screen(stills_of([(mesh, field, 0.0)]), Look(size=100))
        picture = screen.image(0)
        screen.close()
        assert picture.shape[0] % 16 == picture.shape[1] % 16 == 0 and picture[48:-76].std() > 5


def test_cells_may_change_from_frame_to_frame():
    mesh = skfem.MeshTri().refined(2)
    shown = stills_of([(mesh, front(0), 0), (mesh.refined(), front(0), 1), (mesh.refined(), front(0.3), 2)])
    screen = Screen(shown, Look(size=120, edges=False))
    one, two, three = (screen.image(k)[48:-76].astype(int) for k in range(3))
    screen.close()
    assert np.abs(one - two).mean() < 12 < np.abs(three - two).mean()


def test_frames_with_and_without_a_field_may_follow_one_another():
    mesh = skfem.MeshTri().refined(2)

    def drawn(fields):
        screen = Screen(stills_of([(mesh, f, 0) for f in fields]), Look(size=120, edges=False))
        pictures = [screen.image(k).astype(int) for k in range(len(fields))]
        screen.close()
        return pictures

    (bare,), (coloured,) = drawn([None]), drawn([front(0)])
    for fields in ([None, front(0), None], [front(0), None, front(0)]):
        for field, picture in zip(fields, drawn(fields), strict=True):
            assert np.array_equal(picture[48:-76], (coloured if field else bare)[48:-76])
            assert np.array_equal(picture[-76:], coloured[-76:])  # the bar is in all frames


def square(x):
    return x[0] ** 2 + x[1]


@pytest.mark.parametrize("kind", [".pvd", ".xdmf"])
def test_second_order_cells_stay_so_in_a_series_with_values_at_all_nodes(tmp_path, kind):
    mesh = skfem.MeshTri2.init_circle(1)
    moving = MovingMesh(mesh)
    basis = skfem.Basis(mesh, skfem.ElementTriP2())
    with moving.record(tmp_path / f"a{kind}", field="f") as film:
        x = mesh.doflocs
        pair = (basis, square(basis.doflocs))
        moving.step({"f": square, "nodal": square(x), "vertices": x[0, : mesh.nvertices], "pair": pair}, 0.1)
        film.add({"f": square})
    first, last = (m.mesh for m in read_series(tmp_path / f"a{kind}"))
    assert np.array_equal(first.points[:, :2], x.T) and first.cells[0].type == last.cells[0].type == "triangle6"
    assert np.array_equal(first.cells[0].data, np.vstack([mesh.t, mesh.dofs.facet_dofs[:, mesh.t2f][0]]).T)
    for mesh, name in ((first, "f"), (first, "nodal"), (first, "pair"), (last, "f")):
        assert np.allclose(mesh.point_data[name], square(mesh.points.T), rtol=0, atol=1e-14)
    ends = first.points[first.cells[0].data[:, [[0, 1], [1, 2], [2, 0]]], 0].mean(axis=2)
    assert np.allclose(first.point_data["vertices"][first.cells[0].data[:, 3:]], ends, rtol=0, atol=1e-14)


@pytest.mark.parametrize("kind", [".pvd", ".xdmf"])
def test_a_series_has_one_frame_a_time_the_last_and_in_order(tmp_path, kind):
    moving = MovingMesh(skfem.MeshTri().refined(1))
    with moving.record(tmp_path / f"a{kind}") as film:
        for k in range(3):
            moving.step(lambda x: x[0], 0.5)
            film.add(lambda x, k=k: 0 * x[0] + k)  # at the time at which the next step begins
        film.add(lambda x: 0 * x[0] - 1, time=0.25)
    series = read_series(tmp_path / f"a{kind}")
    assert series.times == (0.0, 0.25, 0.5, 1.0, 1.5)
    values = [m.mesh.point_data["field"] for m in series]
    assert (values[1] == -1).all() and (values[4] == 2).all() and np.ptp(values[2]) == 1


def test_limits_and_times():
    shown = stills_of([(m, lambda x, k=k: 0.987 * x[0] - k, t) for k, (m, _, t) in enumerate(frames())])
    low, high = limits_of(shown)
    assert low <= -2 and high >= 0.987 and high - low < 3.3
    assert times_of(shown) == ["t = 0.0", "t = 0.5", "t = 1.0"]
    assert limits_of(stills_of([(frames()[0][0], lambda x: 0 * x[0] + 3)])) == (2.5, 3.5)


def test_a_film_for_players(tmp_path):
    pytest.importorskip("imageio_ffmpeg")
    import imageio.v2 as imageio

    path = meshmove.animate(frames(), tmp_path / "a.mp4", **SMALL)
    with imageio.get_reader(path) as film:
        assert film.count_frames() == 3 and all(n % 16 == 0 for n in film.get_meta_data()["size"])


def test_a_page_holds_all_frames(tmp_path):
    path = meshmove.animate(frames(), tmp_path / "a.html", **SMALL)
    text = path.read_text()
    listed = json.loads(re.search(r"frames = (\[.*?\n\]);", text, re.DOTALL)[1])
    assert [time for time, _ in listed] == ["t = 0.0", "t = 0.5", "t = 1.0"]
    html.parser.HTMLParser().feed(text)
    assert "http" not in text.replace("http-equiv", "")  # it needs nothing from elsewhere


def test_a_browser_shows_the_page(tmp_path):
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium here")
    path = meshmove.animate(frames(), tmp_path / "a.html", **SMALL)
    text = path.read_text()
    path.write_text(text.replace("show(0);", 'show(0); slider.value = 2; slider.dispatchEvent(new Event("input"));'))
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    done = subprocess.run([*command, "--dump-dom", path.as_uri()], capture_output=True, text=True, timeout=120)
    last = json.loads(re.search(r"frames = (\[.*?\n\]);", text, re.DOTALL)[1])[2][1]
    assert 'data-frames="3"' in done.stdout and f'src="data:image/png;base64,{last}"' in done.stdout
    assert 'max="2"' in done.stdout


def test_a_window_has_a_slider():
    plotter = viewer(stills_of(frames()), Look(size=120), off_screen=True)
    slider = getattr(plotter, "widgets", plotter).slider_widgets[0]
    plotter.show(auto_close=False)
    before = plotter.screenshot(return_img=True).astype(int)
    slider.GetRepresentation().SetValue(2)
    slider.InvokeEvent("InteractionEvent")
    plotter.render()
    assert slider.GetRepresentation().GetMaximumValue() == 2
    assert np.abs(plotter.screenshot(return_img=True)[60:-76].astype(int) - before[60:-76]).max() > 20
    plotter.close()


# -- bad input ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "name", "extra"),
    [
        ("imageio_ffmpeg", "a.mp4", "video"),
        ("imageio.v2", "a.mp4", "video"),
        ("matplotlib", "a.mp4", "video"),  # which brings it, too
        ("matplotlib", "a.gif", "pyvista"),
        ("PIL.Image", "a.html", "pyvista"),
        ("pyvista", "a.html", "pyvista"),
    ],
)
def test_a_package_that_is_missing_is_said_before_the_loop(tmp_path, monkeypatch, module, name, extra):
    monkeypatch.setitem(sys.modules, module, None)  # as if it were not installed
    moving = MovingMesh(skfem.MeshTri().refined(1))
    with pytest.raises(MissingPackageError, match=rf"{module}.*meshmove\[{extra}\]"):
        moving.record(tmp_path / name)


def test_a_folder_that_cannot_be_written_is_said_before_the_loop(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    moving = MovingMesh(skfem.MeshTri().refined(1))
    with pytest.raises(MeshFileError, match="folder that can be made .*file"):
        moving.record(tmp_path / "file" / "a.gif")
    with pytest.raises(MeshFileError, match="which is a folder"):
        (tmp_path / "b.gif").mkdir()
        moving.record(tmp_path / "b.gif")
    monkeypatch.setattr(film_files, "unwritable", lambda _: "Permission denied")  # root may write everywhere
    with pytest.raises(MeshFileError, match="folder that can be written"):
        meshmove.animate(frames(), tmp_path / "a.gif")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda p: meshmove.animate(frames(), p / "a.avi"), ValueError, r"\.gif, \.mp4, .*got 'a.avi'"),
        (lambda p: meshmove.animate(frames()), ValueError, "show=True"),
        (lambda p: meshmove.animate([], p / "a.gif"), ValueError, "at least one frame"),
        (lambda p: meshmove.animate([1], p / "a.gif"), ValueError, r"\(mesh, field, time\) \(got int as frame 0"),
        (lambda p: meshmove.animate([(*frames()[0][:2], "x")], p / "a.gif"), ValueError, "a time of frame 0"),
        (lambda p: meshmove.animate(frames(), p / "a.gif", colour="jet"), ValueError, "options of a film"),
        (lambda p: meshmove.animate(frames(), p / "a.gif", size=-1), ValueError, "positive size"),
        (lambda p: meshmove.animate(frames(), p / "a.gif", clim=(1, 0)), ValueError, r"smaller one first \(got \(1, 0"),
        (lambda p: meshmove.animate(frames(), p / "a.gif", clim=(0, np.nan)), ValueError, "two numbers"),
        (lambda p: MovingMesh(skfem.MeshTri()).record(p / "a.gif", clim="x"), ValueError, "two numbers"),
        (lambda p: MovingMesh(skfem.MeshTri()).record(p / "a.gif", cmap="virids"), ValueError, "mean 'viridis'"),
        (lambda p: meshmove.animate(frames(), p / "a.gif", frames_per_second=-1), ValueError, "frames a second"),
        (lambda p: meshmove.animate(frames(), p / "a.gif", exact=1), ValueError, "a rollout to compare"),
        (
            lambda p: meshmove.animate([frames()[0], (skfem.MeshTet(), None)], p / "a.gif"),
            ValueError,
            "a 2-D mesh as frame 0, a 3-D one as frame 1",
        ),
        (lambda p: meshmove.animate([frames()[0], (frames()[0][0], [1.0])], p / "a.gif"), FieldError, "In frame 1"),
    ],
)
def test_bad_input(tmp_path, call, error, message):
    with pytest.raises(error, match=message):
        call(tmp_path)
    assert not list(tmp_path.iterdir())


def test_nothing_stays_where_writing_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(film_files, "_gif", lambda path, *_: path.write_bytes(b"half") / 0)
    with pytest.raises(ZeroDivisionError):
        meshmove.animate(frames(), tmp_path / "a.gif", **SMALL)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs a folder that takes no files even from root")
def test_a_folder_that_takes_no_files_is_told_before_the_loop():
    moving = meshmove.MovingMesh(skfem.MeshTri().refined(2))
    with pytest.raises(MeshFileError, match="can be written"), moving.record("/proc/film.gif"):
        raise AssertionError("the loop began")
