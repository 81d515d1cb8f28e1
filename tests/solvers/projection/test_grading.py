"""Graded grids: layers and peaks that even grids do not see, and smooth problems that stay as they are."""

import numpy as np
import pytest

from benchmarks.hypino.hard import points
from benchmarks.hypino.layers import eriksson_johnson, outflow, peak, reaction
from meshmove.geometry import Disk, Rectangle
from meshmove.solvers import project
from meshmove.solvers.pde import Dirichlet, LinearPDE, Neumann
from meshmove.solvers.projection import Splines
from meshmove.solvers.projection.features.knots import Knots
from meshmove.solvers.projection.grading import fewer, moved, regraded
from meshmove.solvers.projection.grids import fit
from meshmove.solvers.projection.quadrature import quadrature
from meshmove.solvers.projection.refinement import project_unit


def _towards(end, cells=14, ratio=0.7):
    h = ratio ** np.arange(cells)
    breaks = np.concatenate([[0.0], h.cumsum()]) * (2 / h.sum()) - 1
    breaks[-1] = 1.0
    return Knots(breaks if end > 0 else -breaks[::-1])


def _holed(**more):
    domain = Rectangle((-1, -1), (1, 1), "all") - Disk((0.3, -0.2), 0.3, "hole")
    return LinearPDE(domain, **more)


def test_products_on_uneven_cells_are_those_of_the_rows():
    pde = _holed(
        uxx=lambda x: 1 + 0.5 * np.sin(x[0]), uyy=1, ux=2, u=-3, conditions={"all": Dirichlet(), "hole": Neumann()}
    )
    splines = Splines.graded((_towards(1, 8), _towards(-1, 6)), 3)
    equation = quadrature(pde.unit, splines)
    A = splines.matrix(equation.points, equation.coefficients * equation.weights).toarray()
    rng = np.random.default_rng(0)
    x, r = rng.normal(size=A.shape[1]), rng.normal(size=A.shape[0])
    assert np.allclose(equation.apply(x), A @ x)
    assert np.allclose(equation.transpose(r), A.T @ r)
    band = np.zeros((splines.band, splines.size))
    equation.add_gram(band)
    assert all(np.allclose(band[g, : splines.size - g], np.diagonal(A.T @ A, -g)) for g in range(splines.band))
    assert pde.unit.contains(equation.points).all()


def test_polynomials_are_exact_on_uneven_cells_around_a_hole():
    exact = lambda x: x[0] ** 3 - 3 * x[0] * x[1] ** 2 + x[1]  # noqa: E731
    pde = _holed(uxx=1, uyy=1, conditions={"all": Dirichlet(exact), "hole": Dirichlet(exact)})
    found = fit(pde.unit, Splines.graded((_towards(1), _towards(-1))))
    X = pde.unit.interior(500, seed=3).points
    assert np.abs(found.field.jets(X)[0] - exact(pde.unit.to_physical(X))).max() < 1e-7


def test_rows_on_the_boundary_follow_the_cells():
    pde = _holed(uxx=1, uyy=1, conditions={"all": Dirichlet(), "hole": Neumann()})
    splines = Splines.graded((_towards(1), _towards(1)))
    rows = pde.unit.boundary_by(splines.index, 3.0)
    assert rows.weights.sum() == pytest.approx(pde.unit.perimeter, rel=1e-3)
    top = rows.points[0, np.isclose(rows.points[1], 1)]
    assert (np.bincount(splines.knots[0].cell(top), minlength=14) >= 2).all()


def test_regrading_goes_towards_what_is_not_resolved():
    even = Knots.even(16), Knots.even(16)
    flat = np.full(16, 1e-6)
    steep = flat * np.where(np.arange(16) == 15, 1e4, 1)
    x, y = regraded(even, (steep, flat), (16, 16))
    assert np.allclose(y.breaks, even[1].breaks)
    assert x.lengths[-1] < 0.5 * x.lengths[0]
    assert (x.lengths[1:] < x.lengths[:-1] * (1 + 1e-9)).all()
    assert moved(even, (x, y)) > 1.5 > moved(even, even) == 1
    assert fewer((x, y), 0.5)[0].cells == 8


CASES = [
    (outflow(1e-3), 1e-5),
    (outflow(1e-4), 1e-5),
    (eriksson_johnson(1e-3), 1e-6),
    (reaction(1e-6), 1e-6),
    (peak(1e5), 1e-4),
]


@pytest.mark.parametrize(("it", "bound"), CASES, ids=[it.name for it, _ in CASES])
def test_layers_and_peaks(it, bound):
    found = project(it.pde, tolerance=min(bound, 3e-5))
    x, w = points(it)
    u = it.exact(x)
    error = np.sqrt((w * (found(x) - u) ** 2).sum() / (w * u**2).sum())
    assert error < bound
    assert error < found.error_estimate < 1e-3
    assert found.history[-1].graded


def test_no_tolerance_asks_for_what_is_paid_for():
    it = outflow(1e-2)
    found = project(it.pde, tolerance=0, effort=0.05)
    x, _ = points(it)
    assert np.abs(found(x) - it.exact(x)).max() < 1e-4 and found.history[-1].graded


def test_smooth_problems_stay_on_even_grids_to_the_last_bit():
    exact = lambda x: np.sin(3 * x[0]) * np.exp(x[1])  # noqa: E731
    source = lambda x: -8 * exact(x)  # noqa: E731
    pde = LinearPDE(Rectangle((0, 0), (2, 1), "all"), uxx=1, uyy=1, source=source, conditions={"all": Dirichlet(exact)})
    one, other = project_unit(pde.unit), project_unit(pde.unit, graded=False)
    assert not any(level.graded for level in one.levels)
    assert np.array_equal(one.field.weights, other.field.weights)
    assert one.error == other.error
