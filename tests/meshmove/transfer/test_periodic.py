"""Fields on periodic meshes: the integral is kept, and images have one value."""

import numpy as np
import pytest
import skfem

from meshmove import MovingMesh

GRID = np.linspace(0, 1, 11)
KINDS = {"triangle": (skfem.MeshTri1DG, skfem.ElementTriP1), "quad": (skfem.MeshQuad1DG, skfem.ElementQuad1)}


def bump(t):
    wavy = lambda x: np.cos(2 * np.pi * x[0]) * np.cos(2 * np.pi * x[1])  # noqa: E731
    return lambda x: np.exp(-40 * ((x[0] - 0.5 - t) ** 2 + (x[1] - 0.3) ** 2)) + 0.2 * wavy(x)


@skfem.Functional
def integral(w):
    return w["u"]


def total(mesh, element, dofs):
    basis = skfem.Basis(mesh, element)
    return integral.assemble(basis, u=basis.interpolate(dofs))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("periodic", [[0], [0, 1]])
@pytest.mark.parametrize("transfer", ["swept", "conservative"])
def test_integrals_are_kept_on_periodic_meshes(kind, periodic, transfer):
    made, element = KINDS[kind][0], KINDS[kind][1]()
    moving = MovingMesh(made.init_tensor(GRID, GRID, periodic=periodic), transfer=transfer)
    moving.start(bump(0.0))
    for k in range(2):
        basis = skfem.Basis(moving.mesh, element)
        u = basis.project(bump(0.03 * k))
        step = moving.step((basis, u), 0.03)
        assert total(step.mesh, element, step.carried) == pytest.approx(total(step.old, element, u), abs=1e-14)
    assert not np.allclose(step.mesh.p, step.old.p, atol=1e-4)
    exact = skfem.Basis(step.mesh, element).project(bump(0.03))
    assert np.abs(step.carried - exact).max() < 0.3 * np.abs(u - exact).max()
