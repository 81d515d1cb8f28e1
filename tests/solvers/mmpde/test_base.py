"""Models that correct a solver of the user's: what that is asked, what it must give, and what becomes of it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from meshmove.learning.weights import WeightsError
from meshmove.solvers import MMPDE
from meshmove.solvers.generators.burgers import burgers_mesh
from meshmove.solvers.generators.burgers_step import BurgersStep
from meshmove.solvers.mmpde import Settings
from meshmove.solvers.mmpde.correcting.base import BaseError
from meshmove.solvers.mmpde.correcting.gate import Gate
from meshmove.solvers.mmpde.training.objective import unrolled_errors
from meshmove.solvers.mmpde.training.samples import Samples, calibrate
from tests.solvers.mmpde.cases import SMALL, TINY, burgers, dataset, graph_of, jittered, randomised

NU = {"viscosity": 0.02}
ONE = replace(SMALL, moving=False)


def halved(mesh, fields, dt, attributes):
    """Every field halves within each tenth of a second."""
    return {name: values * 0.5 ** (dt / 0.1) for name, values in fields.items()}


def model_of(base, data=None, **settings):
    data = dataset() if data is None else data
    own = replace(ONE, fields=data.fields, attributes=data.attributes, boundaries=("bottom", "left", "right", "top"))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = MMPDE(replace(own, **settings), base)
    calibrate(model, data)
    return randomised(model, 0.1)


def silent(model):
    """Without corrections: the last layers are zero."""
    with torch.no_grad():
        for branch in (model.still, *([model.moving] if model.settings.moving else [])):
            for p in branch.decode[-1].parameters():
                p.zero_()
    return model


@pytest.mark.parametrize("leap", [1, 2])
def test_without_a_correction_frames_are_those_of_the_base(leap):
    asked = []

    def base(mesh, fields, dt, attributes):
        asked.append((dt, attributes, set(fields), mesh.n_points))
        return halved(mesh, fields, dt, attributes)

    model = silent(model_of(base, leap=leap))
    mesh = burgers_mesh(8)
    start = burgers().fields["u"][0, 0]
    frames = [f.values[:, 0] for f in model.rollout(mesh, start, 4, attributes=NU)]
    between = [1, 0.5, 0.25] if leap == 1 else [1, 0.625, 0.25]
    assert np.allclose(frames, np.outer([*between, *np.array(between[1:]) / 4], start), rtol=1e-14, atol=0)
    assert asked == [(pytest.approx(0.1 * leap), NU, {"u"}, 81)] * (4 // leap)


def test_corrections_are_added_and_a_closed_gate_takes_none():
    model = model_of(halved)
    start = burgers().fields["u"][0, 0]
    roll = lambda: np.stack([f.values[:, 0] for f in model.rollout(burgers_mesh(8), start, 4, attributes=NU)])  # noqa: E731
    base = start * 0.5 ** np.arange(5)[:, None]
    assert np.abs(roll() - base).max() > 1e-3
    model.gate.whitening += torch.eye(len(model.gate.mean))
    model.gate.most.fill_(1e-9)
    assert np.array_equal(roll(), base)


@pytest.mark.parametrize("moving", [False, True])
def test_rest_stays_at_rest_and_walls_are_held(moving):
    model = model_of(BurgersStep(), moving=moving)
    mesh = burgers_mesh(8)
    quiet = model.rollout(mesh, np.zeros(81), 4, attributes=NU).last().values
    assert np.abs(quiet).max() <= (1e-6 if moving else 0)
    rim = (np.abs(mesh.points - 0.5) == 0.5).any(axis=1)
    last = model.rollout(mesh, burgers().fields["u"][0, 0], 4, attributes=NU).last().values
    assert (last[rim] == 0).all() and np.abs(last).max() > 0.1


def test_corrections_scale_with_what_bends_and_not_with_what_is_linear():
    """Linear fields that the base leaves linear are not corrected inside, whatever the weights."""
    mesh = jittered("triangle", 8)
    model = model_of(halved)
    model.seen = None
    values = 1 + mesh.points @ [2.0, -1.0]
    last = model.rollout(mesh, values, 2, attributes=NU).last().values[:, 0]
    assert np.allclose(last, values / 4, atol=2e-5)


def test_the_branch_on_the_moved_mesh_corrects_the_base_there():
    seen = []

    def base(mesh, fields, dt, attributes):
        seen.append(mesh.points)
        return halved(mesh, fields, dt, attributes)

    model = silent(model_of(base, moving=True, base_moves=True))
    mesh, start = burgers_mesh(8), burgers().fields["u"][0, 0]
    last = model.rollout(mesh, start, 2, attributes=NU).last()
    assert len(seen) == 4 and np.array_equal(seen[1], mesh.points) and np.array_equal(seen[3], last.moved)
    assert np.abs(last.moved - mesh.points).max() > 1e-3
    first = model.rollout(mesh, lambda x: np.sin(np.pi * x[0]) * np.sin(np.pi * x[1]), 2, attributes=NU).last()
    there = np.sin(np.pi * first.moved).prod(axis=1)
    inside = (np.abs(first.moved - 0.5) < 0.5 - 1e-9).all(axis=1)
    assert np.allclose(first.there[inside, 0], there[inside] / 4, atol=1e-6)


def test_a_second_branch_adds_nothing_until_it_has_learned():
    one = silent(model_of(halved))
    both = one.with_second_branch(2)
    assert both.settings == replace(one.settings, moving=True, corrections=2, base_moves=True, curved=True)
    assert not one.with_second_branch(2, base_moves=False).settings.base_moves
    wave = lambda x: np.sin(np.pi * x[0]) * np.sin(np.pi * x[1])  # noqa: E731
    last = both.rollout(burgers_mesh(8), wave, 2, attributes=NU).last()
    inside = (np.abs(last.moved - 0.5) < 0.5 - 1e-9).all(axis=1)
    assert np.abs(last.moved - burgers_mesh(8).points).max() > 1e-3
    assert np.allclose(last.there[inside, 0], wave(last.moved[inside].T) / 4, atol=1e-6)


def test_a_second_branch_is_the_only_one_and_needs_a_base_that_is_to_move():
    both = model_of(halved).with_second_branch(2)
    with pytest.raises(ValueError, match="Expected a model with one branch"):
        both.with_second_branch()
    with pytest.raises(ValueError, match="a base whose steps could be made on the moved mesh"):
        MMPDE(replace(ONE, base="")).with_second_branch(base_moves=True)
    assert not MMPDE(ONE).with_second_branch().settings.base_moves
    with pytest.raises(ValueError, match="by learned weights or curved, not both"):
        replace(both.settings, learned=True)


def test_bundles_in_training_go_on_from_what_was_predicted():
    data = dataset()
    model = silent(model_of(halved, data))
    samples = Samples(data, model, None, None, unroll=2)
    batch = samples.batch([0, 7])
    with torch.no_grad():
        errors = torch.stack(unrolled_errors(model, batch))
    target, start = batch.targets[1], batch.states[0].values
    based = model.normalised(model.physical(start)[:, None] * 0.5 ** torch.tensor([3.0, 4.0])[:, None])
    g = batch.states[0].graph
    off = g.norm(based - target)
    assert torch.allclose(errors[1], off / (off + 1e-3 * g.norm(target)), atol=1e-4)


def test_a_model_learns_what_its_base_misses(tmp_path):
    """Of a base in which nothing ever changes."""

    def base(mesh, fields, dt, attributes):
        return fields

    config = replace(TINY, settings=replace(ONE, width=16), steps=40, validate_every=40, average=0.5, unroll=2)
    model = MMPDE(config.settings, base).fit(dataset(), tmp_path, config=config)
    held_out = burgers(seed=5)
    start, truth = held_out.fields["u"][0, 0], held_out.fields["u"][0, 4]
    nu = {"viscosity": float(held_out.attributes["viscosity"][0])}
    ours = model.rollout(held_out.mesh, start, 4, attributes=nu).last().values[:, 0]
    theirs = silent(model).rollout(held_out.mesh, start, 4, attributes=nu).last().values[:, 0]
    assert np.linalg.norm(ours - truth) < 0.8 * np.linalg.norm(theirs - truth)


@pytest.mark.parametrize("more", [False, True], ids=["anew", "further"])
def test_a_model_as_it_comes_from_training_has_a_gate(tmp_path, more):
    """Whatever its mode: a network that was just made is in that of training."""
    model, config = MMPDE(ONE, halved), replace(TINY, settings=ONE, steps=2, validate_every=2)
    assert model.training
    model = model.fit(dataset(), tmp_path / "one", config=config)
    if more:  # with the gate open meanwhile
        model.gate.most.fill_(1e-9)
        model = model.fit(dataset(), tmp_path / "two", config=config, start=model)
    start = burgers().fields["u"][0, 0]
    roll = lambda nu: model.rollout(burgers_mesh(8), start, 2, attributes={"viscosity": nu}).last().values[:, 0]  # noqa: E731
    assert np.array_equal(roll(0.2), start / 4)  # four times the largest of training
    assert not np.array_equal(roll(0.03), start / 4)
    assert model.gate.most > 1e-3
    model.gate.most.fill_(1e-9)
    assert np.array_equal(roll(0.03), start / 4)


def test_it_is_saved_by_the_name_of_its_base_and_refuses_others(tmp_path):
    model = model_of(BurgersStep())
    assert "corrects burgers-volumes" in repr(model) and model.settings.numbers == BurgersStep.numbers
    path = model.save_pretrained(tmp_path / "model")
    again = MMPDE.from_pretrained(path, base=BurgersStep())
    start = burgers().fields["u"][0, 0]
    a, b = (m.rollout(burgers_mesh(8), start, 3, attributes=NU).last().values for m in (model, again))
    assert np.array_equal(a, b)
    with pytest.raises(BaseError, match="base 'burgers-volumes', .*got none"):
        MMPDE.from_pretrained(path)
    with pytest.raises(BaseError, match="'burgers-volumes', .*got 'halved'"):
        MMPDE.from_pretrained(path, base=halved)
    with pytest.raises(BaseError, match="no base for this model"):
        MMPDE.from_pretrained("burgers-still", base=halved)
    with pytest.raises(BaseError, match="'other', .*got 'halved'"):
        MMPDE(replace(ONE, base="other"), halved)
    assert MMPDE(base=halved).settings == replace(Settings(), base="halved")
    orphan = MMPDE(replace(ONE, base="other"))
    with pytest.raises(BaseError, match="the base 'other', which this model corrects"):
        orphan.rollout(burgers_mesh(8), start, 1).last()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda m, f: {"u": f["u"][:-1]}, r"shape \(81,\).*got shape \(80,\)"),
        (lambda m, f: {"u": np.where(np.arange(81) > 78, np.nan, f["u"])}, "at 2 nodes, the first is 79"),
        (lambda m, f: {"v": f["u"]}, r"fields \['u'\] .*got \['v'\]"),
        (lambda m, f: {"u": "none"}, "numbers as field 'u'"),
        (lambda m, f: {"u": f["u"] * (0.6 + 0.8j)}, "real field 'u' .*imaginary parts at 49 of its values"),
        (lambda m, f: None, r"fields \['u'\] .*\(got None\): return them"),
        (lambda m, f: 1.0, r"shape \(81,\).*got shape \(\)"),
        (lambda m, f: 1 / 0, "raised ZeroDivisionError"),
    ],
)
def test_bad_bases_are_named(answer, words):
    def base(mesh, fields, dt, attributes):
        return answer(mesh, fields)

    model = model_of(base)
    with pytest.raises(BaseError, match=words) as caught:
        model.rollout(burgers_mesh(8), np.ones(81), 1, attributes=NU).last()
    assert "'base'" in str(caught.value)


def test_a_base_may_give_complex_numbers_without_imaginary_parts():
    model = silent(model_of(halved))
    model.correcting(type("Complex", (), {"name": "halved", "__call__": lambda _, *a: {"u": halved(*a)["u"] + 0j}})())
    last = model.rollout(burgers_mesh(8), np.ones(81), 2, attributes=NU, boundary=None).last().values
    assert np.isrealobj(last) and float(last.max()) == 0.25


def test_bases_without_a_name_or_a_call_are_refused():
    for bad in (lambda mesh, fields, dt, attributes: fields, 3):
        with pytest.raises(BaseError, match="Expected a base"):
            MMPDE(base=bad)
    halves = type("Halves", (), {"name": "halves", "numbers": ("one",), "__call__": lambda *args: None})()
    with pytest.raises(BaseError, match="describe"):
        MMPDE(base=halves)
    with pytest.raises(WeightsError):
        MMPDE.from_pretrained("nowhere", base=halved)


@pytest.mark.parametrize("name", ["bundle", "leap"])
def test_bundles_and_leaps_of_no_frame_are_refused(name):
    """There would be no end of a bundle."""
    with pytest.raises(ValueError, match=f"{name} .*got 0"):
        Settings(**{name: 0})


def gate_of(graph, width=6):
    """One that has seen features at random, and as many more of their kind."""
    generator = torch.Generator().manual_seed(0)
    gate, mixed = Gate(width), torch.randn(width, width, generator=generator)
    gate.set(torch.randn(20_000, width, generator=generator) @ mixed)
    return gate, torch.randn(graph.n_points, width, generator=generator) @ mixed


def test_the_gate_opens_on_what_it_has_seen_and_closes_elsewhere():
    graph = graph_of(burgers_mesh(60))
    assert (Gate(6)(torch.randn(graph.n_points, 6), graph) == 1).all()
    gate, features = gate_of(graph)
    share = gate(features, graph)[:, 0]
    assert (share == 1).float().mean() > 0.95 and share.min() >= 0
    assert (gate(20 * features, graph) == 0).all()


def test_what_is_strange_closes_the_gate_around_it_and_not_afar():
    mesh = burgers_mesh(60)
    graph = graph_of(mesh)
    gate, features = gate_of(graph)
    features = 0.5 * features  # nearer to the mean than anything strange
    assert (gate(features, graph) == 1).all()
    away = np.linalg.norm(mesh.points - 0.5, axis=1) * 60
    features[torch.from_numpy(away < 2.5)] *= 40
    share = gate(features, graph)[:, 0].numpy()
    assert (share[away < 4] == 0).all() and (share[away > 13] == 1).all()
    one = 0.02 * torch.ones_like(features)
    one[0] *= 1e4
    assert gate(one, graph)[0] == 0


def test_attributes_and_cells_beyond_those_of_training_take_a_part_of_the_correction_or_none():
    data = dataset()  # viscosities of 0.01 and 0.05, on 8 x 8 cells
    model = model_of(halved, data)
    seen = model.seen
    assert (seen.near(burgers_mesh(8), [0.03], 3.0) == 1).all()
    assert np.allclose(seen.near(burgers_mesh(8), [0.05 * 3**0.5], 3.0), 0.5)
    assert (seen.near(burgers_mesh(8), [0.01 / 3.1], 3.0) == 0).all()
    assert (seen.near(burgers_mesh(40), [0.03], 3.0) == 0).all() and seen.near(
        burgers_mesh(10), [0.03], 3.0
    ).min() > 0.5
    start = burgers().fields["u"][0, 0]
    for nu, same in ((0.04, False), (0.2, True)):
        last = model.rollout(burgers_mesh(8), start, 2, attributes={"viscosity": nu}).last().values[:, 0]
        assert np.array_equal(last, start / 4) == same


def test_corrections_that_ranges_of_training_leave_out_are_told():
    data = dataset()  # viscosities of 0.01 and 0.05
    model = model_of(halved, data)
    start = burgers().fields["u"][0, 0]

    def told(nu, cells=8, one=model, u0=start):
        words = one.rollout(burgers_mesh(cells), u0, 2, attributes={"viscosity": nu}).report.warnings
        return [w for w in words if "correction" in w]

    assert told(0.03) == []
    assert told(0.003) == [
        "no correction is made to 'halved', for attributes or sizes of cells lie beyond those of training "
        "(viscosity 0.01 to 0.05)"
    ]
    assert told(0.05 * 3**0.5)[0].startswith("50 % of each correction is made to 'halved'")
    assert "no correction" in told(0.03, 40, u0=np.zeros(41**2))[0]
    assert told(0.003, one=MMPDE.from_pretrained("burgers-still")) == []  # it corrects none
