"""Laws of the training loop, on a model of three weights: interrupted anywhere it goes on to the bit, keeps the best
weights, stops early, ends with the clock, and writes to no folder that is not its own."""

import csv
import math
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from torch import nn

from meshmove.learning.alone import Alone
from meshmove.learning.config import RunConfig
from meshmove.learning.progress import Progress
from meshmove.learning.run import Run, new_model
from meshmove.learning.weights import WeightsError, read_weights, write_weights

CONFIG = RunConfig(3, steps=4, batch=2, learning_rate=0.1, validate_every=2, average=0.5, patience=5)
TRUTH = torch.tensor([1.0, -2.0, 0.5])


class Line(nn.Module):
    """A linear function."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.randn(inputs))

    def forward(self, numbers):
        x = torch.cat([torch.randn(1, len(self.slope), generator=torch.Generator().manual_seed(i)) for i in numbers])
        return ((x @ (self.slope - TRUTH)) ** 2).mean()

    def save_pretrained(self, path):
        return write_weights(path, "line", {}, self.state_dict())


@dataclass(frozen=True)
class Error(Progress):
    error: float


class Fit(Run):
    kind, progress, criterion = "line", Error, "error"

    def __init__(self, config, folder, start=None, fabric=None):
        model = new_model(Line, config, start)
        optimizer = torch.optim.Adam(model.parameters(), config.learning_rate)
        super().__init__(config, folder, fabric or Alone(torch.device("cpu")), model, model, optimizer)

    def loss(self):
        return self.objective([1000 * self.config.seed + i for i in self.numbers()])

    def measure(self):
        return {"error": float(self.average(range(10**6, 10**6 + 8)))}


def run(config, folder, on_step=None):
    return list(Fit(config, folder).rows(on_step))


def tensors(folder):
    return read_weights(Path(folder) / "checkpoint.safetensors", "line-checkpoint")[1]


def table(folder):
    return list(csv.DictReader((folder / "log.csv").read_text().splitlines()))


def timeless(rows):
    return [replace(r, seconds=0) if r.step else replace(r, seconds=0, train_loss=0) for r in rows]


def assert_same(one, other):
    a, b = tensors(one), tensors(other)
    assert a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@pytest.fixture
def whole(tmp_path):
    return tmp_path / "whole", run(CONFIG, tmp_path / "whole")


def test_the_loss_falls_and_the_best_average_is_kept(tmp_path):
    rows = run(replace(CONFIG, steps=200, validate_every=50), tmp_path)
    assert rows[-1].error < 1e-2 * rows[0].error and math.isnan(rows[0].train_loss)
    kept = read_weights(tmp_path / "best.safetensors", "line")[1]["slope"]
    best = Line(3)
    best.load_state_dict({"slope": kept})
    assert float(best(range(10**6, 10**6 + 8)).detach()) == min(r.error for r in rows)


def test_the_log_has_every_validation_and_its_columns_in_order(whole):
    folder, rows = whole
    assert [int(r["step"]) for r in table(folder)] == [r.step for r in rows] == [0, 2, 4]
    assert list(table(folder)[0]) == ["step", "steps", "seconds", "train_loss", "error", "best"]
    assert [float(r["error"]) for r in table(folder)] == [r.error for r in rows]


class Stop(Exception):
    """Of the user, who has seen enough."""


@pytest.mark.parametrize("at", [1, 2, 3, 4])
@pytest.mark.parametrize("how", [Stop, KeyboardInterrupt])
def test_a_run_that_is_interrupted_goes_on_where_it_was(whole, tmp_path, at, how):
    folder, rows = whole
    seen = []

    def on_step(step):
        seen.append(step)
        if step == at:
            raise how

    first = []
    with pytest.raises(how):
        for row in Fit(CONFIG, tmp_path).rows(on_step):
            first.append(row)
    rest = run(CONFIG, tmp_path, seen.append)
    assert seen == [1, 2, 3, 4]  # none is done twice
    assert timeless(first + rest) == timeless(rows)
    assert_same(tmp_path, folder)
    assert [r["step"] for r in table(tmp_path)] == ["0", "2", "4"]


def test_before_the_first_validation_too(whole, tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Fit, "measure", killed)
        with pytest.raises(KeyboardInterrupt):
            run(CONFIG, tmp_path)
    assert not (tmp_path / "log.csv").exists()
    assert timeless(run(CONFIG, tmp_path)) == timeless(whole[1])


def test_a_step_that_is_interrupted_is_done_again(whole, tmp_path, monkeypatch):
    """Nothing half-done is written: the checkpoint is that before the step."""
    loss, count = Fit.loss, []

    def killed(self):
        count.append(self.step)
        if len(count) == 4:
            raise KeyboardInterrupt
        return loss(self)

    monkeypatch.setattr(Fit, "loss", killed)
    with pytest.raises(KeyboardInterrupt):
        run(CONFIG, tmp_path)
    run(CONFIG, tmp_path)
    assert count == [0, 1, 2, 3, 3]
    assert_same(tmp_path, whole[0])


def test_a_log_that_is_ahead_of_the_checkpoint_is_written_again(whole, tmp_path):
    rows = Fit(CONFIG, tmp_path).rows()
    next(rows), next(rows)
    rows.close()
    kept = (tmp_path / "checkpoint.safetensors").read_bytes()
    run(CONFIG, tmp_path)
    (tmp_path / "checkpoint.safetensors").write_bytes(kept)  # as if killed before it was written
    run(CONFIG, tmp_path)
    assert [r["error"] for r in table(tmp_path)] == [r["error"] for r in table(whole[0])]


def test_a_step_without_a_finite_gradient_changes_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(Fit, "loss", lambda self: self.objective([0]) * math.nan)
    before = Fit(CONFIG, tmp_path / "new").model.slope.detach().clone()
    run(CONFIG, tmp_path / "run")
    assert torch.equal(tensors(tmp_path / "run")["model.slope"], before)


@pytest.mark.parametrize("name", ["log.csv", "best.safetensors"])
def test_a_folder_of_another_run_is_not_written_to(tmp_path, name):
    (tmp_path / name).write_text("precious")
    with pytest.raises(FileExistsError, match=f"{name}, but no checkpoint"):
        run(CONFIG, tmp_path)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [(name, "precious")]


@pytest.mark.parametrize("other", [{"seed": 3}, {"learning_rate": 1e-3}, {"steps": 8}, {"settings": 2}])
def test_a_checkpoint_of_another_configuration_is_refused(whole, other):
    before = (whole[0] / "checkpoint.safetensors").read_bytes()
    with pytest.raises(ValueError, match="checkpoint of this configuration.*another folder"):
        run(replace(CONFIG, **other), whole[0])
    assert (whole[0] / "checkpoint.safetensors").read_bytes() == before


def test_a_damaged_checkpoint_is_refused(whole, tmp_path):
    data = (whole[0] / "checkpoint.safetensors").read_bytes()
    (tmp_path / "checkpoint.safetensors").write_bytes(data[:-3])
    with pytest.raises(WeightsError, match="truncated"):
        run(CONFIG, tmp_path)


def test_a_run_without_improvement_stops_early_and_stays_so(tmp_path):
    still = replace(CONFIG, steps=50, learning_rate=0.0, validate_every=1, patience=2)
    rows = run(still, tmp_path)
    assert [r.best for r in rows] == [True, False, False]
    assert run(still, tmp_path) == []


def test_a_batch_that_cannot_be_shared_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"2 devices can share evenly \(got 3\)"):
        Fit(replace(CONFIG, batch=3), tmp_path, fabric=Alone(torch.device("cpu"), world_size=2))


def test_processes_share_the_numbers_of_the_samples(tmp_path):
    class OneOfSeveral(Alone):
        def broadcast(self, _):
            """The first process has found no checkpoint."""
            return True, None

    third = OneOfSeveral(torch.device("cpu"), world_size=4, global_rank=2)
    fit = Fit(replace(CONFIG, batch=12), tmp_path, fabric=third)
    assert fit.numbers() == range(6, 9)
    fit.step = 5
    assert fit.numbers() == range(66, 69)


def test_a_run_by_the_clock_ends_with_it_and_with_a_validation(tmp_path, monkeypatch):
    """Each step takes a minute; after three and a half no more are begun, and the rate has fallen accordingly."""
    clock, shares = [0.0], []
    monkeypatch.setattr("meshmove.learning.run.time.monotonic", lambda: clock[0])
    fit = Fit(replace(CONFIG, steps=100, validate_every=100), tmp_path)
    fit.minutes = 3.5

    def minute(step):
        clock[0] += 60
        shares.append(fit.done())

    assert [r.step for r in fit.rows(minute)] == [0, 4]
    assert shares == pytest.approx([2 / 7, 4 / 7, 6 / 7, 1])


def test_a_run_starts_from_other_weights_of_the_same_sizes(tmp_path):
    start = Line(3)
    assert torch.equal(Fit(CONFIG, tmp_path / "a", start).model.slope, start.slope)
    with pytest.raises(ValueError, match="start from a model with weights of the same sizes"):
        Fit(CONFIG, tmp_path / "b", Line(2))
