"""Procedural monitors: closed-form derivatives, the limits of contrast and imbalance, independence of the frame."""

import numpy as np
import pytest
import torch

from meshmove.geometry import CellMesh, PointLocator
from meshmove.monitors import NodalDensity
from meshmove.procedural import MonitorBatch, NodalMonitors, random_mesh
from meshmove.procedural.monitors.analytic_terms import KINDS, evaluate, random_term
from meshmove.procedural.monitors.random_terms import RECIPES, Frame, random_recipe


def meshes_of(seed, dim=2, count=12, **options):
    rng = np.random.default_rng(seed)
    return rng, [random_mesh(rng, dim, nodes=(120, 300), **options) for _ in range(count)]


def nodes_of(meshes):
    graph = np.repeat(np.arange(len(meshes)), [m.n_points for m in meshes])
    return torch.from_numpy(np.concatenate([m.points for m in meshes])), torch.from_numpy(graph)


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_and_hessians_of_terms_are_those_of_autograd(kind, dim):
    rng = np.random.default_rng(dim)
    rows, numbers = random_term(rng, kind, rng.uniform(-0.3, 0.3, dim), rng.uniform(0.05, 0.2), 0.7)
    table = torch.from_numpy(np.concatenate([rows.ravel(), numbers]))[:, None]
    x = torch.from_numpy(rng.uniform(-0.5, 0.5, (dim, 12)))

    def value(z):
        return evaluate(table, z[:, None], 0)[0, 0]

    many = table.expand(-1, 12)
    gradient = torch.stack([torch.func.grad(value)(z) for z in x.T], 1)
    hessian = torch.stack([torch.func.hessian(value)(z) for z in x.T], 2)
    i, j = np.triu_indices(dim)
    torch.testing.assert_close(evaluate(many, x, 1), gradient, rtol=1e-9, atol=1e-9)
    scale = float(hessian.abs().max())
    torch.testing.assert_close(evaluate(many, x, 2), hessian[i, j], rtol=1e-9, atol=1e-11 * scale)


@pytest.mark.parametrize("dim", [2, 3])
def test_monitors_are_positive_and_within_the_limits(dim):
    rng, meshes = meshes_of(dim, dim, 30 if dim == 2 else 12)
    batch = MonitorBatch.sample(rng, meshes)
    x, graph = nodes_of(meshes)
    m = batch(x, graph).numpy()
    assert np.isfinite(m).all() and m.min() > 0
    contrast = np.array([m[graph == k].max() / m[graph == k].min() for k in range(len(meshes))])
    assert contrast.min() > 1.2 and contrast.max() < 250
    assert np.ptp(np.log(contrast)) > 1.5


def test_every_recipe_can_be_asked_for_and_varies():
    rng, meshes = meshes_of(3, count=4)
    x, graph = nodes_of(meshes)
    for name in RECIPES:
        batch = MonitorBatch.sample(rng, meshes, nodal=0, kinds=[name])
        assert set(batch.kinds) == {name}
        m = batch(x, graph)
        assert all(m[graph == k].max() > 1.1 * m[graph == k].min() for k in range(len(meshes)))


def test_batched_values_are_those_of_single_meshes():
    rng, meshes = meshes_of(4)
    batch = MonitorBatch.sample(rng, meshes, nodal=0.4)
    x, graph = nodes_of(meshes)
    m = batch(x, graph).numpy()
    order = torch.from_numpy(rng.permutation(len(x)))
    np.testing.assert_allclose(batch(x[order], graph[order]).numpy(), m[order.numpy()], rtol=1e-9)
    for k in range(len(meshes)):
        np.testing.assert_allclose(batch.function(k)(meshes[k].points.T), m[graph.numpy() == k], rtol=1e-9)


def test_the_same_seed_gives_the_same_monitors():
    _, meshes = meshes_of(5, count=4)
    x, graph = nodes_of(meshes)
    one, two = (MonitorBatch.sample(np.random.default_rng(1), meshes, nodal=0.5)(x, graph) for _ in range(2))
    assert torch.equal(one, two)


@pytest.mark.parametrize("recipe", list(RECIPES))
def test_monitors_are_twice_differentiable(recipe):
    rng, meshes = meshes_of(6, count=3, affine=False)
    batch = MonitorBatch.sample(rng, meshes, nodal=0, kinds=[recipe])
    x, graph = nodes_of(meshes)
    rows = torch.from_numpy(rng.choice(len(x), 6, replace=False))
    z = x[rows].clone().requires_grad_()

    def smooth(y):
        return batch(y, graph[rows]).log()

    assert torch.autograd.gradcheck(smooth, (z,), eps=1e-7, atol=1e-4, rtol=1e-3)
    assert torch.autograd.gradgradcheck(smooth, (z,), eps=1e-7, atol=1e-2, rtol=1e-2)


def test_precisions_agree_and_are_kept():
    rng, meshes = meshes_of(7)
    x, graph = nodes_of(meshes)
    # shifts cost digits: points relative to the mesh, as the network has them
    meshes = [m.moved((m.points - m.points.mean(axis=0)) / m.extent) for m in meshes]
    x, graph = nodes_of(meshes)
    batch = MonitorBatch.sample(rng, meshes, nodal=0.3)
    exact = batch(x, graph)
    single = batch.to(dtype=torch.float32)(x.float(), graph)
    half = batch(x.half(), graph)
    assert exact.dtype == torch.float64 and single.dtype == torch.float32 and half.dtype == torch.float16
    assert float(((single.double() - exact) / exact).abs().max()) < 5e-3
    assert bool(torch.isfinite(half).all())


def test_monitors_move_with_the_mesh():
    """The same draw on a scaled and shifted mesh gives the same values: lengths are relative."""
    mesh = random_mesh(np.random.default_rng(8), 2, nodes=(200, 200), affine=False)
    other = mesh.moved(1e3 * mesh.points + [5e3, -7e3])
    for recipe in RECIPES:
        values = [
            MonitorBatch.sample(np.random.default_rng(1), [m], nodal=0, kinds=[recipe]).function(0)(m.points.T)
            for m in (mesh, other)
        ]
        np.testing.assert_allclose(*values, rtol=1e-6)


def test_features_are_resolved_by_the_mesh():
    """But for the share of thin ones, a layer is not thinner than the cells there."""
    rng, meshes = meshes_of(9, count=40)
    thin = 0
    for mesh in meshes:
        frame = Frame.of(mesh)
        recipe = random_recipe(rng, frame, "fronts")
        slope = np.linalg.norm(recipe.table[0, 6:8] @ np.linalg.inv(frame.metric))
        thin += slope * np.median(frame.sizes) > 1.5
    assert thin <= 8


@pytest.mark.parametrize("dim", [2, 3])
def test_nodal_monitors_are_the_density_of_the_classical_mover(dim):
    rng, meshes = meshes_of(10, dim, 5)
    values = [np.exp(rng.standard_normal(m.n_points)) for m in meshes]
    batch = NodalMonitors(meshes, values)
    parts, graph, wanted = [], [], []
    for k, (mesh, v) in enumerate(zip(meshes, values, strict=True)):
        inside = mesh.simplicial()
        weights = rng.dirichlet(np.ones(dim + 1), 40)
        x = np.einsum("mv,mvd->md", weights, mesh.points[rng.permutation(inside.corners[0])[:40]])
        parts.append(x)
        graph += [k] * len(x)
        wanted.append(NodalDensity(v, PointLocator(inside)).value(x.T))
    x, graph = torch.from_numpy(np.concatenate(parts)), torch.tensor(graph)
    np.testing.assert_allclose(batch(x, graph).numpy(), np.concatenate(wanted), rtol=1e-8)
    y = x[::17].clone().requires_grad_()
    scale = float(meshes[0].extent)
    assert torch.autograd.gradcheck(
        lambda z: batch(z, graph[::17]), (y,), eps=1e-9 * max(1, scale), atol=1e-3, rtol=1e-3
    )


def test_nodal_monitors_are_differentiable_in_the_values_and_bounded_outside():
    square = CellMesh.single([[0, 0], [1, 0], [1, 1], [0, 1]], [[0, 1, 2, 3]], "quad")
    v = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64, requires_grad=True)
    batch = NodalMonitors([square], [v])
    x = torch.tensor([[0.25, 0.5], [0.75, 0.5], [2.0, 0.5], [-9.0, -9.0]], dtype=torch.float64)
    m = batch(x, torch.zeros(4, dtype=torch.long))
    m.sum().backward()
    assert float(v.grad.sum()) == pytest.approx(4)
    assert 1 <= float(m.detach().min()) and float(m.detach().max()) <= 4


def test_bad_requests():
    rng, flat = meshes_of(11, 2, 1)
    solid = random_mesh(rng, 3, nodes=(60, 80))
    with pytest.raises(ValueError, match="one dimension"):
        MonitorBatch.sample(rng, [*flat, solid])
    with pytest.raises(ValueError, match="one dimension"):
        MonitorBatch.sample(rng, [])
    with pytest.raises(ValueError, match="one value a vertex"):
        NodalMonitors(flat, [np.ones(3)])
