"""`meshmove train mmpde`, run as a user runs it, with a configuration that takes a second."""

import meshio
import numpy as np
import pytest
import skfem
from typer.testing import CliRunner

import meshmove
from meshmove.cli.commands import app
from meshmove.solvers import MMPDE
from meshmove.solvers.mmpde import CONFIGS
from tests.solvers.mmpde.cases import TINY, burgers


@pytest.fixture(autouse=True)
def tiny(monkeypatch, tmp_path):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setitem(CONFIGS, "small", TINY)
    for seed in (0, 1):
        burgers(2, seed=seed).save(tmp_path / f"run{seed}.npz")


def call(*words):
    return CliRunner().invoke(app, ["train", "mmpde", "--accelerator", "cpu", *map(str, words)])


def test_the_command_trains_on_files_and_goes_on(tmp_path):
    words = ("--data", tmp_path / "run*.npz", "-o", tmp_path / "out", "--steps", 2, "--moving")
    result = call(*words)
    assert result.exit_code == 0, result.output
    assert "step      2" in result.output and "error of a bundle" in result.output
    assert "best.safetensors" in result.output and (tmp_path / "out" / "log.csv").is_file()
    model = MMPDE.from_pretrained(tmp_path / "out" / "best.safetensors")
    assert model.settings.attributes == ("viscosity",) and len(list((tmp_path / "out" / "moved").iterdir())) == 4
    again = call(*words)
    assert again.exit_code == 0 and "step" not in again.output.split("wrote")[0]
    other = call(*words, "--seed", 5)
    assert other.exit_code == 1 and "another folder" in other.output
    assert call(*words[:2], "-o", tmp_path / "one", "--steps", 2).exit_code == 0
    assert not MMPDE.from_pretrained(tmp_path / "one" / "best.safetensors").settings.moving


def test_the_model_may_work_on_a_coarser_mesh(tmp_path):
    mesh = skfem.MeshTri.init_tensor(*[np.linspace(0, 1, 5)] * 2)
    meshmove.save(meshio.Mesh(mesh.p.T, [("triangle", mesh.t.T)]), tmp_path / "coarse.vtu")
    words = ("--data", tmp_path / "run*.npz", "-o", tmp_path / "out", "--steps", 2)
    result = call(*words, "--mesh", tmp_path / "coarse.vtu", "--moving")
    assert result.exit_code == 0, result.output
    model = MMPDE.from_pretrained(tmp_path / "out" / "best.safetensors")
    assert float(model.unit) == pytest.approx(np.mean([1 / 4, 1 / 4, 2**0.5 / 4]), rel=0.1)
    assert model.settings.boundaries == ("bottom", "left", "right", "top")  # by where they are in the data
    missing = call(*words, "--mesh", tmp_path / "nowhere.vtu")
    assert missing.exit_code == 1 and "nowhere.vtu" in missing.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--data", "nowhere/*.npz"), "no such file"),
        (("--data", "run0.npz", "--config", "huge"), "--config full (got --config huge)"),
        (("--data", "damaged.npz"), "damaged.npz"),
        (("--data", "short.npz"), "at least 3 frames"),
    ],
)
def test_what_cannot_be_trained_on_is_one_line(tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "damaged.npz").write_bytes((tmp_path / "run0.npz").read_bytes()[:3000])
    burgers(2, frames=2).save(tmp_path / "short.npz")
    result = call(*words, "-o", "out")
    assert result.exit_code == 1 and message in result.stderr.replace("\n", " ") and "Traceback" not in result.output
    assert not (tmp_path / "out").exists()


def test_data_must_be_named():
    result = call()
    assert result.exit_code == 2 and "--data" in result.stderr


def test_not_finite_values_are_named(tmp_path):
    with np.load(tmp_path / "run0.npz") as file:
        entries = dict(file)
    entries["fields/u"][1, 3, 5] = np.nan
    np.savez(tmp_path / "bad.npz", **entries)
    result = call("--data", tmp_path / "bad.npz", "-o", tmp_path / "out")
    assert result.exit_code == 1 and "trajectory 1, frame 3" in result.stderr and "bad.npz" in result.stderr
