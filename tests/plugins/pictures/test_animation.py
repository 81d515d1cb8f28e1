"""Animations: all frames, whole or not at all, in two dimensions and in three."""

from dataclasses import replace

import numpy as np
import pytest
import skfem

from tests.solvers.mmpde.cases import burgers, front, model_of

pytest.importorskip("pyvista")
pytest.importorskip("PIL")

from PIL import Image  # noqa: E402

from meshmove.geometry import FieldError  # noqa: E402
from meshmove.optional import MissingPackageError  # noqa: E402
from meshmove.plugins import animate  # noqa: E402
from meshmove.plugins.pictures.animation import truth_of  # noqa: E402
from meshmove.solvers.mmpde import Frame  # noqa: E402

NU = {"viscosity": 0.01}


@pytest.fixture(scope="module")
def data():
    return burgers(1, frames=4)


@pytest.fixture(scope="module")
def trajectory(data):
    return model_of().rollout(data.mesh, data.fields["u"][0, 0], 3, attributes=NU)


def drawn(path):
    with Image.open(path) as film:
        frames = []
        for k in range(film.n_frames):
            film.seek(k)
            frames.append(np.asarray(film.convert("RGB")).astype(int))
        return film.info["duration"], np.array(frames)


def test_an_animation_has_a_picture_for_each_frame(trajectory, data, tmp_path):
    path = trajectory.animate(tmp_path / "deep" / "out.gif", exact=data, size=120, frames_per_second=4)
    duration, frames = drawn(path)
    assert [p.name for p in path.parent.iterdir()] == ["out.gif"]
    assert duration == 250 and len(frames) == 4 and frames.shape[2] == 4 * 240
    panels = np.split(frames, 4, axis=2)
    assert all(p.std() > 5 for p in panels)
    rollout, truth, error, moving = panels
    middle = slice(50, 160)  # below titles, above bars
    assert np.abs(rollout[0, middle] - truth[0, middle]).max() < 10  # one start, one range of colours
    assert error[0, middle, 100:140].max() < 20 < error[3, middle, 100:140].max()
    assert np.abs(rollout[3, middle] - rollout[0, middle]).max() > 5
    assert np.abs(moving[3, middle] - moving[0, middle]).max() > 5
    bars = frames[:, -60:]
    assert np.abs(bars - bars[0]).max() == 0  # the colours mean the same in all frames


def test_panels_can_be_left_out_and_volumes_are_cut(tmp_path):
    mesh = skfem.MeshTet.init_tensor(*[np.linspace(0, 1, 4)] * 3)
    model = model_of(dim=3, attributes=(), boundaries=(), neighbours=8)
    model.seen = None  # what it was calibrated on is plane
    trajectory = model.rollout(mesh, front, 1)
    assert drawn(animate(trajectory, tmp_path / "a.gif", size=100, mesh=False))[1].shape[2] == 240
    assert drawn(animate(trajectory, tmp_path / "b.gif", size=100))[1].shape[2] == 480


def test_truths_of_all_kinds(trajectory, data):
    u = data.fields["u"][0]
    assert np.allclose(truth_of(trajectory, "u", data), u)
    assert np.allclose(truth_of(trajectory, "u", np.concatenate([u, u])), u)  # more frames than are needed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: np.asarray(data.fields["u"][0])[:3], r"shape \(4, nodes\) \(got shape \(3, 81\)\)"),
        (lambda data: np.asarray(data.fields["u"][0])[:, 1:], "exact"),
        (lambda data: np.full((4, 81), np.nan), "finite"),
        (lambda data: 1.0, "shape"),
        (lambda data: data.with_fields({"v": data.fields["u"]}), r"the field 'u' \(got v\)"),
        (lambda data: replace(data, times=2 * data.times), r"frames 0\.1 apart \(got 0\.2\)"),
        (lambda data: burgers(1, cells=6, frames=4), r"81 vertices of the mesh \(got 49 nodes\)"),
    ],
)
def test_what_cannot_be_compared_with_is_refused(trajectory, data, tmp_path, change, message):
    with pytest.raises(FieldError, match=message):
        animate(trajectory, tmp_path / "a.gif", exact=change(data))
    assert not list(tmp_path.iterdir())


def test_other_bad_input(trajectory, tmp_path):
    with pytest.raises(FieldError, match=r"one of the fields u \(got 'v'\)"):
        animate(trajectory, tmp_path / "a.gif", "v")
    with pytest.raises(ValueError, match=r"\.gif, \.mp4 or \.html file \(got 'a.avi'\)"):
        animate(trajectory, tmp_path / "a.avi")
    with pytest.raises(ValueError, match="positive speed and size"):
        animate(trajectory, tmp_path / "a.gif", frames_per_second=0)
    assert not list(tmp_path.iterdir())


def test_nothing_stays_when_a_frame_fails(trajectory, tmp_path):
    passes = []

    def frames(mesh, values, attributes, steps):
        passes.append(1)
        yield Frame(0.0, values, mesh.points)
        if len(passes) > 1:
            raise RuntimeError("the second frame")

    with pytest.raises(RuntimeError, match="the second frame"):
        animate(replace(trajectory, frames=frames), tmp_path / "a.gif", size=100)
    assert not list(tmp_path.iterdir())


def test_films(trajectory, tmp_path):
    try:
        import imageio_ffmpeg  # noqa: F401
    except ImportError:
        with pytest.raises(MissingPackageError, match="imageio_ffmpeg"):
            animate(trajectory, tmp_path / "a.mp4")
        assert not list(tmp_path.iterdir())
    else:
        assert animate(trajectory, tmp_path / "a.mp4", size=100).stat().st_size > 2000
