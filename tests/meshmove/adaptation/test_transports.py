"""Where cells are aligned from: one transport, or two where that was stopped."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from meshmove.adaptation.choice import TRANSPORT, Trials, nodal_densities, transports
from meshmove.geometry import PointLocator, Slide, facets_of
from meshmove.monitors import Monitor, NodalDensity
from meshmove.movers import MongeAmpere, Move, Problem
from meshmove.movers.run import Run
from tests.shapes import box, bump

MONITOR = Monitor("hessian", exponent=0.5, smoothing=0)


@dataclass
class Told:
    """A mover that goes where it is told to, and writes down from where."""

    step: float
    met: bool
    name: str = "told"
    starts: list = field(default_factory=list)

    def __call__(self, problem):
        self.starts.append(problem.start.copy())
        away = np.abs(problem.mesh.points - 0.5).max(axis=1, keepdims=True) < 0.499
        return Move(problem.start + self.step * away, 1, judged=True, met=self.met)


class Predicted:
    """1 at rest, and less the further nodes went, or more."""

    rest = 1.0

    def __init__(self, mesh, slope):
        self.mesh, self.slope = mesh, slope

    def __call__(self, points):
        return 1.0 + self.slope * np.abs(points - self.mesh.points).max()


def led(mover, thorough, slope, effort=1.0):
    mesh = box("triangle", 6)
    facets = facets_of(mesh)
    slide = Slide(mesh, facets)

    def problem(density, start, effort, predict):
        return Problem(mesh, facets, slide, density, start, effort, True, predict)

    densities = nodal_densities(bump(mesh.points.T), mesh, PointLocator(mesh))
    trials = Trials(densities, Predicted(mesh, slope), problem, mover, mesh.points, effort, mesh.n_points)
    return mesh, transports(MONITOR, trials, thorough)


def test_a_transport_that_arrives_is_the_only_place_to_align_from():
    mover, thorough = Told(0.01, True), Told(0.02, True)
    mesh, leads = led(mover, thorough, -1.0)
    assert len(leads) == 1
    assert not thorough.starts
    assert leads[0].monitor.intensity == TRANSPORT[0]
    assert np.abs(leads[0].move.points - mesh.points).max() == pytest.approx(0.01)


def test_a_quick_move_goes_as_far_as_it_can_at_once():
    mover, thorough = Told(0.01, False), Told(0.02, True)
    _, leads = led(mover, thorough, -1.0, effort=0.3)
    assert len(leads) == 1 and not thorough.starts and len(mover.starts) == 1
    assert leads[0].monitor.intensity == TRANSPORT[0]


def test_effort_bounds_the_steps_where_relaxation_stalls(monkeypatch):
    mesh = box("triangle", 4)
    facets = facets_of(mesh)
    density = NodalDensity(1 + mesh.points[:, 0], PointLocator(mesh))
    tried: list[int] = []

    def stalled(self, functional, steps, start):
        self.iterations += steps
        tried.append(steps)
        return start, 0.9

    monkeypatch.setattr(Run, "_relax", stalled)
    for effort, expected in ((0.1, [10] * 3), (0.3, [10] * 5), (1.0, [25] + [20] * 4)):
        tried.clear()
        problem = Problem(mesh, facets, Slide(mesh, facets), density, mesh.points, effort, True)
        move = MongeAmpere(rough=True)(problem)
        assert not move.met and np.array_equal(move.points, mesh.points)
        assert tried == expected


def test_where_it_is_stopped_it_goes_on_and_the_better_of_two_judged_moves_is_another_place():
    mover, thorough = Told(0.01, False), Told(0.02, True)
    mesh, leads = led(mover, thorough, -1.0)
    on, judged = leads
    assert on.monitor.intensity == TRANSPORT[1]
    assert on.move.iterations == 2
    assert np.abs(on.move.points - mesh.points).max() == pytest.approx(0.02)
    # the second judged move begins where the first led to, which was better than the mesh at rest, and is better still
    assert len(thorough.starts) == 2
    assert np.abs(thorough.starts[1] - mesh.points).max() == pytest.approx(0.02)
    assert judged.monitor.intensity == TRANSPORT[1]
    assert judged.error == pytest.approx(0.96)
    assert np.abs(judged.move.points - mesh.points).max() == pytest.approx(0.04)


def test_a_judged_move_that_is_worse_is_none_and_there_is_no_second():
    mover, thorough = Told(0.01, False), Told(0.02, True)
    _, (on, judged) = led(mover, thorough, 1.0)
    assert len(thorough.starts) == 1
    assert on.move is not None
    assert judged.move is None
    assert judged.error == 1.0
