"""Transfer through swept facets: constants, integrals, bounds, order."""

import warnings

import numpy as np
import pytest
import skfem

import meshmove
from meshmove import MovingMesh
from meshmove.geometry import CellMesh, FieldError
from meshmove.meshes.source import Source
from meshmove.transfer import swept
from meshmove.transfer.cells import swept_means
from meshmove.transfer.repair import repaired

MESHES = {
    "triangles": lambda: skfem.MeshTri().refined(3),
    "quads": lambda: skfem.MeshQuad().refined(3),
    "tetrahedra": lambda: skfem.MeshTet().refined(2),
    "hexahedra": lambda: skfem.MeshHex().refined(2),
}


def pair_of_meshes(name, amount=0.03, seed=0):
    """Plain arrays of a mesh, and of it with its inner vertices shaken."""
    mesh = MESHES[name]()
    cells = Source.of(mesh, None).cells
    by = amount * np.random.default_rng(seed).uniform(-1, 1, cells.points.shape)
    by[mesh.boundary_nodes()] = 0
    return cells, cells.moved(cells.points + by)


def weights(mesh: CellMesh):
    """Integrals of the shape functions."""
    out = np.zeros(mesh.n_points)
    for block in mesh.blocks:
        x, w = block.kind.quadrature(5)
        shape, slope = block.kind.shape(x)
        volume = np.abs(np.linalg.det(np.einsum("mvd,vcq->mqdc", mesh.points[block.nodes], slope))) * w
        out += np.bincount(block.nodes.ravel(), (volume @ shape.T).ravel(), mesh.n_points)
    return out


def means_of(mesh: CellMesh):
    """Volumes and centroids of the cells."""
    block = mesh.blocks[0]
    x, w = block.kind.quadrature(5)
    shape, slope = block.kind.shape(x)
    points = mesh.points[block.nodes]
    volume = np.abs(np.linalg.det(np.einsum("mvd,vcq->mqdc", points, slope))) * w
    centre = np.einsum("mq,vq,mvd->md", volume, shape, points) / volume.sum(1)[:, None]
    return volume.sum(1), centre


@pytest.mark.parametrize("name", MESHES)
def test_constants_integrals_and_bounds_are_kept(name):
    old, new = pair_of_meshes(name)
    u = np.stack([np.full(old.n_points, 3.0), np.tanh(20 * (old.points[:, 0] - 0.5))], axis=1)
    free, bounded = swept(old, new, u, bounds=False), swept(old, new, u)
    for found in (free, bounded):
        np.testing.assert_allclose(found[:, 0], 3, rtol=1e-13)
        np.testing.assert_allclose(weights(new) @ found, weights(old) @ u, atol=1e-14)
    assert np.abs(free[:, 1]).max() > 1.02 and np.abs(bounded[:, 1]).max() <= np.abs(u[:, 1]).max() * (1 + 1e-13)


def test_the_order_is_two():
    def error(level):
        mesh = skfem.MeshTri().refined(level)
        cells = Source.of(mesh, None).cells
        x, y = cells.points.T
        away = np.sin(np.pi * x) * np.sin(np.pi * y)
        new = cells.moved(cells.points + 0.8 / 2**level * np.stack([away, -away], axis=1))  # by a cell
        found = swept(cells, new, np.cos(3 * x) * np.sin(2 * y), bounds=False)
        return np.abs(found - np.cos(3 * new.points[:, 0]) * np.sin(2 * new.points[:, 1])).max()

    errors = [error(level) for level in (4, 5)]
    assert np.log2(errors[0] / errors[1]) > 1.7


def test_far_ways_are_projected_and_stay_bounded():
    mesh = skfem.MeshTri().refined(5)
    cells = Source.of(mesh, None).cells
    x, y = cells.points.T
    new = cells.moved(np.stack([x + 0.9 * x * (1 - x), y], axis=1))  # the middle by seven cells
    u = np.where(x > 0.5, 1.0, 0.0)
    np.testing.assert_array_equal(swept(cells, new, u), swept(cells, new, u, far=True))
    found = swept(cells, new, u)
    assert found.min() >= -1e-14 and found.max() <= 1 + 1e-14
    assert weights(new) @ found == pytest.approx(weights(cells) @ u, rel=1e-13)


def test_bad_values_are_refused():
    old, new = pair_of_meshes("triangles")
    with pytest.raises(FieldError, match="finite"):
        swept(old, new, np.where(np.arange(old.n_points) == 3, np.nan, 1.0))
    u = np.random.default_rng(0).random(old.n_points)
    both = swept(old, new, u + 2j * u)
    np.testing.assert_allclose(both, swept(old, new, u) * (1 + 2j), rtol=1e-13)


@pytest.mark.parametrize("name", MESHES)
def test_means_of_cells_are_carried_conservatively_within_bounds(name):
    old, new = pair_of_meshes(name)
    (before, x), (after, y) = means_of(old), means_of(new)

    def field(at):
        return np.stack([np.full(len(at), 2.0), at.sum(axis=1), np.tanh(20 * (at[:, 0] - 0.5))], axis=1)

    u = field(x)
    found = swept_means(old, new, u)
    np.testing.assert_allclose(found[:, 0], 2, rtol=1e-13)
    np.testing.assert_allclose(after @ found, before @ u, atol=1e-13)
    assert (found <= u.max(0) + 1e-13).all() and (found >= u.min(0) - 1e-13).all()
    inner = np.linalg.norm(np.abs(y - 0.5), np.inf, axis=1) < 0.3
    assert np.abs(found - field(y))[inner, 1].max() < 1e-4 < np.abs(u - field(y))[inner, 1].max()


def test_repair_goes_to_neighbours_and_farther_where_these_are_full():
    ends = np.array([[0, 1, 2, 3], [1, 2, 3, 4]])
    low, high, mass = np.zeros((5, 1)), np.ones((5, 1)), np.array([1.0, 2.0, 1.0, 1.0, 1.0])
    values = np.array([[1.5], [1.0], [0.2], [0.3], [0.0]])
    found = repaired(values, mass, ends, low, high)
    assert found.min() >= 0 and found.max() <= 1 and mass @ found == pytest.approx(mass @ values, rel=1e-14)
    assert found[2] - 0.2 > 2 * (found[3] - 0.3)  # most of it stays near
    inside = np.array([[0.5], [0.1], [0.2], [0.3], [0.4]])
    np.testing.assert_array_equal(repaired(inside, mass, ends, low, high), inside)
    full = repaired(np.full((5, 1), 1.25), mass, ends, low, high)  # no room anywhere: the sum comes first
    np.testing.assert_allclose(full, 1.25, rtol=1e-14)


ELEMENTS = {
    "P0": skfem.ElementTriP0(),
    "DG P1": skfem.ElementDG(skfem.ElementTriP1()),
    "vector of DG P1": skfem.ElementVector(skfem.ElementDG(skfem.ElementTriP1())),
}


@pytest.mark.parametrize("name", ELEMENTS)
def test_discontinuous_functions_keep_integral_and_range_in_a_loop(name):
    element = ELEMENTS[name]
    moving = MovingMesh(skfem.MeshTri().refined(4))
    basis = skfem.Basis(moving.mesh, element)

    def disk(x, t):
        return np.where(np.hypot(x[0] - 0.4 - t, x[1] - 0.5) < 0.2, 1.0, 0.0)

    u = disk(basis.doflocs, 0.0)

    def total(basis, u):
        return float(np.sum(np.asarray(basis.interpolate(u)) * basis.dx))

    before = total(basis, u)
    for k in range(4):
        monitored = np.tanh(20 * (0.2 - np.hypot(moving.mesh.p[0] - 0.4 - 0.02 * k, moving.mesh.p[1] - 0.5)))
        step = moving.step([monitored, (basis, u)], 0.02)
        u, basis = step.carried[1], skfem.Basis(step.mesh, element)
    assert step.report.largest_speed > 0.5
    assert total(basis, u) == pytest.approx(before, rel=1e-12)
    assert u.min() >= -1e-12 and u.max() <= 1 + 1e-12
    apart = np.abs(np.asarray(basis.interpolate(u)) - disk(np.asarray(basis.global_coordinates()), 0.0))
    assert float(np.sum(apart * basis.dx)) < 0.35 * before


def test_a_linear_broken_function_is_carried_exactly():
    moving = MovingMesh(skfem.MeshTri().refined(3))
    element = skfem.ElementDG(skfem.ElementTriP1())
    basis = skfem.Basis(moving.mesh, element)
    for k in range(3):
        step = moving.step([lambda x, k=k: np.tanh(20 * (x[0] - 0.5 - 0.02 * k)), (basis, basis.doflocs[0])], 0.02)
        found = skfem.Basis(step.mesh, element)
        inside = (found.doflocs[0] > 0.25) & (found.doflocs[0] < 0.75)
        np.testing.assert_allclose(step.carried[1][inside], found.doflocs[0][inside], atol=2e-3)
        basis = found


@pytest.mark.parametrize("transfer", ["conservative", "interpolate"])
def test_integers_that_are_given_as_a_field_are_carried_as_numbers(transfer):
    mesh = skfem.MeshTri().refined(4)
    disk = np.hypot(mesh.p[0] - 0.4, mesh.p[1] - 0.5) < 0.25
    kinds = [meshmove.adapt(mesh, disk.astype(kind), transfer=transfer, effort=0.3) for kind in (float, int, bool)]
    wanted = kinds[0].fields["field"]
    assert not np.array_equal(wanted, disk)
    for out in kinds:
        assert np.array_equal(out.fields["field"], wanted)
        assert np.array_equal(out.transfer(disk.astype(int)), wanted)
    followed = [meshmove.MovingMesh(mesh).start(disk.astype(kind)).carried for kind in (float, int)]
    assert np.array_equal(*followed)


def test_dofs_whose_integral_is_not_kept_are_told_of():
    mesh = skfem.MeshTri().refined(3)
    out = meshmove.adapt(mesh, np.tanh(9 * mesh.p[0] - 4), transfer="conservative", effort=0.3)
    for element in (skfem.ElementTriP0(), skfem.ElementTriP2()):
        basis = skfem.Basis(mesh, element)
        with pytest.warns(UserWarning, match="integral is not kept"):
            out.transfer((basis, np.ones(basis.N)))
    basis = skfem.Basis(mesh, skfem.ElementTriP1())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out.transfer((basis, np.ones(basis.N)))
