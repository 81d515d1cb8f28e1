"""The finite element references: sources fit their solutions, and errors fall at the order that theory gives."""

import numpy as np
import pytest
import skfem

from meshmove.geometry import FieldError
from meshmove.solvers import PROBLEMS, Problem, interpolation_error_of, l2_error, solve_poisson


@pytest.mark.parametrize("name", PROBLEMS)
def test_sources_are_minus_the_laplacian(name):
    problem = PROBLEMS[name]
    x = np.random.default_rng(0).uniform(0.05, 0.95, (2, 2000))
    x = x[:, (np.hypot(*(x - 0.5)) > 0.05) & ~((x > 0.48).all(axis=0) if problem.domain == "L" else False)]
    h = 4e-4
    laplacian = np.zeros(x.shape[1])
    for axis in (0, 1):
        step = h * np.eye(2)[:, [axis]]
        near, far = (problem.exact(x + k * step) + problem.exact(x - k * step) for k in (1, 2))
        laplacian += (16 * near - far - 30 * problem.exact(x)) / (12 * h**2)  # fourth order
    source = problem.source(x)
    np.testing.assert_allclose(-laplacian, source, atol=1e-4 * np.abs(source).max() + 1e-6)


@pytest.mark.parametrize("name", PROBLEMS)
def test_problems_take_points_of_any_shape(name):
    problem = PROBLEMS[name]
    assert isinstance(problem, Problem) and problem.name == name
    x = np.random.default_rng(1).uniform(0, 0.45, (2, 3, 4))
    for f in (problem.exact, problem.source):
        assert f(x).shape == (3, 4) and np.isfinite(f(x)).all()
        np.testing.assert_allclose(f(x)[1], f(x[:, 1]))


@pytest.mark.parametrize("name", ["ring", "peak", "bell"])
def test_the_benchmark_problems_are_those_of_the_tables(name):
    x, y = x_y = np.random.default_rng(2).random((2, 50))
    r2 = (x - 0.5) ** 2 + (y - 0.5) ** 2
    expected = {
        "ring": np.tanh(60 * (r2 - 0.08)),
        "peak": np.exp(-200 * ((x - 0.3) ** 2 + (y - 0.4) ** 2)),
        "bell": 1 + 10 * np.exp(-r2 / 0.15**2),
    }
    np.testing.assert_allclose(PROBLEMS[name].exact(x_y), expected[name])


def test_the_corner_solution_vanishes_at_the_re_entrant_corner():
    mesh = PROBLEMS["corner"].mesh(8)
    x, y = mesh.p
    notch = ((x == 0.5) & (y >= 0.5)) | ((y == 0.5) & (x >= 0.5))
    u = PROBLEMS["corner"].exact(mesh.p)
    np.testing.assert_allclose(u[notch], 0, atol=1e-12)
    assert (u[~notch] > 0).all()
    assert np.isclose(skfem.Basis(mesh, mesh.elem()).dx.sum(), 0.75)


SMOOTH = PROBLEMS["waves"]


@pytest.mark.parametrize(
    ("mesh", "element", "order"),
    [
        (skfem.MeshTri, None, 2),
        (skfem.MeshQuad, None, 2),
        (skfem.MeshTri, skfem.ElementTriP2(), 3),
        (skfem.MeshQuad, skfem.ElementQuad2(), 3),
    ],
)
def test_the_l2_error_falls_at_the_element_s_order(mesh, element, order):
    errors = []
    for n in (8, 16, 32):
        grid = mesh.init_tensor(*[np.linspace(0, 1, n + 1)] * 2)
        u = solve_poisson(grid, SMOOTH.source, SMOOTH.exact, element=element)
        errors.append(l2_error(grid, u, SMOOTH.exact, element=element))
    assert abs(np.log2(errors[1] / errors[2]) - order) < 0.2


@pytest.mark.parametrize("mesh", [skfem.MeshTet, skfem.MeshHex])
def test_the_l2_error_falls_at_second_order_in_three_dimensions(mesh):
    def exact(x):
        return np.sin(2 * x[0]) * np.cos(x[1]) * np.exp(x[2])

    errors = []
    for n in (4, 8):
        grid = mesh.init_tensor(*[np.linspace(0, 1, n + 1)] * 3)
        u = solve_poisson(grid, lambda x: 4 * exact(x), exact)
        errors.append(l2_error(grid, u, exact, intorder=4))
    assert abs(np.log2(errors[0] / errors[1]) - 2) < 0.3


def test_second_order_meshes_get_second_order_elements():
    mesh = skfem.MeshTri2.init_circle(2)
    u = solve_poisson(mesh, 4.0, lambda x: -(x[0] ** 2) - x[1] ** 2)
    assert u.shape == (mesh.doflocs.shape[1],)
    assert l2_error(mesh, u, lambda x: -(x[0] ** 2) - x[1] ** 2) < 1e-3


@pytest.mark.parametrize("name", ["ring", "corner", "wave_front"])
def test_multigrid_and_direct_solutions_agree(name):
    problem = PROBLEMS[name]
    mesh = problem.mesh(40)
    direct, multigrid = (solve_poisson(mesh, problem.source, problem.exact, solver=s) for s in ("direct", "multigrid"))
    np.testing.assert_allclose(multigrid, direct, atol=1e-9)


def test_the_corner_singularity_costs_order():
    errors = []
    for n in (16, 32, 64):
        mesh = PROBLEMS["corner"].mesh(n)
        errors.append(l2_error(mesh, solve_poisson(mesh, 0.0, PROBLEMS["corner"].exact), PROBLEMS["corner"].exact))
    assert 1.2 < np.log2(errors[1] / errors[2]) < 1.5  # 4/3 on uniform meshes


def test_interpolation_error_of_a_quadratic_is_the_edge_formula():
    mesh = skfem.MeshTri.init_tensor(*[np.linspace(0, 1, 5)] * 2)
    d = np.array([1 / 16, 0, 1 / 16]) * 2  # e^T H e of the edges, u = x^2
    expected = np.sqrt(1 / 4 * ((d**2).sum() / 90 + (d.sum() ** 2 - (d**2).sum()) / 180))
    assert np.isclose(interpolation_error_of(mesh, lambda x: x[0] ** 2), expected)
    assert interpolation_error_of(mesh, lambda x: x[0] - x[1]) < 1e-14


def test_a_mesh_without_interior_nodes_takes_its_boundary_values():
    mesh = skfem.MeshTri()
    np.testing.assert_allclose(solve_poisson(mesh, 1.0, 7.0), 7.0)


def test_bad_input_is_named():
    mesh = skfem.MeshTri().refined(1)
    with pytest.raises(ValueError, match="'auto', 'direct', 'multigrid' \\(got 'magic'\\)"):
        solve_poisson(mesh, 1.0, solver="magic")
    with pytest.raises(FieldError, match=r"Expected 9 values.*got shape \(4,\)"):
        l2_error(mesh, np.zeros(4), 0.0)
    with pytest.raises(ValueError, match=r"positive, even number of cells a side \(got 5\)"):
        PROBLEMS["corner"].mesh(5)
