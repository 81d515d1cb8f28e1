"""Forms as products with tables of the reference cell are those that scikit-fem assembles."""

import numpy as np
import pytest
import skfem
from skfem.helpers import dot, grad

from meshmove.geometry import Disk
from meshmove.solvers.fem.meshes import mesh_of
from meshmove.solvers.fem.tables import Table

CURVED = mesh_of(Disk((0, 0), 1, "rim"), 0.5)
BASES = {
    "P2": skfem.Basis(skfem.MeshTri().refined(2), skfem.ElementTriP2(), intorder=6),
    "P3": skfem.Basis(skfem.MeshTri().refined(2), skfem.ElementTriP3(), intorder=8),
    "curved P3": skfem.Basis(CURVED, skfem.ElementTriP3(), intorder=8),
    "Q2": skfem.Basis(skfem.MeshQuad().refined(2), skfem.ElementQuad2(), intorder=6),
}


def same(a, b):
    assert np.abs(a - b).max() < 1e-12 * np.abs(b).max()


@pytest.mark.parametrize("name", BASES)
def test_matrices_and_loads_are_scikit_fem_s(name):
    basis = BASES[name]
    x = np.asarray(basis.global_coordinates())
    a = np.array([[2 + x[0], 0.3 + 0 * x[0]], [0.3 + 0 * x[0], np.exp(x[1])]])
    c, e, f = np.stack([np.sin(x[1]), x[0] * x[1]]), 1 + x[0] ** 2, np.cos(3 * x[0] - x[1])

    def form(u, v, w):
        (ux, uy), (vx, vy) = grad(u), grad(v)
        flux = w.a * ux * vx + w.b * uy * vy + w.h * (ux * vy + uy * vx)
        return flux + dot(np.stack([w.cx, w.cy]), grad(u)) * v + w.e * u * v

    given = {"a": a[0, 0], "b": a[1, 1], "h": a[0, 1], "cx": c[0], "cy": c[1], "e": e}
    table = Table(basis)
    same(table.matrix(a, c, e).toarray(), skfem.BilinearForm(form).assemble(basis, **given).toarray())
    same(table.load(f), skfem.LinearForm(lambda v, w: w.f * v).assemble(basis, f=f))


@pytest.mark.parametrize("name", BASES)
def test_values_gradients_and_norms_of_a_function(name):
    basis = BASES[name]
    u = np.random.default_rng(3).standard_normal(basis.N)
    table, known = Table(basis), basis.interpolate(u)
    same(table.values(u), np.asarray(known))
    same(table.gradients(u), np.asarray(known.grad))
    same(table.norm(u), np.sqrt((np.asarray(known) ** 2 * basis.dx).sum()))


def test_a_table_has_a_rule_of_its_own():
    """Degree 12 integrates x^12 exactly on straight cells; the basis' own rule, of degree 6, does not."""
    basis = BASES["P2"]
    area = lambda table: float((table.points[0] ** 12 * table.dx).sum())  # noqa: E731
    assert abs(area(Table(basis, 12)) - 1 / 13) < 1e-12 < abs(area(Table(basis)) - 1 / 13)
