"""E in torch is E of the classical mover, and its linearisation is the derivative."""

import numpy as np
import pytest
import torch
from scipy.sparse import coo_matrix, diags

from meshmove.movers.imbalance import imbalance as exact_imbalance
from meshmove.movers.laplacian import per_component
from meshmove.movers.objectives.equidistribution import Functional
from meshmove.neural import MeshBatch
from meshmove.neural.energy import Linearised, distortion_force, energy, imbalance, jacobians, state
from tests.meshmove.neural.cases import Wave, batch_of, shifted
from tests.shapes import ALL_KINDS, box

RULES = ("vertices", "interior")
every_kind = pytest.mark.parametrize("kind", ALL_KINDS)
every_rule = pytest.mark.parametrize("rule", RULES)
wave = Wave()


def tensor(points):
    return torch.from_numpy(np.array(points)).requires_grad_()


@every_kind
@every_rule
@pytest.mark.parametrize("soften", [0.0, 0.1])
def test_energy_log_q_and_gradient_are_those_of_the_functional(kind, rule, soften):
    mesh = box(kind, 2, jitter=0.15)
    # in the mesh's box, where the classical mover holds its sample points when cells may be inverted
    batch, functional, x = batch_of(mesh), Functional(mesh, wave, 0.01, rule), tensor(0.9 * shifted(mesh) + 0.05)
    at = state(batch, x, wave, rule=rule, soften=soften)
    ours = energy(batch, at, 0.01).sum() * batch.volume.sum()
    theirs, gradient = functional(x.detach().numpy(), soften)
    assert float(ours.detach()) == pytest.approx(theirs, rel=1e-11)
    np.testing.assert_allclose(torch.autograd.grad(ours, x)[0], gradient, atol=1e-11 * np.abs(gradient).max())
    np.testing.assert_allclose(batch.volume, functional.volume, rtol=1e-13)
    if not soften:
        q, jac = functional.balance(x.detach().numpy())
        np.testing.assert_allclose(at.log_q.detach().exp(), q, rtol=1e-12)
        np.testing.assert_allclose(at.jac.detach(), jac, rtol=1e-10)


@every_kind
def test_softened_energy_and_gradient_agree_at_inverted_cells(kind):
    mesh = box(kind, 2)
    batch, x = batch_of(mesh), tensor(0.8 * shifted(mesh, 1.2 if mesh.dim == 2 else 0.6))
    functional = Functional(mesh, Inside(), 0.01, "interior")
    assert jacobians(batch, x).min() < 0
    ours = energy(batch, state(batch, x, Inside(), soften=x.new_tensor([0.1])), 0.01).sum() * batch.volume.sum()
    theirs, gradient = functional(x.detach().numpy(), 0.1)
    inside, pull = functional.inside(x.detach().numpy(), 0.1)  # not the network's affair: its guard sees to it
    theirs, gradient = theirs - inside, gradient - pull[:, : mesh.dim]
    assert float(ours.detach()) == pytest.approx(theirs, rel=1e-11)
    np.testing.assert_allclose(torch.autograd.grad(ours, x)[0], gradient, atol=1e-10 * np.abs(gradient).max())


class Inside(Wave):
    """One whose extension beyond the mesh's box is that of `Functional`: constant."""

    def __call__(self, x, graph):
        return super().__call__(x.clamp(0, 1), graph)


@every_kind
def test_every_component_of_every_mesh_has_a_mean_of_its_own(kind):
    mesh, other = box(kind, 2, jitter=0.15), box("quad" if box(kind, 1).dim == 2 else "tetra", 3)
    middle = np.concatenate([mesh.points[b.nodes].mean(axis=1)[:, 0] for b in mesh.blocks])
    label = (middle > 0.5).astype(np.int64)
    whole = np.zeros(other.n_cells, np.int64)
    batch = MeshBatch.of([mesh, other], components=[label, whole])
    x = torch.from_numpy(np.concatenate([shifted(mesh), shifted(other)]))
    ours = energy(batch, state(batch, x, wave), 0.01)
    for k, (m, component) in enumerate(((mesh, label), (other, whole))):
        functional = Functional(m, wave, 0.01, "interior", component)
        part = functional(batch.split(x)[k].numpy())[0] / functional.volume.sum()
        assert float(ours[k]) == pytest.approx(part, rel=1e-11)


@pytest.mark.parametrize("kind", ["triangle", "tetra"])
def test_imbalance_is_exact_for_quadratic_monitors_on_simplices(kind):
    mesh = box(kind, 3, jitter=0.2)
    batch, x = batch_of(mesh), shifted(mesh, 0.02)
    ours = imbalance(batch, state(batch, torch.from_numpy(x), lambda x, graph: 1 + (x**2).sum(1)))
    assert float(ours) == pytest.approx(exact_imbalance(mesh, x, lambda x: 1 + (x**2).sum(0)), rel=1e-10)


@every_kind
def test_the_target_of_the_inverse_map_is_met_by_cells_with_these_volumes(kind):
    mesh = box(kind, 2, jitter=0.15)
    batch, x = batch_of(mesh), torch.from_numpy(shifted(mesh))
    target = state(batch, x).log_q
    assert float(energy(batch, state(batch, x), 0.0, target)) < 1e-25 < float(energy(batch, state(batch, x), 0.0))


@every_kind
@every_rule
def test_the_linearisation_is_the_derivative_of_log_q(kind, rule):
    mesh = box(kind, 2, jitter=0.15)
    batch, x = batch_of(mesh), torch.from_numpy(shifted(mesh))
    with torch.no_grad():
        model = Linearised(batch, state(batch, x, wave, rule=rule, slope=True), 0.01)
    v = torch.from_numpy(np.random.default_rng(0).normal(size=x.shape))
    h = 1e-6
    there, back = (state(batch, x + s * h * v, wave, rule=rule).log_q for s in (1, -1))
    shift = (there - back) / (2 * h) - model.rates(v)  # theta is left out: the same change of all log q
    scale = float(model.rates(v).abs().max())
    np.testing.assert_allclose(shift, float((batch.volume * shift).sum() / batch.volume.sum()), atol=1e-7 * scale)


@every_kind
@every_rule
def test_the_operator_is_the_matrix_of_the_classical_mover(kind, rule):
    mesh = box(kind, 2, jitter=0.15)
    batch, x = batch_of(mesh), torch.from_numpy(shifted(mesh))
    functional = Functional(mesh, wave, 0.01, rule)
    rows, columns, values, laplacian = functional.linearised(x.numpy())
    b = coo_matrix((values, (rows, columns)), shape=(mesh.n_cells, mesh.points.size)).tocsr()
    weight = np.random.default_rng(1).uniform(0.5, 2, mesh.n_cells)
    matrix = b.T @ diags(functional.volume * weight) @ b + per_component(laplacian, mesh.dim)
    with torch.no_grad():
        model = Linearised(batch, state(batch, x, wave, rule=rule, slope=True), 0.01, torch.from_numpy(weight))
    v = np.random.default_rng(0).normal(size=x.shape)
    theirs = (matrix @ v.ravel()).reshape(v.shape)
    np.testing.assert_allclose(model(torch.from_numpy(v)), theirs, atol=1e-11 * np.abs(theirs).max())


@every_kind
def test_forces_are_the_adjoint_of_rates(kind):
    mesh = box(kind, 2, jitter=0.15)
    batch, rng = batch_of(mesh), np.random.default_rng(0)
    with torch.no_grad():
        model = Linearised(batch, state(batch, batch.points, wave, slope=True), 0.01)
    v, c = torch.from_numpy(rng.normal(size=mesh.points.shape)), torch.from_numpy(rng.normal(size=mesh.n_cells))
    assert float((model.rates(v) * c).sum()) == pytest.approx(float((v * model.forces(c)).sum()), rel=1e-11)


@every_kind
@pytest.mark.parametrize("soften", [0.0, 0.1])
def test_the_distortion_force_is_minus_its_gradient(kind, soften):
    mesh = box(kind, 2, jitter=0.15)
    batch, x = batch_of(mesh), tensor(shifted(mesh))
    at = state(batch, x, soften=soften)
    (slope,) = torch.autograd.grad((at.shape * batch.share).sum(), x)
    with torch.no_grad():
        force = batch.scatter(distortion_force(batch, at))
    np.testing.assert_allclose(force, -slope, atol=1e-12 * float(slope.abs().max()))


@pytest.mark.parametrize("density", [lambda x, graph: x.new_full((len(x),), 3.0), lambda x, graph: 0 * x[:, 0] + 3])
def test_a_constant_monitor_has_no_slope(density):
    batch = batch_of(box("triangle", 2))
    for grad in (True, False):
        with torch.set_grad_enabled(grad):
            at = state(batch, batch.points, density, slope=True)
        assert not at.slope.detach().any() and at.log_q.detach().abs().max() < 1e-14


@pytest.mark.parametrize("kind", ["triangle", "hexahedron"])
def test_single_precision_agrees(kind):
    mesh = box(kind, 3, jitter=0.2)
    x = torch.from_numpy(shifted(mesh, 0.02))
    double, single = (batch_of(mesh, dtype=t) for t in (torch.float64, torch.float32))
    for soften in (0.0, 0.1):
        a = energy(double, state(double, x, wave, soften=soften), 0.01)
        b = energy(single, state(single, x.float(), wave, soften=soften), 0.01)
        assert b.dtype == torch.float32 and float(a) == pytest.approx(float(b), rel=1e-4)
