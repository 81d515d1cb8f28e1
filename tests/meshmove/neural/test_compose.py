"""Composition with an inverse map."""

import numpy as np
import pytest
import torch

from meshmove.neural.compose import compose
from meshmove.neural.energy import jacobians
from tests.meshmove.neural.cases import batch_of, cube
from tests.shapes import turn

KINDS = ("triangle", "quad", "mixed 2-D", "tetra", "hexahedron")
every_kind = pytest.mark.parametrize("kind", KINDS)


def inside(points, size=0.08):
    """A smooth map of the unit box onto itself, sliding along its boundary."""
    x = points + 0.5
    return points + size * torch.sin(torch.pi * x) * torch.cos(2 * x.roll(1, 1) + x)


@every_kind
def test_the_identity_changes_nothing(kind):
    batch = batch_of(cube(kind), cube(kind, 2, seed=1))
    there = inside(batch.points)
    np.testing.assert_allclose(compose(batch, batch.points, there), there, atol=1e-12)
    np.testing.assert_allclose(compose(batch, batch.points, batch.points), batch.points, atol=1e-12)


@every_kind
def test_a_mesh_and_its_own_image_give_the_reference(kind):
    """x o x^-1 is the identity, for any x without inverted cells."""
    batch = batch_of(cube(kind))
    there = inside(batch.points)
    assert jacobians(batch, there).min() > 0
    np.testing.assert_allclose(compose(batch, there, there), batch.points, atol=1e-12)


def test_a_smooth_map_is_inverted_up_to_the_mesh_size():
    error = []
    for n in (5, 20):
        batch = batch_of(cube("triangle", n, jitter=0.2))
        back = compose(batch, inside(batch.points), batch.points)  # y^-1 at the nodes
        error.append(float((inside(back) - batch.points).square().mean().sqrt()))
    assert 6 * error[1] < error[0] < 0.01


@pytest.mark.parametrize("kind", ["triangle", "tetra"])
def test_an_affine_map_is_inverted_exactly(kind):
    """Of interior nodes; those on the boundary only glide."""
    batch = batch_of(cube(kind, 4))
    inner = (batch.points.abs() < 0.3).all(1)
    a = torch.from_numpy(1.3 * turn(0.2, batch.dim) + 0.1)
    back = compose(batch, batch.points @ a.T, batch.points)
    np.testing.assert_allclose(back[inner], (batch.points @ torch.linalg.inv(a).T)[inner], atol=1e-12)


@every_kind
def test_it_is_differentiable_in_both_meshes(kind):
    batch = batch_of(cube(kind, 2))
    rng = np.random.default_rng(0)
    image = inside(batch.points).requires_grad_()
    points = (batch.points + torch.from_numpy(rng.normal(scale=0.01, size=batch.points.shape))).requires_grad_()
    free = batch.projector(batch.points)

    def composed(image, points):  # both slide along the boundary
        image, points = ((free @ (p - batch.points)[:, :, None])[:, :, 0] + batch.points for p in (image, points))
        return compose(batch, image, points)

    assert torch.autograd.gradcheck(composed, (image, points), eps=1e-7, atol=1e-6)


def test_it_runs_in_single_precision():
    batch = batch_of(cube("mixed 2-D", 5))
    single = compose(batch.to(dtype=torch.float32), inside(batch.points).float(), batch.points.float())
    assert single.dtype == torch.float32
    np.testing.assert_allclose(single, compose(batch, inside(batch.points), batch.points), atol=1e-5)
