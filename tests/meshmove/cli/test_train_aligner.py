"""`meshmove train aligner`, run as a user runs it, with a configuration that takes a second."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from meshmove.cli.commands import app
from meshmove.neural import Aligner
from meshmove.neural.aligning import fit
from meshmove.neural.aligning.network import Settings


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    settings = Settings(width=8, layers=1, rounds=2)
    config = fit.Config(settings, steps=2, batch=300, nodes=(40, 60), pool=2, fields=1, validate_every=1, validation=2)
    monkeypatch.setitem(fit.CONFIGS, "small", config)


def call(*words):
    return CliRunner().invoke(app, ["train", "aligner", "--accelerator", "cpu", *map(str, words)])


def test_the_command_trains_and_goes_on(tmp_path):
    result = call("-o", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert "step      2" in result.output and "times less" in result.output
    assert Aligner.from_pretrained(tmp_path / "run" / "best.safetensors").settings.width == 8
    again = call("-o", tmp_path / "run")
    assert again.exit_code == 0 and "step" not in again.output.split("wrote")[0]
    other = call("-o", tmp_path / "run", "--seed", 5)
    assert other.exit_code == 1 and "another folder" in other.output


def test_training_starts_from_weights(tmp_path):
    assert call("-o", tmp_path / "run").exit_code == 0
    start = tmp_path / "run" / "best.safetensors"
    assert call("-o", tmp_path / "on", "--start", start, "--steps", 1).exit_code == 0
    assert call("--config", "huge", "-o", tmp_path / "no").exit_code == 1
