r"""One number is wanted: the deflection of a membrane near a point, and a mesh that is good for that.

.. math:: -\Delta u = 1, \qquad u = 0 \text{ on the boundary},

on the L-shaped domain, :math:`(-1, 1)^2` without its upper right quarter, is solved in linear elements for the mean
deflection under a gauge of about a tenth in width at (0.5, -0.5),

.. math:: \frac{200}{\pi} \int e^{-200 |x - (0.5, -0.5)|^2} u \, dx.

`adapt_loop` gets this goal as a `skfem.Functional`, and the user's own means to solve the transposed problem with its
derivative as the load. Cells then go where the solution's error matters to the gauge: to the corner, where the
solution is singular, and to the gauge, about which the adjoint solution is steep.

The reference value is that of quadratic elements on meshes of up to a million cells.
"""

from pathlib import Path

import numpy as np
import skfem
import typer
from skfem.models.poisson import laplace, unit_load

from meshmove import adapt_loop
from meshmove.plugins.pyvista import plot

VALUE = 0.1011151


@skfem.Functional
def gauge(w):
    return 200 / np.pi * np.exp(-200 * ((w.x[0] - 0.5) ** 2 + (w.x[1] + 0.5) ** 2)) * w["u"]


def solve(mesh):
    basis = skfem.Basis(mesh, skfem.ElementTriP1(), intorder=6)
    return basis, skfem.solve(*skfem.condense(laplace.assemble(basis), unit_load.assemble(basis), D=basis.get_dofs()))


def adjoint(basis, load):
    return skfem.solve(*skfem.condense(laplace.assemble(basis).T, load, D=basis.get_dofs()))


def error(mesh):
    """Of the deflection, relative."""
    basis, u = solve(mesh)
    return float(abs(gauge.assemble(basis, u=u) / VALUE - 1))


def main(out: Path = Path("out")) -> dict[str, float]:
    uniform = skfem.MeshTri.init_lshaped().refined(4)
    adaptation, _ = adapt_loop(uniform, solve, goal=gauge, adjoint=adjoint)
    by_field = adapt_loop(uniform, solve).mesh

    numbers = {"uniform": error(uniform), "adapted": error(adaptation.mesh), "by field": error(by_field)}
    numbers["factor"] = numbers["uniform"] / numbers["adapted"]
    print("deflection off by {uniform:.2%} -> {adapted:.2%}, {factor:.2f} times less".format(**numbers))
    print("on a mesh for the field as a whole: {by field:.2%}".format(**numbers))
    titles = "as meshed: off by {uniform:.2%}".format(**numbers), "moved: off by {adapted:.2%}".format(**numbers)
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    plot(adaptation, before=uniform, headings=titles, filename=out / "goal_deflection.png")
    return numbers


if __name__ == "__main__":
    typer.run(main)
