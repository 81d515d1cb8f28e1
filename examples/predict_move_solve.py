r"""Predict, move, solve: the first finite element solve already happens on an adapted mesh.

On the square :math:`(-1, 1)^2` without its upper right quarter,

.. math:: -\Delta u = \frac{1}{w^2} e^{-|x - c|^2 / 2 w^2}, \quad w = 0.04, \qquad u = 0 \text{ on the boundary}:

the source is sharp, and the corner makes the solution singular. `adapt_loop` finds its mesh by solving on it, three
times, and solves once more. Here a prediction of u without any mesh is the field of `adapt`, which aligns cells to
the prediction's own second derivatives, and one solve on the moved mesh is all that follows. The errors are those of
linear elements on the same cells, against elements of degree 4 on a fine mesh.
"""

from pathlib import Path
from time import perf_counter

import numpy as np
import skfem
import typer
from skfem.models.poisson import laplace

from meshmove import adapt, adapt_loop
from meshmove.geometry import Rectangle
from meshmove.plugins import plot
from meshmove.solvers import Dirichlet, HyPINO, LinearPDE
from meshmove.solvers.fem.published_problems import Benchmark

CENTRE, WIDTH = (-0.45, 0.35), 0.04


def source(x):
    return np.exp(-((x[0] - CENTRE[0]) ** 2 + (x[1] - CENTRE[1]) ** 2) / (2 * WIDTH**2)) / WIDTH**2


domain = Rectangle((-1, -1), (1, 1), name="wall") - Rectangle((0, 0), (1, 1), name="wall")
pde = LinearPDE(domain, uxx=-1, uyy=-1, source=source, conditions={"wall": Dirichlet(0.0)})


def l_shape(n: int) -> skfem.MeshTri:
    """n cells along a side of the square."""
    mesh = skfem.MeshTri.init_tensor(*[np.linspace(-1, 1, n + 1)] * 2)
    return mesh.remove_elements(np.flatnonzero((mesh.p[:, mesh.t].mean(axis=1) > 0).all(axis=0)))


def solve(mesh):
    basis = skfem.Basis(mesh, skfem.ElementTriP1(), intorder=8)
    load = skfem.LinearForm(lambda v, w: source(w.x) * v).assemble(basis)
    return skfem.solve(*skfem.condense(laplace.assemble(basis), load, D=basis.get_dofs()))


def l2_error(mesh, u, truth):
    basis = skfem.Basis(mesh, skfem.ElementTriP1(), intorder=8)
    x = np.asarray(basis.global_coordinates())
    difference = basis.interpolate(u) - truth(x.reshape(2, -1)).reshape(x.shape[1:])
    return float(np.sqrt((np.asarray(difference) ** 2 * basis.dx).sum()))


def main(out: Path = Path("out")) -> dict[str, float]:
    uniform = l_shape(40)
    truth = Benchmark("sharp source", pde, size=0.04).reference
    model = HyPINO.from_pretrained()
    adapt(uniform, model.solve(pde, project=False))  # first calls load code, which is no part of the comparison
    moved = {}

    def predicted(name, **how):
        moved[name] = adapt(uniform, model.solve(pde, **how))
        return moved[name].mesh

    ways = {
        "uniform": ("uniform mesh, one solve", lambda: uniform),
        "refined": ("moved to the refined network, one solve", lambda: predicted("refined", refine=3)),
        "adapted": ("moved to the projection, one solve", lambda: predicted("adapted", project=True)),
        "loop": ("adapt_loop, four solves", lambda: adapt_loop(uniform, solve).mesh),
    }
    numbers = {}
    for name, (text, way) in ways.items():
        start = perf_counter()
        mesh = way()
        u = solve(mesh)
        numbers[f"{name} seconds"] = perf_counter() - start
        numbers[name] = l2_error(mesh, u, truth)
        print(f"{text:40}  L2 error {numbers[name]:.2e}  {numbers[f'{name} seconds']:5.2f} s in all")
    numbers["factor"] = numbers["uniform"] / numbers["adapted"]

    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    titles = (
        "uniform: L2 error {uniform:.2g}".format(**numbers),
        "moved before any solve: {adapted:.2g}".format(**numbers),
    )
    plot(moved["adapted"], "field", headings=titles, label="u", filename=out / "predict_move_solve.png")
    return numbers


if __name__ == "__main__":
    typer.run(main)
