"""Rollouts as users meet them: lazy, in the order of their nodes, with words about what does not fit."""

import copy
import itertools
import pickle
from dataclasses import replace

import meshio
import numpy as np
import pytest
import skfem
import torch

import meshmove
from meshmove.geometry import FieldError, inverted_cells
from meshmove.learning.weights import WeightsError
from meshmove.monitors import Monitor
from meshmove.motion.frames import Moving
from meshmove.movers import MongeAmpere
from meshmove.solvers import MMPDE
from meshmove.solvers.generators.burgers_step import BurgersStep
from meshmove.solvers.mmpde import Observation, Settings
from meshmove.solvers.mmpde.rollout import interpolated
from meshmove.solvers.mmpde.stepper import Now
from meshmove.solvers.mmpde.training.objective import gone_on
from meshmove.solvers.mmpde.training.samples import Samples
from tests.shapes import box
from tests.solvers.mmpde.cases import TINY, burgers, dataset, front, model_of

NU = {"viscosity": 0.02}


@pytest.fixture(scope="module")
def model():
    return model_of()


@pytest.fixture(scope="module")
def mesh():
    return skfem.MeshTri.init_tensor(*[np.linspace(0, 1, 9)] * 2).with_boundaries(
        {"left": lambda x: x[0] == 0, "right": lambda x: x[0] == 1, "bottom": lambda x: x[1] == 0,
         "top": lambda x: x[1] == 1}
    )  # fmt: skip


def counted(model, monkeypatch):
    passes, advance = [], type(model).advance

    def count(self, *args):
        passes.append(1)
        return advance(self, *args)

    monkeypatch.setattr(MMPDE, "advance", count)
    return passes


def test_nothing_is_computed_before_it_is_asked_for(model, mesh, monkeypatch):
    passes = counted(model, monkeypatch)
    frames = iter(model.rollout(mesh, front, 10**6, attributes=NU))
    first = next(frames)
    assert not passes and first.time == 0 and np.allclose(first.values[:, 0], front(mesh.p))
    for _ in itertools.islice(frames, 2):
        pass
    assert len(passes) == 1
    next(frames)
    assert len(passes) == 2


def test_a_rollout_has_all_frames_on_valid_meshes_and_is_the_same_each_time(model, mesh):
    start = burgers(cells=8).fields["u"][0, 0]
    trajectory = model.rollout(mesh, start, 5, attributes={"viscosity": 0.01}, dt=0.1)
    frames, again = list(trajectory), list(trajectory)
    assert len(frames) == len(trajectory) == 6 and trajectory.mesh is mesh
    assert [f.time for f in frames] == pytest.approx([0.1 * k for k in range(6)])
    cells = trajectory.source.cells
    for a, b in zip(frames, again, strict=True):
        assert np.array_equal(a.values, b.values) and np.array_equal(a.moved, b.moved)
        assert np.isfinite(a.values).all() and not len(inverted_cells(cells, a.moved))
    assert np.abs(frames[-1].moved - cells.points).max() > 1e-3
    assert np.array_equal(trajectory.last().values, frames[-1].values)
    assert "6, 0.1 apart" in str(trajectory.report) and not trajectory.report.warnings
    assert [f.time for f in model.rollout(mesh, front, 0, attributes=NU)] == [0.0]


def test_a_rollout_gives_what_training_saw(model):
    """One pass over a batch of the data set is the first bundle of a rollout, but for the moved mesh."""
    data = dataset()
    one = model_of(data, moving=False)
    group, u = data.groups[0], data.groups[0].fields["u"][2]
    made = Samples(data, one, lambda g: Moving(g.mesh), None)
    batch = made.batch([2 * (len(u) - 2)])
    with torch.no_grad():
        expected = one.physical(one(batch.states[0]))[:, :, 0].T
    nu = {"viscosity": float(group.attributes["viscosity"][2])}
    frames = list(one.rollout(group.mesh, u[0], 2, attributes=nu))
    inner = (group.points > 0).all(axis=1) & (group.points < 1).all(axis=1)  # on walls the known value is imposed
    assert np.allclose([f.values[inner, 0] for f in frames[1:]], expected[:, inner], atol=1e-4)
    assert all((f.values[~inner] == 0).all() for f in frames[1:])
    moves = [np.abs(f.moved - group.points).max() for f in frames]  # made when asked for
    assert min(moves) > 1e-4 and all(f.moved is f.moved for f in frames)
    assert not any(len(inverted_cells(group.mesh, f.moved)) for f in frames)


def test_a_function_is_known_between_nodes(model, mesh):
    """Fields live at the moved nodes: a function is taken there, nodal values are carried there."""
    step = lambda x: 0.5 * (1 + np.sign(x[0] - 0.44))  # noqa: E731
    exact, nodal = (model.rollout(mesh, u, 2, attributes=NU).last() for u in (step, step(mesh.p)))
    assert np.array_equal(exact.moved, nodal.moved) and np.abs(exact.there - nodal.there).max() > 0.1
    one = model_of(moving=False)
    exact, nodal = (one.rollout(mesh, u, 2, attributes=NU).last() for u in (step, step(mesh.p)))
    assert np.array_equal(exact.values, nodal.values) and exact.there is None


@pytest.mark.parametrize("kind", ["quad", "tetra"])
def test_two_branches_on_other_cells_from_functions_by_name(kind):
    mesh = box(kind, 4 if kind == "tetra" else 6, 0.1)
    settings = Settings(("a", "b"), dim=mesh.dim, bundle=2, width=8, layers=1, corrections=1, moving=True)
    model = MMPDE(settings).eval()
    frames = list(model.rollout(mesh, lambda x: {"b": 0 * x[0] + 1, "a": front(x)}, 3))
    assert all(f.there.shape == f.values.shape == (mesh.n_points, 2) for f in frames)
    assert not any(len(inverted_cells(mesh, f.moved)) for f in frames)
    with pytest.raises(FieldError, match="'b' missing"):
        model.rollout(mesh, lambda x: {"a": front(x)}, 1)
    broken = model.rollout(mesh, lambda x: np.where(len(x.T) == 0, np.nan, np.stack([front(x), x[0]], axis=1)), 1)
    assert np.isfinite(broken.last().there).all()


def test_a_correction_at_nodes_is_made_at_the_moved_nodes_too(model, mesh):
    free = model.rollout(mesh, front, 2, attributes=NU)
    nodes = np.arange(0, 81, 2)
    frames = list(free)
    seen = Observation(1, {"u": frames[1].values[nodes, 0] + 0.5}, noise=0.01, nodes=nodes)
    first = list(model.assimilate(free, [seen]))[1]
    gained = first.values - frames[1].values
    inner = (mesh.p > 0.01).all(axis=0) & (mesh.p < 0.99).all(axis=0)
    assert np.abs(gained[inner] - 0.5).mean() < 0.2 and np.array_equal(first.moved, frames[1].moved)
    expected = frames[1].there + interpolated(free.source.cells, gained, first.moved)
    assert np.allclose(first.there, expected, atol=1e-12)


class Given:
    """Moves nodes to the positions of a data set's frames."""

    def __init__(self, mesh, positions):
        self.mesh, self.locator, self._positions = mesh, None, iter(positions)

    def __call__(self, values, start):
        return next(self._positions)


def test_a_rollout_over_bundles_is_what_training_unrolls(model, tmp_path):
    data = dataset(burgers(2, cells=16)).on(burgers(1).mesh)
    made = Samples(data, model, lambda g: model.moving_on(g.mesh), tmp_path, 2)
    batch, group = made.batch([0]), data.groups[0]
    first, second = batch.states
    with torch.no_grad():
        there = model.evolved(first, model.predicted(first))
        second = gone_on(model, second, model.returned(first, there)[:, -1], there[:, -1])
        expected = model.physical(model.evolved(second, model.predicted(second)))[:, :, 0].T.numpy()
    moving = Given(group.mesh, made._moved[0][0, [0, 2]].astype(float))
    now = Now(group.fields["u"][0, 0][:, None], group.points, lambda x: group.at(x.T, 0, slice(0, 1))[0].astype(float))
    for _ in range(2):
        frames = model.advance(first.graph, now, [float(group.attributes["viscosity"][0])], moving)
        now = frames[-1]
    assert np.allclose([f.there[:, 0] for f in frames], expected, atol=1e-5)


def test_classes_of_meshes_and_orders_of_nodes_do_not_matter(model, mesh):
    expected = model.rollout(mesh, front(mesh.p), 3, attributes=NU).last().values
    order = np.random.default_rng(0).permutation(mesh.nvertices)
    shuffled = meshio.Mesh(mesh.p.T[order], [("triangle", np.argsort(order)[mesh.t.T])])
    trajectory = model.rollout(shuffled, front(mesh.p)[order], 3, attributes=NU)
    assert "lacks the boundaries ['bottom', 'left', 'right', 'top']" in " ".join(trajectory.report.warnings)
    plain = model.rollout(skfem.MeshTri(mesh.p, mesh.t), front(mesh.p), 3, attributes=NU)
    assert np.allclose(trajectory.last().values, plain.last().values[order], atol=1e-3)
    assert not np.allclose(plain.last().values, expected, atol=1e-3)  # what is said about boundaries counts


def test_fields_may_be_given_by_name_and_on_second_order_meshes(mesh):
    group = burgers()
    both = group.with_fields({"a": group.fields["u"], "b": 2 * group.fields["u"]})
    model = model_of(dataset(both))
    u = {"b": np.ones(mesh.nvertices), "a": front(mesh.p)}
    first = next(iter(model.rollout(mesh, u, 1, attributes=NU)))
    assert np.allclose(first.values, np.stack([u["a"], u["b"]], axis=1))
    curved = skfem.MeshTri2.from_mesh(skfem.MeshTri(mesh.p, mesh.t))
    values = np.stack([front(curved.doflocs), np.ones(curved.doflocs.shape[1])], axis=1)
    first = next(iter(model.rollout(curved, values, 1, attributes=NU)))
    assert np.allclose(first.values[:, 0], front(mesh.p))


@pytest.mark.parametrize(
    ("u0", "message"),
    [
        ({"v": np.zeros(81)}, r"trained on, \['u'\] \(got 'u' missing, 'v' unknown\)"),
        (np.zeros(80), "u0"),
        (np.zeros((81, 2)), r"values of 1 fields \['u'\] \(got shape \(81, 2\)\)"),
        (np.r_[np.zeros(79), np.nan, np.inf], "others at 2 nodes, the first is 79"),
        (np.ma.masked_greater(np.arange(81.0), 78), "masked at 2 nodes: 79, 80"),
        ({"u": np.ma.masked_less(np.arange(81.0), 1)}, "masked at 1 nodes: 0"),
        (np.zeros(81) + 1j, "real numbers as u0"),
        (torch.zeros(81, requires_grad=True), "requires gradients"),
        ({"u": [0.0, [1.0]]}, "the field 'u' as numbers"),
    ],
)
def test_fields_that_do_not_fit(model, mesh, u0, message):
    with pytest.raises(FieldError, match=message):
        model.rollout(mesh, u0, 3, attributes=NU)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dt": 0.05}, r"time step of the training data, 0.1 \(got 0.05\)"),
        ({"attributes": None}, r"attributes \['viscosity'\].*\(got \[\]\)"),
        ({"attributes": NU | {"speed": 1.0}}, "speed"),
        ({"dt": float("nan")}, r"time step of the training data, 0.1 \(got nan\)"),
        ({"attributes": [0.02]}, "attributes by name"),
        ({"boundary": ["left"]}, "by the names of boundaries"),
        ({"steps": -1}, r"at least 0 \(got -1\)"),
        ({"steps": "2"}, "whole number of frames"),
    ],
)
def test_numbers_that_do_not_fit(model, mesh, options, message):
    with pytest.raises(ValueError, match=message):
        model.rollout(mesh, front, **({"steps": 2, "attributes": NU} | options))


def test_meshes_unlike_those_of_training(model, mesh):
    fine = mesh.refined(1)
    warnings = model.rollout(fine, front, 1, attributes=NU).report.warnings
    assert sum("0.5 times as long" in w for w in warnings) == 1 and not any("outside" in w for w in warnings)
    other = mesh.with_boundaries({"hole": lambda x: x[0] == 0})
    assert "does not know the boundaries ['hole']" in " ".join(model.rollout(other, front, 1, attributes=NU).warnings)
    with pytest.raises(ValueError, match="2 dimensions"):
        model.rollout(skfem.MeshTet(), np.zeros(8), 1, attributes=NU)


def test_weights_know_how_nodes_are_moved(model, tmp_path):
    other = model_of()
    other.monitor, other.mover = Monitor("gradient", intensity=3.0, bounds=(0.1, 5.0)), "dmm"
    again = MMPDE.from_pretrained(other.save_pretrained(tmp_path / "model"))
    assert (again.monitor, again.mover) == (other.monitor, "dmm")
    fitted = MMPDE(other.settings)
    fitted.monitor = other.monitor
    fitted = fitted.fit(dataset(), tmp_path / "run", config=TINY)
    kept = MMPDE.from_pretrained(tmp_path / "run" / "best.safetensors")
    assert kept.monitor == fitted.monitor == other.monitor != model.monitor
    other.mover = MongeAmpere()
    with pytest.raises(ValueError, match="mover by its name"):
        other.fit(dataset(), tmp_path / "other", config=TINY)
    assert not (tmp_path / "other").exists()
    with pytest.raises(ValueError, match="another folder"):  # its meshes were moved otherwise
        MMPDE(other.settings).fit(dataset(), tmp_path / "run", config=TINY)
    with pytest.raises(WeightsError, match="mover by its name"):
        other.save_pretrained(tmp_path / "object")


def test_saved_models_come_back_bit_equal(model, mesh, tmp_path):
    path = model.save_pretrained(tmp_path / "model")
    again = MMPDE.from_pretrained(path)
    assert again.settings == model.settings and path.suffix == ".safetensors"
    state = model.state_dict()
    assert all(torch.equal(state[k], v) for k, v in again.state_dict().items())
    a, b = (m.rollout(mesh, front, 3, attributes=NU).last() for m in (model, again))
    assert np.array_equal(a.values, b.values) and np.array_equal(a.moved, b.moved)
    assert "two branches" in repr(again) and "fields u" in repr(again)


def test_damaged_and_foreign_weights_are_refused(model, tmp_path):
    path = model.save_pretrained(tmp_path / "model.safetensors")
    content = path.read_bytes()
    path.write_bytes(content[:-100])
    with pytest.raises(WeightsError, match="model.safetensors"):
        MMPDE.from_pretrained(path)
    with pytest.raises(WeightsError):
        MMPDE.from_pretrained(tmp_path / "nowhere.safetensors")
    foreign = MMPDE(replace(Settings(width=8, layers=1), fields=("a", "b")))
    foreign.settings = replace(foreign.settings, layers=2)
    with pytest.raises(WeightsError, match="Expected the weights of an MMPDE"):
        MMPDE.from_pretrained(foreign.save_pretrained(path))


def test_a_file_is_a_mesh_too(model, mesh, tmp_path):
    path = tmp_path / "square.msh"
    meshmove.save(meshio.Mesh(mesh.p.T, [("triangle", mesh.t.T)]), path)
    assert len(model.rollout(meshmove.load(path), front, 2, attributes=NU).last().values) == 81


def test_a_rollout_that_runs_away_is_stopped(model, mesh):
    wild = model_of()
    with torch.no_grad():
        wild.change.fill_(float("nan"))
    with pytest.raises(FieldError, match="stays finite.*within the next bundle"):
        wild.rollout(mesh, front, 3, attributes=NU).last()


def test_graph_and_mover_of_the_last_mesh_are_kept(model, mesh):
    model.rollout(mesh, front, 1, attributes=NU).last()
    kept = model._last
    model.rollout(mesh, front, 1, attributes=NU).last()
    assert model._last is kept
    model.rollout(mesh.translated((0.1, 0)), front, 1, attributes=NU).last()
    assert model._last is not kept


@pytest.mark.parametrize("copied", [lambda m: pickle.loads(pickle.dumps(m)), copy.deepcopy])
def test_copies_go_on_alike_also_after_a_rollout(model, mesh, copied):
    wanted = model.rollout(mesh, front(mesh.p), 4, attributes=NU).last().values
    found = copied(model).rollout(mesh, front(mesh.p), 4, attributes=NU).last().values
    assert np.array_equal(found, wanted)
    step = BurgersStep(0.5)
    once = step(mesh, {"u": front(mesh.p)}, 0.05, NU)["u"]
    assert np.array_equal(copied(step)(mesh, {"u": front(mesh.p)}, 0.05, NU)["u"], once)
