"""Solutions: values and derivatives in the problem's own units, residuals, forms for other libraries, estimates."""

import numpy as np
import pytest
import skfem

from meshmove.geometry import Disk, Rectangle
from meshmove.geometry.errors import UnsupportedMeshError
from meshmove.solvers import project
from meshmove.solvers.pde import Dirichlet, Interval, LinearPDE, Neumann, ProblemError, TimeInterval
from meshmove.solvers.projection.field import Sum
from meshmove.solvers.solution.estimate import estimate_error
from meshmove.solvers.solution.remainder import remainder
from meshmove.solvers.solution.solution import Solution


def _exact(x):
    return np.sin(x[0]) * np.exp(0.5 * x[1])


@pytest.fixture(scope="module")
def pde():
    domain = Rectangle((1, 0), (4, 2), "outer") - Disk((2.5, 1), 0.4, "hole")

    def flux(x):
        n = domain.normal(x)
        return np.exp(0.5 * x[1]) * (np.cos(x[0]) * n[0] + 0.5 * np.sin(x[0]) * n[1])

    return LinearPDE(
        domain,
        uxx=-1,
        uyy=-1,
        source=lambda x: 0.75 * _exact(x),
        conditions={"outer": Dirichlet(_exact), "hole": Neumann(flux)},
    )


@pytest.fixture(scope="module")
def solution(pde):
    return project(pde)


def _points(pde, n=300):
    return pde.unit.to_physical(pde.unit.interior(n, seed=5).points)


def test_values_gradients_and_residuals(pde, solution):
    x = _points(pde)
    assert np.allclose(solution(x), _exact(x), atol=1e-6)
    gradient = np.stack([np.cos(x[0]), 0.5 * np.sin(x[0])]) * np.exp(0.5 * x[1])
    assert np.allclose(solution.gradient(x), gradient, atol=1e-4)
    sine, cosine = np.sin(x[0]), np.cos(x[0])
    hessian = np.array([[-sine, 0.5 * cosine], [0.5 * cosine, 0.25 * sine]]) * np.exp(0.5 * x[1])
    assert np.allclose(solution.hessian(x), hessian, atol=1e-3)
    outside = solution.hessian(np.array([[50.0], [0.0]]), outside="nan")
    assert outside.shape == (2, 2, 1) and np.isnan(outside).all()
    assert np.abs(solution.residual(x)).max() < 1e-2
    assert set(solution.boundary_residual()) == {"outer", "hole"}
    assert max(solution.boundary_residual().values()) < 1e-4
    assert solution(x.reshape(2, 3, -1)).shape == (3, 100)
    assert "projected" in repr(solution) and "estimated" in repr(solution)


def test_points_of_another_shape_are_refused(solution):
    with pytest.raises(ProblemError, match="transpose"):
        solution(np.zeros((7, 2)))


def test_scikit_fem_gets_nodal_values_or_a_projection(solution):
    mesh = skfem.MeshTri.init_tensor(np.linspace(1, 2, 4), np.linspace(0, 2, 5))
    nodal = skfem.Basis(mesh, skfem.ElementTriP2())
    assert np.allclose(solution.to_skfem(nodal), _exact(nodal.doflocs), atol=1e-5)
    other = skfem.Basis(mesh, skfem.ElementTriMorley(), intorder=6)
    assert solution.to_skfem(other).shape == (other.N,)


def test_pyvista_gets_point_data(solution):
    pyvista = pytest.importorskip("pyvista")
    grid = pyvista.ImageData(dimensions=(4, 4, 1), spacing=(0.1, 0.1, 1), origin=(1, 0, 0)).cast_to_unstructured_grid()
    out = solution.to_pyvista(grid)
    assert np.allclose(out.point_data["solution"], _exact(np.asarray(out.points)[:, :2].T), atol=1e-5)
    assert out.point_data["gradient"].shape == (16, 3) and "solution" not in grid.point_data
    with pytest.raises(UnsupportedMeshError, match="pyvista"):
        solution.to_pyvista(object())


def test_finite_elements_agree(solution):
    found = solution.verify(size=0.2)
    assert found.relative_l2 < 1e-3
    assert "differs from finite elements" in str(found)


def test_the_remainder_of_a_solution_is_nothing_and_that_of_half_is_half(pde, solution):
    x = _points(pde)
    assert np.abs(remainder(pde, solution.field).source_at(x)).max() < 1e-2
    half = remainder(pde, Sum((solution.field,), (0.5,)))
    assert np.allclose(half.source_at(x), 0.5 * pde.source_at(x), atol=1e-2)
    assert np.allclose(project(half)(x), 0.5 * solution(x), atol=1e-6)


@pytest.mark.parametrize("factor", [0.9, 0.5, 1.001])
def test_estimates_of_given_solutions_bound_the_error_within_a_factor(pde, solution, factor):
    wrong = Solution(pde, Sum((solution.field,), (factor,)))
    error = abs(1 - factor)
    assert 1.45 * error < estimate_error(wrong.pde, wrong.field) < 3 * error  # with its safety factor
    assert wrong.error_estimate == pytest.approx(estimate_error(wrong.pde, wrong.field))


def test_the_remainder_of_a_problem_in_time():
    start = lambda x: np.sin(x[0])  # noqa: E731
    pde = LinearPDE(
        Interval(0, np.pi),
        time=TimeInterval(0, 1),
        utt=1,
        uxx=-1,
        initial=start,
        velocity=start,
        conditions={"left": Dirichlet(), "right": Dirichlet()},
    )
    solution = project(pde)
    x = _points(pde)
    assert np.allclose(solution(x), np.sin(x[0]) * (np.cos(x[1]) + np.sin(x[1])), atol=1e-6)
    rest = remainder(pde, Sum((solution.field,), (2.0,)))
    assert np.allclose(project(rest)(x), -solution(x), atol=1e-5)
