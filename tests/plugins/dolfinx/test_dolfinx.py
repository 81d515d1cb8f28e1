"""DOLFINx: what goes in comes out moved, on the same topology, with its tags and functions."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("dolfinx", reason="DOLFINx is not installed here: make test-mpi runs these")
pytestmark = [  # of FFCx, which compiles C and leaves files open
    pytest.mark.filterwarnings(f"ignore::{name}")
    for name in ("DeprecationWarning", "FutureWarning", "ResourceWarning", "pytest.PytestUnraisableExceptionWarning")
]

import skfem  # noqa: E402
import ufl  # noqa: E402
from dolfinx import fem, mesh  # noqa: E402

import meshmove  # noqa: E402
from meshmove.geometry import FieldError, UnsupportedMeshError  # noqa: E402
from meshmove.geometry.checks import check_cells  # noqa: E402
from meshmove.plugins.dolfinx import MovingMesh, adapt, adapt_loop, converter, velocity_function, with_tags  # noqa: E402
from tests.plugins.dolfinx.meshes import CELLS, box, function, second_order, tagged  # noqa: E402


def step(x):
    return np.tanh(20 * (x[0] - 0.5))


def mild(x):
    """Resolved by a few cells."""
    return np.tanh(6 * (x[0] - 0.5))


def integral(form) -> float:
    return fem.assemble_scalar(fem.form(form))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("order", [1, 2])
def test_cells_are_read_in_order(cell, order):
    domain = box(cell, 3)
    if order == 2:
        domain = second_order(domain)
    cells = converter.read(domain)
    check_cells(cells)
    assert cells.n_nodes == len(domain.geometry.x)
    assert cells.straight
    nodes = cells.lifted(cells.points)  # mid-side nodes are the means of the right vertices
    assert np.allclose(nodes, domain.geometry.x[:, : cells.dim], atol=1e-14)


@pytest.mark.parametrize("cell", CELLS)
def test_a_mesh_is_moved_and_the_one_given_stays(cell):
    domain = box(cell)
    before = domain.geometry.x.copy()
    out = meshmove.adapt(domain, function(domain, step))
    assert type(out.mesh) is type(domain)
    assert np.array_equal(domain.geometry.x, before)
    assert out.report.predicted_error_after < 0.7 * out.report.predicted_error_before
    there = before[:, : out.cells.dim] + out.displacement
    assert np.allclose(out.mesh.geometry.x[:, : out.cells.dim], there, atol=1e-15)
    assert np.isclose(integral(1 * ufl.dx(domain=out.mesh)), 1, atol=1e-12)


@pytest.mark.parametrize("cell", ["triangle", "quadrilateral", "tetrahedron"])
def test_curved_cells_follow_and_no_volume_is_lost(cell):
    domain = second_order(box(cell, 4), lambda x: np.stack([x[0], x[1] + 0.1 * np.sin(np.pi * x[0]), x[2]]))
    size = integral(1 * ufl.dx(domain=domain))
    out = adapt(domain, function(domain, step))
    assert out.displacement.any()
    assert np.isclose(integral(1 * ufl.dx(domain=out.mesh)), size, rtol=2e-3)


@pytest.mark.parametrize("degree", [1, 2])
def test_gains_are_those_on_the_same_mesh_of_scikit_fem(degree):
    domain = box("triangle", 16)
    cells = converter.read(domain)
    own = skfem.MeshTri(cells.points.T, cells.blocks[0].nodes.T)
    basis = skfem.Basis(own, (skfem.ElementTriP1 if degree == 1 else skfem.ElementTriP2)())
    there = meshmove.adapt(own, (basis, mild(basis.doflocs))).report
    here = meshmove.adapt(domain, function(domain, mild, degree)).report
    assert here.predicted_for == there.predicted_for
    for name in ("predicted_error_before", "predicted_error_after"):
        assert np.isclose(getattr(here, name), getattr(there, name), rtol=0.05)


def test_tags_are_valid_on_the_moved_mesh_and_boundaries_keep_their_lengths():
    domain = box("triangle", 12)
    sides = {1: lambda x: np.isclose(x[0], 0), 2: lambda x: np.isclose(x[1], 1)}
    facets = tagged(domain, 1, sides)
    cells = tagged(domain, 2, {7: lambda x: x[0] <= 0.5 + 1e-9, 9: lambda x: x[0] >= 0.5 - 1e-9})
    out = adapt(domain, function(domain, lambda x: np.tanh(30 * (x[0] - 0.37))), facet_tags=facets, cell_tags=cells)
    assert out.report.regions == ("cell_tags",)
    assert out.mesh.topology.connectivity(2, 0) is domain.topology.connectivity(2, 0)
    ds, dx = ufl.Measure("ds", out.mesh, subdomain_data=facets), ufl.Measure("dx", out.mesh, subdomain_data=cells)
    assert np.allclose([integral(1 * ds(1)), integral(1 * ds(2))], 1, atol=1e-12)
    assert np.allclose([integral(1 * dx(7)), integral(1 * dx(9))], 0.5, atol=1e-12)
    assert np.abs(out.displacement[:, 0]).max() > 0.02
    again = adapt(out.mesh, out.fields["field"])  # the tags came along
    assert again.report.regions == ("cell_tags",)


def test_a_boundary_is_held_by_the_number_of_its_tag():
    domain = box("quadrilateral", 8)
    top = tagged(domain, 1, {4: lambda x: np.isclose(x[1], 1)})
    u = function(domain, step)
    on_top = np.isclose(domain.geometry.x[:, 1], 1)
    assert adapt(domain, u, facet_tags=top).displacement[on_top].any()
    assert not adapt(domain, u, facet_tags=top, boundary={4: "fixed"}).displacement[on_top].any()


def test_tags_stay_off_the_mesh_that_was_given():
    domain = box("triangle", 4)
    tags = tagged(domain, 2, {1: lambda x: x[0] < 0.51, 2: lambda x: x[0] > 0.49})
    assert converter.read(with_tags(domain, cell_tags=tags)).regions is not None
    assert converter.read(domain).regions is None


@pytest.mark.parametrize(
    ("family", "degree", "components"),
    [("Lagrange", 1, 1), ("Lagrange", 2, 1), ("Lagrange", 3, 1), ("Lagrange", 2, 2), ("DG", 1, 1), ("N1curl", 1, 1)],
)
@pytest.mark.parametrize("cell", ["triangle", "quadrilateral"])
def test_a_function_is_carried_to_the_same_space(family, degree, components, cell):
    """Exactly, where the space has it: linear functions here."""
    if cell == "quadrilateral" and family == "N1curl":
        family = "RTCE"
    domain = box(cell, 6)

    def linear(x):
        return np.stack([1 + 0 * x[0], 2 + 0 * x[0]]) if "1" in family or "RT" in family else vector(x)

    def vector(x):
        return np.stack([1 + x[0], 2 * x[1]]) if components == 2 else 1 + x[0] - 2 * x[1]

    u = function(domain, linear, degree, family, components)
    out = adapt(domain, step, transfer=None)
    carried = out.transfer(u)
    assert carried.function_space.ufl_element() == u.function_space.ufl_element()
    assert np.array_equal(carried.function_space.dofmap.list.array, u.function_space.dofmap.list.array)
    exact = function(out.mesh, linear, degree, family, components)
    assert np.allclose(carried.x.array, exact.x.array, atol=1e-9)


def test_a_loop_over_curved_quadrilaterals_carries_functions():
    """DOLFINx's own search for the reference point of a place does not converge in some cells of the second mesh."""
    bent = second_order(box("quadrilateral", 10), lambda x: np.stack([x[0], x[1] + 0.1 * np.sin(np.pi * x[0]), x[2]]))
    result = adapt_loop(bent, lambda m: function(m, lambda x: np.tanh(12 * (x[0] - 0.4))), steps=2)
    assert len(result.history) == 2
    assert result.history[-1].predicted_error_after < 0.7 * result.history[0].predicted_error_before


def test_a_flow_moves_to_its_velocity_and_both_fields_are_carried():
    domain = box("triangle", 8)
    element = ufl.VectorElement("Lagrange", ufl.triangle, 2) * ufl.FiniteElement("Lagrange", ufl.triangle, 1)
    w = fem.Function(fem.FunctionSpace(domain, element))
    w.sub(0).interpolate(lambda x: np.stack([step(x), 0 * x[0]]))
    w.sub(1).interpolate(lambda x: x[1])
    out = meshmove.adapt(domain, w)
    assert [o.name for o in out.report.outcomes] == ["PART_OF_FIELDS"]
    assert out.report.predicted_for == "quadratic elements"
    u, p = out.fields["field"].split()
    assert np.isclose(integral((p - ufl.SpatialCoordinate(out.mesh)[1]) ** 2 * ufl.dx), 0, atol=1e-20)
    alone = adapt(domain, w.sub(0).collapse())
    assert np.allclose(alone.displacement, out.displacement, atol=1e-6)


def test_an_expression_is_a_field():
    domain = box("triangle", 10)
    x = ufl.SpatialCoordinate(domain)
    u = function(domain, step, 2)
    by_hand = adapt(domain, function(domain, step))
    out = adapt(domain, ufl.tanh(20 * (x[0] - 0.5)))
    assert np.allclose(out.displacement, by_hand.displacement, atol=1e-6)
    assert out.fields["field"].function_space.mesh is out.mesh
    speed = adapt(domain, ufl.sqrt(ufl.inner(ufl.grad(u), ufl.grad(u))))
    assert speed.displacement.any()


def test_conservative_transfer_keeps_integrals():
    domain = box("triangle", 10)
    u = function(domain, step)
    out = adapt(domain, u, transfer="conservative")
    assert np.isclose(integral(out.fields["field"] * ufl.dx), integral(u * ufl.dx), atol=1e-12)


def test_in_place_the_mesh_that_is_given_moves_and_functions_go_along():
    domain = box("triangle", 10)
    u, v = function(domain, step), function(domain, lambda x: x[0] + x[1], 2)
    dofs, apart = u.x.array.copy(), adapt(domain, u)
    out = adapt(domain, u, inplace=True)
    assert out.mesh is domain
    assert np.allclose(domain.geometry.x, apart.mesh.geometry.x, atol=1e-12)
    assert np.array_equal(u.x.array, dofs)
    assert np.allclose(out.fields["field"].x.array, apart.fields["field"].x.array, atol=1e-12)
    exact = function(domain, lambda x: x[0] + x[1], 2)
    assert np.allclose(out.transfer(v).x.array, exact.x.array, atol=1e-12)


def test_a_loop_solves_on_every_mesh():
    domain = box("triangle", 12)
    seen = []

    def solve(m):
        seen.append(m)
        return function(m, step)

    result = adapt_loop(domain, solve, steps=2)
    assert seen[0] is domain and len(seen) == len(result.history)
    assert result.report.predicted_error_after < 0.7 * result.history[0].predicted_error_before
    here = adapt_loop(domain, solve, steps=2, inplace=True)
    assert here.mesh is domain
    assert np.allclose(domain.geometry.x, result.mesh.geometry.x, atol=1e-12)


def test_a_moving_mesh_carries_functions():
    domain = box("triangle", 10)
    moving = MovingMesh(domain)
    moving.start(lambda x: np.tanh(20 * (x[0] - 0.4)))
    for t in (0.4, 0.42):
        u = function(moving.mesh, lambda x, t=t: np.tanh(20 * (x[0] - t)))
        step_ = moving.step(u, dt=0.02)
    assert step_.displacement.any()
    assert np.array_equal(step_.material.x.array, u.x.array)
    assert step_.material.function_space.mesh is step_.mesh
    assert np.isclose(integral(step_.carried * ufl.dx), integral(u * ufl.dx), atol=1e-10)  # swept keeps it
    w = velocity_function(step_)
    places = function(step_.mesh, lambda x: np.stack([x[0], x[1]]), components=2)
    before = function(step_.old, lambda x: np.stack([x[0], x[1]]), components=2)
    assert np.allclose(before.x.array + 0.02 * w.x.array, places.x.array, atol=1e-14)


def test_what_cannot_be_moved_is_named():
    domain, other = box("triangle", 3), box("triangle", 3)
    with pytest.raises(FieldError, match="on another mesh"):
        adapt(domain, function(other, step))
    with pytest.raises(FieldError, match="arguments"):
        adapt(domain, ufl.TestFunction(fem.FunctionSpace(domain, ("Lagrange", 1))))
    with pytest.raises(FieldError, match="NaN or infinity at 16 nodes"):
        adapt(domain, function(domain, lambda x: np.nan * x[0]))
    with pytest.raises(ValueError, match="facet_tags of entities of dimension 1"):
        adapt(domain, step, facet_tags=tagged(domain, 2, {1: lambda x: x[0] > 0}))
    with pytest.raises(ValueError, match="MeshTags"):
        adapt(domain, step, cell_tags=[1, 2])
    with pytest.raises(UnsupportedMeshError, match="interval"):
        adapt(mesh.create_unit_interval(domain.comm, 3), step)


def test_a_mesh_is_saved(tmp_path):
    domain = box("quadrilateral", 4)
    meshmove.save(adapt(domain, step).mesh, tmp_path / "moved.vtu")
    assert converter.read(domain).same_cells(meshmove.meshes.source.Source.of(tmp_path / "moved.vtu").cells)
