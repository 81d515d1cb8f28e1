"""Finite element functions of scikit-fem: what is taken, what is refused and why, and how they come back."""

import numpy as np
import pytest
import skfem
from skfem.element import (
    ElementComposite,
    ElementDG,
    ElementHex1,
    ElementHex2,
    ElementQuad0,
    ElementQuad1,
    ElementQuad2,
    ElementQuadS2,
    ElementTetCR,
    ElementTetN0,
    ElementTetP0,
    ElementTetP1,
    ElementTetP2,
    ElementTetRT0,
    ElementTriArgyris,
    ElementTriCCR,
    ElementTriCR,
    ElementTriHermite,
    ElementTriMini,
    ElementTriMorley,
    ElementTriN1,
    ElementTriP0,
    ElementTriP1,
    ElementTriP1DG,
    ElementTriP2,
    ElementTriP3,
    ElementTriP4,
    ElementTriRT1,
    ElementTriSkeletonP0,
    ElementVector,
)  # fmt: skip

import meshmove
from meshmove import FieldError
from meshmove.plugins.skfem import basis_on, converter
from tests.shapes import front

FAST = meshmove.Monitor("gradient", intensity=4)
TRI = skfem.MeshTri().refined(3)
MESHES = {
    "Tri": TRI,
    "Quad": skfem.MeshQuad().refined(3),
    "Tet": skfem.MeshTet().refined(2),
    "Hex": skfem.MeshHex().refined(2),
}
ALL = {
    "Tri": [
        ElementTriP1(), ElementTriP2(), ElementTriP3(), ElementTriP4(), ElementTriMini(), ElementTriCCR(),
        ElementTriCR(), ElementTriP1DG(), ElementDG(ElementTriP2()),
    ],
    "Quad": [ElementQuad1(), ElementQuad2(), ElementQuadS2(), ElementDG(ElementQuad1())],
    "Tet": [ElementTetP1(), ElementTetP2(), ElementTetCR()],
    "Hex": [ElementHex1(), ElementHex2()],
}  # fmt: skip
LAGRANGE = [(kind, elem) for kind, elements in ALL.items() for elem in elements]


def linear(x):
    return 1 + 2 * x[0] - 3 * x[1]


def moved(kind):
    if kind not in OUT:
        OUT[kind] = meshmove.adapt(MESHES[kind], front, monitor=FAST)
    return OUT[kind]


OUT: dict = {}


def on(mesh, basis):
    """What a user makes on the moved mesh: another element of the same kind."""
    return skfem.Basis(mesh, basis_on(mesh, basis).elem)


# -- dofs in, dofs out ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind, elem", LAGRANGE, ids=lambda v: v if isinstance(v, str) else type(v).__name__)
def test_linear_functions_come_back_exactly(kind, elem):
    out = moved(kind)
    basis = skfem.Basis(MESHES[kind], elem)
    got, new = out.transfer((basis, basis.project(linear))), on(out.mesh, basis)
    np.testing.assert_allclose(got, new.project(linear), atol=1e-10)


@pytest.mark.parametrize("elem, degree", [(ElementTriP2(), 2), (ElementTriP3(), 3), (ElementTriP4(), 4)])
def test_polynomials_of_the_elements_degree_come_back_within_the_range_of_their_cell(elem, degree):
    """Exact where the value is between those of the old cell's points, which monotone powers are."""
    out, basis = moved("Tri"), skfem.Basis(TRI, elem)
    dofs = out.transfer((basis, basis.project(lambda x: x[0] ** degree + x[1])))
    new = on(out.mesh, basis)
    np.testing.assert_allclose(dofs, new.doflocs[0] ** degree + new.doflocs[1], atol=1e-9)


@pytest.mark.parametrize(
    "kind, elem",
    [("Tri", ElementTriP0()), ("Quad", ElementQuad0()), ("Tet", ElementTetP0()), ("Tri", ElementTriP1DG())],
)
def test_discontinuous_functions_take_the_values_of_the_cells_that_they_lie_in(kind, elem):
    mesh, out = MESHES[kind], moved(kind)
    basis = skfem.Basis(mesh, elem)
    step = np.where(mesh.p[0][mesh.t].mean(axis=0) > 0.5, 2.0, -1.0)
    dofs = np.zeros(basis.N)
    dofs[basis.element_dofs] = step
    got = out.transfer((basis, dofs))
    assert set(np.unique(got)) <= {-1.0, 2.0}
    centre = out.mesh.p[0][out.mesh.t].mean(axis=0)
    if isinstance(elem, ElementTriP0 | ElementQuad0 | ElementTetP0):
        np.testing.assert_array_equal(got[basis.element_dofs[0]], np.where(centre > 0.5, 2.0, -1.0))


@pytest.mark.parametrize(
    "kind, elem",
    [("Tri", ElementTriRT1()), ("Tri", ElementTriN1()), ("Tet", ElementTetRT0()), ("Tet", ElementTetN0()),
     ("Tri", ElementVector(ElementTriP2())), ("Tet", ElementVector(ElementTetP1()))],
    ids=lambda v: v if isinstance(v, str) else type(v).__name__,
)  # fmt: skip
def test_constant_vectors_come_back_exactly(kind, elem):
    def constant(x):
        return np.stack([(k + 1) * np.ones_like(x[0]) for k in range(len(x))])

    out, basis = moved(kind), skfem.Basis(MESHES[kind], elem)
    got = out.transfer((basis, basis.project(constant)))
    np.testing.assert_allclose(got, on(out.mesh, basis).project(constant), atol=1e-9)


@pytest.mark.parametrize("elem", [ElementTriMorley(), ElementTriHermite(), ElementTriArgyris()])
def test_elements_with_global_dofs_come_back_for_a_new_element(elem):
    def quadratic(x):
        return x[0] ** 2 + x[0] * x[1]

    out, basis = moved("Tri"), skfem.Basis(TRI, elem)
    got, new = out.transfer((basis, basis.project(quadratic))), on(out.mesh, basis)
    far = np.sqrt(skfem.Functional(lambda w: (w.u - quadratic(w.x)) ** 2).assemble(new, u=new.interpolate(got)))
    assert far < 1e-5


def test_mixed_elements_come_back_part_by_part():
    elem = ElementComposite(ElementVector(ElementTriP2()), ElementTriP1())
    out, basis = moved("Tri"), skfem.Basis(TRI, elem)
    dofs = np.zeros(basis.N)
    velocity, pressure = basis.split_indices()
    parts = basis.split_bases()
    dofs[velocity] = parts[0].project(lambda x: np.stack([linear(x), x[0]]))
    dofs[pressure] = parts[1].project(linear)
    got, new = out.transfer((basis, dofs)), on(out.mesh, basis)
    first, second = new.split_bases()
    np.testing.assert_allclose(got[velocity], first.project(lambda x: np.stack([linear(x), x[0]])), atol=1e-10)
    np.testing.assert_allclose(got[pressure], second.project(linear), atol=1e-10)


@pytest.mark.parametrize("elem", [ElementTriP0(), ElementTriP2(), ElementTriP1DG(), ElementTriCR(), ElementTriP4()])
def test_carried_dofs_stay_in_the_range_of_the_old_function(elem):
    """At their own points: of P4 the function may be larger in between, before and after."""
    out, basis = moved("Tri"), skfem.Basis(TRI, elem)
    rough = np.random.default_rng(0).uniform(-1, 1, basis.N)
    corners = skfem.CellBasis(
        TRI, elem, quadrature=(np.concatenate([elem.doflocs.T, elem.refdom.p], 1), np.ones(3 + len(elem.doflocs)))
    )
    values = np.asarray(corners.interpolate(rough))
    got = out.transfer((basis, rough))
    assert values.min() - 1e-12 <= got.min() and got.max() <= values.max() + 1e-12


def test_the_field_that_was_given_comes_back_as_dofs():
    basis = skfem.Basis(TRI, ElementTriP2())
    out = meshmove.adapt(TRI, (basis, front(basis.doflocs)), monitor=FAST)
    new = skfem.Basis(out.mesh, basis.elem)
    dofs = out.fields["field"]
    assert dofs.shape == (new.N,)
    at = new.doflocs[0]
    assert np.abs(dofs - front(new.doflocs))[np.abs(at - 0.45) > 0.3].max() < 0.05
    np.testing.assert_array_equal(out.transfer((basis, front(basis.doflocs))), dofs)


def test_linear_elements_keep_integrals_and_others_say_that_they_do_not():
    mass = skfem.Functional(lambda w: w.u)
    for elem, kept in ((ElementTriP1(), True), (ElementVector(ElementTriP1()), True), (ElementTriP2(), False)):
        basis = skfem.Basis(TRI, elem)
        u = np.exp(-30 * ((basis.doflocs - 0.4) ** 2).sum(axis=0))
        out = meshmove.adapt(TRI, (basis, u), monitor=FAST, transfer="conservative")
        assert any("integral is not kept" in w for w in out.report.warnings) != kept
        if elem.__class__ is ElementTriP1:
            new = skfem.Basis(out.mesh, elem)
            assert mass.assemble(new, u=new.interpolate(out.fields["field"])) == pytest.approx(
                mass.assemble(basis, u=basis.interpolate(u)), rel=1e-12
            )


def test_a_mesh_that_stays_gives_the_same_dofs():
    basis = skfem.Basis(TRI, ElementTriP2())
    dofs = np.random.default_rng(0).normal(size=basis.N)
    out = meshmove.adapt(TRI, monitor=lambda x: 1.0)
    got = out.transfer((basis, dofs))
    assert got.tobytes() == dofs.tobytes() and got is not dofs


def test_dofs_on_facets_alone_cannot_be_carried():
    basis = skfem.Basis(TRI, ElementTriSkeletonP0())
    with pytest.raises(FieldError, match="a function inside of its cells .*ElementTriSkeletonP0"):
        moved("Tri").transfer((basis, np.ones(basis.N)))


# -- what is taken ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("elem", [ElementTriP2(), ElementTriP0(), ElementVector(ElementTriP1()), ElementTriMorley()])
def test_complex_dofs_are_taken(elem):
    basis = skfem.Basis(TRI, elem)
    real, imaginary = (np.random.default_rng(k).normal(size=basis.N) for k in (0, 1))
    both = converter.node_values(TRI, (basis, real + 1j * imaginary))
    np.testing.assert_allclose(both.real, converter.node_values(TRI, (basis, real)), atol=1e-12)
    np.testing.assert_allclose(both.imag, converter.node_values(TRI, (basis, imaginary)), atol=1e-12)
    out = meshmove.adapt(TRI, (basis, real + 1j * imaginary), monitor=FAST)
    assert out.fields["field"].dtype == complex
    np.testing.assert_allclose(out.fields["field"].imag, out.transfer((basis, imaginary)), atol=1e-12)


def test_pairs_are_taken_in_either_order():
    mixed = skfem.Basis(TRI, ElementTriP2() * ElementTriP1())
    dofs = np.zeros(mixed.N)
    dofs[mixed.split_indices()[1]] = front(TRI.p)
    values, basis = mixed.split(dofs)[1]
    a, b = (meshmove.adapt(TRI, pair, monitor=FAST) for pair in ((values, basis), (basis, values)))
    assert a.mesh.p.tobytes() == b.mesh.p.tobytes() and a.fields["field"].tobytes() == b.fields["field"].tobytes()


def periodic():
    grid = skfem.MeshTri.init_tensor(*[np.linspace(0, 1, 9)] * 2)
    right, left = np.flatnonzero(grid.p[0] == 1), np.flatnonzero(grid.p[0] == 0)
    return skfem.MeshTri1DG.periodic(grid, right, left)


def test_dofs_of_periodic_meshes():
    mesh = periodic()
    basis = skfem.Basis(mesh, ElementTriP1())

    def wave(x):
        return np.cos(2 * np.pi * x[0]) * np.tanh(9 * (x[1] - 0.5))

    dofs = basis.project(wave)
    plain, pair = (meshmove.adapt(mesh, field, monitor=FAST) for field in (dofs, (basis, dofs)))
    assert plain.fields["field"].shape == pair.fields["field"].shape == (basis.N,)
    np.testing.assert_allclose(plain.mesh.p, pair.mesh.p, atol=1e-12)
    np.testing.assert_allclose(plain.fields["field"], pair.fields["field"], atol=1e-10)
    second = skfem.Basis(mesh, ElementTriP2())
    got = pair.transfer((second, second.project(lambda x: 2 + 3 * x[1])))
    new = skfem.Basis(pair.mesh, ElementTriP2())
    np.testing.assert_allclose(got, new.project(lambda x: 2 + 3 * x[1]), atol=1e-9)
    with pytest.raises(FieldError, match=r"or 72 \(images counted once\)"):
        meshmove.adapt(mesh, dofs[1:])


# -- what is refused, by its cause ------------------------------------------------------------------------------------


def test_a_basis_of_the_mesh_before_it_moved_is_refused():
    for mesh, elem in ((TRI, ElementTriP2()), (skfem.MeshTet2.from_mesh(MESHES["Tet"]), ElementTetP2())):
        basis = skfem.Basis(mesh, elem)
        u = front(basis.doflocs)
        new = meshmove.adapt(mesh, (basis, u), monitor=FAST).mesh
        with pytest.raises(FieldError, match=r"same cells at other positions, \d+ nodes up to .*before it moved"):
            meshmove.adapt(new, (basis, u))
        meshmove.adapt(new, (skfem.Basis(new, elem), u), monitor=FAST)


def test_a_basis_of_an_equal_mesh_is_taken():
    twin = skfem.MeshTri(TRI.p.copy(), TRI.t.copy())
    basis = skfem.Basis(twin, ElementTriP1())
    meshmove.adapt(TRI, (basis, front(twin.p)), monitor=FAST)


def test_a_basis_of_a_subdomain_is_refused_by_its_cause():
    part = skfem.Basis(TRI, ElementTriP1(), elements=np.arange(78))
    with pytest.raises(FieldError, match=r"on all 128 cells .*one on a subdomain of 78 cells.*mesh.restrict"):
        meshmove.adapt(TRI, (part, front(TRI.p)))
    every = skfem.Basis(TRI, ElementTriP1(), elements=np.arange(128))
    meshmove.adapt(TRI, (every, front(TRI.p)), monitor=FAST)


@pytest.mark.parametrize("kind", [skfem.FacetBasis, skfem.InteriorFacetBasis])
def test_a_basis_on_facets_is_refused_by_name(kind):
    basis = kind(TRI, ElementTriP1())
    with pytest.raises(FieldError, match=f"basis over cells .*got a {kind.__name__}"):
        meshmove.adapt(TRI, (basis, front(TRI.p)))


def test_dofs_that_are_no_numbers_are_refused():
    basis = skfem.Basis(TRI, ElementTriP1())
    for dofs in (np.ma.masked_less(front(TRI.p), 0), ["a"] * basis.N, [[1.0], [1.0, 2.0]], None, basis):
        with pytest.raises(FieldError, match="Expected"):
            meshmove.adapt(TRI, (basis, dofs))


# -- elements that remember a mesh ------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [ElementTriMorley, ElementTriArgyris, lambda: ElementVector(ElementTriMorley())])
def test_elements_that_remember_the_mesh_before_are_refused(make):
    elem = make()
    basis = skfem.Basis(TRI, elem)
    values = np.random.default_rng(0).normal(size=basis.N)
    out = meshmove.adapt(TRI, (basis, values), monitor=FAST)
    assert any("remembers the first mesh" in w and "basis_on" in w for w in out.report.warnings)
    stale = skfem.Basis(out.mesh, elem)
    with pytest.raises(FieldError, match="remembers another mesh.*basis_on"):
        meshmove.adapt(out.mesh, (stale, values))
    new = basis_on(out.mesh, basis)
    meshmove.adapt(out.mesh, (new, values), monitor=FAST)


def test_a_new_basis_has_the_matrices_of_a_new_element():
    form = skfem.BilinearForm(lambda u, v, w: (u.hess * v.hess).sum(axis=(0, 1)))
    elem = ElementTriMorley()
    basis = skfem.Basis(TRI, elem)
    mesh = moved("Tri").mesh
    expected = form.assemble(skfem.Basis(mesh, ElementTriMorley())).toarray()
    np.testing.assert_array_equal(form.assemble(basis_on(mesh, basis)).toarray(), expected)
    assert np.abs(form.assemble(skfem.Basis(mesh, elem)).toarray() - expected).max() > 1e-3 * np.abs(expected).max()
    with pytest.raises(FieldError, match="128 cells of the basis"):
        basis_on(skfem.MeshTri(), basis)


def test_lists_are_pairs_too_and_what_is_none_is_said():
    mesh = skfem.MeshTri().refined(3)
    basis = skfem.Basis(mesh, skfem.ElementTriP2())
    u = basis.project(lambda x: np.tanh(9 * (x[0] - 0.4)))
    out, same = (meshmove.adapt(mesh, pair, effort=0.2) for pair in ([u, basis], (basis, u)))
    assert np.array_equal(out.mesh.p, same.mesh.p) and np.array_equal(out.fields["field"], same.fields["field"])
    assert np.array_equal(out.transfer([basis, u]), out.fields["field"])
    with pytest.raises(FieldError, match=r"basis_on\(out.mesh, basis\) \(got CellBasis and MeshTri1\)"):
        basis_on(basis, out.mesh)
