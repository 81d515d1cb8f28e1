"""Solving and moving in turns, and meshes that move through time."""

import numpy as np
import pytest
import skfem

import meshmove
from meshmove import Monitor, MovingMesh, Outcome, Report, adapt, adapt_loop
from tests.shapes import box, front

FAST = Monitor("gradient", intensity=4)


def solve(mesh):
    return front(mesh.p)


def test_the_loop_solves_on_every_mesh_and_moves_relative_to_the_first():
    mesh, seen, told = skfem.MeshTri().refined(3), [], []

    def watched(m):
        seen.append(m)
        return solve(m)

    out, history = adapt_loop(mesh, watched, steps=3, monitor=FAST, progress=lambda k, r: told.append((k, r)))
    assert seen[0] is mesh and len(seen) == 3
    assert len(history) == 3 and all(isinstance(r, Report) for r in history)
    assert told == list(zip((1, 2, 3), history, strict=True))
    assert history[-1] == out.report
    assert np.array_equal(out.mesh.t, mesh.t)
    expected = adapt(seen[2], solve(seen[2]), monitor=FAST, reference=mesh)
    np.testing.assert_array_equal(out.mesh.p, expected.mesh.p)


def test_one_step_is_one_adaptation():
    mesh = skfem.MeshTri().refined(3)
    result = adapt_loop(mesh, solve, steps=1, monitor=FAST)
    np.testing.assert_array_equal(result.mesh.p, adapt(mesh, solve(mesh), monitor=FAST).mesh.p)
    assert result.report == result.adaptation.report == result.history[0]


def test_rounds_do_not_drift():
    mesh = skfem.MeshTri().refined(3)
    few, many = (adapt_loop(mesh, solve, steps=k, monitor=FAST).mesh.p for k in (4, 8))
    np.testing.assert_allclose(few, many, atol=0.3 / 8)


def test_rounds_end_where_one_changes_nothing():
    seen = []
    loop = adapt_loop(skfem.MeshTri().refined(3), lambda m: seen.append(m) or 2 * m.p[0] - m.p[1], steps=5)
    assert len(loop.history) == len(seen) == 1 and not loop.adaptation.displacement.any()


def test_a_mesh_goes_back_where_its_solution_says_that_the_one_before_was_better():
    mesh = skfem.MeshTri().refined(4)
    fields = iter([front, lambda x: (x**2).sum(axis=0)])
    loop = adapt_loop(mesh, lambda m: next(fields)(m.p), steps=2)
    there, back = loop.history
    assert there.max_displacement > 0.02 and back.max_displacement == pytest.approx(there.max_displacement)
    assert back.predicted_error_after < back.predicted_error_before / 2
    np.testing.assert_allclose(loop.mesh.p, mesh.p, atol=1e-15)


def worse_on_moved_meshes(mesh, seen):
    """A field whose values are the rougher the longer cells are, as those of derivatives of a solution are."""
    first = seen[0] if seen else mesh
    seen.append(mesh)
    rough = np.sign(np.sin(1e4 * np.arange(mesh.nvertices)))
    return front(mesh.p) + 5 * rough * np.sqrt(((mesh.p - first.p) ** 2).sum(axis=0))


def test_a_mesh_goes_back_where_its_solution_shows_more_error_and_moves_gently_then():
    mesh, seen = skfem.MeshTri().refined(4), []
    loop = adapt_loop(mesh, lambda m: worse_on_moved_meshes(m, seen), steps=9)
    there, back, gently = loop.history  # and no fourth
    assert back.outcomes.count(Outcome.UNCONFIRMED) == 1 and Outcome.UNCONFIRMED not in there.outcomes
    assert back.predicted_error_before > 1.2 * there.predicted_error_before
    assert back.predicted_error_after == pytest.approx(there.predicted_error_before)
    np.testing.assert_allclose(seen[2].p, mesh.p, atol=1e-15)
    assert 0 < gently.iterations < there.iterations
    assert not gently.outcomes


def test_of_several_fields_the_errors_count_alike_whatever_their_size():
    mesh, seen = skfem.MeshTri().refined(4), []

    def two(m):
        return np.stack([worse_on_moved_meshes(m, seen), 1e-6 * front(m.p[::-1])], axis=1)

    back = adapt_loop(mesh, two, steps=2)
    assert Outcome.UNCONFIRMED in back.report.outcomes
    np.testing.assert_allclose(back.mesh.p, mesh.p, atol=1e-15)


def test_rounds_share_what_depends_on_the_reference(monkeypatch):
    from meshmove.movers import align

    made = []
    of = align.Strains
    monkeypatch.setattr(align, "Strains", lambda *args: made.append(args) or of(*args))
    mesh = skfem.MeshTri().refined(3)
    loop = adapt_loop(mesh, solve, steps=3)
    assert len(loop.history) > 1 and len(made) == 1


def test_the_loop_lowers_the_error_of_the_interpolant():
    mesh = skfem.MeshTri().refined(4)

    def error(m):
        basis = skfem.Basis(m, skfem.ElementTriP1(), intorder=4)
        gap = basis.interpolate(front(m.p)) - front(np.asarray(basis.global_coordinates()))
        return np.sqrt((gap**2 * basis.dx).sum())

    assert error(adapt_loop(mesh, solve, steps=2).mesh) < 0.6 * error(mesh)


def test_the_loop_takes_paths_and_every_form_of_field(tmp_path):
    import meshio

    cells = box("triangle", 6)
    mesh = meshio.Mesh(cells.points, [("triangle", cells.blocks[0].nodes)], point_data={"u": front(cells.points.T)})
    path = tmp_path / "mesh.vtu"
    meshmove.save(mesh, path)
    by_name = adapt_loop(path, lambda m: "u", steps=2, monitor=FAST)
    assert isinstance(by_name.mesh, meshio.Mesh)
    by_function = adapt_loop(mesh, lambda m: front, steps=2, monitor=FAST)
    assert by_function.report.inverted_cells == by_name.report.inverted_cells == 0


@pytest.mark.parametrize("steps", [0, -1])
def test_a_loop_without_steps_is_refused(steps):
    with pytest.raises(ValueError, match=rf"at least one step \(got {steps}\)"):
        adapt_loop(skfem.MeshTri(), solve, steps=steps)


def test_a_solve_that_forgets_its_return_is_told_so():
    mesh = skfem.MeshTri().refined(2)
    with pytest.raises(ValueError, match="solve.mesh. to return a field .got None.: is its `return` missing"):
        adapt_loop(mesh, lambda mesh: None)
    assert adapt_loop(mesh, lambda mesh: None, steps=1, monitor=lambda x: 1 + x[0]).report.inverted_cells == 0


def test_errors_of_the_solver_pass_through():
    def fails(mesh):
        raise ZeroDivisionError("no solution")

    with pytest.raises(ZeroDivisionError, match="no solution"):
        adapt_loop(skfem.MeshTri(), fails)


# -- moving meshes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", [skfem.MeshTri, skfem.MeshQuad])
def test_velocity_times_the_step_is_the_displacement(cls):
    moving = MovingMesh(cls().refined(3), monitor=FAST)
    reference, total = moving.mesh, 0.0
    for k in range(3):
        before = moving.mesh.p.copy()
        u = np.tanh(15 * (moving.mesh.p[0] - 0.3 - 0.1 * k))
        step = moving.step(u, dt=0.25)
        mesh, velocity = step.mesh, step.velocity
        total += 0.25
        np.testing.assert_allclose(velocity * 0.25, (mesh.p - before).T, atol=1e-15)
        assert mesh is moving.mesh and np.array_equal(mesh.t, reference.t)
        assert moving.last.report.inverted_cells == 0
        assert moving.last is step and np.array_equal(step.carried, step.fields["field"])
        assert velocity.any() == (k > 0)  # how fast a field changes shows with its second value
    assert moving.time == pytest.approx(total) and moving.reference is reference
    assert repr(moving).startswith("<MovingMesh of a MeshTri1 at time 0.75" if cls is skfem.MeshTri else "<MovingMesh")


def test_a_field_that_goes_leaves_the_mesh_where_it_began():
    mesh = skfem.MeshTri().refined(3)
    moving = MovingMesh(mesh, monitor=FAST)
    moving.step(front(mesh.p), dt=1.0)
    back = moving.step(np.zeros(mesh.nvertices), dt=1.0).mesh
    np.testing.assert_allclose(back.p, mesh.p, atol=1e-15)


def test_conservative_steps_keep_the_integral():
    mesh = skfem.MeshTri().refined(4)
    moving = MovingMesh(mesh, monitor=FAST, transfer="conservative")
    u = np.exp(-50 * ((mesh.p - 0.4) ** 2).sum(axis=0))

    def integral(m, values):
        return skfem.Basis(m, skfem.ElementTriP1()).interpolate(values).__array__().ravel() @ (
            skfem.Basis(m, skfem.ElementTriP1()).dx.ravel()
        )

    start = integral(mesh, u)
    for _ in range(3):
        step = moving.step(u, dt=0.1)
        u = step.carried
        assert integral(step.mesh, u) == pytest.approx(start, rel=1e-12)


@pytest.mark.parametrize("dt", [0.0, -1.0, np.nan, np.inf])
def test_a_time_step_must_be_positive(dt):
    moving = MovingMesh(skfem.MeshTri().refined(1))
    with pytest.raises(ValueError, match="positive time step"):
        moving.step(np.zeros(9), dt)
