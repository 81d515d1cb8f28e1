"""The functional E, its gradient and its linearisation, and the imbalance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshmove.geometry import CellMesh, PointLocator, cell_volumes
from meshmove.monitors import CallableDensity, NodalDensity
from meshmove.movers.density import Power
from meshmove.movers.imbalance import cell_mass, imbalance
from meshmove.movers.objectives.equidistribution import Functional
from tests.shapes import ALL_KINDS, box, ring, turn

RULES = ("vertices", "interior", "fine")
every_kind = pytest.mark.parametrize("kind", ALL_KINDS)


class Wave:
    """A smooth density with an exact gradient."""

    def value(self, x):
        return 2 + np.sin(3 * x).sum(axis=0) / len(x)

    def value_and_gradient(self, x):
        return self.value(x), 3 * np.cos(3 * x) / len(x)


def moved(mesh, size=0.04, seed=1):
    return mesh.points + np.random.default_rng(seed).normal(scale=size / 3, size=mesh.points.shape)


def slope(f, x, v, h=1e-6):
    return (f(x + h * v) - f(x - h * v)) / (2 * h)


@every_kind
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("soften", [0.0, 0.1])
def test_the_gradient_is_the_derivative(kind, rule, soften):
    mesh = box(kind, 2, jitter=0.15)
    x = moved(mesh)
    e = Functional(mesh, Wave(), 0.01, rule)
    value, gradient = e(x, soften)
    assert np.isfinite(value)
    for seed in range(3):
        v = np.random.default_rng(seed).normal(size=x.shape)
        assert slope(lambda p: e(p, soften)[0], x, v) == pytest.approx(np.vdot(gradient, v), rel=1e-6)


@every_kind
def test_the_softened_gradient_is_the_derivative_at_inverted_cells(kind):
    mesh = box(kind, 2)
    x = moved(mesh, 1.2 if mesh.dim == 2 else 0.6)
    e = Functional(mesh, Wave(), 0.01, "interior")
    assert e.balance(x)[1].min() < 0
    assert e(x) == (np.inf, None)
    value, gradient = e(x, 0.1)
    v = np.random.default_rng(0).normal(size=x.shape)
    assert slope(lambda p: e(p, 0.1)[0], x, v, 1e-7) == pytest.approx(np.vdot(gradient, v), rel=1e-5)


@every_kind
@pytest.mark.parametrize("rule", RULES)
def test_the_linearisation_is_the_derivative_of_log_q(kind, rule):
    mesh = box(kind, 2, jitter=0.15)
    x, n = 0.9 * moved(mesh), mesh.points.size
    x += 0.05  # within the mesh's box: q is for points that may go astray, and is held in there
    e = Functional(mesh, Wave(), 0.01, rule)
    rows, columns, values, laplacian = e.linearised(x)
    v = np.random.default_rng(0).normal(size=x.shape)
    ours = np.bincount(rows, values * v.ravel()[columns], mesh.n_cells)

    def log_q(p):
        return np.log(e.balance(p)[0])

    theirs = slope(log_q, x, v)
    volume = e.volume  # the linearisation leaves theta out: the same shift of all log q
    shift = theirs - ours
    np.testing.assert_allclose(shift, (volume * shift).sum() / volume.sum(), atol=1e-7 * np.abs(theirs).max())
    assert columns.max() < n
    np.testing.assert_allclose(laplacian @ np.ones(mesh.n_points), 0, atol=1e-12)
    assert abs(laplacian - laplacian.T).max() < 1e-14
    assert np.vdot(v, laplacian @ v) > 0


@every_kind
def test_with_two_components_each_has_a_theta_of_its_own(kind):
    mesh = box(kind, 2)
    component = (np.concatenate([mesh.points[b.nodes].mean(axis=1)[:, 0] for b in mesh.blocks]) > 0.5).astype(int)
    e = Functional(mesh, Wave(), 0.01, "interior", component)
    x = moved(mesh)
    q, _ = e.balance(x)
    for k in (0, 1):
        own = component == k
        assert (e.volume * q)[own].sum() == pytest.approx(e.volume[own].sum(), rel=1e-13)
    v = np.random.default_rng(0).normal(size=x.shape)
    assert slope(lambda p: e(p)[0], x, v) == pytest.approx(np.vdot(e(x)[1], v), rel=1e-6)


@every_kind
def test_e_is_zero_with_zero_slope_at_rest_for_a_constant_monitor(kind):
    mesh = box(kind, 2)
    constant = CallableDensity(lambda x: 3.0, np.zeros(mesh.dim), 1.0)
    for rule in RULES:
        value, gradient = Functional(mesh, constant, 0.01, rule)(mesh.points)
        assert value == pytest.approx(0, abs=1e-15)
        np.testing.assert_allclose(gradient, 0, atol=1e-14)


@every_kind
def test_distortion_is_at_least_zero_and_infinite_for_flat_cells(kind):
    mesh = box(kind, 2, jitter=0.15)
    constant = CallableDensity(lambda x: 3.0, np.zeros(mesh.dim), 1.0)
    e = Functional(mesh, constant, 0.01)
    assert all(e(moved(mesh, 0.05, seed))[0] > 0 for seed in range(5))
    flat = mesh.points.copy()
    flat[:, 0] = 0
    assert e(flat) == (np.inf, None)
    assert e(-mesh.points if mesh.dim == 3 else mesh.points * [1, -1]) == (np.inf, None)


@given(
    kind=st.sampled_from(ALL_KINDS), seed=st.integers(0, 99), angle=st.floats(0, 6), scale=st.sampled_from([0.01, 50.0])
)
def test_law_e_turns_and_scales_with_the_frame(kind, seed, angle, scale):
    mesh = box(kind, 2, jitter=0.15, seed=seed)
    x, frame = moved(mesh, seed=seed), scale * turn(angle, mesh.dim)
    inverse = np.linalg.inv(frame)
    wave = Wave()
    e, gradient = Functional(mesh, wave, 0.01)(x)
    there = CallableDensity(lambda p: wave.value(inverse @ p), np.zeros(mesh.dim), 1.0)
    other = Functional(mesh.moved(mesh.points @ frame.T), there, 0.01)(x @ frame.T)[0]
    volume = scale**mesh.dim
    assert other / volume == pytest.approx(e, rel=1e-9)


# -- densities --------------------------------------------------------------------------------------------------------


@every_kind
def test_densities_have_the_gradients_of_their_values(kind):
    mesh = box(kind, 3)
    rng = np.random.default_rng(0)
    x = rng.uniform(0.05, 0.95, (mesh.dim, 40))
    callable_ = CallableDensity(Wave().value, np.zeros(mesh.dim), 1.0)
    nodal = NodalDensity(1 + mesh.points @ np.arange(1.0, mesh.dim + 1), PointLocator(mesh.simplicial()))
    m, dm = nodal.value_and_gradient(x)
    np.testing.assert_allclose(m, 1 + np.arange(1.0, mesh.dim + 1) @ x, rtol=1e-9)
    np.testing.assert_allclose(dm, np.broadcast_to(np.arange(1.0, mesh.dim + 1)[:, None], dm.shape), rtol=1e-5)
    m, dm = callable_.value_and_gradient(x)  # in a unit of its own
    value, gradient = Wave().value_and_gradient(x)
    np.testing.assert_allclose(dm / m, gradient / value, atol=1e-4)
    p, dp = Power(Wave(), 0.5).value_and_gradient(x)
    np.testing.assert_allclose(p, np.sqrt(Wave().value(x)))
    np.testing.assert_allclose(dp, Wave().value_and_gradient(x)[1] / (2 * p))


def test_a_callable_density_is_asked_in_physical_space():
    seen = []
    density = CallableDensity(lambda x: seen.append(x) or 1 + 0 * x[0], np.array([10.0, 20.0]), 4.0)
    density.value(np.array([[0.5], [-0.5]]))
    np.testing.assert_array_equal(seen[0], [[12.0], [18.0]])


# -- imbalance --------------------------------------------------------------------------------------------------------


@every_kind
def test_imbalance_agrees_with_brute_force_quadrature(kind):
    mesh = box(kind, 2, jitter=0.15)
    x = moved(mesh, 0.03)
    k = 24
    mass = []
    for block in mesh.blocks:
        side = (np.arange(k) + 0.5) / k
        grid = np.stack(np.meshgrid(*[side] * mesh.dim, indexing="ij")).reshape(mesh.dim, -1)
        weight = np.full(grid.shape[1], 1 / k**mesh.dim)
        if block.kind.is_simplex or block.kind.name == "wedge":  # Duffy: the box onto the simplex
            weight = weight * (1 - grid[0])
            grid = grid.copy()
            grid[1] *= 1 - grid[0]
            if block.kind.name == "tetra":
                weight = weight * (1 - grid[0] - grid[1])
                grid[2] *= 1 - grid[0] - grid[1]
        shape, slopes = block.kind.shape(grid)
        jacobian = np.linalg.det(np.einsum("mvi,vjq->mqij", x[block.nodes], slopes))
        places = np.einsum("mvd,vq->dmq", x[block.nodes], shape)
        m = Wave().value(places.reshape(mesh.dim, -1)).reshape(jacobian.shape)
        mass.append(np.abs(m * jacobian) @ weight)
    mass = np.concatenate(mass)
    np.testing.assert_allclose(cell_mass(mesh, x, Wave().value), mass, rtol=2e-3)
    volume = np.abs(cell_volumes(mesh))
    q = mass / volume * volume.sum() / mass.sum()
    expected = np.sqrt((volume * (q - 1) ** 2).sum() / volume.sum())
    assert imbalance(mesh, x, Wave().value) == pytest.approx(expected, rel=5e-3)


def test_imbalance_counts_each_component_by_itself():
    mesh = box("quad", 2)
    step = lambda x: np.where(x[0] < 0.5, 1.0, 5.0)  # noqa: E731
    component = (mesh.points[mesh.blocks[0].nodes].mean(axis=1)[:, 0] > 0.5).astype(int)
    assert imbalance(mesh, mesh.points, step) > 0.5
    assert imbalance(mesh, mesh.points, step, component) == pytest.approx(0, abs=1e-14)


def test_mass_of_an_inverted_cell_is_negative():
    mesh = CellMesh.single([[0, 0], [1, 0], [0, 1]], [[0, 2, 1]], "triangle")
    one = lambda x: 1 + 0 * x[0]  # noqa: E731
    assert cell_mass(mesh, mesh.points, one)[0] == pytest.approx(0.5)
    assert cell_mass(mesh, mesh.points * [1, -1], one)[0] == pytest.approx(-0.5)


@every_kind
def test_mass_adds_up_to_the_integral(kind):
    mesh = box(kind, 6, jitter=0.15)
    total = cell_mass(mesh, mesh.points, ring).sum()
    t = (np.arange(200) + 0.5) / 200
    fine = np.stack(np.meshgrid(*[t if mesh.dim == 2 else t[::4] + t[1] - t[0]] * mesh.dim)).reshape(mesh.dim, -1)
    assert total == pytest.approx(ring(fine).mean(), rel=0.05)
