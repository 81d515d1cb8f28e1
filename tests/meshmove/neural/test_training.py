"""Training: data-free, resumable to the bit, the same on one process and on two, stopped early, refused politely."""

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

from meshmove.learning.weights import read_weights
from meshmove.movers import MongeAmpere, Smooth, monge_ampere, relaxation
from meshmove.movers import descent as minimise
from meshmove.neural import DMM, Settings, WeightsError
from meshmove.neural import mover as neural_mover
from meshmove.neural.training import fit as module
from meshmove.neural.training.fit import CONFIGS, Config, fit
from meshmove.neural.training.objective import Objective
from meshmove.neural.training.samples import Samples

TINY = Config(
    Settings(width=8, layers=1), steps=4, batch=2, nodes=(20, 40), pool=6, validate_every=2, validation=3, patience=5
)


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    """No word of Fabric's about how many cores there are, and one process only by default."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def run(config, folder, upto=None):
    generator = fit(config, folder, accelerator="cpu")
    rows = list(itertools.islice(generator, upto))
    generator.close()
    return rows


def tensors(folder):
    return read_weights(Path(folder) / "checkpoint.safetensors", "dmm-checkpoint")[1]


def table(folder):
    return list(csv.DictReader((folder / "log.csv").read_text().splitlines()))


def assert_equal(a, b):
    assert a.keys() == b.keys()
    assert all(torch.equal(a[k], b[k]) for k in a)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return folder, run(TINY, folder)


def test_a_run_learns_and_leaves_a_model_and_a_log(whole):
    folder, rows = whole
    assert [r.step for r in rows] == [0, 2, 4] and rows[0].best
    assert [int(r["step"]) for r in table(folder)] == [0, 2, 4]
    assert [float(r["loss"]) for r in table(folder)] == [r.loss for r in rows]
    model = DMM.from_pretrained(folder / "best.safetensors")
    assert model.settings == TINY.settings
    state = tensors(folder)
    moved = max(float((state[f"model.{k}"] - v).abs().max()) for k, v in DMM(TINY.settings).state_dict().items())
    assert moved > 1e-4
    assert not torch.equal(state["model.advisor.head.2.weight"], state["average.advisor.head.2.weight"])


@pytest.mark.parametrize("upto", [1, 2, 3])
def test_a_resumed_run_equals_an_uninterrupted_one_to_the_bit(whole, tmp_path, upto):
    folder, rows = whole
    first = run(TINY, tmp_path, upto)
    second = run(TINY, tmp_path)
    assert [replace(r, seconds=0) for r in first[1:] + second] == [replace(r, seconds=0) for r in rows[1:]]
    assert_equal(tensors(tmp_path), tensors(folder))
    assert_equal(*(DMM.from_pretrained(f / "best.safetensors").state_dict() for f in (tmp_path, folder)))
    assert run(TINY, tmp_path) == []  # it is at its end
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 1 + len(rows)


def test_the_seed_decides(whole, tmp_path):
    run(replace(TINY, seed=1), tmp_path)
    assert not torch.equal(
        tensors(tmp_path)["model.advisor.embed.weight"], tensors(whole[0])["model.advisor.embed.weight"]
    )


SCRIPT = """
import sys, warnings
warnings.simplefilter("ignore")
import torch
torch.set_num_threads(1)
from tests.meshmove.neural.test_training import TINY
from meshmove.neural.training.fit import fit
if __name__ == "__main__":
    for row in fit(TINY, sys.argv[1], devices=2, accelerator="cpu"):
        pass
"""


def test_two_processes_train_as_one_with_the_whole_batch(whole, tmp_path):
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    here = Path(__file__).parents[3]
    command = [sys.executable, str(script), str(tmp_path / "run")]
    done = subprocess.run(command, cwd=here, env=environment(here), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    ours, theirs = tensors(whole[0]), tensors(tmp_path / "run")
    for name in ours:
        np.testing.assert_allclose(theirs[name], ours[name], atol=1e-6, err_msg=name)
    one, two = table(whole[0]), table(tmp_path / "run")
    assert [r["step"] for r in one] == [r["step"] for r in two]
    for a, b in zip(one, two, strict=True):
        assert float(a["loss"]) == pytest.approx(float(b["loss"]), rel=1e-5)
        assert float(a["train_loss"]) == pytest.approx(float(b["train_loss"]), rel=1e-5, nan_ok=True)


def environment(here):
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "COV"))}
    return keep | {"PYTHONPATH": str(here), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}


def test_a_run_without_improvement_stops_early(tmp_path):
    rows = run(replace(TINY, steps=50, learning_rate=0.0, validate_every=1, validation=1, patience=1), tmp_path)
    assert 2 <= len(rows) <= 3 and not any(r.best for r in rows[1:])
    assert run(replace(TINY, steps=50, learning_rate=0.0, validate_every=1, validation=1, patience=1), tmp_path) == []


@pytest.mark.parametrize(
    "other", [{"seed": 3}, {"learning_rate": 1e-3}, {"settings": Settings(width=12, layers=1)}, {"steps": 8}]
)
def test_a_checkpoint_of_another_configuration_is_refused(whole, other):
    before = tensors(whole[0])
    with pytest.raises(ValueError, match="checkpoint of this configuration.*another folder"):
        run(replace(TINY, **other), whole[0])
    assert_equal(before, tensors(whole[0]))


def test_a_damaged_checkpoint_is_refused(whole, tmp_path):
    data = (whole[0] / "checkpoint.safetensors").read_bytes()
    (tmp_path / "checkpoint.safetensors").write_bytes(data[:-3])
    with pytest.raises(WeightsError, match="truncated"):
        run(TINY, tmp_path)


def test_a_batch_that_cannot_be_shared_is_refused(tmp_path, monkeypatch):
    class Two:
        world_size = 2

    monkeypatch.setattr(module, "fabric_of", lambda *args: Two())
    with pytest.raises(ValueError, match=r"2 devices can share evenly \(got 3\)"):
        run(replace(TINY, batch=3), tmp_path)


@pytest.mark.parametrize("dim", [2, 3])
def test_a_sample_does_not_depend_on_the_batch_that_it_is_drawn_in(dim):
    samples = Samples(dim, 0, 30, (20, 40))
    numbers = [7, 3, 11, 12, 13, 14, 15, 16]
    batch, monitor = samples.batch(numbers)
    rng = np.random.default_rng(0)
    for k, number in enumerate(numbers):
        alone, its = samples.batch([number])
        assert np.array_equal(alone.meshes[0].points, batch.meshes[k].points)
        x = alone.points + torch.from_numpy(rng.normal(scale=0.01, size=alone.points.shape))
        graph = torch.zeros(len(x), dtype=torch.int64)
        np.testing.assert_allclose(monitor(x, graph + k), its(x, graph), rtol=1e-9)
    other = Samples(dim, 1, 30, (20, 40)).batch(numbers)[0]
    assert other.points.shape != batch.points.shape or not torch.equal(other.points, batch.points)


def test_training_touches_no_movers_output(tmp_path, monkeypatch, whole):
    """Data-free: with every mover broken the run is the same to the bit."""

    def never(*args, **kwargs):
        raise AssertionError("training called a mover")

    for owner, name in (
        (MongeAmpere, "__call__"),
        (Smooth, "__call__"),
        (neural_mover.Neural, "__call__"),
        (monge_ampere, "relax"),
        (monge_ampere, "minimise"),
        (relaxation, "relax"),
        (sys.modules[minimise.__module__] if callable(minimise) else minimise, "minimise"),
        (neural_mover, "polish"),
    ):
        monkeypatch.setattr(owner, name, never)
    run(TINY, tmp_path)
    assert_equal(tensors(tmp_path), tensors(whole[0]))


def test_the_loss_falls_when_one_batch_is_learnt():
    torch.manual_seed(0)
    model = DMM(TINY.settings).train()
    objective, optimizer = Objective(model), torch.optim.Adam(model.parameters(), 3e-3)
    batch, monitor = Samples(2, 0, 8, (20, 40)).batch(range(3))
    losses = []
    for _ in range(12):
        optimizer.zero_grad()
        loss, log = objective(batch, monitor)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] - 0.05
    assert 0 <= float(log["cut"]) <= 1 and float(log["imbalance"]) > 0


def test_configurations_can_be_made_and_their_batches_shared():
    for (dim, name), config in CONFIGS.items():
        assert config.settings.dim == dim and name in ("small", "full")
        assert config.batch % 4 == 0 and config.validate_every <= config.steps
        assert config.as_json() == replace(config).as_json()
