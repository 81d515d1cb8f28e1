"""Measurements keep a rollout on track; without them nothing changes."""

import numpy as np
import pytest
import skfem

from meshmove.geometry import FieldError
from meshmove.meshes.source import Source
from meshmove.solvers.mmpde import Observation
from meshmove.solvers.mmpde.assimilation import Observer
from tests.solvers.mmpde.cases import model_of

NU = {"viscosity": 0.02}
MESH = skfem.MeshTri.init_tensor(*[np.linspace(0, 1, 17)] * 2).with_boundaries({"left": lambda x: x[0] == 0})
CELLS = Source.of(MESH).cells
N = CELLS.n_points


def shape(at):
    x, y = CELLS.points.T
    return np.tanh((at + 0.1 * np.sin(3 * y) - x) / 0.08)[:, None]


def off(a, b):
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


@pytest.fixture(scope="module")
def observer():
    return Observer(CELLS, ("u",))


def measured(truth, count, noise, seed=0, frame=1):
    rng = np.random.default_rng(seed)
    nodes = rng.choice(N, count, replace=False)
    return Observation(frame, {"u": truth[nodes, 0] + noise * rng.normal(size=count)}, noise, nodes=nodes)


@pytest.mark.parametrize(("count", "noise", "factor"), [(60, 1e-3, 0.35), (30, 0.03, 0.6)])
def test_measurements_bring_a_displaced_front_back(observer, count, noise, factor):
    truth, forecast = shape(0.5), shape(0.45)
    corrected = observer(forecast, measured(truth, count, noise))
    assert off(corrected, truth) < factor * off(forecast, truth)


def test_the_forecast_is_kept_where_it_is_right(observer):
    truth = shape(0.5)
    exact = measured(truth, 20, 1e-9)
    perfect = Observation(1, {"u": truth[exact.nodes, 0]}, 0.05, nodes=exact.nodes)
    assert np.allclose(observer(truth, perfect), truth, atol=1e-10)


def test_noise_alone_corrects_nothing():
    """The forecast is exact, and the measurements are not: chance must not make it worse."""
    changed = []
    for seed in range(10):
        observer, truth = Observer(CELLS, ("u",)), shape(0.5)
        for frame in range(1, 9):
            seen = measured(truth, 40, 0.1, seed=100 * seed + frame, frame=frame)
            changed.append(not np.array_equal(observer(truth, seen), truth))
    assert np.mean(changed) < 0.1


def test_the_input_is_not_changed_and_scales_do_not_matter(observer):
    truth, forecast = shape(0.5), shape(0.45)
    kept, seen = forecast.copy(), measured(truth, 30, 0.01)
    corrected = observer(forecast, seen)
    assert np.array_equal(forecast, kept)
    scaled = Observation(1, {"u": 1000 * np.asarray(seen.values["u"]) + 5}, 10.0, nodes=seen.nodes)
    assert np.allclose((observer(1000 * forecast + 5, scaled) - 5) / 1000, corrected, atol=1e-6)


def test_places_between_nodes_and_at_nodes_are_alike(observer):
    truth, forecast = shape(0.5), shape(0.45)
    seen = measured(truth, 30, 0.01)
    points = CELLS.points[seen.nodes].T
    there = observer(forecast, Observation(1, seen.values, 0.01, points=points))
    assert np.allclose(there, observer(forecast, seen), atol=1e-6)


def test_measurements_of_one_field_leave_the_others():
    observer = Observer(CELLS, ("u", "v"))
    truth, forecast = (np.hstack([shape(a), 3 * shape(a)]) for a in (0.5, 0.45))
    corrected = observer(forecast, measured(truth, 60, 1e-3))
    assert off(corrected[:, 0], truth[:, 0]) < 0.5 * off(forecast[:, 0], truth[:, 0])
    assert np.array_equal(corrected[:, 1], forecast[:, 1])


def test_the_correction_vanishes_on_held_boundaries():
    held = CELLS.points[:, 0] == 0
    truth, forecast = shape(0.2), shape(0.15)
    corrected = Observer(CELLS, ("u",), held)(forecast, measured(truth, 60, 1e-3))
    assert np.array_equal(corrected[held], forecast[held]) and off(corrected, truth) < off(forecast, truth)


def test_a_rollout_without_measurements_stays_as_it_is_and_with_them_gets_nearer():
    model = model_of()
    trajectory = model.rollout(MESH, shape(0.5), 6, attributes=NU)
    free = [f.values for f in trajectory]
    same = [f.values for f in model.assimilate(trajectory, [])]
    assert all(np.array_equal(a, b) for a, b in zip(free, same, strict=True))
    truth = free[3] + 0.3 * shape(0.3)
    seen = measured(truth, 60, 1e-3, frame=3)
    corrected = list(model.assimilate(trajectory, [seen], hold=["left"]))
    values = [f.values for f in corrected]
    assert len(values) == 7 and [f.time for f in corrected] == pytest.approx([0.1 * k for k in range(7)])
    assert all(np.array_equal(a, b) for a, b in zip(free[:3], values[:3], strict=True))
    assert off(values[3], truth) < off(free[3], truth)
    left = CELLS.points[:, 0] == 0
    assert np.array_equal(values[3][left], free[3][left])
    assert not np.allclose(values[4], free[4])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"nodes": None}, "both or none"),
        ({"points": [[0.1], [0.2]]}, "both or none"),
        ({"frame": 0}, r"from 1 on \(got 0\)"),
        ({"values": {"u": [1.0, 2.0]}}, r"1 finite measurements of 'u' \(got shape \(2,\)"),
        ({"values": {"u": [np.nan]}}, "1 not finite"),
        ({"noise": 0.0}, r"positive noise of 'u' \(got 0.0\)"),
        ({"noise": {"v": 1.0}}, "noise of 'u'"),
    ],
)
def test_measurements_that_make_no_sense(options, message):
    with pytest.raises(FieldError, match=message):
        Observation(**({"frame": 1, "values": {"u": [1.0]}, "noise": 0.1, "nodes": [3]} | options))


def test_measurements_that_do_not_fit(observer):
    with pytest.raises(FieldError, match=f"nodes below {N}"):
        observer(shape(0.5), Observation(1, {"u": [1.0]}, 0.1, nodes=[N]))
    with pytest.raises(FieldError, match=r"measurements of \['u'\] \(got some of \['v'\]\)"):
        observer(shape(0.5), Observation(1, {"v": [1.0]}, 0.1, nodes=[0]))
    model = model_of()
    trajectory = model.rollout(MESH, shape(0.5), 2, attributes=NU)
    with pytest.raises(FieldError, match=r"up to frame 2 \(got one at 3\)"):
        model.assimilate(trajectory, [measured(shape(0.5), 5, 0.1, frame=3)])
    with pytest.raises(FieldError, match=r"\['left'\] to hold \(got 'right'\)"):
        model.assimilate(trajectory, [], hold=["right"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frame": 2.5}, "whole number as the frame \\(got 2.5\\)"),
        ({"frame": np.nan}, "whole number as the frame"),
        ({"frame": True}, "whole number as the frame"),
        ({"frame": "2"}, "the frame as real numbers"),
        ({"nodes": [1.5]}, r"whole numbers as ids of nodes \(got 1 others, the first is 1.5\)"),
        ({"nodes": [np.inf]}, "whole numbers as ids"),
        ({"nodes": ["a"]}, "the nodes as real numbers"),
        ({"nodes": []}, r"at least one node.*got shape \(0,\)"),
        ({"nodes": 3}, r"got shape \(\)"),
        ({"nodes": [[3]]}, r"got shape \(1, 1\)"),
        ({"nodes": np.zeros(9, bool)}, "9 times False"),
        ({"nodes": np.ma.array([3], mask=[True])}, "1 masked"),
        ({"values": {"u": np.ma.array([3.0], mask=[True])}}, "1 masked"),
        ({"values": {"u": [1j]}}, "measurements of 'u' as real numbers"),
        ({"values": {}}, "by the names of fields"),
        ({"values": [1.0]}, "by the names of fields"),
        ({"noise": np.inf}, "positive noise"),
        ({"noise": "a"}, "number as the noise"),
        ({"nodes": None, "points": [0.1, 0.2]}, r"shape \(d, m\)"),
        ({"nodes": None, "points": [[np.nan], [0.1]]}, "1 not finite"),
    ],
)
def test_measurements_of_another_kind_are_refused(options, message):
    with pytest.raises(FieldError, match=message):
        Observation(**({"frame": 1, "values": {"u": [1.0]}, "noise": 0.1, "nodes": [3]} | options))


def test_a_mask_is_a_mask_and_whole_floats_are_ids(observer):
    truth, forecast = shape(0.5), shape(0.45)
    mask = np.arange(N) % 7 == 3
    y = {"u": truth[mask, 0]}
    by_mask, by_ids, by_floats = (
        observer_ for observer_ in (Observation(2.0, y, 0.01, nodes=k) for k in
                                    (mask, np.flatnonzero(mask), np.flatnonzero(mask) * 1.0))
    )  # fmt: skip
    found = [Observer(CELLS, ("u",))(forecast, seen) for seen in (by_mask, by_ids, by_floats)]
    assert all(np.array_equal(found[0], f) for f in found) and not np.array_equal(found[0], forecast)
    assert by_mask.frame == 2 and len(by_mask) == mask.sum()
    with pytest.raises(FieldError, match=f"mask of {N} nodes .got one of {N + 1}"):
        observer(forecast, Observation(1, y, 0.01, nodes=np.r_[mask, False]))
    with pytest.raises(FieldError, match="1 others, the first is -1"):
        observer(forecast, Observation(1, {"u": [0.0]}, 0.01, nodes=[-1]))
    with pytest.raises(FieldError, match=r"points of shape \(2, m\) \(got \(3, 1\)\)"):
        observer(forecast, Observation(1, {"u": [0.0]}, 0.01, points=[[0.1], [0.1], [0.1]]))


def test_what_is_corrected_can_be_corrected_again():
    """One after the other is both at once, and what is known is part of the trajectory."""
    model = model_of()
    free = model.rollout(MESH, shape(0.5), 5, attributes=NU)
    first, second = measured(shape(0.4), 40, 1e-3, frame=2), measured(shape(0.3), 40, 1e-3, frame=4, seed=1)
    twice = model.assimilate(model.assimilate(free, [first], hold=["left"]), [second], hold="left")
    once = model.assimilate(free, [first, second], hold=["left"])
    assert twice.observations == (first, second) and twice.hold == ("left",) and free.observations == ()
    for a, b in zip(twice, once, strict=True):
        assert np.array_equal(a.values, b.values)
    assert not np.allclose(twice.last().values, model.assimilate(free, [first]).last().values)
    with pytest.raises(FieldError, match=f"nodes below {N}"):  # before anything is computed
        model.assimilate(free, [Observation(1, {"u": [0.0]}, 0.1, nodes=[N])])


def test_measurements_outside_the_mesh_are_refused(observer):
    outside = Observation(1, {"u": [1.0, 2.0]}, 0.1, points=np.array([[0.5, 3.0], [0.5, 0.5]]))
    with pytest.raises(FieldError, match="1 outside it, the first at.*3"):
        observer(shape(0.5), outside)


def test_what_is_no_observation_is_refused_by_number():
    model = model_of()
    free = model.rollout(MESH, shape(0.5), 2, attributes=NU)
    one = measured(shape(0.4), 20, 0.01)
    for wrong, words in (([one, 3], "3 as number 1 of 2"), (5, "5 as number 0 of 1")):
        with pytest.raises(FieldError, match=words):
            model.assimilate(free, wrong)
    alone, listed = (model.assimilate(free, seen).last().values for seen in (one, [one]))
    assert np.array_equal(alone, listed)
