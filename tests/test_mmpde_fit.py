"""Training of the time stepper: resumable to the bit, the same on one process and on two, with clear errors."""

import csv
import itertools
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from mmpde_cases import TINY, burgers, dataset

from meshmove.neural.weights import WeightsError, read_weights
from meshmove.solvers.data import DatasetError
from meshmove.solvers.mmpde import CONFIGS, MMPDE, fit
from meshmove.solvers.mmpde.fit import Config


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    """No word of Fabric's about how many cores there are."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Moved meshes are the same in all runs."""
    return tmp_path_factory.mktemp("moved")


def run(config, folder, cache, upto=None, data=None, **options):
    generator = fit(config, folder, data=data or dataset(), cache=cache, accelerator="cpu", **options)
    rows = list(itertools.islice(generator, upto))
    generator.close()
    return rows


def tensors(folder):
    return read_weights(Path(folder) / "checkpoint.safetensors", "mmpde-checkpoint")[1]


def table(folder):
    return list(csv.DictReader((folder / "log.csv").read_text().splitlines()))


def changed(**settings):
    return replace(TINY, settings=replace(TINY.settings, **settings))


@pytest.fixture(scope="module")
def whole(tmp_path_factory, cache):
    folder = tmp_path_factory.mktemp("whole")
    return folder, run(TINY, folder, cache)


def test_a_run_leaves_a_model_and_a_log(whole):
    folder, rows = whole
    assert [r.step for r in rows] == [0, 2, 4] and rows[0].best
    assert [float(r["error"]) for r in table(folder)] == [r.error for r in rows]
    model = MMPDE.from_pretrained(folder / "best.safetensors")
    assert model.settings == TINY.of(dataset()).settings
    assert model.settings.boundaries == ("bottom", "left", "right", "top")
    assert model.settings.attributes == ("viscosity",)
    assert float(model.step) == pytest.approx(0.1) and 0 < rows[0].interpolation < 1


@pytest.mark.parametrize("upto", [1, 2])
def test_a_resumed_run_equals_an_uninterrupted_one_to_the_bit(whole, tmp_path, cache, upto):
    folder, rows = whole
    rest = run(TINY, tmp_path, cache, upto)[1:] + run(TINY, tmp_path, cache)
    assert [replace(r, seconds=0) for r in rest] == [replace(r, seconds=0) for r in rows[1:]]
    ours, theirs = tensors(tmp_path), tensors(folder)
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[k], theirs[k]) for k in ours)
    assert run(TINY, tmp_path, cache) == []  # it is at its end


def test_interruption_within_unrolling_and_noise_changes_nothing_either(tmp_path, cache):
    config = replace(TINY, unroll=2, noise=0.01, pushforward=0.25)
    rows = run(config, tmp_path / "a", cache)
    rest = run(config, tmp_path / "b", cache, 2)[1:] + run(config, tmp_path / "b", cache)
    assert [replace(r, seconds=0) for r in rest] == [replace(r, seconds=0) for r in rows[1:]]
    assert rows[-1].rollout != rows[-1].error


SCRIPT = """
import sys, warnings
warnings.simplefilter("ignore")
import torch
torch.set_num_threads(1)
from mmpde_cases import TINY, dataset
from meshmove.solvers.mmpde import fit
if __name__ == "__main__":
    for row in fit(TINY, sys.argv[1], data=dataset(), devices=2, accelerator="cpu"):
        pass
"""


def test_two_processes_train_as_one_with_the_whole_batch(whole, tmp_path):
    script, here = tmp_path / "train.py", Path(__file__).parent
    script.write_text(SCRIPT)
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "COV"))}
    environment = keep | {"PYTHONPATH": str(here), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    command = [sys.executable, str(script), str(tmp_path / "run")]
    done = subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    for name, ours in tensors(whole[0]).items():
        # the last bias of an interpolation's network starts without a gradient: all weights grow alike
        if not name.startswith("optimizer") and not name.endswith("net.4.bias"):
            gap = (tensors(tmp_path / "run")[name] - ours).abs()
            # Adam turns the rounding of a vanishing gradient into a step; of a few weights in a thousand
            assert float(gap.max()) < 5e-3 and float((gap > 2e-4).double().mean()) < 2e-2, name
    for a, b in zip(table(whole[0]), table(tmp_path / "run"), strict=True):
        assert float(a["train_loss"]) == pytest.approx(float(b["train_loss"]), rel=1e-3, nan_ok=True)


def test_the_loss_falls_on_the_data_that_it_is_trained_on(tmp_path, cache):
    data = dataset(burgers(2))
    config = replace(TINY, steps=60, batch=4, learning_rate=1e-2, pretrain=0.1, validate_every=30)
    rows = run(config, tmp_path, cache, data=data, validation=data)
    assert rows[-1].error < 0.6 * rows[0].error and rows[-1].train_loss < rows[1].train_loss
    assert MMPDE.from_pretrained(tmp_path / "best.safetensors").settings.fields == ("u",)


def test_at_first_only_the_interpolation_learns(tmp_path, cache):
    folder = tmp_path / "run"
    rows = run(replace(TINY, pretrain=1.0, learning_rate=1e-2, steps=12, validate_every=12, decay=0.0), folder, cache)
    state, start = tensors(folder), MMPDE.from_pretrained(folder / "best.safetensors")
    assert rows[0].best and rows[-1].interpolation < rows[0].interpolation
    assert torch.equal(state["model.still.encode.0.weight"], start.still.encode[0].weight)


@pytest.mark.parametrize("parts", [{"moving": False}, {"learned": False}, {"cut": False}], ids=str)
def test_models_without_a_part_train(parts, tmp_path, cache):
    rows = run(replace(changed(**parts), steps=2), tmp_path, cache)
    assert np.isfinite([r.error for r in rows]).all()
    assert (rows[0].interpolation == 0) == ("moving" in parts)


def test_meshes_may_differ(tmp_path, cache):
    data = dataset(burgers(2), burgers(2, cells=6), burgers(2, cells=5, frames=7))
    rows = run(replace(TINY, unroll=2, batch=3), tmp_path, cache, data=data)
    assert np.isfinite([r.rollout for r in rows]).all()


def test_a_model_is_fitted_in_place(tmp_path, cache):
    data = dataset()
    model = MMPDE(TINY.of(data).settings)
    assert model.fit(data, tmp_path, config=TINY, cache=cache, accelerator="cpu") is model
    best = MMPDE.from_pretrained(tmp_path / "best.safetensors")
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), best.parameters(), strict=True))
    assert float(model.step) == float(best.step)


def test_a_truncated_checkpoint_is_named(whole, tmp_path, cache):
    run(TINY, tmp_path, cache, 1)
    file = tmp_path / "checkpoint.safetensors"
    file.write_bytes(file.read_bytes()[:-500])
    with pytest.raises(WeightsError, match="checkpoint.safetensors"):
        run(TINY, tmp_path, cache)


def test_training_goes_on_from_a_model_on_other_data(whole, tmp_path, cache):
    trained = MMPDE.from_pretrained(whole[0] / "best.safetensors")
    rows = run(TINY, tmp_path / "more", cache, data=dataset(burgers(seed=5)), start=trained)
    fresh = run(TINY, tmp_path / "fresh", cache, data=dataset(burgers(seed=5)))
    assert rows[0].error != fresh[0].error
    model = MMPDE.from_pretrained(tmp_path / "more" / "best.safetensors")
    assert torch.equal(model.mean, trained.mean) and torch.equal(model.unit, trained.unit)
    other = MMPDE(replace(trained.settings, width=12))
    with pytest.raises(ValueError, match=r"start from a model of .*width=8.*width=12"):
        run(TINY, tmp_path / "other", cache, start=other)


def test_no_more_is_unrolled_than_trajectories_reach(tmp_path, cache):
    long, short = (run(replace(TINY, unroll=k, pushforward=0.0), tmp_path / str(k), cache) for k in (9, 2))
    assert [r.train_loss for r in long[1:]] == [r.train_loss for r in short[1:]]  # 6 frames: two bundles of two
    assert long[-1].rollout == short[-1].rollout != long[-1].error


def test_what_cannot_be_trained_is_refused(whole, tmp_path, cache):
    with pytest.raises(ValueError, match="checkpoint of this configuration.*another folder"):
        run(replace(TINY, seed=3), whole[0], cache)
    with pytest.raises(DatasetError, match="at least 3 frames.*bundles of 2"):
        run(TINY, tmp_path, cache, data=dataset(burgers(frames=2)))
    with pytest.raises(DatasetError, match="at least two trajectories"):
        run(TINY, tmp_path, cache, data=dataset(burgers(1)))
    assert not list(tmp_path.iterdir())


def test_configurations_take_names_from_the_data():
    config = CONFIGS["full"].of(dataset())
    assert isinstance(config, Config) and config.settings.attributes == ("viscosity",) and config.settings.dim == 2
    assert config.settings.width == CONFIGS["full"].settings.width and "viscosity" in config.as_json()
