"""Training of the hypernetwork: its loss, and by command as by call (the loop: `learning/`)."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from meshmove.cli.commands import app
from meshmove.solvers.hypino import HyPINO
from meshmove.solvers.hypino.training import CONFIGS
from meshmove.solvers.hypino.training.objective import Objective, Weights, projected_error, relative_error
from meshmove.solvers.hypino.training.problems import build, draw
from tests.meshmove.learning.trainings import SOLVER


@pytest.mark.parametrize("unlabelled", [0.0, 1.0])
def test_the_loss_falls_when_one_batch_is_learnt(unlabelled):
    torch.manual_seed(0)
    objective = Objective(HyPINO(SOLVER.settings))
    optimizer = torch.optim.Adam(objective.parameters(), 3e-3)
    problems = build(draw(4, (0, 0), 60, 80, unlabelled), 16)
    losses = []
    for _ in range(25):
        optimizer.zero_grad()
        loss, _ = objective(problems)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert np.isfinite(losses).all() and np.mean(losses[-3:]) < 0.85 * losses[0]


def test_projection_finds_solutions_that_the_features_span():
    """Two emitted networks, of which one times 5 is the answer: least squares over the features of both finds it."""
    torch.manual_seed(0)
    p = build(draw(4, (2, 0), 300, 200, 0.0), 16)
    with torch.no_grad():
        emitted = HyPINO(SOLVER.settings)(p.coefficients, p.raster).to(torch.float64)
    answer = emitted * 5.0
    jets, edge = answer.jets(p.X), answer.jets(p.edge)
    values = torch.stack([edge[:, 0], (edge[:, 1:3] * p.normals).sum(1)], 1)
    c = p.coefficients.double()
    same = replace(p, coefficients=c, jets=jets, values=values, source=(c[:, :, None] * jets).sum(1))
    assert float(relative_error(same, emitted).min()) == pytest.approx(0.8, rel=1e-3)
    assert float(projected_error(same, emitted, ridge=1e-12).max()) < 1e-2


def test_parts_of_the_loss_can_be_switched_off():
    torch.manual_seed(0)
    model, problems = HyPINO(SOLVER.settings), build(draw(4, (0, 0), 30, 30, 0.0), 16)
    only = Weights(value=0, gradient=0, dirichlet=0, neumann=0, residual=0, unlabelled=0, projection=0)
    with torch.no_grad():
        assert float(Objective(model, only)(problems)[0]) == 0
        assert float(Objective(model, replace(only, value=1))(problems)[0]) > 0


def test_the_command_trains_goes_on_and_names_configurations(monkeypatch, tmp_path):
    monkeypatch.setitem(CONFIGS, "small", SOLVER)

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
