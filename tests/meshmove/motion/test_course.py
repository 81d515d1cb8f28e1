"""Laws of places that are found now and then, and in a straight line between: errors are those of one in every step."""

import numpy as np
import pytest
import skfem

from meshmove import MovingMesh, Outcome
from meshmove.motion.following import course, follower
from meshmove.movers import Move

DT = 0.01


def spot(x, at, height=1.0, sharp=80):
    return height * np.exp(-sharp * ((x[0] - at[0]) ** 2 + (x[1] - at[1]) ** 2))


def straight(t):
    return lambda x: spot(x, (0.3 + t, 0.5))


def back(t):
    """Turns round at t = 0.155, at the same speed."""
    return straight(min(t, 0.31 - t))


def corner(t):
    return lambda x: spot(x, (0.3 + min(t, 0.155), 0.5 + max(t - 0.155, 0)))


def from_nothing(t):
    """A second spot, half as high, is there from t = 0.105 on."""
    return lambda x: straight(t)(x) + (t > 0.105) * spot(x, (0.7, 0.2), 0.5, 150)


def growing(t):
    """A second spot comes up little by little."""
    return lambda x: straight(t)(x) + max(0.0, t - 0.1) * spot(x, (0.7, 0.2), 5.0, 150)


#: of steps
COUNT = 24


def loop(field, count=COUNT, **options):
    """In every step: how many steps of descent it took, the L2 error of interpolation at its end, and it."""
    moving = MovingMesh(skfem.MeshTri.init_tensor(*[np.linspace(0, 1, 19)] * 2), **options)
    moving.start(field(0))
    taken, errors, steps = [], [], []
    for k in range(count):
        steps.append(moving.step(field(k * DT)(moving.mesh.p), DT))
        taken.append(steps[-1].report.transport_steps)
        basis, u = skfem.Basis(moving.mesh, skfem.ElementTriP1(), intorder=4), field((k + 1) * DT)
        off = skfem.Functional(lambda w, u=u: (w["u"] - u(w.x)) ** 2)
        errors.append(float(np.sqrt(off.assemble(basis, u=basis.interpolate(u(moving.mesh.p))))))
    return np.array(taken), np.array(errors), steps


def test_a_place_is_found_now_and_then_while_a_field_changes_steadily():
    taken, _, steps = loop(straight)
    assert (taken[4:] == 0).mean() >= 0.6
    away = np.flatnonzero(taken)
    assert np.diff(away).max() <= course.EVERY
    assert all(s.report.inverted_cells == 0 and s.report.share == 1 for s in steps)


@pytest.mark.parametrize("field", [straight, back, corner, from_nothing, growing])
def test_errors_are_those_of_a_place_in_every_step(field, monkeypatch):
    _, now_and_then, _ = loop(field)
    monkeypatch.setattr(course, "EVERY", 0)
    taken, always, _ = loop(field)
    assert (taken > 0).all()
    ratio = now_and_then / always
    assert ratio.max() < 1.5 and ratio.mean() < 1.1 and ratio[-1] < 1.1


@pytest.mark.parametrize(("field", "turn"), [(back, 16), (corner, 16), (from_nothing, 11)])
def test_a_field_that_changes_in_another_way_has_its_place_found_at_once(field, turn):
    taken, _, _ = loop(field)
    assert (taken[turn : turn + 3] > 0).all()


def test_the_velocity_has_no_jumps_where_a_place_is_found():
    taken, _, steps = loop(straight)
    jumps = np.array([np.abs(b.velocity - a.velocity).max() for a, b in zip(steps[8:], steps[9:], strict=False)])
    fastest = max(s.report.largest_speed for s in steps[8:])
    assert fastest < 2.5 and jumps.max() < 0.25 * fastest


def test_a_place_is_sooner_found_from_where_the_meshes_come_to_by_themselves(monkeypatch):
    taken, errors, _ = loop(straight)
    monkeypatch.setattr(course, "LITTLE", 0.0)
    longer, others, _ = loop(straight)
    assert taken.sum() < 0.9 * longer.sum()
    assert (errors / others).max() < 1.2


def test_nodes_lag_less_behind_what_goes_steadily(monkeypatch):
    _, errors, _ = loop(straight)
    monkeypatch.setattr(follower, "LEAD", 0.0)
    _, without, _ = loop(straight)
    assert errors[8:].mean() < 0.97 * without[8:].mean()


def test_a_field_that_comes_to_a_stand_has_its_place_found_in_every_step():
    taken, _, _ = loop(lambda t: straight(min(t, 0.1)))
    assert (taken[12:] > 0).all()


def test_movers_and_monitors_of_the_users_go_all_the_way_in_every_step():
    at = [0.3]
    moving = MovingMesh(skfem.MeshTri().refined(3), monitor=lambda x: 1 + 10 * np.exp(-50 * (x[0] - at[0]) ** 2))
    moving.start()
    for _ in range(8):
        at[0] += DT
        assert moving.step(dt=DT).report.transport_steps > 0
    assert (loop(straight, 6, mover="smooth")[0] > 0).all()


class Twist:
    """A mover that turns the middle of the unit square by half a turn: cells fold on the way there."""

    name = "twist"

    def __init__(self):
        self.calls = 0

    def __call__(self, problem):
        self.calls += 1
        x, y = problem.mesh.points.T
        turn = np.pi * np.clip(np.log(0.48 / np.maximum(np.hypot(x, y), 0.08)) / np.log(6), 0, 1)
        points = np.stack([np.cos(turn) * x - np.sin(turn) * y, np.sin(turn) * x + np.cos(turn) * y], axis=1)
        return Move(points, 1, judged=True)


def test_a_mover_that_goes_all_the_way_is_asked_once_a_step():
    """Where cells would be inverted nodes go a share of the way; asked before each part, it gave the same again."""
    mover, mesh = Twist(), skfem.MeshTri.init_tensor(*[np.linspace(0, 1, 41)] * 2)
    moving = MovingMesh(mesh, monitor=lambda x: 1 + x[0], mover=mover)
    for k in range(3):
        report = moving.step(dt=0.1).report
        assert mover.calls == k + 1 and report.share < 1 and not report.inverted_cells
        assert report.outcomes == (Outcome.STEP_CUT,)
