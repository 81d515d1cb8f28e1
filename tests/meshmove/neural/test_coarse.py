"""The coarse level that large meshes start from, and the guard that draws back only what is in the way."""

import numpy as np
import pytest
import torch

import meshmove
from meshmove.geometry import CellMesh, Disk, PointLocator, Rectangle, Slide, cell_volumes, facets_of
from meshmove.monitors import CallableDensity
from meshmove.movers import Problem
from meshmove.neural import Neural
from meshmove.neural import coarse as module
from meshmove.neural.energy import jacobians
from meshmove.neural.guard import FLAT, KEEP, let_through
from tests.meshmove.neural.cases import batch_of, cube, model_of
from tests.shapes import ring

SQUARE, HOLED = Rectangle((0, 0), (1, 1)), Rectangle((0, 0), (1, 1)) - Disk((0.5, 0.5), 0.2)


def problem(mesh, monitor=ring, start=None, **options):
    facets = facets_of(mesh)
    density = CallableDensity(monitor, np.zeros(2), 1.0)
    return Problem(mesh, facets, Slide(mesh, facets, **options), density, mesh.points if start is None else start)


@pytest.fixture
def mesh(monkeypatch):
    monkeypatch.setattr(module, "LARGE", 400)
    monkeypatch.setattr(module, "COARSE", 250)
    return HOLED.mesh(0.04)


def outline(mesh):
    facets = facets_of(mesh)
    return facets.nodes[facets.exterior][:, :2]


@pytest.mark.parametrize("domain", [SQUARE, HOLED, SQUARE - Rectangle((0.5, 0.5), (1, 1))])
def test_the_coarse_mesh_covers_the_domain(domain):
    mesh = domain.mesh(0.025)
    slide = Slide(mesh, facets_of(mesh))
    coarse, fixed = module.coarsened(mesh, outline(mesh), slide.fixed, 300, PointLocator(mesh))
    assert 150 < coarse.n_points < 600 < mesh.n_points
    assert np.abs(cell_volumes(coarse)).sum() == pytest.approx(domain.area, rel=0.01)
    kept = {tuple(p) for p in coarse.points[fixed]}
    assert kept == {tuple(p) for p in mesh.points[slide.fixed]}


def test_the_start_is_near_the_move_and_on_the_boundary(mesh):
    task = problem(mesh)
    points, share, rounds = module.coarse_start(model_of(2), task)
    assert task.imbalance(points) < 0.5 * task.imbalance(mesh.points)
    assert 0 < share <= 1 and rounds >= 1
    nodes = np.unique(outline(mesh))
    assert np.abs(HOLED.signed_distance(points[nodes].T)).max() < 2e-3  # the hole is a polygon
    np.testing.assert_array_equal(points[task.slide.fixed], mesh.points[task.slide.fixed])


def test_a_start_is_made_only_where_it_can_be(mesh):
    model = model_of(2)
    moved = mesh.points.copy()
    moved[len(moved) // 2] += 1e-4
    inside = np.setdiff1d(np.arange(mesh.n_points), outline(mesh))[0]
    split = CellMesh(mesh.points, mesh.blocks, regions=(mesh.points[mesh.corners[0]].mean(1)[:, 0] > 0.8).astype(int))
    assert module.coarse_start(model, problem(mesh)) is not None
    assert module.coarse_start(model, problem(mesh, start=moved)) is None
    assert module.coarse_start(model, problem(mesh, fixed=[inside])) is None
    assert module.coarse_start(model, problem(split)) is None
    assert module.coarse_start(model, problem(SQUARE.mesh(0.2))) is None


def test_a_fixed_boundary_stays_through_the_coarse_level(mesh):
    out = meshmove.adapt(_meshio(mesh), monitor=ring, mover=Neural(model_of(2)), boundary="fixed")
    assert out.report.inverted_cells == 0 and out.report.imbalance_after < 0.5 * out.report.imbalance_before
    nodes = np.unique(outline(mesh))
    assert (out.displacement[nodes] == 0).all()


def _meshio(mesh):
    import meshio

    return meshio.Mesh(mesh.points, [("triangle", mesh.blocks[0].nodes)])


def test_a_cell_in_the_way_does_not_stop_nodes_far_from_it():
    batch = batch_of(cube("triangle", 16))
    x = batch.points
    at = int(((x - x.mean(0)) ** 2).sum(1).argmin())
    step = torch.full_like(x, 1e-3) * (batch.projector(x).diagonal(dim1=1, dim2=2).sum(1) > 1.5)[:, None]
    step[at] += 0.15  # over its neighbours
    new, share = let_through(batch, x, step)
    assert (jacobians(batch, new) >= KEEP * jacobians(batch, x).clamp_max(FLAT) - 1e-12).all()
    far = ((x - x[at]) ** 2).sum(1) > 0.4**2
    torch.testing.assert_close(new[far], batch.retract(x + step)[far])
    assert 0 <= float(share) <= 1
    calm, whole = let_through(batch, x, step.clamp(max=1e-3))
    assert float(whole) == 1
