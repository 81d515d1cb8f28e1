r"""A piston compresses a gas with a thin layer in it: the boundary goes where it is told, the mesh follows the layer.

.. math:: \rho_t + \nabla \cdot (c \rho) = 0, \qquad c = -\frac{L'}{L} (1 - x)

in a cylinder of length :math:`L(t) = 1 - 0.6 \sin(\pi t / 2)`, whose piston stands at x = 1 - L. A gas that is
compressed evenly has the density :math:`\rho_0(X) / L` at :math:`x = 1 - L (1 - X)`. The conservative ALE form keeps
its mass to rounding. The rival is a mesh that makes room for the piston and does nothing else.

    python examples/piston.py [--steps 50] [--out DIR]
"""

from pathlib import Path

import numpy as np
import skfem
import typer

import meshmove
from meshmove.plugins.skfem.ale import conservative

CELLS, END = 20, 1.0
ELEMENT = skfem.ElementTriP1()


def length(t):
    return 1 - 0.6 * np.sin(np.pi * t / 2)


def density(x, t):
    """Of the gas: a layer that is bent, a thirtieth of the cylinder thick."""
    first = 1 - (1 - x[0]) / length(t)
    return (1 + 4 / np.cosh((first - 0.5 - 0.1 * np.cos(np.pi * x[1])) / 0.03) ** 2) / length(t)


def piston(x, t):
    return np.stack([1 - length(t) * (1 - x[0]), x[1]])


def speed(t, dt):
    """Of the gas in a step that ends at t: that at its middle, by the lengths at both ends."""
    rate, middle = (length(t) - length(t - dt)) / dt, 0.5 * (length(t) + length(t - dt))
    return lambda x: np.stack([-rate / middle * (1 - x[0]), 0 * x[0]])


def mass(mesh, u):
    basis = skfem.Basis(mesh, ELEMENT)
    return float((basis.interpolate(u) * basis.dx).sum())


def l2_error(mesh, u):
    """Relative."""
    basis = skfem.Basis(mesh, ELEMENT, intorder=8)
    off = skfem.Functional(lambda w: (w["u"] - density(w.x, END)) ** 2).assemble(basis, u=basis.interpolate(u))
    return float(np.sqrt(off / skfem.Functional(lambda w: density(w.x, END) ** 2).assemble(basis)))


def loop(moving, follow, steps, film=None):
    """Density at the end, and by how much the mass has changed."""
    u, dt = density(moving.mesh.p, 0), END / steps
    before = mass(moving.mesh, u)
    for _ in range(steps):
        step = moving.step(u if follow else None, dt, boundary_motion={"piston": piston})
        u = conservative(step, ELEMENT, speed=speed(moving.time, dt)).solve(u)
    if film is not None:
        film.add(u)
    return u, abs(mass(moving.mesh, u) / before - 1)


def main(out: Path = Path("out"), steps: int = 50) -> dict[str, float]:
    mesh = skfem.MeshTri.init_tensor(*[np.linspace(0, 1, CELLS + 1)] * 2)
    mesh = mesh.with_boundaries({"piston": lambda x: x[0] == 0})
    rival = meshmove.MovingMesh(mesh)
    numbers = {"uniform": l2_error(*(lambda u: (rival.mesh, u))(loop(rival, False, steps)[0]))}
    moving = meshmove.MovingMesh(mesh)
    moving.start(lambda x: density(x, 0))
    with moving.record(Path(out) / "piston.gif", size=320, every=2, title="density", clim=(1, 12)) as film:
        u, numbers["mass off by"] = loop(moving, True, steps, film)
    numbers["adapted"] = l2_error(moving.mesh, u)
    numbers["factor"] = numbers["uniform"] / numbers["adapted"]
    numbers["piston off by"] = abs(moving.mesh.p[0].min() - 0.6)
    for name, value in numbers.items():
        print(f"{name:14} {value:.3g}")
    return numbers


if __name__ == "__main__":
    typer.run(main)
