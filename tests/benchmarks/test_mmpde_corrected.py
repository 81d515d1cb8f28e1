"""The benchmark of corrected solvers: its meshes cover the square, its measure is right, its rows come out."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.mmpde import ablations, corrected, families, movement, own_solver, second_branch, shifted, wake
from meshmove.geometry.quality import simplex_volumes, vertex_volumes
from meshmove.solvers import MMPDE, TrajectoryDataset
from meshmove.solvers.generators.burgers import burgers_mesh, burgers_trajectories, random_field
from meshmove.solvers.mmpde import Settings
from meshmove.solvers.mmpde.training import reproduction


@pytest.mark.parametrize(
    "mesh",
    [families.diagonals(12, 0), families.mirrored(12), families.jiggled(12, 0.25, 0), families.delaunay(12, 0)],
    ids=["diagonals", "mirrored", "jiggled", "delaunay"],
)
def test_meshes_cover_the_square_once(mesh):
    area = simplex_volumes(mesh.points, mesh.blocks[0].nodes)
    assert np.abs(area).sum() == pytest.approx(1, rel=1e-12) and np.abs(area).min() > 0.02 / 12**2
    assert len(np.unique(mesh.blocks[0].nodes)) == mesh.n_points
    assert 0.8 * 169 < mesh.n_points < 1.3 * 169


def test_cases_are_twelve_and_the_farther_ones_are_not_among_them():
    assert len(shifted.SHIFTED) == 12 and not set(shifted.SHIFTED) & set(shifted.BEYOND)
    low, high = families.VISCOSITY
    assert any(not low <= v <= high for case in shifted.BEYOND for v in case.viscosity)


def test_the_error_is_relative_by_the_lumped_mass():
    mesh = families.jiggled(8, 0.2, 0)
    truth = np.sin(mesh.points[:, 0])
    assert shifted.error(mesh, 1.1 * truth, truth) == pytest.approx(0.1)
    off = np.zeros_like(truth)
    off[40] = 1
    weight = vertex_volumes(mesh)
    assert shifted.error(mesh, truth + off, truth) == pytest.approx(np.sqrt(weight[40] / (weight @ truth**2)))


def test_bumps_have_height_one_and_rest_on_walls():
    u = shifted.bump(33, np.random.default_rng(0))
    assert np.abs(u).max() == 1 and max(np.abs(u[[0, -1]]).max(), np.abs(u[:, [0, -1]]).max()) < 1e-12


def test_symmetries_are_those_of_the_start_too():
    """The four positions of the square, each of which leaves the equation as it is, are a group."""
    mesh, group = burgers_mesh(4), families.SYMMETRIES
    maps = [np.array(s.matrix) for s in group]
    for a in maps:
        for b in maps:
            assert any(np.array_equal(a @ b, c) for c in maps)
    for s in group:
        assert np.array_equal(
            np.sort((mesh.points @ np.array(s.matrix).T + s.shift).ravel()), np.sort(mesh.points.ravel())
        )
        assert s.factors.get("u", 1) == np.sign(np.array(s.matrix).sum())  # what moves to the right moves to the right


def test_splines_through_the_truth_are_nearer_than_few_of_its_values():
    fine = random_field(97, np.random.default_rng(0))
    off = [corrected.off_as_field(fine[::k, ::k], fine) for k in (1, 4, 8)]
    assert off[0] < 1e-12 < off[1] < off[2]


def test_its_quick_rows(tmp_path):
    rows = corrected.run(True, tmp_path)
    assert [r["name"].split(":")[0] for r in rows[:3]] == ["in distribution", "viscosity 0.001", "viscosity 0.02"]
    assert all(0 < r["corrected"] and 0 < r["base"] < 0.2 and np.isfinite(r["measured"]) for r in rows[:3])
    assert rows[-1]["measured"] == max(r["measured"] for r in rows[1:3]) and len(list(tmp_path.glob("*.npz"))) == 3


def test_both_stages_of_training_hold_the_same_trajectories_out(tmp_path, monkeypatch):
    """Weights of the first have learned from all others, so these alone can tell whether the second is better."""
    asked, model = [], object()

    def learned(config, folder, *, data, validation, **_):
        asked.append((data, validation))
        return iter(())

    fine = burgers_trajectories(10, cells=8, stride=1, frames=2)
    monkeypatch.setattr(corrected, "families", lambda folder: TrajectoryDataset((fine,)))
    monkeypatch.setattr(corrected, "fit", learned)
    monkeypatch.setattr(corrected.MMPDE, "from_pretrained", lambda *_, **__: model)
    corrected.train(tmp_path, tmp_path, corrected.FIRST, corrected.SECOND)
    (first, held_out), again = asked
    assert len(held_out) == 1 and len(first) == 9 and again == (first, held_out)


def test_a_model_of_two_branches_is_judged_as_a_function_on_its_moved_mesh(tmp_path):
    case = replace(shifted.USUAL, count=1, frames=5)
    rows = second_branch.run(MMPDE.from_pretrained("burgers"), tmp_path, (case,), cells=48)
    one, two, *ratios = rows
    assert all(0 < e["field"] < 0.2 and 0 < e["nodes"] < 0.2 for e in (one, two))
    assert [r["measured"] for r in ratios] == [two[k] / one[k] for k in ("field", "nodes")]


def test_a_solver_of_the_users_is_trained_on_and_set_beside(monkeypatch):
    monkeypatch.setattr(own_solver, "FRAMES", 5)
    monkeypatch.setattr(own_solver, "COARSE", 12)
    rows = own_solver.run(True, 4)
    assert [r["name"] for r in rows][1:] == [
        "advection: solver, 12 x 12, 1 a frame",
        "advection: corrected / solver on the same mesh",
    ]
    ours, alone, ratio = (r["measured"] for r in rows)
    assert 0 < alone < 0.5 and 0 < ours < 2 * alone and ratio == ours / alone


def test_the_wake_is_learned_and_set_beside_its_solver(tmp_path):
    small = Settings(bundle=2, width=8, layers=2)
    config = replace(wake.CONFIG, settings=small, steps=2, unroll=1, validate_every=2, validation=2)
    file = wake.train(tmp_path / "model", tmp_path, config, quick=True)
    rows = wake.run(True, tmp_path, str(file))
    assert [r["name"].split(":")[0] for r in rows] == ["in distribution", "12 frames"]
    assert all(0 < r["alone"] < 0.5 and r["measured"] == r["corrected"] / r["alone"] for r in rows)
    # fields of the solver are quadratic on its cells
    case = wake._case(tmp_path, True)
    elements, x = wake._elements(case), case.test.finer.points
    quadratic = lambda x: np.stack([x[:, 0] ** 2 - x[:, 1], x[:, 0] * x[:, 1]], axis=1)  # noqa: E731
    beside = np.hypot(*x.T) > 0.51  # polygons that stand for the cylinder differ
    off = elements.on_fine(quadratic(elements.step.mesh.points)) - quadratic(x)
    assert beside.mean() > 0.9 and np.abs(off[beside]).max() < 1e-10


def test_the_users_solver_is_of_second_order():
    mesh = burgers_mesh(24)
    start = own_solver._start(np.random.default_rng(0), mesh.points)
    ends = [own_solver._frames(mesh, start, 0.01, steps)[-1] for steps in (1, 2, 4)]
    off = [np.linalg.norm(a - b) for a, b in zip(ends, ends[1:], strict=False)]
    assert 3 < off[0] / off[1] < 5


def test_ways_to_move_nodes_are_set_beside_following(monkeypatch, tmp_path):
    some = {name: movement.WAYS[name] for name in ("followed", "the mover anew")}
    monkeypatch.setattr(movement, "WAYS", some)
    rows = movement.run(True, tmp_path)
    assert [r["name"] for r in rows[2:4]] == ["the mover anew: truth at the moved nodes", "the mover anew: rollout"]
    # of a single bundle, which starts from rest, both are the mover's own
    assert rows[2]["measured"] == rows[0]["measured"] and rows[5]["measured"] == 1


def test_what_carries_fields_is_tried_on_the_model_of_the_package(tmp_path, monkeypatch):
    monkeypatch.setattr(reproduction, "STEPS", 2)
    bench = ablations.Few(tmp_path, quick=True, minutes=1e-5, seeds=1)
    rows = ablations.run(bench, ["cut"])
    assert [r["name"] for r in rows[:2]] == ["burgers: two branches", "burgers: two branches, residual cut"]
    assert rows[2]["measured"] == rows[1]["field, one bundle"] / rows[0]["field, one bundle"]
    kept = sorted(p.name for p in (tmp_path / "scores").iterdir())
    assert kept == ["burgers-cut-0.json", "burgers-mmpde-0.json"]
    again = ablations.run(ablations.Few(tmp_path, quick=True, minutes=1e-5, seeds=1), ["cut"])
    assert [r["measured"] for r in again] == [r["measured"] for r in rows]
