"""The network's laws: what its move may depend on, what it never does, and its derivatives."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meshmove.geometry import CellBlock, InvalidMeshError, corner_volumes
from meshmove.neural import MeshBatch, dmm
from meshmove.neural.energy import energy, imbalance, jacobians, state
from meshmove.neural.guard import FLAT, KEEP, valid
from meshmove.neural.training.samples import Samples, unit
from meshmove.procedural import MonitorBatch, NodalMonitors, random_mesh
from tests.meshmove.neural.cases import batch_of, bump, cube, model_of
from tests.shapes import box, turn

KINDS = ("triangle", "quad", "mixed 2-D", "tetra", "hexahedron")
every_kind = pytest.mark.parametrize("kind", KINDS)


def move(model, meshes, density=bump, dtype=torch.float64, **options):
    with torch.no_grad():
        return model(batch_of(*meshes, dtype=dtype), density, **options)


def advised(mesh, seed=0):
    return model_of(mesh.dim, head=0.05, seed=seed)


def assert_no_cell_inverted(batch, points):
    for mesh, x in zip(batch.meshes, batch.split(points), strict=True):
        assert (corner_volumes(mesh) * corner_volumes(mesh, x.double().numpy()) > 0).all()


@every_kind
def test_an_untrained_model_lowers_the_energy(kind):
    mesh = cube(kind, 5 if box(kind, 1).dim == 2 else 3)
    batch, model = batch_of(mesh), model_of(mesh.dim)
    trace = move(model, [mesh])
    before, after = (state(batch, x, bump) for x in (batch.points, trace.points))
    assert energy(batch, after, 0.002) < 0.3 * energy(batch, before, 0.002)
    assert imbalance(batch, after) < 0.6 * imbalance(batch, before)
    assert len(trace.images) == model.settings.inverse_rounds and len(trace.moves) == model.settings.forward_rounds + 1


@every_kind
def test_numbering_does_not_matter(kind):
    mesh, rng = cube(kind), np.random.default_rng(0)
    new = rng.permutation(mesh.n_points)  # old vertex -> its new number
    points = np.empty_like(mesh.points)
    points[new] = mesh.points
    blocks = tuple(CellBlock(b.kind, new[b.nodes][rng.permutation(len(b))]) for b in mesh.blocks[::-1])
    model = advised(mesh)
    plain, mixed = move(model, [mesh]), move(model, [replace(mesh, points=points, blocks=blocks)])
    np.testing.assert_allclose(mixed.points[torch.from_numpy(new)], plain.points, atol=1e-9)
    np.testing.assert_allclose(mixed.cut, plain.cut)


@every_kind
def test_the_advice_matters_and_the_laws_above_are_not_about_the_plain_iteration(kind):
    mesh = cube(kind)
    gap = (move(advised(mesh), [mesh]).points - move(model_of(mesh.dim), [mesh]).points).abs().max()
    assert gap > 1e-4


@every_kind
@pytest.mark.parametrize("angle", [0.5, 2.0])
def test_the_move_turns_with_the_mesh(kind, angle):
    mesh = cube(kind)
    q = torch.from_numpy(turn(angle, mesh.dim))
    model = advised(mesh)
    turned = move(model, [mesh.moved(mesh.points @ q.numpy().T)], lambda x, graph: bump(x @ q, graph))
    np.testing.assert_allclose(turned.points, move(model, [mesh]).points @ q.T, atol=1e-8)


@every_kind
def test_a_mirrored_mesh_moves_as_its_image(kind):
    mesh = cube(kind)
    flip = torch.ones(mesh.dim, dtype=torch.float64)
    flip[0] = -1
    model = advised(mesh)
    mirrored = move(model, [mesh.moved(mesh.points * flip.numpy())], lambda x, graph: bump(x * flip, graph))
    np.testing.assert_allclose(mirrored.points, move(model, [mesh]).points * flip, atol=1e-9)


@every_kind
def test_place_and_scale_do_not_matter(kind):
    mesh = cube(kind)
    far = unit(mesh.moved(1e3 * (mesh.points + 7)))
    model = advised(mesh)
    np.testing.assert_allclose(move(model, [far]).points, move(model, [mesh]).points, atol=1e-8)
    thrice = move(model, [mesh], lambda x, graph: 3 * bump(x, graph))
    np.testing.assert_allclose(thrice.points, move(model, [mesh]).points, atol=1e-9)


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("adaptive", [False, True])
def test_meshes_of_a_batch_do_not_see_each_other(dim, adaptive):
    kinds = ("triangle", "quad", "mixed 2-D") if dim == 2 else ("tetra", "hexahedron")
    meshes = [cube(kind, n, seed=n) for n, kind in enumerate(kinds, 3)]
    model = advised(meshes[0])
    together = move(model, meshes, adaptive=adaptive)
    for k, mesh in enumerate(meshes):
        alone = move(model, [mesh], lambda x, graph, k=k: bump(x, graph + k), adaptive=adaptive)
        np.testing.assert_allclose(batch_of(*meshes).split(together.points)[k], alone.points, atol=1e-9)
        np.testing.assert_allclose(together.cut[k], alone.cut[0])


@pytest.mark.parametrize("kind", ["triangle", "hexahedron"])
def test_a_constant_monitor_moves_nothing(kind):
    mesh = cube(kind)
    still = move(model_of(mesh.dim), [mesh], lambda x, graph: x.new_full((len(x),), 3.0))
    np.testing.assert_allclose(still.points, mesh.points, atol=1e-9)


def test_a_move_may_start_elsewhere():
    mesh = cube("triangle", 6)
    model, batch = model_of(), batch_of(cube("triangle", 6))
    first = move(model, [mesh]).points
    again = move(model, [mesh], start=first)
    reached = [float(imbalance(batch, state(batch, x, bump))) for x in (batch.points, first, again.points)]
    assert reached[2] <= reached[1] < 0.5 * reached[0]


# -- the guarantee ---------------------------------------------------------------------------------------------------


def anything(examples):
    """Draws of meshes, monitors, weights and precision."""

    def decorate(test):
        draws = given(
            seed=st.integers(0, 100_000),
            dim=st.sampled_from([2, 2, 3]),
            head=st.sampled_from([0.1, 1.0, 10.0, 1e3]),
            dtype=st.sampled_from([torch.float64, torch.float32]),
            training=st.booleans(),
            adaptive=st.booleans(),
        )
        return settings(max_examples=examples, suppress_health_check=[HealthCheck.too_slow])(draws(test))

    return decorate


def check_that_no_cell_is_inverted(seed, dim, head, dtype, training, adaptive):
    rng = np.random.default_rng(seed)
    meshes = [unit(random_mesh(rng, dim, nodes=(20, 60))) for _ in range(2)]
    monitor = MonitorBatch.sample(rng, meshes)
    batch = batch_of(*meshes, dtype=dtype)
    with torch.no_grad():
        trace = model_of(dim, head=head, seed=seed).train(training)(batch, monitor, adaptive=adaptive)
    assert trace.points.dtype == dtype and ((trace.cut >= 0) & (trace.cut <= 1)).all()
    assert_no_cell_inverted(batch, trace.points)


@anything(30)
def test_no_cell_is_inverted_whatever_the_weights(seed, dim, head, dtype, training, adaptive):
    check_that_no_cell_is_inverted(seed, dim, head, dtype, training, adaptive)


@pytest.mark.long
@anything(2000)
def test_no_cell_is_inverted_in_thousands_of_draws(seed, dim, head, dtype, training, adaptive):
    check_that_no_cell_is_inverted(seed, dim, head, dtype, training, adaptive)


@pytest.mark.parametrize("kind", ["triangle", "tetra"])
def test_the_guard_leaves_every_cell_its_share(kind):
    mesh = cube(kind, 4 if kind == "triangle" else 2)
    for seed in range(4):
        trace = move(model_of(mesh.dim, head=3.0, seed=seed), [mesh])
        before = 1.0
        for at in trace.images:
            assert float(at.jac.min()) >= 0.999 * KEEP * min(before, FLAT)
            before = float(at.jac.min())
        assert float(trace.cut) < 1


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_broken_weights_do_no_harm(value):
    mesh = cube("triangle")
    model = model_of()
    for p in model.parameters():
        p.data.fill_(value)
    trace = move(model, [mesh])
    assert_no_cell_inverted(batch_of(mesh), trace.points)


@pytest.mark.parametrize("kind", ["triangle", "tetra"])
def test_positions_astray_are_drawn_back(kind):
    batch = batch_of(cube(kind), cube(kind, 2))
    astray = batch.points.clone()
    n = batch.first[1]
    astray[:n] += torch.randn(n, batch.dim, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    back = valid(batch, astray, batch.points)
    assert_no_cell_inverted(batch, back)
    np.testing.assert_allclose(back[n:], batch.points[n:], atol=1e-14)  # the other mesh is left alone
    astray[0] = torch.nan
    astray[1] = torch.inf
    assert_no_cell_inverted(batch, valid(batch, astray, batch.points))


# -- derivatives -----------------------------------------------------------------------------------------------------


def uncut(kind, n=3, **options):
    """A mesh and a model whose steps the guard never shortens, for a bump of moderate height."""
    mesh = cube(kind, n, jitter=0.25)
    return mesh, model_of(mesh.dim, head=0.03, **options).double()


def mild(x, graph):
    return bump(x, graph, 1.0)


@pytest.mark.parametrize("kind", ["triangle", "quad", "tetra"])
@pytest.mark.parametrize("rule", ["interior", "vertices"])
def test_positions_are_differentiable_in_nodal_monitor_values(kind, rule):
    mesh, model = uncut(kind, 2 if kind == "tetra" else 3)
    model.requires_grad_(False)
    batch = batch_of(mesh)
    values = mild(batch.points, batch.node_graph).requires_grad_()
    direction = torch.from_numpy(np.random.default_rng(0).normal(size=mesh.points.shape))
    assert (model(batch, NodalMonitors([mesh], [values.detach()]), rule=rule).cut == 1).all()

    def moved(values):
        return (model(batch, NodalMonitors([mesh], [values]), rule=rule).points * direction).sum()

    assert torch.autograd.gradcheck(moved, values, eps=1e-7, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("kind", ["triangle", "hexahedron"])
def test_positions_are_differentiable_in_field_values(kind):
    """Through arc length of a field that a few numbers describe."""
    mesh, model = uncut(kind, 3 if kind == "triangle" else 2)
    model.requires_grad_(False)
    batch = batch_of(mesh)
    direction = torch.from_numpy(np.random.default_rng(0).normal(size=mesh.points.shape))
    field = torch.tensor([0.4, 1.5, 0.2], dtype=torch.float64, requires_grad=True)

    def moved(field):
        def arc_length(x, graph):
            slope = field[0] * torch.cos(field[1] * x[:, 0] + field[2] * x[:, 1]) * 2
            return torch.sqrt(1 + slope**2)

        trace = model(batch, arc_length)
        assert (trace.cut == 1).all()
        return (trace.points * direction).sum()

    assert torch.autograd.gradcheck(moved, field, eps=1e-6, atol=1e-6, rtol=1e-4)


def test_positions_are_differentiable_in_the_parameters():
    mesh, model = uncut("triangle")
    batch = batch_of(mesh)
    names, start = zip(*model.named_parameters(), strict=True)
    rng = np.random.default_rng(0)
    ways = [torch.from_numpy(rng.normal(size=p.shape)) for p in start]

    def moved(amount):
        weights = {n: p.detach() + amount * w for n, p, w in zip(names, start, ways, strict=True)}
        return torch.func.functional_call(model, weights, (batch, mild)).points

    zero = torch.zeros((), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(moved, zero, eps=1e-6, atol=1e-6, rtol=1e-4)
    model(batch, mild).points.square().sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in start)


@pytest.mark.parametrize("kind", ["triangle", "tetra"])
def test_with_and_without_gradients_it_is_the_same_move(kind):
    mesh = cube(kind, 3)
    model, batch = model_of(mesh.dim, head=0.2), batch_of(mesh)
    plain = move(model, [mesh])
    with_grad = model(batch, bump)
    assert with_grad.points.requires_grad and torch.equal(with_grad.points, plain.points)
    assert torch.equal(model(batch, bump).points, with_grad.points)


def test_training_follows_the_state_that_was_wished_for():
    """Where the guard shortened a step, the loss sees where it was to lead."""
    mesh = cube("triangle", 5)
    model, batch = model_of(head=3.0), batch_of(mesh)
    kept = model(batch, bump, detach=True)
    wished = model.train()(batch, bump, detach=True)
    assert float(kept.cut.detach()) < 1
    assert torch.equal(kept.points, wished.points)
    assert any(not torch.equal(a.points, b.points) for a, b in zip(kept.images, wished.images, strict=True))
    loss = sum(energy(batch, at, 0.002).sum() for at in wished.moves)
    loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


# -- precision and bad input -----------------------------------------------------------------------------------------


@every_kind
def test_single_precision_agrees(kind):
    mesh = cube(kind)
    model = advised(mesh)
    single = move(model, [mesh], dtype=torch.float32)
    assert single.points.dtype == torch.float32
    np.testing.assert_allclose(single.points, move(model, [mesh]).points, atol=2e-4)


@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_model_in_half_precision_moves_well(precision, dtype):
    mesh = cube("triangle", 6)
    trace = move(advised(mesh).to(precision), [mesh], dtype=dtype)
    assert trace.points.dtype == dtype
    assert_no_cell_inverted(batch_of(mesh), trace.points)
    np.testing.assert_allclose(trace.points, move(advised(mesh), [mesh]).points, atol=0.02)


def test_a_batch_has_meshes_and_one_dimension():
    with pytest.raises(InvalidMeshError, match="at least one mesh"):
        MeshBatch.of([])
    with pytest.raises(InvalidMeshError, match="one dimension"):
        batch_of(cube("triangle"), cube("tetra"))
    with pytest.raises(InvalidMeshError, match="3-D"):
        model_of(2)(batch_of(cube("tetra")), bump)


def test_samples_run_through_a_batch():
    batch, monitor = Samples(2, 0, 20, (25, 60)).batch(range(6))
    with torch.no_grad():
        trace = model_of()(batch, monitor)
    before, after = (imbalance(batch, state(batch, x, monitor)) for x in (batch.points, trace.points))
    assert after.median() < 0.6 * before.median()
    assert (batch.least(jacobians(batch, trace.points)) > 0).all()


def test_what_is_no_settings_is_refused():
    with pytest.raises(TypeError, match="Expected the Settings of a DMM .got int"):
        dmm.DMM(3)
