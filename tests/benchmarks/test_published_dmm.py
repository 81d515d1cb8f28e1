"""The published baseline: derivatives, losses and samples against values made by hand, and a short training."""

import numpy as np
import pytest
import torch

from benchmarks.dmm.published_dmm import case as case_of
from benchmarks.dmm.published_dmm import losses, network
from benchmarks.dmm.published_dmm import train as training
from meshmove.geometry import CellMesh, Disk, Rectangle
from meshmove.solvers.generators.burgers import burgers_trajectories


@pytest.fixture(scope="module")
def case():
    data = burgers_trajectories(2, cells=16, stride=2, frames=4, end=0.3)
    return case_of.Case(data.mesh, data.fields["u"].reshape(-1, len(data.points)), resolution=33)


@pytest.fixture(params=["graph", "grid"])
def model(request, case):
    return training.build(case, training.Config(branch=request.param)).eval().double()


def test_derivatives_are_those_of_autograd(model, case):
    u = case.inputs(np.array([1, 5])).double()
    xi = torch.rand(2, 7, 2, dtype=torch.float64, generator=torch.manual_seed(0)).requires_grad_()
    phi = model(u, xi)
    (slope,) = torch.autograd.grad(phi.sum(), xi, create_graph=True)
    second = [torch.autograd.grad(slope[..., k].sum(), xi, retain_graph=True)[0] for k in (0, 1)]
    (jets,) = model.features(u, xi)
    weight = model.last.weight[0]
    d = losses.contracted(jets, weight)
    torch.testing.assert_close(jets.value @ weight + model.last.bias, phi)
    torch.testing.assert_close(torch.stack([d.x, d.y], dim=-1), slope)
    torch.testing.assert_close(torch.stack([d.xx, d.xy], dim=-1), second[0])
    torch.testing.assert_close(torch.stack([d.xy, d.yy], dim=-1), second[1])
    torch.testing.assert_close(model.displacement(u, xi), slope)


def test_messages_are_means_over_neighbours():
    layer = network._Layer(2).eval()
    rng = torch.manual_seed(1)
    h, given = torch.rand(3, 1, 2, generator=rng), torch.rand(3, 1, 3, generator=rng)
    out = layer(h, given, torch.tensor([[1, 2, 0], [0, 0, 1]]))
    a, b = layer.to_i.weight[:, :2], layer.to_i.weight[:, 2:]

    def message(i, j):
        first = a @ h[i, 0] + layer.to_j.weight @ h[j, 0] + b @ (given[i, 0] - given[j, 0]) + layer.to_i.bias
        return torch.tanh(layer.message_2(torch.tanh(first)))

    def update(i, mean):
        return h[i, 0] + torch.tanh(layer.update_2(torch.tanh(layer.update_1(torch.cat([h[i, 0], mean])))))

    means = (message(0, 1) + message(0, 2)) / 2, message(1, 0), h.new_zeros(2)
    new = torch.stack([update(i, mean) for i, mean in enumerate(means)])
    torch.testing.assert_close(out[:, 0], layer.norm(new))


def test_neighbours_are_the_nearest():
    edges = network.neighbour_graph(np.array([[0.0, 0], [1, 0], [3, 0], [7, 0]]), 2)
    assert sorted(map(tuple, edges.T.tolist())) == [
        (0, 1), (0, 2), (1, 0), (1, 2), (1, 3), (2, 0), (2, 1), (2, 3)
    ]  # fmt: skip


def of(*values):
    return losses.Derivatives(*(torch.tensor([[v]]) for v in values))


def test_losses_are_those_computed_by_hand():
    d = of(0.1, -0.2, 0.5, 0.25, -0.2)
    xi = torch.tensor([[[0.3, 0.4]]])
    # m = 1 + x at the moved point (0.4, 0.2), det = 1.5 0.8 - 0.0625
    residual = 1.4 * (1.5 * 0.8 - 0.0625) / 2 - 1
    found = losses.interior_loss(d, xi, lambda x: 1 + x[..., 0], torch.tensor([2.0]))
    torch.testing.assert_close(found, torch.tensor(residual**2))
    normals = torch.tensor([[[0.6, 0.8]]])
    torch.testing.assert_close(losses.boundary_loss(d, normals), torch.tensor((0.06 - 0.16) ** 2))
    assert losses.convexity_loss(d) == 0
    torch.testing.assert_close(losses.convexity_loss(of(0.0, 0.0, -1.5, 0.0, -3.0)), torch.tensor(0.25 + 4.0))
    parts = (torch.tensor(2.0), torch.tensor(0.003), torch.tensor(0.5))
    torch.testing.assert_close(losses.total_loss(*parts), torch.tensor(5.5))


def test_an_equidistributing_potential_has_no_interior_loss():
    # m = 1 / (2 x) on moved points x = xi^2 / 2 + xi / 2 ... by the map xi -> xi (1 + xi) / 2, whose slope is xi + 1/2
    xi = torch.rand(1, 50, 2, generator=torch.manual_seed(2))
    x = xi[..., 0]
    zero = torch.zeros_like(x)
    d = losses.Derivatives(x * (x - 1) / 2, zero, x - 0.5, zero, zero)

    def monitor(moved):
        root = (torch.sqrt(1 + 8 * moved[..., 0]) - 1) / 2  # xi of a moved point
        return 3 / (root + 0.5)

    assert losses.interior_loss(d, xi, monitor, torch.tensor([3.0])) < 1e-10


def test_the_monitor_is_the_published_one():
    mesh = Rectangle((0, 0), (2, 1)).mesh(0.3, engine="scipy")
    x, y = mesh.points.T
    m = case_of.published_monitor(mesh, np.stack([3 * x - 4 * y, 1e-3 * x, x**2], axis=1))
    np.testing.assert_allclose(m[:, :2], 101, rtol=1e-6)
    np.testing.assert_allclose(m[:, 2], 1 + 2 * x / (0.01 * 2), rtol=1e-6)  # the mean of 2 x is 2
    assert (case_of.published_monitor(mesh, np.ones((len(x), 1))) == 1).all()


def test_rasters_and_means_agree_with_the_mesh():
    mesh = Rectangle((1, 1), (5, 3)).mesh(0.4, engine="scipy")
    x, y = mesh.points.T
    made = case_of.Case(mesh, ((x - 1) ** 2)[None], resolution=161)
    np.testing.assert_allclose(made.theta, 101, rtol=1e-5)
    at = torch.tensor([[[0.25, 0.3], [0.5, 0.1], [0.9, 0.45]]])  # scaled by 4
    expected = 1 + 4 * at[..., 0] / 2 / 0.01
    torch.testing.assert_close(made.monitor(np.array([0]))(at), expected.float(), rtol=0.02, atol=0.0)


def test_samples_follow_the_monitor_and_the_boundary():
    mesh = (Rectangle((0, 0), (2, 1), "box") - Disk((1, 0.5), 0.2, "hole")).mesh(0.1, engine="scipy")
    x, y = mesh.points.T
    made = case_of.Case(mesh, np.where(x > 1, (x - 1) ** 2, 0)[None])
    rng = np.random.default_rng(0)
    inside = made.interior(np.zeros(3, int), 2000, rng).numpy()
    assert inside.shape == (3, 2000, 2) and np.mean(inside[..., 0] > 0.5) > 0.97
    assert (np.hypot(*(inside - [0.5, 0.25]).T) > 0.096).all()
    at, normal = (a.numpy().reshape(-1, 2) for a in made.boundary(3, 2000, rng))
    np.testing.assert_allclose(np.linalg.norm(normal, axis=1), 1, rtol=1e-5)
    hole = np.hypot(*(at - [0.5, 0.25]).T) < 0.11
    np.testing.assert_allclose(hole.mean(), 0.4 * np.pi / (6 + 0.4 * np.pi), atol=0.02)
    assert ((normal[hole] * (at[hole] - [0.5, 0.25])).sum(axis=1) < 0).all()  # outwards is into the hole
    np.testing.assert_allclose(normal[at[:, 0] < 1e-6], [[-1, 0]] * np.sum(at[:, 0] < 1e-6), atol=1e-6)


def test_training_lowers_the_loss_resumes_and_moves(case, tmp_path):
    config = training.Config(steps=20, fields=4, points=64, sides=32, bfgs_rounds=1, bfgs_steps=20, bfgs_fields=6)
    whole = training.trained(case, config, tmp_path / "a", "small", every=5)
    first, last = whole.history[0], whole.history[-1]
    assert last[1] + 1000 * last[2] < 0.5 * (first[1] + 1000 * first[2])
    with pytest.MonkeyPatch.context() as patch:  # stopped after 10 steps
        real = training._adam_step

        def stops(*args):
            if args[-1] == 10:
                raise KeyboardInterrupt
            return real(*args)

        patch.setattr(training, "_adam_step", stops)
        with pytest.raises(KeyboardInterrupt):
            training.trained(case, config, tmp_path / "b", "small", every=5)
    again = training.trained(case, config, tmp_path / "b", "small", every=5)
    for a, b in zip(whole.network.state_dict().values(), again.network.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    assert training.trained(case, config, tmp_path / "a", "small").history == whole.history
    points = training.move(case, whole.network, case.fields[:2].numpy())
    assert points.shape == (2, *case.mesh.points.shape)
    sides = np.unique(np.concatenate(list(case.mesh.facets.values())))
    assert (np.isin(points[:, sides], (0, 1)).any(axis=2)).all()  # put back onto the boundary


def test_an_unknown_branch_is_named(case):
    with pytest.raises(ValueError, match="'graph' or 'grid' \\(got 'tree'\\)"):
        training.build(case, training.Config(branch="tree"))


def test_a_mesh_of_one_cell_is_enough():
    mesh = CellMesh.single([[0, 0], [1, 0], [0, 1]], [[0, 1, 2]], "triangle")
    assert case_of.published_monitor(mesh, np.array([[0.0], [1], [2]])).shape == (3, 1)
