"""Differential operators of the time stepper: exact on linear fields, free of units, alike alone and side by side."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from meshmove.geometry import CellMesh
from meshmove.solvers.mmpde.operators import Operators, on_device
from tests.shapes import ALL_KINDS, box, mesh_dim, size
from tests.solvers.mmpde.cases import jittered


def applied(operators, values):
    """(n, d + 2) of a field (n,), in double precision."""
    return operators(torch.as_tensor(np.ascontiguousarray(values), dtype=torch.float64)[:, None]).numpy()


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_linear_fields_are_met_exactly(kind):
    mesh = box(kind, size(kind), 0.2)
    operators, slope = Operators.of(mesh), np.arange(1.0, mesh_dim(kind) + 1)
    out = applied(operators, mesh.points @ slope + 2)
    assert np.allclose(out[:, 0], mesh.points @ slope + 2, atol=1e-6)
    assert np.allclose(out[:, 1:-1] / operators.size.numpy(), slope, atol=1e-4)
    inside = ((mesh.points > 1e-9) & (mesh.points < 1 - 1e-9)).all(axis=1)
    assert np.abs(out[inside, -1]).max() < 1e-4
    assert np.abs(applied(operators, np.ones(mesh.n_points))[:, 1:]).max() < 1e-5


def test_the_size_of_a_node_is_the_mean_length_of_its_edges():
    """A cross of lengths 1, 2, 3 and 4, whose ends are joined."""
    points = np.array([[0.0, 0], [1, 0], [0, 2], [-3, 0], [0, -4]])
    mesh = CellMesh.single(points, [[0, 1, 2], [0, 2, 3], [0, 3, 4], [0, 4, 1]], "triangle")
    rim = np.sqrt([1 + 4, 4 + 9, 9 + 16, 16 + 1])
    ends = (np.arange(1, 5) + rim + np.roll(rim, 1)) / 3
    np.testing.assert_allclose(Operators.of(mesh).size[:, 0], [2.5, *ends], rtol=1e-6)
    # and of as many nodes elsewhere
    np.testing.assert_allclose(Operators.of(mesh, 2 * points).size[:, 0], [5, *(2 * ends)], rtol=1e-6)


def test_derivatives_of_a_smooth_field_converge():
    off = []
    for n in (16, 32):
        mesh = box("triangle", n, 0.0)
        x, y = mesh.points.T
        operators = Operators.of(mesh)
        out, h = applied(operators, np.sin(3 * x) * np.cos(2 * y)), operators.size.numpy()[:, 0]
        inside = (np.abs(mesh.points - 0.5) < 0.5 - 1.5 / n).all(axis=1)
        along_x, laplacian = out[:, 1] / h - 3 * np.cos(3 * x) * np.cos(2 * y), out[:, 3] / h**2
        wrong = laplacian + 13 * np.sin(3 * x) * np.cos(2 * y)
        off.append([np.abs(e[inside]).max() for e in (along_x, wrong)])
    assert (np.log2(np.divide(*off)) > 1.8).all()


@given(seed=st.integers(0, 99), scale=st.floats(1e-3, 1e3))
@settings(max_examples=10, deadline=None)
def test_nothing_depends_on_units(seed, scale):
    mesh = jittered(n=5, seed=seed)
    values = np.random.default_rng(seed).normal(size=mesh.n_points)
    large = Operators.of(replace(mesh, points=scale * mesh.points))
    assert np.allclose(applied(large, values), applied(Operators.of(mesh), values), atol=1e-4)
    assert np.allclose(large.size, scale * Operators.of(mesh).size, rtol=1e-5)


def test_moved_nodes_have_the_operators_of_the_moved_mesh():
    mesh = jittered(n=5)
    points = mesh.points + 0.02 * np.sin(7 * mesh.points[:, ::-1])
    values = np.random.default_rng(0).normal(size=mesh.n_points)
    expected = Operators.of(replace(mesh, points=points))
    assert np.allclose(applied(Operators.of(mesh, points), values), applied(expected, values), atol=1e-6)


def test_joined_operators_are_those_of_each_mesh():
    parts = [Operators.of(jittered(n=n, seed=n)) for n in (4, 6, 3)]
    joined = Operators.join(parts)
    sizes = [p.matrix.shape[1] for p in parts]
    values = torch.randn(sum(sizes), 3)
    expected = torch.cat([p(v) for p, v in zip(parts, values.split(sizes), strict=True)])
    assert torch.allclose(joined(values), expected, atol=1e-6)
    assert torch.equal(joined.size, torch.cat([p.size for p in parts]))
    assert Operators.join(parts[:1]) is parts[0]


@pytest.mark.parametrize("kind", ["triangle", "quad", "tetra", "hexahedron", "mixed 2-D"])
def test_the_laplacian_of_a_square_is_twice_the_dimension(kind):
    mesh = box(kind, size(kind), 0.0)
    operators = Operators.of(mesh)
    off = applied(operators, (mesh.points**2).sum(axis=1))[:, -1] / operators.size.numpy()[:, 0] ** 2
    deep = (np.abs(mesh.points - 0.5) < 0.5 - 1e-9).all(axis=1)
    assert np.median(off[deep]) == pytest.approx(2 * mesh_dim(kind), rel=0.15)


def test_flat_cells_are_left_out():
    mesh = jittered(n=4)
    points = mesh.points.copy()
    a, b, c = mesh.blocks[0].nodes[5]
    points[c] = (points[a] + points[b]) / 2
    out = applied(Operators.of(mesh, points), points[:, 0])
    assert np.isfinite(out).all()


def test_products_on_other_devices_are_the_same():
    operators = Operators.of(jittered(n=5))
    there = operators.to("meta")
    assert there.size.is_meta and operators.to("meta") is there and operators.to("cpu") is operators
    for product in (operators.product, operators.sums):
        values = torch.randn(product.matrix.shape[1], 3)
        expected, again = product.times(values), product.times(product.times(values), transposed=True)
        cpu = torch.device("cpu")
        product._there = on_device(cpu, product.matrix), on_device(cpu, product.transposed)  # as on a GPU
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.allclose(product.times(values), expected, atol=1e-6)
        assert torch.allclose(product.times(expected, transposed=True), again, atol=1e-5)


@pytest.mark.parametrize("kind", ["triangle", "tetra"])
def test_a_linear_map_may_come_before_the_operators(kind):
    operators = Operators.of(box(kind, size(kind), 0.2))
    n, parts = operators.matrix.shape[1], operators.matrix.shape[0] // operators.matrix.shape[1]
    values, weight = torch.randn(n, 3), torch.randn(5, parts * 3)
    first = values @ weight.view(5, parts, 3).transpose(0, 1).reshape(-1, 3).T
    assert torch.allclose(operators.summed(first), operators(values) @ weight.T, atol=1e-4)


def test_gradients_are_those_of_finite_differences():
    operators = Operators.of(jittered(n=3))
    values = torch.randn(operators.matrix.shape[1], 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(operators, (values,))
    assert torch.autograd.gradcheck(operators.summed, (values.detach().repeat(1, 4).requires_grad_(),))
