"""Energies of scikit-fem's solutions: exact derivatives, what is held, and what is no energy of the solution."""

import dataclasses

import numpy as np
import pytest
import skfem
from skfem.helpers import ddot, dot, grad
from skfem.models.poisson import laplace

from meshmove.geometry.errors import EnergyError, FieldError
from meshmove.plugins.skfem import converter
from meshmove.plugins.skfem.energies import SkfemEnergy, energy_of_forms
from meshmove.plugins.skfem.energy import integrals, terms_of


@skfem.Functional
def bulk(w):
    """Steep in nothing, but of u, its gradient and the place, and not quadratic."""
    u = w["u"]
    return 0.5 * dot(grad(u), grad(u)) * (1 + w.x[0] ** 2) - np.sin(3 * w.x[0] + w.x[1]) * u + 0.1 * u**4


@skfem.Functional
def rim(w):
    return np.exp(w.x[1]) * w["u"] * (1 + w.n[0] + 2 * w.n[1] * w.x[0]) + 0.3 * w["u"] ** 2


@skfem.Functional
def solid(w):
    g = grad(w["u"])
    return ddot(g, g) + (g[0, 0] * g[1, 1] - g[0, 1] * g[1, 0] - 1) ** 2 - w.x[0] * w["u"][1]


@skfem.Functional
def pressure(w):
    return dot(w.n, w["u"]) * w.x[0]


def jittered(cls, size=0.02):
    mesh = cls().refined(1)
    p = mesh.p + size * np.random.default_rng(0).standard_normal(mesh.p.shape)
    mesh = dataclasses.replace(mesh, doflocs=p).with_boundaries({"left": lambda x: x[0] < 0.2})
    return mesh.with_subdomains({"half": np.arange(mesh.nelements // 2)})


@pytest.mark.parametrize(
    ("mesh", "element", "energy"),
    [
        (skfem.MeshTri, skfem.ElementTriP1(), [bulk, (rim, "left")]),
        (skfem.MeshTri, skfem.ElementTriP2(), [bulk, (rim, "left"), (bulk, "half")]),
        (skfem.MeshTri, skfem.ElementVector(skfem.ElementTriP2()), [solid, (pressure, "left")]),
        (skfem.MeshQuad, skfem.ElementQuad1(), [bulk, (rim, "left")]),
        (skfem.MeshQuad, skfem.ElementVector(skfem.ElementQuad2()), [solid, (pressure, "left")]),
        (skfem.MeshTri2, skfem.ElementTriP2(), [bulk]),
        (skfem.MeshTet, skfem.ElementTetP1(), [bulk, (rim, "left")]),
        (skfem.MeshTet, skfem.ElementTetP2(), [bulk, (bulk, "half")]),
        (skfem.MeshHex, skfem.ElementHex1(), [bulk, (rim, "left")]),
    ],
)
def test_derivatives_are_those_of_the_sum_over_quadrature_points(mesh, element, energy):
    mesh, rng = jittered(mesh), np.random.default_rng(1)
    terms = terms_of(energy)
    basis = skfem.Basis(mesh, element, intorder=4)
    u = rng.standard_normal(basis.N)
    step, along = rng.standard_normal(mesh.p.shape), rng.standard_normal(basis.N)

    def value(t, s):
        moved = skfem.Basis(dataclasses.replace(mesh, doflocs=mesh.p + t * step), element, intorder=4)
        return sum(part.value for part in integrals(terms, moved, u + s * along))

    parts = integrals(terms, basis, u)
    h = 3e-6
    by_nodes = np.sum([p.by_nodes() for p in parts], axis=0)
    by_dofs = np.sum([p.by_dofs()[0] for p in parts], axis=0)
    assert (by_nodes * step.T).sum() == pytest.approx((value(h, 0) - value(-h, 0)) / (2 * h), rel=2e-6)
    assert by_dofs @ along == pytest.approx((value(0, h) - value(0, -h)) / (2 * h), rel=1e-6)


@skfem.Functional
def dirichlet(w):
    return 0.5 * dot(grad(w["u"]), grad(w["u"])) - w["u"]


def solved(mesh, element, value=0.0, load=1.0, sides=None):
    basis = skfem.Basis(mesh, element)
    held = basis.get_dofs(sides).all()
    x = np.zeros(basis.N)
    x[held] = value(basis.doflocs[:, held]) if callable(value) else value
    force = skfem.LinearForm(lambda v, w: load * v).assemble(basis)
    return basis, skfem.solve(*skfem.condense(laplace.assemble(basis), force, x=x, D=held))


@pytest.mark.parametrize("element", [skfem.ElementTriP1(), skfem.ElementTriP2()])
def test_the_gap_is_of_the_size_of_the_squared_error(element):
    energy, mesh = SkfemEnergy(dirichlet), skfem.MeshTri().refined(3)
    nobody = np.zeros(mesh.nvertices, bool)
    value = energy(mesh, solved(mesh, element))[0]
    fine = mesh.refined(2)
    true = value - energy(fine, solved(fine, skfem.ElementTriP2()))[0]
    gap = energy.examined(mesh, solved(mesh, element), nobody).gap
    assert 0.3 * true < gap < 10 * true


def test_nodes_are_held_where_prescribed_values_change():
    mesh = skfem.MeshTri().refined(3).with_boundaries({"left": lambda x: x[0] == 0})
    energy, nobody = SkfemEnergy(dirichlet), np.zeros(mesh.nvertices, bool)
    for element in (skfem.ElementTriP1(), skfem.ElementTriP2()):
        assert not energy.examined(mesh, solved(mesh, element, 3.0), nobody).held.any()
        held = energy.examined(mesh, solved(mesh, element, lambda x: np.maximum(x[0] - 0.5, 0)), nobody).held
        rim = np.zeros(mesh.nvertices, bool)
        rim[mesh.boundary_nodes()] = True
        np.testing.assert_array_equal(held, rim & (mesh.p[0] >= 0.5) & (mesh.p[1] % 1 == 0))
        free = energy.examined(mesh, solved(mesh, element, lambda x: x[1], sides="left"), nobody).held
        np.testing.assert_array_equal(free, mesh.p[0] == 0)  # natural sides glide


def test_an_energy_that_is_not_stationary_is_refused():
    mesh = skfem.MeshTri().refined(3)
    nobody = np.zeros(mesh.nvertices, bool)
    solution = solved(mesh, skfem.ElementTriP1())
    SkfemEnergy(dirichlet).examined(mesh, solution, nobody)

    @skfem.Functional
    def doubled(w):
        return dot(grad(w["u"]), grad(w["u"])) - w["u"]

    with pytest.raises(EnergyError, match=r"doubled by 49 of 49 free degrees of freedom is not zero"):
        SkfemEnergy(doubled).examined(mesh, solution, nobody)
    basis, u = solution
    centre = int(np.argmin(((mesh.p - 0.5) ** 2).sum(axis=0)))
    u = skfem.solve(*skfem.condense(laplace.assemble(basis), x=basis.zeros() + 1.0 * (np.arange(basis.N) == centre),
                                    D=np.r_[basis.get_dofs().all(), centre]))  # fmt: skip
    laplacian = SkfemEnergy(skfem.Functional(lambda w: dot(grad(w["u"]), grad(w["u"]))))
    with pytest.raises(EnergyError, match=f"1 of 49 free degrees of freedom .* usual parts: {centre}"):
        laplacian.examined(mesh, (basis, u), nobody)
    laplacian.examined(mesh, (basis, u), np.arange(mesh.nvertices) == centre)


def test_what_is_no_energy_is_refused():
    mesh = skfem.MeshTri().refined(2)
    solution = solved(mesh, skfem.ElementTriP1())
    with pytest.raises(ValueError, match=r"skfem.Functional of w\['u'\].*got BilinearForm"):
        energy_of_forms(laplace)
    with pytest.raises(ValueError, match="got Functional on 3"):
        energy_of_forms([(dirichlet, 3)])
    assert energy_of_forms(lambda mesh, field: (0.0, None)) is None and energy_of_forms([]) is None
    assert converter.energy(dirichlet) is not None
    with pytest.raises(FieldError, match="got 'inlet'; the mesh has: none"):
        SkfemEnergy([(dirichlet, "inlet")])(mesh, solution)
    with pytest.raises(FieldError, match=r"form of w\['u'\] and w.x alone.*KeyError: 'k'"):
        SkfemEnergy(skfem.Functional(lambda w: w["k"] * w["u"]))(mesh, solution)
    morley = skfem.Basis(mesh, skfem.ElementTriMorley())
    with pytest.raises(FieldError, match="functions move with the cells.*got ElementTriMorley"):
        SkfemEnergy(dirichlet)(mesh, (morley, morley.zeros()))
    with pytest.raises(FieldError, match="basis on the mesh that is moved"):
        SkfemEnergy(dirichlet)(mesh.translated((0.5, 0.0)), solution)


@pytest.mark.parametrize(
    ("mesh", "element"),
    [
        (skfem.MeshTri().refined(1), skfem.ElementTriP4()),
        (skfem.MeshQuad().refined(1), skfem.ElementQuad2()),
        (skfem.MeshTet(), skfem.ElementTetP2()),
        (skfem.MeshHex(), skfem.ElementHex1()),
        (skfem.MeshWedge1(), skfem.ElementWedge1()),
    ],
)
@pytest.mark.parametrize("more", [0, 2])
def test_a_finer_rule_agrees_where_the_rule_is_exact(mesh, element, more):
    basis = skfem.Basis(mesh, element, intorder=2 * element.maxdeg + more)
    u = np.random.default_rng(0).random(basis.N)
    energy = SkfemEnergy(skfem.Functional(lambda w: 0.5 * dot(grad(w["u"]), grad(w["u"])) - w["u"]))
    assert energy.finer(mesh, (basis, u)) == pytest.approx(energy(mesh, (basis, u))[0], rel=1e-11)
