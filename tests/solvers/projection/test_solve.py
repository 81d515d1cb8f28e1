"""Projection: the sparse least squares, the solutions of known problems, gradients through the solve."""

import numpy as np
import pytest

from meshmove.geometry import Disk, Polygon, Rectangle
from meshmove.solvers import project
from meshmove.solvers.fem.published_problems import BENCHMARKS
from meshmove.solvers.pde import Dirichlet, Interval, LinearPDE, Neumann, ProblemError, TimeInterval
from meshmove.solvers.projection import Projector, Splines
from meshmove.solvers.projection.boundary_rows import conditions
from meshmove.solvers.projection.features.singular import corner_features
from meshmove.solvers.projection.grids import fit
from meshmove.solvers.projection.quadrature import quadrature
from meshmove.solvers.projection.refinement import project_unit


def _points(pde, n=500):
    return pde.unit.to_physical(pde.unit.interior(n, seed=5).points)


def _error(pde, exact, solution):
    x = _points(pde)
    u = exact(x)
    return np.linalg.norm(solution(x) - u) / np.linalg.norm(u)


def _square(name="all"):
    return Rectangle((-1, -1), (1, 1), name)


@pytest.mark.parametrize("cells", [(6, 9), (9, 6)])
@pytest.mark.parametrize("varying", [False, True])
def test_tensor_products_are_those_of_the_rows(cells, varying):
    coefficient = (lambda x: 1 + 0.5 * np.sin(x[0] * x[1])) if varying else 2.0
    domain = _square() - Disk((0.2, 0.1), 0.3, "hole")
    pde = LinearPDE(
        domain, uxx=coefficient, uyy=1, ux=0.5, u=-3, source=1, conditions={"all": Dirichlet(), "hole": Neumann()}
    )
    splines = Splines(cells, 3)
    equation = quadrature(pde.unit, splines)
    A = splines.matrix(equation.points, equation.coefficients * equation.weights).toarray()
    rng = np.random.default_rng(0)
    x, r = rng.normal(size=A.shape[1]), rng.normal(size=A.shape[0])
    assert np.allclose(equation.apply(x), A @ x)
    assert np.allclose(equation.transpose(r), A.T @ r)
    band = np.zeros((splines.band, splines.size))
    equation.add_gram(band)
    gram = A.T @ A
    for g in range(splines.band):
        assert np.allclose(band[g, : splines.size - g], np.diagonal(gram, -g))
    assert equation.weights @ equation.weights == pytest.approx(pde.unit.area, rel=0.02)
    assert pde.unit.contains(equation.points).all()


def test_the_solve_is_that_of_dense_least_squares():
    pde = BENCHMARKS["PS-L"].pde
    found = fit(pde.unit, (8, 8), corner_features(pde.unit), degree=4)
    equation, rows = found.equation, found.conditions
    system = found.system
    n = len(found.field.weights)
    A = np.stack([system.apply(e) for e in np.eye(n)], axis=1)
    right = np.concatenate([equation.source * equation.weights, rows.values])
    z, *_ = np.linalg.lstsq(A, right, rcond=1e-12)
    assert np.linalg.norm(right - system.apply(found.field.weights / system.scales)) == pytest.approx(
        np.linalg.norm(right - A @ z), rel=1e-3
    )


@pytest.mark.parametrize(("name", "bound"), [("HT", 1e-5), ("HZ", 1e-5), ("WV", 1e-5)])
def test_benchmarks_within_their_targets(name, bound):
    problem = BENCHMARKS[name]
    solution = project(problem.pde)
    assert _error(problem.pde, problem.reference, solution) < bound
    assert solution.error_estimate < 10 * bound


def _harmonic(x):
    return np.exp(x[0]) * np.sin(x[1]) + x[0] * x[1]


def _flux(domain):
    def flux(x):
        n = domain.normal(x)
        return (np.exp(x[0]) * np.sin(x[1]) + x[1]) * n[0] + (np.exp(x[0]) * np.cos(x[1]) + x[0]) * n[1]

    return flux


def test_neumann_holes_with_re_entrant_corners_in_any_box():
    box = Rectangle((2, 1), (5, 2), "outer")
    domain = box - Polygon(((3, 1.3), (3.5, 1.4), (3.2, 1.7)), "hole")
    pde = LinearPDE(domain, uxx=1, uyy=1, conditions={"outer": Dirichlet(_harmonic), "hole": Neumann(_flux(domain))})
    assert len(pde.unit.corners) == 3
    assert _error(pde, _harmonic, project(pde)) < 1e-6


def test_a_polygonal_hole_agrees_with_itself_on_a_finer_grid():
    domain = _square("outer") - Rectangle((-0.3, -0.2), (0.2, 0.3), "hole")
    pde = LinearPDE(domain, uxx=-1, uyy=-1, conditions={"outer": Dirichlet(1), "hole": Dirichlet(0)})
    coarse = fit(pde.unit, (40, 40), corner_features(pde.unit))
    fine = fit(pde.unit, (64, 64), corner_features(pde.unit))
    X = pde.unit.interior(400, seed=3).points
    difference = coarse.field.jets(X)[0] - fine.field.jets(X)[0]
    assert np.sqrt((difference**2).mean()) < 2e-4


def test_where_boundary_values_jump_the_estimate_says_so():
    box = Rectangle((0, 0), (1, 1), names=("bottom", "side", "top", "side"))
    pde = LinearPDE(box, uxx=-1, uyy=-1, conditions={"bottom": Dirichlet(), "side": Dirichlet(), "top": Dirichlet(1)})
    k = np.arange(1, 400, 2)[:, None] * np.pi
    ends = lambda x: (np.exp(k * (x[1] - 1)) - np.exp(-k * (x[1] + 1))) / (1 - np.exp(-2 * k))  # noqa: E731
    error = _error(pde, lambda x: (4 / k * np.sin(k * x[0]) * ends(x)).sum(0), solution := project(pde, effort=0.05))
    assert 1e-4 < error < solution.error_estimate < 100 * error


def test_the_corner_of_an_l_is_resolved():
    pde = BENCHMARKS["PS-L"].pde
    found = project(pde)
    x = np.array([[-0.418], [-0.418]])
    near = found(x + 0.15 * np.random.default_rng(0).uniform(-1, 1, (2, 500))).max()
    assert near == pytest.approx(0.1494, abs=2e-4)  # the known maximum
    without = fit(pde.unit, (64, 64)).field.jets(_points(pde))[0]
    assert np.linalg.norm(without - found(_points(pde))) > 1e-3 * np.linalg.norm(without)


@pytest.mark.parametrize(
    ("terms", "exact", "source"),
    [
        ({"ux": 1.0, "uy": 0.5}, lambda x: np.sin(x[0] - 2 * x[1]), lambda x: 0 * x[0]),
        ({"uxx": -0.01, "uyy": -0.01, "ux": 1.0}, lambda x: x[0] * np.cos(x[1]), None),
        ({"uxx": 1.0, "uyy": 1.0, "u": 40.0}, lambda x: np.sin(6 * x[0]) * np.cos(2 * x[1]), lambda x: 0 * x[0]),
        ({"uxx": -4.0, "uyy": -0.1}, lambda x: x[0] ** 2 * x[1], lambda x: -8 * x[1]),
    ],
    ids=["first-order", "advection", "helmholtz", "anisotropic"],
)
def test_kinds_of_operators(terms, exact, source):
    if source is None:
        source = lambda x: np.cos(x[1]) * (1 + 0.01 * x[0])  # noqa: E731
    pde = LinearPDE(_square(), **terms, source=source, conditions={"all": Dirichlet(exact)})
    assert _error(pde, exact, project(pde)) < 1e-6


def test_time_runs_in_its_own_units():
    exact = lambda x: np.exp(-3 * x[1]) * np.sin(np.pi * x[0] / 4)  # noqa: E731
    pde = LinearPDE(
        Interval(0, 4),
        time=TimeInterval(1, 2.5),
        ut=1,
        uxx=-3 * 16 / np.pi**2,
        initial=exact,
        conditions={"left": Dirichlet(), "right": Dirichlet()},
    )
    assert _error(pde, exact, project(pde)) < 1e-7


def test_solutions_are_linear_in_the_data():
    def of(a):
        return LinearPDE(_square(), uxx=1, uyy=1, source=lambda x: a * x[0], conditions={"all": Dirichlet(2 * a)})

    x = _points(of(1.0))
    assert np.allclose(project(of(1e6))(x), 1e6 * project(of(1.0))(x), rtol=1e-6)


def test_nothing_in_nothing_out():
    pde = LinearPDE(_square(), uxx=1, uyy=1, conditions={"all": Dirichlet()})
    assert np.abs(project(pde)(_points(pde))).max() == 0


def test_the_same_seed_gives_the_same_solution_and_random_features_join():
    pde = BENCHMARKS["PS-G"].pde
    x = _points(pde)
    a, b = (project(pde, random=20, effort=0.02, seed=3)(x) for _ in range(2))
    assert np.array_equal(a, b)
    assert np.linalg.norm(a - project(pde)(x)) < 1e-3 * np.linalg.norm(a)


@pytest.mark.parametrize("bad", [{"random": -1}, {"effort": 0.0}, {"tolerance": -1.0}])
def test_bad_options(bad):
    with pytest.raises(ProblemError, match="Expected"):
        project(BENCHMARKS["HZ"].pde, **bad)


def test_conditions_weigh_more_on_finer_grids():
    unit = BENCHMARKS["HZ"].pde.unit
    coarse, fine = (conditions(unit, np.ones(5), h, 0.1).weights for h in (0.2, 0.1))
    assert np.allclose(fine / coarse, 2**1.5)


def test_gradients_with_respect_to_source_and_coefficients():
    torch = pytest.importorskip("torch")
    domain = _square("outer") - Disk((0.1, 0.1), 0.3, "hole")
    pde = LinearPDE(
        domain,
        uxx=-1,
        uyy=-2,
        u=1,
        source=lambda x: np.cos(x[0]),
        conditions={"outer": Dirichlet(1), "hole": Neumann()},
    )
    projector = Projector(pde, cells=16)
    x = np.array([[-0.5, 0.6], [0.4, -0.7]])
    source = torch.tensor(projector.source, requires_grad=True)
    coefficients = torch.tensor([1.0, 0.0, 0.0, -1.0, -2.0], dtype=torch.float64, requires_grad=True)

    def functional(f, c):
        return (projector(x, f, c) ** 2).sum()

    functional(source, coefficients).backward()
    direction = torch.randn(len(source), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    step = 1e-4
    with torch.no_grad():
        by_source = (
            functional(source + step * direction, coefficients) - functional(source - step * direction, coefficients)
        ) / (2 * step)
        assert float(by_source) == pytest.approx(float(source.grad @ direction), rel=1e-5)
        for k in (0, 1, 3, 4):
            e = torch.zeros(5, dtype=torch.float64)
            e[k] = step
            by_c = (functional(source, coefficients + e) - functional(source, coefficients - e)) / (2 * step)
            assert float(by_c) == pytest.approx(float(coefficients.grad[k]), rel=1e-3, abs=1e-8)
    with pytest.raises(ProblemError, match="Expected a source"):
        projector(x, source[:-1])


@pytest.mark.parametrize("cells", [(7, 5), (5, 7)])
def test_derivatives_at_the_points_of_the_grid_are_those_anywhere(cells):
    """Tensor products and sums over the functions of each cell, in whichever order the splines are numbered."""
    domain = _square() - Disk((0.2, 0.1), 0.3, "hole")
    pde = LinearPDE(domain, uxx=1, uyy=1, uxy=0.5, conditions={"all": Dirichlet(), "hole": Dirichlet()})
    splines = Splines(cells, 4)
    rows = quadrature(pde.unit, splines)
    w = np.random.default_rng(1).normal(size=splines.size)
    expected = splines.expand(w, rows.points, rows.along)
    assert len(expected) == 6 and np.allclose(rows.jets(w), expected, rtol=1e-10, atol=1e-10 * np.abs(expected).max())
    assert np.allclose(rows.jets(w, ((0, 0),)), expected[:1], rtol=1e-10, atol=1e-12)


def test_a_tolerance_of_nothing_is_as_good_as_double_precision_and_no_more_work():
    """Finer grids add only rounding: the first that do so are the last, and zero asks for no more than 1e-12."""
    exact = lambda x: np.exp(x[0]) * np.sin(x[1])  # noqa: E731
    pde = LinearPDE(_square(), uxx=1, uyy=1, conditions={"all": Dirichlet(exact)})
    none, least = (project(pde, tolerance=tolerance) for tolerance in (0, 1e-12))
    assert none.error_estimate == least.error_estimate < 1e-12 and _error(pde, exact, none) < 1e-12
    assert len(none.history) == len(least.history)
    pressed = project_unit(pde.unit, tolerance=0)
    assert np.prod(pressed.levels[-1].cells) < 140**2 and pressed.error < 1e-12
