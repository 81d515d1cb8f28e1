"""The benchmark of HyPINO: its measures, its parts one by one with a small untrained network, and its name."""

import json
import sys

import numpy as np
import pytest
import torch

from benchmarks.hypino import cases as hypino_cases
from benchmarks.hypino import heldout as hypino_heldout
from benchmarks.hypino import run as hypino
from benchmarks.hypino.cases import Bench, Sample, at_level, mse, relative_l2, smape, values
from benchmarks.hypino.converged import converged
from benchmarks.hypino.equal import Curve, halved
from benchmarks.hypino.move import stated
from benchmarks.hypino.rivals import bumps, differences
from benchmarks.hypino.zero_shot import least_squares
from meshmove.cli import benchmarks as _bench
from meshmove.geometry import Disk, Rectangle
from meshmove.solvers.fem.manufactured import PROBLEMS
from meshmove.solvers.hypino import HyPINO, Settings
from meshmove.solvers.pde import Dirichlet, LinearPDE
from meshmove.solvers.projection import Tanh

TINY = Settings(raster=32, patch=4, width=32, depths=(1, 1), window=4, fields=2, hidden=8, rank=2)


def exact(x):
    return np.exp(x[0]) * np.sin(x[1])


@pytest.fixture(scope="module")
def sample():
    domain = Rectangle((-1, -1), (1, 1), name="outer") - [Disk((0.2, 0.1), 0.3, name="hole")]
    conditions = {"outer": Dirichlet(exact), "hole": Dirichlet(exact)}
    pde = LinearPDE(domain, uxx=-1, uyy=-1, conditions=conditions)
    x = pde.unit.interior(300, seed=3).points
    return Sample("smooth", pde, x, exact(x), pde.unit.area / 4)


@pytest.fixture(scope="module")
def bench(tmp_path_factory, sample):
    torch.manual_seed(0)
    path = HyPINO(TINY).save_pretrained(tmp_path_factory.mktemp("weights") / "tiny.safetensors")
    bench = Bench(True, str(path))
    projected = [{"error": 1e-4, "estimate": 3e-4, "seconds": 0.5, "doubt": 0.0}] * 8
    vars(bench).update(held_out=[sample, sample], shapes=[sample], seven=[sample], projected=projected)
    return bench


def test_measures_of_an_exact_and_of_a_wrong_answer(sample):
    u = sample.u
    assert relative_l2(u, u) == mse(u, u, 1.0) == smape(u, u, 1.0) == 0
    assert relative_l2(1.1 * u, u) == pytest.approx(0.1)
    assert mse(u + 2, u, 0.25) == pytest.approx(1.0)  # zero on three quarters of the box
    assert smape(-u, u, 1.0) == pytest.approx(200 * np.mean(1 / (1 + 5e-9 / np.abs(u))))


def test_a_level_between_measurements():
    assert at_level(1.0, [2.0, 4.0], [10.0, 20.0]) == pytest.approx(10)
    assert at_level(4.0, [2.0, 8.0], [1.0, 4.0]) == pytest.approx(2)
    assert np.isnan(at_level(9.0, [2.0, 8.0], [1.0, 4.0]))


def test_when_elements_reach_an_error_is_told_between_meshes_and_beyond_by_their_order():
    curve = Curve([1.0, 1.0, 3.0], [8e-1, 1e-1, 1.25e-2], [np.nan, 7e-1, 9e-2])
    assert curve.until(1e-1) == (pytest.approx(1.0), False)
    assert curve.until(1.25e-2) == (pytest.approx(3.0), False)
    assert curve.until(1.25e-2 / 8**2) == (pytest.approx(3.0 * 3**2), True)  # two meshes more, each three times as dear
    assert curve.agreed(1e-1) == (pytest.approx(5.0), False)
    assert curve.agreed(9e-2 / 60) == (pytest.approx(5.0 + 9 + 27), True)


def test_elements_on_halved_meshes_agree_as_they_come_near(sample):
    curve = halved(sample, 0.0)
    assert len(curve.seconds) == 1 and np.isnan(curve.changes[0]) and curve.errors[0] < 1e-2


def test_held_out_problems_are_fixed_and_hyperbolic_ones_have_no_holes():
    some = [hypino_heldout.case(k) for k in range(9)]
    for k, it in enumerate(some):
        kind = hypino_heldout.KINDS[k % 8]
        assert it.pde.kind == kind and (it.exact is None) == (k % 3 == 2)
        holes = len(it.pde.unit.holes)
        assert 1 <= holes <= 4 if kind == "elliptic" or (kind == "parabolic" and it.exact) else holes == 0
    again, other = hypino_heldout.case(3), hypino_heldout.case(3, seed=1)
    x = some[3].pde.unit.interior(20).points
    np.testing.assert_array_equal(some[3].pde.source_at(x), again.pde.source_at(x))
    assert again.name == some[3].name != other.name


def test_references_say_how_far_they_are_off(sample):
    found, change = converged(sample.pde, sample.x)
    assert relative_l2(found, sample.u) < change < 1e-4


def test_values_do_not_depend_on_the_chunks(sample):
    np.testing.assert_array_equal(values(exact, sample.x, 7), sample.u)


def test_more_features_are_no_worse(sample):
    X = sample.pde.unit.to_unit(sample.x)
    errors = [relative_l2(least_squares(sample.pde, f) @ f.jets(X)[0], sample.u) for f in (Tanh(20), Tanh(200))]
    assert errors[1] < 1e-4 < errors[0]


def test_differences_of_finite_elements_see_the_source(sample):
    found, solves = differences(sample.pde, sample.x[:, :50], 0.4)
    assert solves == 17 + 10
    assert (found[:16] > 0).all()  # -Laplace's inverse is positive
    assert bumps(sample.x).shape == (16, sample.x.shape[1])


def test_problems_for_the_mover_are_stated_with_the_right_sign():
    from meshmove.solvers import project

    problem = PROBLEMS["waves"]
    x = np.random.default_rng(0).uniform(0, 1, (2, 200))
    assert relative_l2(project(stated(problem))(x), problem.exact(x)) < 1e-3


@pytest.mark.parametrize(
    "part", ["gpu", "sweeps", "refinement", "features", "fine-tuning", "calibration", "held-out", "equal-error"]
)
def test_parts_give_rows(bench, part):
    rows = hypino.PARTS[part](bench)
    assert rows and all(set(r) >= {"name", "measured", "target", "met"} for r in rows)
    assert all(r["met"] is None or isinstance(r["met"], bool | np.bool_) for r in rows)
    assert len({r["name"] for r in rows}) == len(rows)
    json.dumps(rows, default=str)


def test_a_projection_is_ahead_of_nothing_but_time(bench):
    rows = {r["name"]: r for r in hypino.PARTS["batch"](bench)}
    projected = rows["batch of 1, projection: median error"]
    assert projected["measured"] < 1e-5 and projected["ahead"] in ("HyPINO", "finite elements")


def test_the_command_line_runs_a_part(monkeypatch, tmp_path, capsys):
    out = tmp_path / "rows.json"
    monkeypatch.setattr(sys, "argv", ["hypino", "--quick", "--only", "gpu", "--json", str(out)])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    hypino._main()
    assert "not measured" in capsys.readouterr().out
    assert json.loads(out.read_text())["rows"][0]["met"] is None


def test_the_command_is_known():
    assert _bench.named(["hypino"])["hypino"].module == hypino.__name__
    assert set(hypino_cases.SEVEN) == set(hypino_cases.BENCHMARKS)
