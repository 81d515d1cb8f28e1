"""Small safeguards of the movers, each seen at work by itself."""

import numpy as np
import pytest
import skfem

import meshmove
from meshmove.geometry import CellMesh, Slide, facets_of
from meshmove.monitors import CallableDensity
from meshmove.movers import Functional, MongeAmpere, Problem
from meshmove.movers.descent import minimise
from meshmove.movers.descent.relaxation import relax
from meshmove.movers.objectives.edge_limit import LIMIT, STIFFNESS, EdgeLimit
from meshmove.movers.run import Run
from tests.shapes import box


def problem_of(mesh, m):
    facets = facets_of(mesh)
    density = CallableDensity(m, np.zeros(mesh.dim), 1.0)
    return Problem(mesh, facets, Slide(mesh, facets), density, mesh.points)


# -- the line search --------------------------------------------------------------------------------------------------


def distance(mesh):
    """The squared distance of all nodes from where they would be a little further on."""
    aim = mesh.points + 0.01
    return lambda points: (float(((points - aim) ** 2).sum()), 2 * (points - aim))


@pytest.mark.parametrize("overshoot", [1.05, 3.0, 30.0])
def test_a_step_that_raises_the_energy_is_not_taken(overshoot):
    mesh = box("triangle", 4)
    slide = Slide(mesh, facets_of(mesh))
    energy = distance(mesh)
    inner = slide.gather(np.ones_like(mesh.points)) != 0
    rest = float((energy(mesh.points)[1][~inner] ** 2).sum() / 4)  # what nodes on the boundary cannot give up
    before = energy(mesh.points)[0]
    for steps in range(1, 6):
        # the full step goes `overshoot` times as far as to the minimum: beyond twice that, up
        out = minimise(energy, lambda g: overshoot * g / 2, slide, mesh.points, steps=steps, opening=1.0)
        assert out.energy <= before
        before = out.energy
    assert before < rest + 0.2 * (energy(mesh.points)[0] - rest)


@pytest.mark.parametrize("seed", range(5))
def test_the_energy_never_rises_along_a_rugged_descent(seed):
    mesh, rng = box("triangle", 3), np.random.default_rng(seed)
    slide = Slide(mesh, facets_of(mesh))
    waves, aim = rng.uniform(20, 60, mesh.points.shape), mesh.points + rng.uniform(-0.1, 0.1, mesh.points.shape)
    seen = []

    def energy(points):
        off = points - aim
        value = float((off**2 + 0.01 * (1 - np.cos(waves * off))).sum())
        seen.append(value)
        return value, 2 * off + 0.01 * waves * np.sin(waves * off)

    before = np.inf
    for steps in range(0, 16):
        out = minimise(energy, lambda g: 3 * g, slide, mesh.points, steps=steps, tolerance=0.0, absolute=True)
        assert out.energy <= before and out.energy == energy(out.points)[0]
        before = out.energy
    assert max(np.diff(seen)) > 0  # there were steps that would have raised it


@pytest.mark.parametrize("close", [0.1, 0.01, 1e-4])
def test_descent_ends_where_little_is_left_to_gain_and_not_where_one_step_gained_little(close):
    mesh = box("triangle", 4)
    slide = Slide(mesh, facets_of(mesh))
    weight = np.linspace(1, 300, mesh.points.size).reshape(mesh.points.shape)
    inner = slide.gather(np.ones_like(mesh.points)) != 0

    def energy(points):
        off = np.where(inner, points - mesh.points - 0.01, 0)
        return 1e-3 + float((weight * off**2).sum()), 2 * weight * off

    # of which the first step, by a model that is far too stiff, gains less than a hundredth
    options = {"steps": 60, "tolerance": 1e-9, "close": close}
    first = minimise(energy, lambda g: 1e-6 * g, slide, mesh.points, steps=1)
    assert 0 < energy(mesh.points)[0] - first.energy < 0.01 * first.energy
    out = minimise(energy, lambda g: 1e-6 * g, slide, mesh.points, **options)
    assert 1e-3 <= out.energy < 1e-3 * (1 + 4 * close) and out.iterations < 60


# -- the edge limit ---------------------------------------------------------------------------------------------------


def test_an_edge_may_be_half_as_long_again_for_free_and_pays_for_more():
    points = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
    limit = EdgeLimit(points, np.array([[0, 1], [1, 2]]), volume=0.1)
    assert limit(points * LIMIT)[0] == pytest.approx(0, abs=1e-20)
    energy, force = limit(2 * LIMIT * points)  # both twice as long as is free
    assert energy == pytest.approx(2 * 0.1 * STIFFNESS * 9)
    assert limit.stretch(2 * LIMIT * points) == pytest.approx(2 * LIMIT)
    assert force[0, 0] < 0 < force[2, 1]  # descent draws the ends together


def test_the_functional_counts_long_edges_of_curved_boundaries():
    mesh = box("triangle", 3)
    density = CallableDensity(lambda x: np.ones(x.shape[1]), np.zeros(2), 1.0)
    edges = mesh.edges[:4]
    plain = Functional(mesh, density)
    limited = Functional(mesh, density, curved_edges=edges)
    points = 2 * mesh.points
    penalty, force = EdgeLimit(mesh.points, edges, float(plain.volume.mean()))(points)
    assert penalty > 0
    assert limited(points)[0] == pytest.approx(plain(points)[0] + penalty)
    np.testing.assert_allclose(limited(points)[1], plain(points)[1] + force)


def test_edges_of_a_circle_are_not_drawn_out():
    """A monitor that wants two nodes of the circle far apart: with the limit no edge grows to twice its length."""
    mesh = skfem.MeshTri.init_circle(3)
    ends = mesh.facets[:, mesh.boundary_facets()]

    def lengths(m):
        return np.linalg.norm(m.p[:, ends[0]] - m.p[:, ends[1]], axis=0)

    out = meshmove.adapt(mesh, monitor=lambda x: 1 + 60 * np.exp(-30 * ((x[0] + 0.9) ** 2 + x[1] ** 2)))
    ratio = lengths(out.mesh) / lengths(mesh)
    assert ratio.min() < 0.6  # they are drawn together where the monitor is large
    assert ratio.max() < 1.25 * LIMIT


@pytest.mark.parametrize("strength", [5, 10])
def test_a_hole_far_from_the_feature_does_not_stall_the_relaxation(tmp_path, strength):
    gmsh = pytest.importorskip("gmsh", exc_type=ImportError)
    gmsh.initialize()
    gmsh.option.setNumber("General.Terminal", 0)
    occ = gmsh.model.occ
    occ.cut([(2, occ.addRectangle(0, 0, 0, 2, 1))], [(2, occ.addDisk(0.3, 0.3, 0, 0.08, 0.08))])
    occ.synchronize()
    gmsh.option.setNumber("Mesh.MeshSizeMin", 0.05)
    gmsh.option.setNumber("Mesh.MeshSizeMax", 0.05)
    gmsh.model.mesh.generate(2)
    gmsh.write(str(tmp_path / "plate.msh"))
    gmsh.finalize()
    read = meshmove.load(tmp_path / "plate.msh")
    mesh = CellMesh.single(read.points[:, :2].copy(), read.cells_dict["triangle"], "triangle")
    problem = problem_of(mesh, lambda x: 1 + strength / np.cosh(20 * (np.hypot(x[0] - 1, x[1] - 0.5) - 0.35)) ** 2)
    run = Run(MongeAmpere(), problem)
    far = relax(run.full, run.forces, run.lift.solve, problem.slide, problem.start)
    assert far.residual < 0.15 * far.initial  # 0.01 and 0.04; 0.5 and 0.9 where the limit to edges is too stiff for it


# -- a spike that hides between sample points -------------------------------------------------------------------------


def test_a_mesh_that_hides_the_monitor_between_its_sample_points_is_not_taken_for_a_better_one():
    mesh = box("triangle", 4)
    x, _ = mesh.blocks[0].kind.quadrature(5)
    cell = mesh.points[mesh.blocks[0].nodes[9]]
    spot = cell[0] + (cell[1:] - cell[0]).T @ x[:, 0]

    def spike(y):
        return 1 + 1e3 * np.exp(-(((y - spot[:, None]) / 0.004) ** 2).sum(axis=0))

    problem = problem_of(mesh, spike)
    inner = (np.abs(mesh.points - 0.5) < 0.49).all(axis=1)
    hidden = mesh.points + 0.02 * inner[:, None] * np.array([1.0, 0.6])
    assert problem.valid(hidden) and problem.imbalance(hidden) < 0.5 * problem.imbalance(mesh.points)
    run = Run(MongeAmpere(), problem)
    assert not run.consider(hidden)
    assert run.best is problem.start
    # the same look at a monitor that does not vanish
    open_ = problem_of(mesh, lambda y: 1 + 3 * y[0])
    run = Run(MongeAmpere(), open_)
    better = mesh.points + 0.05 * inner[:, None] * np.array([1.0, 0.0])
    assert open_.imbalance(better) < open_.imbalance(mesh.points) and run.consider(better)
