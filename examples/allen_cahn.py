r"""A bubble that shrinks by its curvature: the interface of Allen and Cahn's equation, a fiftieth of the square wide.

.. math:: u_t = \Delta u + \frac{u - u^3}{\epsilon^2}

As :math:`\epsilon \to 0` the radius of a disk of u = 1 obeys :math:`r' = -1/r`, so that its area shrinks by
:math:`2 \pi t`. The second-order backward difference formula in ALE form, the reaction linearised about the solution
extrapolated, and corrected once; 24 x 24 squares cut in two. On the mesh at rest the interface has hardly two cells.

    python examples/allen_cahn.py [--steps 120] [--out DIR]
"""

from copy import copy
from pathlib import Path

import numpy as np
import skfem
import typer

import meshmove
from meshmove.plugins.skfem.ale import BDF2

WIDTH, RADIUS, END, CELLS = 0.02, 0.3, 0.03, 24
ELEMENT = skfem.ElementTriP1()


def bubble(x, radius=RADIUS):
    return np.tanh((radius - np.hypot(x[0] - 0.5, x[1] - 0.5)) / (np.sqrt(2) * WIDTH))


def area(mesh, u):
    """Of the bubble: of the part where u > 0, by the values of u between its sides."""
    basis = skfem.Basis(mesh, ELEMENT, intorder=4)
    return float((0.5 * (1 + np.asarray(basis.interpolate(u))) * basis.dx).sum())


class Rest:
    """A step of a mesh that stands still."""

    def __init__(self, mesh, dt):
        self.old = self.middle = self.mesh = mesh
        self.dt = dt


class Scheme:
    """Steps of BDF2, whose reaction (u^2 - 1) / width^2 is that of the solution as it is known."""

    def __init__(self):
        self._bdf2, self._before = BDF2(), None

    def step(self, step, u):
        known = u if self._before is None else 2 * u - self._before
        for _ in range(2):
            scheme = copy(self._bdf2)
            reaction = (known**2 - 1) / WIDTH**2
            known = scheme.step(step, ELEMENT, u, diffusion=1.0, reaction=reaction).solve(u)
        self._bdf2, self._before = scheme, u
        return known


def main(out: Path = Path("out"), steps: int = 120) -> dict[str, float]:
    dt = END / steps
    mesh = skfem.MeshTri.init_tensor(*[np.linspace(0, 1, CELLS + 1)] * 2)
    u = bubble(mesh.p)
    first = area(mesh, u)
    scheme = Scheme()
    for _ in range(steps):
        u = scheme.step(Rest(mesh, dt), u)
    numbers = {"fixed": abs((first - area(mesh, u)) / (2 * np.pi * END) - 1)}

    moving = meshmove.MovingMesh(mesh)  # <- meshmove
    moving.start(bubble)  # <- meshmove
    u = bubble(moving.mesh.p)
    first, scheme = area(moving.mesh, u), Scheme()
    with moving.record(Path(out) / "allen_cahn.gif", size=320, every=5, title="bubble") as film:  # <- meshmove
        for _ in range(steps):
            step = moving.step(u, dt)  # <- meshmove
            u = scheme.step(step, step.material)
        film.add(u)  # <- meshmove
    numbers["moving"] = abs((first - area(moving.mesh, u)) / (2 * np.pi * END) - 1)
    numbers["factor"] = numbers["fixed"] / numbers["moving"]
    for name, value in numbers.items():
        print(f"{name:8} {value:.3g}")
    return numbers


if __name__ == "__main__":
    typer.run(main)
