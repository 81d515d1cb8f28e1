"""Transport before the rounds: valid, towards the monitor, and no further than it helps."""

from __future__ import annotations

import numpy as np
import pytest

from meshmove.geometry import CellMesh, PointLocator, Slide, facets_of
from meshmove.monitors import NodalDensity
from meshmove.movers import Problem
from meshmove.neural.aligning.meshes.drawn import make_meshes, uniform_square
from meshmove.neural.aligning.samples import groups
from meshmove.neural.aligning.transport import carried, steep


def problem(mesh: CellMesh, monitor, **options) -> Problem:
    facets = facets_of(mesh)
    density = NodalDensity(monitor(mesh.points), PointLocator(mesh))
    return Problem(mesh, facets, Slide(mesh, facets, **options), density, mesh.points, discrete=True)


def peak(x):
    return 1 + 200 * np.exp(-((x - 0.1) ** 2).sum(1) / 0.05**2)


@pytest.mark.parametrize("mesh", [uniform_square(20), *make_meshes(3, (150, 250), 4)], ids=lambda m: str(m.n_points))
def test_cells_are_carried_to_a_peak_and_none_is_inverted(mesh):
    given = problem(mesh, peak)
    points = carried(given)
    assert given.admissible(points)
    assert given.imbalance(points) < 0.8 * given.imbalance(mesh.points)


def test_a_constant_monitor_carries_nothing_and_is_not_steep():
    given = problem(uniform_square(9), lambda x: 1 + 0 * x[:, 0])
    assert np.allclose(carried(given), given.start, atol=1e-12) and not steep(given)
    assert steep(problem(uniform_square(20), peak))


def test_nodes_that_are_held_stay():
    mesh = uniform_square(12)
    held = np.flatnonzero(mesh.points[:, 0] > 0.3)
    points = carried(problem(mesh, peak, fixed=held))
    assert np.array_equal(points[held], mesh.points[held]) and np.abs(points - mesh.points).max() > 1e-3


def test_starts_are_made_once_and_are_at_rest_where_nothing_is_steep(tmp_path, monkeypatch):
    meshes = list(make_meshes(3, (120, 160), 1))
    options = {"nodes": 200, "fields": 4, "seed": 5}
    kept = {kind: {"kinds": [kind], "kept": tmp_path / f"{kind}.npz", **options} for kind in ("thin", "modes")}
    made = {kind: groups(meshes, **more) for kind, more in kept.items()}
    monkeypatch.setattr("meshmove.neural.aligning.samples.carried", None)
    monkeypatch.setattr("meshmove.neural.aligning.samples.steep", None)
    moved = {"thin": 0, "modes": 0}
    for kind, more in kept.items():
        read = groups(meshes, **more)
        assert len(made[kind]) == len(read) == 2
        for a, b in zip(made[kind], read, strict=True):
            for k in range(4):
                which = k + 0 * a.batch.total.long()
                x, y = a.carried(which), b.carried(which)
                assert bool((x == y).all()) and bool((a.batch.ratio(x) > 0).all())
                moved[kind] += bool((x != a.batch.points).any())
    assert moved["thin"] > moved["modes"]
