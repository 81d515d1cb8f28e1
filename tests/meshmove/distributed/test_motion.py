"""A mesh in pieces follows a field as the mesh in one piece does, for any number of processes and any partition."""

import numpy as np
import pytest

from meshmove import FieldError, MovingMesh
from meshmove.distributed import DistributedMotion, RanksError
from meshmove.distributed.carrying import swept_across
from meshmove.distributed.cutting import pieces_of
from meshmove.distributed.layout import Layout
from meshmove.distributed.overlap import overlap_of
from meshmove.geometry import CellMesh, inverted_cells
from meshmove.transfer import swept
from meshmove.transfer.repair import repaired
from tests.meshmove.distributed.factors import Factors
from tests.meshmove.distributed.test_adapt_distributed import scattered
from tests.meshmove.distributed.threads import on_ranks, whole
from tests.shapes import box

TIMES = 0.02 * np.arange(5)


def front(t):
    return lambda x: np.tanh(20 * (np.hypot(x[0] - 0.3, x[1] - 0.2) - 0.4 - t))


def course(mesh, size, seed=0, times=TIMES, field=front, **options):
    """The last step on all processes, and the positions of the whole mesh."""
    pieces = pieces_of(mesh, scattered(mesh, size, seed))

    def run(ranks, piece):
        moving = DistributedMotion(piece, ranks, inverses=Factors, **options)
        moving.start(field and field(0.0))
        for t in times:
            step = moving.step(field and field(t)(moving.points.T), 0.02)
        return step

    outs = on_ranks(size, run, pieces)
    failed = [out for out in outs if isinstance(out, Exception)]
    if failed:
        raise failed[0]
    return outs, whole(outs, pieces)


@pytest.fixture(scope="module")
def square():
    return box("triangle", 16)


def interpolation_error(mesh, points, f):
    x = points[mesh.blocks[0].nodes]
    u, middle = f(x.reshape(-1, 2).T).reshape(x.shape[:2]), x.mean(axis=1)
    (a, b) = (x[:, 1] - x[:, 0]).T, (x[:, 2] - x[:, 0]).T
    return float(np.sqrt(((f(middle.T) - u.mean(axis=1)) ** 2 * np.abs(a[0] * b[1] - a[1] * b[0]) / 2).sum()))


def test_the_course_does_not_depend_on_the_number_of_processes(square):
    """The same errors and the same report on 1, 2 and 3 processes, less than half of those of a mesh at rest."""
    goal = front(0.1)
    found = [course(square, size, seed) for size, seed in ((1, 0), (2, 0), (3, 1))]
    errors = [interpolation_error(square, points, goal) for _, points in found]
    assert errors[0] < 0.5 * interpolation_error(square, square.points, goal)
    assert errors[1:] == pytest.approx([errors[0]] * 2, rel=0.01)
    reports = [outs[0].report for outs, _ in found]
    for report, (outs, points) in zip(reports, found, strict=True):
        assert report.feature_speed == pytest.approx(reports[0].feature_speed, rel=0.01)
        assert report.warnings == reports[0].warnings == ()
        assert all(out.report.largest_speed == report.largest_speed for out in outs)
        assert not len(inverted_cells(square, points))


def test_it_is_the_course_of_one_piece(square):
    import skfem

    moving = MovingMesh(skfem.MeshTri(square.points.T.copy(), square.blocks[0].nodes.T.copy()))
    moving.start(front(0.0))
    for t in TIMES:
        alone = moving.step(front(t), dt=0.02)
    outs, points = course(square, 2)
    errors = [interpolation_error(square, x, front(0.1)) for x in (points, alone.mesh.p.T)]
    assert errors[0] == pytest.approx(errors[1], rel=0.04)
    assert outs[0].report.feature_speed == pytest.approx(alone.report.feature_speed, rel=0.02)


def test_a_field_that_stands_still_moves_nothing(square):
    outs, _ = course(square, 2, times=TIMES[:3], field=lambda t: front(0.0))
    assert outs[0].report.max_displacement < 1e-12


def test_values_are_carried_and_velocities_are_those_of_the_nodes(square):
    pieces = pieces_of(square, scattered(square, 3))

    def run(ranks, piece):
        moving = DistributedMotion(piece, ranks, inverses=Factors)
        moving.start(front(0.0))
        for t in TIMES[:2]:
            before = moving.points
            step = moving.step(front(t), 0.02)
        assert step.before is before and step.displacement.any()
        assert np.allclose(step.before + 0.02 * step.velocity, step.points)
        return np.abs(step.evaluate(before @ [2.0, -3.0] + 1) - step.points @ [2.0, -3.0] - 1).max()

    assert on_ranks(3, run, pieces) == pytest.approx([0.0] * 3, abs=1e-12)


def lumped(mesh, points):
    """The integrals (n,) of the shape functions of triangles."""
    nodes = mesh.blocks[0].nodes
    (a, b) = (points[nodes[:, 1:]] - points[nodes[:, :1]]).transpose(1, 2, 0)
    area = np.abs(a[0] * b[1] - a[1] * b[0]) / 2
    return np.bincount(nodes.ravel(), np.repeat(area / 3, 3), mesh.n_points)


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("far", [1.0, 4.0])
def test_what_is_swept_keeps_its_integral_and_its_bounds_as_in_one_piece(square, size, far):
    x = square.points
    by = 0.012 * far * np.sin(2 * np.pi * x) * np.cos(np.pi * x[:, ::-1])
    inside = ((x > 0) & (x < 1)).all(axis=1)
    points = x + np.where(inside[:, None], by, 0)
    u = np.stack([np.where(x[:, 0] > 0.45, 1.0, -2.0), np.full(len(x), 3.0), np.exp(x[:, 1])], axis=1)
    pieces = pieces_of(square, scattered(square, size))

    def run(ranks, piece):
        layout = Layout(ranks, piece.global_ids, piece.owners, piece.n_owned)
        overlap = overlap_of(piece, ranks, layout, piece.points)
        ids = piece.global_ids
        return layout.update(swept_across(overlap, piece.points, points[ids], u[ids]))

    found = np.full(u.shape, np.nan)
    for piece, values in zip(pieces, on_ranks(size, run, pieces), strict=True):
        found[piece.global_ids] = values
    before, after = lumped(square, x) @ u, lumped(square, points) @ found
    assert after == pytest.approx(before, rel=1e-12)
    assert found[:, 1] == pytest.approx(3.0, abs=1e-12)
    assert found[:, 0].min() >= -2 - 1e-12 and found[:, 0].max() <= 1 + 1e-12
    alone = swept(square, square.moved(points), u)
    assert np.abs(found - alone).max() < (1e-9 if far == 1 else 0.5)


def test_a_step_keeps_integrals(square):
    pieces = pieces_of(square, scattered(square, 3))
    u = front(0.0)(square.points.T)

    def run(ranks, piece):
        moving = DistributedMotion(piece, ranks, inverses=Factors)
        step = moving.start(u[piece.global_ids])
        return step.points, step.swept(u[piece.global_ids])

    points, carried = np.empty_like(square.points), np.empty_like(u)
    for piece, (x, v) in zip(pieces, on_ranks(3, run, pieces), strict=True):
        points[piece.global_ids], carried[piece.global_ids] = x, v
    assert np.abs(points - square.points).max() > 0.05
    assert lumped(square, points) @ carried == pytest.approx(lumped(square, square.points) @ u, rel=1e-12)
    assert carried == pytest.approx(front(0.0)(points.T), abs=0.5)


def test_a_kink_at_an_interface_draws_nothing():
    mesh = box("triangle", 12)
    right = mesh.points[mesh.blocks[0].nodes].mean(axis=1)[:, 0] > 0.5
    regions = CellMesh(mesh.points, mesh.blocks, regions=right.astype(int))
    kinked = lambda t: lambda x: np.abs(x[0] - 0.5) * (1 + t) + 0.2 * x[1]  # noqa: E731
    _, points = course(regions, 2, times=TIMES[:3], field=kinked)
    assert np.abs(points - mesh.points).max() < 1e-12


def test_tetrahedra():
    mesh = box("tetra", 5)
    wave = lambda t: lambda x: np.tanh(6 * (x[0] - 0.4 - t))  # noqa: E731
    outs, points = course(mesh, 2, times=TIMES[:2], field=wave)
    assert not len(inverted_cells(mesh, points))
    assert outs[0].report.feature_speed == pytest.approx(1, rel=0.25)
    assert np.abs(points - mesh.points).max() > 0.02


def test_errors_are_raised_on_all_and_leave_the_mesh_as_it_was(square):
    pieces = pieces_of(square, scattered(square, 2))

    def run(ranks, piece):
        moving = DistributedMotion(piece, ranks)
        with pytest.raises(FieldError, match="NaN or infinity"):
            moving.step(np.full(len(piece.points), np.nan if ranks.rank else 1.0), 0.1)
        with pytest.raises(RanksError, match="time step"):
            moving.step(front(0.0), 0.1 * (1 + ranks.rank))
        with pytest.raises(ValueError, match="Expected a field"):
            moving.step(None, 0.1)
        with pytest.raises(RanksError, match="tau"):
            DistributedMotion(piece, ranks, tau=1.0 + ranks.rank)
        return moving.time == 0 and moving.points is moving.mesh.points

    assert on_ranks(2, run, pieces) == [True, True]


def test_what_no_neighbour_has_room_for_stays_in_its_part():
    """As on a mesh in one piece: of two squares that do not touch neither gives to the other."""
    one = box("triangle", 6)
    count = one.n_points
    cells = np.concatenate([one.blocks[0].nodes, one.blocks[0].nodes + count])
    mesh = CellMesh.single(np.concatenate([one.points, one.points + [2.0, 0.0]]), cells, "triangle")
    left = np.arange(mesh.n_points) < count
    values = np.where(left, 2.0, 0.5)[:, None] + 0.1 * np.sin(np.arange(mesh.n_points))[:, None]
    most = np.where(left, 1.0, 9.0)[:, None]

    def edges(cells):
        pairs = np.concatenate([cells[:, [0, 1]], cells[:, [1, 2]], cells[:, [2, 0]]])
        return np.unique(np.sort(pairs, axis=1), axis=0).T

    whole_one = repaired(values, np.ones(mesh.n_points), edges(cells), 0 * most, most)
    assert whole_one[left].sum() == pytest.approx(values[left].sum(), rel=1e-12)
    pieces = pieces_of(mesh, scattered(mesh, 3))

    def run(ranks, piece):
        layout = Layout(ranks, piece.global_ids, piece.owners, piece.n_owned)
        overlap = overlap_of(piece, ranks, layout, piece.points)
        here = overlap.layout.ids
        least, top = 0 * most[here], most[here]
        ends = edges(overlap.mesh.blocks[0].nodes)
        out = repaired(values[here], np.ones(len(here)), ends, least, top, overlap.layout)
        return overlap.layout.own(out), whole_one[here[: piece.n_owned]]

    for found, exact in on_ranks(3, run, pieces):
        assert found == pytest.approx(exact, rel=1e-9)
