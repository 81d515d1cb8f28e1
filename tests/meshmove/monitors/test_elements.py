"""For which element an error is predicted: linear, quadratic by third derivatives, none where nothing is known."""

import itertools

import numpy as np
import pytest
import skfem

import meshmove
from meshmove.geometry import CellMesh
from meshmove.monitors import Recovery, quadratic_solution_error, third_derivatives
from meshmove.monitors.quadratic import mean_squares
from meshmove.monitors.solution_error import barycentric
from meshmove.solvers.fem.manufactured import PROBLEMS
from meshmove.solvers.fem.poisson import l2_error, solve_poisson
from tests.shapes import turn

P2 = skfem.ElementTriP2()


def cells_of(mesh):
    return CellMesh.single(mesh.p.T, mesh.t.T, "triangle" if mesh.dim() == 2 else "tetra")


def jittered(cls, seed=0):
    mesh = cls().refined(1)
    return cls(mesh.p + 0.1 * np.random.default_rng(seed).uniform(-1, 1, mesh.p.shape), mesh.t)


def cubic(dim, seed=0):
    t = np.random.default_rng(seed).normal(size=(dim,) * 3)
    return np.mean([t.transpose(order) for order in itertools.permutations(range(3))], axis=0)


@pytest.mark.parametrize(("cls", "element"), [(skfem.MeshTri, P2), (skfem.MeshTet, skfem.ElementTetP2())])
def test_the_error_of_quadratic_interpolation_is_exact_for_cubics(cls, element):
    mesh = jittered(cls)
    t = cubic(mesh.dim())

    def u(x):
        return np.einsum("abc,a...,b...,c...->...", t, x, x, x) / 6

    basis = skfem.Basis(mesh, element, intorder=8)
    interpolant, x = basis.interpolate(u(basis.doflocs)), np.asarray(basis.global_coordinates())
    direct = ((interpolant - u(x)) ** 2 * basis.dx).sum()
    slope = np.einsum("abc,a...,b...->c...", t, x, x) / 2
    steep = (((interpolant.grad - slope) ** 2).sum(axis=0) * basis.dx).sum()
    corners = mesh.p[:, mesh.t]
    corners = corners - corners.mean(axis=1, keepdims=True)
    gradients, volume = barycentric(corners)
    error, rise = mean_squares(corners, gradients, np.repeat(t[..., None], mesh.t.shape[1], axis=-1))
    assert volume @ error == pytest.approx(direct) and volume @ rise == pytest.approx(steep)


def test_third_derivatives_are_exact_for_cubics_away_from_the_boundary():
    mesh = cells_of(skfem.MeshTri.init_tensor(*[np.linspace(0, 1, 9)] * 2))
    t = cubic(2, seed=3)
    x = mesh.points.T
    recovery = Recovery(mesh)
    found = third_derivatives(recovery, recovery.hessian(np.einsum("abc,an,bn,cn->n", t, x, x, x) / 6))
    inner = ((x > 0.3) & (x < 0.7)).all(axis=0)
    np.testing.assert_allclose(found[..., inner], np.repeat(t[..., None], inner.sum(), axis=-1), atol=1e-8)


def test_the_quadratic_prediction_has_no_frame_and_scales_with_the_cube_of_the_size():
    mesh = cells_of(jittered(skfem.MeshTri))
    t = np.repeat(cubic(2)[..., None], mesh.n_points, axis=-1)
    q = turn(0.7)
    turned = np.einsum("ai,bj,ck,ijkn->abcn", q, q, q, t)
    here = quadratic_solution_error(mesh, t)
    assert quadratic_solution_error(mesh.moved(mesh.points @ q.T), turned) == pytest.approx(here)
    assert quadratic_solution_error(mesh, t, 10 * mesh.points) == pytest.approx(10**4 * here)  # h^3, and sqrt(area)


@pytest.mark.parametrize("name", ["peak", "quarter_circle"])
def test_what_is_predicted_for_quadratic_elements_comes_true(name):
    if name == "peak":
        problem = PROBLEMS["peak"]
        mesh, source, exact = problem.mesh(20), problem.source, problem.exact
    else:
        mesh = skfem.MeshTri().refined(4)

        def exact(x):
            return np.exp(-30 * ((x[0] - 0.3) ** 2 + (x[1] - 0.6) ** 2))

        def source(x):
            r2 = (x[0] - 0.3) ** 2 + (x[1] - 0.6) ** 2
            return (120 - 3600 * r2) * exact(x)

    def solve(m):
        return solve_poisson(m, source, exact, element=P2)

    out = meshmove.adapt(mesh, (skfem.Basis(mesh, P2), solve(mesh)))
    predicted = out.report.predicted_error_after / out.report.predicted_error_before
    true = l2_error(out.mesh, solve(out.mesh), exact, element=P2) / l2_error(mesh, solve(mesh), exact, element=P2)
    assert predicted < 0.8 and true < 0.8 and 0.5 < predicted / true < 1.5
    assert out.report.predicted_for == "quadratic elements" and "of quadratic elements" in str(out.report)


def test_quadratic_elements_are_aligned_for_their_own_error():
    problem = PROBLEMS["boundary_layer"]
    mesh = problem.mesh(16)

    def solve(m):
        return skfem.Basis(m, P2), solve_poisson(m, problem.source, problem.exact, element=P2)

    def error(out):
        return l2_error(out.mesh, solve(out.mesh)[1], problem.exact, element=P2)

    aligned, carried = (meshmove.adapt(mesh, solve(mesh), objective=o) for o in ("alignment", "equidistribution"))
    assert aligned.report.objective == "alignment" and aligned.report.predicted_for == "quadratic elements"
    rest = l2_error(mesh, solve(mesh)[1], problem.exact, element=P2)
    assert error(aligned) < rest / 12 and error(aligned) < error(carried) / 2


def test_on_curved_cells_quadratic_elements_are_equidistributed():
    straight = skfem.MeshTri2.init_circle(2)
    basis = skfem.Basis(straight, P2)
    curved = meshmove.adapt(straight, (basis, np.exp(-20 * (basis.doflocs[0] - 0.3) ** 2)), effort=0.3)
    assert curved.report.objective == "equidistribution" and curved.report.predicted_for == "quadratic elements"
    square = skfem.MeshTri2.from_mesh(skfem.MeshTri().refined(3))
    basis = skfem.Basis(square, P2)
    flat = meshmove.adapt(square, (basis, np.exp(-20 * (basis.doflocs[0] - 0.3) ** 2)), effort=0.3)
    assert flat.report.objective == "alignment"


def test_a_flow_is_moved_to_its_velocity():
    mesh = skfem.MeshTri().refined(3)
    flow = skfem.Basis(mesh, skfem.ElementVector(P2) * skfem.ElementTriP1(), intorder=4)
    dofs = np.zeros(flow.N)
    (_, part), (_, pressures) = flow.split(dofs)
    velocity, pressure = flow.split_indices()
    dofs[velocity] = np.tanh(12 * (part.doflocs[0] - 0.5))
    dofs[pressure] = np.exp(-50 * ((pressures.doflocs - 0.2) ** 2).sum(axis=0))
    out = meshmove.adapt(mesh, (flow, dofs), effort=0.3)
    alone = meshmove.adapt(mesh, (part, dofs[velocity]), effort=0.3)
    np.testing.assert_array_equal(out.mesh.p, alone.mesh.p)
    assert out.fields["field"].shape == dofs.shape and out.report.predicted_for == "quadratic elements"
    assert meshmove.Outcome.PART_OF_FIELDS in out.report.outcomes
    assert meshmove.Outcome.PART_OF_FIELDS not in alone.report.outcomes


def test_a_quadratic_needs_no_other_mesh_for_quadratic_elements():
    mesh = skfem.MeshTri().refined(3)
    basis = skfem.Basis(mesh, P2)
    x, y = basis.doflocs
    still = meshmove.adapt(mesh, (basis, 50 * x**2 - x * y)).report
    assert still.max_displacement == 0 and "quadratic" in still.warnings[0]


ELEMENTS = {
    "P1": (skfem.ElementTriP1(), "linear elements"),
    "P1 vectors": (skfem.ElementVector(skfem.ElementTriP1()), "linear elements"),
    "discontinuous P1": (skfem.ElementDG(skfem.ElementTriP1()), "linear elements"),
    "P2 vectors": (skfem.ElementVector(skfem.ElementTriP2()), "quadratic elements"),
    "P0": (skfem.ElementTriP0(), "ElementTriP0"),
    "P3": (skfem.ElementTriP3(), "ElementTriP3"),
    "Crouzeix-Raviart": (skfem.ElementTriCR(), "ElementTriCR"),
    "MINI": (skfem.ElementTriP1B(), "ElementTriP1B"),
    "Morley": (skfem.ElementTriMorley(), "ElementTriMorley"),
    "Argyris": (skfem.ElementTriArgyris(), "ElementTriArgyris"),
}


@pytest.mark.parametrize("name", ELEMENTS)
def test_the_report_says_for_which_element_it_speaks(name):
    element, called = ELEMENTS[name]
    mesh = skfem.MeshTri().refined(3)
    basis = skfem.Basis(mesh, element, intorder=4)
    field = skfem.Basis(mesh, skfem.ElementTriP1(), intorder=4)
    u = field.interpolate(np.tanh(9 * (mesh.p[0] - 0.5)))
    weights = np.stack([u, 2 * u]) if "vectors" in name else u

    @skfem.LinearForm
    def load(v, w):
        return sum(a * b for a, b in zip(weights, v, strict=True)) if "vectors" in name else weights * v

    @skfem.BilinearForm
    def mass(a, b, w):
        return sum(x * y for x, y in zip(a, b, strict=True)) if "vectors" in name else a * b

    out = meshmove.adapt(mesh, (basis, skfem.solve(mass.assemble(basis), load.assemble(basis))), effort=0.3)
    told = [w for w in out.report.warnings if "no error is predicted" in w]
    if "elements" in called:
        assert out.report.predicted_for == called and out.report.predicted_error_before > 0 and not told
    else:
        assert out.report.predicted_error_before is None and out.report.predicted_error_after is None
        assert len(told) == 1 and called in told[0] and "predicted error" not in str(out.report).split("warning")[0]
        assert out.report.max_displacement > 0


def test_an_intensity_that_is_given_is_kept_without_a_prediction():
    mesh = skfem.MeshQuad().refined(3)
    basis = skfem.Basis(mesh, skfem.ElementQuad2())
    monitor = meshmove.Monitor("gradient", intensity=3)
    out = meshmove.adapt(mesh, (basis, np.tanh(9 * (basis.doflocs[0] - 0.5))), monitor=monitor)
    assert out.report.monitor == "gradient, intensity 3"
    assert "ElementQuad2" in out.report.warnings[-1] and "asked for" in out.report.warnings[-1]
