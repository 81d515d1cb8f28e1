"""Semilinear problems by Newton's method on the projection: Burgers, Allen-Cahn, Bratu, with exact solutions."""

import pickle

import numpy as np
import pytest
from scipy.optimize import brentq

from meshmove.geometry import Disk, Rectangle
from meshmove.solvers import (
    ConvergenceError,
    Dirichlet,
    HyPINO,
    Interval,
    LinearPDE,
    Neumann,
    ProblemError,
    SemilinearPDE,
    TimeInterval,
    project,
)

SQUARE = Rectangle((0, 0), (1, 1), names=("south", "right", "north", "left"))
FREE = {"south": Neumann(), "north": Neumann()}
HELD = {"left": Dirichlet(), "right": Dirichlet()}
DISK = Disk((0, 0), 1, name="rim")


def error(found, exact):
    unit = found.pde.unit
    x = unit.to_physical(unit.interior(2000, seed=11).points)
    return np.linalg.norm(found(x) - exact(x)) / np.linalg.norm(exact(x))


def converged(found, exact, bound):
    """Below a bound, and below the estimate, or rounding."""
    missed = error(found, exact)
    assert missed < bound
    assert missed < max(found.error_estimate, 1e-11)
    assert found.error_estimate < 1e-4


def everywhere(value):
    return {name: Dirichlet(value) for name in SQUARE.boundary_names}


def between_walls(strength, upper):
    """Bratu's problem -u'' = strength exp(u), u(0) = u(1) = 0."""
    missed = lambda t: t - np.sqrt(2 * strength) * np.cosh(t / 4)  # noqa: E731
    theta = brentq(missed, *((4.8, 30) if upper else (1e-3, 4.8)))
    return lambda x: -2 * np.log(np.cosh((x[0] - 0.5) * theta / 2) / np.cosh(theta / 4))


def in_disk(strength, upper):
    """Gelfand's problem -div grad u = strength exp(u) in the unit disk, u = 0 on its rim."""
    b = np.sort(np.roots([strength, 2 * strength - 8, strength]).real)[int(upper)]
    return lambda x: 2 * np.log((1 + b) / (1 + b * (x**2).sum(axis=0)))


@pytest.mark.parametrize("upper", [False, True])
def test_both_branches_of_bratu_between_walls(upper):
    pde = SemilinearPDE(SQUARE, uxx=-1, uyy=-1, reaction=lambda u, x: -2 * np.exp(u), conditions=HELD | FREE)
    exact = between_walls(2.0, upper)
    start = (lambda x: 12 * x[0] * (1 - x[0])) if upper else None
    converged(project(pde, start=start), exact, 1e-8)
    assert (exact(np.array([[0.5], [0.5]])) > 2) == upper


@pytest.mark.parametrize("upper", [False, True])
def test_both_branches_of_bratu_in_a_disk(upper):
    pde = SemilinearPDE(DISK, uxx=-1, uyy=-1, reaction=lambda u, x: -np.exp(u), conditions={"rim": Dirichlet()})
    start = (lambda x: 4 * (1 - (x**2).sum(axis=0))) if upper else 0.0
    converged(project(pde, start=start), in_disk(1.0, upper), 1e-7)


def test_with_a_hole():
    exact = in_disk(1.0, False)
    ring = DISK - Disk((0.3, 0.2), 0.25, name="hole")
    conditions = {"rim": Dirichlet(), "hole": Dirichlet(exact)}
    pde = SemilinearPDE(ring, uxx=-1, uyy=-1, reaction=lambda u, x: -np.exp(u), conditions=conditions)
    converged(project(pde), exact, 1e-8)


@pytest.mark.parametrize("reaction", [lambda u, x: np.exp(u) - 1, lambda u, x: np.abs(u) * u])
def test_a_solution_that_is_zero(reaction):
    """Whose size no change is smaller than: what counts is the start's."""
    pde = SemilinearPDE(DISK, uxx=-1, uyy=-1, reaction=reaction, conditions={"rim": Dirichlet()})
    found = project(pde, start=1.0)
    assert np.abs(found(DISK.sample_interior(100))).max() < 1e-10
    assert found.error_estimate < 1e-6 and len(found.history) == 2


def test_a_reaction_with_a_kink():
    wave = lambda x: np.sin(np.pi * x[0]) * np.sin(np.pi * x[1])  # noqa: E731
    pde = SemilinearPDE(
        SQUARE,
        uxx=-1,
        uyy=-1,
        reaction=lambda u, x: 20 * np.abs(u - 0.5),
        source=lambda x: 2 * np.pi**2 * wave(x) + 20 * np.abs(wave(x) - 0.5),
        conditions=everywhere(0.0),
    )
    found = project(pde, tolerance=1e-3)
    assert error(found, wave) < found.error_estimate < 1e-3


def test_a_reaction_that_jumps_is_named():
    jumps = lambda u, x: 5 * np.sign(u - 0.02)  # noqa: E731
    pde = SemilinearPDE(SQUARE, uxx=-1, uyy=-1, reaction=jumps, source=1.0, conditions=everywhere(0.0))
    with pytest.raises(ConvergenceError, match=r"jumps near u = 0\.02.*tanh"):
        project(pde, effort=0.01)


def test_all_steps_on_all_grids_have_one_budget():
    cubic = lambda u, x: u**3 - u  # noqa: E731
    exact = lambda x, width: np.tanh((x[0] + 0.5 * x[1] - 0.7) / np.sqrt(2.5) / width)  # noqa: E731
    narrow, wide = (lambda x: exact(x, 0.02)), (lambda x: exact(x, 0.1))
    thin = SemilinearPDE(SQUARE, uxx=-4e-4, uyy=-4e-4, reaction=cubic, conditions=everywhere(narrow))
    with pytest.raises(ConvergenceError, match=r"budget of effort=.*all \d+ linear solves.*start=.*larger effort="):
        project(thin, effort=3e-3)
    pde = SemilinearPDE(SQUARE, uxx=-0.01, uyy=-0.01, reaction=cubic, conditions=everywhere(wide))
    found = project(pde, tolerance=0, effort=0.05)  # ends with the last grid that is paid for
    assert len(found.history) > 1 and error(found, wide) < found.error_estimate < 1


def test_no_solution_beyond_the_fold():
    pde = SemilinearPDE(SQUARE, uxx=-1, uyy=-1, reaction=lambda u, x: -4 * np.exp(u), conditions=HELD | FREE)
    with pytest.raises(ConvergenceError, match="no solution.*start="):  # the fold is at 3.5138
        project(pde, effort=0.02)


def steady_burgers(nu, **more):
    exact = lambda x: -np.tanh((x[0] - 1) / (2 * nu))  # noqa: E731
    ends = {"left": Dirichlet(exact), "right": Dirichlet()}
    reaction = lambda u, x, gradient: u * gradient[0]  # noqa: E731
    return SemilinearPDE(SQUARE, uxx=-nu, uyy=-nu, reaction=reaction, conditions=ends | FREE, **more), exact


def test_steady_burgers_with_a_layer_on_graded_splines():
    pde, exact = steady_burgers(1e-2)
    found = project(pde)
    converged(found, exact, 1e-5)
    assert found.history[-1].graded


def test_steady_burgers_with_an_oblique_shock():
    exact = lambda x: -np.tanh((x[0] + x[1] - 1) / (2 * 0.05))  # noqa: E731
    reaction = lambda u, x, gradient: u * gradient.sum(axis=0)  # noqa: E731
    pde = SemilinearPDE(SQUARE, uxx=-0.05, uyy=-0.05, reaction=reaction, conditions=everywhere(exact))
    converged(project(pde), exact, 1e-5)


def test_allen_cahn():
    exact = lambda x: np.tanh((x[0] + 0.5 * x[1] - 0.7) / np.sqrt(2.5) / 0.1)  # noqa: E731
    pde = SemilinearPDE(SQUARE, uxx=-0.01, uyy=-0.01, reaction=lambda u, x: u**3 - u, conditions=everywhere(exact))
    converged(project(pde), exact, 1e-6)


def test_without_flux_the_reaction_tells_the_constant():
    pde = SemilinearPDE(DISK, uxx=-1, uyy=-1, reaction=lambda u, x: u**3, source=8.0, conditions={"rim": Neumann()})
    converged(project(pde, start=1.0), lambda x: np.full(x.shape[1], 2.0), 1e-9)


def test_a_wave_in_time():
    """Fisher's wave u_t - u_xx = u (1 - u) (Ablowitz & Zeppetella, 1979)."""
    exact = lambda x: (1 + np.exp((x[0] - 5 * x[1] / np.sqrt(6)) / np.sqrt(6))) ** -2.0  # noqa: E731
    ends = {"left": Dirichlet(exact), "right": Dirichlet(exact)}
    pde = SemilinearPDE(
        Interval(-10, 10),
        time=TimeInterval(0, 2),
        ut=1,
        uxx=-1,
        reaction=lambda u, x: u * (u - 1),
        initial=exact,
        conditions=ends,
    )
    assert pde.kind == "parabolic"
    converged(project(pde), exact, 1e-6)


def test_a_kink_of_sine_gordon():
    exact = lambda x: 4 * np.arctan(np.exp((x[0] - 0.5 * x[1]) / np.sqrt(0.75)))  # noqa: E731
    ends = {"left": Dirichlet(exact), "right": Dirichlet(exact)}
    velocity = lambda x: -1 / np.sqrt(0.75) / np.cosh(x[0] / np.sqrt(0.75))  # noqa: E731
    pde = SemilinearPDE(
        Interval(-5, 5),
        time=TimeInterval(0, 2),
        utt=1,
        uxx=-1,
        reaction=lambda u, x: np.sin(u),
        initial=exact,
        velocity=velocity,
        conditions=ends,
    )
    assert pde.kind == "hyperbolic"
    converged(project(pde), exact, 1e-6)


def test_a_linear_reaction_is_the_linear_problem():
    linear = {"uxx": -1, "uyy": -1, "source": 1.0, "conditions": everywhere(0.0)}
    one = project(SemilinearPDE(SQUARE, reaction=lambda u, x, g: 3 * u + g[0], **linear))
    other = project(LinearPDE(SQUARE, u=3, ux=1, **linear))
    x = np.random.default_rng(0).random((2, 300))
    assert np.allclose(one(x), other(x), atol=1e-5 * np.abs(other(x)).max())


def test_the_solution_has_the_residual_of_the_whole_equation():
    pde, exact = steady_burgers(0.1)
    found = project(pde)
    x = np.random.default_rng(0).uniform(0.05, 0.95, (2, 100))
    u, ux, _, uxx, uyy = found.jets(x)
    assert np.allclose(found.residual(x), u * ux - 0.1 * (uxx + uyy), atol=1e-10)
    assert found.verify(size=0.1).relative_l2 < 1e-3  # finite elements of the problem around it
    assert "SemilinearPDE" in repr(found)
    again = project(pde, start=found)
    assert again.history[0].steps <= 2
    assert error(again, exact) < 1e-6


def test_lists_and_the_network_take_them():
    problems = [
        SemilinearPDE(SQUARE, uxx=-1, uyy=-1, reaction=lambda u, x, s=s: -s * np.exp(u), conditions=HELD | FREE)
        for s in (0.5, 1.0)
    ]
    for found, strength in zip(project(problems), (0.5, 1.0), strict=True):
        converged(found, between_walls(strength, False), 1e-8)
    model = HyPINO.from_pretrained()
    converged(model.solve(problems[0]), between_walls(0.5, False), 1e-8)
    with pytest.raises(ProblemError, match="project=True"):
        model.solve(problems[0], project=False)


def test_what_is_refused():
    pde, _ = steady_burgers(0.1)
    linear = LinearPDE(SQUARE, uxx=-1, uyy=-1, conditions=everywhere(0.0))
    with pytest.raises(ProblemError, match="start= for semilinear"):
        project(linear, start=1.0)
    with pytest.raises(ProblemError, match="start= for semilinear"):
        project([linear, pde], start=1.0)
    with pytest.raises(ProblemError, match="random features"):
        project(pde, random=10)
    with pytest.raises(ProblemError, match="the start"):
        project(pde, start="soon")
    with pytest.raises(ProblemError, match=r"values, one for each of the points.*from the start \(got shape \(3,\)"):
        project(pde, start=lambda x: np.zeros(3))
    root = SemilinearPDE(SQUARE, uxx=-1, uyy=-1, reaction=lambda u, x: np.sqrt(u - 2), conditions=everywhere(0.0))
    with pytest.raises(ProblemError, match="finite values from.*reaction.*start="):
        project(root)


def _square_of(u, x):
    return u * u


def test_solutions_can_be_pickled():
    pde = SemilinearPDE(Rectangle((0, 0), (1, 1), "all"), uxx=-1, uyy=-1, reaction=_square_of, source=1.0,
                        conditions={"all": Dirichlet()})  # fmt: skip
    found = project(pde, effort=0.01)
    x = np.random.default_rng(0).random((2, 9))
    assert np.array_equal(pickle.loads(pickle.dumps(found))(x), found(x))


def test_a_start_that_is_far_too_large_does_not_hide_the_solution():
    """Without the reaction the solution is of the size of the source, and that with it of size 1."""
    much = 1e12
    exact = lambda x: np.tanh((x[0] + 0.5 * x[1] - 0.7) / 0.1)  # noqa: E731
    source = lambda x: 2.5 * exact(x) * (1 - exact(x) ** 2) / 0.1**2 + much * exact(x)  # noqa: E731
    pde = SemilinearPDE(SQUARE, uxx=-1, uyy=-1, reaction=lambda u, x: much * u, source=source,
                        conditions=everywhere(exact))  # fmt: skip
    found, x = project(pde, effort=0.05), SQUARE.sample_interior(500)
    assert np.linalg.norm(found(x) - exact(x)) < found.error_estimate * np.linalg.norm(exact(x))
    assert found.error_estimate < 1e-3
