"""`meshmove train mover`, run as a user runs it, with a configuration that takes a second."""

from __future__ import annotations

import csv

import pytest
import torch
from typer.testing import CliRunner

from meshmove.cli.commands import app
from meshmove.neural import DMM, Settings
from meshmove.neural.training import fit


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    config = fit.Config(
        Settings(width=8, layers=1), steps=4, batch=2, nodes=(20, 40), pool=4, validate_every=2, validation=2
    )
    monkeypatch.setitem(fit.CONFIGS, (2, "small"), config)


def call(*words):
    return CliRunner().invoke(app, ["train", "mover", "--accelerator", "cpu", *map(str, words)])


def test_training_writes_weights_log_and_checkpoint(tmp_path):
    result = call("-o", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert "step      4" in result.output and "best.safetensors" in result.output
    assert DMM.from_pretrained(tmp_path / "run" / "best.safetensors").settings.width == 8
    rows = list(csv.DictReader((tmp_path / "run" / "log.csv").read_text().splitlines()))
    assert [row["step"] for row in rows] == ["0", "2", "4"]


def test_the_same_command_goes_on_where_it_stopped(tmp_path):
    assert call("-o", tmp_path, "--steps", 4).exit_code == 0
    again = call("-o", tmp_path, "--steps", 4)
    assert again.exit_code == 0 and "step" not in again.output.split("wrote")[0]  # nothing left to do
    other = call("-o", tmp_path, "--steps", 6)
    assert other.exit_code == 1 and "another folder" in other.output


def test_an_unknown_configuration_names_those_that_exist(tmp_path):
    result = call("--config", "huge", "-o", tmp_path)
    assert result.exit_code == 1
    assert "--dim 3 --config full" in result.output and "huge" in result.output
    assert not list(tmp_path.iterdir())


def test_training_starts_from_given_weights_and_takes_their_sizes(tmp_path):
    torch.manual_seed(3)
    model = DMM(Settings(width=16, layers=1))
    kept = model.save_pretrained(tmp_path / "kept.safetensors")
    result = call("-o", tmp_path / "run", "--start", kept, "--steps", 0)
    assert result.exit_code == 0, result.output
    best = DMM.from_pretrained(tmp_path / "run" / "best.safetensors")
    assert best.settings.width == 16
    assert all(torch.equal(a, b) for a, b in zip(best.parameters(), model.parameters(), strict=True))


def test_weights_of_other_sizes_are_refused_as_a_start(tmp_path):
    with pytest.raises(ValueError, match="weights of the same sizes"):
        list(fit.fit(fit.CONFIGS[2, "small"], tmp_path, accelerator="cpu", start=DMM(Settings(width=16))))
