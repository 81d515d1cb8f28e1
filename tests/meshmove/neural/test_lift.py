"""Lifts: they solve, are symmetric, and know their derivative; the two ways of solving agree."""

import numpy as np
import pytest
import torch

from meshmove.geometry import CellMesh, Slide, facets_of
from meshmove.neural import MeshBatch, dense
from meshmove.neural import lift as module
from meshmove.neural.energy import Linearised, state
from meshmove.neural.lift import conjugate_gradients, gauss_newton_lift, inverse_on
from tests.meshmove.neural.cases import Wave, batch_of, cube, shifted
from tests.shapes import box

KINDS = ("triangle", "quad", "tetra", "hexahedron")
every_kind = pytest.mark.parametrize("kind", KINDS)


def disk(rings=4):
    """A mesh whose boundary nodes glide along a curve."""
    mesh = box("triangle", 2 * rings, 0.2)
    p = 2 * mesh.points - 1
    far = np.abs(p).max(axis=1, keepdims=True)
    return mesh.moved(0.5 * p * far / np.maximum(np.linalg.norm(p, axis=1, keepdims=True), 1e-12))


def linearised(batch, weight=1.0, distortion=0.01):
    with torch.no_grad():
        return Linearised(batch, state(batch, batch.points, Wave(), slope=True), distortion, weight)


def admissible(batch, seed=0):
    v = torch.from_numpy(np.random.default_rng(seed).normal(size=batch.points.shape))
    return (batch.projector(batch.points) @ v[:, :, None])[:, :, 0]


@every_kind
def test_the_lift_solves_on_admissible_displacements(kind):
    batch = batch_of(cube(kind), cube(kind, 2, seed=1))
    model = linearised(batch)
    z = admissible(batch)
    again = gauss_newton_lift(batch, model, batch.points)(model(z))
    np.testing.assert_allclose(again, z, atol=1e-5)


def test_the_lift_solves_on_a_curved_boundary():
    batch = batch_of(disk())
    model = linearised(batch)
    z = admissible(batch)
    assert z.abs().sum(1).count_nonzero() > len(z) - 5  # boundary nodes glide
    np.testing.assert_allclose(gauss_newton_lift(batch, model, batch.points)(model(z)), z, atol=1e-5)


@every_kind
def test_the_lift_is_symmetric_and_positive(kind):
    batch = batch_of(cube(kind))
    rng = np.random.default_rng(0)
    g, f = (torch.from_numpy(rng.normal(size=batch.points.shape)) for _ in range(2))
    lift = gauss_newton_lift(batch, linearised(batch), batch.points)
    assert float((lift(g) * f).sum()) == pytest.approx(float((lift(f) * g).sum()), rel=1e-7)
    assert float((lift(g) * g).sum()) > 0


@every_kind
def test_meshes_of_a_batch_do_not_see_each_other(kind):
    a, b = batch_of(cube(kind)), batch_of(cube(kind, 2, seed=1))
    both = batch_of(cube(kind), cube(kind, 2, seed=1))
    g = torch.from_numpy(np.random.default_rng(0).normal(size=both.points.shape))
    parts = [gauss_newton_lift(m, linearised(m), m.points)(f) for m, f in zip((a, b), both.split(g), strict=True)]
    together = gauss_newton_lift(both, linearised(both), both.points)(g)
    np.testing.assert_allclose(together, torch.cat(parts), atol=1e-9 * float(together.abs().max()))


@pytest.mark.parametrize("mesh", [*map(cube, KINDS), disk()], ids=[*KINDS, "disk"])
def test_conjugate_gradients_agree_with_the_factorisation(mesh, monkeypatch):
    """Those of many meshes at once, on a GPU, and those of one large mesh."""
    batch = batch_of(mesh, cube(("triangle" if mesh.dim == 2 else "tetra"), 2, seed=1))
    model = linearised(batch)
    diagonal = (model.values**2 * model.weight[batch.owner][:, None, None]).sum(2, keepdim=True) / batch.dim
    diagonal = batch.scatter(diagonal + (model.gradients**2).sum(2, keepdim=True) * model.stiff[:, None, None])
    force = admissible(batch)
    direct = gauss_newton_lift(batch, model, batch.points)(force)
    energy = float((direct * force).sum())  # in the norm of the matrix
    for rtol in (1e-3, 1e-7):
        monkeypatch.setattr(module, "RTOL", rtol)
        theirs = conjugate_gradients(batch, batch.points, model, diagonal, rtol)(force)
        assert float(((theirs - direct) * model(theirs - direct)).sum()) < (10 * rtol**2 + 1e-11) * energy
        with monkeypatch.context() as patch:
            patch.setattr(module, "FACTORISE", {2: 0, 3: 0})
            theirs = gauss_newton_lift(batch, model, batch.points)(force)
        assert float(((theirs - direct) * model(theirs - direct)).sum()) < (1e3 * rtol**2 + 1e-11) * energy
    assert not conjugate_gradients(batch, batch.points, model, diagonal)(torch.zeros_like(force)).any()


def test_conjugate_gradients_run_in_single_precision():
    batch = batch_of(cube("triangle", 6))
    model, single = linearised(batch), linearised(batch.to(dtype=torch.float32))
    diagonal = batch.scatter((model.values**2 * model.weight[batch.owner][:, None, None]).sum(2, keepdim=True) / 2)
    force = admissible(batch)
    solve = conjugate_gradients(batch.to(dtype=torch.float32), batch.points.float(), single, diagonal.float())
    direct = gauss_newton_lift(batch, model, batch.points)(force)
    error = solve(force.float()).double() - direct
    assert float((error * model(error)).sum()) < 1e-4 * float((direct * force).sum())


@pytest.mark.parametrize("kind", ["triangle", "quad", "tetra"])
def test_the_lift_knows_its_derivative(kind):
    """With respect to forces, and to all that the matrix depends on."""
    batch = batch_of(cube(kind, 2))
    rng = np.random.default_rng(0)
    force = torch.from_numpy(rng.normal(size=batch.points.shape)).requires_grad_()
    weight = torch.from_numpy(rng.uniform(0.5, 2, len(batch.volume))).requires_grad_()
    stiff = torch.from_numpy(rng.uniform(0.01, 0.1, len(batch.owner))).requires_grad_()
    x = torch.from_numpy(shifted(batch.meshes[0], 0.02)).requires_grad_()

    def solve(force, weight, stiff, x):
        model = Linearised(batch, state(batch, x, Wave(), slope=True), stiff, weight)
        return gauss_newton_lift(batch, model, batch.points)(force)  # admissible with respect to the straight boundary

    assert torch.autograd.gradcheck(solve, (force, weight, stiff, x), atol=1e-5, rtol=1e-4)


def test_the_derivative_leaves_the_value_alone():
    batch = batch_of(cube("triangle"))
    force = admissible(batch)
    weight = torch.ones(len(batch.volume), dtype=torch.float64, requires_grad=True)
    plain = gauss_newton_lift(batch, linearised(batch), batch.points)(force)
    with_grad = gauss_newton_lift(batch, linearised(batch, weight=weight), batch.points)(force)
    assert torch.equal(plain, with_grad)


def test_nothing_moves_where_nothing_may():
    mesh = CellMesh.single([[0, 0], [1, 0], [0, 1]], [[0, 1, 2]], "triangle")
    batch = batch_of(mesh)
    assert not gauss_newton_lift(batch, linearised(batch), batch.points)(torch.ones(3, 2).double()).any()
    fixed = cube("triangle")
    held = Slide(fixed, facets_of(fixed), "fixed", np.arange(fixed.n_points))
    batch = MeshBatch.of([fixed], [held], [np.zeros(fixed.n_cells, np.int64)])
    assert not gauss_newton_lift(batch, linearised(batch), batch.points)(torch.ones_like(batch.points)).any()


def test_a_matrix_that_cannot_be_factorised_gives_no_numbers():
    batch = batch_of(cube("triangle"))
    for bad in (np.nan, np.inf, 0.0):
        z = gauss_newton_lift(batch, linearised(batch, weight=bad, distortion=0.0), batch.points)(admissible(batch))
        assert not torch.isfinite(z).all() or not z.any()


def test_the_solver_accepts_other_bases():
    from scipy.sparse import identity

    solve = inverse_on(identity(4, format="csr") * 2.0, identity(4, format="csr"), True)
    np.testing.assert_allclose(solve(torch.ones(2, 2).double()), 0.5, rtol=1e-8)


@every_kind
def test_dense_factors_solve_as_the_sparse_ones_do_whatever_their_groups(kind, monkeypatch):
    batch = batch_of(cube(kind), cube(kind, 2, seed=1), cube(kind, 3, seed=2))
    model = linearised(batch)
    g = torch.from_numpy(np.random.default_rng(2).normal(size=batch.points.shape))
    expected = gauss_newton_lift(batch, model, batch.points)(g)
    for room in (1, dense.ROOM):  # one mesh at a time, or all at once
        monkeypatch.setattr(dense, "ROOM", room)
        np.testing.assert_allclose(
            dense.dense_solver(batch, model, batch.points, module.SHIFT)(g), expected, rtol=1e-6, atol=1e-9
        )


def test_dense_factors_solve_on_a_curved_boundary():
    batch = batch_of(disk())
    model = linearised(batch)
    z = admissible(batch)
    solve = dense.dense_solver(batch, model, batch.points, module.SHIFT)
    np.testing.assert_allclose(solve(model(z)), z, atol=1e-5)


def test_a_mesh_without_a_dense_factor_leaves_the_others_theirs():
    batch = batch_of(cube("triangle"), cube("triangle", 2, seed=1))
    weight = torch.ones(len(batch.volume))
    weight[batch.cell_graph == 0] = -1.0
    z = dense.dense_solver(batch, linearised(batch, weight), batch.points, module.SHIFT)(admissible(batch))
    first, second = batch.split(z)
    assert torch.isnan(first).any()
    assert torch.isfinite(second).all()
