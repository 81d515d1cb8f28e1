r"""A finite element time loop whose steps a neural stepper takes, and gives back where its residual is too large.

Burgers' equation on the unit square, :math:`u_t + u (u_x + u_y) = \nu \Delta u`, u = 0 on the walls, from a random
smooth start that steepens into fronts; 48 x 48 cells, 30 frames. The start is higher, and so faster, than all that the
model was trained on. The loop is a usual one of scikit-fem: Crank and Nicolson's method, a few steps a frame. The
lines that hand the frames to the model end in "# <- meshmove".

Each frame of the model is tested by the weak form between it and the last one,

.. math:: r(v) = \Big(\frac{u^1 - u^0}{\tau} + \bar u (\bar u_x + \bar u_y), v\Big) + \nu (\nabla \bar u, \nabla v),

with the mean :math:`\bar u` of both, in a norm that weighs down what is finer than a few cells, relative to that of
the change. A frame above the tolerance is computed by finite elements, and the model goes on from there.

    python examples/mmpde_time_loop.py [--tolerance 0.2] [--height 1.6] [--out DIR]
"""

import time
from pathlib import Path

import numpy as np
import skfem
import typer
from scipy.sparse.linalg import splu
from skfem.helpers import dot, grad

from meshmove.solvers import MMPDE
from meshmove.solvers.generators.burgers import random_field

CELLS, FRAMES, STEPS = 48, 30, 6
SIDES = {"left": (0, 0.0), "right": (0, 1.0), "bottom": (1, 0.0), "top": (1, 1.0)}


def square():
    mesh = skfem.MeshTri.init_tensor(*[np.linspace(0, 1, CELLS + 1)] * 2)
    return mesh.with_boundaries({name: lambda x, i=i, at=at: x[i] == at for name, (i, at) in SIDES.items()})


@skfem.BilinearForm
def convection(u, v, w):
    return w["u"] * (grad(u)[0] + grad(u)[1]) * v


class Burgers:
    """Crank and Nicolson's method for linear elements, the speed by one iteration from the last step's."""

    def __init__(self, mesh, viscosity, tau):
        self.basis = skfem.Basis(mesh, skfem.ElementTriP1())
        self.mass = skfem.BilinearForm(lambda u, v, w: u * v).assemble(self.basis)
        self.stiffness = skfem.BilinearForm(lambda u, v, w: dot(grad(u), grad(v))).assemble(self.basis)
        self.inside, self.viscosity, self.tau = mesh.interior_nodes(), viscosity, tau
        i = self.inside
        smooth = self.mass + (4 / CELLS) ** 2 * self.stiffness  # four cells: what is finer counts less
        self._smooth = splu(smooth[i][:, i].tocsc())

    def rate(self, u):
        """The operator whose product with u is minus M u_t."""
        return convection.assemble(self.basis, u=self.basis.interpolate(u)) + self.viscosity * self.stiffness

    def frame(self, u):
        """The field a frame later."""
        i, h = self.inside, self.tau / STEPS
        for _ in range(STEPS):
            new = u
            for _ in range(2):
                L = 0.5 * h * self.rate((u + new) / 2)
                new = np.zeros_like(u)
                new[i] = splu((self.mass + L)[i][:, i].tocsc()).solve(((self.mass - L) @ u)[i])
            u = new
        return u

    def residual(self, u, new):
        """Of the weak form between two frames, relative to the change."""
        middle, change = (u + new) / 2, self.mass @ (new - u) / self.tau
        return self._size(change + self.rate(middle) @ middle) / max(self._size(change), 1e-300)

    def _size(self, r):
        r = r[self.inside]
        return float(np.sqrt(r @ self._smooth.solve(r)))


def main(
    out: Path = Path("out"),
    weights: str = "burgers-still",  # frames go to and fro between meshes that stay
    viscosity: float = 0.005,
    tolerance: float = 0.2,
    height: float = 1.6,
    seed: int = 7,
) -> dict[str, float]:
    mesh = square()
    solver = Burgers(mesh, viscosity, 1 / FRAMES)
    grid = random_field(CELLS + 1, np.random.default_rng(seed))
    start = height * grid[tuple(np.rint(mesh.p * CELLS).astype(int))]

    began = time.perf_counter()
    truth = [start]
    for _ in range(FRAMES):
        truth.append(solver.frame(truth[-1]))
    numbers = {"finite elements, s": time.perf_counter() - began}

    model = MMPDE.from_pretrained(weights)  # <- meshmove
    began = time.perf_counter()
    u, given_back, ahead = start, 0, None
    for _ in range(FRAMES):
        if ahead is None:  # <- meshmove
            ahead = iter(model.rollout(mesh, u, FRAMES, attributes={"viscosity": viscosity}))  # <- meshmove
            next(ahead)  # its start # <- meshmove
        new = next(ahead).values[:, 0]  # <- meshmove
        if solver.residual(u, new) > tolerance:  # <- meshmove
            new, ahead = solver.frame(u), None
            given_back += 1
        u = new
    numbers["with the model, s"] = time.perf_counter() - began

    rollout = model.rollout(mesh, start, FRAMES, attributes={"viscosity": viscosity})
    free = rollout.last().values[:, 0]
    numbers["given back"] = given_back
    numbers["error"], numbers["error without tests"] = (
        float(np.linalg.norm(v - truth[-1]) / np.linalg.norm(truth[-1])) for v in (u, free)
    )
    numbers["residual of finite elements"] = max(
        solver.residual(a, b) for a, b in zip(truth[:-1], truth[1:], strict=True)
    )
    for name, value in numbers.items():
        print(f"{name:28} {value:.3g}")
    Path(out).mkdir(parents=True, exist_ok=True)
    rollout.animate(Path(out) / "mmpde_time_loop.gif", exact=np.array(truth))
    return numbers


if __name__ == "__main__":
    typer.run(main)
