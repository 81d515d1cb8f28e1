"""Laws of boundaries that move as they are told: their nodes go there, the others make room, nothing inverts."""

import copy
import pickle

import numpy as np
import pytest
import skfem

from meshmove import FieldError, MovingMesh, Outcome
from meshmove.geometry import corner_volumes
from meshmove.motion.following.follower import Follower
from meshmove.plugins.skfem.ale import conservative, convective


def cylinder(n=12, kind=skfem.MeshTri):
    """The unit square or cube with a piston at x = 0."""
    axes = [np.linspace(0, 1, n + 1)] * (3 if kind in (skfem.MeshTet, skfem.MeshHex) else 2)
    return kind.init_tensor(*axes).with_boundaries({"piston": lambda x: x[0] == 0, "top": lambda x: x[1] == 1})


def pushed(depth, at=1.0):
    """A piston that is at `depth` at the time `at`."""
    return {"piston": lambda x, t: np.concatenate([x[:1] + depth * t / at, x[1:]])}


def plate():
    """A rotor in a disk: rings of triangles about an ellipse."""
    r, a = np.meshgrid(np.linspace(0, 1, 9), 2 * np.pi * np.arange(40) / 40, indexing="ij")
    x = (0.4 + r * 1.6) * np.cos(a)
    y = (0.1 + r * 1.9) * np.sin(a)
    n = np.arange(9 * 40).reshape(9, 40)
    i, j, k, l = n[:-1], np.roll(n, -1, 1)[:-1], n[1:], np.roll(n, -1, 1)[1:]
    cells = np.concatenate([np.stack(c, axis=2).reshape(-1, 3) for c in ((i, k, j), (j, k, l))])
    mesh = skfem.MeshTri(np.stack([x.ravel(), y.ravel()]), cells.T.copy())
    return mesh.with_boundaries({"rotor": lambda x: x[0] ** 2 + x[1] ** 2 < 1})


def turned(angle):
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s], [s, c]])


def front(x):
    return np.tanh(15 * (x[0] - 0.7))


def interpolation_error(mesh):
    basis = skfem.Basis(mesh, skfem.ElementTriP1(), intorder=6)
    values = basis.interpolate(front(mesh.p))
    return float(np.sqrt(skfem.Functional(lambda w: (w["u"] - front(w.x)) ** 2).assemble(basis, u=values)))


def signs(mesh, first):
    volumes = [corner_volumes(MovingMesh(m)._source.cells) for m in (mesh, first)]
    return volumes[0] / volumes[1]


@pytest.mark.parametrize("kind", [skfem.MeshTri, skfem.MeshQuad, skfem.MeshTet, skfem.MeshHex])
def test_a_piston_alone_compresses_the_mesh_evenly(kind):
    first = cylinder(6 if kind in (skfem.MeshTri, skfem.MeshQuad) else 3, kind)
    moving = MovingMesh(first)
    for _ in range(5):
        step = moving.step(None, 0.2, boundary_motion=pushed(0.6))
    assert step.report.boundary_share == 1 and not step.report.warnings
    np.testing.assert_allclose(step.mesh.p[0], 0.6 + 0.4 * first.p[0], atol=1e-7)
    np.testing.assert_allclose(step.mesh.p[1:], first.p[1:], atol=1e-7)
    for _ in range(5):  # and outwards, beyond where the walls ended at first
        step = moving.step(None, 0.2, boundary_motion={"piston": lambda x, t: x - np.eye(len(x))[:, :1] * (t - 1)})
    np.testing.assert_allclose(step.mesh.p[0], -1 + 2 * first.p[0], atol=1e-7)


def test_nodes_go_where_they_are_told_while_others_follow_a_field():
    first = cylinder(16)
    moving = MovingMesh(first)
    moving.start(front)
    ids, wall = np.flatnonzero(first.p[0] == 0), np.flatnonzero(first.p[1] == 1)
    for _ in range(4):
        step = moving.step(front, 0.1, boundary_motion=pushed(0.25, 0.4))
        np.testing.assert_allclose(step.mesh.p[1, ids], first.p[1, ids], atol=1e-15)
        assert np.abs(step.mesh.p[0, ids] - 0.25 * step.time / 0.4).max() < 1e-14
        assert np.array_equal(step.mesh.p[1, wall], first.p[1, wall])
        assert signs(step.middle, first).min() > 0 and step.report.inverted_cells == 0
    even = first.translated(np.stack([0.25 - 0.25 * first.p[0], 0 * first.p[0]]))
    assert interpolation_error(step.mesh) < 0.5 * interpolation_error(even)
    after = moving.step(front, 0.1)
    assert np.abs(after.mesh.p[0, ids] - 0.25).max() < 1e-14  # and the piston stays where it was put


def test_a_rotor_turns_and_its_mesh_comes_back():
    first = plate()
    moving = MovingMesh(first)
    ids = np.unique(first.facets[:, first.boundaries["rotor"]])
    worst = []
    for k in range(1, 13):
        angle = 0.6 * np.sin(np.pi * k / 6)
        step = moving.step(None, 0.1, boundary_motion={"rotor": lambda x, _, a=angle: turned(a) @ x})
        np.testing.assert_allclose(step.mesh.p[:, ids], turned(angle) @ first.p[:, ids], atol=1e-14)
        worst.append(signs(step.mesh, first).min())
    assert min(worst) > 0.2 and np.abs(step.mesh.p - first.p).max() < 1e-12


def test_where_a_boundary_moves_nodes_are_not_looked_for_where_they_were_found_before(monkeypatch):
    """Across a thin body that is the wrong side, from which a node outside would be drawn to it."""
    asked, placed = [], Follower._placed

    def watched(self, values, points, place, *more, **options):
        asked.append(None if place is None else place.cells)
        return placed(self, values, points, place, *more, **options)

    monkeypatch.setattr(Follower, "_placed", watched)
    moving, motion = MovingMesh(plate()), {"rotor": lambda x, t: turned(t) @ x}
    moving.step(front, 0.1, boundary_motion=motion)
    for _ in range(2):
        moving.step(front, 0.1, boundary_motion=motion)
        assert asked[-1] is None
    moving.step(front, 0.1)
    assert asked[-1] is not None


def test_a_motion_too_large_for_one_go_is_taken_in_parts_and_says_so():
    moving = MovingMesh(plate())
    step = moving.step(None, 0.1, boundary_motion={"rotor": lambda x, _: turned(1.2) @ x})
    assert step.report.boundary_share == 1 and step.report.outcomes == (Outcome.SUBSTEPPED,)
    assert signs(step.mesh, plate()).min() > 0 and signs(step.middle, plate()).min() > 0


def test_a_motion_out_of_the_domain_goes_as_far_as_it_can_and_says_so():
    first = cylinder(6)
    moving = MovingMesh(first)
    step = moving.step(None, 1.0, boundary_motion=pushed(1.25))
    reached = step.mesh.p[0].min()
    assert 0.98 < reached < 1 and signs(step.mesh, first).min() > 0
    assert step.report.outcomes == (Outcome.BOUNDARY_HELD_BACK,)
    assert step.report.boundary_share == pytest.approx(reached / 1.25)
    assert "share of the boundary's way" in str(step.report)
    back = moving.step(None, 1.0, boundary_motion=pushed(0.25, 2))
    assert back.report.boundary_share == 1 and back.mesh.p[0].min() == pytest.approx(0.25)


@pytest.mark.parametrize("kind", [skfem.MeshTri, skfem.MeshTet])
def test_a_constant_is_kept_by_one_form_and_the_mass_by_the_other_while_the_domain_changes(kind):
    moving = MovingMesh(cylinder(8 if kind is skfem.MeshTri else 3, kind))
    element = skfem.ElementTriP1() if kind is skfem.MeshTri else skfem.ElementTetP1()
    u = np.cos(3 * moving.mesh.p[1]) + 2

    def mass(values):
        basis = skfem.Basis(moving.mesh, element)
        return float((basis.interpolate(values) * basis.dx).sum())

    before = mass(u)
    for k in range(10):
        motion = {"piston": lambda x, t: np.concatenate([x[:1] + 0.4 * np.sin(3 * t), x[1:]])}
        step = moving.step(u if k % 2 else None, 0.05, boundary_motion=motion)
        assert np.abs(convective(step, element).solve(np.ones_like(u)) - 1).max() < 1e-12
        u = conservative(step, element).solve(u)
    assert abs(mass(u) / before - 1) < 1e-12 < np.ptp(u)


def test_all_of_the_boundary_and_second_order_meshes():
    first = skfem.MeshTri2.from_mesh(skfem.MeshTri().refined(2))
    moving = MovingMesh(first)
    step = moving.step(None, 0.1, boundary_motion=lambda x, t: turned(0.3) @ x + 1)
    np.testing.assert_allclose(step.mesh.doflocs, turned(0.3) @ first.doflocs + 1, atol=1e-6)


def test_positions_may_be_given_as_an_array():
    first = cylinder(4)
    ids = np.flatnonzero(first.p[0] == 0)
    there = first.p[:, ids] + [[0.1], [0.0]]
    step = MovingMesh(first).step(None, 0.1, boundary_motion={"piston": there})
    np.testing.assert_allclose(step.mesh.p[:, ids], there, atol=1e-15)


def test_copies_go_on_to_the_bit():
    moving = MovingMesh(cylinder(8))
    moving.start(front)
    for _ in range(3):
        moving.step(front, 0.1, boundary_motion=pushed(0.4))
    other, third = pickle.loads(pickle.dumps(moving)), copy.deepcopy(moving)
    for k in range(3):
        options = {"boundary_motion": pushed(0.4)} if k else {}
        moved = [m.step(front(m.mesh.p), 0.1, **options).mesh.p.tobytes() for m in (moving, other, third)]
        assert len(set(moved)) == 1


# -- bad input ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("motion", "error", "message"),
    [
        ({"pistol": lambda x, t: x}, ValueError, r"got 'pistol'; it has: 'piston', 'top'"),
        ({}, ValueError, "a function f"),
        (3, ValueError, r"got int"),
        ({"piston": lambda x, t: x[:, :1]}, ValueError, r"positions \(2, 5\) of the 5 vertices of boundary 'piston'"),
        ({"piston": lambda x, t: np.nan * x}, FieldError, "At time 0.2.*finite positions .*5 vertices"),
        ({"piston": lambda x: x}, FieldError, "the motion of boundary 'piston'"),
        ({"piston": lambda x, t: x, "top": lambda x, t: x + 1}, ValueError, r"two places for vertices .*by boundary"),
    ],
)
def test_bad_motions_leave_everything_as_it_was(motion, error, message):
    moving = MovingMesh(cylinder(4))
    moving.step(front, 0.1)
    good = copy.deepcopy(moving)
    with pytest.raises(error, match=message):
        moving.step(front, 0.1, boundary_motion=motion)
    with pytest.raises(FieldError, match="NaN"):
        moving.step(np.full(25, np.nan), 0.1, boundary_motion=pushed(0.1))
    for m in (moving, good):
        m.step(lambda x: front(x + 0.1), 0.1)
    assert moving.mesh.p.tobytes() == good.mesh.p.tobytes() and moving.time == good.time
