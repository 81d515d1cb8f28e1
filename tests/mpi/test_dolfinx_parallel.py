"""Distributed DOLFINx meshes: moved as on one process, with tags and functions, and errors on all processes alike."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("dolfinx", reason="DOLFINx is not installed here: make test-mpi runs these")

import ufl  # noqa: E402
from dolfinx import fem, mesh  # noqa: E402
from mpi4py import MPI  # noqa: E402

from meshmove.distributed import Schwarz, adapt_distributed  # noqa: E402
from meshmove.geometry import FieldError, MeshmoveError, UnsupportedMeshError  # noqa: E402
from meshmove.meshes.files.formats import MeshFileError  # noqa: E402
from meshmove.plugins.dolfinx import MovingMesh, adapt, adapt_loop, velocity_function  # noqa: E402
from meshmove.plugins.dolfinx.pieces import Piece  # noqa: E402
from meshmove.plugins.mpi import MPIRanks, PetscInverses  # noqa: E402
from tests.plugins.dolfinx.meshes import function, second_order, tagged  # noqa: E402

COMM = MPI.COMM_WORLD


def step(x):
    return np.tanh(15 * (x[0] - 0.4))


def mild(x):
    return np.tanh(6 * (x[0] - 0.4))


def square(n: int = 12, cell: str = "triangle", comm=COMM):
    return mesh.create_unit_square(comm, n, n, getattr(mesh.CellType, cell))


def integral(form) -> float:
    return COMM.allreduce(fem.assemble_scalar(fem.form(form)))


@pytest.fixture(scope="module")
def moved():
    """A mesh with tags, moved once for several tests, by what gives the same bits whenever it is run."""
    domain = square()
    facets = tagged(domain, 1, {1: lambda x: np.isclose(x[0], 0), 2: lambda x: np.isclose(x[1], 1)})
    cells = tagged(domain, 2, {7: lambda x: x[0] <= 0.5 + 1e-9, 9: lambda x: x[0] >= 0.5 - 1e-9})
    u = function(domain, step)
    return domain, u, facets, cells, adapt(domain, u, facet_tags=facets, cell_tags=cells, inverses=Schwarz)


def test_the_result_is_that_of_one_process():
    """Predicted error within a few percent, for what a mesh of some hundred cells resolves."""
    domain, alone = square(), square(comm=MPI.COMM_SELF)
    out, one = adapt(domain, function(domain, mild)), adapt(alone, function(alone, mild))
    assert np.isclose(out.report.predicted_error_before, one.report.predicted_error_before, rtol=0.02)
    assert np.isclose(out.report.predicted_error_after, one.report.predicted_error_after, rtol=0.05)
    assert len(set(COMM.allgather(out.report.predicted_error_after))) == 1
    assert np.isclose(integral(1 * ufl.dx(domain=out.mesh)), 1, atol=1e-12)


def test_tags_are_valid_on_the_moved_mesh(moved):
    domain, _, facets, cells, out = moved
    assert out.report.predicted_error_after < 0.8 * out.report.predicted_error_before
    ds, dx = ufl.Measure("ds", out.mesh, subdomain_data=facets), ufl.Measure("dx", out.mesh, subdomain_data=cells)
    assert np.allclose([integral(1 * ds(1)), integral(1 * ds(2))], 1, atol=1e-12)
    assert np.allclose([integral(1 * dx(7)), integral(1 * dx(9))], 0.5, atol=1e-12)


def test_ghosts_are_where_their_owners_are(moved):
    assert_same_on_all_processes(moved[-1].mesh)


@pytest.mark.parametrize(("cell", "degree"), [("triangle", 2), ("quadrilateral", 1), ("quadrilateral", 2)])
def test_ghosts_are_where_their_owners_are_in_cells_of_other_kinds(cell, degree):
    domain = square(8, cell)
    assert_same_on_all_processes(adapt(domain if degree == 1 else second_order(domain), step).mesh)


def assert_same_on_all_processes(mesh) -> None:
    """Nodes are at the same places to the last bit, whoever has them."""
    numbers = mesh.geometry.index_map()
    n = numbers.size_local + numbers.num_ghosts
    ids, x = numbers.local_to_global(np.arange(n, dtype=np.int32)), mesh.geometry.x
    whole = {}
    for some, points in COMM.allgather((ids, x)):
        for k, p in zip(some, points, strict=True):
            assert np.array_equal(whole.setdefault(int(k), p), p)


@pytest.mark.parametrize(
    ("family", "degree", "components"), [("Lagrange", 1, 1), ("Lagrange", 2, 2), ("DG", 1, 1), ("Lagrange", 3, 1)]
)
def test_linear_functions_are_carried_exactly(moved, family, degree, components):
    domain, out = moved[0], moved[-1]

    def linear(x):
        return np.stack([1 + x[0], 2 * x[1]]) if components == 2 else 1 + x[0] - 2 * x[1]

    carried = out.transfer(function(domain, linear, degree, family, components))
    exact = function(out.mesh, linear, degree, family, components)
    assert np.allclose(carried.x.array, exact.x.array, atol=1e-9)


def test_mixed_functions_and_expressions_are_carried(moved):
    domain, out = moved[0], moved[-1]
    element = ufl.VectorElement("Lagrange", ufl.triangle, 2) * ufl.FiniteElement("Lagrange", ufl.triangle, 1)
    w = fem.Function(fem.FunctionSpace(domain, element))
    w.sub(0).interpolate(lambda x: np.stack([x[0], x[1]]))
    w.sub(1).interpolate(lambda x: x[1] - x[0])
    x = ufl.SpatialCoordinate(out.mesh)
    u, p = ufl.split(out.transfer(w))
    assert integral(ufl.inner(u - x, u - x) * ufl.dx + (p - x[1] + x[0]) ** 2 * ufl.dx) < 1e-18
    there = out.transfer(3 * ufl.SpatialCoordinate(domain)[0])
    assert integral((there - 3 * x[0]) ** 2 * ufl.dx) < 1e-18


def test_stale_ghosts_are_taken_from_their_owners(moved):
    domain, u, facets, cells, out = moved
    stale = u.copy()
    stale.x.array[domain.geometry.index_map().size_local :] = 1e6
    again = adapt(domain, stale, facet_tags=facets, cell_tags=cells, inverses=Schwarz)
    assert np.array_equal(again.displacement, out.displacement)


def test_a_transfer_that_keeps_the_integral():
    domain = square()
    u = function(domain, mild)
    out = adapt(domain, u, transfer="conservative")
    assert out.report.max_displacement > 0.02
    assert np.isclose(integral(out.fields["field"] * ufl.dx), integral(u * ufl.dx), rtol=1e-12, atol=0)
    both = out.transfer(
        function(domain, lambda x: np.stack([x[0] - x[0] + 2, np.tanh(9 * (x[1] - 0.3))]), components=2)
    )
    assert np.allclose(both.x.array.reshape(-1, 2)[:, 0], 2, atol=1e-12)
    assert np.abs(both.x.array.reshape(-1, 2)[:, 1]).max() <= 1
    with pytest.raises(ValueError, match="transfer"):
        adapt(domain, u, transfer="by hand")


def test_a_monitor_function_beside_a_field_moves_and_the_field_is_carried():
    domain = square()
    u = function(domain, lambda x: 1 + x[0] - 2 * x[1])
    out = adapt(domain, u, monitor=lambda x: 1 + 20 * np.exp(-80 * (x[0] - 0.5) ** 2))
    assert out.report.imbalance_after < 0.3 * out.report.imbalance_before
    exact = function(out.mesh, lambda x: 1 + x[0] - 2 * x[1])
    assert np.allclose(out.fields["field"].x.array, exact.x.array, atol=1e-12)


def test_what_is_not_done_for_quadratic_functions_is_said():
    domain = square(6, "quadrilateral")
    report = adapt(domain, function(domain, mild, 2), transfer="conservative").report
    assert {o.name for o in report.outcomes} >= {"TAKEN_AS_LINEAR", "INTEGRAL_NOT_KEPT"}
    plain = adapt(domain, function(domain, mild), transfer="conservative").report
    assert not {o.name for o in plain.outcomes} & {"TAKEN_AS_LINEAR", "INTEGRAL_NOT_KEPT"}


def test_quadratic_functions_move_as_on_one_process():
    here, alone = (adapt(m, function(m, mild, 2)).report for m in (square(8), square(8, comm=MPI.COMM_SELF)))
    assert here.predicted_for == alone.predicted_for == "quadratic elements"
    assert "TAKEN_AS_LINEAR" not in {o.name for o in here.outcomes}
    gains = [r.predicted_error_before / r.predicted_error_after for r in (here, alone)]
    assert gains[0] > 1.5 and gains[0] == pytest.approx(gains[1], rel=0.05)


def test_in_place_on_several_processes():
    domain = square(8)
    u = function(domain, step)
    apart = adapt(domain, u, inverses=Schwarz)
    out = adapt(domain, u, inplace=True, inverses=Schwarz)
    assert out.mesh is domain
    assert np.allclose(domain.geometry.x, apart.mesh.geometry.x, atol=1e-12)
    assert np.allclose(out.fields["field"].x.array, apart.fields["field"].x.array, atol=1e-12)
    linear = function(out.original, lambda x: x[0], 2)
    along = fem.Function(fem.FunctionSpace(domain, ("Lagrange", 2)))
    along.x.array[:] = linear.x.array
    assert np.allclose(out.transfer(along).x.array, function(domain, lambda x: x[0], 2).x.array, atol=1e-9)


def test_a_loop_solves_on_every_mesh():
    domain = square(16)
    result = adapt_loop(domain, lambda m: function(m, lambda x: np.tanh(12 * (x[0] - 0.4))), steps=2)
    last = result.history[-1].predicted_error_after
    assert last < 0.8 * result.history[0].predicted_error_before
    assert result.mesh.topology.index_map(2).size_global == domain.topology.index_map(2).size_global


def wavy(x):
    return np.stack([x[0], x[1] + 0.1 * np.sin(np.pi * x[0]), x[2]])


def test_straight_cells_of_second_order_move_and_curved_ones_follow():
    domain = second_order(square(6))
    out = adapt(domain, lambda x: step(x))
    assert np.isclose(integral(1 * ufl.dx(domain=out.mesh)), 1, atol=1e-12)
    bent = second_order(square(12), wavy)
    size, u = integral(1 * ufl.dx(domain=bent)), function(bent, step)
    out = adapt(bent, u)
    assert out.report.predicted_error_after < 0.8 * out.report.predicted_error_before
    assert np.isclose(integral(1 * ufl.dx(domain=out.mesh)), size, rtol=1e-3)
    y = np.asarray(out.mesh.geometry.x)
    top = np.abs(np.asarray(bent.geometry.x)[:, 1] - 1 - 0.1 * np.sin(np.pi * bent.geometry.x[:, 0])) < 1e-9
    assert np.abs(y[top, 1] - 1 - 0.1 * np.sin(np.pi * y[top, 0])).max(initial=0) < 1e-3
    again = adapt(out.mesh, out.fields["field"])
    assert again.report.inverted_cells == 0
    with pytest.raises(UnsupportedMeshError, match="curved cells"):
        MovingMesh(bent)


@pytest.mark.parametrize(
    ("cell", "family"), [("triangle", "DG"), ("triangle", "Lagrange"), ("quadrilateral", "Lagrange")]
)
def test_quadratic_functions_are_carried_exactly_in_curved_cells(cell, family):
    """They are wavy along y alone, so that x + x^2 is quadratic in each cell; DOLFINx's own search fails in some."""
    domain = second_order(square(10, cell), wavy)
    out = adapt(domain, function(domain, step))
    assert not np.allclose(out.mesh.geometry.x, domain.geometry.x)

    def quadratic(x):
        return x[0] + x[0] ** 2

    carried = out.transfer(function(domain, quadratic, 2, family))
    exact = function(out.mesh, quadratic, 2, family)
    assert np.allclose(carried.x.array, exact.x.array, atol=1e-7)


def test_a_process_without_cells_takes_part():
    from dolfinx.cpp.graph import AdjacencyList_int32

    def all_to_first(comm, n, *rest):
        return AdjacencyList_int32(np.zeros((next(a for a in rest if hasattr(a, "num_nodes")).num_nodes, 1), np.int32))

    domain = mesh.create_unit_square(COMM, 8, 8, partitioner=all_to_first)
    assert domain.topology.index_map(2).size_local == (128 if COMM.rank == 0 else 0)
    u = function(domain, step)
    out = adapt(domain, u, transfer="conservative")
    assert out.report.predicted_error_after < 0.8 * out.report.predicted_error_before
    assert np.isclose(integral(1 * ufl.dx(domain=out.mesh)), 1, atol=1e-12)
    assert np.isclose(integral(out.fields["field"] * ufl.dx), integral(u * ufl.dx), rtol=1e-12, atol=0)
    quadratic = out.transfer(function(domain, lambda x: x[0], 2))
    assert np.allclose(quadratic.x.array, function(out.mesh, lambda x: x[0], 2).x.array, atol=1e-9)


def test_a_region_and_a_boundary_on_one_process_only():
    domain = square(8)
    own = domain.topology.index_map(2).size_local
    count = own if COMM.rank == 0 else 0
    cells = mesh.meshtags(domain, 2, np.arange(count, dtype=np.int32), np.full(count, 5, np.int32))
    domain.topology.create_connectivity(1, 2)
    facets = mesh.exterior_facet_indices(domain.topology)[: 3 if COMM.rank == 0 else 0]
    sides = mesh.meshtags(domain, 1, np.sort(facets), np.full(len(facets), 8, np.int32))
    size = integral(1 * ufl.Measure("dx", domain, subdomain_data=cells)(5))
    out = adapt(domain, function(domain, step), facet_tags=sides, cell_tags=cells, boundary={8: "fixed"})
    # the interface is where the partition is: a jagged line of corners, which stay
    assert np.isclose(integral(1 * ufl.Measure("dx", out.mesh, subdomain_data=cells)(5)), size, rtol=0.02)


def test_errors_of_one_process_are_raised_on_all():
    domain = square(4)

    def broken(x):
        if COMM.rank == COMM.size - 1:
            raise ValueError("no value here")
        return x[0]

    with pytest.raises(ValueError, match="no value here"):
        adapt(domain, broken)
    holes = function(domain, step)
    if COMM.rank == 0:
        holes.x.array[:] = np.nan
    with pytest.raises(FieldError, match="NaN or infinity"):
        adapt(domain, holes)
    with pytest.raises(FieldError, match="on another mesh"):
        adapt(domain, function(square(4), step))
    tags = tagged(domain, 2, {1: lambda x: x[0] < 2})
    with pytest.raises(ValueError, match="facet_tags of entities"):
        adapt(domain, step, facet_tags=tags, cell_tags=tags)
    with pytest.raises(ValueError, match="the same on all processes"):
        adapt(domain, step, cell_tags=tags if COMM.rank == 0 else tags, facet_tags=None, transfer=_own_choice())


def _own_choice():
    return "interpolate" if COMM.rank == 0 else None


def test_different_options_are_an_error_on_all():
    domain = square(4)
    tags = tagged(domain, 2, {1: lambda x: x[0] < 2})
    with pytest.raises(ValueError, match="the same on all processes.*cell_tags: True"):
        adapt(domain, step, cell_tags=tags if COMM.rank == 0 else None)
    with pytest.raises(ValueError, match="the same on all processes.*inplace: True"):
        adapt(domain, step, inplace=COMM.rank == 0)
    both = [function(domain, step, degree) for degree in (1, 2)]
    with pytest.raises(ValueError, match="the same on all processes.*P2 elements"):
        adapt(domain, both[COMM.rank == 0])
    with pytest.raises(ValueError, match="the same on all processes.*2 components"):
        adapt(domain, lambda x: np.stack([x[0], x[1]]) if COMM.rank == 0 else x[0])
    with pytest.raises(ValueError, match="numbers of geometry nodes here"):
        adapt(domain, step, fixed=[10**6] if COMM.rank == 0 else [])
    with pytest.raises(MeshmoveError, match="same"):
        adapt(domain, step, effort=1.0 + COMM.rank)
    for name in ("reference", "regions", "energy", "goal", "boundary_motion"):
        with pytest.raises(ValueError, match=f"Expected no {name} on a distributed mesh"):
            adapt(domain, step, **{name: "auto"})
    with pytest.raises(ValueError, match="did you mean 'effort'"):
        adapt(domain, step, efort=1)


def test_no_process_holds_the_whole_mesh():
    """What arrays take at most: on each process not much more than its share of what one process takes alone."""
    import tracemalloc

    def most(comm, n):
        piece = Piece(square(n, comm=comm), MPIRanks(comm)).distributed()
        u = mild(piece.points.T)
        tracemalloc.start()
        adapt_distributed(piece, MPIRanks(comm), u, effort=0.2)
        out = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return out

    most(COMM, 6)  # what is imported on the way is not counted
    each, alone = COMM.allreduce(most(COMM, 60), MPI.MAX), COMM.allreduce(most(MPI.COMM_SELF, 60), MPI.MAX)
    assert each < alone * (1 / COMM.size + 0.22)  # with what the pieces share: 0.61 on two


def test_petsc_inverts_where_it_is_asked_to():
    """To the mesh that comes without it, up to what another preconditioner does to some dozen steps."""
    domain = square()
    with pytest.raises(MeshmoveError, match="the same inverses"):
        adapt(domain, step, inverses=PetscInverses if COMM.rank else Schwarz)
    known, found = (adapt(domain, function(domain, mild), inverses=i).report for i in (Schwarz, PetscInverses))
    assert np.isclose(found.predicted_error_after, known.predicted_error_after, rtol=0.05)
    assert found.predicted_error_after < 0.9 * found.predicted_error_before
    alone = square(4, comm=MPI.COMM_SELF)
    assert adapt(alone, function(alone, mild), inverses=PetscInverses).report.inverted_cells == 0


def front(t):
    return lambda x: np.tanh(12 * (np.hypot(x[0] - 0.3, x[1] - 0.2) - 0.4 - t))


def test_a_moving_mesh_follows_a_front():
    """Nodes go as on one process, up to what rounding does to a few steps of descent."""

    def course(comm):
        moving = MovingMesh(square(16, comm=comm))
        moving.start(front(0.0))
        for t in (0.0, 0.03, 0.06):
            done = moving.step(function(moving.mesh, front(t)), dt=0.03)
        return moving, done

    moving, done = course(COMM)
    one = course(MPI.COMM_SELF)[1]
    error, alone = (np.sqrt(_squares(step_.mesh, front(0.09))) for step_ in (done, one))
    rest = np.sqrt(_squares(square(16), front(0.09)))
    assert error < 0.65 * rest
    assert np.isclose(error, alone, rtol=0.04)
    assert np.isclose(done.report.feature_speed, one.report.feature_speed, rtol=0.02)
    assert moving.time == done.time == pytest.approx(0.09)
    assert moving.mesh is done.mesh and done.reference.geometry.x[:, 0].max() == 1
    assert_same_on_all_processes(done.mesh)
    assert integral(1 * ufl.dx(domain=done.mesh)) == pytest.approx(1, abs=1e-12)


def _squares(domain, f) -> float:
    fine = function(domain, f, 3)
    gap = (function(domain, f) - fine) ** 2 * ufl.dx
    return domain.comm.allreduce(fem.assemble_scalar(fem.form(gap)))


def test_a_step_carries_functions_and_has_a_velocity():
    domain = square(10)
    moving = MovingMesh(domain)
    moving.start(front(0.0))
    for t in (0.0, 0.02):
        fields = {
            "u": function(moving.mesh, front(t)),
            "linear": function(moving.mesh, lambda x: np.stack([x[0], x[1]]), 2, components=2),
            "x": 2 * ufl.SpatialCoordinate(moving.mesh)[0],
        }
        done = moving.step(fields, dt=0.02)
    assert done.displacement.any()
    assert np.allclose(done.material["u"].x.array, fields["u"].x.array, rtol=0, atol=1e-14)
    assert done.material["u"].function_space.mesh is done.mesh
    x = ufl.SpatialCoordinate(done.mesh)
    assert integral(ufl.inner(done.carried["linear"] - x, done.carried["linear"] - x) * ufl.dx) < 1e-18
    assert integral((done.carried["x"] - 2 * x[0]) ** 2 * ufl.dx) < 1e-5
    assert integral((done.carried["u"] - function(done.mesh, front(0.02))) ** 2 * ufl.dx) < 1e-3
    assert np.isclose(integral(done.carried["u"] * ufl.dx), integral(fields["u"] * ufl.dx), rtol=1e-12, atol=0)
    # the velocity takes the old mesh to the new one: the mean of x rises by the integral of w over the mesh half-way
    w = velocity_function(done, done.old)
    along = w.x.array.reshape(-1, 2)
    places = function(done.old, lambda x: np.stack([x[0], x[1]]), components=2).x.array.reshape(-1, 2)
    reached = function(done.mesh, lambda x: np.stack([x[0], x[1]]), components=2).x.array.reshape(-1, 2)
    assert np.allclose(places + 0.02 * along, reached, atol=1e-12)
    assert velocity_function(done).function_space.mesh is done.mesh
    assert np.allclose(done.middle.geometry.x, (done.old.geometry.x + done.mesh.geometry.x) / 2)


def test_a_moving_mesh_of_quadrilaterals_of_second_order_and_a_monitor_of_space():
    moving = MovingMesh(second_order(square(8, "quadrilateral")), monitor=lambda x: 1 + 5 * np.exp(-20 * x[0] ** 2))
    for _ in range(2):
        done = moving.step(dt=0.5)
    assert done.carried is None and done.fields == {}
    assert done.report.max_displacement > 0.01
    assert_same_on_all_processes(done.mesh)
    assert velocity_function(done).function_space.element.basix_element.degree == 2
    assert integral(1 * ufl.dx(domain=done.mesh)) == pytest.approx(1, abs=1e-12)


def test_a_moving_mesh_that_is_asked_for_what_needs_one_process_says_so_on_all():
    with pytest.raises(ValueError, match="Expected no reference on a distributed mesh"):
        MovingMesh(square(4), reference=square(4))
    with pytest.raises(ValueError, match="transfer"):
        MovingMesh(square(4), transfer="swept" if COMM.rank else None)
    moving = MovingMesh(square(4))
    with pytest.raises(ValueError, match="boundary_motion"):
        moving.step(step, 0.1, boundary_motion=lambda x, t: x)
    with pytest.raises(MeshmoveError, match="the same time step"):
        moving.step(step, 0.1 + COMM.rank)
    with pytest.raises(MeshmoveError, match="on one process to save"):
        moving.save("state.npz")
    with pytest.raises(MeshFileError, match="can be written"), moving.record("/proc/film.xdmf"):
        pass
    with pytest.raises(UnsupportedMeshError, match=r"\.xdmf"), moving.record("film.gif"):
        pass
    holes = function(moving.mesh, step)
    if COMM.rank == 0:
        holes.x.array[:] = np.nan
    with pytest.raises(FieldError, match="NaN or infinity"):
        moving.step(holes, 0.1)
    with pytest.raises(FieldError, match="on another mesh"):
        moving.step(function(square(4), step), 0.1)
    assert moving.time == 0 and moving.last is None


def test_a_film_has_the_meshes_and_the_fields_of_all_processes(tmp_path_factory):
    from xml.etree import ElementTree

    import h5py

    path = COMM.bcast(f"{tmp_path_factory.mktemp('film')}/film.xdmf" if COMM.rank == 0 else None)
    moving, places = MovingMesh(square(10)), []
    moving.start(front(0.0))
    with moving.record(path) as film:
        for _ in range(2):
            places.append(_mean_of_x(moving.mesh))
            moving.step(function(moving.mesh, front(0.0)), dt=0.1)
        film.add(function(moving.mesh, front(0.0)))
        with pytest.raises(ValueError, match="time of its own"):
            film.add(function(moving.mesh, front(0.0)))
    places.append(_mean_of_x(moving.mesh))
    COMM.barrier()
    root = ElementTree.parse(path).getroot()
    assert [float(t.get("Value")) for t in root.iter("Time")] == pytest.approx([0, 0.1, 0.2])
    with h5py.File(path.replace(".xdmf", ".h5"), "r") as data:
        for k, place in enumerate(places):
            x = np.asarray(data[f"Mesh/mesh_{k}/geometry"])
            assert x.shape == (121, 2)
            assert x[:, 0].mean() == pytest.approx(place, rel=1e-12)
        values = [np.asarray(frame).ravel() for frame in data["Function/field"].values()]
        assert np.sort(values[-1]) == pytest.approx(np.sort(front(0.0)(x.T)), abs=1e-12)
    assert len(values) == 3 and abs(places[-1] - 0.5) > 1e-3


def _mean_of_x(domain) -> float:
    numbers = domain.geometry.index_map()
    return COMM.allreduce(domain.geometry.x[: numbers.size_local, 0].sum()) / numbers.size_global


def test_files_are_read_moved_and_written_together(tmp_path_factory):
    import meshio

    folder = COMM.bcast(str(tmp_path_factory.mktemp("files")) if COMM.rank == 0 else None)
    path, out = f"{folder}/big.xdmf", f"{folder}/moved.xdmf"
    if COMM.rank == 0:
        x = np.linspace(0, 1, 13)
        points = np.stack(np.meshgrid(x, x), axis=-1).reshape(-1, 2)
        first = (np.arange(12)[:, None] * 13 + np.arange(12)).ravel()
        cells = np.concatenate(
            [np.stack([first, first + 1, first + 14], 1), np.stack([first, first + 14, first + 13], 1)]
        )
        half = (points[cells].mean(axis=1)[:, 1] > 0.5).astype(np.int32)
        data = {"u": step(points.T), "place": points}
        meshio.Mesh(points, [("triangle", cells)], point_data=data, cell_data={"material": [half]}).write(path)
    COMM.barrier()
    from pathlib import Path

    from meshmove.plugins.dolfinx.files import read_file, write_file

    stored = read_file(COMM, Path(path))
    u = stored.field("u")
    x = stored.mesh.geometry.x.T
    assert np.allclose(u.x.array, function(stored.mesh, step).x.array)
    assert np.abs(x).max() <= 1
    domain = stored.regions("auto")
    result = adapt(domain, u)
    write_file(Path(out), result.mesh, [result.transfer(stored.field("place"))])
    COMM.barrier()
    again = read_file(COMM, Path(out))
    place = again.field("place").x.array.reshape(-1, 3)
    where = function(again.mesh, lambda x: x, components=3).x.array.reshape(-1, 3)
    assert np.allclose(place, where, atol=1e-9)
    with pytest.raises(FieldError, match="'u', 'place'"):
        stored.field("w")


def test_the_command_line_knows_how_many_processes_there_are():
    """The environment of mpiexec is that of its processes: a command within one is one of a single process."""
    from meshmove.cli.parallel import processes

    assert processes() == COMM.size
    code = "from meshmove.cli.parallel import processes; print(processes())"
    assert json.loads(subprocess.check_output([sys.executable, "-c", code])) == COMM.size
