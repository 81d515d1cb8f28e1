"""The emitted networks: derivatives in closed form, linear algebra of solutions, interpolation by the lattice."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from meshmove.solvers.hypino.emitted import Emitted
from meshmove.solvers.hypino.jets import lattice_jets, nodal_to_lattice, shapes, tanh_jets


def emitted(batch=3, fields=2, hidden=6, seed=0):
    g = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=g, dtype=torch.float64)

    net = {name: normal(batch, *shape) * 0.5 for name, shape in shapes(hidden).items()}
    return Emitted(nodal_to_lattice(normal(batch, fields, 16, 16)), normal(batch, fields), (net,))


def points(n=7, seed=1):
    return 1.9 * torch.rand(2, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) - 0.95


@settings(max_examples=20)
@given(st.integers(0, 10**6))
def test_jets_are_the_derivatives(seed):
    e, X, h = emitted(seed=seed), points(seed=seed), 1e-4
    jets = e.features(X)
    for axis in (0, 1):
        step = torch.zeros(2, 1, dtype=torch.float64)
        step[axis] = h
        up, down = (e.features(X + s)[:, 0] for s in (step, -step))
        for row, difference in ((1 + axis, (up - down) / (2 * h)), (3 + axis, (up - 2 * jets[:, 0] + down) / h**2)):
            size = jets[:, row].abs().max()
            assert float((jets[:, row] - difference).abs().max()) < 1e-5 * float(size)


def test_the_solution_is_the_features_by_the_output_weights():
    e, X = emitted(), points()
    assert e.count == 8 and e.features(X).shape == (3, 5, 8, 7)
    torch.testing.assert_close((e.features(X) * e.output[:, None, :, None]).sum(2), e.jets(X))
    torch.testing.assert_close(e(X), e.jets(X)[:, 0])


def test_a_single_problem_has_no_axis_of_the_batch():
    e, X = emitted(), points()
    one = e.select(1)
    assert one.single and not e.single and (len(one), len(e)) == (1, 3)
    torch.testing.assert_close(one.features(X), e.features(X)[1])
    torch.testing.assert_close(one.jets(X.numpy()), e.jets(X)[1])
    torch.testing.assert_close((2 * one)(X), 2 * one(X))


def test_points_may_differ_from_problem_to_problem():
    e = emitted()
    each = torch.stack([points(seed=s) for s in range(3)])
    for k in range(3):
        torch.testing.assert_close(e.jets(each)[k], e.select(k).jets(each[k]))


def test_sums_and_multiples_of_solutions():
    a, b, X = emitted(seed=0), emitted(seed=1, fields=3, hidden=4), points()
    total = a + b * torch.tensor([1.0, -2.0, 3.0])
    assert total.count == a.count + b.count
    torch.testing.assert_close(total.jets(X), a.jets(X) + torch.tensor([1.0, -2.0, 3.0])[:, None, None] * b.jets(X))
    hidden = slice(3, 3 + 4)
    torch.testing.assert_close((b * 7.0).features(X)[:, :, hidden], b.features(X)[:, :, hidden])


def test_parameters_go_out_and_come_back():
    e, X = emitted(), points()
    again = e.with_parameters({k: v.clone().requires_grad_() for k, v in e.parameters.items()})
    torch.testing.assert_close(again(X), e(X))
    again(X).sum().backward()
    assert all(v.grad is not None for v in again.parameters.values())
    assert not again.detach().lattice.requires_grad and again.numpy().lattice.dtype == torch.float64


@pytest.mark.parametrize("m", [16, 32])
def test_the_lattice_interpolates(m):
    s = torch.linspace(-1 + 1 / m, 1 - 1 / m, m, dtype=torch.float64)

    def wave(x, y):
        return torch.sin(5 * x) * torch.cos(3 * y) + y

    coefficients = nodal_to_lattice(wave(s, s[:, None])[None, None])
    X = points(200)[None] / 0.95  # up to the edge
    error = (lattice_jets(coefficients, X)[0, 0, 0] - wave(*X[0])).abs()
    assert float(error.max()) < (0.02 if m == 16 else 2e-3)
    dx = lattice_jets(coefficients, X)[0, 0, 1] - 5 * torch.cos(5 * X[0, 0]) * torch.cos(3 * X[0, 1])
    assert float(dx.square().mean().sqrt()) < (0.2 if m == 16 else 0.03)


def test_the_gates_mix_between_two_layers():
    """With z = 1 the network passes u on, with z = 0 it passes v on."""
    e = emitted(hidden=4)
    net = {k: v.clone() for k, v in e.nets[0].items()}
    for layer in ("W1", "W2", "W3"):
        net[layer] *= 0
        net["b" + layer] = torch.full_like(net["b" + layer], 30.0)
    X = points()[None].expand(3, -1, -1)
    ones = tanh_jets(net, X)
    for layer in ("W1", "W2", "W3"):
        net["b" + layer] = torch.zeros_like(net["b" + layer])
    zeros = tanh_jets(net, X)
    e0 = tanh_jets({**net, "U": net["V"], "bU": net["bV"]}, X)
    torch.testing.assert_close(zeros, e0)
    assert not np.allclose(ones, zeros)
