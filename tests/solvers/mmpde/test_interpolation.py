"""Laws of interpolation: rows sum to one, linear fields are met, whatever the network says that weights it."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from meshmove.motion.frames import Moving
from meshmove.solvers.mmpde.interpolation import Interpolation, Near, Placed, nearest
from meshmove.solvers.mmpde.operators import Operators
from tests.shapes import box
from tests.solvers.mmpde.cases import front, randomised

KINDS = {2: "triangle", 3: "tetra"}


def clouds(dim, seed=0, n=7):
    """Nodes of a jittered mesh, and of the same mesh moved."""
    source = box(KINDS[dim], n if dim == 2 else 4, 0.3, seed).points
    return source, source + np.random.default_rng(seed + 1).uniform(-0.08, 0.08, source.shape) / (dim - 1)


def interpolated(module, values, source, target, near):
    values, source, target = (torch.tensor(np.asarray(a), dtype=torch.float32) for a in (values, source, target))
    near = Near(torch.from_numpy(near), None, len(source))
    with torch.no_grad():
        weights = module(values, source, target, near.ids)
        return weights, near(values, weights)


def module_of(fields, dim, size=1.0, seed=0, width=8):
    return randomised(Interpolation(fields, dim, width), size, seed)


@given(
    seed=st.integers(0, 20), dim=st.sampled_from([2, 3]), size=st.sampled_from([0.0, 1.0, 30.0]),
    scale=st.sampled_from([1e-3, 1.0, 1e3]),
)  # fmt: skip
def test_linear_fields_are_met_for_any_weights_of_the_network_and_any_unit_of_length(seed, dim, size, scale):
    source, target = (scale * x for x in clouds(dim, seed))
    slope = np.random.default_rng(seed).normal(size=(dim, 3)) / scale
    near = nearest(source, target, 10 if dim == 2 else 16)
    weights, out = interpolated(module_of(3, dim, size, seed), 2 + source @ slope, source, target, near)
    assert torch.allclose(weights.sum(1), torch.ones(len(target)), atol=1e-5)
    # a network that trusts one neighbour 400 times as much as another leaves little to fit slopes to
    tolerance = 2e-4 if size <= 1 else 1e-3
    assert np.abs(out.numpy() - 2 - target @ slope).max() < tolerance * max(np.abs(source @ slope).max(), 1)
    constant = interpolated(module_of(1, dim, size, seed), np.full((len(source), 1), 3.0), source, target, near)[1]
    assert float((constant - 3).abs().max()) < 1e-4


@pytest.mark.parametrize("dim", [2, 3])
def test_linear_fields_survive_the_way_to_a_moved_mesh_and_back(dim):
    mesh = box(KINDS[dim], 12 if dim == 2 else 5, 0.1)
    moved = Moving(mesh)(front(mesh.points.T))
    assert np.abs(moved - mesh.points).max() > 0.01
    module = module_of(1, dim)
    u = 1 + mesh.points.sum(axis=1, keepdims=True)
    there = interpolated(module, u, mesh.points, moved, nearest(mesh.points, moved, 10))[1]
    assert np.abs(there.numpy() - 1 - moved.sum(axis=1, keepdims=True)).max() < 1e-4
    back = interpolated(module, there.numpy(), moved, mesh.points, nearest(moved, mesh.points, 10))[1]
    assert np.abs(back.numpy() - u).max() < 3e-4
    # and on cells
    there = Near.of(mesh, moved)(torch.tensor(u).float())
    assert np.abs(there.numpy() - 1 - moved.sum(axis=1, keepdims=True)).max() < 1e-5
    assert np.abs(Near.of(mesh.moved(moved), mesh.points)(there).numpy() - u).max() < 1e-5


@given(st.integers(0, 20), st.sampled_from(["triangle", "quad", "tetra"]))
def test_values_carried_on_cells_are_means_of_the_corners(seed, kind):
    mesh = box(kind, 4, 0.2, seed)
    rng = np.random.default_rng(seed)
    near = Near.of(mesh, rng.uniform(-0.2, 1.2, (30, mesh.dim)))  # some of them outside
    values = torch.tensor(rng.normal(size=(mesh.n_points, 2, 3)), dtype=torch.float32)
    out = near(values)
    assert out.shape == (30, 2, 3) and near.ids.shape == (30, mesh.dim + 1)
    assert float(near.weights.min()) >= -1e-6 and torch.allclose(near.weights.sum(1), torch.ones(30), atol=1e-5)
    assert torch.allclose(out[:, 1, 2], near(values[:, 1, 2]), atol=1e-6)
    # side by side
    other = Near.of(box(kind, 3), np.full((2, mesh.dim), 0.5))
    both = Near.join([near, other])
    more = torch.cat([values, torch.ones(other.count, 2, 3)])
    assert torch.allclose(both(more), torch.cat([out, torch.ones(2, 2, 3)]), atol=1e-6)


@pytest.mark.parametrize("dim", [2, 3])
def test_between_nodes_fields_bend_as_quadratic_ones_do_and_stay_among_the_corners(dim):
    n = 8 if dim == 2 else 6
    mesh, rng = box(KINDS[dim], n, 0.0), np.random.default_rng(dim)
    points = rng.uniform(1.5 / n, 1 - 1.5 / n, (40, dim))  # gradients of means of cells are exact but on the boundary
    near, plain = Near.of(mesh, points, operators=Operators.of(mesh)), Near.of(mesh, points)
    form = rng.normal(size=(dim, dim))
    quadratic = lambda x: np.einsum("ni,ij,nj->n", x, form, x) + x @ form[0]  # noqa: E731
    u = torch.tensor(quadratic(mesh.points), dtype=torch.float32)[:, None]
    corners = u[near.ids][..., 0]
    bent, out = (plain(u) + near.bends(u))[:, 0], near(u)[:, 0]
    assert np.abs(bent.numpy() - quadratic(points)).max() < 2e-5 < 1e-3 < float((plain(u)[:, 0] - bent).abs().max())
    assert torch.equal(out, torch.minimum(torch.maximum(bent, corners.amin(1)), corners.amax(1)))
    # on any mesh nothing is added to linear fields
    jittered = box(KINDS[dim], n, 0.25, 1)
    linear = torch.tensor(jittered.points @ form[0] + 1, dtype=torch.float32)[:, None]
    far = Near.of(jittered, rng.uniform(-0.1, 1.1, (40, dim)), operators=Operators.of(jittered))
    assert float(far.bends(linear).abs().max()) < 1e-5


def test_what_bends_is_the_same_side_by_side_and_has_gradients():
    meshes = box("triangle", 5, 0.2, 0), box("triangle", 4, 0.2, 1)
    nears = [Near.of(m, m.points * 0.9 + 0.04, operators=Operators.of(m)) for m in meshes]
    values = [torch.randn(m.n_points, 2, 3, generator=torch.Generator().manual_seed(0)) for m in meshes]
    both = Near.join(nears)
    out = both(joined := torch.cat(values).requires_grad_())
    assert torch.allclose(out, torch.cat([n(v) for n, v in zip(nears, values, strict=True)]), atol=1e-6)
    slope = torch.autograd.grad(both(joined)[3, 1, 2], joined)[0][:, 1, 2]
    assert float(slope.sum()) == pytest.approx(1, abs=1e-5) and int((slope != 0).sum()) >= 1  # constants stay


@given(st.integers(0, 20))
def test_the_order_of_neighbours_but_the_nearest_and_of_nodes_does_not_matter(seed):
    source, target = clouds(2, seed)
    rng = np.random.default_rng(seed)
    values, near, module = rng.normal(size=(len(source), 2)), nearest(source, target, 8), module_of(2, 2, seed=seed)
    expected = interpolated(module, values, source, target, near)[1]
    shuffled = np.c_[near[:, :1], rng.permuted(near[:, 1:], axis=1)]
    order = rng.permutation(len(source))
    assert torch.allclose(interpolated(module, values, source, target, shuffled)[1], expected, atol=1e-3)
    renumbered = np.argsort(order)[near]
    assert torch.allclose(
        interpolated(module, values[order], source[order], target, renumbered)[1], expected, atol=1e-3
    )


def test_the_network_sees_differences_of_values_and_no_absolute_position():
    source, target = clouds(2)
    values, near = np.random.default_rng(0).normal(size=(len(source), 1)), nearest(source, target, 8)
    module = module_of(1, 2, 0.5, seed=2)
    weights = interpolated(module, values, source, target, near)[0]
    assert torch.allclose(interpolated(module, values + 2, source - 0.5, target - 0.5, near)[0], weights, atol=1e-4)
    assert not torch.allclose(interpolated(module, values[::-1].copy(), source, target, near)[0], weights, atol=1e-2)


@pytest.mark.parametrize("spread", [0.0, 1e-9, 1e-4])
def test_neighbours_on_a_line_give_finite_values_and_gradients(spread):
    rng = np.random.default_rng(0)
    x = np.linspace(-1, 1, 9)
    source = torch.tensor(np.c_[x, spread * rng.normal(size=9)], dtype=torch.float32, requires_grad=True)
    target = torch.tensor([[0.03, 0.0], [0.5, 0.0]], requires_grad=True)
    values = torch.tensor(x[:, None] ** 2, dtype=torch.float32, requires_grad=True)
    module, near = module_of(1, 2), torch.arange(9).repeat(2, 1)
    weights = module(values, source, target, near)
    out = Near(near, None, 9)(values, weights)
    out.sum().backward()
    assert torch.isfinite(out).all() and torch.allclose(weights.sum(1), torch.ones(2), atol=1e-3)
    grads = [source.grad, target.grad, values.grad, *(p.grad for p in module.parameters())]
    assert all(g is not None and bool(torch.isfinite(g).all()) for g in grads)


def test_coincident_nodes_give_finite_weights():
    source = np.zeros((5, 2))
    weights, out = interpolated(module_of(1, 2), np.ones((5, 1)), source, source[:1], nearest(source, source[:1], 4))
    assert torch.isfinite(weights).all() and float(out) == pytest.approx(1, abs=1e-5)


def test_weights_are_differentiable_as_finite_differences_say():
    source, target = (torch.tensor(x[:12]) for x in clouds(2, 3))
    near = torch.from_numpy(nearest(source.numpy(), target.numpy()[:3], 6))
    module = module_of(1, 2, 0.3).double()
    values = torch.randn(12, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    source, target = source.requires_grad_(), target[:3].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda v, s, t: module(v, s, t, near), (values, source, target))


def test_fewer_nodes_than_neighbours_will_do():
    near = nearest(np.eye(3)[:, :2], np.zeros((2, 2)), 10)
    assert near.shape == (2, 3) and near.dtype == np.int64


def test_weights_from_places_alone_depend_on_no_field_no_unit_and_no_origin():
    source, target = clouds(2)
    near = nearest(source, target, 8)
    module = randomised(Placed(2, 8), 0.1)
    rng = np.random.default_rng(0)
    weights, out = interpolated(module, rng.normal(size=(len(source), 2)), source, target, near)
    again, _ = interpolated(module, rng.normal(size=(len(source), 2)), 20 * source + 3, 20 * target + 3, near)
    assert torch.allclose(weights, again, atol=1e-4) and out.shape == (len(target), 2)
    assert float((weights.sum(1) - 1).abs().max()) > 0.01  # nothing makes them sum to one


def test_weights_from_places_want_as_many_neighbours_as_they_were_made_for():
    source, target = clouds(2)
    with pytest.raises(ValueError, match=r"8 neighbours or more \(got 6 nodes\)"):
        interpolated(Placed(2, 8), source, source, target, nearest(source, target, 6))
