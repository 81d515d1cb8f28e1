"""The loss of the network that aligns, its fields, where Hessians are looked up, and the guard."""

from __future__ import annotations

import numpy as np
import torch

from meshmove.geometry import PointLocator, Sides
from meshmove.monitors import NodalHessians, Recovery, solution_error
from meshmove.movers import Alignment
from meshmove.neural.aligning.features import Cells, predicted, predicted_sum
from meshmove.neural.aligning.guard import let_through, let_through_one
from meshmove.neural.aligning.meshes.drawn import make_meshes, read_meshes, uniform_square, write_meshes
from meshmove.neural.aligning.meshes.one_mesh import OneMesh
from meshmove.neural.aligning.meshes.simplices import Simplices
from meshmove.neural.aligning.objective import interpolation_error
from meshmove.neural.aligning.predicted import DUAL, predicted_errors
from meshmove.neural.aligning.samples import Group, prepared
from meshmove.procedural.fields import KINDS, AnalyticFields, random_field

MESH = next(make_meshes(1, (80, 120), 5))
GROUP = Group([prepared(MESH, [2], 4)])


def jiggled(size: float = 0.15) -> torch.Tensor:
    batch = GROUP.batch
    step = torch.randn(batch.points.shape, generator=torch.Generator().manual_seed(1)) * size * batch.mean.sqrt()
    return let_through(batch, batch.points, batch.project(step))[0]


def test_gradients_of_fields_are_those_of_their_values():
    rng = np.random.default_rng(3)
    for kind in KINDS:
        field = random_field(rng, MESH, kind=kind)
        x = torch.from_numpy(rng.uniform(-0.4, 0.4, (40, 2))).requires_grad_()
        graph = torch.zeros(40, dtype=torch.long)
        (slope,) = torch.autograd.grad(field.value(x, graph).sum(), x)
        assert torch.allclose(field.gradient(x, graph), slope, rtol=1e-9, atol=1e-9)


def test_fields_have_features_that_the_mesh_can_show():
    rng = np.random.default_rng(4)
    for kind in KINDS:
        for _ in range(5):
            u = random_field(rng, MESH, kind=kind).value(
                torch.from_numpy(MESH.points), torch.zeros(MESH.n_points, dtype=int)
            )
            assert bool(torch.isfinite(u).all()) and float(u.max() - u.min()) > 1e-3


def test_the_interpolation_error_is_that_of_fine_quadrature():
    field = random_field(np.random.default_rng(0), MESH, kind="wide bumps").to(dtype=torch.float64)
    batch, x = GROUP.batch, jiggled().double()
    found = interpolation_error(batch, field, x, fine=True)
    k = 12  # each cell split into 144, one point in each
    i, j = np.indices((k, k)).reshape(2, -1)
    up = np.stack([i + 1 / 3, j + 1 / 3], 1)[i + j < k]
    down = np.stack([i + 2 / 3, j + 2 / 3], 1)[i + j < k - 1]
    at = np.concatenate([up, down]) / k
    rule = torch.from_numpy(np.column_stack([1 - at.sum(1), at]))
    where = rule @ x[batch.cells]
    graph = torch.zeros(where.shape[0] * len(rule), dtype=torch.long)
    truth = field.gradient(where.reshape(-1, 2), graph).view(*where.shape)
    u = field.value(x, batch.node_graph)[batch.cells]
    edges = x[batch.cells][:, 1:] - x[batch.cells][:, :1]
    slope = torch.linalg.solve(edges, (u[:, 1:] - u[:, :1])[:, :, None])[:, :, 0]
    area = 0.5 * torch.linalg.det(edges).abs()
    exact = (area * ((truth - slope[:, None]) ** 2).sum(2).mean(1)).sum()
    assert abs(float(found / exact) - 1) < 0.01


def test_predicted_errors_are_those_that_judge_the_classical_mover():
    field = GROUP.drawn(torch.Generator().manual_seed(2))
    hessians, x = GROUP.recovered(GROUP.shown(field)), jiggled()
    u = field.to(dtype=torch.float64).value(torch.from_numpy(MESH.points), GROUP.batch.node_graph).numpy()
    h = Recovery(MESH).hessian(u)
    nodal = NodalHessians(Sides.of(MESH), PointLocator(MESH), h[None])
    points = x.double().numpy()
    components = np.stack([h[0, 0], h[0, 1], h[1, 1]]).T
    assert np.allclose(hessians.nodal(x), nodal.value(points)[0].T, atol=1e-3 * np.abs(components).max())
    classical = Alignment(MESH, nodal, MESH.points).squares(points)[0]
    slope, plain, dual = predicted_errors(GROUP.batch, hessians, x)[:, 0].tolist()
    assert abs(slope / classical - 1) < 1e-3
    judged = solution_error(MESH, nodal.value(points)[0][[0, 1, 1, 2]].reshape(2, 2, -1), points)
    assert abs(plain ** ((1 - DUAL) / 2) * dual ** (DUAL / 2) / judged - 1) < 1e-3


def test_the_guard_lets_small_steps_pass_and_no_large_one_invert():
    batch, generator = GROUP.batch, torch.Generator().manual_seed(3)
    small = batch.project(torch.randn(batch.points.shape, generator=generator)) * 1e-4
    x, share = let_through(batch, batch.points, small)
    assert torch.equal(x, batch.points + small) and float(share) == 1
    cuts = []
    for size in (0.3, 1.0, 3.0, 10.0):
        step = batch.project(torch.randn(batch.points.shape, generator=generator)) * size * batch.mean.sqrt()
        x, share = let_through(batch, batch.points, step)
        assert float(batch.ratio(x).min()) > 0
        cuts.append(float(share))
    assert cuts[0] > cuts[-1] and cuts[-1] < 0.7
    nothing, share = let_through(batch, batch.points, torch.full_like(small, torch.nan))
    assert torch.equal(nothing, batch.points) and float(share) == 0


def test_only_nodes_near_a_cell_in_the_way_draw_back():
    batch = GROUP.batch
    free = (batch.projector.diagonal(dim1=1, dim2=2).sum(1) > 1.5).nonzero()[0, 0]
    step = batch.project(torch.full_like(batch.points, 1e-3)) * batch.mean.sqrt()
    step[free] = 5 * batch.mean.sqrt()
    x, _ = let_through(batch, batch.points, step)
    whole = ((x - batch.points - step).abs().amax(1) < 1e-7).float().mean()
    assert 0.9 < float(whole) < 1


def test_a_long_step_is_evened_out_where_a_cell_is_in_its_way_and_goes_on_elsewhere():
    mesh = uniform_square(24)
    batch = Simplices.of([mesh], [np.tile(np.eye(2), (mesh.n_points, 1, 1))], lambda forces: forces, torch.float64)
    far = 6.0 * batch.mean.sqrt() * torch.tensor([1.0, 0.5], dtype=torch.float64)  # as far as six cells are wide
    step = far.repeat(mesh.n_points, 1)
    odd = 24 * 12 + 12
    step[odd] = 0.2 * far
    x, share = let_through(batch, batch.points, step)
    went = x - batch.points
    assert float(batch.ratio(x).min()) > 0 and float(share) > 0.9
    assert float((went[odd] / far).min()) > 0.6  # it goes with those around
    assert float(((went - step).abs().amax(1) == 0).double().mean()) > 0.95


def test_the_guard_of_one_mesh_lets_through_what_that_of_batches_does():
    points, generator = MESH.points, torch.Generator().manual_seed(6)
    one = OneMesh.of(MESH, GROUP.batch.projector.double().numpy(), lambda forces: forces)
    batch = Simplices.of([MESH], [one.projector], lambda forces: forces, torch.float64)
    for size in (1e-4, 0.3, 1.0, 3.0, 30.0):
        wish = torch.randn(points.shape, generator=generator, dtype=torch.float64)
        step = batch.project(wish) * size * MESH.n_points**-0.5
        x, share = let_through(batch, batch.points, step)
        there, part = let_through_one(one, points, step.numpy())
        assert np.allclose(there, x.numpy(), atol=1e-12) and abs(part - float(share)) < 1e-12
    nothing, part = let_through_one(one, points, np.full_like(points, np.nan))
    assert np.array_equal(nothing, points) and part == 0


def test_the_sum_by_squares_of_gradients_is_that_of_the_predicted_errors():
    one, random = OneMesh.of(MESH, np.eye(2)[None], lambda forces: forces), np.random.default_rng(3)
    cells = Cells.of(one, MESH.points * [1.0, 0.02])  # long ones
    h = random.standard_normal((3, 3, MESH.n_cells))
    each = [float(predicted(cells, h[:, k]).sum()) for k in range(3)]
    assert np.isclose(predicted_sum(cells, h), np.mean(each), rtol=1e-10)


def test_meshes_are_written_and_read(tmp_path):
    meshes = list(make_meshes(3, (40, 60), 8))
    again = read_meshes(write_meshes(tmp_path / "meshes.npz", meshes))
    for a, b in zip(meshes, again, strict=True):
        assert np.array_equal(a.corners[0], b.corners[0]) and np.allclose(a.points, b.points, atol=1e-7)


def test_joined_fields_are_those_of_their_meshes():
    rng = np.random.default_rng(6)
    parts = [random_field(rng, MESH) for _ in range(3)]
    x = torch.from_numpy(rng.uniform(-0.4, 0.4, (5, 2)))
    joined = AnalyticFields.joined(parts)
    for k, part in enumerate(parts):
        graph = torch.zeros(5, dtype=torch.long)
        assert torch.equal(joined.value(x, graph + k), part.value(x, graph))
