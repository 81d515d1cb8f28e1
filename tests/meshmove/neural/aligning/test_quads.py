"""The network that aligns on quadrilaterals, with the errors of bilinear interpolants; solutions for training."""

from __future__ import annotations

import numpy as np
import pytest
import skfem
import torch

import meshmove
from meshmove.geometry import (
    CellBlock,
    CellMesh,
    PointLocator,
    Sides,
    UnsupportedMeshError,
    facets_of,
    inverted_cells,
    kind_of,
)
from meshmove.geometry.cells.quadrature import simplex_rule
from meshmove.monitors import NodalHessians
from meshmove.movers import Alignment
from meshmove.neural import Aligner, FieldBatch, Neural
from meshmove.neural.aligning.meshes.drawn import make_meshes
from meshmove.neural.aligning.network import Settings
from meshmove.neural.aligning.objective import interpolation_error
from meshmove.neural.aligning.predicted import predicted_errors
from meshmove.neural.aligning.samples import Group, prepared, solutions
from meshmove.procedural.fields import random_field

MESH = next(make_meshes(1, (80, 120), 5, quads=True))
GROUP = Group([prepared(MESH, [2], 2)])


def jiggled(size: float = 0.1) -> torch.Tensor:
    batch = GROUP.batch
    step = torch.randn(batch.points.shape, generator=torch.Generator().manual_seed(1)) * size * batch.mean.sqrt()
    return batch.points + batch.project(step)


def test_the_interpolation_error_is_that_of_fine_quadrature():
    field = random_field(np.random.default_rng(0), MESH, kind="wide bumps").to(dtype=torch.float64)
    x, k = jiggled().double(), 20
    found = interpolation_error(GROUP.batch, field, x, fine=True)
    quads = x[torch.from_numpy(MESH.blocks[0].nodes)]  # (q, 4, 2)
    u = field.value(quads.reshape(-1, 2), torch.zeros(4 * len(quads), dtype=torch.long)).view(-1, 4)
    s, t = (v.ravel() for v in np.meshgrid((np.arange(k) + 0.5) / k, (np.arange(k) + 0.5) / k))
    slope = torch.from_numpy(np.array([[t - 1, s - 1], [1 - t, -s], [t, s], [-t, 1 - s]]))
    shape = torch.from_numpy(np.array([(1 - s) * (1 - t), s * (1 - t), s * t, (1 - s) * t]))
    jacobian = torch.einsum("civ,idq->cqvd", quads, slope)
    own = torch.linalg.solve(jacobian.mT, torch.einsum("ci,idq->cqd", u, slope)[..., None])[..., 0]
    where = torch.einsum("civ,iq->cqv", quads, shape)
    truth = field.gradient(where.reshape(-1, 2), torch.zeros(where[..., 0].numel(), dtype=torch.long))
    exact = (((truth.view(*where.shape) - own) ** 2).sum(2) * torch.linalg.det(jacobian).abs()).sum() / k**2
    assert abs(float(found / exact) - 1) < 0.05  # by nine points


def test_predicted_errors_of_parallelograms_are_those_of_the_classical_mover():
    i, j = np.meshgrid(np.arange(6), np.arange(5), indexing="ij")
    a = (i[:-1, :-1] * 5 + j[:-1, :-1]).ravel()
    points = np.stack([i.ravel(), j.ravel()], 1) @ [[0.2, 0.05], [-0.04, 0.1]] - [0.4, 0.3]
    mesh = CellMesh.single(points, np.stack([a, a + 5, a + 6, a + 1], 1), "quad")
    group = Group([prepared(mesh, [2], 1)])
    h = np.tile([[[3.0, 1.0], [1.0, -2.0]]], (mesh.n_points, 1, 1))
    nodal = NodalHessians(Sides.of(mesh), PointLocator(mesh.simplicial()), h.transpose(1, 2, 0)[None])
    quadratic = torch.from_numpy(0.5 * np.einsum("ni,nij,nj->n", points, h, points))
    slope, plain, _ = predicted_errors(group.batch, group.hessians(quadratic), group.batch.points)[:, 0].tolist()
    assert abs(slope / 2 / Alignment(mesh, nodal, points).squares(points)[0] - 1) < 1e-4  # corners cover a cell twice
    sides = points[[5, 1]] - points[0]
    first, second = np.einsum("ki,ij,kj->k", sides, h[0], sides)
    area = mesh.n_cells * abs(np.linalg.det(sides)) / group.parts[0].scale ** 2
    assert abs(plain / 2 / area * 360 / (3 * first**2 + 3 * second**2 + 5 * first * second) - 1) < 1e-4


def test_the_network_on_quadrilaterals_lowers_the_predicted_error_and_the_true_one():
    t = np.linspace(0, 1, 15)
    mesh = skfem.MeshQuad.init_tensor(t, t)

    def layer(x):
        return np.tanh(12 * (x[0] + 0.4 * x[1] - 0.7))

    out = meshmove.adapt(mesh, layer, mover="dmm", effort=0.1)
    report = out.report
    assert report.objective == "alignment" and report.inverted_cells == 0 and report.polish == 0
    assert report.predicted_error_after < 0.7 * report.predicted_error_before

    def error(m):
        basis = skfem.Basis(m, skfem.ElementQuad1(), intorder=6)
        u = basis.interpolate(layer(m.p))
        return skfem.Functional(lambda w: (w["u"] - layer(w.x)) ** 2).assemble(basis, u=u) ** 0.5

    assert error(out.mesh) < 0.7 * error(mesh)


def test_quadrilaterals_in_a_batch_move_as_they_do_alone_and_turn_with_the_mesh():
    torch.manual_seed(0)
    model = Aligner(Settings(width=12, layers=2, rounds=2, turns=True)).double()
    torch.nn.init.normal_(model.head[-1].weight, 0, 0.3)

    def moved(*meshes, along=(1.0, 0.0)):
        batch = FieldBatch.of(meshes, dtype=torch.float64)
        with torch.no_grad():
            return [x.numpy() for x in model.move(batch, [np.tanh(4 * m.points @ along) for m in meshes])]

    plain = moved(MESH)[0]
    assert np.abs(plain - MESH.points).max() > 1e-3 and not len(inverted_cells(MESH, plain))
    other = next(make_meshes(1, (60, 70), 9, quads=True))
    assert np.allclose(moved(other, MESH)[1], plain, atol=1e-9)
    turn = np.array([[np.cos(0.7), np.sin(0.7)], [np.sin(0.7), -np.cos(0.7)]])
    assert np.allclose(moved(MESH.moved(MESH.points @ turn.T), along=turn[:, 0])[0], plain @ turn.T, atol=1e-8)


def test_quadrilaterals_with_others_are_refused_by_batches_and_left_to_the_network_for_monitors():
    points = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [2, 0], [2, 1]], float)
    square = CellBlock(kind_of("quad"), np.array([[0, 1, 2, 3]]))
    halves = CellBlock(kind_of("triangle"), np.array([[1, 4, 5], [1, 5, 2]]))
    mixed = CellMesh(points, (square, halves))
    with pytest.raises(UnsupportedMeshError, match="got quad, triangle"):
        FieldBatch.of([mixed])
    with pytest.raises(UnsupportedMeshError, match="got quad, triangle"):
        FieldBatch.of([MESH, MESH.simplicial()])
    assert Neural().aligns(MESH) and not Neural().aligns(mixed)


@pytest.mark.parametrize("quads", [False, True])
def test_solutions_that_training_shows_are_those_of_galerkin(quads):
    mesh = next(make_meshes(1, (80, 120), 6, quads=quads))
    field = random_field(np.random.default_rng(1), mesh, kind="wide bumps").to(dtype=torch.float64)
    u = field.value(torch.from_numpy(mesh.points), torch.zeros(mesh.n_points, dtype=torch.long)).numpy()
    (found,) = solutions(mesh, field)
    facets = facets_of(mesh)
    rim = np.unique(facets.nodes[facets.cells[:, 1] < 0])
    assert np.array_equal(found[rim], u[rim])
    assert 0 < np.abs(found - u).max() < 0.05 * np.ptp(u)
    if not quads:  # the solution is the best in the energy norm: also better than the interpolant
        batch = Group([prepared(mesh, [1], 1)]).batch

        def error(values):
            slope = np.einsum("cvi,cv->ci", batch.slopes.double().numpy(), values[mesh.corners[0]])
            rule, weights = simplex_rule(2, 4)
            at = torch.from_numpy(np.einsum("vq,cvd->cqd", rule, mesh.points[mesh.corners[0]]).reshape(-1, 2))
            truth = field.gradient(at, torch.zeros(len(at), dtype=torch.long)).numpy().reshape(len(slope), -1, 2)
            area = batch.area.double().numpy()
            return float((area * (2 * ((truth - slope[:, None]) ** 2).sum(2) @ weights)).sum())

        assert error(found) < error(u)
        bent = found.copy()
        inner = np.setdiff1d(np.arange(mesh.n_points), rim)
        bent[inner] += 1e-3 * np.random.default_rng(0).standard_normal(len(inner))
        assert error(found) < error(bent)
