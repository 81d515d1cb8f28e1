"""The L2 error of Poisson's solution on quadrilaterals and hexahedra: exact for quadratics, and heeded by alignment."""

from types import SimpleNamespace

import numpy as np
import pytest
import skfem

import meshmove
from meshmove.adaptation.alignment import within
from meshmove.adaptation.judging.galerkin import Galerkin
from meshmove.geometry import CellBlock, CellMesh, PointLocator, Sides, facets_of, kind_of
from meshmove.meshes.source import Source
from meshmove.monitors import NodalHessians
from meshmove.solvers.fem.manufactured import PROBLEMS
from meshmove.solvers.fem.poisson import l2_error, solve_poisson

SHEARED = {2: np.array([[2.0, 0.7], [0.7, -1.0]]), 3: np.array([[2.0, 0.7, 0.1], [0.7, -1.0, 0.4], [0.1, 0.4, 3.0]])}


def jittered(mesh, amount=0.2):
    inner = mesh.interior_nodes()
    step = np.random.default_rng(3).uniform(-amount, amount, (mesh.dim(), len(inner))) * mesh.param() / mesh.dim()
    p = mesh.p.copy()
    p[:, inner] += step
    return type(mesh)(p, mesh.t)


def predicted(cells, hessians, rest):
    sides = Sides.of(cells)
    known = NodalHessians(sides, PointLocator(cells.simplicial()), hessians)
    return Galerkin(known, facets_of(cells), rest)


def everywhere(matrices, n):
    return np.repeat(np.array(matrices)[..., None], n, axis=-1)


def error_of_quadratic(mesh, h):
    """L2 error of Poisson's solution with u = x.Hx/2 prescribed on the boundary."""
    u = lambda x: 0.5 * np.einsum("ab,a...,b...->...", h, x, x)  # noqa: E731
    dofs = solve_poisson(mesh, lambda x: np.full(x.shape[1:], -np.trace(h)), u)
    return l2_error(mesh, dofs, u, intorder=6)


@pytest.mark.parametrize(
    ("cls", "levels", "close"),
    # on cells that are no simplices integrands are rational, and rules differ
    [(skfem.MeshTri, 3, 1e-6), (skfem.MeshTet, 2, 1e-6), (skfem.MeshQuad, 3, 0.01), (skfem.MeshHex, 2, 0.02)],
)
def test_it_is_the_error_of_the_solution_for_quadratics(cls, levels, close):
    mesh = jittered(cls().refined(levels))
    cells, h = Source.of(mesh).cells, SHEARED[mesh.dim()]
    found = predicted(cells, everywhere([h], cells.n_points), cells.points).squares(cells.points)
    assert np.sqrt(found) == pytest.approx([error_of_quadratic(mesh, h)], rel=close)


def test_on_uniform_squares_the_solution_is_the_interpolant():
    mesh = skfem.MeshQuad().refined(3)
    cells = CellMesh.single(mesh.p.T, mesh.t.T, "quad")
    h = np.array([[1.0, 0.0], [0.0, 0.0]])
    found = predicted(cells, everywhere([h], cells.n_points), cells.points).squares(cells.points)
    assert np.sqrt(found) == pytest.approx([(1 / 8) ** 2 / np.sqrt(120)])  # the error x(h-x)/2 of each cell


class Judge:
    """Says that the way raises the L2 error from the first step on."""

    def __init__(self, solved):
        self.solved = solved

    def plain(self, points):
        return 1 + np.abs(points - START).max()

    def __call__(self, points):
        """Both errors fall all the way."""
        return 2 - np.abs(points - START).max()


class Way:
    start = START = np.zeros((3, 2))
    slide = SimpleNamespace(retract=lambda points: points)

    def admissible(self, points):
        return True


START = Way.START


def test_only_a_solve_is_heeded_against_the_descent():
    end = np.ones((3, 2))
    np.testing.assert_array_equal(within(Judge(solved=False), Way(), end), end)
    np.testing.assert_array_equal(within(Judge(solved=True), Way(), end), START)


def test_cells_of_two_kinds_are_one_mesh_and_fields_count_alike():
    mesh = jittered(skfem.MeshQuad().refined(3))
    half = np.flatnonzero(mesh.p[0, mesh.t].mean(axis=0) < 0.5)
    rest = np.setdiff1d(np.arange(mesh.t.shape[1]), half)
    split = np.concatenate([mesh.t[[0, 1, 2]][:, half], mesh.t[[0, 2, 3]][:, half]], axis=1)
    blocks = (CellBlock(kind_of("triangle"), split.T), CellBlock(kind_of("quad"), mesh.t[:, rest].T))
    cells = CellMesh(mesh.p.T, blocks)
    one, other = SHEARED[2], np.eye(2)
    judge = predicted(cells, everywhere([one, 1e6 * other], cells.n_points), cells.points)
    assert judge(cells.points) == pytest.approx(1)
    smaller = 0.5 * cells.points
    assert judge(smaller) == pytest.approx(1 / 8)  # h^2, and the root of the area
    alone = predicted(cells, everywhere([one], cells.n_points), cells.points)
    np.testing.assert_allclose(judge.squares(cells.points)[0], alone.squares(cells.points)[0])


@pytest.mark.parametrize("name", ["saddle", "peak"])
def test_alignment_of_quadrilaterals_does_not_raise_the_l2_error(name):
    """Of a harmonic field squares lose nothing at the nodes, which second derivatives do not tell."""
    problem = PROBLEMS[name]
    mesh = skfem.MeshQuad.init_tensor(*[np.linspace(0, 1, 17)] * 2)

    def solve(m):
        return solve_poisson(m, problem.source, problem.exact)

    def error(m):
        return l2_error(m, solve(m), problem.exact)

    out, history = meshmove.adapt_loop(mesh, solve, steps=2)
    assert history[0].max_displacement > 0 and history[0].objective == "alignment"
    assert error(out.mesh) < error(mesh)
