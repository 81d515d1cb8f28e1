"""The predicted H1 error as a functional of node positions."""

import numpy as np
import pytest
import skfem

import meshmove
from meshmove.geometry import CellMesh, PointLocator, Sides
from meshmove.monitors import NodalHessians, Recovery
from meshmove.monitors.isoparametric import Isoparametric
from meshmove.movers.objectives import alignment
from meshmove.movers.objectives.alignment import Alignment
from meshmove.plugins.skfem import converter
from tests.shapes import ALL_KINDS, box, centres

simplices = pytest.mark.parametrize("kind", ["triangle", "tetra"])
every_kind = pytest.mark.parametrize("kind", ALL_KINDS)


def hessians(mesh, *fields):
    recovery = Recovery(mesh)
    found = np.stack([recovery.sided.hessian(f[recovery.sides.vertex]) for f in fields])
    return NodalHessians(recovery.sides, PointLocator(mesh.simplicial()), found)


def wave(x):
    return np.sin(4 * x[0] + x[-1]) + x[0] * x[1] ** 2


def moved(mesh, size=0.05, seed=1):
    return mesh.points + np.random.default_rng(seed).uniform(-size, size, mesh.points.shape) / 2


def slope(f, x, v, h=1e-6):
    return (f(x + h * v) - f(x - h * v)) / (2 * h)


@every_kind
@pytest.mark.parametrize("fields", [1, 2])
def test_the_gradient_is_the_derivative(kind, fields):
    # faces of jittered pyramids are not plane: the simplices that Hessians are linear on leave gaps between them
    mesh = box(kind, 4 if kind == "mixed 3-D" else 3, jitter=0 if kind == "pyramid" else 0.15)
    u = [wave(mesh.points.T), np.exp(-9 * (mesh.points**2).sum(axis=1))][:fields]
    f = Alignment(mesh, hessians(mesh, *u), mesh.points, 0.01)
    inner = 0.05 + 0.9 * moved(mesh, 0.04)  # beyond the boundary Hessians have no slope across it
    value, gradient = f(inner)
    assert np.isfinite(value)
    for seed in range(3):
        v = np.random.default_rng(seed).normal(size=inner.shape)
        assert slope(lambda p: f(p)[0], inner, v) == pytest.approx(np.vdot(gradient, v), rel=1e-6)


@simplices
@pytest.mark.parametrize("fields", [1, 2])
def test_cells_in_parts_are_the_same_and_vertices_are_summed_once(kind, fields, monkeypatch):
    """Sums over all vertices for each part made the cost grow like the square of the cells."""
    mesh = box(kind, 5, jitter=0.15)
    u = [wave(mesh.points.T), np.exp(-9 * (mesh.points**2).sum(axis=1))][:fields]
    inner = 0.05 + 0.9 * moved(mesh, 0.02)
    sums, plain = [], np.bincount
    monkeypatch.setattr(np, "bincount", lambda *a, **k: sums.append(1) or plain(*a, **k))
    found = []
    for part in (7, 10_000):
        monkeypatch.setattr(alignment, "CHUNK", part)
        f = Alignment(mesh, hessians(mesh, *u), mesh.points, 0.01)
        sums.clear()
        found.append((*f(inner), len(sums)))
    (value, gradient, times), (whole, all_at_once, once) = found
    assert value == pytest.approx(whole, rel=1e-12) and np.allclose(gradient, all_at_once, rtol=1e-10, atol=1e-13)
    assert times == once


@every_kind
def test_the_gradient_is_the_derivative_beside_an_interface(kind):
    mesh = box(kind, 4)
    left = centres(mesh)[:, 0] < 0.5
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


def error_of_interpolant(mesh, x, hessian):
    """Squared H1 error of the interpolant of 1/2 x.Hx, by a rule of degree 5."""
    total, nodal = 0.0, 0.5 * np.einsum("na,ab,nb->n", x, hessian, x)
    for block in mesh.blocks:
        rule, weights = block.kind.quadrature(5)
        shape, slopes = block.kind.shape(rule)
        jacobian = np.einsum("vcq,mva->mqac", slopes, x[block.nodes])
        by_reference = np.einsum("vcq,mv->mqc", slopes, nodal[block.nodes])
        gradient = np.linalg.solve(jacobian.swapaxes(2, 3), by_reference[..., None])[..., 0]
        exact = np.einsum("mva,vq->mqa", x[block.nodes], shape) @ hessian
        total += (((gradient - exact) ** 2).sum(axis=2) * np.abs(np.linalg.det(jacobian)) @ weights).sum()
    return total


@every_kind
def test_of_a_quadratic_field_it_is_the_error_of_its_interpolant(kind):
    mesh = box(kind, 4, jitter=0.2 if kind in ("triangle", "tetra") else 0)
    d, rng = mesh.dim, np.random.default_rng(0)
    half = rng.normal(size=(d, d))
    hessian = half + half.T
    u = 0.5 * np.einsum("na,ab,nb->n", mesh.points, hessian, mesh.points)
    f = Alignment(mesh, hessians(mesh, u), mesh.points)
    stretch = np.eye(d) + 0.3 * rng.normal(size=(d, d))  # parallelograms and straight prisms stay what they are
    x = mesh.points @ stretch
    assert f.squares(x)[0] == pytest.approx(error_of_interpolant(mesh, x, hessian), rel=1e-9)


@every_kind
def test_its_rule_is_fine_enough_for_distorted_cells(kind):
    mesh = box(kind, 4, jitter=0.15)
    hessian = np.diag([3.0, -1.0, 0.5][: mesh.dim]) + 1.0
    u = 0.5 * np.einsum("na,ab,nb->n", mesh.points, hessian, mesh.points)
    f = Alignment(mesh, hessians(mesh, u), mesh.points)
    exact = error_of_interpolant(mesh, mesh.points, hessian)
    assert f.squares(mesh.points)[0] == pytest.approx(exact, rel=0.03)


@simplices
def test_the_closed_form_is_the_quadrature(kind):
    mesh = box(kind, 3, jitter=0.2)
    block, d = mesh.blocks[0], mesh.dim
    x = moved(mesh)
    field = hessians(mesh, wave(mesh.points.T))
    h = field.value(x)[0][:, block.nodes.T]  # (p, v, m)
    moments = np.einsum("pvm,rvm->prm", h, h) / (d + 1)
    squares = Isoparametric(block.kind).squares(x[block.nodes].transpose(2, 1, 0), moments)
    assert Alignment(mesh, field, mesh.points).squares(x)[0] == pytest.approx(squares.sum(), rel=1e-12)


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


# -- adapt ------------------------------------------------------------------------------------------------------------


def front(x):
    return np.tanh(6 * (x[0] + 0.4 * x[1] - 0.6))


def h1_error(mesh, points, field):
    """Of the interpolant, by differences of the field at quadrature points of every simplex."""
    nodes = mesh.blocks[0].nodes
    rule, weights = mesh.blocks[0].kind.quadrature(5)
    shape, _ = mesh.blocks[0].kind.shape(rule)
    x, h = points[nodes], 1e-5
    edges = x[:, 1:] - x[:, :1]
    u = field(points.T)[nodes]
    slope = np.linalg.solve(edges, (u[:, 1:] - u[:, :1])[:, :, None])[:, :, 0]
    at = np.einsum("mvc,vq->cmq", x, shape)
    total = 0.0
    for c in range(mesh.dim):
        step = h * np.eye(mesh.dim)[c][:, None, None]
        exact = (field(at + step) - field(at - step)) / (2 * h)
        total += (((exact - slope[:, c, None]) ** 2) @ weights * np.abs(np.linalg.det(edges))).sum()
    return np.sqrt(total)


@pytest.mark.parametrize(("kind", "n", "gain"), [("triangle", 12, 1.2), ("tetra", 5, 1.1)])
def test_it_leaves_less_h1_error_than_equidistribution(kind, n, gain):
    mesh = box(kind, n)
    errors = {}
    for objective in ("equidistribution", "alignment"):
        out = meshmove.adapt(mesh, front, objective=objective)
        assert out.report.objective == objective and out.report.inverted_cells == 0
        assert out.report.predicted_error_after < out.report.predicted_error_before
        errors[objective] = h1_error(mesh, out.moved.points, front)
    assert errors["alignment"] * gain < errors["equidistribution"] < h1_error(mesh, mesh.points, front)


def test_the_boundary_pins_and_periodic_images_are_kept():
    mesh = box("triangle", 10)
    x = mesh.points
    pins = [int(np.argmin(((x - at) ** 2).sum(axis=1))) for at in ((0.5, 0.5), (0.3, 0.7))]
    out = meshmove.adapt(mesh, front, fixed=pins)
    assert out.report.objective == "alignment"
    y = out.moved.points
    assert (y[pins] == x[pins]).all()
    for side in (0.0, 1.0):
        for c in range(2):
            assert np.abs(y[x[:, c] == side, c] - side).max() < 1e-12
    left, right = (np.flatnonzero(x[:, 0] == s) for s in (0.0, 1.0))
    pairs = np.c_[left[np.argsort(x[left, 1])], right[np.argsort(x[right, 1])]]
    tied = CellMesh(mesh.points, mesh.blocks, periodic=pairs)
    moved = meshmove.adapt(tied, lambda x: np.sin(2 * np.pi * x[0]) * np.exp(-20 * (x[1] - 0.4) ** 2))
    step = moved.moved.points - x
    assert moved.report.objective == "alignment" and np.abs(step).max() > 0.01
    np.testing.assert_allclose(step[pairs[:, 0]], step[pairs[:, 1]], atol=1e-12)


def test_an_interface_stays_and_its_kink_draws_no_cells():
    mesh = box("triangle", 10)
    left = mesh.points[mesh.blocks[0].nodes].mean(axis=1)[:, 0] < 0.5
    mesh = CellMesh(mesh.points, mesh.blocks, regions=left.astype(np.int64))
    x = mesh.points
    out = meshmove.adapt(mesh, np.abs(x[:, 0] - 0.5) * 5 + np.tanh(9 * (x[:, 1] - 0.4)))
    y = out.moved.points
    on = np.abs(x[:, 0] - 0.5) < 1e-9
    assert out.report.objective == "alignment" and np.abs(y[on, 0] - 0.5).max() < 1e-12
    assert np.abs(y - x)[:, 1].max() > 0.02


def test_what_it_does_not_apply_to_is_equidistributed():
    mesh = box("triangle", 8)
    u = front(mesh.points.T)
    cases = [
        meshmove.adapt(mesh, u, monitor=meshmove.Monitor(intensity=2)),
        meshmove.adapt(mesh, u, mover="monge-ampere"),
        meshmove.adapt(mesh, monitor=lambda x: 1 + np.exp(-30 * x[0] ** 2)),
    ]
    assert [c.report.objective for c in cases] == ["equidistribution"] * 3
    assert "objective" in str(cases[0].report) and "objective" not in str(cases[2].report)


@pytest.mark.parametrize("objective", ["align", None, 3, ["alignment"]])
def test_another_objective_is_refused(objective):
    mesh = box("triangle", 3)
    with pytest.raises(ValueError, match="Expected objective 'alignment' or 'equidistribution'"):
        meshmove.adapt(mesh, front, objective=objective)
    with pytest.raises(ValueError, match="Expected objective"):
        meshmove.adapt_loop(mesh, lambda m: front, objective=objective)


def test_an_aligned_mesh_is_not_made_worse():
    mesh = box("triangle", 12)
    once = meshmove.adapt(mesh, front)
    again = meshmove.adapt(once.moved, front, reference=mesh)
    assert h1_error(mesh, again.moved.points, front) < 1.05 * h1_error(mesh, once.moved.points, front)
    assert again.report.predicted_error_after <= again.report.predicted_error_before


def test_a_mesh_that_was_refined_here_and_there_is_improved():
    mesh = skfem.MeshTri.init_tensor(*[np.linspace(-1, 1, 9)] * 2)
    mesh = mesh.remove_elements(np.flatnonzero((mesh.p[:, mesh.t].mean(axis=1) > 0).all(axis=0)))
    for k in range(8):  # towards the corner
        centre = mesh.p[:, mesh.t].mean(axis=1)
        mesh = mesh.refined(np.flatnonzero(np.hypot(*centre) < 0.7 * 0.6**k))

    def singular(x):
        return np.hypot(*x) ** (2 / 3)

    plain = converter.read(mesh)
    errors = [h1_error(plain, p.T, singular) for p in (mesh.p, mesh.smoothed().p)]
    for objective in ("equidistribution", "alignment"):
        out = meshmove.adapt(mesh, singular, objective=objective)
        errors.append(h1_error(plain, out.mesh.p.T, singular))
    assert errors[3] < 0.93 * errors[0] and errors[3] < errors[1] and errors[3] <= errors[2]
