"""A mesh in pieces is moved as the mesh in one piece, for any number of processes and any partition."""

import numpy as np
import pytest

from meshmove import FieldError, InvalidMeshError, Monitor, MonitorError, adapt
from meshmove.distributed import Alone, Condensed, DistributedMesh, RanksError, Schwarz, adapt_distributed
from meshmove.distributed.cutting import bisected, pieces_of
from meshmove.distributed.laplacian import condensed
from meshmove.distributed.layout import Layout
from meshmove.distributed.unit import SharedMesh
from meshmove.geometry import CellMesh, Slide, facets_of, inverted_cells
from meshmove.movers.descent.strains import Strains
from meshmove.movers.laplacian import stiffness
from meshmove.movers.objectives.equidistribution import Functional
from tests.meshmove.distributed.factors import Factors
from tests.meshmove.distributed.threads import on_ranks, whole
from tests.shapes import box


def layer(x):
    return np.tanh(15 * (np.hypot(x[0] - 0.3, x[1] - 0.2) - 0.4))


def scattered(mesh, parts, seed=0):
    """Parts that are ragged, as those of a graph partitioner."""
    centre = mesh.points[mesh.blocks[0].nodes].mean(axis=1)
    bumps = 0.08 * np.sin(9 * centre[:, ::-1] + seed)
    return bisected(centre + bumps, parts)


def moved(mesh, size, function=adapt_distributed, field=layer, seed=0, **options):
    """What comes of it on all processes, and the positions of the whole mesh."""
    pieces = pieces_of(mesh, scattered(mesh, size, seed))
    outs = on_ranks(size, lambda r, p: function(p, r, None if field is None else field(p.points.T), **options), pieces)
    failed = [out for out in outs if isinstance(out, Exception)]
    if failed:
        raise failed[0]
    return outs, whole(outs, pieces)


@pytest.fixture(scope="module")
def square():
    return box("triangle", 24)


@pytest.fixture(scope="module")
def of_one(square):
    return moved(square, 1)[0][0].report


@pytest.mark.parametrize(("size", "seed"), [(2, 0), (3, 1), (4, 0), (8, 2)])
def test_the_result_does_not_depend_on_the_partition(square, of_one, size, seed):
    outs, points = moved(square, size, seed=seed)
    assert not len(inverted_cells(square, points))
    assert all(out.report.predicted_error_after == outs[0].report.predicted_error_after for out in outs)
    report = outs[0].report
    assert report.predicted_error_before == pytest.approx(of_one.predicted_error_before, rel=1e-9)
    assert report.predicted_error_after == pytest.approx(of_one.predicted_error_after, rel=0.01)
    assert report.imbalance_after == pytest.approx(of_one.imbalance_after, rel=0.01)
    assert report.iterations <= 1.15 * of_one.iterations
    assert report.predicted_error_after < 0.4 * report.predicted_error_before
    assert report.warnings == of_one.warnings


def test_pieces_by_themselves_precondition_nearly_as_well(square, of_one):
    """Which is what larger meshes have without PETSc."""
    report = moved(square, 3, inverses=Schwarz)[0][0].report
    assert report.predicted_error_after == pytest.approx(of_one.predicted_error_after, rel=0.05)


def test_where_pieces_share_many_unknowns_they_are_not_condensed(monkeypatch):
    mesh = box("triangle", 6)
    assert not condensed_is_exact(mesh, monkeypatch, 5) and condensed_is_exact(mesh, monkeypatch, 500)


def condensed_is_exact(mesh, monkeypatch, most):
    """Whether a solve is that with the factors of the whole matrix, with nodes that are held and a process without any
    cells."""
    monkeypatch.setattr(condensed, "SHARED", most)
    pieces = pieces_of(mesh, np.where(scattered(mesh, 3) == 2, 3, scattered(mesh, 3)))

    def run(ranks, piece):
        layout = Layout(ranks, piece.global_ids, piece.owners, piece.n_owned)
        matrix, mass = stiffness(piece.local())
        free = piece.points[:, 0] < 0.9
        force, own = np.sin(9 * piece.global_ids), slice(piece.n_owned)
        exact, found = (kind(ranks, layout)(matrix, mass, 2, free)(force) for kind in (Factors, Condensed))
        assert not found[own][~free[own]].any()
        return np.abs(found - exact)[own].max(initial=0) < 1e-9 * np.abs(exact).max(initial=1)

    outs = on_ranks(len(pieces), run, pieces)
    assert not any(isinstance(out, Exception) for out in outs)
    return all(outs)


@pytest.mark.parametrize(("size", "seed"), [(2, 0), (3, 1), (8, 2)])
def test_by_exact_inverses_the_partition_does_not_matter(size, seed):
    """Neither to the predicted error nor to the imbalance; preconditioners of another partition are another matter."""
    mesh = box("triangle", 16)
    peak = lambda x: np.exp(-20 * ((x[0] - 0.37) ** 2 + (x[1] - 0.58) ** 2))  # noqa: E731
    one, several = (moved(mesh, k, field=peak, seed=seed, inverses=Factors)[0][0].report for k in (1, size))
    assert several.iterations == one.iterations
    assert several.predicted_error_after == pytest.approx(one.predicted_error_after, rel=0.005)
    assert several.imbalance_after == pytest.approx(one.imbalance_after, rel=0.01)


def test_nodes_on_an_axis_of_the_field_move_alike_on_all_partitions():
    """Those of the diagonal are on edges of the mesh as it was, up to rounding, on a side that no partition chooses."""
    mesh = box("triangle", 40)
    about = lambda x: np.tanh(20 * (np.hypot(x[0], x[1]) - 0.6))  # noqa: E731
    reports = [
        moved(mesh, size, field=about, seed=seed)[0][0].report for size, seed in ((1, 0), (3, 0), (3, 1), (4, 2))
    ]
    assert {report.iterations for report in reports} == {reports[0].iterations}
    for report in reports[1:]:
        assert report.predicted_error_after == pytest.approx(reports[0].predicted_error_after, rel=0.005)
        assert report.imbalance_after == pytest.approx(reports[0].imbalance_after, rel=0.01)


@pytest.mark.parametrize("inverses", [Condensed, Schwarz, Factors])
def test_on_the_same_partition_the_same_bits_come_of_it(inverses):
    """Whichever process comes first: messages are added up in the order of processes."""
    first, again = (moved(box("triangle", 12), 4, seed=1, inverses=inverses) for _ in range(2))
    assert np.array_equal(first[1], again[1])
    assert np.abs(first[1] - box("triangle", 12).points).max() > 0.02


def test_processes_seldom_wait_for_each_other(square):
    """Two reductions a step of the descent and one a trial of it, all told less than three an evaluation; whether
    values have to be asked for is no reduction of its own. Two exchanges, of forces and of steps."""
    layout = moved(square, 3, seed=1, inverses=Factors)[0][0].layout
    assert layout.reductions < 3 * layout.evaluations
    assert layout.exchanges < 2 * layout.evaluations


@pytest.mark.parametrize("early", [False, True])
def test_what_is_missing_comes_with_the_sum_that_follows(early):
    """Once for all processes, whoever lacks it, and also where there is no sum; then it is evaluated anew."""

    def run(ranks):
        layout, have, seen = Layout(ranks, np.arange(2), np.full(2, ranks.rank), 2), set(), []

        def evaluate():
            layout.lacks(ranks.rank == 1 and "value" not in have, lambda: have.add("value"))
            seen.append(len(have))
            return None if early else float(layout.sum(np.array(1.0 + len(have))))

        return layout.settled(evaluate), seen, layout.reductions, layout.evaluations

    for out in on_ranks(3, run):
        assert out == (None if early else 6.0, [0, 1], 2, 1)


class Accurate:
    """Inverses that solve, where they would only precondition, again and again."""

    def __init__(self, inverses):
        self._inverses = inverses

    def __call__(self, matrix, mass, dim, free=None):
        return self._inverses(matrix, mass, dim, free).solve


class Bump:
    """A monitor that is a function of space."""

    def value(self, x):
        return 1 + 20 * np.exp(-30 * ((x - 0.3) ** 2).sum(axis=0))

    def value_and_gradient(self, x):
        return self.value(x), -60 * (x - 0.3) * (self.value(x) - 1)


def test_the_functional_is_that_of_the_whole_mesh(square):
    """Value and slope at moved nodes, up to rounding, with the mean of the monitor over all pieces."""
    x = square.points + 0.01 * np.sin(7 * square.points[:, ::-1])
    energy, slope = Functional(square, Bump())(x)

    def run(ranks, piece):
        layout = Layout(ranks, piece.global_ids, piece.owners, piece.n_owned)
        here, by = Functional(piece.local(), Bump(), across=layout)(x[piece.global_ids])
        balance = Functional(piece.local(), Bump(), across=layout).balance(x[piece.global_ids])[0]
        return here, layout.update(by), balance

    process = scattered(square, 3)
    pieces = pieces_of(square, process)
    whole_balance = Functional(square, Bump()).balance(x)[0]
    for k, (piece, (here, by, balance)) in enumerate(zip(pieces, on_ranks(3, run, pieces), strict=True)):
        assert here == pytest.approx(energy, rel=1e-12)
        assert by == pytest.approx(slope[piece.global_ids], abs=1e-12)
        assert balance == pytest.approx(whole_balance[process == k], rel=1e-12)


@pytest.mark.parametrize(("inverses", "accurate"), [("Schwarz", 0.03), ("Condensed", 1e-8), ("Factors", 1e-8)])
@pytest.mark.parametrize("kind", ["triangle", "quad"])
def test_the_model_of_strains_is_that_of_the_whole_mesh(kind, inverses, accurate):
    """A solve in pieces is that of the mesh in one piece: what each process adds at shared nodes is added once."""
    made = {"Factors": Factors, "Condensed": Condensed, "Schwarz": lambda *a: Accurate(Schwarz(*a))}[inverses]
    mesh = box(kind, 6)
    shares = 1 + np.arange(mesh.n_cells) % 5
    force = np.sin(9 * mesh.points) + 0.3
    x = mesh.points + 0.01 * np.sin(7 * mesh.points[:, ::-1]) * (mesh.points * (1 - mesh.points))[:, ::-1]

    def step(mesh, slide, x, shares, force, **across):
        return Strains(mesh, slide, **across).inverse(shares / shares.sum(), slide, x)(slide.gather(force))

    facets = facets_of(mesh)
    exact = step(mesh, Slide(mesh, facets), x, shares, force)
    process = scattered(mesh, 3)
    pieces = pieces_of(mesh, process)

    def run(ranks, piece):
        layout = Layout(ranks, piece.global_ids, piece.owners, piece.n_owned)
        stays = np.zeros(len(piece.points), bool)
        unit = SharedMesh(piece, ranks, layout, Schwarz(ranks, layout), "slide", stays)
        here = shares[process == ranks.rank] / shares.sum()
        strains = Strains(piece.local(), unit.slide, layout, made(ranks, layout))
        return strains.inverse(here, unit.slide, x[piece.global_ids])(force[piece.global_ids])

    for piece, found in zip(pieces, on_ranks(3, run, pieces), strict=True):
        assert np.abs(found - exact[piece.global_ids]).max() < accurate * np.abs(exact).max()


def test_the_gain_is_that_of_one_piece(square, of_one):
    import skfem

    alone = adapt(skfem.MeshTri(square.points.T, square.blocks[0].nodes.T), layer(square.points.T)).report
    assert of_one.monitor == alone.monitor
    assert of_one.predicted_error_before == pytest.approx(alone.predicted_error_before, rel=2e-2)
    gains = [r.predicted_error_before / r.predicted_error_after for r in (of_one, alone)]
    assert gains[0] == pytest.approx(gains[1], rel=0.05)


def test_ghosts_are_where_their_owners_have_them_and_the_outline_stays(square):
    pieces = pieces_of(square, scattered(square, 3))
    outs = on_ranks(3, lambda r, p: adapt_distributed(p, r, layer(p.points.T)), pieces)
    points = whole(outs, pieces)
    for out, piece in zip(outs, pieces, strict=True):
        assert np.array_equal(out.points, points[piece.global_ids])
    at_rest = square.points
    for side in ((0, 0.0), (0, 1.0), (1, 0.0), (1, 1.0)):
        on = at_rest[:, side[0]] == side[1]
        assert np.abs(points[on, side[0]] - side[1]).max() < 1e-12
    corners = [k for k, x in enumerate(at_rest) if set(x) <= {0.0, 1.0}]
    assert np.array_equal(points[corners], at_rest[corners])
    assert np.abs(points - at_rest).max() > 0.05


def test_values_are_carried_across_pieces(square):
    pieces = pieces_of(square, scattered(square, 3))

    def run(ranks, piece):
        out = adapt_distributed(piece, ranks, layer(piece.points.T))
        return out.evaluate(piece.points @ [2.0, -3.0] + 1), out.points @ [2.0, -3.0] + 1

    for carried, exact in on_ranks(3, run, pieces):
        assert carried == pytest.approx(exact, abs=1e-12)


def test_tetrahedra():
    mesh = box("tetra", 6)
    field = lambda x: np.tanh(8 * (np.sqrt((x**2).sum(axis=0)) - 0.7))  # noqa: E731
    one, several = (moved(mesh, size, field=field) for size in (1, 3))
    assert not len(inverted_cells(mesh, several[1]))
    errors = [outs[0].report.predicted_error_after for outs, _ in (one, several)]
    assert errors[1] == pytest.approx(errors[0], rel=0.03)
    assert errors[0] < 0.8 * one[0][0].report.predicted_error_before


@pytest.mark.parametrize("parts", [1, 2])
def test_a_round_outline_keeps_its_shape(parts):
    import skfem

    disk = skfem.MeshTri.init_circle(3)
    mesh = CellMesh.single(disk.p.T.copy(), disk.t.T.copy(), "triangle")
    outs, points = moved(mesh, parts, field=lambda x: np.tanh(8 * (x[0] - 0.3 + 0.5 * x[1])))
    rim = np.abs(np.hypot(*mesh.points.T) - 1) < 1e-9
    assert np.abs(np.hypot(*points[rim].T) - 1).max() < 1e-6
    assert not len(inverted_cells(mesh, points))
    alone = adapt(disk, np.tanh(8 * (disk.p[0] - 0.3 + 0.5 * disk.p[1]))).report
    assert outs[0].report.predicted_error_after == pytest.approx(alone.predicted_error_after, rel=0.05)


@pytest.mark.parametrize(("kind", "n"), [("triangle", 16), ("quad", 16), ("hexahedron", 4)])
def test_a_kink_at_an_interface_is_no_curvature(kind, n):
    mesh = box(kind, n)
    right = mesh.points[mesh.blocks[0].nodes].mean(axis=1)[:, 0] > 0.5
    regions = CellMesh(mesh.points, mesh.blocks, regions=right.astype(int))
    kinked = lambda x: np.abs(x[0] - 0.5) + 0.2 * x[1]  # noqa: E731
    outs, points = moved(regions, 3, field=kinked)
    assert np.array_equal(points, mesh.points)
    assert [o.name for o in outs[0].report.outcomes] == ["NOTHING_TO_MEET"]
    _, points = moved(regions, 3, field=lambda x: kinked(x) + layer(x))
    on = mesh.points[:, 0] == 0.5
    assert np.abs(points[on, 0] - 0.5).max() < 1e-12
    assert np.abs(points[on] - mesh.points[on]).max() > 1e-3


def test_quadrilaterals():
    mesh = box("quad", 16)
    one, several = (moved(mesh, size) for size in (1, 3))
    assert not len(inverted_cells(mesh, several[1]))
    errors = [outs[0].report.predicted_error_after for outs, _ in (one, several)]
    assert errors[1] == pytest.approx(errors[0], rel=0.04)
    assert errors[0] < 0.6 * one[0][0].report.predicted_error_before


@pytest.mark.parametrize("options", [{"objective": "equidistribution"}, {"monitor": Monitor(intensity=2.0)}])
def test_equidistribution(square, options):
    one, several = (moved(square, size, **options)[0][0].report for size in (1, 3))
    assert several.predicted_error_after == pytest.approx(one.predicted_error_after, rel=0.03)
    assert several.predicted_error_after < 0.8 * several.predicted_error_before


def test_a_monitor_as_a_function(square):
    steep = lambda x: 1 + 20 * np.exp(-50 * ((x - 0.4) ** 2).sum(axis=0))  # noqa: E731
    one, several = (moved(square, size, field=None, monitor=steep)[0][0].report for size in (1, 3))
    assert several.imbalance_before == pytest.approx(one.imbalance_before, rel=1e-9)
    assert several.imbalance_after < 0.1 * several.imbalance_before
    assert several.imbalance_after == pytest.approx(one.imbalance_after, abs=0.02)


def test_a_linear_field_moves_nothing(square):
    outs, points = moved(square, 3, field=lambda x: 1 + 2 * x[0] - x[1])
    assert np.array_equal(points, square.points)
    assert [o.name for o in outs[0].report.outcomes] == ["NOTHING_TO_MEET"]


def test_a_constant_monitor_moves_nothing(square):
    _, points = moved(square, 2, field=None, monitor=lambda x: 3.0 + 0 * x[0])
    assert np.array_equal(points, square.points)


def test_held_nodes_and_boundaries_stay(square):
    left = np.flatnonzero(square.points[:, 0] == 0)
    edges = np.stack([left[:-1], left[1:]], axis=1)
    named = CellMesh(square.points, square.blocks, facets={"left": edges})
    some = np.zeros(square.n_points, bool)
    some[[60, 200, 333]] = True
    pieces = pieces_of(named, scattered(named, 3))

    def run(ranks, piece):
        here = some[piece.global_ids] & (np.arange(len(piece.points)) >= piece.n_owned)  # told at ghosts, too
        here |= some[piece.global_ids] & (ranks.rank == piece.owners)
        return adapt_distributed(piece, ranks, layer(piece.points.T), boundary={"left": "fixed"}, fixed=here)

    outs = on_ranks(3, run, pieces)
    assert not any(isinstance(out, Exception) for out in outs), outs
    points = whole(outs, pieces)
    for stay in (left, np.flatnonzero(some)):
        assert np.array_equal(points[stay], square.points[stay])
    assert np.abs(points - square.points).max() > 0.05


def test_a_process_without_cells(square):
    pieces = pieces_of(square, scattered(square, 2))
    empty = DistributedMesh(
        np.zeros((0, 2)), np.zeros((0, 3), int), "triangle", 0, np.zeros(0, int), np.zeros(0, int), {}, None
    )
    outs = on_ranks(3, lambda r, p: adapt_distributed(p, r, layer(p.points.T)), [*pieces, empty])
    assert not any(isinstance(out, Exception) for out in outs), outs
    report = outs[2].report
    assert report.predicted_error_after < 0.4 * report.predicted_error_before


def failures(square, function):
    pieces = pieces_of(square, scattered(square, 3))
    return on_ranks(3, function, pieces)


def test_a_bad_field_on_one_process_is_an_error_on_all(square):
    def run(ranks, piece):
        u = layer(piece.points.T)
        u[0] = np.nan if ranks.rank == 1 else u[0]
        return adapt_distributed(piece, ranks, u)

    errors = failures(square, run)
    assert [type(e) for e in errors] == [FieldError] * 3
    assert "on process 1" in str(errors[0])
    assert "NaN" in str(errors[2])


def test_a_monitor_that_fails_on_one_process_is_an_error_on_all(square):
    def run(ranks, piece):
        return adapt_distributed(piece, ranks, monitor=lambda x: np.where(x[0] > 0.9, -1.0, 1 + x[0]))

    errors = failures(square, run)
    assert all(isinstance(e, MonitorError) for e in errors)


def test_other_options_on_one_process_are_an_error_on_all(square):
    def run(ranks, piece):
        return adapt_distributed(piece, ranks, layer(piece.points.T), effort=1.0 + (ranks.rank == 2))

    errors = failures(square, run)
    assert all(isinstance(e, RanksError) for e in errors)
    assert "the same effort on all processes (got 1.0 on process 0, 2.0 on process 2)" in str(errors[0])


def test_arrays_that_do_not_fit_are_an_error_on_all(square):
    def run(ranks, piece):
        ids = piece.global_ids[:-1] if ranks.rank == 0 else piece.global_ids
        bad = DistributedMesh(piece.points, piece.cells, piece.kind, piece.n_owned, ids, piece.owners)
        return adapt_distributed(bad, ranks, layer(piece.points.T))

    errors = failures(square, run)
    assert all(isinstance(e, InvalidMeshError) for e in errors)


def test_one_process_needs_nobody(square):
    (piece,) = pieces_of(square, np.zeros(square.n_cells, int))
    out = adapt_distributed(piece, Alone(), layer(piece.points.T))
    assert out.report.predicted_error_after < 0.4 * out.report.predicted_error_before
