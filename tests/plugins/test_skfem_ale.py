"""ALE steps of scikit-fem: laws of conservation on any moving mesh, orders in time, and the loop that they are for."""

import pickle
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import skfem
from skfem.helpers import dot, grad

import meshmove
from meshmove.plugins.skfem.ale import BDF2, conservative, convective

P1 = skfem.ElementTriP1()


def grid(n=6):
    return skfem.MeshTri.init_tensor(*[np.linspace(0, 1, n + 1)] * 2)


def moved(mesh, t):
    """Nodes in smooth motion that leaves the square and the cube as they are."""
    x = mesh.doflocs
    inside = np.prod(np.sin(np.pi * x), axis=0)
    turn = np.stack([np.cos(2 * np.pi * (t + 0.3 * c)) * np.cos(3 * x[c - 1]) for c in range(len(x))])
    return replace(mesh, doflocs=x + 0.08 * inside * turn)


def steps(mesh, n, end=0.5):
    """What of a step the forms need, for prescribed positions."""
    times = np.linspace(0, end, n + 1)
    for t, s in zip(times[:-1], times[1:], strict=True):
        old, new = moved(mesh, t), moved(mesh, s)
        middle = replace(mesh, doflocs=(old.doflocs + new.doflocs) / 2)
        yield t, SimpleNamespace(old=old, mesh=new, middle=middle, dt=s - t)


def wind(x):
    return np.stack([np.sin(np.pi * x[0]) * np.cos(np.pi * x[1]), -np.cos(np.pi * x[0]) * np.sin(np.pi * x[1])])


MESHES = {
    "triangles": (grid(4), P1),
    "second order": (grid(3), skfem.ElementTriP2()),
    "quadrilaterals": (skfem.MeshQuad().refined(2), skfem.ElementQuad1()),
    "tetrahedra": (skfem.MeshTet().refined(1), skfem.ElementTetP1()),
    "curved": (skfem.MeshTri2.from_mesh(grid(3)), skfem.ElementTriP2()),
}


@pytest.mark.parametrize("form", [convective, conservative])
@pytest.mark.parametrize("name", [n for n in MESHES if n != "curved"])
def test_a_constant_stays_constant(form, name):
    mesh, element = MESHES[name]
    u = np.ones(skfem.Basis(mesh, element).N)
    for _, step in steps(mesh, 30):
        u = form(step, element, diffusion=0.1).solve(u)
    assert np.abs(u - 1).max() < 1e-12


@pytest.mark.parametrize("name", MESHES)
def test_mass_is_kept(name):
    mesh, element = MESHES[name]
    u = skfem.Basis(mesh, element).project(lambda x: 1 + np.cos(3 * x[0]) * x[1])

    def mass(m, values):
        basis = skfem.Basis(m, element, intorder=2 * element.maxdeg)
        return float((basis.interpolate(values) * basis.dx).sum())

    first = mass(moved(mesh, 0), u)
    for _, step in steps(mesh, 30):
        speed = wind if mesh.dim() == 2 else None
        u = conservative(step, element, speed=speed, diffusion=0.01).solve(u)
    assert mass(step.mesh, u) == pytest.approx(first, rel=1e-12)


@pytest.mark.parametrize("name", MESHES)
def test_matrices_are_those_of_scikit_fems_forms(name):
    mesh, element = MESHES[name]
    step = list(steps(mesh, 10))[3][1]
    basis = skfem.Basis(step.middle, element, intorder=2 * element.maxdeg)
    x = np.asarray(basis.global_coordinates())
    w = skfem.Basis(step.middle, skfem.ElementVector(mesh.elem()), quadrature=basis.quadrature)
    nodes = (step.mesh.doflocs - step.old.doflocs) / step.dt
    dofs = np.zeros(w.N)
    for c, row in enumerate(nodes):
        dofs[w.element_dofs[c :: len(nodes)]] = row[mesh.dofs.element_dofs]
    speed = np.cos(x) + x[::-1]
    own = {"a": speed - np.asarray(w.interpolate(dofs)), "k": 1 + x[0] ** 2, "r": x[1] - 1}

    def form(u, v, w):
        return w["k"] * dot(grad(u), grad(v)) + dot(w["a"], grad(u)) * v + w["r"] * u * v

    mass = skfem.BilinearForm(lambda u, v, w: u * v).assemble(basis)
    operator = skfem.BilinearForm(form).assemble(basis, **own)
    load = skfem.LinearForm(lambda v, w: w["f"] * v).assemble(basis, f=x[0] * x[1])
    given = {"speed": speed, "diffusion": own["k"], "reaction": own["r"], "source": lambda x: x[0] * x[1]}
    got = convective(step, element, **given)
    for mine, theirs in ((got.left, mass + step.dt / 2 * operator), (got.right, mass - step.dt / 2 * operator)):
        assert abs(mine - theirs).max() < 1e-13 * abs(theirs).max()
    np.testing.assert_allclose(got.load, step.dt * load, atol=1e-15)
    u = np.sin(np.arange(basis.N))
    fixed = basis.get_dofs().flatten()
    x = np.where(np.isin(np.arange(basis.N), fixed), 0.3, 0.0)
    theirs = skfem.solve(*skfem.condense(got.left, got.right @ u + got.load, x=x, D=fixed))
    np.testing.assert_allclose(got.solve(u, fixed=fixed, values=0.3), theirs, atol=1e-12)


def test_elements_with_several_components_are_refused():
    _, step = next(iter(steps(grid(2), 10)))
    for element in (skfem.ElementVector(P1), skfem.ElementTriP2() * P1):
        with pytest.raises(ValueError, match="element with one component"):
            convective(step, element)


def test_a_step_keeps_what_its_rounds_and_equations_share():
    moving = meshmove.MovingMesh(grid(4))
    step = moving.step(moving.mesh.p[0] ** 2, 0.1)
    assert step.middle is step.middle
    size = len(pickle.dumps(step))
    first, second = convective(step, P1), convective(step, skfem.ElementTriP1(), diffusion=0.1)
    assert first.basis is second.basis is not convective(step, P1, intorder=4).basis
    assert first.basis is not convective(step, skfem.ElementTriP2()).basis
    packed = pickle.dumps(step)
    assert len(packed) < 2 * size  # it would be ten times
    again = pickle.loads(packed)
    assert np.array_equal(convective(again, P1).left.toarray(), first.left.toarray())


def test_many_steps_keep_constant_and_mass():
    mesh = grid(2)
    one, u = np.ones(9), np.random.default_rng(0).random(9)
    basis = skfem.Basis(moved(mesh, 0), P1)
    first = (basis.interpolate(u) * basis.dx).sum()
    for _, step in steps(mesh, 250, end=5.0):
        matrices = conservative(step, P1)
        one, u = matrices.solve(one), matrices.solve(u)
    basis = skfem.Basis(step.mesh, P1)
    assert np.abs(one - 1).max() < 1e-12
    assert (basis.interpolate(u) * basis.dx).sum() == pytest.approx(first, rel=1e-12)


def solved(scheme, n):
    """Dofs at the end of a problem with all terms, by n steps on moving triangles."""
    mesh = grid(4)
    u = np.cos(2 * moved(mesh, 0).p[0]) * moved(mesh, 0).p[1]
    bdf2 = BDF2()
    for t, step in steps(mesh, n):
        at = t + (step.dt if scheme == "bdf2" and t > 0 else step.dt / 2)
        terms = {"speed": wind, "diffusion": 0.05, "reaction": 0.5, "source": lambda x, s=at: np.sin(4 * s) * x[0]}
        matrices = {
            "convective": lambda s=step, k=terms: convective(s, P1, **k),
            "conservative": lambda s=step, k=terms: conservative(s, P1, **k),
            "bdf2": lambda s=step, k=terms, v=u: bdf2.step(s, P1, v, **k),
        }[scheme]()
        u = matrices.solve(u)
    return u


@pytest.mark.parametrize("scheme", ["convective", "conservative", "bdf2"])
def test_schemes_are_of_second_order_in_time(scheme):
    exact = solved(scheme, 320)
    coarse, fine = (np.abs(solved(scheme, n) - exact).max() for n in (20, 40))
    assert np.log2(coarse / fine) > 1.9


def test_a_rotating_bump_is_followed_and_better_than_on_the_fixed_mesh():
    def bump(t):
        c, s = np.cos(2 * np.pi * t), np.sin(2 * np.pi * t)
        return lambda x: np.exp(-150 * ((x[0] - 0.5 - 0.25 * c) ** 2 + (x[1] - 0.5 - 0.25 * s) ** 2))

    def rotation(x):
        return 2 * np.pi * np.stack([0.5 - x[1], x[0] - 0.5])

    def error(follows):
        moving, dt = meshmove.MovingMesh(grid(16)), 0.25 / 20
        if follows:
            moving.start(bump(0))
        u = bump(0)(moving.mesh.p)
        for _ in range(20):
            step = moving.step(u, dt) if follows else SimpleNamespace(
                old=moving.mesh, mesh=moving.mesh, middle=moving.mesh, dt=dt, material=u
            )  # fmt: skip
            boundary = step.mesh.boundary_nodes()
            u = convective(step, P1, speed=rotation).solve(step.material, fixed=boundary)
        basis = skfem.Basis(moving.mesh, P1, intorder=6)
        values = basis.interpolate(u)
        return np.sqrt(skfem.Functional(lambda w: (w["u"] - bump(0.25)(w.x)) ** 2).assemble(basis, u=values))

    assert error(True) < 0.25 * error(False)


def test_coefficients_may_be_dofs_values_or_numbers():
    _, step = next(iter(steps(grid(4), 10)))
    vector = skfem.Basis(step.middle, skfem.ElementVector(P1))
    u = np.random.default_rng(0).random(25)
    given = vector.project(lambda x: np.stack([1 + 0 * x[0], 2 + 0 * x[0]]))
    every = [convective(step, P1, speed=s, diffusion=k) for s, k in ((given, 0.1), ((1.0, 2.0), np.full(25, 0.1)))]
    np.testing.assert_allclose(every[0].solve(u), every[1].solve(u), atol=1e-12)
    with pytest.raises(ValueError, match="the speed of shape|speed of 2 components"):
        convective(step, P1, speed=np.zeros(7))


def test_what_is_to_be_fixed_may_be_ids_a_mask_or_dofs():
    _, step = next(iter(steps(grid(4), 10)))
    matrices, u, left = convective(step, P1, diffusion=0.1), np.ones(25), step.mesh.p[0] == 0
    forms = [left, np.flatnonzero(left), matrices.basis.get_dofs(lambda x: x[0] == 0)]
    every = [matrices.solve(u, fixed=fixed, values=2.0) for fixed in forms]
    assert (every[0][left] == 2).all()
    assert all(np.array_equal(every[0], one) for one in every[1:])
    for wrong in (left[:-1], [25], [0.5], [[1, 2]]):
        with pytest.raises(ValueError, match="ids below 25, a mask of 25"):
            matrices.solve(u, fixed=wrong)


@pytest.mark.parametrize("speed", [1.0, lambda x: x[0], np.ones((3, 32, 3))])
def test_a_speed_has_a_component_for_each_direction(speed):
    _, step = next(iter(steps(grid(4), 10)))
    with pytest.raises(ValueError, match="speed of 2 components"):
        convective(step, P1, speed=speed)
    given = [convective(step, P1, speed=s).left for s in ((0.0, 2.0), lambda x: [0, 2 + 0 * x[1]])]
    assert np.abs(given[0] - given[1]).max() < 1e-15


def test_schroedinger_keeps_the_norm_on_a_mesh_that_stands():
    """u_t = i u_xx by Crank-Nicolson is unitary; complex sources and prescribed values are taken as they are."""
    mesh = grid(6)
    step = SimpleNamespace(old=mesh, mesh=mesh, middle=mesh, dt=0.1)
    u = np.random.default_rng(0).random(49) + 0j
    mass = skfem.BilinearForm(lambda u, v, w: u * v).assemble(skfem.Basis(mesh, P1))
    for form in (convective, conservative):
        new = form(step, P1, diffusion=1j).solve(u)
        assert np.abs(new - u).max() > 0.1
        assert np.vdot(new, mass @ new).real == pytest.approx(np.vdot(u, mass @ u).real, rel=1e-12)
    grown = convective(step, P1, source=1j).solve(np.ones(49))
    np.testing.assert_allclose(grown, 1 + 0.1j, atol=1e-12)
    held = convective(step, P1, diffusion=1j).solve(np.ones(49), fixed=[0], values=1j)
    assert held[0] == 1j
