"""Training of the mover: data-free, on samples that depend on their numbers alone (the loop: `learning/`)."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from meshmove.movers import MongeAmpere, Smooth
from meshmove.movers import run as classical
from meshmove.movers.descent import lbfgs, relaxation
from meshmove.neural import DMM
from meshmove.neural import mover as neural_mover
from meshmove.neural.training.fit import CONFIGS
from meshmove.neural.training.objective import Objective
from meshmove.neural.training.samples import Samples
from tests.meshmove.learning.trainings import MOVER, TRAININGS

DMM_TRAINING = TRAININGS["dmm"]


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


def test_training_touches_no_movers_output(tmp_path, monkeypatch):
    """Data-free: with every mover broken the run is the same to the bit."""

    def never(*args, **kwargs):
        raise AssertionError("training called a mover")

    DMM_TRAINING.run(tmp_path / "whole")
    for owner, name in (
        (MongeAmpere, "__call__"),
        (Smooth, "__call__"),
        (neural_mover.Neural, "__call__"),
        (classical, "relax"),
        (classical, "minimise"),
        (relaxation, "relax"),
        (lbfgs, "minimise"),
        (neural_mover, "polish"),
    ):
        monkeypatch.setattr(owner, name, never)
    DMM_TRAINING.run(tmp_path / "alone")
    alone, whole = (DMM_TRAINING.tensors(tmp_path / name) for name in ("alone", "whole"))
    assert alone.keys() == whole.keys() and all(torch.equal(v, whole[k]) for k, v in alone.items())


def test_the_loss_falls_when_one_batch_is_learnt():
    torch.manual_seed(0)
    model = DMM(MOVER.settings).train()
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
