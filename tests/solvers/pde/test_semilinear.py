"""Reactions and their derivatives; what a semilinear statement takes and refuses."""

import numpy as np
import pytest

from meshmove.geometry import Disk, Rectangle
from meshmove.solvers import Dirichlet, Neumann, ProblemError, SemilinearPDE
from meshmove.solvers.pde.semilinear import Reaction

SQUARE = Rectangle((-1, -1), (1, 1), name="all")
HELD = {"all": Dirichlet()}
RNG = np.random.default_rng(3)
STATE, X = RNG.normal(size=(3, 40)), RNG.uniform(-1, 1, (2, 40))


def test_derivatives_are_found_in_three_ways():
    import torch

    exact = np.exp(STATE[:1]) * X[0]
    for function, way in (
        (lambda u, x: np.exp(u) * x[0], "complex step"),
        (lambda u, x: np.exp(np.real(u)) * x[0], "differences"),
        (lambda u, x: torch.exp(u) * x[0], "torch.func"),
    ):
        reaction = Reaction(function)
        assert np.allclose(reaction.values(STATE, X), exact[0])
        assert np.allclose(reaction.slopes(STATE, X), exact, rtol=1e-6, atol=1e-8)
        assert reaction.way == way


@pytest.mark.parametrize("given", [False, True])
def test_derivatives_by_the_gradient(given):
    derivative = (lambda u, x, g: np.stack([g[0] * g[1], u * g[1], u * g[0]])) if given else None
    reaction = Reaction(lambda u, x, g: u * g[0] * g[1] + x[0], derivative)
    u, p, q = STATE
    assert np.allclose(reaction.slopes(STATE, X), np.stack([p * q, u * q, u * p]), rtol=1e-12)
    assert reaction.way == ("given" if given else "complex step")


def test_a_derivative_of_another_function_is_refused():
    with pytest.raises(ProblemError, match="derivative to be that of reaction.*difference quotients"):
        Reaction(lambda u, x: u**3, lambda u, x: 3 * u).slopes(STATE, X)


def test_a_kink_takes_differences():
    reaction = Reaction(lambda u, x: np.abs(u))
    assert np.allclose(reaction.slopes(STATE, X), np.sign(STATE[:1]))
    assert reaction.way == "differences"


def test_one_point_tells_no_way_for_good():
    """At u = 0 the modulus of a complex number has the derivative that differences tell, and a wrong one is right."""
    nothing, point = np.zeros((3, 1)), np.zeros((2, 1))
    reaction, wrong = Reaction(lambda u, x: np.abs(u)), Reaction(lambda u, x: u**3, lambda u, x: 3 * u)
    for one in (reaction, wrong):
        one.slopes(nothing, point)
    assert np.allclose(reaction.slopes(STATE, X), np.sign(STATE[:1]))
    with pytest.raises(ProblemError, match="derivative to be that of reaction"):
        wrong.slopes(STATE, X)


def test_a_reaction_that_divides_by_zero_is_named():
    with pytest.raises(ProblemError, match="reaction to take u.*ZeroDivisionError"):
        Reaction(lambda u, x: u / 0 + 1 // 0).values(STATE, X)


def test_the_problem_around_a_function_misses_what_the_equation_misses():
    class Cubic:
        def jets(self, x):
            return np.stack([x[0] ** 3, 3 * x[0] ** 2, 0 * x[0], 6 * x[0], 0 * x[0]])

    pde = SemilinearPDE(
        SQUARE, uxx=-1, uyy=-1, u=2, source=lambda x: x[1], reaction=lambda u, x, g: u**2 + g[0] * u, conditions=HELD
    )
    around = pde.around(Cubic())
    jets = Cubic().jets(X)
    missed = (around.coefficients_at(X) * jets).sum(axis=0) - around.source_at(X)
    assert np.allclose(missed, -jets[3] + 2 * jets[0] - X[1] + jets[0] ** 2 + jets[1] * jets[0])


@pytest.mark.parametrize(
    ("reaction", "derivative", "message"),
    [
        (3.0, None, "reaction as a function of u and x"),
        (lambda x: x, None, "two arguments u, x.*is a source"),
        (lambda u, x, g, h: u, None, "of two arguments"),
        (lambda u, x: u, lambda u, x, g: u, "derivative of the arguments of reaction, u and x"),
    ],
)
def test_other_arguments_are_refused(reaction, derivative, message):
    with pytest.raises(ProblemError, match=message):
        SemilinearPDE(SQUARE, uxx=-1, uyy=-1, reaction=reaction, derivative=derivative, conditions=HELD)


@pytest.mark.parametrize(
    ("reaction", "message"),
    [
        (
            Reaction(lambda u, x: u[:3]),
            r"shape \(40,\), one for each value of u, from reaction of u of shape \(40,\).*got shape \(3,\)",
        ),
        (Reaction(lambda u, x: None), "real numbers from reaction .got objects such as None"),
        (Reaction(lambda u, x: 1j * u), "real numbers from reaction .got complex numbers"),
        (Reaction(lambda u, x: "u**3"), "real numbers from reaction .got an array of <U4"),
        (Reaction(lambda u, x: u, lambda u, x: np.ones((3, 40))), "from derivative"),
        (Reaction(lambda u, x, g: u, lambda u, x, g: u), r"derivatives by u, ux, uy at each point, from derivative"),
        (Reaction(lambda u, x: u["a"]), "to take u of shape"),
    ],
)
def test_other_shapes_are_refused(reaction, message):
    with pytest.raises(ProblemError, match=message):
        reaction.values(STATE, X)
        reaction.slopes(STATE, X)


def test_other_statements_are_refused():
    cubic = {"reaction": lambda u, x: u**3}
    with pytest.raises(ProblemError, match="linear terms of second order"):
        SemilinearPDE(SQUARE, ux=1, conditions=HELD, **cubic)
    with pytest.raises(ProblemError, match="smooth conductivity"):
        half = Rectangle((-1, -1), (0, 1))
        SemilinearPDE(SQUARE, divergence={half: 1.0, SQUARE - half: 2.0}, conditions=HELD, **cubic)
    with pytest.raises(ProblemError, match="a condition on every boundary"):
        SemilinearPDE(SQUARE - Disk((0, 0), 0.2, name="hole"), uxx=-1, uyy=-1, conditions=HELD, **cubic)
    assert SemilinearPDE(SQUARE, uxx=-1, uyy=-1, conditions={"all": Neumann()}, **cubic).kind == "elliptic"
