"""Fields on meshes of second order: exact for quadratics, never outside the range of the values of their cell."""

import meshio
import numpy as np
import pytest
import skfem

import meshmove
from meshmove.geometry import PointLocator
from meshmove.geometry.cells.curvilinear import QUADRATIC
from meshmove.meshes.source import Source
from meshmove.plugins.blocks import Block, assemble
from meshmove.transfer.second_order import SecondOrder
from tests.shapes import box, bump, front

FAST = meshmove.Monitor("gradient", intensity=4)
CLASSES = [skfem.MeshTri2, skfem.MeshQuad2, skfem.MeshTet2, skfem.MeshHex2]


def quadratic(x):
    return x[0] ** 2 - x[0] * x[1] + 3 * x[-1]


def second_order(kind):
    """A box of straight cells of this kind, with all their nodes: points and cells."""
    linear, parents = QUADRATIC[kind]
    mesh = box(linear, 3)
    cells = mesh.blocks[0].nodes
    middles = np.concatenate([mesh.points[cells[:, p]].mean(axis=1) for p in parents])
    _, first, inverse = np.unique(middles.round(9), axis=0, return_index=True, return_inverse=True)
    further = mesh.n_points + inverse.reshape(len(parents), len(cells)).T
    return np.concatenate([mesh.points, middles[first]]), np.concatenate([cells, further], axis=1)


@pytest.mark.parametrize("kind", QUADRATIC)
def test_quadratics_are_exact_where_they_stay_within_their_cells_range(kind):
    points, cells = second_order(kind)
    source = Source.of(assemble(points, [Block(kind, cells, points.shape[1])]))
    second = SecondOrder(source.cells, source.cells.vertex_nodes, PointLocator(source.cells))
    x = np.random.default_rng(0).random((300, points.shape[1]))
    where = second.find(x)
    got = second.at(np.stack([quadratic(points.T), 1 + points[:, 0]], axis=1), where)
    nodes = cells[where.cells]
    low, high = (f(quadratic(points.T)[nodes], axis=1) for f in (np.min, np.max))
    np.testing.assert_allclose(got[:, 0], np.clip(quadratic(x.T), low, high), atol=1e-12)
    np.testing.assert_allclose(got[:, 1], 1 + x[:, 0], atol=1e-12)
    assert (np.abs(got[:, 0] - quadratic(x.T)) < 1e-12).mean() > 0.8


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
def test_carried_values_stay_in_range(cls):
    mesh = cls().refined(3 if cls().dim() == 2 else 2)
    rough = np.random.default_rng(0).choice([-1.0, 1.0], mesh.doflocs.shape[1])
    steep = np.tanh(12 * (mesh.doflocs[0] + 0.4 * mesh.doflocs[1] - 0.7))
    out = meshmove.adapt(mesh, monitor=bump)
    assert out.report.max_displacement > 0.01
    for values in (rough, steep, np.stack([rough, 5 * steep], axis=1), steep + 2j * rough):
        got = out.transfer(values)
        assert got.shape == values.shape and got.dtype == values.dtype
        for part in (np.real, np.imag):
            assert (part(got).max(axis=0) <= part(values).max(axis=0) + 1e-12).all()
            assert (part(got).min(axis=0) >= part(values).min(axis=0) - 1e-12).all()


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
def test_carried_values_are_of_second_order(cls):
    """A smooth field is carried as exactly as it is interpolated, at mid-side nodes too; the nodes' own lag is gone."""
    errors = []
    for refinement in (2, 3) if cls().dim() == 2 else (1, 2):
        mesh = cls().refined(refinement)
        out = meshmove.adapt(mesh, monitor=bump)

        def smooth(x):
            return np.exp(x[0]) * np.cos(x[1])

        errors.append(np.abs(out.transfer(smooth(mesh.doflocs)) - smooth(out.mesh.doflocs)).max())
    assert errors[1] < errors[0] / 3 and errors[1] < 6e-3


def test_nodes_of_curved_boundaries_keep_their_place():
    """A field that is linear is exact on curved cells, where it stays within their range."""
    mesh = skfem.MeshTri2.init_circle(3)
    out = meshmove.adapt(mesh, monitor=lambda x: 1 + 9 * np.exp(-20 * ((x - 0.2) ** 2).sum(axis=0)))
    error = np.abs(out.transfer(2 + mesh.doflocs[0]) - 2 - out.mesh.doflocs[0])
    inside = np.linalg.norm(out.mesh.doflocs, axis=0) < 0.9
    assert error[inside].max() < 1e-6 and error.max() < 1e-3  # the domain's edge itself has moved a little


def test_nodes_that_stay_keep_their_values_to_the_bit():
    mesh = skfem.MeshTri2().refined(3)
    values = np.random.default_rng(0).normal(size=mesh.doflocs.shape[1])
    out = meshmove.adapt(mesh, front, monitor=FAST)
    stayed = (out.displacement == 0).all(axis=1)
    assert 0 < stayed.sum() < len(stayed)
    assert np.array_equal(out.transfer(values)[stayed], values[stayed])


def test_conservative_transfer_keeps_what_it_promises_on_meshes_of_second_order():
    mesh = skfem.MeshTri2().refined(3)
    u = np.exp(-30 * ((mesh.doflocs - 0.4) ** 2).sum(axis=0))
    out = meshmove.adapt(mesh, u, monitor=FAST, transfer="conservative")

    def integral(m, values):
        basis = skfem.Basis(m, skfem.ElementTriP1())
        vertices = np.unique(m.t)
        return skfem.Functional(lambda w: w.u).assemble(basis, u=basis.interpolate(values[vertices]))

    assert integral(out.mesh, out.fields["field"]) == pytest.approx(integral(mesh, u), rel=1e-10)


def test_point_data_of_files_too():
    points, cells = second_order("tetra10")
    u = np.sign(np.random.default_rng(0).normal(size=len(points))).astype(np.float32)
    mesh = meshio.Mesh(points, [("tetra10", cells)], point_data={"u": u, "id": np.arange(len(points))})
    out = meshmove.adapt(mesh, monitor=bump)
    carried = out.mesh.point_data["u"]
    assert carried.dtype == np.float32 and np.abs(carried).max() <= 1 and not np.array_equal(carried, u)
    assert np.array_equal(out.mesh.point_data["id"], mesh.point_data["id"])


def test_masked_point_data_are_named_not_unmasked():
    cells = box("triangle", 4)
    mesh = meshio.Mesh(cells.points, [("triangle", cells.blocks[0].nodes)], point_data={"u": front(cells.points.T)})
    mesh.point_data["hole"] = np.ma.masked_greater(mesh.point_data["u"], 0.99)
    ids = np.flatnonzero(mesh.point_data["hole"].mask)
    message = rf"point data 'hole' \(masked at {len(ids)} nodes: {ids[0]}, {ids[1]}.*Fill them"
    with pytest.raises(meshmove.FieldError, match=message):
        meshmove.adapt(mesh, "u", monitor=FAST)
    with pytest.raises(meshmove.FieldError, match="'hole' .masked at"):
        meshmove.adapt(mesh, "hole", monitor=FAST, transfer=None)
    meshmove.adapt(mesh, "u", monitor=FAST, transfer=None)
