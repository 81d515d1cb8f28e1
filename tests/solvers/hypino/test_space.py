"""The network that writes knots: laws of what it writes, and that it matters."""

import numpy as np
import pytest
import torch

from benchmarks.hypino.layers import eriksson_johnson, outflow
from meshmove.geometry import Rectangle
from meshmove.learning.weights import WeightsError
from meshmove.solvers import HyPINO, project
from meshmove.solvers.hypino.space import STATIONS, Space, SpaceSettings, inputs, mirrored
from meshmove.solvers.hypino.training.space import Config, Objective, draw, fit
from meshmove.solvers.pde import Dirichlet, Interval, LinearPDE, Neumann, ProblemError, TimeInterval

SIDES = ("bottom", "right", "top", "left")


def _carried(speed):
    conditions = {"left": Dirichlet(), "right": Dirichlet(), "top": Neumann(), "bottom": Neumann()}
    return LinearPDE(Rectangle((0, 0), (1, 1), names=SIDES), uxx=-1, uyy=-1, ux=speed, source=1, conditions=conditions)


def test_mirrored_problems_have_mirrored_knots():
    space = Space(SpaceSettings(8))
    one, other = (space.knots(_carried(v).unit)[0] for v in (50.0, -50.0))
    assert np.allclose(one.breaks, -other.breaks[::-1], atol=1e-9)
    x = torch.as_tensor(inputs(_carried(50.0).unit, 0))[None]
    y = torch.as_tensor(inputs(_carried(-50.0).unit, 0))[None]
    assert torch.allclose(mirrored(x), y)


def test_knots_gather_in_the_layer():
    space = Space.from_pretrained()
    x, y = space.knots(outflow(1e-3).pde.unit)
    assert x.lengths[-1] < 2e-3 < 0.05 < x.lengths.max()
    assert y.contrast < 4
    x, y = space.knots(_carried(0.0).unit)
    assert max(x.contrast, y.contrast) < 4


def test_it_matters():
    """Zeroed weights write even knots, and the rounds that look for layers have to be gone through."""
    zeroed = Space.from_pretrained()
    with torch.no_grad():
        for p in zeroed.parameters():
            p.zero_()
    it = eriksson_johnson(1e-3)
    assert max(k.contrast for k in zeroed.knots(it.pde.unit)) == pytest.approx(1)
    written, without, sought = (
        project(it.pde, tolerance=1e-5, space=s) for s in (Space.from_pretrained(), zeroed, None)
    )
    assert all(level.graded for level in written.history)
    x = it.pde.domain.sample_interior(200)
    assert np.array_equal(without(x), sought(x))
    assert np.linalg.norm(written(x) - it.exact(x)) < 1e-5 * np.linalg.norm(it.exact(x))
    emitted = HyPINO.from_pretrained().solve(it.pde, tolerance=1e-5)
    assert np.array_equal(emitted(x), written(x))


def test_what_it_has_not_learned_it_leaves():
    space = Space(SpaceSettings(8))
    ends = {"left": Dirichlet(), "right": Dirichlet()}
    time = {"time": TimeInterval(0, 1), "conditions": ends, "initial": 0.0}
    string = LinearPDE(Interval(0, 1), utt=1, uxx=-1, velocity=0.0, **time)
    assert space.knots(string.unit) is None
    rod = LinearPDE(Interval(0, 1), ut=1, uxx=-1, **time)
    assert space.knots(rod.unit)[1].contrast == pytest.approx(1)
    with pytest.raises(ProblemError, match="knots"):
        project(rod, space=3)


def test_weights_are_read_as_they_were_written(tmp_path):
    space = Space(SpaceSettings(8))
    again = Space.from_pretrained(space.save_pretrained(tmp_path / "space.safetensors"))
    one, other = (s.knots(_carried(50.0).unit)[0] for s in (space, again))
    assert np.array_equal(one.breaks, other.breaks)
    with pytest.raises(WeightsError, match="hypino-space"):
        HyPINO.from_pretrained(tmp_path / "space.safetensors")


def test_no_density_needs_fewer_knots_than_the_best():
    objective, axes = Objective(Space(SpaceSettings(8))), draw(64, (3,))
    assert axes.inputs.shape == (64, 31) and axes.steepness.shape[1] > len(STATIONS)
    needed, _ = objective.parts(axes)
    assert (needed > -1e-4).all() and needed.mean() > 0.1


def test_training_lowers_the_loss_and_goes_on(tmp_path):
    config = Config(SpaceSettings(16), steps=60, batch=64, validate_every=30, validation=200)
    rows = list(fit(config, tmp_path, accelerator="cpu"))
    assert rows[-1].knots < 0.5 * rows[0].knots
    assert list(fit(config, tmp_path, accelerator="cpu")) == []
