"""The benchmark of MM-PDE: its measure, the rivals, equal budgets that resume, the solvers beside it, its rows."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.mmpde import cases as mmpde_cases
from benchmarks.mmpde import run as mmpde
from benchmarks.mmpde import training as mmpde_training
from benchmarks.mmpde.beside import at_equal_time, coarse_burgers, coarse_wake
from benchmarks.mmpde.cases import Runner, best_on_the_mesh, case_of, config_of, persistence, unmoved, weights_of
from benchmarks.mmpde.parts import NOISE, SHARE, observations
from benchmarks.mmpde.rivals import FNO, UNet
from benchmarks.mmpde.training import Bench, train
from meshmove.cli import benchmarks as _bench
from meshmove.geometry import PointLocator
from meshmove.solvers.mmpde import MMPDE
from meshmove.solvers.mmpde.stepper import Now
from tests.solvers.mmpde.cases import state_on

TINY = 1e-5  # minutes: two steps


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """As the command sets it: threads that wait for each other would count as work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Bench(tmp_path_factory.mktemp("bench"), quick=True, data=("burgers",), minutes=TINY, seeds=1)


@pytest.fixture(scope="module")
def case(bench):
    return bench.cases[0]


@pytest.fixture(scope="module")
def wake(tmp_path_factory):
    return case_of("cylinder", tmp_path_factory.mktemp("wake"), quick=True)


def test_the_error_is_relative_to_what_a_field_is_beside_its_mean(case, wake):
    for c in (case, wake):
        truth, (mean, _) = c.values[0, 3], c.scale
        assert c.error(truth, truth) == 0
        assert c.error(mean + 1.1 * (truth - mean), truth) == pytest.approx(0.1)
        assert c.error(np.broadcast_to(mean, truth.shape), truth) == pytest.approx(1)
        both = c.error(mean + 1.1 * (c.values[0] - mean), c.values[0])  # of several frames
        assert both == pytest.approx(0.1)


def test_test_data_reach_twice_as_far_and_tell_nothing_of_the_future(case, wake):
    for c in (case, wake):
        assert len(c.test.times) - 1 == 2 * c.horizon == 2 * (len(c.train.groups[0].times) - 1)
        assert c.test.times[1] == pytest.approx(c.train.step)
    assert case.train.attributes == ("viscosity",) and wake.train.attributes == ("reynolds",)
    assert not np.array_equal(case.values[0, 0, :, 0], case.train.groups[0].fields["u"][0, 0])
    assert case.starts(2) == [(0, 0), (0, 2), (0, 4)]


def test_persistence_errs_the_more_the_longer(case):
    found = persistence(case, 2)
    assert 0 < found.bundle < found.last


def test_full_data_have_the_sizes_that_were_announced():
    train, test, common = mmpde_cases._FULL["burgers"]
    assert (train["n"], train["frames"], test["n"], test["frames"]) == (80, 31, 20, 61)
    assert (common["cells"], common["stride"]) == (192, 1) and test["end"] == 2 * train["end"]
    assert mmpde_cases._mesh_of("burgers", False, common).n_points == 49**2
    train, test, _ = mmpde_cases._FULL["cylinder"]
    assert (train["n"], train["frames"], test["n"], test["frames"]) == (16, 31, 4, 61)


@pytest.mark.parametrize("name", ["wide", "edges", "operators"])
def test_a_wide_branch_has_just_as_many_weights_as_two(name, case):
    two, wide, single = (config_of(case, n, 0, quick=True).settings for n in ("mmpde", name, "single"))
    assert wide.messages == ("edges" if name == "edges" else "operators")
    wanted = weights_of(MMPDE(two))
    assert weights_of(MMPDE(wide)) >= wanted > weights_of(MMPDE(replace(wide, width=wide.width - 1)))
    assert not wide.moving and not single.moving and single.width == two.width


def test_variants_differ_in_their_part_alone(case):
    full = config_of(case, "mmpde", 0, quick=True)
    for name, part in (("single", {"moving": True}), ("learned", {"learned": False})):
        other = config_of(case, name, 0, quick=True)
        assert other != full and replace(other, settings=replace(other.settings, **part)) == full


@pytest.mark.parametrize("kind", [FNO, UNet], ids=["fno", "unet"])
def test_networks_on_the_grid(kind, case, tmp_path):
    settings = config_of(case, kind.__name__.lower(), 0, quick=True).settings
    torch.manual_seed(0)
    model = kind(settings)
    *_, state = state_on(model, [case.test.mesh] * 2)
    out = model(state)
    assert out.shape == (2 * len(case.test.points), settings.bundle, 1)
    out.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
    # meshes of a batch do not see each other
    *_, alone = state_on(model, [case.test.mesh])
    n = len(case.test.points)
    first = replace(alone, values=state.values[:n], attributes=state.attributes[:1])
    assert torch.allclose(model(first), out[:n], atol=1e-5)
    again = kind.from_pretrained(model.save_pretrained(tmp_path / "weights.safetensors"))
    assert torch.equal(again(state), model.eval()(state))


def test_networks_on_the_grid_refuse_other_meshes(case, wake):
    model = FNO(replace(config_of(case, "fno", 0, quick=True).settings, attributes=(), boundaries=()))
    *_, state = state_on(model, [wake.test.mesh])
    with pytest.raises(ValueError, match="square grids"):
        model(state)


@pytest.mark.parametrize("name", ["mmpde", "fno"])
def test_training_fits_its_budget_and_is_not_done_twice(name, case, tmp_path):
    config, folder = config_of(case, name, 0, quick=True), tmp_path / "run"
    first = train(case, name, config, folder, tmp_path / "moved", 2e-3, False)
    assert first.steps == max(2, round(60 * 2e-3 / first.seconds_a_step))
    assert 0.2 * 2e-3 < first.minutes < 5 * 2e-3
    log = (folder / "log.csv").read_text()
    again = train(case, name, config, folder, tmp_path / "moved", 2e-3, False)
    assert (folder / "log.csv").read_text() == log and again.cost == first.cost
    assert all(torch.equal(a, b) for a, b in zip(first.model.parameters(), again.model.parameters(), strict=True))
    with pytest.raises(ValueError, match="another"):
        train(case, name, config, folder, tmp_path / "moved", 1.0, False)


def test_an_interrupted_training_goes_on(case, tmp_path, monkeypatch):
    config, place = config_of(case, "unet", 0, quick=True), (tmp_path / "run", tmp_path / "moved")
    whole, plan_of = mmpde_training._fit, lambda: json.loads((tmp_path / "run" / "plan.json").read_text())

    def stopped(*args):
        for k, row in enumerate(whole(*args)):
            if place[0] in args and k == 3:  # elsewhere the steps are measured
                raise KeyboardInterrupt
            yield row

    monkeypatch.setattr(mmpde_training, "_fit", stopped)
    with pytest.raises(KeyboardInterrupt):
        train(case, "unet", config, *place, 4e-3, False)
    before = plan_of()
    monkeypatch.setattr(mmpde_training, "_fit", whole)
    done = train(case, "unet", config, *place, 4e-3, False)
    last = (tmp_path / "run" / "log.csv").read_text().splitlines()[-1]
    assert done.steps == before["steps"] == int(last.split(",")[0])
    assert plan_of()["spent"] > before["spent"] > 0


def test_frames_of_a_rollout_do_not_depend_on_how_many_are_wanted(bench, case):
    runner = Runner(bench.trained(case, "mmpde").model, case)
    short, long = runner.frames(0, 1, 2), runner.frames(0, 1, 5)
    assert len(short) == 2 and len(long) == 5 and short[0].values.shape == (len(case.test.points), 1)
    for a, b in zip(short, long, strict=False):
        np.testing.assert_array_equal(a.there, b.there)


def test_an_error_between_those_of_two_solvers():
    curve = [(1.0, 1.0), (100.0, 0.01)]
    assert at_equal_time(10.0, curve) == pytest.approx(0.1)
    assert at_equal_time(0.1, curve) == pytest.approx(1.0) and at_equal_time(1e3, curve) == pytest.approx(0.01)


def test_solvers_on_fewer_cells_come_near_the_data(case, wake):
    def error(of, made):
        last, on_fine = made
        return of.fine_error(0, of.horizon, on_fine(last())[None])

    errors = [error(case, coarse_burgers(case, 0, n)) for n in (6, 12, 24)]
    assert errors[2] < 0.05 < errors[0]
    assert error(wake, coarse_wake(wake, 0, 0.9)) < 0.5


def test_errors_of_fields_count_what_lies_between_nodes(case):
    truth, best = unmoved(case, 2), best_on_the_mesh(case, 2)
    assert truth.bundle_nodes == truth.last_nodes == 0 < best.last_nodes
    assert 0 < best.bundle < truth.bundle and 0 < best.last < truth.last
    assert 0 < truth.bundle_splines < truth.bundle
    k, fine, mesh = case.horizon, case.test.finer, case.test.mesh
    assert len(fine.points) > 3 * mesh.n_points
    moved = mesh.points + 0.02 * np.sin(np.pi * mesh.points) * np.sin(np.pi * mesh.points[:, ::-1])
    at_nodes = Now(case.values[0, k], mesh.points)
    there = Now(case.values[0, k], moved, case.test.at(moved, 0, slice(k, k + 1))[0].astype(float))
    errors = [case.field_error(0, k, [now]) for now in (at_nodes, there)]
    assert 0 < min(errors) and errors[0] != errors[1]
    assert case.fine_error(0, k, fine.fields["u"][0, k][None, :, None].astype(float)) == 0
    locator = PointLocator(mesh.moved(moved))
    expected = locator.interpolate(there.there, fine.points.T)
    assert errors[1] == pytest.approx(case.fine_error(0, k, expected[None]))


def test_measurements_are_at_few_nodes_and_as_noisy_as_said(case, wake):
    for c in (case, wake):
        seen = observations(c, 0, 1, 2)
        assert [s.frame for s in seen] == list(range(2, 2 * c.horizon + 1, 2))
        nodes = seen[0].nodes
        assert len(nodes) == max(1, round(SHARE * len(c.test.points)))
        assert all(np.array_equal(s.nodes, nodes) for s in seen)
        off = [
            (s.values[name] - c.values[0, s.frame, nodes, k]) / c.scale[1][k]
            for s in seen
            for k, name in enumerate(c.train.fields)
        ]
        assert 0.5 * NOISE < np.std(off) < 1.5 * NOISE
        assert not np.array_equal(observations(c, 0, 0, 2)[0].nodes, nodes)


@pytest.mark.parametrize("part", mmpde.PARTS)
def test_parts_give_rows(bench, part):
    rows = mmpde.PARTS[part](bench)
    assert rows and all(set(r) >= {"name", "measured", "target", "met"} for r in rows)
    assert all(r["met"] is None or isinstance(r["met"], bool | np.bool_) for r in rows)
    assert len({r["name"] for r in rows}) == len(rows)
    json.dumps(rows, default=str)


def test_the_command_line_runs_a_part(monkeypatch, tmp_path, capsys):
    out = tmp_path / "rows.json"
    command = ["mmpde", "--quick", "--data", "burgers", "--only", "time", "--json", str(out)]
    monkeypatch.setattr(sys, "argv", command)
    mmpde._main()
    assert "solver / MM-PDE" in capsys.readouterr().out
    written = json.loads(out.read_text())
    assert written["seeds"] == 1 and written["rows"][0]["target"] == ">= 10"


def test_the_command_is_known():
    assert _bench.named(["mmpde"])["mmpde"].module == mmpde.__name__
