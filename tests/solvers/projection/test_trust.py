"""What a projection says of its own error: hard problems, unsolvable ones, and what it does not resolve."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.hypino import hard as hypino_hard
from benchmarks.hypino.hard_kinds import KINDS
from benchmarks.hypino.layers import outflow
from meshmove.geometry import Disk, Rectangle
from meshmove.solvers import project
from meshmove.solvers.pde import Dirichlet, LinearPDE, Neumann
from meshmove.solvers.projection import Level
from meshmove.solvers.projection.features.knots import Knots
from meshmove.solvers.projection.features.splines import Splines
from meshmove.solvers.projection.grids import estimated
from meshmove.solvers.projection.middles import shares_of
from meshmove.solvers.projection.quadrature import quadrature
from meshmove.solvers.projection.refinement import project_unit
from meshmove.solvers.projection.trust import along_weakest
from meshmove.solvers.projection.unseen import misplaced, misplaced_of

UNIT = Rectangle((0, 0), (1, 1), "all")
SIDES = Rectangle((0, 0), (1, 1), names=("bottom", "right", "top", "left"))
ZERO = {"all": Dirichlet()}


def _relative(it, solution):
    x, w = hypino_hard.points(it)
    u = it.exact(x)
    return float(np.sqrt((w * (solution(x) - u) ** 2).sum() / (w * u**2).sum()))


@pytest.mark.parametrize("kind", KINDS)
def test_errors_lie_below_their_estimates(kind):
    for level in (1, 5):  # one that is solved, one that is hard
        it = KINDS[kind](np.random.default_rng(level), level)
        solution = project(it.pde, effort=0.02)
        assert _relative(it, solution) <= 2 * solution.error_estimate, it.name


@pytest.mark.parametrize("kind", ["outflow_layer", "near_resonance", "smooth", "smooth_in_time", "wave_pulse", "peak"])
def test_estimates_of_ordinary_problems_are_no_more_than_cautious(kind):
    it = KINDS[kind](np.random.default_rng(3), 0)
    solution = project(it.pde, effort=0.1)
    assert solution.error_estimate < 1e-4
    assert solution.error_estimate < 100 * max(_relative(it, solution), 1e-11)


def test_layers_that_no_grid_sees_are_not_believed():
    """u_x = 1 but for a layer that the data know nothing of: least squares are wrong everywhere, on all grids alike."""
    it = outflow(1e-9)  # thinner than the cells of a graded grid
    solution = project(it.pde, effort=0.05)
    assert _relative(it, solution) > 0.5
    assert solution.error_estimate >= 1
    assert any("cells of" in doubt for doubt in solution.doubts) and "effort=" in str(solution)
    assert "effort=" not in repr(solution)


@pytest.mark.parametrize(
    ("u", "source", "condition"),
    [
        (-2 * np.pi**2, 1.0, Dirichlet()),  # -Laplace's first eigenvalue
        (-5 * np.pi**2, lambda x: x[0] * x[1] ** 2, Dirichlet()),  # the second, double
        (-2 * np.pi**2, lambda x: np.sin(np.pi * x).prod(0), Dirichlet()),
        (-2 * np.pi**2, lambda x: np.sin(2 * np.pi * x).prod(0), Dirichlet()),  # solvable, but not in one way
        (-(np.pi**2), lambda x: np.cos(np.pi * x[0]), Neumann()),
        (lambda x: -(np.pi**2) + 0 * x[0], 1.0, Neumann(0.3)),
    ],
)
def test_resonances_have_no_small_estimate(u, source, condition):
    pde = LinearPDE(UNIT, uxx=-1, uyy=-1, u=u, source=source, conditions={"all": condition})
    solution = project(pde, effort=0.02)
    assert solution.error_estimate >= 1
    assert any("no solution, or many" in doubt for doubt in solution.doubts)


def test_incompatible_data_have_no_small_estimate():
    """-u_xx = 1 with du/dn = 0 at both ends of every line: the other two sides do not hold it."""
    ends = {"left": Neumann(), "right": Neumann(), "bottom": Dirichlet(), "top": Dirichlet()}
    assert project(LinearPDE(SIDES, uxx=-1, source=1.0, conditions=ends), effort=0.02).error_estimate >= 1


@pytest.mark.parametrize(
    "source", [lambda x: 1.0 * (np.abs(x[0] - 0.30211) < 2e-4), lambda x: np.exp(-1e6 * (x[0] + x[1] - 0.8011) ** 2)]
)
def test_sources_between_the_points_of_all_grids_are_found(source):
    solution = project(LinearPDE(UNIT, uxx=-1, uyy=-1, source=source, conditions=ZERO), effort=0.02)
    assert solution.error_estimate >= 1


@pytest.mark.parametrize("width", [1e-3, 2e-4])
def test_coefficients_that_change_between_the_points_of_all_grids_are_found(width):
    """-(k u')' = 0, k from 0.05 to 1.95 over a layer: u' = c/k, nearly all of u changes left of it."""
    k = lambda x: 1 + 0.95 * np.tanh((x[0] - 0.5) / width)  # noqa: E731
    slope = lambda x: 0.95 / width / np.cosh(np.clip((x[0] - 0.5) / width, -300, 300)) ** 2  # noqa: E731
    conditions = {"left": Dirichlet(), "right": Dirichlet(1.0), "bottom": Neumann(), "top": Neumann()}
    pde = LinearPDE(SIDES, uxx=lambda x: -k(x), uyy=lambda x: -k(x), ux=lambda x: -slope(x), conditions=conditions)
    solution = project(pde, effort=0.05)
    x = SIDES.sample_interior(4000, seed=5)
    x = x[:, np.abs(x[0] - 0.5) > 10 * width]
    ends = 0.5 / 0.05, 0.5 / 1.95  # of the integral of 1/k, but for the layer
    u = np.where(x[0] < 0.5, x[0] / 0.05, ends[0] + (x[0] - 0.5) / 1.95) / sum(ends)
    assert np.linalg.norm(solution(x) - u) / np.linalg.norm(u) <= solution.error_estimate
    assert any("coefficient" in said for said in solution.doubts)


def test_coefficients_with_steps_have_an_estimate():
    """c u_xx + u_yy = -1 where c jumps is a problem with a solution, of which grids see all but a strip."""
    c = lambda x: np.where(x[0] < 0.5, -1.0, -5.0)  # noqa: E731
    conditions = {"left": Dirichlet(), "right": Dirichlet(1.0), "bottom": Neumann(), "top": Neumann()}
    solution = project(LinearPDE(SIDES, uxx=c, uyy=-1, source=1.0, conditions=conditions), effort=0.05)
    bend = lambda s: np.where(s < 0.5, -(s**2) / 2, -0.125 - 0.5 * (s - 0.5) - 0.1 * (s - 0.5) ** 2)  # noqa: E731
    x = SIDES.sample_interior(2000, seed=5)
    u = bend(x[0]) + (1 - bend(np.array(1.0))) * x[0]
    assert np.linalg.norm(solution(x) - u) / np.linalg.norm(u) <= solution.error_estimate < 0.05


def test_gaps_narrower_than_cells_are_named():
    square = Rectangle((-1, -1), (1, 1), "outer")
    holes = [Disk((-0.302, 0), 0.3, "a"), Disk((0.302, 0), 0.3, "b")]
    conditions = {"outer": Dirichlet(), "a": Dirichlet(1), "b": Dirichlet(-1)}
    narrow = project(LinearPDE(square - holes, uxx=-1, uyy=-1, conditions=conditions), effort=0.02)
    assert "'a' and 'b'" in narrow.doubts[0] and "0.004 wide" in narrow.doubts[0]
    holes[1] = Disk((0.6, 0), 0.3, "b")
    assert project(LinearPDE(square - holes, uxx=-1, uyy=-1, conditions=conditions), effort=0.02).doubts == ()


# ---- the parts of an estimate


def _level(cells=20, residual=1e-3, change=1e-3, interior=0.0, missed=0.0):
    return Level((cells, cells), cells**2, residual, change, interior, missed, 0.0)


def test_what_is_missed_on_the_boundary_alone_is_an_error():
    before, last = _level(residual=1.0, change=1e-2), _level(40, residual=1e-6, change=1e-9)
    without = estimated([before, last])
    assert without < 1e-9
    assert estimated([before, replace(last, missed=1e-3)]) >= 1e-3
    assert estimated([before, replace(last, interior=1e-3)]) >= 1e-3


def test_boundary_values_that_no_row_sees():
    """A harmonic function with a pole close below: the equation holds in the interior of every cell."""
    it = KINDS["pole_outside"](np.random.default_rng(4), 2)
    found = project_unit(it.pde.unit, effort=0.02)
    error = _relative(it, lambda x: found.field.jets(it.pde.unit.to_unit(x))[0])
    last = found.levels[-1]
    assert last.missed > 0.02 * error and found.error >= error
    assert estimated([*found.levels[:-1], replace(last, missed=0.0)]) < found.error


def test_changes_that_grow_again_or_stand_still_are_no_convergence():
    first = _level(20, residual=1e-2, change=1e-3)
    assert estimated([first]) == np.inf
    grows, stands = (_level(40, residual=1e-2, change=change) for change in (2e-3, 1e-3))
    assert estimated([first, grows]) > 5 * 2e-3 and estimated([first, stands]) > 5e-3
    falls = _level(40, residual=1e-6, change=1e-6)
    assert estimated([first, falls]) < 1e-7
    slowly = _level(40, residual=8e-3, change=1e-6)  # a change that is small by chance
    assert estimated([first, slowly]) > 5e-7


def test_an_error_as_large_as_the_solution_is_unknown():
    first, last = _level(), _level(40, interior=1.0)
    assert estimated([first, last]) == np.inf
    assert 1 < estimated([first, replace(last, interior=0.6)]) < np.inf


@pytest.mark.parametrize("place", [0.3, 0.345, 0.37, 0.5])
def test_a_source_that_jumps_between_points_is_misplaced_by_a_share_of_a_cell(place):
    exact = lambda x: (1 - place) ** 2 / 2 * x[0] - np.maximum(x[0] - place, 0) ** 2 / 2  # noqa: E731
    sides = {"west": Dirichlet(), "east": Dirichlet(), "south": Neumann(), "north": Neumann()}
    square = Rectangle((0, 0), (1, 1), names=("south", "east", "north", "west"))
    source = lambda x: np.where(x[0] > place, 1.0, 0.0)  # noqa: E731
    found = project(LinearPDE(square, uxx=-1, uyy=-1, source=source, conditions=sides), effort=0.01)
    x = square.sample_interior(500)
    assert np.linalg.norm(found(x) - exact(x)) < found.error_estimate * np.linalg.norm(exact(x))
    assert found.error_estimate < 0.1


def test_of_many_sources_those_that_jump_are_found_by_each_alone():
    """In a disk: one smooth, one that jumps along X, one along Y, one constant."""
    x, y = np.meshgrid(*[np.linspace(-1, 1, 40)] * 2)
    inside = np.hypot(x, y) < 0.9
    tables = np.stack([np.sin(3 * x + y), 1.0 * (x > 0.1), 5.0 * (y > 0.31), 1 + 0 * x])
    found = misplaced_of(tables[:, inside], inside)
    assert np.array_equal(found, [misplaced(np.where(inside, t, 0), inside) for t in tables])
    assert found[0] == found[3] == 0 and found[2] > 4 * found[1] > 0


@pytest.mark.parametrize("off", [1e-2, 1e-3])
def test_beside_a_resonance_that_is_no_cosine(off):
    """The Dirichlet eigenfunction sin x sin y is spread over all cosines, of which none is near its eigenvalue."""
    wave = lambda x, k: np.sin(k * np.pi * x[0]) * np.sin(np.pi * x[1])  # noqa: E731
    square = Rectangle((0, 0), (1, 1), "all")
    u = 2 * np.pi**2 + off
    source = lambda x: off * wave(x, 1) + (u - 5 * np.pi**2) * wave(x, 2)  # noqa: E731
    found = project(LinearPDE(square, uxx=1, uyy=1, u=u, source=source, conditions={"all": Dirichlet()}))
    x = square.sample_interior(500)
    exact = wave(x, 1) + wave(x, 2)
    assert np.linalg.norm(found(x) - exact) < 1.5 * found.error_estimate * np.linalg.norm(exact)


@pytest.mark.parametrize("reaction", [1e-3, 1e-8])
def test_a_constant_that_hangs_on_a_tiny_reaction(reaction):
    """Whatever rounding makes of the constant, the estimate is no less; finer grids do not tell of more than coarse."""
    exact = lambda x: np.cos(np.pi * x[0]) + 3  # noqa: E731
    source = lambda x: np.pi**2 * np.cos(np.pi * x[0]) + reaction * exact(x)  # noqa: E731
    square = Rectangle((0, 0), (1, 1), "all")
    sides = {"all": Neumann()}
    found = project(LinearPDE(square, uxx=-1, uyy=-1, u=reaction, source=source, conditions=sides), effort=0.1)
    x = square.sample_interior(500)
    assert np.linalg.norm(found(x) - exact(x)) < 4 * found.error_estimate * np.linalg.norm(exact(x))
    assert found.error_estimate == np.inf or reaction > 1e-4


@pytest.mark.parametrize("graded", [False, True])
def test_what_an_error_is_of_the_weakest_function_is_no_more_than_stability_allows(graded):
    """|<r, L phi>| / s^2 where |L phi| is s; at most twice |r| / s where the fit has not seen what L phi is."""
    breaks = np.linspace(-1, 1, 13)
    knots = Knots(np.sign(breaks) * np.abs(breaks) ** 1.5) if graded else Knots.even(12)
    splines = Splines.graded((knots, knots), 5) if graded else Splines((12, 12), 5)
    unit = LinearPDE(UNIT, uxx=-1, uyy=-1, source=1.0, conditions=ZERO).unit
    fresh = quadrature(unit, splines)
    rng = np.random.default_rng(0)
    applied, r = rng.normal(size=(2, fresh.points.shape[1]))
    shares = shares_of(splines, fresh.inside)
    weights = 4 / fresh.inside.size * (1.0 if shares is None else shares)
    s, size = (float(np.sqrt((weights * f**2).sum())) for f in (applied, r))
    assert along_weakest(fresh, 0.3 * applied, applied, s) == pytest.approx(0.3)
    part = abs(float((weights * applied * r).sum()))
    assert along_weakest(fresh, r, applied, 0.8 * s) == pytest.approx(part / (0.8 * s) ** 2)
    for factor in (0.5, 2.0, 10.0, 1e4):
        assert along_weakest(fresh, applied * size / s, applied, s / factor) <= 2.01 * size * factor / s
