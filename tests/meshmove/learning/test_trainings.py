"""What holds for the training of every model: it leaves a model and a log, goes on where it stopped to the bit, and is
the same on two processes."""

import csv
import os
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch

from meshmove.learning.config import RunConfig
from meshmove.learning.progress import Progress
from tests.meshmove.learning.trainings import TRAININGS

SHARED = {name: t for name, t in TRAININGS.items() if t.gaps is not None}


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    """No word of Fabric's about how many cores there are."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Folder and rows of an uninterrupted run, by the kind of model."""
    runs = {}

    def of(training):
        if training.kind not in runs:
            folder = tmp_path_factory.mktemp(training.kind)
            runs[training.kind] = folder, training.run(folder)
        return runs[training.kind]

    return of


def table(folder):
    return list(csv.DictReader((folder / "log.csv").read_text().splitlines()))


def timeless(rows):
    return [replace(r, seconds=0) for r in rows]


def assert_equal(a, b):
    assert a.keys() == b.keys()
    assert all(torch.equal(a[k], b[k]) for k in a)


@pytest.mark.parametrize("training", TRAININGS.values(), ids=TRAININGS)
def test_a_run_learns_and_leaves_a_model_and_a_log(training, whole):
    folder, rows = whole(training)
    assert [r.step for r in rows] == [0, 2, 4] and rows[0].best
    name = training.criterion
    assert [float(r[name]) for r in table(folder)] == [getattr(r, name) for r in rows]
    model = training.model.from_pretrained(folder / "best.safetensors")
    assert model.settings.width == training.config.settings.width
    state = training.tensors(folder)
    assert any(not torch.equal(state[f"model.{k}"], state[f"average.{k}"]) for k in model.state_dict())


@pytest.mark.parametrize("upto", [1, 2])
@pytest.mark.parametrize("training", TRAININGS.values(), ids=TRAININGS)
def test_a_resumed_run_equals_an_uninterrupted_one_to_the_bit(training, upto, whole, tmp_path):
    folder, rows = whole(training)
    rest = training.run(tmp_path, upto)[1:] + training.run(tmp_path)
    assert timeless(rest) == timeless(rows[1:])
    assert_equal(training.tensors(tmp_path), training.tensors(folder))
    best = [training.model.from_pretrained(f / "best.safetensors").state_dict() for f in (tmp_path, folder)]
    assert_equal(*best)
    assert training.run(tmp_path) == []  # it is at its end


@pytest.mark.parametrize("training", TRAININGS.values(), ids=TRAININGS)
def test_what_was_learned_depends_on_the_seed_and_belongs_to_its_configuration(training, whole, tmp_path):
    folder, _ = whole(training)
    training.run(tmp_path, seed=1)
    ours, theirs = training.tensors(tmp_path), training.tensors(folder)
    assert any(not torch.equal(v, theirs[k]) for k, v in ours.items() if k.startswith("model."))
    with pytest.raises(ValueError, match="checkpoint of this configuration.*another folder"):
        training.run(folder, seed=3)
    assert_equal(training.tensors(folder), theirs)


SCRIPT = """
import sys, warnings
warnings.simplefilter("ignore")
import torch
torch.set_num_threads(1)
from pathlib import Path
from tests.meshmove.learning.trainings import TRAININGS
if __name__ == "__main__":
    TRAININGS[sys.argv[1]].run(Path(sys.argv[2]), devices=2)
"""


@pytest.mark.parametrize("training", SHARED.values(), ids=SHARED)
def test_two_processes_train_as_one_with_the_whole_batch(training, whole, tmp_path):
    folder, _ = whole(training)
    script, here = tmp_path / "train.py", Path(__file__).parents[3]
    script.write_text(SCRIPT)
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "COV"))}
    environment = keep | {"PYTHONPATH": str(here), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    command = [sys.executable, str(script), training.kind, str(tmp_path / "run")]
    done = subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    most, share = training.gaps
    two = training.tensors(tmp_path / "run")
    for name, ours in training.tensors(folder).items():
        if not name.startswith("optimizer"):
            gap = (two[name] - ours).abs()
            assert float(gap.max()) < most and float((gap > most / 10).double().mean()) <= share, name
    for a, b in zip(table(folder), table(tmp_path / "run"), strict=True):
        assert a["step"] == b["step"]
        for name in ("train_loss", training.criterion):
            assert float(a[name]) == pytest.approx(float(b[name]), rel=1e-3, nan_ok=True)


@pytest.mark.parametrize("training", TRAININGS.values(), ids=TRAININGS)
def test_configurations_and_rows_have_what_the_loop_asks_for(training, whole):
    base = {f.name for f in fields(RunConfig)}
    assert isinstance(training.config, RunConfig) and base <= {f.name for f in fields(training.config)}
    _, rows = whole(training)
    assert all(isinstance(r, Progress) for r in rows) and list(rows[0].row())[-1] == "best"
