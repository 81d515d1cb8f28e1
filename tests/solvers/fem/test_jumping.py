"""Jumping conductivity against exact solutions: strips, inclusions, crossings; fluxes, estimates, other forms."""

import numpy as np
import pytest
import skfem
from scipy.optimize import fsolve

from meshmove.geometry import Disk, InvalidMeshError, Polygon, Rectangle
from meshmove.solvers import Dirichlet, HyPINO, LinearPDE, Neumann, Robin, project, solve_finite_elements
from meshmove.solvers.fem.fitted import curved, fitted_mesh, on_curves

pytest.importorskip("gmsh")

SQUARE = Rectangle((-1, -1), (1, 1), name="all")
SIDES = Rectangle((-1, -1), (1, 1), names=("bottom", "right", "top", "left"))
LEFT, RIGHT = Rectangle((-1, -1), (0.2, 1)), Rectangle((0.2, -1), (1, 1))
CENTER, RADIUS = np.array([0.1, 0.0]), 0.5
DISK = Disk(tuple(CENTER), RADIUS)


def inclusion(k, source=0.0, **rest):
    """A disk in a uniform flow: u = 2/(1 + k) X inside, X + (1 - k)/(1 + k) R^2 X/r^2 around, X = x - 0.1."""

    def u(x):
        X, Y = x - CENTER[:, None]
        r2 = X**2 + Y**2
        around = X * (1 + (1 - k) / (1 + k) * RADIUS**2 / np.maximum(r2, 1e-30))
        return np.where(r2 < RADIUS**2, 2 / (1 + k) * X, around)

    pde = LinearPDE(
        SQUARE, divergence={DISK: k, SQUARE - DISK: 1.0}, source=source, conditions={"all": Dirichlet(u)}, **rest
    )
    return pde, u


def error(f, u, domain=SQUARE):
    x = domain.sample_interior(4000, seed=9)
    return float(np.linalg.norm(f(x) - u(x)) / np.linalg.norm(u(x)))


def test_two_layers_with_numbers_are_solved_to_rounding():
    q = 1 / (1.2 / 1 + 0.8 / 50)
    u = lambda x: np.where(x[0] < 0.2, q * (x[0] + 1), 1 - q * (1 - x[0]) / 50)  # noqa: E731
    conditions = {"left": Dirichlet(0), "right": Dirichlet(1), "bottom": Neumann(), "top": Neumann()}
    solution = project(LinearPDE(SIDES, divergence={LEFT: 1.0, RIGHT: 50.0}, conditions=conditions))
    assert error(solution, u) < 1e-11
    assert solution.error_estimate < 1e-9


def test_layers_of_a_tensor_and_of_a_number_with_all_kinds_of_conditions():
    """Linear in both: uy is the same, and the flux 2 p + 0.5 c = 3 q; normal derivatives are those of u."""
    c, q = 0.7, 1.3
    p = (3 * q - 0.5 * c) / 2
    u = lambda x: c * x[1] + np.where(x[0] < 0.2, p, q) * (x[0] - 0.2)  # noqa: E731
    conditions = {"left": Neumann(-p), "right": Robin(2.0, 1.0, lambda x: 2 * u(x) + q), "bottom": Dirichlet(u)}
    conditions["top"] = Neumann(c)
    pde = LinearPDE(SIDES, divergence={LEFT: [[2, 0.5], [0.5, 1]], RIGHT: 3.0}, conditions=conditions)
    assert error(project(pde, effort=0.1), u) < 1e-11


def test_k_may_vary_within_regions_and_other_terms_stand_beside():
    """u' = 1/k with k = 2 + x left and 5 right; the source makes up for b u_x + c u."""
    ahead = lambda x: np.where(x[0] < 0.2, 2 + x[0], 5.0)  # noqa: E731
    u = lambda x: np.where(x[0] < 0.2, np.log((2 + x[0]) / 2.2), (x[0] - 0.2) / 5)  # noqa: E731
    pde = LinearPDE(
        SQUARE,
        divergence={LEFT: lambda x: 2 + x[0], RIGHT: 5.0},
        ux=3,
        u=lambda x: 1 + x[1] ** 2,
        source=lambda x: 3 / ahead(x) + (1 + x[1] ** 2) * u(x),
        conditions={"all": Dirichlet(u)},
    )
    solution = project(pde, tolerance=1e-6)
    assert error(solution, u) < solution.error_estimate < 1e-6
    assert np.abs(solution.residual(SQUARE.sample_interior(200))).max() < 1e-2


@pytest.mark.parametrize("k", [10.0, 1000.0, 1e-3])
def test_an_inclusion_and_its_estimate(k):
    pde, u = inclusion(k)
    solution = project(pde)
    assert error(solution, u) < solution.error_estimate < 3e-5


def test_order_of_convergence_on_fitted_meshes():
    """Cubic elements with quadratic edges on the circle: of fourth order in L2."""
    pde, u = inclusion(10.0)
    mesh, errors = fitted_mesh(pde, 0.3), []
    for _ in range(2):
        basis, dofs = solve_finite_elements(pde, curved(pde, mesh), element=skfem.ElementTriP3())
        x = np.asarray(basis.global_coordinates())
        miss = np.asarray(basis.interpolate(dofs)) - u(x.reshape(2, -1)).reshape(x.shape[1:])
        errors.append(np.sqrt((miss**2 * basis.dx).sum()))
        mesh = on_curves(pde, mesh.refined(1))
    assert errors[0] > 12 * errors[1]


def test_u_and_the_flux_are_continuous_across_the_interface():
    k = 10.0
    solution = project(inclusion(k)[0], tolerance=1e-4)
    angle = np.linspace(0, 2 * np.pi, 50)[:-1]
    n = np.stack([np.cos(angle), np.sin(angle)])
    inner, outer = (CENTER[:, None] + (RADIUS + s) * n for s in (-1e-4, 1e-4))
    np.testing.assert_allclose(solution(inner), solution(outer), atol=1e-3)
    fluxes = [a * (n * solution.gradient(x)).sum(axis=0) for a, x in ((k, inner), (1.0, outer))]
    np.testing.assert_allclose(*fluxes, atol=3e-2)
    assert np.abs((n * (solution.gradient(inner) - solution.gradient(outer))).sum(axis=0)).max() > 1


def kellogg(gamma):
    """r^gamma mu(angle) where four squares of two materials meet (Kellogg, Applicable Analysis 4, 1975)."""
    rho = np.pi / 4
    sigma, R = fsolve(
        lambda v: [
            v[1] + np.tan((np.pi / 2 - v[0]) * gamma) / np.tan(rho * gamma),
            v[1] + np.tan(v[0] * gamma) / np.tan((np.pi / 2 - rho) * gamma),
        ],
        (-14.92, 161.4) if gamma == 0.1 else (-2.356, 5.83),
    )

    def u(x):
        t = np.mod(np.arctan2(x[1], x[0]), 2 * np.pi)
        parts = [
            np.cos((np.pi / 2 - sigma) * gamma) * np.cos((t - np.pi / 2 + rho) * gamma),
            np.cos(rho * gamma) * np.cos((t - np.pi + sigma) * gamma),
            np.cos(sigma * gamma) * np.cos((t - np.pi - rho) * gamma),
            np.cos((np.pi / 2 - rho) * gamma) * np.cos((t - 1.5 * np.pi - sigma) * gamma),
        ]
        return np.hypot(*x) ** gamma * np.select([t <= np.pi / 2, t <= np.pi, t <= 1.5 * np.pi], parts[:3], parts[3])

    boxes = [Rectangle(a, (a[0] + 1, a[1] + 1)) for a in ((0, 0), (-1, 0), (-1, -1), (0, -1))]
    k = dict(zip(boxes, (R, 1.0, R, 1.0), strict=True))
    return LinearPDE(SQUARE, divergence=k, conditions={"all": Dirichlet(u)}), u


@pytest.mark.parametrize(
    "shape",
    [
        Disk((0, 0), 0.5) - Disk((0.1, 0), 0.45),
        Disk((0, 0.5), 0.5),
        Polygon([(-0.5, -0.5), (0.6, -0.4), (0, 0.001)]),
    ],
    ids=["crescent", "touches the boundary", "sharp"],
)
def test_regions_with_sharp_corners(shape):
    """Where curves end in thin corners, or touch: against a finer solution of the same problem."""
    pde = LinearPDE(SQUARE, divergence={shape: 100.0, SQUARE - shape: 1.0}, source=1.0, conditions={"all": Dirichlet()})
    solution, finer = (project(pde, effort=0.1, tolerance=t) for t in (3e-3, 3e-4))
    assert error(solution, finer) < solution.error_estimate < 3e-3
    assert finer.field.basis.dx.min() > 0


@pytest.mark.parametrize("gamma, most", [(0.5, 5e-3), (0.1, 0.2)])
def test_where_four_materials_meet_the_estimate_is_honest(gamma, most):
    pde, u = kellogg(gamma)
    solution = project(pde, effort=0.05)
    assert error(solution, u) < solution.error_estimate < most


def test_a_peak_that_cells_do_not_see_is_found():
    """Of width 0.01, in a disk that conducts ten times as well: against a finer one."""
    peak = lambda x: 1e4 * np.exp(-((x[0] - 0.23) ** 2 + (x[1] - 0.11) ** 2) / 0.01**2)  # noqa: E731
    pde = LinearPDE(SQUARE, divergence={DISK: 10.0, SQUARE - DISK: 1.0}, source=peak, conditions={"all": Dirichlet()})
    solution, better = project(pde, tolerance=1e-2), project(pde, tolerance=3e-4)
    assert error(solution, better) < solution.error_estimate < 1e-2


def test_a_solution_is_one_for_lists_networks_and_other_libraries():
    pde, u = inclusion(10.0)
    model = HyPINO.from_pretrained()
    plain = LinearPDE(SQUARE, uxx=-1, uyy=-1, source=1, conditions={"all": Dirichlet()})
    one, other = model.solve([pde, plain], project=True, effort=0.1)
    x = np.array([[0.0, 0.9, 1.5], [0.0, 0.9, 0.0]])
    np.testing.assert_array_equal(one(x), project(pde, effort=0.1)(x))
    assert other.how == "projected" and one.how == "solved by finite elements"
    assert np.isnan(one(x, outside="nan")).tolist() == [False, False, True] and np.isfinite(one(x)).all()
    found = one.verify(size=0.1)
    assert found.relative_l2 < 1e-3
    basis = skfem.Basis(skfem.MeshTri.init_sqsymmetric().refined(2), skfem.ElementTriP1())
    assert one.to_skfem(basis).shape == (basis.N,)
    assert max(one.boundary_residual().values()) < 1e-3
    beside = CENTER[:, None] + (RADIUS - 1e-5) * np.array([[0.6], [0.8]])  # differences across the circle would be 1e4
    assert np.abs(one.hessian(beside)).max() < 10


def test_second_derivatives_are_those_within_the_cell():
    """Of (x - 0.1)^2 + c around and 1/10 of it inside, whose flux is continuous: -div(k grad u) = -4."""
    r2 = lambda x: ((x - CENTER[:, None]) ** 2).sum(axis=0)  # noqa: E731
    u = lambda x: np.where(r2(x) < RADIUS**2, r2(x) / 10 + 0.9 * RADIUS**2, r2(x))  # noqa: E731
    pde = LinearPDE(SQUARE, divergence={DISK: 10.0, SQUARE - DISK: 1.0}, source=-4.0, conditions={"all": Dirichlet(u)})
    solution = project(pde, tolerance=1e-6)
    assert error(solution, u) < 1e-6
    x = np.array([[0.1, 0.2, -0.8, 0.7], [0.1, -0.2, -0.7, 0.5]])
    expected = np.where(r2(x) < RADIUS**2, 0.2, 2.0)
    np.testing.assert_allclose(solution.jets(x)[3:], [expected, expected], atol=5e-3)
    assert np.abs(solution.residual(x)).max() < 5e-2


def test_a_mesh_that_interfaces_cut_is_refused_and_one_that_is_fitted_taken():
    pde, u = inclusion(10.0)
    with pytest.raises(InvalidMeshError, match="that interfaces cut"):
        solve_finite_elements(pde, skfem.MeshTri().refined(4).scaled(2.0).translated((-1, -1)))
    k = {Rectangle((-1, -1), (0, 1)): 1.0, Rectangle((0, -1), (1, 1)): 4.0}
    v = lambda x: np.where(x[0] < 0, x[0], x[0] / 4)  # noqa: E731
    strip = LinearPDE(SQUARE, divergence=k, conditions={"all": Dirichlet(v)})
    basis, dofs = solve_finite_elements(strip, skfem.MeshQuad().refined(2).scaled(2.0).translated((-1, -1)))
    np.testing.assert_allclose(dofs, v(np.asarray(basis.doflocs)), atol=1e-12)
