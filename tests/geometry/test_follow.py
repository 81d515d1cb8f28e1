"""Laws of points that are followed: as if they were searched for, but that what leaves the mesh stays beside it."""

import numpy as np
import pytest
import skfem

from meshmove.geometry.domains import Disk, Rectangle
from meshmove.geometry.location import PointLocator
from meshmove.geometry.mesh import CellMesh
from tests.shapes import box


def ball(refinements=2):
    mesh = skfem.MeshTet.init_ball(refinements)
    return CellMesh.single(mesh.p.T, mesh.t.T, "tetra")


def disk(refinements=3):
    mesh = skfem.MeshTri.init_circle(refinements)
    return CellMesh.single(mesh.p.T, mesh.t.T, "triangle")


def ring(n=24):
    """Triangles between circles of radius 0.5 and 1."""
    angle = 2 * np.pi * np.arange(n) / n
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    a, b = np.arange(n), np.roll(np.arange(n), -1)
    cells = np.concatenate([np.stack([a, b, n + a], axis=1), np.stack([b, n + b, n + a], axis=1)])
    return CellMesh.single(np.concatenate([0.5 * circle, circle]), cells, "triangle")


def on_sphere(dim, radius, n=400, seed=0):
    x = np.random.default_rng(seed).normal(size=(n, dim))
    return (radius * x / np.linalg.norm(x, axis=1, keepdims=True)).T


MESHES = {"ball": ball, "disk": disk}


def place(where, mesh):
    return where.interpolate(mesh.points).T


def assert_of_own_cell(where, mesh):
    assert np.array_equal(where.nodes, mesh.blocks[0].nodes[where.cells])
    assert where.weights.min() >= 0
    assert np.allclose(where.weights.sum(axis=1), 1, rtol=0, atol=1e-14)


@pytest.mark.parametrize("radius", [0.3, 0.97, 0.999, 1.0, 1.02])
@pytest.mark.parametrize("name", MESHES)
def test_points_inside_and_just_outside_are_followed_to_where_they_would_be_found(name, radius):
    mesh = MESHES[name]()
    locator = PointLocator(mesh)
    x = on_sphere(mesh.dim, radius)
    before = locator.find(0.97 * x).cells
    followed, found = locator.follow(x, before), locator.find(x)
    assert_of_own_cell(followed, mesh)
    assert np.allclose(place(followed, mesh), place(found, mesh), rtol=0, atol=1e-12)
    assert np.array_equal(followed.outside, found.outside)
    again = locator.follow(x, followed.cells)
    assert np.allclose(place(again, mesh), place(found, mesh), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", MESHES)
def test_points_that_are_far_away_are_searched_for(name):
    mesh = MESHES[name]()
    locator, rng = PointLocator(mesh), np.random.default_rng(1)
    x = on_sphere(mesh.dim, 1.0) * rng.uniform(0, 5, 400)
    followed, found = locator.follow(x, rng.integers(0, mesh.n_cells, 400)), locator.find(x)
    assert_of_own_cell(followed, mesh)
    gap, least = (np.linalg.norm(place(w, mesh) - x, axis=0) for w in (followed, found))
    assert np.allclose(gap, least, rtol=1e-9, atol=1e-12)
    assert np.array_equal(followed.outside, found.outside)


def test_points_beyond_a_hole_are_found_and_those_in_it_stay_on_their_side():
    mesh = ring()
    locator = PointLocator(mesh)
    cells = locator.find(np.array([[0.55], [0.02]])).cells
    beyond = locator.follow(np.array([[-0.75], [0.02]]), cells)
    assert not beyond.outside[0]
    assert np.allclose(place(beyond, mesh)[:, 0], [-0.75, 0.02], rtol=0, atol=1e-12)
    within = locator.follow(np.array([[0.45], [0.02]]), cells)
    assert within.outside[0]
    assert np.allclose(place(within, mesh), place(locator.find(np.array([[0.45], [0.02]])), mesh), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", MESHES)
def test_what_is_followed_changes_continuously(name):
    """The closest point of a convex mesh moves no faster than the point itself."""
    mesh = MESHES[name]()
    locator, values = PointLocator(mesh), mesh.points @ np.arange(1.0, mesh.dim + 1)
    angle = np.linspace(0, 2 * np.pi, 3000)
    path = np.zeros((mesh.dim, len(angle)))
    path[0], path[1] = 1.01 * np.cos(angle), 1.01 * np.sin(angle)
    cells, seen = locator.find(path[:, :1]).cells, []
    for k in range(len(angle)):
        where = locator.follow(path[:, k : k + 1], cells)
        cells = where.cells
        seen.append(float(where.interpolate(values)[0]))
    step = np.linalg.norm(np.diff(path), axis=0)
    assert (np.abs(np.diff(seen)) <= np.linalg.norm(np.arange(1.0, mesh.dim + 1)) * step * (1 + 1e-9) + 1e-12).all()
    assert seen[0] == pytest.approx(seen[-1], abs=1e-12)


@pytest.mark.parametrize("kind", ["wedge", "pyramid", "hexahedron"])
def test_faces_cut_along_both_diagonals_are_no_boundary(kind):
    """Simplices that cells are split into need not share facets: what leaves through such a one is still inside."""
    mesh = box(kind, 3, jitter=0 if kind == "pyramid" else 0.15)
    locator = PointLocator(mesh.simplicial())
    rng = np.random.default_rng(2)
    x = rng.uniform(0.1, 0.9, (3, 400))
    near = np.clip(x + rng.uniform(-0.15, 0.15, x.shape), 0.05, 0.95)
    followed, found = locator.follow(near, locator.find(x).cells), locator.find(near)
    values = mesh.points[:, 0] + 2 * mesh.points[:, 2]
    assert np.allclose(followed.interpolate(values), found.interpolate(values), atol=0.02)
    inside = ~found.outside
    assert inside.mean() > 0.9 and np.allclose(followed.interpolate(values)[inside], (near[0] + 2 * near[2])[inside])


def test_points_inside_are_never_taken_for_outside_whatever_walk_led_to_them():
    """The way to a point across a bay of the boundary leaves the mesh: it is in it all the same."""
    mesh = (Rectangle((0, 0), (1, 1)) - Disk((1, 1), 0.6) - Disk((0.25, 0.25), 0.12)).mesh(0.07, engine="scipy")
    locator, rng = PointLocator(mesh), np.random.default_rng(3)
    cell = np.repeat(np.arange(mesh.n_cells), 40)
    weights = rng.dirichlet(np.full(3, 0.3), len(cell))
    x = np.einsum("mv,mvd->dm", weights, mesh.points[mesh.blocks[0].nodes[cell]])
    near = locator.find(x + rng.normal(scale=0.05, size=x.shape)).cells
    followed = locator.follow(x, near)
    assert_of_own_cell(followed, mesh)
    assert not followed.outside.any()
    assert np.allclose(place(followed, mesh), x, rtol=0, atol=1e-12)
