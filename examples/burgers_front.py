r"""A front of Burgers' equation that nodes travel with: a time loop of scikit-fem, and what a moving mesh adds to it.

.. math:: u_t + u (u_x + u_y) = \nu \Delta u, \qquad u = \frac{1}{1 + \exp((x + y - t) / 2\nu)}

with :math:`\nu = 0.01`, on 24 x 24 squares cut in two: the front is as thin as a cell. Crank and Nicolson's method in
ALE form; the lines that make the mesh follow end in "# <- meshmove".

    python examples/burgers_front.py [--steps 24] [--out DIR]
"""

from pathlib import Path

import numpy as np
import skfem
import typer

import meshmove
from meshmove.plugins.skfem.ale import convective

NU, START, END, CELLS = 0.01, 0.5, 1.3, 24
ELEMENT = skfem.ElementTriP1()


def exact(x, t):
    return 1 / (1 + np.exp((x[0] + x[1] - t) / (2 * NU)))


def square():
    return skfem.MeshTri.init_tensor(*[np.linspace(0, 1, CELLS + 1)] * 2)


def l2_error(mesh, u):
    basis = skfem.Basis(mesh, ELEMENT, intorder=8)
    form = skfem.Functional(lambda w: (w["u"] - exact(w.x, END)) ** 2)
    return float(np.sqrt(form.assemble(basis, u=basis.interpolate(u))))


def stepped(step, u, t):
    """u at t + dt: fixed point iteration for the speed, which is the solution's at the middle of the step."""
    ids, new = step.mesh.boundary_nodes(), u
    basis = skfem.Basis(step.middle, ELEMENT, intorder=2)
    for _ in range(3):
        speed = np.stack([np.asarray(basis.interpolate((u + new) / 2))] * 2)
        matrices = convective(step, ELEMENT, speed=speed, diffusion=NU)
        new = matrices.solve(u, fixed=ids, values=exact(step.mesh.p[:, ids], t + step.dt))
    return new


class Rest:
    """A step of a mesh that stands still."""

    def __init__(self, mesh, dt):
        self.old = self.middle = self.mesh = mesh
        self.dt = dt


def main(out: Path = Path("out"), steps: int = 24) -> dict[str, float]:
    dt = (END - START) / steps
    mesh = square()
    u = exact(mesh.p, START)
    for k in range(steps):
        u = stepped(Rest(mesh, dt), u, START + k * dt)
    numbers = {"fixed": l2_error(mesh, u)}

    moving = meshmove.MovingMesh(square())  # <- meshmove
    moving.start(lambda x: exact(x, START))  # <- meshmove
    u, fastest = exact(moving.mesh.p, START), 0.0
    with moving.record(Path(out) / "burgers_front.gif", size=320, title="Burgers") as film:  # <- meshmove
        for k in range(steps):
            step = moving.step(u, dt)  # <- meshmove
            u = stepped(step, step.material, START + k * dt)
            fastest = max(fastest, step.report.largest_speed)
        film.add(u)  # <- meshmove
    numbers["moving"] = l2_error(moving.mesh, u)
    numbers["factor"] = numbers["fixed"] / numbers["moving"]
    numbers["fastest node / front"] = fastest / np.sqrt(0.5)
    meshmove.animate([(moving.mesh, u, END)], Path(out) / "burgers_front_end.html", progress=False)
    for name, value in numbers.items():
        print(f"{name:22} {value:.3g}")
    return numbers


if __name__ == "__main__":
    typer.run(main)
