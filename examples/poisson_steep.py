r"""A steep ring: Poisson's equation, solved in scikit-fem as always, on a mesh that moves to the solution.

On the unit square,

.. math:: -\Delta u = f, \qquad u \text{ given on the boundary}, \qquad u = \tanh(60 s), \quad s = |x - c|^2 - 0.08,

c the centre: u jumps from -1 to 1 across a circle, in a layer of width 0.03, a little more than one cell of the
uniform 40 x 40 mesh. The source follows from u = g(s): :math:`\Delta u = g''(s) |\nabla s|^2 + g'(s) \Delta s`.

Lines that end in ``# <- meshmove`` are what a scikit-fem script gains; everything else was there before.
"""

from pathlib import Path

import numpy as np
import skfem
import typer
from skfem.models.poisson import laplace

from meshmove import adapt_loop  # <- meshmove
from meshmove.plugins.pyvista import plot  # <- meshmove

STEEPNESS = 60.0


def level(x):
    return (x[0] - 0.5) ** 2 + (x[1] - 0.5) ** 2 - 0.08


def exact(x):
    return np.tanh(STEEPNESS * level(x))


@skfem.LinearForm
def source(v, w):
    t = exact(w.x)
    first, second = STEEPNESS * (1 - t**2), -2 * STEEPNESS**2 * t * (1 - t**2)
    return -(second * 4 * (level(w.x) + 0.08) + first * 4) * v


@skfem.Functional
def squared_error(w):
    return (w["u"] - exact(w.x)) ** 2


def solve(mesh):
    basis = skfem.Basis(mesh, skfem.ElementTriP1(), intorder=8)
    boundary = basis.get_dofs()
    u = basis.zeros()
    u[boundary] = exact(mesh.p[:, boundary.nodal["u"]])
    return skfem.solve(*skfem.condense(laplace.assemble(basis), source.assemble(basis), x=u, D=boundary))


def l2_error(mesh):
    basis = skfem.Basis(mesh, skfem.ElementTriP1(), intorder=8)
    return np.sqrt(squared_error.assemble(basis, u=basis.interpolate(solve(mesh))))


def main(out: Path = Path("out")) -> dict[str, float]:
    uniform = skfem.MeshTri.init_tensor(*[np.linspace(0, 1, 41)] * 2)
    adaptation, _ = adapt_loop(uniform, solve)  # <- meshmove
    adapted = adaptation.mesh  # <- meshmove

    numbers = {"uniform": l2_error(uniform), "adapted": l2_error(adapted)}
    numbers["factor"] = numbers["uniform"] / numbers["adapted"]
    print("L2 error {uniform:.3g} -> {adapted:.3g}, {factor:.2f} times less, same cells".format(**numbers))
    titles = "uniform: L2 error {uniform:.3g}".format(**numbers), "moved: L2 error {adapted:.3g}".format(**numbers)
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    plot(
        adaptation, "field", before=uniform, headings=titles, label="u", filename=out / "poisson_steep.png"
    )  # <- meshmove
    return numbers


if __name__ == "__main__":
    typer.run(main)
