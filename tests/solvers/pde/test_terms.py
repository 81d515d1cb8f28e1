"""Mixed derivatives, Robin conditions and -div(k grad u): known solutions, by projection and by finite elements."""

import numpy as np
import pytest

from meshmove.geometry import Disk, Rectangle
from meshmove.solvers import Dirichlet, HyPINO, Interval, LinearPDE, Neumann, ProblemError, Robin, TimeInterval, project
from meshmove.solvers.fem.linear import solve_finite_elements

SQUARE = Rectangle((0, 0), (1, 1), names=("bottom", "right", "top", "left"))
HOLED = Rectangle((-1, -1), (2, 1), name="outer") - Disk((0.3, 0.1), 0.4, name="hole")
SIDES = ("bottom", "right", "top", "left")


def u(x):
    return np.sin(2 * x[0] + x[1]) + np.exp(x[0] - x[1])


def grad(x):
    c, e = np.cos(2 * x[0] + x[1]), np.exp(x[0] - x[1])
    return np.stack([2 * c + e, c - e])


def hessian(x):
    """uxx, uyy, uxy."""
    s, e = np.sin(2 * x[0] + x[1]), np.exp(x[0] - x[1])
    return -4 * s + e, -s + e, -2 * s - e


def error(f, domain):
    x = domain.sample_interior(1000, seed=5)
    return float(np.abs(f(x) - u(x)).max())


def slope_on(domain):
    return lambda x: (domain.normal(x) * grad(x)).sum(0)


def test_a_rotated_anisotropy_on_a_domain_with_a_hole():
    a, b, c = -3.0, -1.0, -2.5
    f = lambda x: a * hessian(x)[0] + b * hessian(x)[1] + c * hessian(x)[2] + 2 * grad(x)[0] + u(x)  # noqa: E731
    conditions = {"outer": Dirichlet(u), "hole": Neumann(slope_on(HOLED))}
    pde = LinearPDE(HOLED, uxx=a, uyy=b, uxy=c, ux=2, u=1, source=f, conditions=conditions)
    assert pde.kind == "elliptic" and "2.5 uxy" in pde.equation
    solution = project(pde, effort=0.3)
    assert error(solution, HOLED) < 1e-6
    assert solution.verify().relative_l2 < 1e-4
    x = HOLED.sample_interior(50)
    np.testing.assert_allclose(solution.jets(x)[5], hessian(x)[2], atol=1e-3)
    assert np.abs(solution.residual(x)).max() < 1e-3


def test_a_mixed_derivative_that_varies():
    """In a box of another shape, so that powers of its sides count; without pure derivatives the kind is hyperbolic."""
    box = Rectangle((0, 0), (3, 1), name="all")
    c = lambda x: 0.5 + 0.4 * np.sin(x[0])  # noqa: E731
    f = lambda x: -hessian(x)[0] - hessian(x)[1] - c(x) * hessian(x)[2]  # noqa: E731
    pde = LinearPDE(box, uxx=-1, uyy=-1, uxy=lambda x: -c(x), source=f, conditions={"all": Dirichlet(u)})
    assert error(project(pde, effort=0.3), box) < 1e-6
    assert project(pde, effort=0.1).verify().relative_l2 < 1e-4
    assert LinearPDE(box, uxx=1, uyy=1, uxy=1.9, conditions={"all": Dirichlet()}).kind == "elliptic"
    with pytest.raises(ProblemError, match="hyperbolic"):
        LinearPDE(box, uxx=1, uyy=1, uxy=2.1, conditions={"all": Dirichlet()})
    with pytest.raises(ProblemError, match="space and time"):
        LinearPDE(SQUARE, uxx=-1, ut=1, uxy=1, time="y", initial=0.0, conditions={})


def test_robin_conditions_with_functions():
    """On every side, also with a mixed derivative, where the flux of finite elements has a tangential part."""
    alpha, beta = (lambda x: 1 + x[0] ** 2), (lambda x: 2 - x[1])
    f = lambda x: -hessian(x)[0] - 2 * hessian(x)[1] - 0.7 * hessian(x)[2]  # noqa: E731
    value = lambda x: alpha(x) * u(x) + beta(x) * slope_on(SQUARE)(x)  # noqa: E731
    conditions = {name: Robin(alpha, beta, value) for name in SIDES}
    solution = project(LinearPDE(SQUARE, uxx=-1, uyy=-2, uxy=-0.7, source=f, conditions=conditions), effort=0.3)
    assert error(solution, SQUARE) < 1e-6
    assert solution.verify().relative_l2 < 1e-4
    assert max(solution.boundary_residual().values()) < 1e-4


def test_robin_conditions_tend_to_neumann_and_are_divided_by_beta():
    f = lambda x: -hessian(x)[0] - hessian(x)[1]  # noqa: E731
    rest = {name: Dirichlet(u) for name in SIDES[1:]}
    values = []
    for condition in (Neumann(1.0), Robin(0.0, 1.0, 1.0), Robin(0.0, -2.0, -2.0)):
        pde = LinearPDE(SQUARE, uxx=-1, uyy=-1, source=f, conditions={"bottom": condition, **rest})
        basis, dofs = solve_finite_elements(pde, size=0.3)
        values.append(dofs)
    np.testing.assert_allclose(values[1:], values[:1] * 2, rtol=1e-12)


def test_robin_conditions_in_time():
    """u = exp(-w^2 t) cos(w x), -u_x / u = w tan w at x = 1; by projection and by stepping."""
    w = 0.8
    exact = lambda x: np.exp(-(w**2) * x[1]) * np.cos(w * x[0])  # noqa: E731
    conditions = {"left": Neumann(0), "right": Robin(w * np.tan(w), 1.0)}
    pde = LinearPDE(
        Interval(0, 1), ut=1, uxx=-1, time=TimeInterval(0, 1), initial=lambda x: np.cos(w * x[0]), conditions=conditions
    )
    solution = project(pde, effort=0.3)
    x = np.random.default_rng(0).uniform(0, 1, (2, 200))
    assert np.abs(solution(x) - exact(x)).max() < 1e-6 and solution.verify().relative_l2 < 1e-5


def test_robin_conditions_without_values_leave_a_constant_open():
    for conditions in ({"all": Robin(0.0, 2.0)}, {"all": Neumann()}):
        with pytest.raises(ProblemError, match="up to a constant"):
            LinearPDE(Rectangle((0, 0), (1, 1), "all"), uxx=-1, uyy=-1, conditions=conditions)
    some = dict.fromkeys(SIDES, Robin(0.0, 2.0)) | {"top": Robin(1e-3)}
    LinearPDE(SQUARE, uxx=-1, uyy=-1, conditions=some)


def test_beta_is_not_zero():
    with pytest.raises(ProblemError, match="beta other than zero"):
        Robin(1.0, 0.0, 1.0)
    conditions = dict.fromkeys(SIDES, Dirichlet()) | {"left": Robin(1.0, lambda x: x[0], 1.0)}
    with pytest.raises(ProblemError, match=r"beta other than zero on 'left' \(got 0 at the point \(0"):
        project(LinearPDE(SQUARE, uxx=-1, uyy=-1, conditions=conditions))


def _flowing(k, dk):
    """-div(k grad u) for the scalar k with gradient dk."""
    return lambda x: -k(x) * (hessian(x)[0] + hessian(x)[1]) - (dk(x) * grad(x)).sum(0)


def test_a_scalar_function_flows():
    k, dk = (lambda x: 1 + 0.5 * np.sin(3 * x[0]) * x[1]), None
    dk = lambda x: np.stack([1.5 * np.cos(3 * x[0]) * x[1], 0.5 * np.sin(3 * x[0])])  # noqa: E731
    source = _flowing(k, dk)
    pde = LinearPDE(HOLED, divergence=k, source=source, conditions={"outer": Dirichlet(u), "hole": Dirichlet(u)})
    x = HOLED.sample_interior(100)
    np.testing.assert_allclose(pde.coefficients_at(x)[1:3], -dk(x), atol=1e-9)
    solution = project(pde, effort=0.3)
    assert error(solution, HOLED) < 1e-6 and solution.verify().relative_l2 < 1e-4
    assert not pde.mixed and LinearPDE(SQUARE, divergence=2, conditions=dict.fromkeys(SIDES, Dirichlet())).is_constant


def test_a_tensor_flows_as_numbers_entries_or_a_function():
    k = lambda x: np.array([[2 + x[0], 0.5 * x[1]], [0.5 * x[1], 1 + 0 * x[0]]])  # noqa: E731
    entries = [[lambda x: 2 + x[0], lambda x: 0.5 * x[1]], [lambda x: 0.5 * x[1], 1.0]]

    def f(x):
        a, b, c = hessian(x)
        ux, uy = grad(x)
        return -(2 + x[0]) * a - b - x[1] * c - (1 + 0.5) * ux - 0 * uy

    for tensor in (k, entries):
        pde = LinearPDE(SQUARE, divergence=tensor, source=f, conditions=dict.fromkeys(SIDES, Dirichlet(u)))
        solution = project(pde, effort=0.2)
        assert error(solution, SQUARE) < 1e-6 and solution.verify().relative_l2 < 1e-4
    constant = LinearPDE(SQUARE, divergence=[[2, 0.5], [0.5, 1]], conditions=dict.fromkeys(SIDES, Dirichlet()))
    assert constant.coefficients == (0, 0, 0, -2, -1, -1)


@pytest.mark.parametrize(
    "k, words",
    [
        (lambda x: np.where(x[0] < 0.4, 1.0, 10.0), "jumps"),
        (lambda x: 1 + (np.hypot(x[0] - 0.5, x[1] - 0.5) < 0.3), "jumps"),
        (lambda x: np.exp(6 * x[0]) + 0.5 * (x[0] > 0.1), "jumps"),  # by less than k changes elsewhere
        (lambda x: 1 + 0.9 * np.tanh((x[1] - 0.3) / 1e-6), "changes over more than"),
        (lambda x: 2 + np.arctan((x[0] + x[1] - 1.1) / 1e-8), "changes over more than"),
        ({"plate": 1.0, "fibre": 5.0}, "regions"),
        (-1.0, "positive"),
        ([[1, 2], [2, 1]], "positive"),
        ([1, 2, 3], "2 by 2"),
        (lambda x: np.ones((3, 3, x.shape[1])), "2, 2"),
    ],
)
def test_what_does_not_flow_is_refused(k, words):
    with pytest.raises(ProblemError, match=words):
        LinearPDE(SQUARE, divergence=k, conditions=dict.fromkeys(SIDES, Dirichlet()))


def test_steep_is_no_jump():
    k = lambda x: 1 + 9 / (1 + np.exp(-(x[0] - 0.4) / 1e-3))  # noqa: E731
    bent = lambda x: 1 + 5 * np.abs(x[0] - 0.5)  # noqa: E731
    for smooth in (k, bent):
        LinearPDE(SQUARE, divergence=smooth, conditions=dict.fromkeys(SIDES, Dirichlet()))
    with pytest.raises(ProblemError, match="both"):
        LinearPDE(SQUARE, divergence=k, uxx=-1, conditions=dict.fromkeys(SIDES, Dirichlet()))


def test_the_network_refuses_by_name_what_it_does_not_read():
    model = HyPINO.from_pretrained()
    dirichlet = dict.fromkeys(SIDES, Dirichlet())
    mixed = LinearPDE(SQUARE, uxx=-1, uyy=-1, uxy=-0.5, source=1, conditions=dirichlet)
    robin = LinearPDE(SQUARE, uxx=-1, uyy=-1, source=1, conditions=dirichlet | {"left": Robin(1.0)})
    for pde, words in ((mixed, "uxy.*project"), (robin, "Robin conditions on 'left'.*project")):
        with pytest.raises(ProblemError, match=words):
            model.solve(pde, project=False)
        assert model.solve(pde, project=True, effort=0.1).error_estimate < 1e-2


def test_lists_are_answered_one_by_one_or_refused_by_number():
    model = HyPINO.from_pretrained()
    walls = dict.fromkeys(SIDES, Dirichlet())
    plain = LinearPDE(SQUARE, uxx=-1, uyy=-1, source=1, conditions=walls)
    mixed = LinearPDE(SQUARE, uxx=-1, uyy=-1, uxy=-0.5, source=1, conditions=walls)
    other = LinearPDE(HOLED, uxx=-1, uyy=-1, u=1, source=2, conditions={"outer": Dirichlet(), "hole": Neumann()})
    x = SQUARE.sample_interior(40)
    both = model.solve([plain, other], refine=1)
    for one, pde in zip(both, (plain, other), strict=True):
        assert one.pde is pde
        y = pde.domain.sample_interior(40)
        np.testing.assert_allclose(one(y), model.solve(pde, refine=1)(y), atol=1e-4 * np.abs(one(y)).max())
    projected = model.solve((p for p in (plain, mixed)), project=True, effort=0.1)
    np.testing.assert_array_equal(projected[1](x), project([plain, mixed], effort=0.1)[1](x))
    with pytest.raises(ProblemError, match="uxy"):
        model.solve([plain, mixed], project=False)
    for call in (model.solve, model.emit, project):
        with pytest.raises(ProblemError, match="got a float as number 1 of 2"):
            call([plain, 1.0])
        with pytest.raises(ProblemError, match="got int"):
            call(7)
    with pytest.raises(ProblemError, match="emitted="):
        project([plain, other], emitted=model.emit(plain))
    assert model.solve([]) == []


@pytest.mark.parametrize(
    "options, message",
    [
        ({"refine": 1.5}, "refine >= 0"),
        ({"finetune": -1}, "finetune >= 0"),
        ({"project": 1}, "project False, True"),
        ({"project": "all"}, "project False, True"),
        ({"refine": "2"}, "refine >= 0"),
        ({"refine": 10**400}, "at most|401 digits"),
    ],
)
def test_options_of_a_solve_that_are_none(options, message):
    pde = LinearPDE(SQUARE, uxx=-1, uyy=-1, source=1, conditions=dict.fromkeys(SIDES, Dirichlet()))
    with pytest.raises(ProblemError, match=message):
        HyPINO.from_pretrained().solve(pde, **options)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"effort": "much"}, "effort > 0"),
        ({"effort": float("inf")}, "effort > 0"),
        ({"effort": 10**400}, "401 digits"),
        ({"tolerance": float("nan")}, "tolerance >= 0"),
        ({"seed": 0.5}, "seed >= 0"),
        ({"random": 10**12}, "random >= 0"),
        ({"emitted": True}, "features"),
    ],
)
def test_options_of_a_projection_that_are_none(options, message):
    pde = LinearPDE(SQUARE, uxx=-1, uyy=-1, source=1, conditions=dict.fromkeys(SIDES, Dirichlet()))
    with pytest.raises(ProblemError, match=message):
        project(pde, **options)


def test_small_integers_of_numpy_count_as_options():
    pde = LinearPDE(SQUARE, uxx=-1, uyy=-1, source=1, conditions=dict.fromkeys(SIDES, Dirichlet()))
    a, b = (project(pde, tolerance=0.1, effort=0.02, random=n, seed=n) for n in (2, np.int8(2)))
    x = np.array([[0.3, 0.4], [0.5, 0.6]])
    np.testing.assert_array_equal(a(x), b(x))


def test_outside_of_the_domain_and_in_its_holes():
    pde = LinearPDE(HOLED, uxx=-1, uyy=-1, source=1, conditions={"outer": Dirichlet(), "hole": Dirichlet(1)})
    solution = project(pde, effort=0.1)
    x = np.array([[0.3, 0.7, 0.3, 2.0, 2.1, -0.9], [0.1, 0.1, 0.4, 0.0, 0.0, 0.0]])
    out = np.array([True, False, True, False, True, False])
    for f in (solution, solution.gradient, solution.jets):
        assert (np.isnan(f(x, outside="nan")) == out).all() and np.isfinite(f(x)).all()
    np.testing.assert_array_equal(solution(x, outside="nan")[~out], solution(x)[~out])
    with pytest.raises(ProblemError, match="extend"):
        solution(x, outside="inside")


def test_what_is_emitted_takes_the_coordinates_of_a_solution():
    model = HyPINO.from_pretrained()
    holed = LinearPDE(HOLED, uxx=-1, uyy=-1, u=1, source=2, conditions={"outer": Dirichlet(), "hole": Neumann()})
    square = LinearPDE(SQUARE, uxx=-1, uyy=-1, source=1, conditions=dict.fromkeys(SIDES, Dirichlet()))
    x = np.array([[0.1, 0.9, 0.8], [0.2, 0.6, 0.9]])
    both, one = model.emit([holed, square]), model.emit(holed)
    np.testing.assert_allclose(one(x), model.solve(holed, project=False)(x), rtol=1e-9)
    np.testing.assert_allclose(both(x)[0], one(x), atol=1e-4)
    np.testing.assert_allclose(both(np.stack([x, x / 2]))[1], both(x / 2)[1], rtol=1e-9)
    np.testing.assert_allclose((one + one)(x), 2 * one(x), rtol=1e-9)
    np.testing.assert_allclose(one(x), one.jets(holed.unit.to_unit(x))[0], rtol=1e-9)
