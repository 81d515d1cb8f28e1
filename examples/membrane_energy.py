r"""A membrane on the L: the mesh moves such that the energy of the solution falls.

.. math:: -\Delta u = 1, \qquad u = 0 \text{ on the boundary},

on the L-shaped domain, :math:`(-1, 1)^2` without its upper right quarter, is what minimises
:math:`J(u) = \int \tfrac12 |\nabla u|^2 - u \, dx`. A finite element solution lies above the least energy by half its
squared error in the energy norm, on every mesh. So `adapt_loop` is told the energy, a `skfem.Functional` as the user
has it anyway, and nothing is recovered or estimated: where its nodes have to be is written in the energy of the
discrete solution. Its derivative by the nodes needs no second solve (configurational forces).

The least energy, :math:`\int |\nabla u|^2 dx = 0.2140758036`, is that of quadratic elements on meshes graded towards
the corner.
"""

from pathlib import Path

import numpy as np
import skfem
import typer
from skfem.helpers import dot, grad
from skfem.models.poisson import laplace, unit_load

from meshmove import adapt_loop
from meshmove.plugins.pyvista import plot

LEAST = -0.2140758036 / 2


@skfem.Functional
def energy(w):
    return dot(grad(w["u"]), grad(w["u"])) / 2 - w["u"]


def solve(mesh):
    basis = skfem.Basis(mesh, skfem.ElementTriP2())
    return basis, skfem.solve(*skfem.condense(laplace.assemble(basis), unit_load.assemble(basis), D=basis.get_dofs()))


def error(mesh):
    """In the energy norm."""
    basis, u = solve(mesh)
    return float(np.sqrt(2 * (energy.assemble(basis, u=u) - LEAST)))


def main(out: Path = Path("out")) -> dict[str, float]:
    uniform = skfem.MeshTri.init_lshaped().refined(4)
    adaptation, _ = adapt_loop(uniform, solve, energy=energy)
    by_field = adapt_loop(uniform, solve).mesh

    numbers = {"uniform": error(uniform), "adapted": error(adaptation.mesh), "by field": error(by_field)}
    numbers["factor"] = numbers["uniform"] / numbers["adapted"]
    print("energy norm of the error {uniform:.2e} -> {adapted:.2e}, {factor:.2f} times less".format(**numbers))
    print("moved to the field, without the energy: {by field:.2e}".format(**numbers))
    titles = "as meshed: error {uniform:.2e}".format(**numbers), "moved: error {adapted:.2e}".format(**numbers)
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    plot(adaptation, "field", before=uniform, headings=titles, label="u", filename=out / "membrane_energy.png")
    return numbers


if __name__ == "__main__":
    typer.run(main)
