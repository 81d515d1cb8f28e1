r"""A block of rubber, pulled and sheared: large deformations by the energy that they store.

A compressible neo-Hookean block (:math:`\mu = 1, \lambda = 4`) on the unit square, plane strain, its bottom held and
its top displaced by (0.4, 0.3):

.. math::
    J(u) = \int \tfrac{\mu}{2} (F : F - 2) - \mu \log \det F + \tfrac{\lambda}{2} (\log \det F)^2 \, dx,
    \qquad F = I + \nabla u,

as in scikit-fem's example 36, in linear elements by Newton's method. At the four corners the stress is singular. Told
the energy, `adapt_loop` moves the nodes such that it falls, one solve a step.

The least energy is that of quadratic elements on a mesh graded towards the corners.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import skfem
import typer
from skfem.helpers import ddot, grad

from meshmove import adapt_loop
from meshmove.plugins.pyvista import plot

MU, LAMBDA = 1.0, 4.0
LEAST = 0.213908


def deformation(slope):
    """F, its determinant, and its inverse transposed."""
    f = slope + np.eye(2)[:, :, None, None]
    j = f[0, 0] * f[1, 1] - f[0, 1] * f[1, 0]
    return f, j, np.array([[f[1, 1], -f[1, 0]], [-f[0, 1], f[0, 0]]]) / j


@skfem.Functional
def stored(w):
    f, j, _ = deformation(grad(w["u"]))
    return MU / 2 * (ddot(f, f) - 2) - MU * np.log(j) + LAMBDA / 2 * np.log(j) ** 2


@skfem.LinearForm
def force(v, w):
    f, j, inverse = deformation(grad(w["w"]))
    return ddot(MU * (f - inverse) + LAMBDA * np.log(j) * inverse, grad(v))


@skfem.BilinearForm
def tangent(u, v, w):
    _, j, inverse = deformation(grad(w["w"]))
    turned = np.einsum("ij...,kj...,kl...->il...", inverse, grad(u), inverse)
    return ddot(MU * grad(u) + (MU - LAMBDA * np.log(j)) * turned, grad(v)) + LAMBDA * ddot(inverse, grad(u)) * ddot(
        inverse, grad(v)
    )


def solve(mesh, element=None):
    basis = skfem.Basis(mesh, skfem.ElementVector(element or skfem.ElementTriP1()))
    held = np.union1d(basis.get_dofs("top").all(), basis.get_dofs("bottom").all())
    u = basis.zeros()
    for component, pulled in (("u^1", 0.4), ("u^2", 0.3)):
        at = basis.get_dofs(elements=True).all(component)
        u[at] = pulled * basis.doflocs[1, at]
    for _ in range(30):
        rest = -force.assemble(basis, w=u)
        step = skfem.solve(*skfem.condense(tangent.assemble(basis, w=u), rest, D=held))
        with np.errstate(invalid="ignore"):  # too far: a cell is turned inside out, or the energy rises
            while not stored.assemble(basis, u=u + step) <= stored.assemble(basis, u=u) + 1e-13:
                step = step / 2
        u = u + step
        if np.abs(step).max() < 1e-11:
            break
    return basis, u


def block(refined):
    mesh = skfem.MeshTri.init_symmetric().refined(refined)
    return mesh.with_boundaries({"top": lambda x: x[1] > 1 - 1e-9, "bottom": lambda x: x[1] < 1e-9})


def excess(mesh):
    """Of the energy over the least one."""
    basis, u = solve(mesh)
    return float(stored.assemble(basis, u=u) - LEAST)


def main(out: Path = Path("out")) -> dict[str, float]:
    uniform = block(3)
    adaptation, _ = adapt_loop(uniform, solve, energy=stored)

    numbers = {"uniform": excess(uniform), "adapted": excess(adaptation.mesh)}
    numbers["factor"] = numbers["uniform"] / numbers["adapted"]
    print("energy above the least by {uniform:.2e} -> {adapted:.2e}, {factor:.2f} times less".format(**numbers))
    titles = "as meshed: {uniform:.2e} too much".format(**numbers), "moved: {adapted:.2e}".format(**numbers)
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    u = solve(adaptation.mesh)[1].reshape(-1, 2)  # at the nodes
    shown = replace(adaptation, fields={"displacement": u})
    plot(shown, "displacement", before=uniform, headings=titles, filename=out / "rubber_block.png")
    return numbers


if __name__ == "__main__":
    typer.run(main)
