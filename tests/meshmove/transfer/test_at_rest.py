"""Laws of what is known on the mesh in use and taken to the mesh at rest."""

import numpy as np
import pytest
import skfem

from meshmove import MovingMesh
from meshmove.geometry import CellMesh, Sides
from meshmove.monitors import Monitor, smoother
from meshmove.transfer.at_rest import AtRest
from tests.shapes import box


def moved(points, by=0.04):
    inside = ((points > 0.001) & (points < 0.999)).all(axis=1)
    return points + np.where(inside[:, None], by * np.sin(2 * np.pi * points) * np.cos(np.pi * points[:, ::-1]), 0)


@pytest.mark.parametrize("kind", ["triangle", "quad", "tetra"])
def test_linear_values_in_use_are_themselves_at_rest(kind):
    mesh = box(kind, 5)
    known, points = AtRest(mesh, Sides.of(mesh)), moved(mesh.points)
    slope = np.arange(1.0, mesh.dim + 1)
    home = known.home(points)
    for where in (home, known.home(points, home)):
        assert np.allclose(known.seen(points @ slope + 2, where), mesh.points @ slope + 2, atol=1e-12)


def test_values_stay_on_their_side_of_an_interface():
    mesh = box("triangle", 8)
    cells = mesh.points[mesh.blocks[0].nodes].mean(axis=1)
    mesh = CellMesh.single(mesh.points, mesh.blocks[0].nodes, "triangle", regions=(cells[:, 0] > 0.5).astype(int))
    sides = Sides.of(mesh)
    points = mesh.points.copy()
    on = np.flatnonzero(np.isclose(points[:, 0], 0.5))
    points[on, 1] += 0.05 * np.sin(np.pi * points[on, 1])  # nodes glide along the interface
    right = sides.part == sides.part[np.argmax(sides.mesh.points[:, 0])]
    known = AtRest(mesh, sides)
    assert np.array_equal(known.seen(np.where(right, 5.0, 1.0), known.home(points)), np.where(right, 5.0, 1.0))


def test_the_monitor_does_not_see_how_nodes_have_moved():
    """That of a linear indicator is the same from the mesh in use as from the one at rest."""
    mesh = box("triangle", 12)
    known, smooth, monitor = AtRest(mesh, Sides.of(mesh)), smoother(mesh), Monitor("hessian", 10.0, 1.0)

    def of(points):
        return known.monitor(monitor, points @ [1.0, 2.0] + 0.5, smooth, known.home(points))

    assert np.allclose(of(moved(mesh.points)), of(mesh.points), rtol=1e-12)


def grid(n):
    return skfem.MeshTri.init_tensor(*[np.linspace(0, 1, n + 1)] * 2)


@pytest.mark.parametrize("objective", ["alignment", "equidistribution"])
def test_a_mesh_that_follows_what_stands_comes_to_rest(objective):
    """With a time constant that is held: what nodes see of themselves made them go at 0.3 to 0.5 for ever."""

    def bump(x):
        return np.exp(-80 * ((x[0] - 0.4) ** 2 + (x[1] - 0.5) ** 2))

    moving = MovingMesh(grid(16), tau=0.05, objective=objective)
    moving.start(bump)
    speeds = [moving.step(bump, 0.02).report.largest_speed for _ in range(160)]
    assert max(speeds[-10:]) < 0.03


def test_a_front_thinner_than_cells_at_rest_is_followed():
    def front(t):
        return lambda x: np.tanh(150 * ((x[0] + 0.5 * x[1]) / np.sqrt(1.25) - 0.3 - 0.8 * t))

    def error(mesh, u):
        basis = skfem.Basis(mesh, skfem.ElementTriP1(), intorder=8)
        off = skfem.Functional(lambda w: (w["u"] - u(w.x)) ** 2)
        return float(np.sqrt(off.assemble(basis, u=basis.interpolate(u(mesh.p)))))

    moving = MovingMesh(grid(24))
    moving.start(front(0))
    errors = []
    for k in range(20):
        moving.step(front(0.01 * k)(moving.mesh.p), 0.01)
        errors.append(error(moving.mesh, front(0.01 * (k + 1))) / error(grid(24), front(0.01 * (k + 1))))
    assert np.mean(errors) < 0.2
