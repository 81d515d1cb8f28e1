"""Samples of a data set: what comes after what, shuffling, and moved meshes that are cached on disk."""

import numpy as np
import pytest
import torch

from meshmove.geometry import PointLocator
from meshmove.motion.frames import Moving
from meshmove.solvers.data import DatasetError
from meshmove.solvers.mmpde.training.samples import Samples, moved_frames
from tests.solvers.mmpde.cases import burgers, dataset, model_of


def moving_of(group):
    return Moving(group.mesh)


class Counting(Moving):
    """Counts its moves, and may fail at one."""

    moves, fails = 0, np.inf

    def __call__(self, *args):
        type(self).moves += 1
        if self.moves > self.fails:
            raise KeyboardInterrupt
        return super().__call__(*args)


@pytest.fixture
def counting(monkeypatch):
    monkeypatch.setattr(Counting, "moves", 0)
    monkeypatch.setattr(Counting, "fails", np.inf)
    return lambda group: Counting(group.mesh)


def moved_on(group, moving, folder):
    return moved_frames(group, moving, 2, folder)


def samples(data, folder, unroll=1, **settings):
    return Samples(data, model_of(data, **settings), moving_of, folder, unroll)


def test_targets_are_the_frames_that_follow(tmp_path):
    data = dataset(burgers(2), burgers(2, cells=6, frames=7))
    made = samples(data, tmp_path, unroll=2)
    assert len(made) == 2 * (6 - 4) + 2 * (7 - 4)
    ids = [0, len(made) - 1]
    batch = made.batch(ids)
    assert len(batch.states) == len(batch.targets) == 2
    n = [81, 49]
    fields = [data.groups[0].fields["u"][0], data.groups[1].fields["u"][1]]
    starts = [0, 2]
    model = model_of(data)
    for part, (state, target) in enumerate(zip(batch.states, batch.targets, strict=True)):
        for owner, (u, k) in enumerate(zip(fields, starts, strict=True)):
            own, k = state.graph.owner == owner, k + 2 * part
            assert int(own.sum()) == n[owner]
            assert np.allclose(model.physical(state.values[own])[:, 0], u[k], atol=1e-5)
            assert np.allclose(model.physical(target[own])[:, :, 0].T, u[k + 1 : k + 3], atol=1e-5)
    nu = model.attribute_mean + model.attribute_std * batch.states[0].attributes
    assert nu[:, 0].tolist() == pytest.approx([0.01, 0.05])
    assert torch.equal(batch.to("cpu").targets[1], batch.targets[1])


def test_values_at_moved_nodes_are_those_of_the_finer_mesh(tmp_path):
    fine = dataset(burgers(2, cells=24))
    data = fine.on(burgers(1).mesh)
    model = model_of(data)
    made = Samples(data, model, moving_of, tmp_path, 2)
    batch = made.batch([0, len(made) - 1])
    for part, (state, target) in enumerate(zip(batch.states, batch.moved, strict=True)):
        for owner, (i, k) in enumerate(((0, 0), (1, 1))):
            own, k = state.graph.owner == owner, k + 2 * part
            at = state.moved.points[own].numpy()
            exact = PointLocator(fine.groups[0].mesh).find(at.T.astype(float))
            u = [exact.interpolate(fine.groups[0].fields["u"][i, k + j]) for j in range(3)]
            assert np.allclose(model.physical(state.moved.values[own])[:, 0], u[0], atol=1e-5)
            assert np.allclose(model.physical(target[own])[:, :, 0].T, u[1:], atol=1e-5)
            coarse = PointLocator(data.groups[0].mesh).interpolate(data.groups[0].fields["u"][i, k], at.T.astype(float))
            assert np.abs(coarse - u[0]).max() > 1e-3  # the mesh itself does not know them
    before = batch.states[1].moved.before
    assert batch.states[0].moved.over is None and torch.equal(before, batch.states[0].moved.points)
    assert torch.allclose(batch.states[1].moved.weight.sum(), torch.tensor(2.0))


def test_every_pass_takes_every_start_once_in_an_order_of_its_own(tmp_path):
    made = samples(dataset(), tmp_path, moving=False)
    n = len(made)
    first, second = made.shuffled(range(n), 0), made.shuffled(range(n, 2 * n), 0)
    assert sorted(first) == sorted(second) == list(range(n)) and not np.array_equal(first, second)
    assert np.array_equal(made.shuffled(range(n - 2, n + 3), 0), np.r_[first[-2:], second[:3]])
    assert not np.array_equal(made.shuffled(range(n), 1), first)
    assert len(made.each(2)) == 4 * 2 and not list(tmp_path.iterdir())


def test_moved_meshes_are_written_once_and_read_again(tmp_path, counting):
    group = burgers(2)
    first = moved_on(group, counting, tmp_path)
    assert first.shape == (2, 6, 81, 2) and Counting.moves == 12 and len(list(tmp_path.iterdir())) == 2
    assert np.array_equal(moved_on(group, counting, tmp_path), first) and Counting.moves == 12
    one = moved_on(group[1:], counting, tmp_path)  # each trajectory has its own file
    assert np.array_equal(one[0], first[1]) and Counting.moves == 12
    moved_on(group.with_fields({"u": group.fields["u"] + group.points[:, 0] ** 3}), counting, tmp_path)
    assert Counting.moves == 24 and len(list(tmp_path.iterdir())) == 4


def test_an_interrupted_cache_goes_on_where_it_stopped(tmp_path, counting):
    group = burgers(2)
    Counting.fails = 8
    with pytest.raises(KeyboardInterrupt):
        moved_on(group, counting, tmp_path)
    assert [f.suffix for f in tmp_path.iterdir()] == [".npy"]
    Counting.fails, Counting.moves = np.inf, 0
    moved = moved_on(group, counting, tmp_path)
    assert Counting.moves == 6 and np.isfinite(moved).all()


def test_a_damaged_cache_is_made_again(tmp_path, counting):
    group = burgers(1)
    first = moved_on(group, counting, tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:1000])
    assert np.array_equal(moved_on(group, counting, tmp_path), first) and Counting.moves == 12


def test_trajectories_too_short_and_other_fields_are_refused(tmp_path):
    data = dataset(burgers(2), burgers(2, cells=6, frames=3))
    with pytest.raises(DatasetError, match=r"at least 5 frames a trajectory, for 2 bundles of 2 \(got 3\)"):
        samples(data, tmp_path, unroll=2)
    other = dataset(burgers(2).with_fields({"v": burgers(2).fields["u"]}))
    with pytest.raises(DatasetError, match=r"fields \['u'\] \(got \['v'\]\)"):
        Samples(other, model_of(), moving_of, tmp_path)
    assert not list(tmp_path.iterdir())
