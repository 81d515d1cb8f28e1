"""The lift: smooth displacements for given forces, on domains with straight, oblique and round sides."""

import numpy as np
import pytest
import skfem

import meshmove
from meshmove.geometry import CellMesh, Slide, facets_of
from meshmove.movers.laplacian import inverse, stiffness
from meshmove.movers.lift import Lift


def unit(mesh):
    cells = CellMesh.single(mesh.p.T, mesh.t.T, "triangle" if mesh.dim() == 2 else "tetra")
    return cells, Slide(cells, facets_of(cells))


def hexagon(turned=0.2, n=6):
    """Triangles in a hexagon of which no two sides are along one frame."""
    angle = turned + np.pi / 3 * np.arange(7)
    corners = np.stack([np.cos(angle), np.sin(angle)])
    wedges = np.concatenate([np.zeros((2, 1)), corners[:, :6]], axis=1)
    cells = np.array([[0, 1 + k, 1 + (k + 1) % 6] for k in range(6)]).T
    return skfem.MeshTri(wedges, cells).refined(3)


ROUND = {"disk": lambda: skfem.MeshTri.init_circle(3), "ball": lambda: skfem.MeshTet.init_ball(2)}


@pytest.mark.parametrize("name", ROUND)
def test_a_force_does_not_carry_a_round_domain_away(name):
    """One of unit density, all in one direction, which no admissible displacement of the boundary can follow."""
    mesh, slide = unit(ROUND[name]())
    lift = Lift(mesh, slide)
    mass = stiffness(mesh)[1]
    for component in range(mesh.dim):
        force = np.zeros_like(mesh.points)
        force[:, component] = mass
        assert np.abs(lift.solve(force)).max() < 2.0  # its diameter


def test_straight_sides_along_the_frame_have_no_springs():
    mesh, slide = unit(skfem.MeshTri.init_tensor(np.linspace(0, 1, 7), np.linspace(0, 2, 6)))
    force = np.random.default_rng(0).normal(size=mesh.points.shape)
    matrix, mass = stiffness(mesh)
    for component in range(2):
        expected = inverse(matrix, mass, 2, ~slide.locked()[:, component]).solve(force[:, component])
        assert np.array_equal(Lift(mesh, slide).solve(force)[:, component], expected)


@pytest.mark.parametrize("make", [hexagon, *ROUND.values()])
def test_the_lift_is_symmetric_and_positive(make):
    mesh, slide = unit(make())
    lift, rng = Lift(mesh, slide), np.random.default_rng(0)
    for _ in range(5):
        f, g = slide.gather(rng.normal(size=mesh.points.shape)), slide.gather(rng.normal(size=mesh.points.shape))
        assert np.vdot(f, lift(g)) == pytest.approx(np.vdot(g, lift(f)), rel=1e-9, abs=1e-9)
        assert np.vdot(f, lift(f)) > 0


def test_how_much_is_held_back_is_between_nothing_and_all():
    mesh, slide = unit(hexagon())
    held = slide.held_back(slide.frame)
    assert ((held > -1e-12) & (held < 1 + 1e-12)).all()
    rim = np.hypot(*mesh.points.T)
    inside = rim < 0.8
    assert not held[inside].any()
    oblique = (held.sum(axis=1) > 0.5) & ~slide.fixed
    assert oblique.any() and np.allclose(held[oblique].sum(axis=1), 1)  # of a line one direction is normal


@pytest.mark.parametrize("shift", [-0.3, 0.4])
def test_a_ball_gains_about_as_much_as_a_box(shift):
    """Before its nodes were held back they were carried off, and nothing but the last steps of descent was left."""
    mesh = skfem.MeshTet.init_ball(2)
    report = meshmove.adapt(mesh, np.tanh(8 * (mesh.p[0] + 0.5 * mesh.p[1] - shift))).report
    grid = np.linspace(-0.8, 0.8, 5)
    box = skfem.MeshTet.init_tensor(grid, grid, grid)
    beside = meshmove.adapt(box, np.tanh(8 * (box.p[0] + 0.5 * box.p[1] - shift))).report
    gain = report.predicted_error_before / report.predicted_error_after
    assert gain > 0.75 * beside.predicted_error_before / beside.predicted_error_after
