"""Symmetric tensors by components, against matrices."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from meshmove.neural.aligning.features import Cells, magnitude, predicted, predicted_sum
from meshmove.neural.aligning.meshes import tensors
from meshmove.neural.aligning.meshes.drawn import make_meshes
from meshmove.neural.aligning.meshes.one_mesh import OneMesh

RANDOM = np.random.default_rng(0)


def drawn(dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Random symmetric matrices (5, dim, dim), and their components (k, 5)."""
    whole = RANDOM.standard_normal((5, dim, dim))
    whole = whole + whole.swapaxes(1, 2)
    return whole, np.stack([whole[:, i, j] for i, j in tensors.PAIRS[dim]])


@pytest.mark.parametrize("dim", [2, 3])
def test_components_are_those_of_matrices(dim):
    (a, one), (b, two) = drawn(dim), drawn(dim)
    e = RANDOM.standard_normal((dim, 5))
    both = a @ b
    index = np.array(tensors.INDEX[dim])
    assert np.array_equal(one[index], a.transpose(1, 2, 0)) and tensors.dimension(one) == dim
    assert np.allclose(tensors.trace(one), np.trace(a, axis1=1, axis2=2))
    assert np.allclose(tensors.dot(one, two), np.trace(both, axis1=1, axis2=2))
    assert np.allclose(tensors.form(one, e), np.einsum("ic,cij,jc->c", e, a, e))
    assert np.allclose(tensors.determinant(one), np.linalg.det(a))
    assert np.allclose(tensors.product(one, two)[index], (0.5 * (both + both.swapaxes(1, 2))).transpose(1, 2, 0))
    turn = both - both.swapaxes(1, 2)
    rows, columns = np.triu_indices(dim, 1)
    assert np.allclose(tensors.commutator(one, two), turn[:, rows, columns].T)
    if dim == 3:  # in the plane: the absolute eigenvalues
        assert np.allclose(magnitude(one)[index] * np.linalg.norm(a, axis=(1, 2)), (a @ a).transpose(1, 2, 0))
    else:
        assert np.allclose(
            np.linalg.eigvalsh(magnitude(one)[index].T)[:, ::-1].sum(1), abs(np.linalg.eigvalsh(a)).sum(1)
        )
    assert np.allclose(magnitude(torch.from_numpy(one)), magnitude(one))


@pytest.mark.parametrize("dim", [2, 3])
def test_gradients_are_those_of_barycentric_coordinates(dim):
    edges = RANDOM.standard_normal((dim, dim, 4))
    size, slopes = tensors.gradients(list(edges))
    assert np.allclose(tensors.size_of(list(edges)), size)
    along = np.einsum("kic,ivc->kvc", edges, slopes)  # of each edge: -1 for vertex 0, 1 for its own
    assert np.allclose(along[:, 1:], np.eye(dim)[:, :, None]) and np.allclose(along[:, 0], -1)


@pytest.mark.parametrize("dim", [2, 3])
def test_the_root_of_several_is_that_of_the_sum_of_squares(dim):
    whole = RANDOM.standard_normal((2, 5, dim, dim))
    whole = whole + whole.swapaxes(2, 3)
    components = np.stack([whole[..., i, j] for i, j in tensors.PAIRS[dim]], axis=1)
    root = tensors.root_of_squares(components)[np.array(tensors.INDEX[dim])].transpose(2, 0, 1)
    assert np.allclose(root @ root, (whole @ whole).sum(axis=0)) and (np.linalg.eigvalsh(root) > 0).all()


@pytest.mark.parametrize("quads", [False, True])
@pytest.mark.parametrize("dim", [2, 3])
def test_predicted_errors_are_those_of_quadratic_fields(dim, quads):
    """By the definition: the mean over a simplex, or over the parallelepiped at a corner, of |grad(u - Iu)|^2."""
    mesh = next(make_meshes(1, (60, 80), 3, quads=quads, dim=dim))
    one = OneMesh.of(mesh, np.eye(dim)[None], lambda forces: forces)
    cells, (h, parts) = Cells.of(one, mesh.points), drawn(dim)
    x, edges = mesh.points[one.cells], np.stack(cells.first).transpose(2, 0, 1)  # (c, k, dim)
    at = np.random.default_rng(1).random((4000, dim))
    if not quads:
        at = -np.log(np.random.default_rng(1).random((4000, dim + 1)))
        at = (at / at.sum(axis=1, keepdims=True))[:, 1:]  # evenly spread over the simplex
    k = 3
    bend = np.einsum("ki,ij,kj->k", edges[k], h[0], edges[k])
    slopes = np.linalg.inv(edges[k])  # columns: gradients of the coordinates along edges
    if quads:  # of -1/2 sum_k d_k s_k (1 - s_k)
        error = -0.5 * (bend * (1 - 2 * at)) @ slopes.T
    else:
        # u - Iu = 1/2 (y H y - sum_k s_k d_k), y from vertex 0
        error = at @ edges[k] @ h[0] - 0.5 * slopes @ bend
    square = (error**2).sum(axis=1)
    expected = cells.size[k] * square.mean()
    hessian = np.repeat(parts[:, :1], len(x), axis=1)
    assert abs(predicted(cells, hessian)[k] / expected - 1) < 5 * square.std() / square.mean() / 4000**0.5
    several = np.stack([hessian, 2 * hessian], axis=1)
    if not quads:
        assert np.isclose(predicted_sum(cells, several), 2.5 * predicted(cells, hessian).sum(), rtol=1e-9)
