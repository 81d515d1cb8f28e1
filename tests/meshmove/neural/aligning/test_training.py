"""Training of the network that aligns: it learns, and goes on where it stopped."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from meshmove.neural.aligning.fit import Config, fit
from meshmove.neural.aligning.meshes.drawn import make_meshes
from meshmove.neural.aligning.network import Aligner, Settings

SMALL = Config(
    Settings(width=8, layers=1, rounds=2),
    steps=8,
    batch=400,
    pool=4,
    fields=2,
    nodes=(50, 70),
    validate_every=4,
    validation=3,
    average=0.5,
)


def run(config, folder, **options):
    return list(fit(config, folder, accelerator="cpu", **options))


def test_the_error_falls(tmp_path):
    longer = replace(SMALL, steps=24, validate_every=12, learning_rate=1e-2)
    rows = run(longer, tmp_path)
    assert [r.step for r in rows] == [0, 12, 24]
    assert rows[0].gain == pytest.approx(1) and rows[-1].loss < rows[0].loss - 0.008 and rows[-1].gain > 1.008
    best = Aligner.from_pretrained(tmp_path / "best.safetensors")
    again = next(fit(longer, tmp_path / "from", accelerator="cpu", start=best))
    assert again.loss == pytest.approx(min(r.loss for r in rows), abs=1e-5)


def test_an_interrupted_run_goes_on_to_the_same_weights(tmp_path):
    meshes = list(make_meshes(5, SMALL.nodes, 1))
    whole = run(SMALL, tmp_path / "whole", meshes=meshes)

    def stop(step: int) -> None:
        if step == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(SMALL, tmp_path / "parts", meshes=meshes, on_step=stop)
    rest = run(SMALL, tmp_path / "parts", meshes=meshes)
    assert rest[-1].loss == pytest.approx(whole[-1].loss, rel=1e-5)
    a, b = (Aligner.from_pretrained(tmp_path / k / "best.safetensors") for k in ("whole", "parts"))
    assert all(torch.allclose(x, y, atol=1e-6) for x, y in zip(a.parameters(), b.parameters(), strict=True))


def test_one_device_only(tmp_path):
    with pytest.raises(ValueError, match="one device"):
        next(fit(SMALL, tmp_path, devices=2))
    with pytest.raises(ValueError, match="'auto', 'cpu'"):
        next(fit(SMALL, tmp_path, accelerator="abacus"))
