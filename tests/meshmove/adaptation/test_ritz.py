"""Ritz descent: the mesh moves such that the energy of the user's problem falls."""

import dataclasses

import meshio
import numpy as np
import pytest
import skfem
from skfem.helpers import ddot, dot, grad, sym_grad, trace
from skfem.models.elasticity import lame_parameters, linear_elasticity
from skfem.models.poisson import laplace, unit_load

from meshmove import EnergyError, FieldError, adapt_loop
from meshmove.geometry import inverted_cells
from meshmove.meshes.source import Source
from meshmove.plugins.skfem.energies import SkfemEnergy


@skfem.Functional
def membrane(w):
    return 0.5 * dot(grad(w["u"]), grad(w["u"])) - w["u"]


def l_shape(cls=skfem.MeshTri, n=3):
    return skfem.MeshTri.init_lshaped().refined(n)


def solver(element, calls=None):
    def solve(mesh):
        if calls is not None:
            calls.append(mesh)
        basis = skfem.Basis(mesh, element)
        return basis, skfem.solve(
            *skfem.condense(laplace.assemble(basis), unit_load.assemble(basis), D=basis.get_dofs())
        )

    return solve


#: of the membrane on the L: quadratic elements on a mesh graded towards the corner
LEAST = -0.107047


@pytest.mark.parametrize(("element", "gain"), [(skfem.ElementTriP1(), 1.45), (skfem.ElementTriP2(), 2.0)])
def test_the_energy_and_with_it_the_error_falls(element, gain):
    mesh, calls = l_shape(), []
    solve = solver(element, calls)
    energy = SkfemEnergy(membrane)

    def error(m):
        return np.sqrt(energy(m, solver(element)(m))[0] - LEAST)

    out, history = adapt_loop(mesh, solve, energy=membrane)
    assert error(out.mesh) * gain < error(mesh)
    assert np.array_equal(out.mesh.t, mesh.t) and not len(inverted_cells(Source.of(mesh).cells, out.mesh.p.T))
    report = out.report
    assert report.objective == "energy" and report.mover == "ritz" and report.predicted_error_after is None
    assert report.energy_after <= report.energy_before and "energy" in str(report)
    assert history[1].energy_after < history[1].energy_before
    assert report.energy_after == pytest.approx(energy(out.mesh, solve(out.mesh))[0], rel=1e-12)
    assert [r.objective == "energy" for r in history] == [False] + [True] * (len(history) - 1)
    # all sides glide, none is left
    y = out.mesh.p
    rim = mesh.boundary_nodes()
    sides = (np.abs(np.abs(y[:, rim]) - 1) < 1e-12).any(axis=0) | (np.abs(y[:, rim]) < 1e-12).any(axis=0)
    assert sides.all() and np.abs(y - mesh.p)[:, rim].max() > 0.01


def test_one_round_is_descent_alone_and_effort_is_its_number_of_steps():
    mesh, calls = l_shape(), []
    out, history = adapt_loop(mesh, solver(skfem.ElementTriP1(), calls), energy=membrane, steps=1, effort=0.25)
    assert len(history) == 1 and history[0].iterations == 5 and history[0].solves == len(calls) - 1
    assert calls[0] is mesh and history[0].energy_after < history[0].energy_before


def test_pins_and_nodes_between_changing_values_stay():
    mesh = skfem.MeshTri().refined(3)

    def solve(m):
        basis = skfem.Basis(m, skfem.ElementTriP1())
        rim = basis.get_dofs()
        x = basis.zeros()
        x[rim] = np.exp(3 * m.p[0, rim.nodal["u"]])
        return basis, skfem.solve(*skfem.condense(laplace.assemble(basis), x=x, D=rim))

    pin = int(np.argmin(((mesh.p.T - (0.5, 0.5)) ** 2).sum(axis=1)))
    energy = skfem.Functional(lambda w: 0.5 * dot(grad(w["u"]), grad(w["u"])))
    out = adapt_loop(mesh, solve, energy=energy, steps=1, fixed=[pin]).adaptation
    went = np.abs(out.mesh.p - mesh.p).max(axis=0)
    assert went[pin] == 0 and went.max() > 0.005
    changing = mesh.boundary_nodes()[mesh.p[1, mesh.boundary_nodes()] % 1 == 0]
    assert went[changing].max() == 0
    assert went[mesh.p[0] == 1].max() > 1e-4  # along which the value is the same


def test_elasticity_with_a_traction():
    lam, mu = lame_parameters(1.0, 0.3)
    mesh = l_shape(n=2).with_boundaries({"clamp": lambda x: x[0] < -1 + 1e-9, "load": lambda x: x[0] > 1 - 1e-9})

    def solve(m):
        basis = skfem.Basis(m, skfem.ElementVector(skfem.ElementTriP1()))
        load = skfem.LinearForm(lambda v, w: -v[1]).assemble(basis.boundary("load"))
        return basis, skfem.solve(
            *skfem.condense(linear_elasticity(lam, mu).assemble(basis), load, D=basis.get_dofs("clamp"))
        )

    @skfem.Functional
    def strain(w):
        e = sym_grad(w["u"])
        return 0.5 * lam * trace(e) ** 2 + mu * ddot(e, e)

    work = skfem.Functional(lambda w: w["u"][1])
    out = adapt_loop(mesh, solve, energy=[strain, (work, "load")], steps=1).report
    fine = mesh.refined(2)
    least = SkfemEnergy([strain, (work, "load")])(fine, solve(fine))[0]
    # squared error of the energy norm, the finer mesh taken as exact
    assert out.energy_after - least < 0.75 * (out.energy_before - least)


def test_any_library_with_a_function_for_the_energy():
    """The same descent, stated for meshio by hand."""
    mesh = l_shape(n=2)
    by_form = adapt_loop(mesh, solver(skfem.ElementTriP1()), energy=membrane, steps=1)
    plain = meshio.Mesh(mesh.p.T.copy(), [("triangle", mesh.t.T.copy())])

    def back(m):
        return dataclasses.replace(mesh, doflocs=np.ascontiguousarray(m.points.T))

    solve = solver(skfem.ElementTriP1())
    energy = SkfemEnergy(membrane)
    out = adapt_loop(
        plain, lambda m: solve(back(m))[1], energy=lambda m, u: energy(back(m), (solve(back(m))[0], u)), steps=1
    )
    assert out.report.energy_before == pytest.approx(by_form.report.energy_before, rel=1e-12)
    assert out.report.energy_after < out.report.energy_before - 0.5 * (
        by_form.report.energy_before - by_form.report.energy_after
    )


def test_derivatives_that_are_not_those_of_the_energy_are_refused():
    mesh, solve, energy = l_shape(n=2), solver(skfem.ElementTriP1()), SkfemEnergy(membrane)

    def doubled(m, field):
        value, slope = energy(m, field)
        return value, 2 * slope

    with pytest.raises(EnergyError, match="along the steepest descent they say"):
        adapt_loop(mesh, solve, energy=doubled, steps=1)
    halved = skfem.Functional(lambda w: dot(grad(w["u"]), grad(w["u"])) - w["u"])
    with pytest.raises(EnergyError, match="stationary at the solution"):
        adapt_loop(mesh, solve, energy=halved)


@pytest.mark.parametrize(
    ("energy", "why"),
    [
        (lambda m, u: 3.0, "to return its value and its derivatives by the nodes"),
        (lambda m, u: (np.nan, m.p.T), "finite energy"),
        (lambda m, u: (1.0, np.zeros((3, 2))), r"derivatives of shape \(3, 2\)"),
        (lambda m, u: ("high", m.p.T), "got str for the value"),
    ],
)
def test_what_a_function_returns_is_checked(energy, why):
    with pytest.raises(EnergyError, match=why):
        adapt_loop(l_shape(n=1), solver(skfem.ElementTriP1()), energy=energy)


def test_what_is_no_energy_is_refused():
    mesh = l_shape(n=1)
    with pytest.raises(ValueError, match="Expected an energy as a form.*got int"):
        adapt_loop(mesh, solver(skfem.ElementTriP1()), energy=3)
    with pytest.raises(ValueError, match="Functional of w"):
        adapt_loop(mesh, solver(skfem.ElementTriP1()), energy=laplace)


def test_a_solution_on_another_mesh_is_refused():
    mesh = l_shape(n=1)
    still = solver(skfem.ElementTriP1())(mesh)
    with pytest.raises(ValueError, match="basis on the mesh that is moved"):
        adapt_loop(mesh, lambda m: still, energy=membrane, steps=1)


# -- beyond quadratic energies ----------------------------------------------------------------------------------------


def newton(basis, energy_slope, tangent, x, held):
    """Shortened where a step would not lower the residual."""
    free = np.setdiff1d(np.arange(basis.N), held)

    def rest(x):
        return energy_slope.assemble(basis, w=x)[free]

    for _ in range(40):
        force = energy_slope.assemble(basis, w=x)
        step = skfem.solve(*skfem.condense(tangent.assemble(basis, w=x), -force, I=free))
        length = 1.0
        while length > 1e-3:
            with np.errstate(invalid="ignore"):
                new = np.linalg.norm(rest(x + length * step))
            if new < np.linalg.norm(force[free]):
                break
            length /= 2
        x = x + length * step
        if np.abs(step).max() < 1e-9:
            break
    return x


@pytest.mark.parametrize("element", [skfem.ElementTriP1(), skfem.ElementTriP2()])
def test_a_minimal_surface(element):
    """scikit-fem's example 10: the area above the square, sin(pi x) on its sides."""

    def root(w):
        return np.sqrt(1 + dot(grad(w["w"]), grad(w["w"])))

    slope = skfem.LinearForm(lambda v, w: dot(grad(w["w"]), grad(v)) / root(w))
    tangent = skfem.BilinearForm(
        lambda u, v, w: (
            dot(grad(u), grad(v)) / root(w) - dot(grad(w["w"]), grad(u)) * dot(grad(w["w"]), grad(v)) / root(w) ** 3
        )
    )
    area = skfem.Functional(lambda w: np.sqrt(1 + dot(grad(w["u"]), grad(w["u"]))))

    def solve(m, element=element):
        basis = skfem.Basis(m, element, intorder=4)
        held = basis.get_dofs().all()
        x = basis.zeros()
        x[held] = np.sin(np.pi * basis.doflocs[0, held])
        x = skfem.solve(*skfem.condense(laplace.assemble(basis), x=x, D=held))
        return basis, newton(basis, slope, tangent, x, held)

    mesh = skfem.MeshTri.init_symmetric().refined(2)
    fine = mesh.refined(2)
    least = SkfemEnergy(area)(fine, solve(fine, skfem.ElementTriP2()))[0]
    report = adapt_loop(mesh, solve, energy=area, steps=1).report
    assert report.energy_before - least > 1.2 * (report.energy_after - least)


def test_hyperelasticity():
    """Compressible neo-Hooke, the bottom held, the top pulled and sheared."""
    mu, lam = 1.0, 4.0

    def strain(w, name="w"):
        f = grad(w[name]) + np.eye(2)[:, :, None, None]
        j = f[0, 0] * f[1, 1] - f[0, 1] * f[1, 0]
        cof = np.array([[f[1, 1], -f[1, 0]], [-f[0, 1], f[0, 0]]]) / j
        return f, j, cof

    @skfem.Functional
    def stored(w):
        f, j, _ = strain(w, "u")
        return mu / 2 * (ddot(f, f) - 2) - mu * np.log(j) + lam / 2 * np.log(j) ** 2

    @skfem.LinearForm
    def slope(v, w):
        f, j, cof = strain(w)
        return ddot(mu * (f - cof) + lam * np.log(j) * cof, grad(v))

    @skfem.BilinearForm
    def tangent(u, v, w):
        f, j, cof = strain(w)
        turned = np.einsum("ij...,kj...,kl...->il...", cof, grad(u), cof)
        return ddot(mu * grad(u) + (mu - lam * np.log(j)) * turned, grad(v)) + lam * ddot(cof, grad(u)) * ddot(
            cof, grad(v)
        )

    def solve(m):
        basis = skfem.Basis(m, skfem.ElementVector(skfem.ElementTriP1()))
        top, bottom = basis.get_dofs("top"), basis.get_dofs("bottom")
        held = np.union1d(top.all(), bottom.all())
        x = basis.zeros()
        for component, pulled in (("u^1", 0.4), ("u^2", 0.3)):
            at = basis.get_dofs(elements=True).all(component)
            x[at] = pulled * basis.doflocs[1, at]
        x = newton(basis, slope, tangent, x, held)
        return basis, x

    sides = {"top": lambda x: x[1] > 1 - 1e-9, "bottom": lambda x: x[1] < 1e-9}
    mesh = skfem.MeshTri.init_symmetric().refined(2).with_boundaries(sides)
    fine = skfem.MeshTri.init_symmetric().refined(4).with_boundaries(sides)
    least = SkfemEnergy(stored)(fine, solve(fine))[0]
    report = adapt_loop(mesh, solve, energy=stored, steps=1).report
    assert report.energy_before - least > 2 * (report.energy_after - least)


def test_what_is_reached_does_not_hang_on_rounding():
    solve, energy = solver(skfem.ElementTriP1()), SkfemEnergy(membrane)
    reached, rest = [], []
    for change in (0.0, 1e-12, 1e-9):
        mesh = l_shape(n=2)
        mesh = dataclasses.replace(mesh, doflocs=mesh.p * (1 + change))
        out = adapt_loop(mesh, solve, energy=membrane, steps=2).mesh
        rest.append(energy(mesh, solve(mesh))[0])
        reached.append(energy(out, solve(out))[0])
    assert np.ptp(reached) < 0.01 * (rest[0] - reached[0])


def peaked(element, order):
    """A solve and the energy of a source in a tenth of the square, both by a rule of one order."""
    steep = 400.0

    def source(x):
        square = (x[0] - 0.43) ** 2 + (x[1] - 0.57) ** 2
        return (4 * steep - 4 * steep**2 * square) * np.exp(-steep * square)

    def solve(mesh):
        basis = skfem.Basis(mesh, element, intorder=order)
        load = skfem.LinearForm(lambda v, w: source(w.x) * v).assemble(basis)
        return basis, skfem.solve(*skfem.condense(laplace.assemble(basis), load, D=basis.get_dofs()))

    return solve, skfem.Functional(lambda w: 0.5 * dot(grad(w["u"]), grad(w["u"])) - source(w.x) * w["u"])


@pytest.mark.parametrize("order", [None, 3])
def test_a_rule_too_coarse_for_the_energy_is_refused(order):
    """Cells would go where the rule errs in their favour: its energy falls below the least one, and the error grows."""
    solve, energy = peaked(skfem.ElementTriP1(), order)
    with pytest.raises(EnergyError, match="higher intorder"):
        adapt_loop(skfem.MeshTri().refined(4), solve, energy=energy)


def test_an_element_whose_energy_is_no_bound_is_refused():
    solve, energy = peaked(skfem.ElementTriCR(), 6)
    with pytest.raises(FieldError, match="continuous.*got ElementTriCR"):
        adapt_loop(skfem.MeshTri().refined(3), solve, energy=energy)


@pytest.mark.parametrize("order", [None, 10])
def test_a_rule_too_coarse_on_facets_is_refused_and_may_be_finer(order):
    line = np.linspace(0, 1, 7)
    mesh = skfem.MeshTri.init_tensor(line, line).with_boundaries(
        {"load": lambda x: x[0] == 1, "hold": lambda x: x[0] == 0}
    )

    def pull(x):
        return np.exp(-(((x[1] - 0.45) / 0.1) ** 2))

    def solve(mesh):
        basis = skfem.Basis(mesh, skfem.ElementTriP1())
        load = skfem.LinearForm(lambda v, w: pull(w.x) * v).assemble(basis.boundary("load", intorder=order))
        return basis, skfem.solve(*skfem.condense(laplace.assemble(basis), load, D=basis.get_dofs("hold")))

    strain = skfem.Functional(lambda w: 0.5 * dot(grad(w["u"]), grad(w["u"])))
    work = skfem.Functional(lambda w: -pull(w.x) * w["u"])
    if order is None:
        with pytest.raises(EnergyError, match="form, name, intorder"):
            adapt_loop(mesh, solve, energy=[strain, (work, "load")])
        return
    out = adapt_loop(mesh, solve, energy=[strain, (work, "load", order)])
    assert out.report.energy_after < out.report.energy_before


@pytest.mark.parametrize(("mesh", "element", "order"), [
    (skfem.MeshTri().refined(2), skfem.ElementTriP1(), 16), (skfem.MeshTet().refined(1), skfem.ElementTetP1(), 8)
])  # fmt: skip
def test_rules_than_which_there_is_no_finer_one_are_taken(mesh, element, order):
    solve, energy = peaked(element, order)
    out = adapt_loop(mesh, solve, energy=energy, steps=1, effort=0.2)
    assert out.report.energy_after <= out.report.energy_before


@pytest.mark.parametrize("element", [skfem.ElementTriP1(), skfem.ElementTriP2()])
def test_a_solution_that_is_exact_has_nothing_to_gain(element):
    def solve(mesh):
        basis = skfem.Basis(mesh, element)
        x, sides = basis.zeros(), basis.get_dofs().all()
        x[sides] = 0.3 * basis.doflocs[0, sides] - 1.7 * basis.doflocs[1, sides] + 0.1
        return basis, skfem.solve(*skfem.condense(laplace.assemble(basis), basis.zeros(), x=x, D=sides))

    energy = skfem.Functional(lambda w: 0.5 * dot(grad(w["u"]), grad(w["u"])))
    for n in (2, 3, 4):
        assert adapt_loop(skfem.MeshTri.init_tensor(*[np.linspace(0, 1, n + 1)] * 2), solve, energy=energy, steps=1)
