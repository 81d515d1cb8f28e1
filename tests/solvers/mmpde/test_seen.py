"""What a model was trained on is kept with it: what lies outside is said, what is known is imposed, rest stays."""

import re
from dataclasses import replace

import numpy as np
import pytest
import skfem
import torch

from meshmove.geometry import FieldError
from meshmove.solvers import MMPDE, BurgersStep
from meshmove.solvers.data import Trajectories, TrajectoryDataset
from meshmove.solvers.generators.burgers import burgers_mesh
from meshmove.solvers.mmpde.graph import Graph
from meshmove.solvers.mmpde.prior.rest import both_ways, departures, rest_of
from meshmove.solvers.mmpde.prior.seen import Seen
from tests.solvers.mmpde.cases import TINY, burgers, dataset, model_of

SIDES = {"left": lambda x: x[0] == 0, "right": lambda x: x[0] == 1, "bottom": lambda x: x[1] == 0,
         "top": lambda x: x[1] == 1}  # fmt: skip
GRID = np.linspace(0, 1, 9)
SQUARE = skfem.MeshTri.init_tensor(GRID, GRID)
NU = {"viscosity": 0.01}


def wave(x):
    return 0.5 * np.sin(np.pi * x[0]) * np.sin(2 * np.pi * x[1])


@pytest.fixture(scope="module")
def model():
    return model_of(moving=False)


def said(model, mesh=SQUARE, u0=wave, nu=0.01, named=True):
    mesh = mesh.with_boundaries(SIDES) if named else mesh
    return model.rollout(mesh, u0, 1, attributes={"viscosity": nu}).report.warnings


def jiggled():
    x, rng = SQUARE.p.copy(), np.random.default_rng(0)
    inner = (x > 0).all(axis=0) & (x < 1).all(axis=0)
    x[:, inner] += 0.03 * rng.uniform(-1, 1, (2, int(inner.sum())))
    return skfem.MeshTri(x, SQUARE.t)


def turned():
    c, s = np.cos(0.5), np.sin(0.5)
    return skfem.MeshTri(np.array([[c, -s], [s, c]]) @ SQUARE.p, SQUARE.t)


MIRRORED = skfem.MeshTri(np.stack([1 - SQUARE.p[0], SQUARE.p[1]]), SQUARE.t)
LONG = skfem.MeshTri(SQUARE.p * np.array([[2.0], [1.0]]), SQUARE.t)
HOLED = SQUARE.remove_elements(np.flatnonzero((np.abs(SQUARE.p[:, SQUARE.t].mean(axis=1) - 0.5) < 0.2).all(axis=0)))


@pytest.mark.parametrize(
    ("mesh", "words"),
    [
        (MIRRORED, r"direction of a node's edges .* is -0.25 at 100 % .* in training 0.25"),
        (jiggled(), "direction of a node's edges"),
        (jiggled(), "distance of a node from the mean of its neighbours"),
        (turned(), "direction of a node's edges"),
        (skfem.MeshTri.init_sqsymmetric().refined(2), "direction of a node's edges"),
        (skfem.MeshTri.init_tensor(*[np.linspace(0, 1, 13)] * 2), "0.667 times as long as in training"),
        (skfem.MeshTri.init_tensor(GRID**1.5, GRID), "direction of a node's edges"),
        (LONG, "extent along x is 2, in training 1"),
        (HOLED, "volume of the domain is 0.8"),
        (skfem.MeshQuad.init_tensor(GRID, GRID), r"cells of the kinds \['quad'\], those of training \['triangle'\]"),
    ],
)
def test_a_mesh_unlike_those_of_training_is_named(model, mesh, words):
    assert any(re.search(words, w) for w in said(model, mesh)), said(model, mesh)


def test_what_is_like_training_is_not(model):
    assert said(model) == ()
    assert said(model, SQUARE.translated((3.0, -1.0)).with_boundaries(
        {"left": lambda x: x[0] == 3, "right": lambda x: x[0] == 4, "bottom": lambda x: x[1] == -1,
         "top": lambda x: x[1] == 0}), wave(SQUARE.p), named=False) == ()  # fmt: skip


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"nu": 0.2}, "'viscosity' is 0.2, in training 0.01 to 0.05"),
        ({"nu": 0.005}, "'viscosity' is 0.005, in training 0.01 to 0.05"),
        ({"nu": 0.03}, "0.03, in training 0.01 or 0.05 and nothing between"),
        ({"u0": lambda x: 5 * wave(x)}, "'u' is -2.5 to 2.5 at the start, in training"),
        ({"u0": lambda x: 1e-3 * wave(x)}, "'u' varies by"),
        ({"u0": lambda x: wave(x) * np.cos(8 * np.pi * (x[0] + x[1]))}, "over .* edges of the mesh at the start"),
        ({"u0": lambda x: 0.5 * x[0]}, "off by up to 0.5 from 0, to which it is held .* at bottom, right, the whole"),
    ],
)
def test_numbers_and_fields_outside_are_named_once(model, options, words):
    found = [w for w in said(model, **options) if re.search(words, w)]
    assert len(found) == 1, said(model, **options)


def test_sides_that_have_changed_places_are_named(model):
    swapped = dict(SIDES, left=SIDES["right"], right=SIDES["left"])
    found = said(model, SQUARE.with_boundaries(swapped), named=False)
    assert len(found) == 2 and "'left' lies elsewhere" in " ".join(found)


def test_ranges_come_back_with_the_weights_and_join(model, tmp_path):
    again = MMPDE.from_pretrained(model.save_pretrained(tmp_path / "a"))
    assert again.seen == Seen.from_json(model.seen.as_json()) and said(again, MIRRORED) == said(model, MIRRORED)
    group = burgers()
    other = dataset(Trajectories(MIRRORED.p.T, {"triangle": MIRRORED.t.T}, group.times, group.fields,
                                 {}, {"viscosity": [0.2, 0.2, 0.3, 0.3]}))  # fmt: skip
    both = model.seen | Seen.of(other, 2)
    assert both.nodes["direction01"] == pytest.approx((-0.25, 0.25))
    assert both.attributes["viscosity"] == [0.01, 0.05, 0.2, 0.3] and both.held[""] == {"u": 0.0}
    old = model_of(moving=False)
    old.seen = None
    assert "does not say what it was trained on" in said(old)[0]


@pytest.mark.parametrize("name", ["burgers", "burgers-still", "cylinder"])
def test_shipped_models_know_what_they_saw(name):
    seen = MMPDE.from_pretrained(name).seen
    assert seen is not None and set(seen.values) == set(MMPDE.from_pretrained(name).settings.fields)
    if name == "cylinder":
        assert seen.held["cylinder"] == {"u": 0.0, "v": 0.0} and seen.rest is None
        assert seen.held["inlet"] == {"u": 1.0, "v": 0.0}  # a stream does not rest
    else:
        assert seen.held["left"] == {"u": 0.0} and tuple(seen.rest[0]) == (0.0,)
        assert seen.attributes["viscosity"] == [0.002, 0.005]


def test_the_shipped_correction_knows_families():
    seen = MMPDE.from_pretrained("burgers-corrected", base=BurgersStep()).seen
    assert seen is not None and seen.held["top"] == {"u": 0.0} and len(seen.attributes["viscosity"]) > 40
    assert min(-seen.values["u"][0], seen.values["u"][1]) > 2 and seen.nodes["direction01"][0] < 0


@pytest.mark.parametrize("moving", [False, True])
def test_walls_stay_what_they_were_in_all_data(moving):
    frames = list(model_of(moving=moving).rollout(SQUARE.with_boundaries(SIDES), wave, 5, attributes=NU))
    rim = np.unique(SQUARE.facets[:, SQUARE.boundary_facets()])
    inner = np.setdiff1d(np.arange(81), rim)
    for frame in frames[1:]:
        assert (frame.values[rim] == 0).all() and np.abs(frame.values[inner]).max() > 0.01
        assert not moving or (frame.there[rim] == 0).all()


def test_the_user_says_what_boundaries_hold(model):
    mesh = SQUARE.with_boundaries(SIDES)
    left, top = SQUARE.p[0] == 0, SQUARE.p[1] == 1
    roll = lambda **said: model.rollout(mesh, wave, 3, attributes=NU, boundary=said).last().values[:, 0]  # noqa: E731
    assert (roll(left=0.5)[left & ~top & (SQUARE.p[1] > 0)] == 0.5).all() and (
        roll(left={"u": 0.25})[top][1:] == 0
    ).all()
    free = roll(left=None, right=None, bottom=None, top=None)
    assert (np.abs(free[left]) > 0).any()
    for bad, words in (({"hole": 0.0}, r"\['hole'\]"), ({"left": {"v": 1}}, r"\['v'\]"), ({"left": "a"}, "'a'"),
                       ({"left": np.nan}, "finite")):  # fmt: skip
        with pytest.raises(FieldError, match=words):
            roll(**bad)


@pytest.mark.parametrize("moving", [False, True])
def test_rest_stays_at_rest_and_elsewhere_nothing_changes(moving, monkeypatch):
    model = model_of(moving=moving)
    with torch.no_grad():  # a network that moves a little at rest
        for part in (model.still, *([model.moving] if moving else [])):
            part.decode[-1].weight.mul_(0.0)
            part.decode[-1].bias.fill_(0.02)
    assert model.seen.rest is not None
    mesh = SQUARE.with_boundaries(SIDES)
    still = model.rollout(mesh, 0 * SQUARE.p[0], 7, attributes=NU)
    frames = list(still)
    assert still.report.warnings == ()
    assert all((f.values == 0).all() and (not moving or (f.there == 0).all()) for f in frames)
    usual = model.rollout(mesh, wave, 4, attributes=NU).last().values
    model.seen = replace(model.seen, rest=None)
    assert np.array_equal(model.rollout(mesh, wave, 4, attributes=NU).last().values, usual)
    moved = model.rollout(mesh, 0 * SQUARE.p[0], 4, attributes=NU)
    assert np.abs(moved.last().values).max() > 1e-3 and "varies by 0" in moved.report.warnings[0]


def driven(source, n=6, frames=6):
    """The heat equation on a grid, u = 0 on the rim, from random starts."""
    mesh, rng = burgers_mesh(8), np.random.default_rng(0)
    inner = ((mesh.points > 0) & (mesh.points < 1)).all(axis=1)
    values = np.zeros((n, frames, 81))
    for i in range(n):
        u = values[i, 0] = inner * rng.uniform(-1, 1) * np.sin(np.pi * mesh.points).prod(axis=1) * (i > 0)
        for k in range(1, frames):
            values[i, k] = u = inner * (0.8 * u + source)
    group = Trajectories(mesh.points, {"triangle": mesh.blocks[0].nodes}, np.arange(frames) / 10.0, {"u": values},
                         dict(mesh.facets))  # fmt: skip
    return TrajectoryDataset((group,))


def test_a_driven_field_has_no_rest():
    held = Seen.of(driven(0.0), 2).held
    assert rest_of(driven(0.0), held, 2) is not None and rest_of(driven(0.3), held, 2) is None
    model = model_of(moving=False)
    with torch.no_grad():  # nor has what the network itself drives
        model.still.decode[-1].weight.mul_(0.0)
        model.still.decode[-1].bias.fill_(1.0)
    out = model.rollout(SQUARE.with_boundaries(SIDES), 0 * SQUARE.p[0], 2, attributes=NU).last().values
    assert np.abs(out).max() > 0.01


def test_departures_reach_as_far_as_edges_do():
    mesh = burgers_mesh(6)
    off = np.zeros((49, 2))
    off[24, 1] = -3.0
    edges = both_ways(mesh)
    assert np.array_equal(edges, Graph.of(mesh).edges.numpy())
    for rings in (0, 1, 2):
        near = np.abs(mesh.points - mesh.points[24]) <= rings / 6 + 1e-9
        same_side = (mesh.points - mesh.points[24]).prod(axis=1) >= -1e-9  # diagonals go one way
        found = departures(edges, off, rings)
        assert (found[near.all(axis=1) & same_side] == 3).all() and (found[~near.all(axis=1)] == 0).all()


@pytest.mark.parametrize("mode", [True, False])
def test_fitting_leaves_mode_precision_and_random_numbers(tmp_path, mode):
    data = dataset()
    model = MMPDE(TINY.of(data).settings).train(mode).double()
    state = torch.random.get_rng_state()
    fitted = model.fit(data, tmp_path, config=TINY, accelerator="cpu")
    assert fitted.training is mode and fitted.unit.dtype == torch.float64 and fitted.seen is not None
    assert model.training is mode and model.unit.dtype == torch.float64 and model.seen is None
    assert torch.equal(torch.random.get_rng_state(), state)
