"""How far steps may go, and how the descent uses that; coarse monitors; the choice on large meshes."""

from itertools import pairwise

import numpy as np
import pytest

import meshmove
from meshmove.adaptation import choice as select
from meshmove.geometry import Slide, facets_of
from meshmove.geometry.quality import simplex_volumes
from meshmove.monitors import CallableDensity
from meshmove.movers import Functional, MongeAmpere, Problem
from meshmove.movers.descent import minimise
from tests.shapes import box


def constant(x):
    return np.ones(x.shape[1])


def functional(mesh, rule="interior", m=constant):
    return Functional(mesh, CallableDensity(m, np.zeros(mesh.dim), 1.0), 0.01, rule)


@pytest.mark.parametrize("kind", ["triangle", "quad", "mixed 2-D"])
@pytest.mark.parametrize("seed", range(5))
def test_reach_is_where_the_first_corner_has_lost_its_share(kind, seed):
    mesh = box(kind, 4, jitter=0.2)
    step = np.random.default_rng(seed).normal(size=mesh.points.shape)
    t = functional(mesh).reach(mesh.points, step, (0.1,))
    simplices, _ = mesh.corners
    before = simplex_volumes(mesh.points, simplices)
    ratio = simplex_volumes(mesh.points + t * step, simplices) / before
    assert ratio.min() == pytest.approx(0.1, abs=1e-9)
    on_the_way = [simplex_volumes(mesh.points + s * t * step, simplices) / before for s in np.linspace(0, 0.999, 20)]
    assert np.min(on_the_way) > 0.1


def test_nothing_is_in_the_way_of_a_translation_or_a_growth():
    mesh = box("triangle", 3)
    assert functional(mesh).reach(mesh.points, np.ones_like(mesh.points)) == np.inf
    assert functional(mesh).reach(mesh.points, mesh.points) == np.inf


def test_in_space_reach_leaves_it_to_the_line_search():
    mesh = box("tetra", 2)
    assert functional(mesh).reach(mesh.points, -mesh.points) == np.inf


def test_descent_goes_to_the_reach_and_stops_there_when_asked():
    mesh = box("triangle", 6, jitter=0.3)
    slide = Slide(mesh, facets_of(mesh))
    e = functional(mesh, m=lambda x: 1 + 30 * np.exp(-200 * ((x[0] - 0.5) ** 2 + (x[1] - 0.5) ** 2)))
    far = 1e3  # a preconditioner that overshoots
    out = minimise(
        e, lambda g: far * g, slide, mesh.points, steps=20, scaled=False, reach=e.reach, short=0.9, opening=1.0
    )
    assert out.stale
    assert out.iterations == 1
    assert out.energy < e(mesh.points)[0]
    assert out.evaluations <= 12
    assert e.balance(out.points)[1].min() > 0


def test_no_step_takes_more_of_a_cell_than_is_said():
    """Descents of 1, 2, ... steps end at the iterates of a long one."""
    mesh = box("triangle", 6, jitter=0.3)
    slide = Slide(mesh, facets_of(mesh))
    e = functional(mesh, m=lambda x: 1 + 30 * np.exp(-200 * ((x[0] - 0.5) ** 2 + (x[1] - 0.5) ** 2)))
    simplices, _ = mesh.corners

    def smallest(kept):
        options = {"scaled": False, "reach": e.reach, "opening": 1.0, "kept": kept, "tolerance": 0.0}
        ends = [minimise(e, lambda g: 1e3 * g, slide, mesh.points, steps=k, **options).points for k in (1, 2, 3, 4)]
        volumes = [simplex_volumes(x, simplices) for x in (mesh.points, *ends)]
        return min((b / a).min() for a, b in pairwise(volumes))

    assert smallest(0.6) > 0.599
    assert smallest(0.0) < 0.5


def thin(x):
    """A ring much thinner than the cells of the mesh below."""
    return 1 + 20 * np.exp(-((np.hypot(x[0] - 0.5, x[1] - 0.5) - 0.3) ** 2) / 0.02**2)


@pytest.mark.parametrize("scaled", [True, False])
def test_each_gradient_is_lifted_once(scaled):
    """And descent goes as it does where every direction is lifted for itself, the lift being linear."""
    mesh = box("triangle", 6, jitter=0.3)
    slide = Slide(mesh, facets_of(mesh))
    e = functional(mesh, m=lambda x: 1 + 30 * np.exp(-200 * ((x[0] - 0.5) ** 2 + (x[1] - 0.5) ** 2)))
    lifts = []

    def lift(g):
        lifts.append(g)
        return 0.3 * g

    out = minimise(e, lift, slide, mesh.points, steps=12, tolerance=0.0, scaled=scaled)
    assert out.iterations == 12
    assert len(lifts) == 13
    assert out.energy < 0.7 * e(mesh.points)[0]


def test_a_monitor_that_hides_between_sample_points_is_sampled_more_finely():
    """With few points E sees a small imbalance where there is a large one."""
    mesh = box("triangle", 10, jitter=0.3)
    out = meshmove.adapt(mesh, monitor=thin)

    def spread(rule):
        e = functional(mesh, rule, thin)
        q, _ = e.balance(mesh.points + out.displacement)
        return np.sqrt((e.volume * (q - 1) ** 2).sum() / e.volume.sum())

    assert out.report.imbalance_after < 0.25 * out.report.imbalance_before
    assert out.report.imbalance_after == pytest.approx(spread("fine"), rel=1e-9)
    assert spread("fine") < 1.5 * spread("interior")


class Counted:
    """A mover that counts its calls and moves nothing, or one that moves."""

    name = "counted"

    def __init__(self, mover):
        self.calls, self._mover = 0, mover

    def __call__(self, problem: Problem):
        self.calls += 1
        return self._mover(problem)


def front(x):
    return np.tanh(20 * ((x[0] - 0.5) ** 2 + (x[1] - 0.5) ** 2 - 0.1))


def test_very_large_meshes_are_moved_once_and_not_made_worse(monkeypatch):
    mesh = box("triangle", 24)
    searched = meshmove.adapt(mesh, front, mover=Counted(MongeAmpere(distortion=0.05))).report
    monkeypatch.setattr(select, "HUGE", 100)
    mover = Counted(MongeAmpere(distortion=0.05))
    report = meshmove.adapt(mesh, front, mover=mover).report
    assert mover.calls == 1
    gain = report.predicted_error_before / report.predicted_error_after
    assert gain > 0.75 * searched.predicted_error_before / searched.predicted_error_after


def test_very_large_meshes_stay_where_no_intensity_helps(monkeypatch):
    monkeypatch.setattr(select, "HUGE", 10)
    mesh = box("triangle", 6)

    class Spoiler:
        name = "spoiler"

        def __call__(self, problem):
            points = problem.start.copy()
            inner = ~problem.slide.fixed
            points[inner] += 0.1 * (0.5 - points[inner]) * np.linalg.norm(points[inner] - 0.5, axis=1)[:, None]
            return meshmove.movers.Move(problem.slide.retract(points), 1)

    mover = Counted(Spoiler())
    out = meshmove.adapt(mesh, lambda x: (x**2).sum(axis=0), mover=mover)
    assert mover.calls == select.FIRST + 1
    assert np.abs(out.displacement).max() == 0
    assert out.report.predicted_error_after == out.report.predicted_error_before
