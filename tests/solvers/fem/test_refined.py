"""Fronts along curves, which no splines resolve: cubic elements on refined meshes, and when they are taken."""

import numpy as np

from meshmove.geometry import Disk, Rectangle
from meshmove.solvers import Dirichlet, LinearPDE, project
from meshmove.solvers.fem.refining import solve_refined
from meshmove.solvers.projection.refinement import WORK, refined
from meshmove.solvers.projection.run import SCOUT, Run

SQUARE = Rectangle((0, 0), (1, 1), name="all")


def front(domain, a, center=(-0.05, -0.05), radius=0.7):
    """arctan(a (r - radius)), r the distance from the center (Mitchell, A collection of 2D elliptic problems, 2013)."""

    def r(x):
        return np.hypot(x[0] - center[0], x[1] - center[1])

    def source(x):
        s = a * (r(x) - radius)
        return -(-2 * a**2 * s / (1 + s**2) ** 2 + a / (1 + s**2) / r(x))

    u = lambda x: np.arctan(a * (r(x) - radius))  # noqa: E731
    return LinearPDE(domain, uxx=-1, uyy=-1, source=source, conditions={"all": Dirichlet(u)}), u


def error(f, u, domain):
    x = domain.sample_interior(20_000, seed=9)
    return float(np.linalg.norm(f(x) - u(x)) / np.linalg.norm(u(x)))


def test_a_front_that_splines_do_not_resolve_is_solved_on_refined_meshes():
    pde, u = front(SQUARE, 200)
    solution = project(pde, effort=0.1)
    assert solution.how == "solved by finite elements" and not hasattr(solution.history[-1], "cells")
    assert error(solution, u, SQUARE) < solution.error_estimate < 0.1
    assert solution.history[-1].unknowns < 0.1 * 60_000


def test_a_smooth_problem_is_left_to_splines():
    pde, u = front(SQUARE, 5)
    solution = project(pde, tolerance=1e-7)
    assert solution.how == "projected" and error(solution, u, SQUARE) < 1e-7


def test_a_few_digits_of_what_is_steep_come_from_elements_before_knots_are_looked_for():
    """As many as meshes reach cheaply; more digits and layers of the operator are left to splines."""
    pde, u = front(SQUARE, 60)
    rough, fine = (project(pde, tolerance=tolerance, effort=0.3) for tolerance in (1e-3, 1e-4))
    assert rough.how == "solved by finite elements" and fine.how == "projected"
    assert error(rough, u, SQUARE) < rough.error_estimate < 1e-3
    exact = lambda x: x[0] - np.exp((x[0] - 1) / 1e-3)  # noqa: E731
    layer = LinearPDE(SQUARE, uxx=-1e-3, uyy=-1e-3, ux=1, source=1, conditions={"all": Dirichlet(exact)})
    assert project(layer, tolerance=1e-3, effort=0.3).how == "projected"


def test_two_meshes_are_enough_where_a_few_digits_are_asked_for_and_all_is_smooth():
    """With neither a projection before them nor further meshes; for more digits four tell how changes fall."""
    pde, u = front(SQUARE, 5)
    found = project(pde, tolerance=1e-2)
    assert found.how == "solved by finite elements" and len(found.history) == 2
    assert error(found, u, SQUARE) < found.error_estimate < 1e-2
    assert len(solve_refined(pde, tolerance=4e-4).levels) >= 4


def test_elements_know_how_close_to_a_problem_without_a_unique_solution_they_are():
    """The least singular value of -Laplace - c on a square is the distance of c from 2 pi^2 = 19.739; that of an
    operator with convection is its adjoint's. Close to it two meshes are not enough."""
    close = LinearPDE(SQUARE, uxx=-1, uyy=-1, u=-19.7, source=1.0, conditions={"all": Dirichlet()})
    solved = solve_refined(close, tolerance=1e-2, effort=0.1)
    assert np.isclose(solved.weakest(), 2 * np.pi**2 - 19.7, rtol=1e-3)
    assert project(close, tolerance=1e-2).how == "solved by finite elements" and len(solved.levels) == 4
    closer = LinearPDE(SQUARE, uxx=-1, uyy=-1, u=-19.738, source=1.0, conditions={"all": Dirichlet()})
    assert project(closer, tolerance=1e-2).how == "projected"
    there, back = (
        solve_refined(
            LinearPDE(SQUARE, uxx=-1, uyy=-1, ux=b, source=1.0, conditions={"all": Dirichlet()}), tolerance=1e-2
        ).weakest()
        for b in (8.0, -8.0)
    )
    assert np.isclose(there, back, rtol=1e-2) and there > 1.1 * 2 * np.pi**2


def test_values_on_the_boundary_that_no_node_has_are_not_believed():
    """A bump on the way between two nodes: its integral, 1.3e-3 of u, is missed, and splines, which see it, solve."""
    width, wide = 2e-3, lambda x: np.exp(2 * x[0]) * np.cos(2 * x[1])
    bump = Dirichlet(lambda x: wide(x) + 2 * np.exp(-(((x[0] - 0.0729) / width) ** 2)) * (x[1] < 1e-9))
    pde = LinearPDE(SQUARE, uxx=-1, uyy=-1, conditions={"all": bump})
    solved = solve_refined(pde, tolerance=1e-3)
    x = np.random.default_rng(0).uniform(0, 1, (2, 100_000))
    size = 2 * np.sqrt((wide(x) ** 2).mean())  # over the unit square, of area 4, where sides are twice as long
    assert len(solved.levels) == 2 and solved.error < 1e-3
    assert np.isclose(solved.unheld(), 2 * 2 * np.sqrt(np.pi) * width / size, rtol=0.1)
    assert project(pde, tolerance=1e-3, effort=0.1).how == "projected"


def test_what_no_cell_of_the_first_mesh_resolves_is_refined_before_anything_is_solved():
    """Meshes that only see that they see nothing are not solved on; a smooth source begins with the first mesh."""
    steep, _ = front(SQUARE, 300)
    smooth, _ = front(SQUARE, 3)
    coarse, fine = (solve_refined(pde, tolerance=1e-9, effort=0.2).levels for pde in (smooth, steep))
    assert coarse[0].triangles == SQUARE.mesh(0.125).blocks[0].nodes.shape[0]
    assert fine[0].triangles > 2 * coarse[0].triangles and 4 <= len(fine) <= 6
    assert fine[0].unseen < 1 and fine[-1].triangles < 0.2 * 60_000 / 4.5


def test_splines_that_are_stuck_are_not_made_finer():
    """Where finer grids tell of as much error as coarse ones, that is of all of u, elements are asked first."""
    pde, _ = front(SQUARE, 1000)
    runs = [Run(pde.unit, (), 3e-5, 0.2 * WORK, 0, SCOUT, patient=patient) for patient in (True, False)]
    finest = [max(level.cells[0] for level in refined(run).levels) for run in runs]
    assert runs[1].stopped and not runs[0].stopped and finest[1] < 0.8 * finest[0]


def test_cells_along_a_curved_boundary_follow_it():
    """The front runs across a disk; vertices and middles of boundary facets are on the circle on every mesh."""
    disk = Disk((0.2, 0.1), 0.8, name="all")
    pde, u = front(disk, 40, (-1.0, 0.0), 1.2)
    solved = solve_refined(pde, effort=0.1)
    assert error(solved.field, u, disk) < solved.error < 1e-2
    mesh = solved.field.basis.mesh
    facets = mesh.boundary_facets()
    nodes = np.concatenate([np.unique(mesh.facets[:, facets]), mesh.dofs.facet_dofs[0, facets]])
    assert np.allclose(np.hypot(*(mesh.doflocs[:, nodes] - np.array([[0.2], [0.1]]))), 0.8, atol=1e-12)


def test_what_another_rule_of_quadrature_changes_is_part_of_the_estimate():
    """A source that jumps along a curve is not integrated exactly by any cell that it cuts."""
    inside = lambda x: np.where(np.hypot(x[0] - 0.5, x[1] - 0.5) < 0.3, 4.0, 0.0)  # noqa: E731
    pde = LinearPDE(SQUARE, uxx=-1, uyy=-1, source=inside, conditions={"all": Dirichlet(lambda x: -_disk(x))})
    solved = solve_refined(pde, effort=0.1)
    assert solved.levels[-1].unseen > 0
    assert error(solved.field, lambda x: -_disk(x), SQUARE) < solved.error < 0.05


def _disk(x):
    """r^2 within 0.3 of the middle, and the harmonic function that goes on from there."""
    r = np.hypot(x[0] - 0.5, x[1] - 0.5)
    return np.where(r < 0.3, r**2, 0.09 + 0.18 * np.log(np.maximum(r, 0.3) / 0.3))
