"""Third derivatives of quadratic elements from vertices and middles of edges."""

import numpy as np
import pytest

from meshmove.geometry import CellMesh, Sides
from meshmove.geometry.refine import edges_of
from meshmove.monitors.quadratic import FineRecovery
from tests.shapes import box, centres


def nodes(mesh):
    return np.concatenate([mesh.points, mesh.points[edges_of(mesh)].mean(axis=1)])


@pytest.mark.parametrize("kind", ["triangle", "tetra"])
def test_it_is_exact_for_cubics_away_from_the_boundary(kind):
    mesh = box(kind, 6)
    third = FineRecovery(mesh, Sides.of(mesh)).third(nodes(mesh)[:, 0] ** 2 * nodes(mesh)[:, 1])
    inner = ((mesh.points > 0.25) & (mesh.points < 0.75)).all(axis=1)
    exact = np.zeros((mesh.dim,) * 3)
    exact[0, 0, 1] = exact[0, 1, 0] = exact[1, 0, 0] = 2
    assert inner.any()
    np.testing.assert_allclose(third[..., inner] - exact[..., None], 0, atol=1e-8)


def test_it_does_not_look_across_an_interface():
    mesh = box("triangle", 8)
    mesh = CellMesh(mesh.points, mesh.blocks, regions=(centres(mesh)[:, 0] < 0.5).astype(np.int64))
    sides, x = Sides.of(mesh), nodes(mesh)[:, 0]
    kinked = np.where(x < 0.5, 3 * x**2, 7 * x - 2.75)  # quadratic on either side
    np.testing.assert_allclose(FineRecovery(mesh, sides).third(kinked), 0, atol=1e-8)
