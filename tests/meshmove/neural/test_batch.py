"""Meshes side by side as tensors, and the local repair of inverted cells."""

import numpy as np
import pytest
import torch

from meshmove.geometry import Slide, cell_volumes, facets_of
from meshmove.neural import MeshBatch
from meshmove.neural.energy import jacobians
from meshmove.neural.repair import LEAST, repair
from tests.meshmove.neural.cases import batch_of, cube
from tests.shapes import ALL_KINDS, box

every_kind = pytest.mark.parametrize("kind", ALL_KINDS)


@every_kind
def test_a_batch_is_the_disjoint_union_of_its_meshes(kind):
    mesh, other = cube(kind), cube(kind, 2, seed=1)
    both, a, b = batch_of(mesh, other), batch_of(mesh), batch_of(other)
    n, c = a.points.shape[0], len(a.volume)
    assert len(both) == 2 and both.first == [0, n, n + len(b.points)] and both.dim == mesh.dim
    for name in ("points", "rest", "weight", "share", "volume", "mass", "size"):
        assert torch.equal(getattr(both, name), torch.cat([getattr(a, name), getattr(b, name)])), name
    for name, shift in (("simplices", n), ("owner", c), ("component", 1), ("node_graph", 1), ("cell_graph", 1)):
        assert torch.equal(getattr(both, name), torch.cat([getattr(a, name), getattr(b, name) + shift])), name
    assert torch.equal(both.edges, torch.cat([a.edges, b.edges + n], 1))
    assert torch.equal(torch.cat(both.split(both.points)), both.points)
    assert "2 meshes" in repr(both)


@every_kind
def test_volumes_and_means(kind):
    batch = batch_of(cube(kind), cube(kind, 2, seed=1))
    one = torch.ones(len(batch.owner), dtype=torch.float64)
    np.testing.assert_allclose(batch.at_nodes(one), 1, rtol=1e-12)
    np.testing.assert_allclose(batch.per_cell(batch.weight), batch.volume, rtol=1e-12)
    np.testing.assert_allclose(batch.per_cell(batch.share), batch.volume, rtol=1e-12)
    np.testing.assert_allclose(batch.mean(torch.ones_like(batch.volume)), 1, rtol=1e-12)
    assert float(batch.mass.sum()) == pytest.approx(float(batch.volume.sum()), rel=1e-12)
    np.testing.assert_allclose(jacobians(batch, batch.points), 1, rtol=1e-9)
    np.testing.assert_allclose(jacobians(batch, 2 * batch.points), 2**batch.dim, rtol=1e-9)
    values = torch.rand(len(batch.owner), dtype=torch.float64)
    graph = batch.cell_graph[batch.owner]
    assert torch.equal(batch.least(values), torch.stack([values[graph == k].min() for k in (0, 1)]))


@pytest.mark.parametrize("kind", ["triangle", "tetra"])
def test_volumes_of_simplices_are_exact_and_signs_do_not_matter(kind):
    mesh = box(kind, 3, 0.3)  # of mixed orientation
    np.testing.assert_allclose(batch_of(mesh).volume, np.abs(cell_volumes(mesh)), rtol=1e-12)
    assert (jacobians(batch_of(mesh), batch_of(mesh).points) > 0).all()


@pytest.mark.parametrize("kind", ["triangle", "quad", "tetra", "hexahedron"])
def test_the_boundary_is_that_of_the_slides(kind):
    mesh = cube(kind)
    held = Slide(mesh, facets_of(mesh), "slide", [5])
    component = np.zeros(mesh.n_cells, np.int64)
    batch = MeshBatch.of([mesh, mesh], [held, Slide(mesh, facets_of(mesh))], [component, component])
    p = batch.projector(batch.points)
    np.testing.assert_allclose(p @ p, p, atol=1e-14)
    np.testing.assert_allclose(p, p.mT, atol=1e-14)
    a, b = batch.split(p.diagonal(dim1=1, dim2=2).sum(1))
    assert a[5] == 0 and int((b == 0).sum()) == 2**mesh.dim and int((b == mesh.dim).sum()) == 2**mesh.dim
    there = batch.points + torch.from_numpy(np.random.default_rng(0).normal(scale=0.05, size=batch.points.shape))
    back = batch.retract(there)
    np.testing.assert_allclose(back, batch.points + (p @ (there - batch.points)[:, :, None])[:, :, 0], atol=1e-9)
    assert torch.equal(batch.retract(back), back)


def test_precision_and_device_can_be_changed():
    batch = batch_of(cube("triangle"))
    single = batch.to(dtype=torch.float32)
    assert single.points.dtype == single.rest.dtype == torch.float32 and single.simplices.dtype == torch.int64
    assert batch.points.dtype == torch.float64 and batch.to("cpu").points is batch.points
    assert torch.equal(batch_of(cube("triangle"), dtype=torch.float32).volume, single.volume)
    if torch.cuda.is_available():
        assert batch.to("cuda").edges.is_cuda


# -- repair ----------------------------------------------------------------------------------------------------------


@every_kind
def test_a_valid_mesh_is_not_touched(kind):
    batch = batch_of(cube(kind))
    assert repair(batch, batch.points) is batch.points


@pytest.mark.parametrize("kind", ["triangle", "quad", "mixed 2-D", "tetra", "hexahedron"])
def test_a_stray_node_is_called_back_and_the_rest_stays(kind):
    batch = batch_of(cube(kind, 6, jitter=0.2), cube(kind, 3))
    inner = batch.points[: batch.first[1]].norm(dim=1).argmin()
    astray = batch.points.clone()
    astray[inner] += 0.25
    assert jacobians(batch, astray).min() < 0
    mended = repair(batch, astray)
    assert jacobians(batch, mended).min() >= LEAST
    assert torch.equal(mended[batch.first[1] :], batch.points[batch.first[1] :])
    moved = (mended - astray).norm(dim=1) > 0
    assert moved[inner] and moved.sum() < 0.6 * batch.first[1]
    assert torch.equal(batch.retract(mended), mended)  # the boundary is where it was


def test_a_hopeless_mesh_ends_after_all():
    batch = batch_of(cube("triangle"))
    flat = batch.retract(-3 * batch.points)
    assert torch.isfinite(repair(batch, flat)).all()
