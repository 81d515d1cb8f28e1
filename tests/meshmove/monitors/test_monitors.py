"""Monitors: parameters, exponents, smoothing, bounds, several fields, and the automatic choice."""

import numpy as np
import pytest

import meshmove
from meshmove import Monitor, MonitorError
from meshmove.adaptation.choice import Predictor, choose
from meshmove.geometry import PointLocator
from meshmove.geometry.quality import vertex_volumes
from meshmove.monitors import NodalDensity, Recovery, optimal_exponent, solution_error
from meshmove.monitors.monitor import smoother
from tests.shapes import ALL_KINDS, box, bump, front, turn

every_kind = pytest.mark.parametrize("kind", ALL_KINDS)


def indicator(monitor, mesh, *fields):
    return monitor.indicator(Recovery(mesh), np.stack(fields, axis=1))


@every_kind
@pytest.mark.parametrize("name", ["hessian", "gradient", "curvature"])
def test_indicators_have_mean_one_and_forget_the_field_s_unit(kind, name):
    mesh = box(kind, 5, jitter=0.1)
    u = np.sin(4 * mesh.points[:, 0]) * np.cos(3 * mesh.points[:, 1])
    s = indicator(Monitor(name), mesh, u)
    assert s.mean() == pytest.approx(1) and s.min() >= 0
    np.testing.assert_allclose(indicator(Monitor(name), mesh, -1e5 * u), s, rtol=1e-8, atol=1e-9)


@every_kind
def test_a_gradient_and_a_hessian_are_exact_for_linear_and_quadratic_fields(kind):
    mesh = box(kind, 4)
    x = mesh.points
    np.testing.assert_allclose(indicator(Monitor("gradient"), mesh, x @ np.arange(1.0, mesh.dim + 1)), 1, rtol=1e-9)
    quadratic = (x**2).sum(axis=1) + x[:, 0] * x[:, 1]
    np.testing.assert_allclose(indicator(Monitor("hessian"), mesh, quadratic), 1, rtol=1e-8)


def test_nothing_depends_on_the_frame():
    mesh = box("triangle", 8, jitter=0.2)
    u = bump(mesh.points.T)
    for name in ("hessian", "gradient", "curvature"):
        scale = 1.0 if name == "curvature" else 1e6  # of the graph of u: `adapt` hands it a domain of unit size
        other = mesh.moved(scale * mesh.points @ turn(0.7).T)
        a, b = indicator(Monitor(name), mesh, u), indicator(Monitor(name), other, u)
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_fields_without_any_detail_have_no_indicator():
    mesh = box("quad", 4)
    assert not indicator(Monitor("gradient"), mesh, np.full(25, 1e9)).any()
    m = Monitor("gradient", intensity=5).values(mesh, np.zeros(25))
    np.testing.assert_array_equal(m, 1)


def test_several_fields_count_by_their_largest_indicator():
    mesh = box("triangle", 10)
    u, v = front(mesh.points.T), 1e6 * front(mesh.points.T[::-1])
    one, other = indicator(Monitor("hessian"), mesh, u), indicator(Monitor("hessian"), mesh, v)
    np.testing.assert_allclose(indicator(Monitor("hessian"), mesh, u, v), np.maximum(one, other))


@every_kind
def test_the_definition_of_the_monitor(kind):
    mesh = box(kind, 4, jitter=0.15)
    s = np.random.default_rng(0).uniform(size=mesh.n_points)
    w = vertex_volumes(mesh)
    assert w.sum() == pytest.approx(1)
    for p in (0.5, 1.0, 2.0):
        power = s**p
        expected = 1 + 7 * power / ((w * power).sum() / w.sum())
        m = Monitor("hessian", intensity=7, exponent=p, smoothing=0).values(mesh, s)
        np.testing.assert_allclose(m, expected)
        assert (w * m).sum() / w.sum() == pytest.approx(8)
    arc = Monitor("gradient", intensity=7, smoothing=0).values(mesh, s)
    np.testing.assert_allclose(arc, np.sqrt(1 + 7 * s**2 / ((w * s**2).sum() / w.sum())))


@every_kind
def test_open_exponents_are_the_optimal_one_of_the_hessian_and_one_of_the_others(kind):
    mesh = box(kind, 4, jitter=0.15)
    s = np.random.default_rng(0).uniform(size=mesh.n_points)
    best = {"hessian": optimal_exponent(mesh.dim), "gradient": 1.0, "curvature": 1.0}
    for name, p in best.items():
        found = Monitor(name, intensity=7).values(mesh, s)
        np.testing.assert_array_equal(found, Monitor(name, intensity=7, exponent=p).values(mesh, s))
    assert (
        np.ptp(Monitor("hessian", intensity=7, exponent=1.0).values(mesh, s) - Monitor(intensity=7).values(mesh, s))
        > 0.1
    )


@pytest.mark.parametrize("dim", [2, 3])
def test_the_choice_tries_the_optimal_exponent_and_a_gentler_one(dim):
    tried = []

    class Trials:
        huge = False

        def along_intensity(self, monitor):
            tried.append(monitor)

        def trial(self, monitor):
            tried.append(monitor)

        def finished(self):
            return tried

    choose(Monitor(), Trials(), dim)
    best = optimal_exponent(dim)
    assert [m.exponent for m in tried] == pytest.approx([0.6 * best, best, best])
    tried.clear()
    choose(Monitor("hessian", exponent=0.7), Trials(), dim)
    assert [m.exponent for m in tried] == [0.7]


def test_intensity_zero_is_a_constant():
    mesh = box("triangle", 4)
    for name in ("hessian", "gradient", "curvature"):
        np.testing.assert_array_equal(Monitor(name, intensity=0).values(mesh, np.arange(25.0)), 1)


def test_bounds_are_relative_to_the_mean():
    mesh = box("quad", 8)
    s = np.exp(-50 * ((mesh.points - 0.5) ** 2).sum(axis=1))
    w = vertex_volumes(mesh)
    free = Monitor("hessian", intensity=20, exponent=1).values(mesh, s)
    mean = (w * free).sum() / w.sum()
    m = Monitor("hessian", intensity=20, exponent=1, bounds=(0.5, 3)).values(mesh, s)
    np.testing.assert_allclose(m, np.clip(free, 0.5 * mean, 3 * mean))
    assert m.max() < free.max() and m.min() > free.min()


@every_kind
def test_smoothing_keeps_constants_and_evens_out(kind):
    mesh = box(kind, 4)
    sweep = smoother(mesh)
    np.testing.assert_allclose(sweep @ np.ones(mesh.n_points), 1)
    s = np.random.default_rng(0).uniform(size=mesh.n_points)
    spread = [np.ptp(Monitor("hessian", intensity=5, exponent=1, smoothing=k).values(mesh, s)) for k in (0, 1, 4)]
    assert spread[0] > spread[1] > spread[2]
    assert (sweep @ s).min() >= s.min() and (sweep @ s).max() <= s.max()


@pytest.mark.parametrize("dim", [2, 3])
def test_the_exponent_is_the_one_with_the_least_l2_error(dim):
    # cells of volume 1/m with error h^2 |H|: minimise sum of |K| h^4 |H|^2 at a given integral of m
    h = np.exp(np.linspace(-3, 3, 101))

    def error(p):
        m = h**p / np.mean(h**p)
        return np.mean(m ** (-4 / dim) * h**2)

    best = optimal_exponent(dim)
    assert best == pytest.approx(2 * dim / (dim + 4))
    assert error(best) < min(error(best - 0.02), error(best + 0.02))


def test_densities_at_nodes_must_be_positive():
    locator = PointLocator(box("triangle", 2))
    for bad in (0.0, -1.0, np.nan, np.inf):
        values = np.ones(9)
        values[[4, 7]] = bad
        with pytest.raises(MonitorError, match=r"positive, finite monitor values \(got others at vertices 4, 7\)"):
            NodalDensity(values, locator)


# -- the automatic choice ---------------------------------------------------------------------------------------------


@every_kind
def test_the_prediction_on_the_mesh_itself_is_that_of_its_hessian(kind):
    mesh = box(kind, 3)
    u = np.sin(3 * mesh.points[:, 0])
    recovery = Recovery(mesh)
    predict = Predictor(mesh, recovery, u[:, None], PointLocator(mesh))
    assert predict.rest == pytest.approx(solution_error(mesh, recovery.hessian(u)))
    assert predict(mesh.points) == pytest.approx(predict.rest, rel=1e-9)


@pytest.mark.parametrize("name", ["hessian", "gradient", "curvature"])
@pytest.mark.parametrize("kind", ["triangle", "quad", "tetra"])
def test_the_choice_lowers_the_prediction_or_stays(name, kind):
    mesh = box(kind, {"triangle": 8, "quad": 5, "tetra": 3}[kind], jitter=0.1)
    fields = {
        "front": front(mesh.points.T),
        "bump": bump(mesh.points.T),
        "noise": np.random.default_rng(0).normal(size=mesh.n_points),
        "two": np.c_[front(mesh.points.T), 1e3 * bump(mesh.points.T)],
        "step": (mesh.points[:, 0] > 0.5).astype(float),
        "corner": np.hypot(*mesh.points.T[:2]) ** 0.5,
    }
    for what, u in fields.items():
        out = meshmove.adapt(mesh, u, monitor=name, effort=0.2)
        r = out.report
        assert r.predicted_error_after <= r.predicted_error_before, what
        assert r.monitor.startswith(name) and "intensity" in r.monitor
        if what == "front" and name == "hessian" and mesh.dim == 2:
            assert r.predicted_error_after < 0.8 * r.predicted_error_before


def test_an_intensity_that_is_given_is_kept():
    mesh = box("triangle", 8)
    out = meshmove.adapt(mesh, front, monitor=Monitor("hessian", intensity=3, exponent=0.5))
    assert out.report.monitor == "hessian, intensity 3, exponent 0.5"
    out = meshmove.adapt(mesh, front, monitor=Monitor("hessian", exponent=0.6))
    assert "exponent 0.6" in out.report.monitor
