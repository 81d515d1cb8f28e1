r"""A slotted cylinder that is carried round, one number a cell: cells turn with it, so that little leaves them.

.. math:: u_t + \nabla \cdot (c u) = 0, \qquad c = 2 \pi (1/2 - y, x - 1/2)

on 32 x 32 squares cut in two, for a quarter of a turn (Zalesak's test). Upwind fluxes go through the facets of the mesh
half-way, which move with the velocity w, in an implicit step:

.. math:: V^{n+1}_K u^{n+1}_K + \Delta t \sum_f \int_f (c - w) \cdot n \, u^{n+1}_{up} = V^n_K u^n_K.

It keeps a constant, the mass and the range of u to rounding.

    python examples/slotted_cylinder.py [--steps 40] [--out DIR]
"""

from pathlib import Path

import numpy as np
import skfem
import typer
from scipy.sparse import csr_matrix

import meshmove

CELLS, END = 32, 0.25
ELEMENT = skfem.ElementTriP0()


def exact(x, t):
    """One in the cylinder, which is on the right at first and opens towards the middle."""
    turn, dx, dy = 2 * np.pi * t, x[0] - 0.5, x[1] - 0.5
    along, across = np.cos(turn) * dx + np.sin(turn) * dy, np.cos(turn) * dy - np.sin(turn) * dx
    slot = (np.abs(across) < 0.04) & (along < 0.3)
    return np.where((np.hypot(along - 0.25, across) < 0.15) & ~slot, 1.0, 0.0)


def stream(x):
    """c = (-d/dy, d/dx) of this: it turns inside of a circle, and stands outside."""
    return np.pi * np.minimum((x[0] - 0.5) ** 2 + (x[1] - 0.5) ** 2, 0.45**2)


def stepped(step, u):
    mesh, inner = step.middle, step.middle.f2t[1] >= 0
    a, b = mesh.facets[:, inner]
    one, other = mesh.f2t[:, inner]
    along = mesh.p[:, b] - mesh.p[:, a]
    normal = np.stack([along[1], -along[0]])
    swept = (step.mesh.p - step.old.p)[:, [a, b]].mean(axis=1)
    flow = step.dt * (stream(mesh.p[:, a]) - stream(mesh.p[:, b])) - (swept * normal).sum(axis=0)
    centre = mesh.p[:, mesh.t].mean(axis=1)
    flow *= np.sign((normal * (centre[:, other] - centre[:, one])).sum(axis=0))  # out of one, into the other
    out, back = np.maximum(flow, 0), np.minimum(flow, 0)
    every = np.arange(len(u))
    matrix = csr_matrix(
        (
            np.concatenate([volumes(step.mesh), out, back, -out, -back]),
            (np.concatenate([every, one, one, other, other]), np.concatenate([every, one, other, one, other])),
        )
    )
    return skfem.solve(matrix, volumes(step.old) * u)


def volumes(mesh):
    basis = skfem.Basis(mesh, ELEMENT, intorder=1)
    return basis.dx.sum(axis=1)


def l1_error(mesh, u):
    """Relative."""
    basis = skfem.Basis(mesh, ELEMENT, intorder=8)
    wanted = exact(np.asarray(basis.global_coordinates()), END)
    return float((np.abs(u[:, None] - wanted) * basis.dx).sum() / (wanted * basis.dx).sum())


def started(mesh):
    """Means of the cells."""
    basis = skfem.Basis(mesh, ELEMENT, intorder=8)
    return (exact(np.asarray(basis.global_coordinates()), 0) * basis.dx).sum(axis=1) / basis.dx.sum(axis=1)


class Rest:
    """A step of a mesh that stands still."""

    def __init__(self, mesh, dt):
        self.old = self.middle = self.mesh = mesh
        self.dt = dt


def main(out: Path = Path("out"), steps: int = 40) -> dict[str, float]:
    dt = END / steps
    mesh = skfem.MeshTri.init_tensor(*[np.linspace(0, 1, CELLS + 1)] * 2)
    u = started(mesh)
    for _ in range(steps):
        u = stepped(Rest(mesh, dt), u)
    numbers = {"fixed": l1_error(mesh, u)}

    moving = meshmove.MovingMesh(mesh)  # <- meshmove
    moving.start(lambda x: exact(x, 0))  # <- meshmove
    u, one = started(moving.mesh), np.ones(mesh.nelements)
    before = volumes(moving.mesh) @ u
    with moving.record(Path(out) / "slotted_cylinder.gif", size=320, every=2, clim=(0, 1)) as film:  # <- meshmove
        for _ in range(steps):
            step = moving.step((skfem.Basis(moving.mesh, ELEMENT), u), dt)  # <- meshmove
            u, one = stepped(step, step.material), stepped(step, one)
        film.add((skfem.Basis(moving.mesh, ELEMENT), u))  # <- meshmove
    numbers["moving"] = l1_error(moving.mesh, u)
    numbers["factor"] = numbers["fixed"] / numbers["moving"]
    numbers["mass off by"] = abs(volumes(moving.mesh) @ u / before - 1)
    numbers["a constant off by"] = np.abs(one - 1).max()
    numbers["out of range by"] = max(u.max() - 1, -u.min(), 0)
    for name, value in numbers.items():
        print(f"{name:17} {value:.3g}")
    return numbers


if __name__ == "__main__":
    typer.run(main)
