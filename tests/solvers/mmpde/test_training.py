"""Training of the time stepper: its branches, what is unrolled, clear errors (the loop: `learning/`)."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from meshmove.learning.weights import read_weights
from meshmove.solvers.data import DatasetError
from meshmove.solvers.mmpde import CONFIGS, MMPDE, fit
from meshmove.solvers.mmpde.network import TwoBranches
from meshmove.solvers.mmpde.training.config import Config
from meshmove.solvers.mmpde.training.reproduction import reproduce
from meshmove.solvers.mmpde.training.samples import Samples, calibrate
from tests.solvers.mmpde.cases import TINY, burgers, dataset


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    """No word of Fabric's about how many cores there are."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Moved meshes are the same in all runs."""
    return tmp_path_factory.mktemp("moved")


def run(config, folder, cache, upto=None, data=None, **options):
    generator = fit(config, folder, data=data or dataset(), cache=cache, accelerator="cpu", **options)
    rows = list(itertools.islice(generator, upto))
    generator.close()
    return rows


def tensors(folder):
    return read_weights(Path(folder) / "checkpoint.safetensors", "mmpde-checkpoint")[1]


def changed(**settings):
    return replace(TINY, settings=replace(TINY.settings, **settings))


@pytest.fixture(scope="module")
def whole(tmp_path_factory, cache):
    folder = tmp_path_factory.mktemp("whole")
    return folder, run(TINY, folder, cache)


def test_a_run_leaves_a_model_and_a_log(whole):
    folder, rows = whole
    assert [r.step for r in rows] == [0, 2, 4] and rows[0].best
    model = MMPDE.from_pretrained(folder / "best.safetensors")
    assert model.settings == TINY.of(dataset()).settings
    assert model.settings.boundaries == ("bottom", "left", "right", "top")
    assert model.settings.attributes == ("viscosity",)
    assert float(model.step) == pytest.approx(0.1)


def test_interruption_within_unrolling_and_noise_changes_nothing_either(tmp_path, cache):
    config = replace(TINY, unroll=2, noise=0.01, pushforward=0.25)
    rows = run(config, tmp_path / "a", cache)
    rest = run(config, tmp_path / "b", cache, 2)[1:] + run(config, tmp_path / "b", cache)
    assert [replace(r, seconds=0) for r in rest] == [replace(r, seconds=0) for r in rows[1:]]
    assert rows[-1].rollout != rows[-1].error


def test_the_loss_falls_on_the_data_that_it_is_trained_on(tmp_path, cache):
    data = dataset(burgers(2))
    config = replace(TINY, steps=120, batch=4, learning_rate=1e-2, validate_every=30, ahead=0.5)
    rows = run(config, tmp_path, cache, data=data, validation=data)
    assert rows[1].error < 0.6 * rows[0].error and rows[-1].error < 0.85 * rows[2].error  # one branch, then the other
    assert MMPDE.from_pretrained(tmp_path / "best.safetensors").settings.fields == ("u",)


PARTS = [{"moving": False}, {"learned": True}, {"messages": "edges"}, {"learned": True, "placed": True}, {"cut": 4}]


@pytest.mark.parametrize("parts", PARTS, ids=str)
def test_models_of_other_parts_train(parts, tmp_path, cache):
    config = replace(changed(**parts), steps=8, unroll=2, pushforward=0.0, validate_every=4, noise=0.01)
    first = next(fit(config, tmp_path, data=dataset(), cache=cache, accelerator="cpu"))
    start = MMPDE.from_pretrained(tmp_path / "best.safetensors")
    rows = run(config, tmp_path, cache)
    assert np.isfinite([r.error for r in (first, *rows)]).all()
    end = tensors(tmp_path)
    learned = {name.split(".")[0] for name, p in start.named_parameters() if not torch.equal(p, end[f"model.{name}"])}
    assert learned == {name.split(".")[0] for name, _ in start.named_parameters()}


def test_one_branch_learns_after_the_other(tmp_path, cache):
    config = replace(TINY, steps=6, ahead=0.5, validate_every=3)
    run(config, tmp_path, cache, 2)
    early = tensors(tmp_path)
    rows = run(config, tmp_path, cache)
    late = tensors(tmp_path)
    start = MMPDE.from_pretrained(tmp_path / "best.safetensors")
    names = {part: [n for n, _ in start.named_parameters() if n.startswith(part)] for part in ("still", "moving")}
    assert all(torch.equal(early[f"model.{n}"], late[f"model.{n}"]) for n in names["still"])
    assert not any(torch.equal(early[f"model.{n}"], late[f"model.{n}"]) for n in names["moving"])
    assert rows[-1].step == 6


def test_a_run_that_is_interrupted_while_the_second_branch_learns_goes_on(tmp_path, cache):
    config = replace(TINY, steps=8, ahead=0.25, unroll=2, validate_every=2)
    rows = run(config, tmp_path / "a", cache)
    rest = run(config, tmp_path / "b", cache, 4)[3:] + run(config, tmp_path / "b", cache)
    assert [replace(r, seconds=0) for r in rest] == [replace(r, seconds=0) for r in rows[3:]]
    ours, theirs = tensors(tmp_path / "a"), tensors(tmp_path / "b")
    assert all(torch.equal(ours[k], theirs[k]) for k in ours)


@pytest.mark.parametrize("moving", [False, True])
def test_the_best_weights_are_kept_and_patience_waits_for_both_branches(moving, tmp_path, cache):
    wild = replace(changed(moving=moving), steps=12, ahead=0.5, validate_every=2, learning_rate=3.0, matrices=3.0)
    rows = run(replace(wild, average=0.0, clip=1e9, patience=2), tmp_path, cache)
    last = [r for r in rows if not moving or r.step >= 6]
    assert last and min(last, key=lambda r: r.rollout).best
    assert sum(r.best for r in last) < len(last)  # a wild run gets worse, and is not kept
    if not moving:
        assert len(rows) < 7  # nor does it go on


def test_a_second_branch_is_added_to_a_trained_model(tmp_path, cache):
    config = replace(changed(moving=False), steps=2)
    run(config, tmp_path / "one", cache)
    one = MMPDE.from_pretrained(tmp_path / "one" / "best.safetensors")
    both = one.with_second_branch(TINY.settings.corrections)
    assert both.settings == replace(TINY.of(dataset()).settings, curved=True)
    learning = replace(TINY, ahead=0.0, settings=replace(TINY.settings, curved=True))
    run(learning, tmp_path / "two", cache, start=both)
    two = MMPDE.from_pretrained(tmp_path / "two" / "best.safetensors")
    assert all(torch.equal(p, two.get_parameter(n)) for n, p in one.named_parameters())
    assert torch.equal(one.mean, two.mean) and "two branches" in repr(two)


def test_training_on_a_coarser_mesh_than_that_of_the_data(tmp_path, cache):
    data = dataset(burgers(cells=16)).on(burgers(1).mesh)
    rows = run(TINY, tmp_path, cache, data=data)
    assert np.isfinite([r.error for r in rows]).all()
    sampled = dataset(burgers(cells=16, stride=2))  # the same at nodes, and nothing known between them
    assert np.allclose(sampled.groups[0].fields["u"], data.groups[0].fields["u"], atol=1e-6)
    other = run(TINY, tmp_path / "sampled", cache, data=sampled)
    assert other[0].error == rows[0].error and other[-1].error != rows[-1].error


def test_meshes_may_differ(tmp_path, cache):
    data = dataset(burgers(2), burgers(2, cells=6), burgers(2, cells=5, frames=7))
    rows = run(replace(TINY, unroll=2, batch=3), tmp_path, cache, data=data)
    assert np.isfinite([r.rollout for r in rows]).all()


def test_a_fitted_model_is_a_new_one(tmp_path, cache):
    data = dataset()
    start = MMPDE(TINY.of(data).settings)
    before = {k: v.clone() for k, v in start.state_dict().items()}
    model = start.fit(data, tmp_path, config=TINY, cache=cache, accelerator="cpu")
    assert model is not start and all(torch.equal(v, before[k]) for k, v in start.state_dict().items())
    best = MMPDE.from_pretrained(tmp_path / "best.safetensors")
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), best.parameters(), strict=True))
    assert float(model.step) == float(best.step)


def test_training_goes_on_from_a_model_on_other_data(whole, tmp_path, cache):
    trained = MMPDE.from_pretrained(whole[0] / "best.safetensors")
    rows = run(TINY, tmp_path / "more", cache, data=dataset(burgers(seed=5)), start=trained)
    fresh = run(TINY, tmp_path / "fresh", cache, data=dataset(burgers(seed=5)))
    assert rows[0].error != fresh[0].error
    model = MMPDE.from_pretrained(tmp_path / "more" / "best.safetensors")
    assert torch.equal(model.mean, trained.mean) and torch.equal(model.unit, trained.unit)
    other = MMPDE(replace(trained.settings, width=12))
    with pytest.raises(ValueError, match=r"start from a model of .*width=8.*width=12"):
        run(TINY, tmp_path / "other", cache, start=other)


def test_no_more_is_unrolled_than_trajectories_reach(tmp_path, cache):
    long, short = (run(replace(TINY, unroll=k, pushforward=0.0), tmp_path / str(k), cache) for k in (9, 2))
    assert [r.train_loss for r in long[1:]] == [r.train_loss for r in short[1:]]  # 6 frames: two bundles of two
    assert long[-1].rollout == short[-1].rollout != long[-1].error


def test_what_cannot_be_trained_is_refused(tmp_path, cache):
    with pytest.raises(DatasetError, match="at least 3 frames.*bundles of 2"):
        run(TINY, tmp_path, cache, data=dataset(burgers(frames=2)))
    with pytest.raises(DatasetError, match="at least two trajectories"):
        run(TINY, tmp_path, cache, data=dataset(burgers(1)))
    assert not list(tmp_path.iterdir())


def test_configurations_take_names_from_the_data():
    config = CONFIGS["full"].of(dataset())
    assert isinstance(config, Config) and config.settings.attributes == ("viscosity",) and config.settings.dim == 2
    assert config.settings.width == CONFIGS["full"].settings.width and "viscosity" in config.as_json()


def test_weights_from_places_learn_to_reproduce_fields_before_all_else(tmp_path):
    config = changed(learned=True, placed=True).of(data := dataset())
    torch.manual_seed(0)
    model = TwoBranches(config.settings)
    calibrate(model, data)
    samples = Samples(data, model, lambda g: model.moving_on(g.mesh), tmp_path)
    state = samples.batch([3]).states[0]

    def off():
        with torch.no_grad():
            there = model.taken_there(state, state.values)
            back = model.returned(state, there[:, None])[:, 0]
        return [float((v - w).norm() / w.norm()) for v, w in ((there, state.moved.values), (back, state.values))]

    before, branches = off(), [p.clone() for p in (*model.still.parameters(), *model.moving.parameters())]
    reproduce(model, samples, 150)
    assert max(before) > 0.8 and max(off()) < 0.3
    now = (*model.still.parameters(), *model.moving.parameters())
    assert all(torch.equal(p, q) for p, q in zip(branches, now, strict=True))
