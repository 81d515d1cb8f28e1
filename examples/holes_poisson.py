r"""Laplace's equation around four holes: stated, solved and checked without a mesh.

.. math:: -\Delta u = 0, \qquad u = 1 \text{ on the outer boundary}, \qquad u = 0 \text{ on the holes},

in the square :math:`(-1, 1)^2` without four disks of radius 0.2.

A hypernetwork reads the problem and writes a first answer (`HyPINO.solve`); rounds of refinement improve it;
projection is the least-squares solution over smooth splines, in double precision and on the exact circles. Here finite
elements of degree 4 with curved edges are the judge.
"""

from pathlib import Path

import numpy as np
import skfem
import typer

from meshmove.geometry import Disk, Rectangle
from meshmove.plugins import plot_history, plot_solution
from meshmove.solvers import Dirichlet, HyPINO, LinearPDE, solve_finite_elements
from meshmove.solvers.fem.evaluation import function_of

square = Rectangle((-1, -1), (1, 1), name="outer")
holes = [Disk((x, y), 0.2, name="hole") for x in (-0.6, 0.6) for y in (-0.6, 0.6)]
pde = LinearPDE(
    square - holes, uxx=-1, uyy=-1, source=0.0, conditions={"outer": Dirichlet(1.0), "hole": Dirichlet(0.0)}
)


def main(out: Path = Path("out")) -> dict[str, float]:
    model = HyPINO.from_pretrained()
    refined = model.solve(pde, refine=5)
    solution = model.solve(pde, project=True)

    # scikit-fem's pair (basis, degrees of freedom)
    elements = solve_finite_elements(pde, size=0.05, element=skfem.ElementTriP4())
    x = pde.domain.sample_interior(4000)
    truth = function_of(*elements)(x)
    numbers = {
        name: float(np.linalg.norm(u(x) - truth) / np.linalg.norm(truth))
        for name, u in (("refined", refined), ("error", solution))
    }
    numbers["estimated"] = solution.error_estimate
    print("relative L2 difference from finite elements: {refined:.2g} refined, {error:.2g} projected".format(**numbers))
    print("relative L2 error as the projected solution itself estimates it: {estimated:.2g}".format(**numbers))
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    plot_solution(solution, exact=elements, filename=out / "holes_poisson.png")
    plot_solution(refined, exact=solution, filename=out / "holes_poisson_refined.png")
    plot_history(refined, filename=out / "holes_poisson_history.png")
    return numbers


if __name__ == "__main__":
    typer.run(main)
