"""A mesh in pieces is moved for quadratic elements as the mesh in one piece, on any partition."""

import numpy as np
import pytest
import skfem

from meshmove import FieldError, adapt
from meshmove.distributed import RanksError, adapt_distributed
from meshmove.distributed.cutting import pieces_of
from meshmove.geometry import inverted_cells
from tests.meshmove.distributed.test_adapt_distributed import scattered
from tests.meshmove.distributed.threads import on_ranks, whole
from tests.shapes import box


def front(x):
    return np.tanh(8 * (np.hypot(x[0] - 0.3, x[1] - 0.2) - 0.4)) + (0.3 * x[2] if len(x) == 3 else 0)


def in_the_middles(piece):
    kind = piece.local().blocks[0].kind
    return front(np.moveaxis(piece.points[piece.cells[:, kind.edges]].mean(axis=2), -1, 0))


def moved(mesh, size, seed=0):
    pieces = pieces_of(mesh, scattered(mesh, size, seed))
    run = lambda r, p: adapt_distributed(p, r, front(p.points.T), middles=in_the_middles(p))  # noqa: E731
    outs = on_ranks(size, run, pieces)
    failed = [out for out in outs if isinstance(out, Exception)]
    if failed:
        raise failed[0]
    return outs[0].report, whole(outs, pieces)


@pytest.mark.parametrize(("kind", "n"), [("triangle", 10), ("tetra", 4)])
def test_the_move_is_that_of_one_piece_on_any_partition(kind, n):
    mesh = box(kind, n)
    own = (skfem.MeshTri if kind == "triangle" else skfem.MeshTet)(mesh.points.T, mesh.blocks[0].nodes.T)
    basis = skfem.Basis(own, skfem.ElementTriP2() if kind == "triangle" else skfem.ElementTetP2())
    there = adapt(own, (basis, front(basis.doflocs))).report
    (one, _), (several, points) = moved(mesh, 1), moved(mesh, 3, 1)
    assert not len(inverted_cells(mesh, points))
    assert one.predicted_for == several.predicted_for == there.predicted_for == "quadratic elements"
    assert several.predicted_error_before == pytest.approx(one.predicted_error_before, rel=1e-8)
    gains = [r.predicted_error_before / r.predicted_error_after for r in (one, there)]
    assert gains[0] > 1.25 and gains[0] == pytest.approx(gains[1], rel=0.05)
    assert several.predicted_error_after == pytest.approx(one.predicted_error_after, rel=0.01)
    assert several.imbalance_after == pytest.approx(one.imbalance_after, rel=0.01)


@pytest.mark.parametrize(("kind", "n"), [("triangle", 6), ("tetra", 3)])
def test_a_process_without_cells_takes_part(kind, n):
    mesh = box(kind, n)
    pieces = pieces_of(mesh, 2 * scattered(mesh, 2))
    assert [len(p.cells) > 0 for p in pieces] == [True, False, True]
    run = lambda r, p: adapt_distributed(p, r, front(p.points.T), middles=in_the_middles(p), effort=0.3)  # noqa: E731
    outs = on_ranks(3, run, pieces)
    reports = [out.report for out in outs]
    assert reports[0].predicted_error_after == reports[1].predicted_error_after < reports[0].predicted_error_before


def test_a_quadratic_field_moves_nothing():
    mesh = box("triangle", 5)
    pieces = pieces_of(mesh, scattered(mesh, 2))
    square = lambda x: x[0] ** 2 - 3 * x[0] * x[1]  # noqa: E731

    def run(ranks, piece):
        ends = piece.points[piece.cells[:, piece.local().blocks[0].kind.edges]]
        middles = square(np.moveaxis(ends.mean(axis=2), -1, 0))
        return adapt_distributed(piece, ranks, square(piece.points.T), middles=middles)

    for out in on_ranks(2, run, pieces):
        assert not out.displacement.any()
        assert "quadratic up to rounding" in " ".join(out.report.warnings)


def test_middles_that_do_not_fit_are_an_error_on_all():
    mesh = box("triangle", 4)
    pieces = pieces_of(mesh, scattered(mesh, 2))

    def run(ranks, piece):
        at, middles = front(piece.points.T), in_the_middles(piece)
        with pytest.raises(FieldError, match="Expected values .* at the middles"):
            adapt_distributed(piece, ranks, at, middles=middles[ranks.rank :])
        with pytest.raises(FieldError, match="NaN or infinity"):
            adapt_distributed(piece, ranks, at, middles=np.where(ranks.rank, np.nan, middles))
        with pytest.raises(RanksError, match="degree of the field"):
            adapt_distributed(piece, ranks, at, middles=None if ranks.rank else middles)

    assert on_ranks(2, run, pieces) == [None, None]
