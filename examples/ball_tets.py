r"""A front on a ball, in tetrahedra: Poisson's equation in the unit cube.

.. math:: -\Delta u = f, \qquad u \text{ given on the boundary}, \qquad u = \tanh(20 (r - 0.7)), \quad r = |x|

u jumps across an eighth of a sphere about the origin. In three dimensions a front is where moving nodes pays most:
halving h everywhere costs eight times the cells. With :math:`\rho = 20 (r - 0.7)` and :math:`g = \tanh`

.. math:: \Delta u = 400\, g''(\rho) + 20\, g'(\rho) \frac{2}{r}.
"""

from pathlib import Path

import numpy as np
import skfem
import typer
from skfem.models.poisson import laplace

from meshmove import adapt_loop
from meshmove.plugins.pyvista import plot

STEEPNESS, RADIUS = 20.0, 0.7


def radius(x):
    return np.sqrt(x[0] ** 2 + x[1] ** 2 + x[2] ** 2)


def exact(x):
    return np.tanh(STEEPNESS * (radius(x) - RADIUS))


@skfem.LinearForm
def source(v, w):
    t = exact(w.x)
    first, second = 1 - t**2, -2 * t * (1 - t**2)
    return -(STEEPNESS**2 * second + STEEPNESS * first * 2 / radius(w.x)) * v


@skfem.Functional
def squared_error(w):
    return (w["u"] - exact(w.x)) ** 2


def solve(mesh):
    basis = skfem.Basis(mesh, skfem.ElementTetP1(), intorder=5)
    boundary = basis.get_dofs()
    u = basis.zeros()
    u[boundary] = exact(mesh.p[:, boundary.nodal["u"]])
    return skfem.solve(*skfem.condense(laplace.assemble(basis), source.assemble(basis), x=u, D=boundary))


def l2_error(mesh):
    basis = skfem.Basis(mesh, skfem.ElementTetP1(), intorder=5)
    return np.sqrt(squared_error.assemble(basis, u=basis.interpolate(solve(mesh))))


def main(out: Path = Path("out")) -> dict[str, float]:
    uniform = skfem.MeshTet.init_tensor(*[np.linspace(0, 1, 13)] * 3)
    adaptation, _ = adapt_loop(uniform, solve, steps=2)

    numbers = {"uniform": l2_error(uniform), "adapted": l2_error(adaptation.mesh)}
    numbers["factor"] = numbers["uniform"] / numbers["adapted"]
    print("L2 error {uniform:.3g} -> {adapted:.3g}, {factor:.2f} times less, same cells".format(**numbers))
    titles = "uniform: L2 error {uniform:.3g}".format(**numbers), "moved: L2 error {adapted:.3g}".format(**numbers)
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    plot(adaptation, "field", before=uniform, headings=titles, label="u", filename=out / "ball_tets.png")
    return numbers


if __name__ == "__main__":
    typer.run(main)
