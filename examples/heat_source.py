r"""A laser's spot of heat runs over a plate, as in additive manufacturing: the mesh runs with it.

.. math:: u_t - \kappa \Delta u = f, \qquad u = e^{-200 ((x - 1/4 - t)^2 + (y - 1/2)^2)}

with :math:`\kappa = 0.01` and the source f that makes this u the solution; 24 x 24 squares cut in two. Crank and
Nicolson's method in ALE form. The mesh is saved half-way, and goes on from the file.

    python examples/heat_source.py [--steps 24] [--out DIR]
"""

from pathlib import Path

import numpy as np
import skfem
import typer

import meshmove
from meshmove.plugins.skfem.ale import convective

KAPPA, SHARP, END, CELLS = 0.01, 200.0, 0.5, 24
ELEMENT = skfem.ElementTriP1()


def exact(x, t):
    return np.exp(-SHARP * ((x[0] - 0.25 - t) ** 2 + (x[1] - 0.5) ** 2))


def source(x, t):
    dx, dy = x[0] - 0.25 - t, x[1] - 0.5
    heat = 2 * SHARP * dx - KAPPA * (4 * SHARP**2 * (dx**2 + dy**2) - 4 * SHARP)
    return heat * exact(x, t)


def stepped(step, u, t):
    ids, middle = step.mesh.boundary_nodes(), t + step.dt / 2
    matrices = convective(step, ELEMENT, diffusion=KAPPA, source=lambda x: source(x, middle))
    return matrices.solve(u, fixed=ids, values=exact(step.mesh.p[:, ids], t + step.dt))


def l2_error(mesh, u):
    basis = skfem.Basis(mesh, ELEMENT, intorder=8)
    form = skfem.Functional(lambda w: (w["u"] - exact(w.x, END)) ** 2)
    return float(np.sqrt(form.assemble(basis, u=basis.interpolate(u))))


class Rest:
    """A step of a mesh that stands still."""

    def __init__(self, mesh, dt):
        self.old = self.middle = self.mesh = mesh
        self.dt = dt


def main(out: Path = Path("out"), steps: int = 24) -> dict[str, float]:
    out, dt = Path(out), END / steps
    out.mkdir(parents=True, exist_ok=True)
    mesh = skfem.MeshTri.init_tensor(*[np.linspace(0, 1, CELLS + 1)] * 2)
    u = exact(mesh.p, 0)
    for k in range(steps):
        u = stepped(Rest(mesh, dt), u, k * dt)
    numbers = {"fixed": l2_error(mesh, u)}

    moving = meshmove.MovingMesh(mesh)  # <- meshmove
    moving.start(lambda x: exact(x, 0))  # <- meshmove
    u, frames = exact(moving.mesh.p, 0), []
    for k in range(steps):
        if k == steps // 2:
            moving.save(out / "heat_source.npz")
            moving = meshmove.MovingMesh.load(out / "heat_source.npz")
        step = moving.step(u, dt)  # <- meshmove
        u = stepped(step, step.material, k * dt)
        frames.append((step.mesh, u, step.time))
    numbers["moving"] = l2_error(moving.mesh, u)
    numbers["factor"] = numbers["fixed"] / numbers["moving"]
    meshmove.animate(frames, out / "heat_source.gif", size=320, title="temperature", progress=False)
    for name, value in numbers.items():
        print(f"{name:8} {value:.3g}")
    return numbers


if __name__ == "__main__":
    typer.run(main)
