"""The benchmark of meshes in time: its problems solve what they say, and its parts give rows, in small."""

import json
import sys

import numpy as np
import pytest

from benchmarks.time import loops as whole
from benchmarks.time import run as bench
from benchmarks.time.more_problems import EVERY
from benchmarks.time.problems import PROBLEMS, Fixed, error, followed, rezoned

#: where solutions have second derivatives
SMOOTH = [p for p in EVERY if p.name != "cone in a turn"]


@pytest.mark.parametrize("problem", SMOOTH, ids=lambda p: p.name)
def test_exact_solutions_solve_their_equations(problem):
    """u_t + c . grad u - kappa lap u = f by central differences."""
    x = np.random.default_rng(0).uniform(0.1, 0.9, (2, 50))
    t, h = 0.5 * (problem.start + problem.end), 1e-4

    def u(dx, dy, dt):
        return problem.exact(x + np.array([[dx], [dy]]), t + dt)

    slope = np.stack([u(h, 0, 0) - u(-h, 0, 0), u(0, h, 0) - u(0, -h, 0)]) / (2 * h)
    bent = (u(h, 0, 0) + u(-h, 0, 0) + u(0, h, 0) + u(0, -h, 0) - 4 * u(0, 0, 0)) / h**2
    speed = problem.speed(x, u(0, 0, 0))
    carried = 0.0 if speed is None else (speed * slope).sum(axis=0)
    left = (u(0, 0, h) - u(0, 0, -h)) / (2 * h) + carried - problem.diffusion * bent
    np.testing.assert_allclose(left, problem.source(x, t), atol=2e-4 * np.abs(slope).max() + 1e-6)


def test_a_mesh_at_rest_converges_and_one_that_moves_gains():
    problem = PROBLEMS[2]
    rest = []
    for n in (8, 16):
        fixed = Fixed(problem, n, 16)
        rest.append(error(problem, fixed.mesh, fixed.run(), problem.end))
    assert rest[1] < 0.6 * rest[0]
    mesh, u, fastest = followed(problem, 16, 16)
    assert error(problem, mesh, u, problem.end) < 0.8 * rest[1] and fastest < 4 * problem.pace
    mesh, u = rezoned(problem, 16, 16, "swept", True)
    assert error(problem, mesh, u, problem.end) < 0.8 * rest[1]


def test_a_front_is_not_lost_on_a_finer_mesh():
    """Of 2,601 nodes, which it passes twice as fast as those of 625: 5e-4 to 9e-4, 7e-3 at rest, 0.05 if it is lost."""
    mesh, values, _ = followed(PROBLEMS[0], 50, 48)
    assert error(PROBLEMS[0], mesh, values, PROBLEMS[0].end) < 4e-3


def test_rows_of_a_quick_run(monkeypatch, capsys, tmp_path):
    """All parts on coarser meshes and fewer steps: the rows are there, whatever their figures."""
    monkeypatch.setattr(bench, "N", 6)
    monkeypatch.setattr(bench, "COUNT", 3)
    monkeypatch.setattr(bench, "SIZES", (6,))
    monkeypatch.setattr(bench, "FINE", (8,))
    monkeypatch.setattr(bench, "STEPS", (4, 4))
    monkeypatch.setattr(sys, "argv", ["time", "--quick", "--json", str(tmp_path / "rows.json")])
    bench.main(bench.run)
    out = capsys.readouterr().out
    words = (
        "L2 error",
        "carried, swept, started",
        "mass over 3 steps",
        "a constant over 3",
        "there and back",
        "assembly",
    )
    for word in words:
        assert word in out
    assert out.count("node speed / feature's") == 5 and (tmp_path / "rows.json").is_file()


def test_a_loop_is_held_against_the_best_at_rest_that_takes_no_longer():
    rest = [whole.Loop(0.3, 1.0, "few"), whole.Loop(0.2, 2.0, "some"), whole.Loop(0.05, 8.0, "many")]
    ahead = whole.compared(PROBLEMS[2], whole.Loop(0.1, 4.0, "own"), rest)
    assert ahead["met"] and (ahead["target"], ahead["at_rest"], ahead["factor"]) == (0.2, "some", 0.5)
    behind = whole.compared(PROBLEMS[2], whole.Loop(0.25, 4.0, "own"), rest)
    assert not behind["met"] and behind["factor"] == 2.0
    assert whole.compared(PROBLEMS[2], whole.Loop(0.01, 0.5, "own"), rest)["at_rest"] == "none"


def test_whole_loops_in_small(monkeypatch, capsys, tmp_path):
    """The part alone, by its name: a row for each problem, with the errors that the loops have."""
    for name, value in {"MOVING": ((6, 4),), "ONCE": (6, 8), "EACH": (6,), "STEPS": (4,), "REPEATS": 1}.items():
        monkeypatch.setattr(whole, name, value)
    file = tmp_path / "rows.json"
    monkeypatch.setattr(sys, "argv", ["time", "--quick", "--only", "loops", "--json", str(file)])
    bench.main(bench.run, bench.PARTS)
    rows = json.loads(file.read_text())["rows"]
    assert [r["name"].split(",")[0] for r in rows] == [p.name for p in PROBLEMS]
    assert all("49 nodes, 4 steps" in r["name"] and r["seconds"] > 0 for r in rows)
    for problem, r in zip(PROBLEMS, rows, strict=True):
        mesh, u, _ = followed(problem, 6, 4)
        assert r["measured"] == pytest.approx(error(problem, mesh, u, problem.end), rel=1e-6)
    assert "at_rest" in capsys.readouterr().out
