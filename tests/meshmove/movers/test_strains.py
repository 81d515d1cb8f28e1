"""The model of the second derivative that alignment is preconditioned by."""

import numpy as np
import pytest

from meshmove.geometry import PointLocator, Sides, Slide, facets_of
from meshmove.monitors import NodalHessians
from meshmove.movers import Alignment
from meshmove.movers.descent import minimise
from meshmove.movers.descent.strains import Strains
from meshmove.movers.lift import Lift
from tests.shapes import box, turn

KINDS = ["triangle", "quad", "mixed 2-D", "tetra", "hexahedron"]


def parts(mesh):
    slide = Slide(mesh, facets_of(mesh))
    shares = np.random.default_rng(1).uniform(0.1, 1, mesh.n_cells)
    return Strains(mesh, slide), slide, shares / shares.sum()


def layered(mesh):
    """Alignment to exp(-15 x) by its exact second derivative at the vertices."""
    hessian = np.zeros((1, 2, 2, mesh.n_points))
    hessian[0, 0, 0] = 225 * np.exp(-15 * mesh.points[:, 0])
    return Alignment(mesh, NodalHessians(Sides.of(mesh), PointLocator(mesh.simplicial()), hessian), mesh.points)


@pytest.mark.parametrize("kind", KINDS)
def test_the_inverse_is_symmetric_and_positive_and_its_steps_are_admissible(kind):
    mesh = box(kind, 3, jitter=0.2)
    strains, slide, shares = parts(mesh)
    inverse = strains.inverse(shares, slide, mesh.points)
    f, g = np.random.default_rng(2).normal(size=(2, *mesh.points.shape))
    assert np.vdot(f, inverse(g)) == pytest.approx(np.vdot(inverse(f), g), rel=1e-9)
    assert np.vdot(f, inverse(f)) > 0
    step = inverse(f)
    np.testing.assert_allclose(slide.tangent(step), step, atol=1e-12 * np.abs(step).max())


@pytest.mark.parametrize("kind", ["triangle", "tetra"])
def test_a_turned_mesh_gives_way_as_the_mesh_itself(kind):
    mesh = box(kind, 3, jitter=0.2)
    matrix = turn(0.7, mesh.dim)
    turned = mesh.moved(mesh.points @ matrix.T)
    force = np.random.default_rng(3).normal(size=mesh.points.shape)
    steps = []
    for one, pull in ((mesh, force), (turned, force @ matrix.T)):
        strains, slide, shares = parts(one)
        steps.append(strains.inverse(shares, slide, one.points)(pull))
    np.testing.assert_allclose(steps[1], steps[0] @ matrix.T, atol=1e-9 * np.abs(steps[0]).max())


def test_long_cells_give_way_along_and_not_across():
    mesh = box("triangle", 8)
    strains, slide, _ = parts(mesh)
    shares = np.full(mesh.n_cells, 1 / mesh.n_cells)
    flat = mesh.points * [1, 0.05]
    middle = np.abs(mesh.points - 0.5).sum(axis=1).argmin()
    inverse, pull = strains.inverse(shares, slide, flat), np.zeros((2, *mesh.points.shape))
    pull[0, middle, 0] = pull[1, middle, 1] = 1
    assert np.vdot(pull[0], inverse(pull[0])) > 20 * np.vdot(pull[1], inverse(pull[1]))


@pytest.mark.parametrize("kind", ["triangle", "quad"])
def test_shares_are_those_of_the_predicted_error(kind):
    mesh = box(kind, 8)
    aligned = layered(mesh)
    shares = aligned.shares(mesh.points)
    centre = np.concatenate([mesh.points[b.nodes, 0].mean(axis=1) for b in mesh.blocks])
    assert shares.sum() == pytest.approx(1)
    assert shares[centre < 0.125].sum() > 0.9


def test_two_layers_are_aligned_to_in_a_third_of_the_steps_by_the_laplacian():
    mesh, steep = box("triangle", 20), 30.0
    strains, slide, _ = parts(mesh)
    hessian = np.zeros((1, 2, 2, mesh.n_points))
    for c, x in enumerate(mesh.points.T):
        hessian[0, c, c] = steep**2 * np.exp(-steep * x)
    field = NodalHessians(Sides.of(mesh), PointLocator(mesh.simplicial()), hessian)
    aligned, lift = Alignment(mesh, field, mesh.points), Lift(mesh, slide)
    grade = 0.4 * steep
    carried = -np.log(1 - mesh.points * (1 - np.exp(-grade))) / grade
    inverse = strains.inverse(aligned.shares(carried), slide, carried)
    options = {"absolute": True, "reach": aligned.reach, "opening": 1.0, "memory": 12}
    by_strains = minimise(aligned, inverse, slide, carried, steps=10, scaled=False, **options)
    by_laplacian = minimise(aligned, lambda force: 1e-3 * lift(force), slide, carried, steps=30, **options)
    assert by_strains.energy < by_laplacian.energy - 0.01
