"""Laws of meshes that follow a field through time."""

import copy
import pickle
from dataclasses import replace

import meshio
import numpy as np
import pytest
import skfem

import meshmove
from meshmove import FieldError, MovingMesh, Outcome

SPEED = 0.8


def grid(n=16):
    return skfem.MeshTri.init_tensor(*[np.linspace(0, 1, n + 1)] * 2)


def front(t):
    """A front that crosses the square in the direction (1, 0.5), at a normal speed of SPEED."""
    return lambda x: np.tanh(12 * ((x[0] + 0.5 * x[1]) / np.sqrt(1.25) - 0.3 - SPEED * t))


def bump(t):
    return lambda x: np.exp(-80 * ((x[0] - 0.4 - 0.2 * t) ** 2 + (x[1] - 0.5) ** 2))


def followed(dt, end=0.24, field=front, mesh=None, **options):
    """A mesh at the end of a time loop, with its steps."""
    moving = MovingMesh(grid() if mesh is None else mesh, **options)
    moving.start(field(0))
    steps = [moving.step(field(k * dt), dt) for k in range(round(end / dt))]
    return moving, steps


def interpolation_error(mesh, u):
    basis = skfem.Basis(mesh, skfem.ElementTriP1(), intorder=6)
    values = basis.interpolate(u(mesh.p))
    return float(np.sqrt(skfem.Functional(lambda w: (w["u"] - u(w.x)) ** 2).assemble(basis, u=values)))


def test_it_follows_a_front_all_the_way():
    moving, steps = followed(0.02)
    assert interpolation_error(moving.mesh, front(0.24)) < 0.5 * interpolation_error(grid(), front(0.24))
    assert all(s.report.inverted_cells == 0 and s.report.share == 1 for s in steps)
    assert steps[-1].report.feature_speed == pytest.approx(SPEED, rel=0.1)


def test_speeds_stay_near_those_of_the_features_and_converge():
    fastest, last = [], []
    for dt in (0.02, 0.005, 0.00125):
        moving, steps = followed(dt, end=0.12)
        fastest.append(max(s.report.largest_speed for s in steps) / SPEED)
        last.append(moving.mesh.p)
    assert max(fastest) < 2
    first, second = (np.sqrt(((last[k] - last[2]) ** 2).mean()) for k in range(2))
    assert second < 0.55 * first


def test_nothing_moves_when_nothing_changes():
    moving = MovingMesh(grid())
    moving.start(front(0.1))
    before = moving.mesh.p.copy()
    for _ in range(4):
        step = moving.step(front(0.1)(moving.mesh.p), 0.05)
        moving.step(front(0.1), 0.05)
        assert not step.velocity.any() and np.array_equal(moving.mesh.p, before)


def test_a_field_that_comes_to_a_stand_brings_the_mesh_to_one():
    moving, steps = followed(0.02)
    for _ in range(60):
        step = moving.step(front(0.24)(moving.mesh.p), 0.08)
    assert step.report.largest_speed < 1e-4 * steps[-1].report.largest_speed
    assert interpolation_error(moving.mesh, front(0.24)) < 0.5 * interpolation_error(grid(), front(0.24))


def test_a_start_puts_nodes_where_they_stay():
    moving = MovingMesh(grid())
    started = moving.start(bump(0))
    assert started.mesh is moving.mesh and not started.velocity.any() and moving.time == 0
    assert interpolation_error(moving.mesh, bump(0)) < 0.4 * interpolation_error(grid(), bump(0))
    np.testing.assert_array_equal(started.carried, bump(0)(moving.mesh.p))
    late = MovingMesh(grid())
    for k in range(8):
        late.step(bump(0.02 * k), 0.02)
    assert interpolation_error(late.mesh, bump(0.16)) < 0.8 * interpolation_error(grid(), bump(0.16))


def test_carried_values_are_the_field_material_ones_its_nodes():
    moving, _ = followed(0.02, end=0.1)
    u = np.cos(2 * moving.mesh.p[0])
    step = moving.step(u, 0.02)
    assert step.velocity.any()
    np.testing.assert_array_equal(step.material, u)
    assert np.abs(step.carried - np.cos(2 * step.mesh.p[0])).max() < 0.02 < np.abs(u - np.cos(2 * step.mesh.p[0])).max()
    step.material[:] = 0
    np.testing.assert_array_equal(step.material, u)
    np.testing.assert_allclose(step.middle.p, (step.old.p + step.mesh.p) / 2, atol=1e-16)
    assert step.reference is moving.reference and step.old is not step.mesh is moving.mesh
    assert "speed of the field's features" in str(step.report) and "Step of a MeshTri1" in repr(step)


def test_a_step_still_unpacks_to_three():
    moving, _ = followed(0.02, end=0.1)
    step = moving.step(front(0.1), 0.02)
    with pytest.warns(DeprecationWarning, match="either step.carried, or step.material"):
        mesh, velocity, fields = step
    assert mesh is step.mesh and velocity is step.velocity and np.array_equal(fields["field"], step.carried)


def test_lists_and_dicts_of_unknowns_come_back_as_such():
    mesh = grid(8)
    moving = MovingMesh(mesh)
    elements = [skfem.ElementTriP2(), skfem.ElementTriDG(skfem.ElementTriP1()), skfem.ElementTriP1()]

    def unknowns(t):
        out = []
        for element in elements:
            basis = skfem.Basis(moving.mesh, element)
            out.append((basis, basis.project(front(t))))
        vector = skfem.Basis(moving.mesh, skfem.ElementVector(skfem.ElementTriP2()))
        return [*out, (vector, vector.project(lambda x: np.stack([front(t)(x), 0 * x[0]])))]

    for k in range(3):
        step = moving.step(unknowns(0.02 * k), 0.02)
    assert step.velocity.any()
    for (_, dofs), there, kept in zip(unknowns(0.04), step.carried, step.material, strict=True):
        assert there.shape == kept.shape == dofs.shape
    again = moving.step(dict(zip("abcd", unknowns(0.06), strict=True)), 0.02)
    assert list(again.carried) == list(again.material) == list("abcd")


@pytest.mark.parametrize(
    ("element", "transfer", "kept"),
    [
        (skfem.ElementTriP1(), "swept", True),
        (skfem.ElementTriDG(skfem.ElementTriP1()), "swept", True),
        (skfem.ElementTriDG(skfem.ElementTriP1()), "conservative", False),
        (skfem.ElementTriP2(), "swept", False),
        (skfem.ElementTriP2(), "interpolate", False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, skfem.Element) else str(value),
)
def test_a_step_says_where_carried_dofs_do_not_keep_their_integral(element, transfer, kept):
    mass, moving = skfem.Functional(lambda w: w.u), MovingMesh(grid(8), transfer=transfer)
    for k in range(3):
        basis = skfem.Basis(moving.mesh, element)
        dofs = basis.project(front(0.02 * k))
        step = moving.step([front(0.02 * k), (basis, dofs)], 0.02)
    new = skfem.Basis(step.mesh, element)
    change = mass.assemble(new, u=new.interpolate(step.carried[1])) - mass.assemble(basis, u=basis.interpolate(dofs))
    assert step.velocity.any() and (abs(change) < 1e-12) == kept
    assert (Outcome.INTEGRAL_NOT_KEPT in step.report.outcomes) == (not kept and transfer != "interpolate")


@pytest.mark.parametrize(
    "mesh",
    [
        skfem.MeshQuad().refined(3),
        skfem.MeshTet().refined(2),
        skfem.MeshHex().refined(2),
        skfem.MeshTri2.from_mesh(grid(8)),
        meshio.Mesh(grid(8).p.T.copy(), [("triangle", grid(8).t.T)]),
    ],
    ids=lambda m: type(m).__name__,
)
def test_every_kind_of_mesh(mesh):
    moving = MovingMesh(mesh)
    moving.start(front(0))
    for k in range(4):
        step = moving.step(front(0.03 * k), 0.03)
    assert step.velocity.any() and step.report.min_volume_ratio > 0
    assert step.report.largest_speed < 6 * SPEED


def test_a_monitor_of_the_users_has_no_time_of_its_own():
    at = [0.3]
    moving = MovingMesh(grid(), monitor=lambda x: 1 + 10 * np.exp(-100 * (x[0] - at[0]) ** 2))
    moving.step(dt=0.1)
    before = moving.mesh.p.copy()
    at[0] = 0.4
    assert moving.step(dt=0.1).velocity.any() and not np.array_equal(before, moving.mesh.p)


def test_copies_go_on_to_the_bit():
    moving = MovingMesh(grid())
    for k in range(4):
        moving.step(front(0.02 * k)(moving.mesh.p), 0.02)
    one, other = copy.deepcopy(moving), pickle.loads(pickle.dumps(moving))
    for k in range(3):
        u = front(0.1 + 0.02 * k)(moving.mesh.p)
        moved = [m.step(u, 0.02).mesh.p for m in (moving, one, other)]
        assert moved[0].tobytes() == moved[1].tobytes() == moved[2].tobytes()


# -- bad input ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"montior": "hessian"}, "did you mean 'monitor'"),
        ({"tau": -1.0}, "positive time constant"),
        ({"mover": "fast"}, "'monge-ampere'"),
        ({"transfer": "exact"}, "'conservative'"),
        ({"boundary": {"wall": "slide"}}, "wall"),
        ({"fixed": [10**6]}, "node ids"),
    ],
)
def test_wrong_options_fail_at_construction(options, message):
    with pytest.raises((ValueError, meshmove.MeshmoveError), match=message):
        MovingMesh(grid(4), **options)


def test_a_field_that_becomes_nan_leaves_the_state_as_it_was():
    moving, _ = followed(0.02, end=0.1)
    good = copy.deepcopy(moving)
    u = front(0.1)(moving.mesh.p)
    u[3] = np.nan
    with pytest.raises(FieldError, match=r"At time 0\.1: .*NaN.*3"):
        moving.step(u, 0.02)
    assert moving.step(front(0.1), 0.02).mesh.p.tobytes() == good.step(front(0.1), 0.02).mesh.p.tobytes()


def test_fields_on_another_mesh_are_refused():
    moving = MovingMesh(grid(8))
    with pytest.raises(FieldError, match="81"):
        moving.step(np.zeros(10), 0.1)
    basis = skfem.Basis(grid(4), skfem.ElementTriP2())
    with pytest.raises(FieldError, match="another mesh"):
        moving.step((basis, basis.zeros()), 0.1)
    with pytest.raises(ValueError, match="got neither"):
        moving.step(None, 0.1)


def test_a_step_that_would_invert_cells_goes_less_far_and_says_so():
    moving, _ = followed(0.02, end=0.1)
    follower, state = moving._follower, moving._state
    wanted = state.points[::-1].copy()
    reached, share = follower._reached(state.points, state.points, wanted)
    assert share < 1 and follower._problem.valid(reached)


def test_a_step_that_would_invert_cells_is_taken_in_parts_and_says_so(monkeypatch):
    moving = MovingMesh(grid(8), tau=1e-9)
    moving.start(front(0))
    moving.step(front(0), 0.02)
    state, follower = moving._state, moving._follower
    goal = state.points.copy()
    goal[moving.mesh.interior_nodes()] += 0.004
    folded = replace(state.place, target=state.points[::-1].copy())
    places = [folded, replace(state.place, target=goal)]
    monkeypatch.setattr(follower, "_placed", lambda *given, **options: places.pop(0))
    step = moving.step(front(0), 0.02)
    assert step.report.outcomes == (Outcome.SUBSTEPPED,) and step.report.share == 1
    np.testing.assert_allclose(moving._state.points, goal, atol=1e-12)
    monkeypatch.setattr(follower, "_placed", lambda *given, **options: folded)
    step = moving.step(front(0), 0.02)
    assert step.report.outcomes == (Outcome.STEP_CUT,) and step.report.share < 1 and step.report.inverted_cells == 0


def test_a_monitor_of_space_brings_the_mesh_back_to_where_it_was():
    """In 200 steps there and back, and 40 to rest."""
    at = [0.3]
    moving = MovingMesh(grid(8), monitor=lambda x: 1 + 10 * np.exp(-100 * ((x[0] - at[0]) ** 2 + (x[1] - 0.5) ** 2)))
    moving.start()
    for _ in range(40):
        moving.step(dt=0.01)
    before = moving.mesh.p
    for k in range(240):
        at[0] = 0.3 + 0.4 * max(0, 1 - abs(1 - (k + 1) / 100))
        moving.step(dt=0.01)
        if k == 99:
            assert np.abs(moving.mesh.p - before).max() > 0.05
    assert np.abs(moving.mesh.p - before).max() < 1e-6
