"""Conductivity that jumps between regions: how it is stated, and what is refused by name."""

import numpy as np
import pytest
import skfem

from meshmove.geometry import Disk, Rectangle
from meshmove.solvers import Dirichlet, HyPINO, Interval, LinearPDE, ProblemError, TimeInterval
from meshmove.solvers.pde.mesh_domain import MeshDomain
from meshmove.solvers.projection import Projector
from meshmove.solvers.solution import Solution

SQUARE = Rectangle((-1, -1), (1, 1), name="all")
DISK = Disk((0, 0), 0.5)
HELD = {"all": Dirichlet()}
LEFT, RIGHT = Rectangle((-1, -1), (0, 1)), Rectangle((0, -1), (1, 1))


def stated(divergence, domain=SQUARE, **rest):
    return LinearPDE(domain, divergence=divergence, conditions=HELD, **rest)


def test_coefficients_are_those_of_the_region_that_a_point_is_in():
    pde = stated({DISK: 10.0, SQUARE - DISK: lambda x: 1 + x[0] ** 2}, ux=3, u=2)
    x = np.array([[0.0, 0.3, 0.7, -0.8], [0.0, 0.2, 0.7, 0.1]])
    k, dk = np.array([10, 10, 1 + 0.49, 1 + 0.64]), np.array([0, 0, 1.4, -1.6])
    np.testing.assert_allclose(pde.coefficients_at(x), [2 + 0 * k, 3 - dk, 0 * k, -k, -k], atol=1e-9)
    assert pde.kind == "elliptic" and len(pde.regions) == 2


def test_tensors_and_numbers_side_by_side():
    pde = stated({LEFT: [[2, 0.5], [0.5, 1]], RIGHT: 3.0})
    np.testing.assert_allclose(pde.coefficients_at(np.array([[-0.5, 0.5], [0, 0]]))[3:], [[-2, -3], [-1, -3], [-1, 0]])
    assert pde.terms == ("u", "ux", "uy", "uxx", "uyy", "uxy")


def test_one_k_everywhere_is_no_jump():
    pde = stated({LEFT: 2.0, RIGHT: 2.0})
    assert pde.is_constant and pde.coefficients == (0, 0, 0, -2, -2)


def test_regions_of_a_mesh_by_name():
    mesh = skfem.MeshTri().refined(3)
    inner = np.flatnonzero(mesh.p[0, mesh.t].mean(axis=0) < 0.5)
    mesh = mesh.with_subdomains({"plate": inner, "fibre": np.setdiff1d(np.arange(mesh.nelements), inner)})
    pde = LinearPDE(mesh, divergence={"plate": 1.0, "fibre": 5.0}, conditions={"boundary": Dirichlet()})
    np.testing.assert_allclose(pde.coefficients_at(np.array([[0.2, 0.9], [0.5, 0.5]]))[3], [-1, -5])
    assert [round(region.shape.area, 12) for region in pde.regions] == [0.5, 0.5]
    assert isinstance(pde.regions[0].shape, MeshDomain)
    with pytest.raises(ProblemError, match="'fibre', 'plate'|'plate', 'fibre'"):
        LinearPDE(mesh, divergence={"plate": 1.0, "wire": 5.0}, conditions={"boundary": Dirichlet()})


@pytest.mark.parametrize(
    "divergence, words",
    [
        ({}, "at least one region"),
        ({DISK: 10.0}, "cover the domain.*bare"),
        ({LEFT: 1.0, Rectangle((0, -1), (1, 0.999)): 2.0}, "cover the domain"),
        ({DISK: 10.0, SQUARE: 1.0}, "do not overlap.*Disk.*share an area of 0.785"),
        ({DISK: 2.0, Rectangle((-1, -1), (2, 1)) - DISK: 1.0}, "inside of the domain.*area of 2 "),
        ({LEFT: 1.0, RIGHT: 0.0}, "In the region Rectangle.*positive"),
        ({LEFT: -1.0, RIGHT: 2.0}, "positive"),
        ({LEFT: [[1, 2], [2, 1]], RIGHT: 2.0}, r"positive \(definite\)"),
        ({LEFT: [[2, 0.5], [0.4, 1]], RIGHT: 2.0}, "symmetric.*0.5 and 0.4"),
        ({LEFT: lambda x: np.array([[2 + 0 * x[0], x[1]], [0 * x[0], 2 + 0 * x[0]]]), RIGHT: 2.0}, "symmetric"),
        ({LEFT: lambda x: np.where(x[1] < 0.2, 1.0, 3.0), RIGHT: 2.0}, "In the region Rectangle.*jumps from"),
        ({"left": 1.0, "right": 2.0}, "shapes of meshmove.geometry.*'left'"),
        ({0: 1.0}, "shapes of meshmove.geometry"),
        ({LEFT: "steel", RIGHT: 2.0}, "number, a function"),
        ({LEFT: float("nan"), RIGHT: 2.0}, "finite number"),
        ({LEFT & Rectangle((0.5, 0), (1, 1)): 1.0, SQUARE: 2.0}, "empty domain"),
    ],
)
def test_regions_that_make_no_sense(divergence, words):
    with pytest.raises(ProblemError, match=words):
        stated(divergence)


def test_flow_stands_alone_and_in_space():
    both = {LEFT: 1.0, RIGHT: 2.0}
    with pytest.raises(ProblemError, match="both: uxx"):
        stated(both, uxx=-1)
    ends = {"left": Dirichlet(), "right": Dirichlet()}
    with pytest.raises(ProblemError, match="two dimensions of space"):
        LinearPDE(Interval(-1, 1), divergence=both, ut=1, time=TimeInterval(0, 1), initial=0.0, conditions=ends)


def test_what_is_smooth_refuses_kinks_by_name():
    pde, model = stated({LEFT: 1.0, RIGHT: 2.0}, source=1), HyPINO.from_pretrained()
    for call in (model.emit, lambda p: model.solve(p, project=False), lambda p: model.solve(p, refine=1)):
        with pytest.raises(ProblemError, match="conductivity that jumps.*project"):
            call(pde)
    with pytest.raises(ProblemError, match="splines are smooth.*2 regions"):
        Projector(pde, cells=8)
    from meshmove.solvers import project
    from meshmove.solvers.projection.field import Zero

    with pytest.raises(ProblemError, match="splines are smooth"):
        _ = Solution(pde, Zero()).error_estimate
    with pytest.raises(ProblemError, match="neither emitted nor random"):
        project(pde, random=10)
