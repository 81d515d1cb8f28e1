"""Numbers at the ends of float64, and options of `Monitor` that are none: right answers, or errors that say why."""

import numpy as np
import pytest
import skfem

import meshmove
from meshmove import Monitor, MonitorError
from meshmove.monitors import CallableDensity, optimal_exponent
from meshmove.monitors.standard import Standard
from tests.shapes import box, bump

MESH = skfem.MeshTri().refined(3)
FIELD = np.tanh(8 * (MESH.p[0] + 0.6 * MESH.p[1] - 0.8))


# -- fields -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["hessian", "gradient", "curvature"])
def test_a_power_of_two_changes_nothing_and_a_constant_next_to_nothing(kind):
    here = meshmove.adapt(MESH, FIELD, monitor=kind, effort=0.3)
    for unit in (-1.0, 2.0**-400, 2.0**400):
        there = meshmove.adapt(MESH, unit * FIELD, monitor=kind, effort=0.3)
        np.testing.assert_array_equal(there.mesh.p, here.mesh.p)
        assert there.report.predicted_error_after == abs(unit) * here.report.predicted_error_after
    there = meshmove.adapt(MESH, FIELD + 100, monitor=kind, effort=0.3)
    np.testing.assert_allclose(there.mesh.p, here.mesh.p, atol=1e-4)


@pytest.mark.parametrize("scale", [1e-300, 5e-310, 1e300, 8e307])
def test_fields_at_the_ends_of_the_range_keep_their_shape(scale):
    field = Standard.of(scale * FIELD)
    plain = Standard.of(FIELD)
    shape = np.ldexp(field.values, field.exponent - int(np.floor(np.log2(scale))))
    np.testing.assert_allclose(shape / np.ptp(shape), plain.values / np.ptp(plain.values), atol=1e-9)
    assert np.abs(field.values).max() < 2
    indicator = Monitor("curvature").indicator(
        meshmove.monitors.Recovery(box("triangle", 8)), scale * np.linspace(-1, 1, 81)
    )
    assert np.isfinite(indicator).all()


def test_a_field_that_is_lost_in_its_offset_says_so():
    report = meshmove.adapt(MESH, FIELD + 1e15, effort=0.3).report
    assert report.max_displacement == 0 and "up to rounding" in report.warnings[0]
    assert Standard.of(np.full(5, 1e308)).values.tolist() == [0.0] * 5


# -- functions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", [1e-300, 1e300])
def test_the_unit_of_a_monitor_function_does_not_matter(unit):
    here, there = (meshmove.adapt(MESH, monitor=lambda x, u=u: u * bump(x), effort=0.3) for u in (1.0, unit))
    np.testing.assert_allclose(there.mesh.p, here.mesh.p, atol=1e-8)


def test_the_smallest_positive_constant_is_a_constant():
    report = meshmove.adapt(MESH, monitor=lambda x: np.full(x.shape[1], 5e-324)).report
    assert report.max_displacement == 0 and "constant" in report.warnings[0]


def test_values_too_far_apart_are_refused():
    with pytest.raises(MonitorError, match=r"within a factor of 1e\+150 of each other \(got 4.94e-324 to 1\)"):
        meshmove.adapt(MESH, monitor=lambda x: np.where(x[0] < 0.5, 5e-324, 1.0))


def test_difference_quotients_never_ask_beyond_the_mesh():
    # a function may be undefined there
    asked = []

    def m(x):
        asked.append(x.copy())
        return 1 + x[0] ** 2 + x[1]

    low, high = np.array([2.0, 5.0]), np.array([6.0, 8.0])
    density = CallableDensity(m, (low + high) / 2, 4.0)
    rim = np.array([[-0.5, 0.5, 0.5, -0.5, 0.0, 0.2], [-0.375, -0.375, 0.375, 0.375, 0.375, 0.0]])
    value, gradient = density.value_and_gradient(rim)
    every = np.concatenate(asked, axis=1)
    assert len(asked) == 3 and (every.min(axis=1) >= low).all() and (every.max(axis=1) <= high).all()
    x = (low + high)[:, None] / 2 + 4 * rim
    unit = value[0] / (1 + x[0, 0] ** 2 + x[1, 0])
    np.testing.assert_allclose(gradient / unit, 4 * np.stack([2 * x[0], np.ones(6)]), rtol=1e-5)


# -- options ----------------------------------------------------------------------------------------------------------

BAD = [
    {"intensity": "a"}, {"intensity": -1}, {"intensity": np.nan}, {"intensity": 10**400}, {"intensity": 1e308},
    {"intensity": [1.0]}, {"intensity": np.ones(1)}, {"intensity": 1j}, {"intensity": True},
    {"exponent": "b"}, {"exponent": -0.5}, {"exponent": 1e308}, {"exponent": (1,)},
    {"smoothing": "x"}, {"smoothing": 2.5}, {"smoothing": -1}, {"smoothing": 10**6}, {"smoothing": 10**400},
    {"smoothing": np.nan}, {"smoothing": np.inf},
    {"bounds": 5}, {"bounds": (1,)}, {"bounds": (1, 2, 3)}, {"bounds": ("a", "b")}, {"bounds": "ab"},
    {"bounds": (2, 1)}, {"bounds": (0, 1)}, {"bounds": (0.1, np.nan)}, {"bounds": (0.1, None)},
    {"kind": 5}, {"kind": None}, {"kind": ["hessian"]},
]  # fmt: skip


@pytest.mark.parametrize("options", BAD, ids=str)
def test_options_that_are_none_are_named(options):
    with pytest.raises(ValueError, match=r"Expected .*\(got ") as caught:
        Monitor(**options)
    assert len(str(caught.value)) < 250


def test_options_of_numpy_are_numbers():
    monitor = Monitor(
        intensity=np.float32(2), exponent=np.int64(1), smoothing=np.int8(3), bounds=np.array([0.5, np.inf])
    )
    m = monitor.values(box("triangle", 4), np.arange(25.0))
    assert np.isfinite(m).all() and m.min() > 0


@pytest.mark.parametrize("kind", ["triangle", "tetra"])
def test_the_hessian_s_default_exponent_is_the_optimal_one_and_that_of_the_others_is_one(kind):
    mesh = box(kind, 3)
    s = np.random.default_rng(0).uniform(0.1, 1, mesh.n_points)
    for name, exponent in (("hessian", optimal_exponent(mesh.dim)), ("curvature", 1.0), ("gradient", 1.0)):
        given = Monitor(name, intensity=5, exponent=exponent, smoothing=0).values(mesh, s)
        np.testing.assert_array_equal(Monitor(name, intensity=5, smoothing=0).values(mesh, s), given)
