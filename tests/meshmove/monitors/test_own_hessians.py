"""Fields that give their second derivatives themselves."""

import numpy as np
import pytest

import meshmove
from meshmove.geometry import CellMesh, FieldError, Sides, cell_volumes
from meshmove.geometry.refine import edges_of, refined
from meshmove.monitors.sampled import SampledHessians
from meshmove.movers import Alignment
from tests.shapes import ALL_KINDS, box


class Front:
    """tanh(k s) of a signed distance s along a direction, with its own second derivatives."""

    def __init__(self, k, normal, offset, first=False):
        self.k, self.normal, self.offset, self.first = k, np.asarray(normal, float), offset, first
        self.asked = 0

    def __call__(self, x):
        return np.tanh(self.k * (self.normal @ x - self.offset))

    def hessian(self, x):
        self.asked += x.shape[1]
        t = self(x)
        second = -2 * self.k**2 * t * (1 - t**2)
        h = np.einsum("a,b,n->abn", self.normal, self.normal, second)
        return h.transpose(2, 0, 1) if self.first else h


def interpolation_error(mesh, points, field):
    """In L2, by a rule of degree 5."""
    total = 0.0
    for block in mesh.blocks:
        rule, weights = block.kind.quadrature(5)
        shape, slopes = block.kind.shape(rule)
        x = points[block.nodes]
        at = np.einsum("mvc,vq->cmq", x, shape)
        det = np.abs(np.linalg.det(np.einsum("mvc,vdq->mqcd", x, slopes)))
        error = field(at.reshape(len(at), -1)).reshape(at.shape[1:]) - field(points.T)[block.nodes] @ shape
        total += (error**2 * det @ weights).sum()
    return np.sqrt(total)


@pytest.mark.parametrize("kind", ["triangle", "tetra"])
def test_refinement_keeps_volume_and_vertices(kind):
    mesh = box(kind, 3, jitter=0.2)
    fine = refined(mesh)
    assert fine.n_cells == mesh.n_cells * 2**mesh.dim
    assert (fine.points[: mesh.n_points] == mesh.points).all()
    assert np.allclose(fine.points[mesh.n_points :], mesh.points[edges_of(mesh)].mean(axis=1))
    share = np.abs(cell_volumes(fine)).reshape(mesh.n_cells, -1)
    assert np.allclose(share, np.abs(cell_volumes(mesh))[:, None] / 2**mesh.dim)


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_of_a_cubic_field_the_moments_are_those_inside_of_the_cells(kind):
    mesh = box(kind, 3)
    cubic = lambda p: p[:, 0] ** 3 + p[:, 0] * p[:, 1] ** 2  # noqa: E731

    def hessian(p):
        h = np.zeros((mesh.dim, mesh.dim, len(p)))
        h[0, 0], h[0, 1], h[1, 0], h[1, 1] = 6 * p[:, 0], 2 * p[:, 1], 2 * p[:, 1], 2 * p[:, 0]
        return h

    sampled = SampledHessians(Sides.of(mesh), mesh, cubic, hessian)
    x = 0.05 + 0.9 * mesh.points
    moments, _ = sampled.moments(x, np.ones(1))
    upper = np.triu_indices(mesh.dim)
    for block, found in zip(mesh.blocks, moments, strict=True):
        rule, weights = block.kind.quadrature(3)
        at = np.einsum("mvc,vq->mqc", x[block.nodes], block.kind.shape(rule)[0])
        h = hessian(at.reshape(-1, mesh.dim))[upper].reshape(-1, *at.shape[:2])
        exact = np.einsum("pmq,rmq,q->prm", h, h, weights / weights.sum())
        assert np.allclose(found, exact)


@pytest.mark.parametrize("kind", ["triangle", "quad", "tetra", "hexahedron", "mixed 2-D"])
def test_the_gradient_of_alignment_is_the_derivative(kind):
    mesh = box(kind, 4, jitter=0.1)
    field = Front(3, [0.8, 0.6, 0.3][: mesh.dim], 0.7)
    sampled = SampledHessians(Sides.of(mesh), mesh, lambda p: field(p.T), lambda p: field.hessian(p.T))
    f = Alignment(mesh, sampled, mesh.points)
    x = 0.03 + 0.94 * mesh.points
    v = np.random.default_rng(0).normal(size=x.shape)
    h = 1e-7
    assert (f(x + h * v)[0] - f(x - h * v)[0]) / (2 * h) == pytest.approx(np.vdot(f(x)[1], v), rel=1e-5)


@pytest.mark.parametrize("kind", ["triangle", "quad", "tetra", "hexahedron"])
def test_a_front_that_the_mesh_does_not_resolve_is_found(kind):
    """Recovered from values at the nodes, a front of a third of a cell is two cells wide."""
    plane = kind in ("triangle", "quad")
    mesh = box(kind, 12 if plane else 6)
    field = Front(40 if plane else 12, [np.cos(0.4), np.sin(0.4), 0.2][: mesh.dim], 0.7)
    own, plain = meshmove.adapt(mesh, field), meshmove.adapt(mesh, lambda x: field(x))
    assert field.asked and own.report.objective == "alignment"
    errors = [interpolation_error(mesh, o.moved.points, field) for o in (own, plain)]
    assert errors[0] < (0.4 if plane else 0.8) * errors[1]


@pytest.mark.parametrize("first", [False, True])
def test_both_shapes_and_the_unit_of_length_are_understood(first):
    mesh = box("triangle", 8)
    out = meshmove.adapt(mesh, Front(10, [1, 0], 0.4))
    large = CellMesh(1e3 * mesh.points + 5, mesh.blocks)
    other = meshmove.adapt(large, Front(10 / 1e3, [1, 0], 0.4 * 1e3 + 5, first=first))
    assert other.report.predicted_error_after == pytest.approx(out.report.predicted_error_after, rel=0.03)
    # along the front little holds the nodes, and steps carry the rounding of coordinates along: a sixth of a cell
    assert np.allclose(other.displacement / 1e3, out.displacement, atol=0.02)


def test_a_plane_in_space_is_moved_as_the_plane():
    import meshio

    flat = box("triangle", 8)
    cells = [("triangle", flat.blocks[0].nodes)]
    space = np.c_[flat.points[:, 0], np.full(flat.n_points, 2.0), flat.points[:, 1]]
    out = meshmove.adapt(meshio.Mesh(space, cells), Front(10, [1, 0, 0.3], 0.4))
    plane = meshmove.adapt(flat, Front(10, [1, 0.3], 0.4))
    assert np.allclose(out.mesh.points[:, [0, 2]], plane.moved.points, atol=1e-9)


class Corner:
    """r^(2/3) about (0, 0), infinite second derivatives there."""

    def __init__(self, at_corner):
        self.at_corner = at_corner

    def __call__(self, x):
        return np.hypot(*x) ** (2 / 3)

    def hessian(self, x):
        r = np.hypot(*x)
        with np.errstate(divide="ignore", invalid="ignore"):
            n = x / r
            h = 2 / 3 * r ** (-4 / 3) * (np.eye(2)[:, :, None] - 4 / 3 * n[:, None] * n[None])
        h[:, :, r == 0] = np.where(np.eye(2) > 0, self.at_corner, 0.0)[:, :, None]
        return h


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_a_singular_point_counts_no_more_than_values_differ_there(value):
    mesh = box("triangle", 8)
    reference = meshmove.adapt(mesh, Corner(1e6)).moved.points
    out = meshmove.adapt(mesh, Corner(value))
    assert out.report.predicted_error_after < out.report.predicted_error_before
    assert np.allclose(out.moved.points, reference, atol=1e-4)  # caps differ, and descents end at a tolerance
    assert interpolation_error(mesh, out.moved.points, Corner(0)) < interpolation_error(mesh, mesh.points, Corner(0))


def test_second_derivatives_that_are_no_good_are_refused():
    mesh = box("triangle", 4)

    class Wrong:
        def __init__(self, h):
            self.h = h

        def __call__(self, x):
            return np.sin(5 * x[0])

        def hessian(self, x):
            return self.h(x)

    for h, message in (
        (lambda x: np.zeros(x.shape), r"Expected real second derivatives \(2, 2, \d+\)"),
        (lambda x: np.full((2, 2, x.shape[1]), np.nan), "Expected finite second derivatives"),
        (lambda x: np.zeros((2, 2, x.shape[1]), complex), "Expected real second derivatives"),
        (lambda x: x.no, "`hessian` to take x of shape"),
    ):
        with pytest.raises(FieldError, match=message):
            meshmove.adapt(mesh, Wrong(h))


def test_a_hessian_of_zeros_leaves_the_mesh_alone():
    mesh = box("triangle", 5)

    class Flat(Front):
        def hessian(self, x):
            return np.zeros((2, 2, x.shape[1]))

    out = meshmove.adapt(mesh, Flat(3, [1, 0], 0.5))
    assert not out.displacement.any() and "nothing to gain" in str(out.report)
