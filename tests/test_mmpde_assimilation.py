"""Measurements keep a rollout on track; without them nothing changes."""

import numpy as np
import pytest
import skfem
from mmpde_cases import model_of

from meshmove.geometry import FieldError
from meshmove.inputs import Source
from meshmove.solvers.mmpde import Observation
from meshmove.solvers.mmpde.assimilation import Observer

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


def test_measurements_outside_the_mesh_are_refused(observer):
    outside = Observation(1, {"u": [1.0, 2.0]}, 0.1, points=np.array([[0.5, 3.0], [0.5, 0.5]]))
    with pytest.raises(FieldError, match="1 outside it, the first at.*3"):
        observer(shape(0.5), outside)
