"""Training of the hypernetwork: resumable to the bit, the same on one process and on two, by command as by call."""

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
from typer.testing import CliRunner

from meshmove.cli.commands import app
from meshmove.learning.weights import read_weights
from meshmove.solvers.hypino import HyPINO, Settings
from meshmove.solvers.hypino.training import CONFIGS, Config, fit
from meshmove.solvers.hypino.training.objective import Objective, Weights, projected_error, relative_error
from meshmove.solvers.hypino.training.problems import build, draw

TINY = Config(
    Settings(raster=16, patch=2, width=32, depths=(1, 1), window=4, fields=2, hidden=8, rank=2),
    steps=4, batch=4, interior=40, edge=40, half=False, validate_every=2, validation=6, patience=5, average=0.9,
)  # fmt: skip


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    """No word of Fabric's about how many cores there are."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def run(config, folder, upto=None):
    generator = fit(config, folder, accelerator="cpu")
    rows = list(itertools.islice(generator, upto))
    generator.close()
    return rows


def tensors(folder):
    return read_weights(Path(folder) / "checkpoint.safetensors", "hypino-checkpoint")[1]


def table(folder):
    return list(csv.DictReader((folder / "log.csv").read_text().splitlines()))


def assert_equal(a, b):
    assert a.keys() == b.keys()
    assert all(torch.equal(a[k], b[k]) for k in a)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return folder, run(TINY, folder)


def test_a_run_leaves_a_model_and_a_log(whole):
    folder, rows = whole
    assert [r.step for r in rows] == [0, 2, 4] and rows[0].best
    assert [float(r["error"]) for r in table(folder)] == [r.error for r in rows]
    assert HyPINO.from_pretrained(folder / "best.safetensors").settings == TINY.settings
    state = tensors(folder)
    name = "encoder.stages.0.0.qkv.weight"
    assert not torch.equal(state[f"model.{name}"], state[f"average.{name}"])


@pytest.mark.parametrize("upto", [1, 2])
def test_a_resumed_run_equals_an_uninterrupted_one_to_the_bit(whole, tmp_path, upto):
    folder, rows = whole
    rest = run(TINY, tmp_path, upto)[1:] + run(TINY, tmp_path)
    assert [replace(r, seconds=0) for r in rest] == [replace(r, seconds=0) for r in rows[1:]]
    assert_equal(tensors(tmp_path), tensors(folder))
    assert run(TINY, tmp_path) == []  # it is at its end


def test_the_seed_decides(whole, tmp_path):
    run(replace(TINY, seed=1), tmp_path)
    assert not torch.equal(
        tensors(tmp_path)["model.fields.values.weight"], tensors(whole[0])["model.fields.values.weight"]
    )


SCRIPT = """
import sys, warnings
warnings.simplefilter("ignore")
import torch
torch.set_num_threads(1)
from tests.solvers.hypino.test_training import TINY
from meshmove.solvers.hypino.training import fit
if __name__ == "__main__":
    for row in fit(TINY, sys.argv[1], devices=2, accelerator="cpu"):
        pass
"""


def test_two_processes_train_as_one_with_the_whole_batch(whole, tmp_path):
    script, here = tmp_path / "train.py", Path(__file__).parents[3]
    script.write_text(SCRIPT)
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "COV"))}
    environment = keep | {"PYTHONPATH": str(here), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    command = [sys.executable, str(script), str(tmp_path / "run")]
    done = subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    for name, ours in tensors(whole[0]).items():
        if not name.startswith("optimizer"):
            gap = (tensors(tmp_path / "run")[name] - ours).abs()
            # Adam turns the rounding of a vanishing gradient into a step; of a few weights in a thousand
            assert float(gap.max()) < 2e-3 and float((gap > 2e-4).double().mean()) < 5e-3, name
    for a, b in zip(table(whole[0]), table(tmp_path / "run"), strict=True):
        assert float(a["train_loss"]) == pytest.approx(float(b["train_loss"]), rel=1e-3, nan_ok=True)


def test_a_run_without_improvement_stops_early(tmp_path):
    rows = run(replace(TINY, steps=50, learning_rate=0.0, validate_every=1, patience=1), tmp_path)
    assert 2 <= len(rows) <= 3


def test_another_configuration_and_uneven_shares_are_refused(whole, monkeypatch):
    with pytest.raises(ValueError, match="checkpoint of this configuration.*another folder"):
        run(replace(TINY, seed=3), whole[0])

    class Two:
        world_size = 2

    monkeypatch.setattr(sys.modules[fit.__module__], "fabric_of", lambda *args: Two())
    with pytest.raises(ValueError, match=r"2 devices can share evenly \(got 3\)"):
        run(replace(TINY, batch=3), whole[0])


@pytest.mark.parametrize("unlabelled", [0.0, 1.0])
def test_the_loss_falls_when_one_batch_is_learnt(unlabelled):
    torch.manual_seed(0)
    objective = Objective(HyPINO(TINY.settings))
    optimizer = torch.optim.Adam(objective.parameters(), 3e-3)
    problems = build(draw(4, (0, 0), 60, 80, unlabelled), 16)
    losses = []
    for _ in range(25):
        optimizer.zero_grad()
        loss, _ = objective(problems)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert np.isfinite(losses).all() and np.mean(losses[-3:]) < 0.8 * losses[0]


def test_projection_finds_solutions_that_the_features_span():
    """Two emitted networks, of which one times 5 is the answer: least squares over the features of both finds it."""
    torch.manual_seed(0)
    p = build(draw(4, (2, 0), 300, 200, 0.0), 16)
    with torch.no_grad():
        emitted = HyPINO(TINY.settings)(p.coefficients, p.raster).to(torch.float64)
    answer = emitted * 5.0
    jets, edge = answer.jets(p.X), answer.jets(p.edge)
    values = torch.stack([edge[:, 0], (edge[:, 1:3] * p.normals).sum(1)], 1)
    c = p.coefficients.double()
    same = replace(p, coefficients=c, jets=jets, values=values, source=(c[:, :, None] * jets).sum(1))
    assert float(relative_error(same, emitted).min()) == pytest.approx(0.8, rel=1e-3)
    assert float(projected_error(same, emitted, ridge=1e-12).max()) < 1e-2


def test_parts_of_the_loss_can_be_switched_off():
    torch.manual_seed(0)
    model, problems = HyPINO(TINY.settings), build(draw(4, (0, 0), 30, 30, 0.0), 16)
    only = Weights(value=0, gradient=0, dirichlet=0, neumann=0, residual=0, unlabelled=0, projection=0)
    with torch.no_grad():
        assert float(Objective(model, only)(problems)[0]) == 0
        assert float(Objective(model, replace(only, value=1))(problems)[0]) > 0


def test_the_command_trains_goes_on_and_names_configurations(monkeypatch, tmp_path):
    monkeypatch.setitem(CONFIGS, "small", TINY)

    def call(*words):
        return CliRunner().invoke(
            app, ["train", "hypino", "--accelerator", "cpu", "-o", str(tmp_path), *map(str, words)]
        )

    result = call("--steps", 2)
    assert result.exit_code == 0, result.output
    assert "step      2" in result.output and "relative error" in result.output and "best.safetensors" in result.output
    again = call("--steps", 2)
    assert again.exit_code == 0 and "step" not in again.output.split("wrote")[0]
    wrong = call("--config", "huge")
    assert wrong.exit_code == 1 and "--config full" in wrong.output and "huge" in wrong.output
