"""The predicted H1 error of quadratic elements as a functional of node positions."""

import numpy as np
import pytest
import skfem

from meshmove.geometry import CellMesh, PointLocator, Sides
from meshmove.monitors import NodalThirds, Recovery, third_derivatives
from meshmove.monitors.cubic import CubicError
from meshmove.movers import QuadraticAlignment
from tests.shapes import box, centres

simplices = pytest.mark.parametrize("kind", ["triangle", "tetra"])


def thirds(mesh, *fields):
    recovery = Recovery(mesh)
    sided = [recovery.sided.hessian(f[recovery.sides.vertex]) for f in fields]
    found = np.stack([third_derivatives(recovery, h) for h in sided])
    return NodalThirds(recovery.sides, PointLocator(mesh), found)


def wave(x):
    return np.sin(4 * x[0] + x[-1]) + x[0] ** 2 * x[1] ** 3


def slope(f, x, v, h=1e-6):
    return (f(x + h * v) - f(x - h * v)) / (2 * h)


@simplices
def test_the_slopes_of_a_cells_error_are_its_derivatives(kind):
    dim = 2 if kind == "triangle" else 3
    rng, rule = np.random.default_rng(0), CubicError(dim)
    unit = np.concatenate([np.zeros((dim, 1)), np.eye(dim)], axis=1)
    x = unit[..., None] + 0.2 * rng.normal(size=(*unit.shape, 4))
    t = rng.normal(size=(3, 4 if dim == 2 else 10, 4))
    moments = np.einsum("fpm,frm->prm", t, t)
    squares, by_x, by_moments = rule.slopes(x, moments)
    np.testing.assert_allclose(squares, rule.squares(x, moments))
    v, w = rng.normal(size=x.shape), rng.normal(size=moments.shape)
    along = slope(lambda y: rule.squares(y, moments), x, v)
    np.testing.assert_allclose(along, (by_x * v).sum(axis=(0, 1)), rtol=1e-7)
    np.testing.assert_allclose(rule.squares(x, moments + w) - squares, (by_moments * w).sum(axis=(0, 1)), rtol=1e-7)


@simplices
@pytest.mark.parametrize("fields", [1, 2])
def test_the_gradient_is_the_derivative(kind, fields):
    mesh = box(kind, 3, jitter=0.15)
    u = [wave(mesh.points.T), np.exp(-9 * (mesh.points**2).sum(axis=1))][:fields]
    f = QuadraticAlignment(mesh, thirds(mesh, *u), mesh.points, 0.01)
    shift = np.random.default_rng(1).uniform(-0.02, 0.02, mesh.points.shape)
    inner = 0.05 + 0.9 * (mesh.points + shift)
    value, gradient = f(inner)
    assert np.isfinite(value)
    for seed in range(3):
        v = np.random.default_rng(seed).normal(size=inner.shape)
        assert slope(lambda p: f(p)[0], inner, v) == pytest.approx(np.vdot(gradient, v), rel=1e-6)


@simplices
def test_the_gradient_is_the_derivative_beside_an_interface(kind):
    mesh = box(kind, 4)
    mesh = CellMesh(mesh.points, mesh.blocks, regions=(centres(mesh)[:, 0] < 0.5).astype(np.int64))
    x = mesh.points
    assert not Sides.of(mesh).whole
    f = QuadraticAlignment(mesh, thirds(mesh, np.where(x[:, 0] < 0.5, wave(x.T), 5 * x[:, 1] ** 4)), x, 0.01)
    on, shift = np.abs(x[:, 0] - 0.5) < 1e-9, np.random.default_rng(0).uniform(-0.02, 0.02, x.shape)
    shift[on, 0] = 0  # nodes glide along the interface
    inner = np.c_[x[:, :1], 0.05 + 0.9 * x[:, 1:]] + shift
    inner[:, 0] = np.where(on, 0.5, 0.03 + 0.94 * inner[:, 0])
    v = np.random.default_rng(0).normal(size=x.shape)
    v[on, 0] = 0
    assert slope(lambda p: f(p)[0], inner, v) == pytest.approx(np.vdot(f(inner)[1], v), rel=1e-6)


@pytest.mark.parametrize(("cls", "element"), [(skfem.MeshTri, skfem.ElementTriP2), (skfem.MeshTet, skfem.ElementTetP2)])
def test_of_a_cubic_field_it_is_the_error_of_its_interpolant(cls, element):
    mesh = cls().refined(2)
    p = mesh.p + 0.04 * np.random.default_rng(0).uniform(-1, 1, mesh.p.shape)
    mesh = cls(p, mesh.t)
    cells = CellMesh.single(mesh.p.T, mesh.t.T, "triangle" if mesh.dim() == 2 else "tetra")
    direction = np.array([1.0, -2.0, 0.5])[: mesh.dim()]
    third = 6 * np.einsum("a,b,c->abc", direction, direction, direction)  # of (direction . x)^3
    known = np.repeat(third[None, ..., None], cells.n_points, axis=-1)
    f = QuadraticAlignment(cells, NodalThirds(Sides.of(cells), PointLocator(cells), known), cells.points)
    basis = skfem.Basis(mesh, element(), intorder=6)
    found = basis.interpolate((direction @ basis.doflocs) ** 3)
    s = np.einsum("a,amq->mq", direction, np.asarray(basis.global_coordinates()))
    exact = (((np.asarray(found.grad) - 3 * s**2 * direction[:, None, None]) ** 2).sum(axis=0) * basis.dx).sum()
    assert f.squares(cells.points)[0] == pytest.approx(exact, rel=1e-9)
