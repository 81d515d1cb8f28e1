"""Orders of convergence of the finite element solver for every kind of equation, and what it refuses."""

import numpy as np
import pytest
import skfem

from meshmove.geometry import Disk, InvalidMeshError, Polygon, Rectangle, UnsupportedMeshError
from meshmove.geometry.errors import FieldError
from meshmove.solvers.fem.evaluation import function_of
from meshmove.solvers.fem.linear import solve_finite_elements
from meshmove.solvers.fem.meshes import mesh_of
from meshmove.solvers.pde import Dirichlet, Interval, LinearPDE, Neumann, ProblemError, TimeInterval
from tests.solvers.pde.cases import Known

NAMES = ("u", "ux", "uy", "uxx", "uyy")
SIDES = Rectangle((0, 0), (2, 1), names=("bottom", "right", "top", "left"))


def error(pde, size):
    basis, dofs = solve_finite_elements(pde, size=size)
    exact = Known.u(np.asarray(basis.global_coordinates()))
    miss = np.asarray(basis.interpolate(dofs)) - exact
    return np.sqrt((miss**2 * basis.dx).sum() / (exact**2 * basis.dx).sum())


def order(pde, sizes=(0.2, 0.1)):
    coarse, fine = (error(pde, h) for h in sizes)
    return np.log2(coarse / fine) / np.log2(sizes[0] / sizes[1]), fine


def known(domain, coefficients, neumann=(), **rest):
    names = rest.pop("names", None) or domain.boundary_names
    conditions = {k: Neumann(Known.slope(domain)) if k in neumann else Dirichlet(Known.u) for k in names}
    terms = dict(zip(NAMES, coefficients, strict=True))
    return LinearPDE(domain, source=Known.source(*coefficients), conditions=conditions, **terms, **rest)


@pytest.mark.parametrize(
    "coefficients",
    [
        (0, 0, 0, -1, -1),
        (2, 3, -1, -1, -2),
        (lambda x: -1 - x[0], lambda x: x[1], 1, lambda x: 1 + x[0] ** 2, lambda x: 2 + np.sin(x[0] + x[1])),
    ],
)
@pytest.mark.parametrize("neumann", [(), ("hole", "right")])
def test_elliptic(coefficients, neumann):
    domain = SIDES - Disk((0.7, 0.5), 0.3, name="hole")
    rate, fine = order(known(domain, coefficients, neumann))
    assert rate > 2.5 and fine < 1e-4


def test_elliptic_with_slanted_neumann_sides_and_anisotropy():
    domain = SIDES & Disk((1, 0.5), 0.8, name="round")
    rate, fine = order(known(domain, (0, 0, 0, -5, -1), ("round",)))
    assert rate > 2.5 and fine < 1e-4


def test_neumann_on_curves_beside_cells_halved_at_corners():
    domain = SIDES - [Disk((0.7, 0.5), 0.2, name="hole"), Polygon(((1.2, 0.3), (1.6, 0.4), (1.4, 0.7)), "triangle")]
    pde = known(domain, (0, 0, 0, -1, -1), ("hole", "triangle"))
    corners = np.concatenate([pde.unit.to_physical(c.at[:, None]) for c in pde.unit.corners], axis=1)
    mesh = mesh_of(domain, 0.1, corners)
    assert isinstance(mesh, skfem.MeshTri2) and len(corners.T) == 3
    basis, dofs = solve_finite_elements(pde, mesh)
    assert np.abs(dofs - Known.u(np.asarray(basis.doflocs))).max() < 2e-4
    nodes = mesh.doflocs[:, np.abs(np.hypot(*(mesh.doflocs - [[0.7], [0.5]])) - 0.2) < 0.01]
    assert nodes.shape[1] > 10 and np.allclose(np.hypot(*(nodes - [[0.7], [0.5]])), 0.2)


def test_first_order_and_algebraic():
    advection = known(SIDES, (1, 1, 0.4, 0, 0), names=("left", "bottom"))
    assert advection.kind == "first-order" and order(advection)[0] > 1.8 and error(advection, 0.1) < 2e-4
    algebraic = LinearPDE(SIDES, u=lambda x: 2 + x[0], source=Known.source(lambda x: 2 + x[0], 0, 0, 0, 0))
    assert error(algebraic, 0.1) < 1e-4


def in_time(coefficients, neumann=False, **rest):
    box = Rectangle((0, 0), (2, 1), names=("start", "right", "end", "left"))
    u, ux, ut, uxx, utt = coefficients
    right = Neumann(Known.slope(box)) if neumann else Dirichlet(Known.u)
    return LinearPDE(
        Interval(0, 2),
        **{"u": u, "ux": ux, "ut": ut, "uxx": uxx, "utt": utt, "source": Known.source(*coefficients)},
        time=TimeInterval(0, 1),
        initial=Known.u,
        conditions={"left": Dirichlet(Known.u), "right": right},
        **rest,
    )


VARY = (lambda x: x[1], 1.0, lambda x: 1 + x[0] ** 2, lambda x: -1 - 0.5 * x[0] * x[1])


@pytest.mark.parametrize("neumann", [False, True])
@pytest.mark.parametrize("coefficients", [(0, 0, 1, -0.3, 0), (1, 2, -2, 1, 0), (*VARY, 0)])
def test_heat(coefficients, neumann):
    rate, fine = order(in_time(coefficients, neumann))
    assert rate > 2.7 and fine < 1e-5


@pytest.mark.parametrize("neumann", [False, True])
@pytest.mark.parametrize("coefficients", [(0, 0, 0, -2, 1), (1, 0.5, 0.3, 4, -1), (*VARY, lambda x: 1 + x[1])])
def test_wave(coefficients, neumann):
    rate, fine = order(in_time(coefficients, neumann, velocity=lambda x: Known.jets(x)[2]))
    assert rate > 2.7 and fine < 1e-5


def test_time_as_an_axis_and_on_a_mesh():
    box = Rectangle((0, 0), (2, 1), names=("start", "right", "end", "left"))
    pde = known(box, (0, 0, 1, -0.3, 0), names=("left", "right", "start"), time="y")
    assert error(pde, 0.1) < 1e-5
    mesh = skfem.MeshTri.init_tensor(np.linspace(0, 2, 12), np.linspace(0, 1, 8))
    basis, dofs = solve_finite_elements(pde, mesh, size=0.1)
    assert basis.mesh is mesh and np.allclose(dofs, Known.u(basis.doflocs), atol=1e-5)


def test_heat_around_a_hole_in_space_and_time():
    box = Rectangle((0, 0), (2, 1), names=("start", "right", "end", "left")) - Disk((1, 0.5), 0.2, name="hole")
    pde = known(box, (0, 0, 1, -0.3, 0), names=("left", "right", "start", "hole"), time="y")
    rate, fine = order(pde)
    assert rate > 2 and fine < 1e-4


def test_data_that_do_not_match_at_the_first_time_do_no_harm():
    ends = {"left": Dirichlet(0.0), "right": Dirichlet(0.0)}
    pde = LinearPDE(Interval(0, 1), ut=1, uxx=-1, initial=1.0, time=TimeInterval(0, 0.5), conditions=ends)
    basis, dofs = solve_finite_elements(pde, size=0.05)
    k = np.arange(1, 60, 2)[:, None]
    x, t = basis.doflocs[:, basis.doflocs[1] > 0.05]
    series = (4 / (k * np.pi) * np.sin(k * np.pi * x) * np.exp(-((k * np.pi) ** 2) * t)).sum(0)
    assert np.abs(dofs[basis.doflocs[1] > 0.05] - series).max() < 1e-4
    assert -1e-2 < dofs.min() and dofs.max() < 1.1


def test_conditions_that_change_along_a_side_in_time():
    names = [("start", (0, 0), (1, 0)), ("late", (1, 1), (1, 0.5)), ("early", (1, 0.5), (1, 0))]
    from meshmove.geometry import Polygon

    box = Polygon([(0, 0), (1, 0), (1, 0.5), (1, 1), (0, 1)], names=("start", "early", "late", "end", "left"))
    assert names[0][0] in box.boundary_names
    slope = Neumann(Known.slope(Rectangle((0, 0), (1, 1))))
    conditions = {"left": Dirichlet(Known.u), "early": Dirichlet(Known.u), "late": slope}
    pde = LinearPDE(
        box, uy=1, uxx=-0.3, time="y", initial=Known.u, source=Known.source(0, 0, 1, -0.3, 0), conditions=conditions
    )
    assert error(pde, 0.1) < 1e-4


def test_meshes_of_other_libraries_and_elements():
    domain = SIDES - Disk((0.7, 0.5), 0.3, name="hole")
    pde = known(domain, (1, 0, 0, -1, -1))
    basis, dofs = solve_finite_elements(pde, domain.mesh(0.1, engine="scipy"), element=skfem.ElementTriP1())
    assert np.abs(dofs - Known.u(basis.doflocs)).max() < 5e-3
    quads = skfem.MeshQuad.init_tensor(np.linspace(0, 2, 9), np.linspace(0, 1, 5))
    basis, dofs = solve_finite_elements(known(SIDES, (1, 0, 0, -1, -1)), quads)
    assert np.abs(dofs - Known.u(basis.doflocs)).max() < 1e-4


def test_curved_edges_lie_on_the_boundary():
    mesh = mesh_of(Disk((1, 2), 0.5), 0.4)
    facets = mesh.boundary_facets()
    nodes = mesh.dofs.facet_dofs[0, facets]
    assert np.allclose(np.hypot(*(mesh.doflocs[:, nodes] - [[1], [2]])), 0.5)
    assert type(mesh_of(SIDES, 0.4)) is skfem.MeshTri


def test_refusals():
    holed = SIDES - Disk((1, 0.5), 0.2, name="hole")
    conditions = {k: Dirichlet() for k in ("left", "right", "hole")}
    wave = LinearPDE(holed, uyy=1, uxx=-1, time="y", initial=0, velocity=0, conditions=conditions)
    with pytest.raises(ProblemError, match="box of space and time"):
        solve_finite_elements(wave)
    pde = known(SIDES, (0, 0, 0, -1, -1))
    with pytest.raises(InvalidMeshError, match="mesh of the problem's domain.*away from its boundary"):
        solve_finite_elements(pde, skfem.MeshTri().refined(3))
    with pytest.raises(UnsupportedMeshError, match="triangles or of quadrilaterals"):
        solve_finite_elements(pde, skfem.MeshTet())
    for size in (0, -1, np.nan):
        with pytest.raises(ProblemError, match="positive size"):
            solve_finite_elements(pde, size=size)


# ---- evaluation
@pytest.mark.parametrize("curved", [False, True])
def test_functions_of_finite_elements(curved):
    mesh = mesh_of(Disk((0, 0), 1), 0.3) if curved else skfem.MeshQuad().refined(2)
    basis = skfem.Basis(mesh, skfem.ElementTriP2() if curved else skfem.ElementQuad2())
    f = function_of(basis, np.asarray(basis.doflocs[0] + 2 * basis.doflocs[1]))
    x = Disk((0, 0), 1).sample_interior(200) if curved else np.random.default_rng(0).random((2, 200))
    edge = Disk((0, 0), 1).sample_boundary(50).points if curved else x
    assert np.allclose(f(x), x[0] + 2 * x[1]) and np.allclose(f(edge), edge[0] + 2 * edge[1])
    with pytest.raises(FieldError, match="degrees of freedom"):
        function_of(basis, np.zeros(3))
