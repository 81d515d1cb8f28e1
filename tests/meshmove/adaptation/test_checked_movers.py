"""What a mover gives back is checked before anybody believes it; a name and its object are the same mover."""

from typing import get_type_hints

import numpy as np
import pytest
import skfem

import meshmove
from meshmove import MongeAmpere, MoverError, Neural, Smooth
from meshmove.adaptation.movers_by_name import MOVERS, NAMES, mover_of
from meshmove.geometry import inverted_cells
from meshmove.movers import Move
from tests.shapes import bump, front

MESH = skfem.MeshTri().refined(3)
STEEP = meshmove.Monitor("gradient", intensity=4)


class Given:
    """A mover that makes whatever the test wants of the problem."""

    name = "given"

    def __init__(self, make):
        self.make = make

    def __call__(self, problem):
        return self.make(problem)


def moved(make, mesh=MESH, **options):
    return meshmove.adapt(mesh, monitor=bump, mover=Given(make), **options)


def good(problem):
    return MongeAmpere()(problem).points


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda p: p.start, r"mover 'given' to return a Move \(got ndarray\)"),
        (lambda p: None, "to return a Move"),
        (lambda p: Move(p.start.T, 1), r"of shape \(81, 2\).*got float64 of shape \(2, 81\)"),
        (lambda p: Move(p.start.tolist(), 1), r"array of real numbers .*got list"),
        (lambda p: Move(p.start + 0j, 1), "got complex128"),
        (lambda p: Move(np.where(np.arange(81)[:, None] == 7, np.nan, p.start), 1), "at 1 vertices: 7"),
        (lambda p: Move(p.start * 1e300, 1), "beyond 1e.100 at 80 vertices"),
        (lambda p: Move(np.multiply(p.mesh.points, 2, out=p.mesh.points), 1), "to leave problem.mesh as it is"),
        (lambda p: Move(p.start, 1.5), "count its iterations"),
        (lambda p: Move(p.start, True), "count its iterations"),
        (lambda p: Move(p.start, 1, warnings="careful"), "warnings of the mover 'given'"),
        (lambda p: Move(p.start, 1, step_cut="none"), "step_cut of the mover"),
    ],
)
def test_what_is_no_move_is_refused_by_name(make, message):
    with pytest.raises(MoverError, match=message):
        moved(make)


@pytest.mark.parametrize("mesh", [MESH, skfem.MeshTet().refined(2), skfem.MeshQuad().refined(3)])
@pytest.mark.parametrize("way", ["out", "in", "shuffled", "inverted"])
def test_positions_outside_or_inverted_are_brought_back(mesh, way):
    def make(problem):
        rng = np.random.default_rng(1)
        x = {
            "out": problem.start + 0.3,
            "in": 0.9 * good(problem),
            "shuffled": rng.permutation(problem.start),
            "inverted": -problem.start,
        }[way]
        return Move(x, 1)

    out = moved(make, mesh)
    low, high = mesh.p.min(axis=1), mesh.p.max(axis=1)
    on = (mesh.p == low[:, None]) | (mesh.p == high[:, None])
    assert np.array_equal(out.mesh.p[on], mesh.p[on])  # every node on its own side, so none is outside
    assert not len(inverted_cells(out.cells, out.moved.points))
    assert out.report.imbalance_after <= out.report.imbalance_before
    assert any("'given'" in w for w in out.report.warnings)


def test_fixed_nodes_are_brought_back_and_the_rest_of_the_move_is_kept():
    fixed = np.flatnonzero(np.abs(MESH.p - 0.5).max(axis=0) < 0.2)
    out = moved(lambda p: Move(good_without(p, fixed), 1), fixed=fixed)
    assert not out.displacement[fixed].any() and out.report.max_displacement > 1e-3
    assert any("fixed" in w for w in out.report.warnings)


def good_without(problem, fixed):
    points = good(problem)
    points[fixed] += 1e-3
    return points


@pytest.mark.parametrize(
    "options, what",
    [({"monitor": bump}, "imbalance"), ({"field": front(MESH.p), "monitor": STEEP}, "predicted error")],
)
def test_a_mesh_that_is_worse_is_not_taken(options, what):
    def away(problem):
        return Move(problem.slide.retract(2 * problem.start - good(problem)), 3)

    out = meshmove.adapt(MESH, mover=Given(away), **options)
    assert not out.displacement.any()
    assert any(f"raised the {what}" in w and "'given'" in w for w in out.report.warnings)


def test_a_mover_that_says_it_has_judged_is_not_believed_either():
    def away(problem):
        return Move(problem.slide.retract(2 * problem.start - good(problem)), 3, judged=True)

    out = moved(away)
    assert not out.displacement.any() and out.report.imbalance_after == out.report.imbalance_before


def test_a_good_move_is_believed_to_the_bit():
    out, expected = moved(lambda p: Move(good(p), 5)), meshmove.adapt(MESH, monitor=bump, mover=MongeAmpere())
    np.testing.assert_array_equal(out.mesh.p, expected.mesh.p)
    assert not out.report.warnings and out.report.iterations == 5


def test_a_mover_may_write_to_the_start_that_it_is_given():
    def greedy(problem):
        problem.start[:] = 7.0
        return Move(problem.start, 1)

    out = moved(greedy)
    np.testing.assert_allclose(out.mesh.p, MESH.p, atol=1e-15)


@pytest.mark.parametrize("name", MOVERS)
def test_a_name_and_its_object_are_the_same_mover(name):
    own = {"dmm": Neural, "monge-ampere": MongeAmpere, "smooth": Smooth}[name]()
    assert mover_of(name) == own and mover_of(name).name == own.name == name
    u = front(MESH.p)
    for options in ({"field": u}, {"monitor": bump}):
        a, b = (meshmove.adapt(MESH, mover=m, **options) for m in (name, own))
        assert a.mesh.p.tobytes() == b.mesh.p.tobytes() and a.report.mover == b.report.mover


def test_movers_of_the_same_name_do_the_same():
    u = front(MESH.p)
    for options in ({"field": u}, {"monitor": bump}):
        found = [meshmove.adapt(MESH, mover=m, **options) for m in ("auto", "monge-ampere")]
        same = np.array_equal(found[0].mesh.p, found[1].mesh.p)
        assert same == (found[0].report.mover == found[1].report.mover)


def test_the_command_line_lists_the_table():
    from meshmove.cli.commands import adapt

    assert set(NAMES) == {"auto", *MOVERS}
    hint = get_type_hints(adapt, include_extras=True)["mover"]
    assert all(name in hint.__metadata__[0].help for name in NAMES)


@pytest.mark.parametrize("made", [MongeAmpere, Smooth, Neural])
def test_classes_are_no_movers(made):
    with pytest.raises(ValueError, match=f"the class {made.__name__}, not one of its objects"):
        meshmove.adapt(MESH, front, mover=made)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: MongeAmpere(distortion=-1), "distortion of at least 0"),
        (lambda: MongeAmpere(distortion=np.nan), "distortion of at least 0"),
        (lambda: MongeAmpere(steps=2.5), r"steps \(got 2.5\); a whole number"),
        (lambda: Smooth(passes=0), "passes"),
        (lambda: Neural(polish=-1), "polish"),
        (lambda: Neural(distortion="a"), "distortion"),
        (lambda: Neural(model=MongeAmpere()), r"a DMM or None as the model \(got MongeAmpere\)"),
    ],
)
def test_parameters_of_movers_are_checked(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_rounding_of_single_precision_is_put_right_without_a_word():
    out = moved(lambda p: Move(good(p).astype(np.float32), 1))
    sides = np.isin(MESH.p, (0, 1))
    assert not out.report.warnings and np.array_equal(out.mesh.p[sides], MESH.p[sides])
    assert np.allclose(out.mesh.p, moved(lambda p: Move(good(p), 1)).mesh.p, atol=1e-6)


def test_what_had_to_be_put_right_is_told_in_every_step_of_a_moving_mesh():
    moving = meshmove.MovingMesh(MESH, mover=Given(lambda p: Move(p.start + 0.3, 1)), tau=0.1)
    reports = [moving.start(front(MESH.p)).report]
    reports += [moving.step(front(moving.mesh.p), 0.1).report for _ in range(2)]
    for report in reports:
        assert any("'given' left" in w and "brought back" in w for w in report.warnings)
    assert moving.mesh.p.min() >= 0 and moving.mesh.p.max() <= 1
