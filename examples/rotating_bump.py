r"""A bump that is carried round without diffusion: the mesh turns with it, and the mass is kept to rounding.

.. math:: u_t + \nabla \cdot (c u) = 0, \qquad c = 2 \pi (1/2 - y, x - 1/2)

on 24 x 24 squares cut in two, for a quarter of a turn. The conservative ALE form keeps the mass and a constant.

    python examples/rotating_bump.py [--steps 24] [--out DIR]
"""

from pathlib import Path

import numpy as np
import skfem
import typer

import meshmove
from meshmove.plugins.skfem.ale import conservative

END, CELLS = 0.25, 24
ELEMENT = skfem.ElementTriP1()


def exact(x, t):
    turn = 2 * np.pi * t
    return np.exp(-150 * ((x[0] - 0.5 - 0.25 * np.cos(turn)) ** 2 + (x[1] - 0.5 - 0.25 * np.sin(turn)) ** 2))


def rotation(x):
    """Round the middle inside the circle that fits into the square; at rest outside, so that nothing flows through."""
    r = np.hypot(x[0] - 0.5, x[1] - 0.5)
    slow = np.clip((0.5 - r) / 0.02, 0, 1)
    return 2 * np.pi * slow * np.stack([0.5 - x[1], x[0] - 0.5])


def stepped(step, u):
    return conservative(step, ELEMENT, speed=rotation).solve(u)


def measured(mesh, u):
    """L2 error at the end, and mass."""
    basis = skfem.Basis(mesh, ELEMENT, intorder=8)
    form = skfem.Functional(lambda w: (w["u"] - exact(w.x, END)) ** 2)
    values = basis.interpolate(u)
    return float(np.sqrt(form.assemble(basis, u=values))), float((values * basis.dx).sum())


class Rest:
    """A step of a mesh that stands still."""

    def __init__(self, mesh, dt):
        self.old = self.middle = self.mesh = mesh
        self.dt = dt


def main(out: Path = Path("out"), steps: int = 24) -> dict[str, float]:
    dt = END / steps
    mesh = skfem.MeshTri.init_tensor(*[np.linspace(0, 1, CELLS + 1)] * 2)
    u = exact(mesh.p, 0)
    for _ in range(steps):
        u = stepped(Rest(mesh, dt), u)
    numbers = {"fixed": measured(mesh, u)[0]}

    moving = meshmove.MovingMesh(mesh)  # <- meshmove
    moving.start(lambda x: exact(x, 0))  # <- meshmove
    u = exact(moving.mesh.p, 0)
    before = measured(moving.mesh, u)[1]
    with moving.record(Path(out) / "rotating_bump.gif", size=320, title="bump") as film:  # <- meshmove
        for _ in range(steps):
            step = moving.step(u, dt)  # <- meshmove
            u = stepped(step, step.material)
        film.add(u)  # <- meshmove
    numbers["moving"], after = measured(moving.mesh, u)
    numbers["factor"] = numbers["fixed"] / numbers["moving"]
    numbers["mass off by"] = abs(after / before - 1)
    for name, value in numbers.items():
        print(f"{name:12} {value:.3g}")
    return numbers


if __name__ == "__main__":
    typer.run(main)
