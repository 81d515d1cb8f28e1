"""The predicted H1 error as a functional of node positions."""

import numpy as np
import pytest
from conftest import box

from meshmove.geometry import CellMesh, PointLocator, Sides
from meshmove.monitors import NodalHessians, Recovery
from meshmove.movers.alignment import Alignment

simplices = pytest.mark.parametrize("kind", ["triangle", "tetra"])


def hessians(mesh, *fields):
    recovery = Recovery(mesh)
    found = np.stack([recovery.sided.hessian(f[recovery.sides.vertex]) for f in fields])
    return NodalHessians(recovery.sides, PointLocator(mesh), found)


def wave(x):
    return np.sin(4 * x[0] + x[-1]) + x[0] * x[1] ** 2


def moved(mesh, size=0.05, seed=1):
    return mesh.points + np.random.default_rng(seed).uniform(-size, size, mesh.points.shape) / 2


def slope(f, x, v, h=1e-6):
    return (f(x + h * v) - f(x - h * v)) / (2 * h)


@simplices
@pytest.mark.parametrize("fields", [1, 2])
def test_the_gradient_is_the_derivative(kind, fields):
    mesh = box(kind, 3, jitter=0.2)
    u = [wave(mesh.points.T), np.exp(-9 * (mesh.points**2).sum(axis=1))][:fields]
    f = Alignment(mesh, hessians(mesh, *u), mesh.points, 0.01)
    inner = 0.05 + 0.9 * moved(mesh)  # beyond the boundary Hessians have no slope across it
    value, gradient = f(inner)
    assert np.isfinite(value)
    for seed in range(3):
        v = np.random.default_rng(seed).normal(size=inner.shape)
        assert slope(lambda p: f(p)[0], inner, v) == pytest.approx(np.vdot(gradient, v), rel=1e-6)


@pytest.mark.parametrize("kind", ["triangle", "tetra"])
def test_the_gradient_is_the_derivative_beside_an_interface(kind):
    mesh = box(kind, 4)
    left = mesh.points[mesh.blocks[0].nodes].mean(axis=1)[:, 0] < 0.5
    mesh = CellMesh(mesh.points, mesh.blocks, regions=left.astype(np.int64))
    assert not Sides.of(mesh).whole
    x = mesh.points
    f = Alignment(mesh, hessians(mesh, np.where(x[:, 0] < 0.5, wave(x.T), 5 * x[:, 1] ** 3)), x, 0.01)
    on, shift = np.abs(x[:, 0] - 0.5) < 1e-9, np.random.default_rng(0).uniform(-0.02, 0.02, x.shape)
    shift[on, 0] = 0  # nodes glide along the interface
    inner = np.c_[x[:, :1], 0.05 + 0.9 * x[:, 1:]] + shift
    inner[:, 0] = np.where(on, 0.5, 0.03 + 0.94 * inner[:, 0])
    gradient = f(inner)[1]
    v = np.random.default_rng(0).normal(size=x.shape)
    v[on, 0] = 0
    assert slope(lambda p: f(p)[0], inner, v) == pytest.approx(np.vdot(gradient, v), rel=1e-6)


@simplices
def test_of_a_quadratic_field_it_is_the_error_of_its_interpolant(kind):
    mesh = box(kind, 3, jitter=0.2)
    d, rng = mesh.dim, np.random.default_rng(0)
    half = rng.normal(size=(d, d))
    hessian = half + half.T
    u = 0.5 * np.einsum("na,ab,nb->n", mesh.points, hessian, mesh.points)
    x = moved(mesh)
    nodes = mesh.blocks[0].nodes
    points, weights = mesh.blocks[0].kind.quadrature(2)
    shape, _ = mesh.blocks[0].kind.shape(points)
    jacobian = (x[nodes][:, 1:] - x[nodes][:, :1]).transpose(0, 2, 1)
    nodal = 0.5 * np.einsum("na,ab,nb->n", x, hessian, x)[nodes]
    of_interpolant = np.linalg.solve(jacobian.transpose(0, 2, 1), (nodal[:, 1:] - nodal[:, :1])[:, :, None])[:, :, 0]
    at = np.einsum("mvc,vq->mqc", x[nodes], shape)
    error = ((at @ hessian - of_interpolant[:, None]) ** 2).sum(axis=2) @ weights
    exact = (error * np.abs(np.linalg.det(jacobian))).sum()
    f = Alignment(mesh, hessians(mesh, u), mesh.points)
    assert f.squares(x)[0] == pytest.approx(exact, rel=1e-9)


@simplices
def test_it_is_infinite_where_a_cell_is_inverted_and_scales_as_it_should(kind):
    mesh = box(kind, 3, jitter=0.2)
    u = wave(mesh.points.T)
    f = Alignment(mesh, hessians(mesh, u), mesh.points)
    x = mesh.points.copy()
    x[np.argmin(((x - 0.5) ** 2).sum(axis=1))] += 1.0
    assert f(x) == (np.inf, None)
    assert f.error(mesh.points) == pytest.approx(1)
    seven = Alignment(mesh, hessians(mesh, u, 7 * u), mesh.points)
    y = moved(mesh)
    assert seven.error(y) == pytest.approx(np.sqrt(2) * f.error(y))
    flat = Alignment(mesh, hessians(mesh, u, 0 * u), mesh.points)
    assert flat(y)[0] == pytest.approx(f(y)[0])
