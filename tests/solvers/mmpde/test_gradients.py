"""Rollouts on tensors: the same frames, with gradients that are those of finite differences."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.mmpde.families import delaunay
from meshmove.geometry import FieldError
from meshmove.solvers import MMPDE, BurgersStep
from meshmove.solvers.generators.burgers import burgers_mesh
from meshmove.solvers.mmpde.correcting.base import BaseError
from tests.solvers.mmpde.cases import dataset
from tests.solvers.mmpde.test_base import halved, model_of

NU = 0.02


def wave(mesh):
    x, y = mesh.points.T
    return np.sin(np.pi * x) * np.sin(2 * np.pi * y)


@pytest.mark.parametrize("mesh", [burgers_mesh(12), delaunay(10, 0)], ids=["grid", "triangles"])
def test_steps_on_tensors_are_those_on_arrays(mesh):
    step, u = BurgersStep(), 2 * wave(mesh)
    after = step(mesh, {"u": u}, 0.3, {"viscosity": NU})["u"]
    found = step.tensors(mesh, {"u": torch.from_numpy(u)}, 0.3, {"viscosity": NU})["u"]
    assert np.allclose(found, after, rtol=0, atol=1e-13)
    given = {"u": u}, 0.3, {"viscosity": NU}
    tensors = {"u": torch.from_numpy(u)}, 0.3, {"viscosity": torch.tensor(NU, dtype=torch.float64)}
    assert np.allclose(step.tensors.describe(mesh, *tensors), step.describe(mesh, *given), rtol=1e-12)


@pytest.mark.parametrize("mesh", [burgers_mesh(12), delaunay(10, 0)], ids=["grid", "triangles"])
def test_gradients_of_steps_are_those_of_differences(mesh):
    step, u = BurgersStep(), torch.from_numpy(2 * wave(mesh)).requires_grad_()
    nu = torch.tensor(NU, dtype=torch.float64, requires_grad=True)
    weight = np.random.default_rng(0).standard_normal(len(u))

    def after(shift, more):
        start = u.detach().numpy() + shift * weight
        return float((step(mesh, {"u": start}, 0.1, {"viscosity": NU + more})["u"] ** 2).sum())

    (step.tensors(mesh, {"u": u}, 0.1, {"viscosity": nu})["u"] ** 2).sum().backward()
    d = 1e-6
    assert float(nu.grad) == pytest.approx((after(0, d) - after(0, -d)) / (2 * d), rel=1e-5)
    assert float(u.grad @ torch.from_numpy(weight)) == pytest.approx((after(d, 0) - after(-d, 0)) / (2 * d), rel=1e-5)


@pytest.mark.parametrize("based", [True, False])
def test_frames_are_those_of_the_rollout(based):
    model = model_of(BurgersStep(), leap=2) if based else model_of(None)
    mesh = burgers_mesh(8)
    frames = [f.values for f in model.rollout(mesh, wave(mesh), 3, attributes={"viscosity": NU})]
    found = model.differentiable(mesh, torch.from_numpy(wave(mesh)), 3, attributes={"viscosity": NU})
    assert found.shape == (4, 81, 1)
    assert np.allclose(found.detach(), frames, rtol=0, atol=1e-6 if based else 1e-5)


def test_gradients_of_a_rollout_are_those_of_differences():
    model, mesh = model_of(BurgersStep()), burgers_mesh(8)
    start, nu = torch.from_numpy(wave(mesh)).requires_grad_(), torch.tensor(NU, requires_grad=True, dtype=torch.float64)
    along = torch.from_numpy(np.random.default_rng(1).standard_normal(81))

    def end(u, viscosity):
        return model.differentiable(mesh, u, 4, attributes={"viscosity": viscosity})[-1].square().sum()

    slopes = torch.autograd.grad(end(start, nu), (start, nu))
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    with torch.no_grad():
        d = 1e-2  # the network's part is in single precision
        by_start = (end(start + d * along, nu) - end(start - d * along, nu)) / (2 * d)
        d = 1e-3
        by_nu = (end(start, nu + d) - end(start, nu - d)) / (2 * d)
    assert float(slopes[0] @ along) == pytest.approx(float(by_start), rel=0.02)
    assert float(slopes[1]) == pytest.approx(float(by_nu), rel=0.02)


def test_rest_has_gradients():
    model, mesh = model_of(BurgersStep()), burgers_mesh(8)
    start = torch.zeros(81, dtype=torch.float64, requires_grad=True)
    end = model.differentiable(mesh, start, 2, attributes={"viscosity": NU})[-1]
    (slope,) = torch.autograd.grad(end.sum(), start)
    assert not end.any() and torch.isfinite(slope).all() and slope.any()


def test_bad_requests_are_named():
    mesh, start = burgers_mesh(8), torch.zeros(81)
    with pytest.raises(BaseError, match="steps on tensors"):
        model_of(halved).differentiable(mesh, start, 2, attributes={"viscosity": NU})
    model = model_of(BurgersStep())
    with pytest.raises(FieldError, match="at 81 nodes"):
        model.differentiable(mesh, start[1:], 2, attributes={"viscosity": NU})
    with pytest.raises(FieldError, match="tensor"):
        model.differentiable(mesh, np.zeros(81), 2, attributes={"viscosity": NU})
    with pytest.raises(ValueError, match="viscosity"):
        model.differentiable(mesh, start, 2)
    settings = replace(model_of(halved, dataset()).settings, base="", moving=True)
    with pytest.raises(ValueError, match="one branch"):
        MMPDE(settings).differentiable(mesh, start, 2, attributes={"viscosity": NU})
