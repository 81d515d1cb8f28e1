"""Meshes for a goal: the solution and its adjoint say together where cells are needed."""

import warnings

import numpy as np
import pytest
import skfem
from skfem.helpers import dot, grad
from skfem.models.poisson import laplace, unit_load

from meshmove import GoalError, adapt, adapt_loop
from meshmove.adaptation.judging.prediction import weighted


@skfem.Functional
def probe(w):
    """The mean about a point, away from the corner."""
    return 200 / np.pi * np.exp(-200 * ((w.x[0] - 0.5) ** 2 + (w.x[1] + 0.5) ** 2)) * w["u"]


#: of the membrane on the L: quadratic elements on meshes of up to a million cells
EXACT = 0.1011151


def solve(mesh):
    basis = skfem.Basis(mesh, skfem.ElementTriP1(), intorder=6)
    return basis, skfem.solve(*skfem.condense(laplace.assemble(basis), unit_load.assemble(basis), D=basis.get_dofs()))


def adjoint(basis, load):
    return skfem.solve(*skfem.condense(laplace.assemble(basis).T, load, D=basis.get_dofs()))


def error(mesh):
    basis, u = solve(mesh)
    return abs(probe.assemble(basis, u=u) - EXACT)


def test_the_error_of_the_goal_falls_by_more_than_where_the_mesh_is_for_the_field():
    mesh = skfem.MeshTri.init_lshaped().refined(4)
    out, history = adapt_loop(mesh, solve, goal=probe, adjoint=adjoint)
    assert 2.2 * error(out.mesh) < error(mesh)
    assert 1.2 * error(out.mesh) < error(adapt_loop(mesh, solve).mesh)
    assert np.array_equal(out.mesh.t, mesh.t) and out.report.objective == "alignment"
    basis, u = solve(mesh)
    assert history[0].goal == pytest.approx(probe.assemble(basis, u=u), rel=1e-12)
    assert f"{out.report.goal:.9g}" in str(out.report) and "goal" not in str(adapt(mesh, u).report)


def test_a_function_is_a_goal_too():
    mesh = skfem.MeshTri.init_lshaped().refined(3)

    def point(basis, dofs):
        row = basis.probes(np.array([[0.5], [-0.5]])).toarray()[0]
        return row @ dofs, row

    by_function = adapt_loop(mesh, solve, goal=point, adjoint=adjoint, steps=1).adaptation
    basis, u = solve(mesh)
    z = adjoint(basis, point(basis, u)[1])
    assert by_function.report.goal == pytest.approx(u @ laplace.assemble(basis) @ z)  # by duality, with zero data
    assert np.abs(by_function.displacement).max() > 0.01


def test_the_load_is_the_derivative_of_the_goal():
    mesh, seen = skfem.MeshTri.init_lshaped().refined(2), []
    square = skfem.Functional(lambda w: w["u"] ** 2 + 0.5 * dot(grad(w["u"]), grad(w["u"])) ** 2)

    def kept(basis, load):
        seen.append((basis, load))
        return adjoint(basis, load)

    adapt_loop(mesh, solve, goal=square, adjoint=kept, steps=1)
    (basis, load), (_, u), h = seen[0], solve(mesh), 1e-6
    v = np.random.default_rng(0).standard_normal(len(u))
    difference = (square.assemble(basis, u=u + h * v) - square.assemble(basis, u=u - h * v)) / (2 * h)
    assert load @ v == pytest.approx(difference, rel=1e-6)


def test_weighted_derivatives_have_the_size_of_the_geometric_mean():
    rng = np.random.default_rng(0)
    u, z = rng.standard_normal((2, 3, 2, 2, 7))
    u[:, ..., 3] = 0.0
    both = [np.sqrt((np.stack(part) ** 2).sum(axis=(0, 1, 2))) for part in (u, z)]
    out = weighted(list(u), list(z))
    for part in (out[:3], out[3:]):
        sizes = np.sqrt((np.stack(part) ** 2).sum(axis=(0, 1, 2)))
        np.testing.assert_allclose(sizes, np.sqrt(both[0] * both[1]), atol=1e-14)
    ratio = out[0][..., 0] / u[0][..., 0]  # directions are their own
    np.testing.assert_allclose(ratio, ratio[0, 0])


def test_a_goal_whose_adjoint_is_singular_is_named():
    mesh = skfem.MeshTri().refined(3)

    def free(basis, load):
        return skfem.solve(laplace.assemble(basis), load)

    def held(m):
        basis = skfem.Basis(m, skfem.ElementTriP1())
        return basis, skfem.solve(*skfem.condense(laplace.assemble(basis), unit_load.assemble(basis), D=np.array([0])))

    mean = skfem.Functional(lambda w: w["u"] * w.x[0])
    with pytest.raises(GoalError, match="adjoint solution of the goal .*lambda.*its problem is singular"):
        adapt_loop(mesh, held, goal=mean, adjoint=free)
    with pytest.raises(GoalError, match="goal probe: its problem is singular.*not finite at 81"):
        adapt_loop(mesh, held, goal=probe, adjoint=lambda basis, load: np.full(basis.N, np.nan))

    def warned(basis, load):
        from scipy.sparse.linalg import MatrixRankWarning

        warnings.warn("Matrix is exactly singular", MatrixRankWarning, stacklevel=1)
        return load

    with pytest.raises(GoalError, match="goal probe: its problem is singular.*MatrixRankWarning"):
        adapt_loop(mesh, held, goal=probe, adjoint=warned)


def test_what_is_no_goal_is_refused():
    mesh = skfem.MeshTri().refined(2)
    cases = [
        (dict(goal=probe), r"adjoint\(basis, load\)"),
        (dict(adjoint=adjoint), "Expected a goal with adjoint="),
        (dict(goal=3, adjoint=adjoint), "Expected a goal as a skfem.Functional"),
        (dict(goal=probe, adjoint=adjoint, energy=probe), "an energy or a goal"),
        (dict(goal=lambda b, u: 1.0, adjoint=adjoint), "to return its value and its derivatives"),
        (dict(goal=lambda b, u: (1.0, u[:-1]), adjoint=adjoint), "25 derivatives"),
        (dict(goal=lambda b, u: (1.0, 0 * u), adjoint=adjoint), "depends on the solution"),
        (dict(goal=probe, adjoint=lambda b, load: load[:-1]), "25 degrees of freedom of the adjoint of probe"),
    ]
    for options, why in cases:
        with pytest.raises(ValueError, match=why):
            adapt_loop(mesh, solve, **options)
    import meshio

    plain = meshio.Mesh(mesh.p.T, [("triangle", mesh.t.T)])
    with pytest.raises(ValueError, match="mesh of scikit-fem for a goal"):
        adapt_loop(plain, lambda m: np.zeros(25), goal=probe, adjoint=adjoint)
