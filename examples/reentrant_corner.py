r"""The re-entrant corner: a singularity that no refinement of the data explains.

On the L-shaped domain with its corner at c, in polar coordinates about it, the harmonic function

.. math:: u = r^{2/3} \sin(2 \theta / 3)

vanishes on both sides that meet at c, but its gradient grows like :math:`r^{-1/3}`: on uniform meshes the L2 error of
linear elements falls with :math:`h^{4/3}` only, instead of :math:`h^2` (Grisvard, Elliptic Problems in Nonsmooth
Domains, 1985). The moved mesh has the same cells, graded towards the corner; the boundary nodes glide along the six
sides.
"""

from pathlib import Path

import numpy as np
import skfem
import typer
from skfem.models.poisson import laplace

from meshmove import adapt_loop
from meshmove.plugins.pyvista import plot


def exact(x):
    a, b = x[0] - 0.5, x[1] - 0.5
    # the angle from the side below the missing quarter; its jump lies in that quarter
    angle = np.arctan2(a - b, -(a + b)) + 0.75 * np.pi
    return np.hypot(a, b) ** (2 / 3) * np.sin(2 / 3 * angle)


@skfem.Functional
def squared_error(w):
    return (w["u"] - exact(w.x)) ** 2


def l_shape(n: int) -> skfem.MeshTri:
    """n cells along a side of the unit square, less its upper right quarter."""
    mesh = skfem.MeshTri.init_tensor(*[np.linspace(0, 1, n + 1)] * 2)
    return mesh.remove_elements(np.flatnonzero((mesh.p[:, mesh.t].mean(axis=1) > 0.5).all(axis=0)))


def solve(mesh):
    basis = skfem.Basis(mesh, skfem.ElementTriP1())
    boundary = basis.get_dofs()
    u = basis.zeros()
    u[boundary] = exact(mesh.p[:, boundary.nodal["u"]])
    return skfem.solve(*skfem.condense(laplace.assemble(basis), x=u, D=boundary))


def l2_error(mesh):
    basis = skfem.Basis(mesh, skfem.ElementTriP1(), intorder=10)
    return np.sqrt(squared_error.assemble(basis, u=basis.interpolate(solve(mesh))))


def main(out: Path = Path("out")) -> dict[str, float]:
    uniform = l_shape(40)
    adaptation, _ = adapt_loop(uniform, solve)

    numbers = {"uniform": l2_error(uniform), "adapted": l2_error(adaptation.mesh)}
    numbers["factor"] = numbers["uniform"] / numbers["adapted"]
    print("L2 error {uniform:.3g} -> {adapted:.3g}, {factor:.2f} times less, same cells".format(**numbers))
    titles = "uniform: L2 error {uniform:.3g}".format(**numbers), "moved: L2 error {adapted:.3g}".format(**numbers)
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    plot(adaptation, "field", before=uniform, headings=titles, label="u", filename=out / "reentrant_corner.png")
    return numbers


if __name__ == "__main__":
    typer.run(main)
