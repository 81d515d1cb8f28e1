r"""An airfoil that pitches in a plane: its nodes go where they are told, those around follow its boundary layer.

.. math:: u_t - \kappa \Delta u = f

in a round plate around a NACA 0012 airfoil that pitches by 20 degrees about its quarter chord, for three quarters of a
period. The solution is a band of heat that turns with it, :math:`u = U(R(\theta(t)) x)`, f what makes it one. The rival
is a mesh that makes room for the airfoil and does nothing else.

    python examples/pitching_airfoil.py [--steps 24] [--out DIR]
"""

from pathlib import Path

import numpy as np
import skfem
import typer

import meshmove
from meshmove.plugins.skfem.ale import convective

AROUND, ACROSS, END, DIFFUSION = 48, 12, 0.75, 1e-2
ELEMENT = skfem.ElementTriP1()


def angle(t):
    return np.radians(20) * np.sin(2 * np.pi * t)


def turned(x, by):
    return np.stack([np.cos(by) * x[0] - np.sin(by) * x[1], np.sin(by) * x[0] + np.cos(by) * x[1]])


def airfoil(x, t):
    """Where its nodes are at a time, from where they were at first."""
    return turned(x, -angle(t))


def profile():
    """A closed NACA 0012 (2, n), chord one, its quarter point at the origin; from the trailing edge and back to it."""
    s = 2 * np.pi * np.arange(AROUND) / AROUND
    x = 0.5 + 0.5 * np.cos(s)
    thick = 0.6 * (0.2969 * np.sqrt(x) - 0.126 * x - 0.3516 * x**2 + 0.2843 * x**3 - 0.1036 * x**4)
    return np.stack([x - 0.25, np.sign(np.sin(s)) * thick * (np.abs(np.sin(s)) > 1e-12)])


def grid():
    """Rings of triangles from the airfoil to a circle of radius 1.5."""
    inner = profile()
    s = 2 * np.pi * np.arange(AROUND) / AROUND
    outer = 1.5 * np.stack([np.cos(s), np.sin(s)])
    share = (np.arange(ACROSS + 1) / ACROSS) ** 1.3
    points = inner[:, None] + share[:, None] * (outer - inner)[:, None]
    ring, k = np.meshgrid(np.arange(ACROSS), np.arange(AROUND), indexing="ij")
    a, b = ring * AROUND + k, ring * AROUND + (k + 1) % AROUND
    cells = np.stack([np.stack([a, b, b + AROUND]), np.stack([a, b + AROUND, a + AROUND])]).transpose(1, 0, 2, 3)
    mesh = skfem.MeshTri(points.reshape(2, -1), cells.reshape(3, -1))
    return mesh.with_boundaries({"airfoil": lambda x: np.hypot(*x) < 1.2, "rim": lambda x: np.hypot(*x) > 1.2})


def exact(x, t):
    """A band of heat around the airfoil, thinner than cells."""
    y = turned(x, angle(t))
    away = np.sqrt(((y[0] - 0.25) / 0.75) ** 2 + (y[1] / 0.35) ** 2)
    return 1 / np.cosh((away - 1) / 0.12) ** 2


def source(x, t, h=1e-4):
    """f, by central differences."""
    aside = [np.stack([x[0] + a * h, x[1] + b * h]) for a, b in ((1, 0), (-1, 0), (0, 1), (0, -1))]
    bent = (sum(exact(y, t) for y in aside) - 4 * exact(x, t)) / h**2
    return (exact(x, t + h) - exact(x, t - h)) / (2 * h) - DIFFUSION * bent


def l2_error(mesh, u):
    """Relative."""
    basis = skfem.Basis(mesh, ELEMENT, intorder=8)
    off = skfem.Functional(lambda w: (w["u"] - exact(w.x, END)) ** 2).assemble(basis, u=basis.interpolate(u))
    return float(np.sqrt(off / skfem.Functional(lambda w: exact(w.x, END) ** 2).assemble(basis)))


def loop(moving, follow, steps, film=None):
    """Heat at the end, and by how much a step would change a constant, relative to its size in the equations."""
    u, dt, off = exact(moving.mesh.p, 0), END / steps, 0.0
    for _ in range(steps):
        step = moving.step(u if follow else None, dt, boundary_motion={"airfoil": airfoil})
        ids, middle = step.mesh.boundary_nodes(), step.time - dt / 2
        heat = convective(step, ELEMENT, diffusion=DIFFUSION, source=lambda x, t=middle: source(x, t))
        u = heat.solve(u, fixed=ids, values=exact(step.mesh.p[:, ids], step.time))
        sums = (heat.left - heat.right).sum(axis=1)
        off = max(off, np.abs(sums).max() / heat.left.max())
    if film is not None:
        film.add(u)
    return u, off


def main(out: Path = Path("out"), steps: int = 24) -> dict[str, float]:
    mesh = grid()
    rival = meshmove.MovingMesh(mesh)
    numbers = {"uniform": l2_error(*(lambda u: (rival.mesh, u))(loop(rival, False, steps)[0]))}
    moving = meshmove.MovingMesh(mesh)
    moving.start(lambda x: exact(x, 0))
    with moving.record(Path(out) / "pitching_airfoil.gif", size=400, every=2, title="heat", clim=(0, 1)) as film:
        u, numbers["a constant off by"] = loop(moving, True, steps, film)
    numbers["adapted"] = l2_error(moving.mesh, u)
    numbers["factor"] = numbers["uniform"] / numbers["adapted"]
    ids = np.unique(mesh.facets[:, mesh.boundaries["airfoil"]])
    numbers["airfoil off by"] = np.abs(moving.mesh.p[:, ids] - airfoil(mesh.p[:, ids], END)).max()
    for name, value in numbers.items():
        print(f"{name:17} {value:.3g}")
    return numbers


if __name__ == "__main__":
    typer.run(main)
