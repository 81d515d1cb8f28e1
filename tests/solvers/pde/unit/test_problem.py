"""The unit problem: rows that the solution satisfies, laws of scaling, quadrature weights, rasters."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshmove.geometry import Disk, Ellipse, Polygon, Rectangle
from meshmove.solvers.pde import Dirichlet, Interval, LinearPDE, Neumann, ProblemError, TimeInterval
from tests.solvers.pde.cases import Known

HALVES = st.floats(0.05, 20.0)
CENTERS = st.floats(-5.0, 5.0)
C = (0.3, -1.0, 0.5, -2.0, -1.5)


def boxed(center, half, domain=None, **rest):
    """A problem with the known solution, on a box with an elliptic hole by default."""
    low, high = center - half, center + half
    box = Rectangle(tuple(low), tuple(high), names=("bottom", "right", "top", "left"))
    domain = domain or box - Ellipse(tuple(center), tuple(half.min() * np.array([0.6, 0.4])), 0.4, name="hole")
    names = ("u", "ux", "uy", "uxx", "uyy")
    kinds = {k: Dirichlet(Known.u) for k in domain.boundary_names}
    kinds |= {k: Neumann(Known.slope(domain)) for k in ("left", "hole") if k in kinds}
    rest = dict(zip(names, C, strict=True)) | rest
    return LinearPDE(domain, source=Known.source(*(rest[n] for n in names)), conditions=kinds, **rest)


@settings(max_examples=25, deadline=None)
@given(CENTERS, CENTERS, HALVES, HALVES)
def test_the_solution_satisfies_all_rows_in_any_box(x0, y0, hx, hy):
    unit = boxed(np.array([x0, y0]), np.array([hx, hy])).unit
    rows, edge = unit.interior(40, seed=1), unit.boundary(60, seed=1)
    scale = np.array([1, hx, hy, hx**2, hy**2])[:, None]
    U = Known.jets(unit.to_physical(rows.points)) * scale
    terms = rows.coefficients * U
    assert np.allclose(terms.sum(0), rows.source, atol=1e-9 * np.abs(terms).max())
    V = (Known.jets(unit.to_physical(edge.points)) * scale)[:3]
    terms = edge.coefficients * V
    assert np.allclose(terms.sum(0), edge.values, atol=1e-9 * np.abs(terms).max())
    assert set(edge.kinds) == {0, 1} and set(edge.names) == {"bottom", "right", "top", "left", "hole"}


@settings(max_examples=25, deadline=None)
@given(CENTERS, CENTERS, HALVES)
def test_a_problem_in_another_box_has_the_same_rows(x0, y0, h):
    center = np.array([x0, y0])

    def stated(center, h):
        holes = [Disk(tuple(center + h * np.array([0.3, -0.2])), 0.25 * h, name="hole")]
        box = Rectangle(tuple(center - h), tuple(center + h), "outer") - holes
        powers = np.array([1, h, h, h**2, h**2])
        c = dict(zip(("u", "ux", "uy", "uxx", "uyy"), np.array(C) * powers, strict=True))
        at = lambda x: np.sin((x - center[:, None]) / h).sum(0)  # noqa: E731
        return LinearPDE(box, source=at, conditions={"outer": Dirichlet(at), "hole": Neumann(2 / h)}, **c).unit

    one, other = stated(np.zeros(2), 1.0), stated(center, h)
    assert np.allclose(one.constants, other.constants)
    for a, b in ((one.interior(50, 3), other.interior(50, 3)), (one.boundary(80, 3), other.boundary(80, 3))):
        assert np.allclose(a.points, b.points, atol=1e-9)
    a, b = one.interior(50, 3), other.interior(50, 3)
    assert np.allclose(a.coefficients, b.coefficients) and np.allclose(a.source, b.source, atol=1e-9)
    a, b = one.boundary(80, 3), other.boundary(80, 3)
    size = np.where(a.kinds == 1, h, 1.0)  # a Neumann row holds physical derivatives
    assert np.allclose(a.coefficients, b.coefficients * size, atol=1e-9)
    assert np.allclose(a.values, b.values * size, atol=1e-9)
    assert np.allclose(one.raster(16), other.raster(16), atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 10_000), st.integers(1, 300), st.integers(1, 300))
def test_rows_are_seeded_inside_and_weighted(seed, n, m):
    unit = boxed(np.array([1.0, 2.0]), np.array([3.0, 0.5])).unit
    rows, edge = unit.interior(n, seed), unit.boundary(m, seed)
    assert rows.points.shape == (2, n) and unit.contains(rows.points).all()
    assert np.isclose(rows.weights.sum(), unit.area)
    again = unit.interior(n, seed)
    assert all(np.array_equal(a, b) for a, b in zip(rows, again, strict=True))
    assert np.abs(unit.pde.domain.signed_distance(unit.to_physical(edge.points))).max() < 1e-12
    assert edge.points.shape[1] >= m and np.isclose(edge.weights.sum(), unit.perimeter, rtol=1e-3)
    assert np.isclose(unit.perimeter, edge.weights.sum(), rtol=1e-3)


def test_low_discrepancy():
    unit = boxed(np.zeros(2), np.ones(2), domain=Rectangle((-1, -1), (1, 1))).unit
    f = lambda X: np.cos(3 * X[0]) * np.exp(X[1])  # noqa: E731
    exact = 2 * np.sin(3) / 3 * (np.e - 1 / np.e)
    errors = [abs((f(r.points) * r.weights).sum() - exact) for r in (unit.interior(4000, s) for s in range(8))]
    assert np.median(errors) < 4e-3  # 4e-2 with independent points


def test_density():
    unit = boxed(np.zeros(2), np.ones(2)).unit
    bump = lambda X: 0.05 + np.exp(-20 * ((X[0] - 0.7) ** 2 + (X[1] - 0.7) ** 2))  # noqa: E731
    plain, dense = unit.interior(4000), unit.interior(4000, density=bump)
    near = lambda r: (np.hypot(*(r.points - 0.7)) < 0.2).sum()  # noqa: E731
    assert near(dense) > 3 * near(plain)
    for f in (lambda X: X[0] ** 2, lambda X: np.exp(X[1])):
        a, b = ((f(r.points) * r.weights).sum() for r in (plain, dense))
        assert abs(a - b) < 0.03 * abs(a)


def test_points_of_the_boundary_are_spread_evenly():
    unit = boxed(np.zeros(2), np.array([4.0, 1.0])).unit
    edge = unit.boundary(400)
    hole = edge.points[:, edge.names == "hole"]
    angle = np.argsort(np.arctan2(*hole))
    gaps = np.hypot(*np.diff(hole[:, angle], axis=1))
    assert gaps.max() < 1.6 * np.median(gaps)
    few = unit.boundary(8)
    assert all((few.names == k).sum() >= 2 for k in ("left", "right", "top", "bottom", "hole"))


def test_conversions_are_inverse():
    unit = boxed(np.array([1.0, -2.0]), np.array([3.0, 0.2])).unit
    X = np.random.default_rng(0).uniform(-1, 1, (2, 9))
    assert np.allclose(unit.to_unit(unit.to_physical(X)), X)
    assert np.allclose(unit.half, [3, 0.2]) and np.allclose(unit.center, [1, -2])


def test_constants_and_means():
    fixed = boxed(np.zeros(2), np.array([2.0, 1.0])).unit
    assert np.allclose(fixed.constants, np.array(C) / [1, 2, 1, 4, 1]) and fixed.means is not None
    vary = boxed(np.zeros(2), np.ones(2), domain=Rectangle((-1, -1), (1, 1)), u=lambda x: 1 + x[0]).unit
    assert vary.constants is None
    assert np.allclose(vary.means, [1, *C[1:]], atol=0.02)


WAVE = LinearPDE(
    Interval(0, 4),
    utt=1,
    uxx=-4,
    time=TimeInterval(1, 2),
    initial=lambda x: x[0],
    velocity=3.0,
    conditions={"left": Dirichlet(lambda x: x[1]), "right": Neumann(1.0)},
)


def test_rows_of_a_wave():
    edge = WAVE.unit.boundary(200)
    assert set(edge.names) == {"start", "left", "right"}
    assert not (edge.points[1] > 1 - 1e-12).any()
    for kind, name in ((0, "start"), (2, "start"), (0, "left"), (1, "right")):
        assert ((edge.kinds == kind) & (edge.names == name)).sum() >= 20
    speed = edge.kinds == 2
    assert np.allclose(edge.coefficients[:, speed], [[0], [0], [2]]) and np.allclose(edge.values[speed], 3)
    flux = edge.kinds == 1
    assert np.allclose(edge.coefficients[:, flux], [[0], [0.5], [0]])
    left = edge.names == "left"
    assert np.allclose(edge.values[left], 1.5 + edge.points[1, left] / 2)


def test_a_named_condition_at_the_first_time_is_the_same_as_initial():
    sides = Rectangle((0, 0), (1, 1), names=("bottom", "right", "top", "left"))
    ends = {"left": Dirichlet(), "right": Dirichlet()}
    equation = {"utt": 1, "uxx": -1, "time": "y", "velocity": 2}
    one = LinearPDE(sides, initial=3, conditions=ends, **equation).unit.boundary(100)
    two = LinearPDE(sides, conditions={**ends, "bottom": Dirichlet(3)}, **equation).unit.boundary(100)
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


def test_one_name_around_a_problem_in_time():
    pde = LinearPDE(
        Rectangle((0, 0), (1, 1), "all"), uy=1, uxx=-1, time="y", initial=5, conditions={"all": Dirichlet(2)}
    )
    edge = pde.unit.boundary(100)
    first = np.isclose(edge.points[1], -1)
    assert np.allclose(edge.values[first], 5) and np.allclose(edge.values[~first], 2)
    assert not np.isclose(edge.points[1], 1).any()


# ---- rasters
def test_raster_channels():
    hole = Disk((0.5, 0.5), 0.45, name="hole")
    square = Rectangle((-1, -1), (1, 1), name="outer") - hole
    conditions = {"outer": Dirichlet(lambda x: 1 + x[0]), "hole": Neumann(-2.0)}
    n = 32
    r = LinearPDE(square, uxx=-1, uyy=-1, source=lambda x: x[1], conditions=conditions).unit.raster(n)
    assert r.shape == (6, n, n)
    line = np.linspace(-1 + 1 / n, 1 - 1 / n, n)
    X, Y = np.meshgrid(line, line)
    ring = np.ones((n, n), bool)
    ring[1:-1, 1:-1] = False
    assert np.array_equal(r[0] > 0, ring)
    side = ring & (np.abs(X) < 0.9)
    assert np.allclose(r[2][side], 1 + X[side], atol=0.01) and (r[2][~ring] == 0).all()
    away = np.abs(np.hypot(X - 0.5, Y - 0.5) - 0.45)
    assert (r[1][away < 0.4 / n] > 0).all() and (r[1][away > 1.5 / n] == 0).all()
    assert np.allclose(r[3][r[1] > 0], -2.0)
    inside = np.hypot(X - 0.5, Y - 0.5) > 0.45
    assert np.array_equal(r[5] > 0, inside)
    assert np.allclose(r[4], Y * inside)


def test_raster_of_time():
    r = WAVE.unit.raster(16)
    assert (r[:4, -1, 1:-1] == 0).all()  # nothing is known at the last time
    assert (r[0, 0] == 1).all() and (r[1, 0] == 1).all()
    assert np.allclose(r[3, 0, 1:-1], -3 / 2)  # -dU/dY of U_Y = half_t u_t
    assert np.allclose(r[3, 4:, -1], 2.0)  # dU/dX of du/dn = 1
    assert np.allclose(r[2, 0, 1:-1], 2 + 2 * np.linspace(-1, 1, 33)[3:-3:2], atol=0.05)


def test_raster_has_the_source_of_thin_and_curved_domains_only_inside():
    L = Polygon([(0, 0), (4, 0), (4, 1), (1, 1), (1, 4), (0, 4)], name="outer")
    r = LinearPDE(
        L, uxx=-1, uyy=-1, source=lambda x: np.sqrt(17 - x[0] * x[1] * 17 / 4.1), conditions={"outer": Dirichlet()}
    )
    picture = r.unit.raster(24)
    assert picture[5].mean() == pytest.approx(7 / 16, abs=0.02) and (picture[4][picture[5] == 0] == 0).all()


def test_bad_counts():
    unit = WAVE.unit
    for call in (unit.interior, unit.boundary, unit.raster):
        with pytest.raises(ProblemError, match="Expected"):
            call(0)
    assert "UnitProblem(LinearPDE(hyperbolic" in repr(unit)
