"""Three problems in time with known solutions: a front of Burgers' equation, a rotating bump, a moving heat source."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import skfem
from scipy.sparse.linalg import splu
from skfem.helpers import dot, grad

import meshmove
from meshmove.geometry.arrays import Array
from meshmove.plugins.skfem.ale import convective

P1 = skfem.ElementTriP1()


@dataclass(frozen=True)
class Problem(ABC):
    """u_t + speed . grad u - diffusion lap u = f, Dirichlet values of the exact solution; `pace`: of its feature."""

    name: str
    start: float
    end: float
    diffusion: float
    pace: float
    rounds: int = 1

    @abstractmethod
    def exact(self, x: Array, t: float) -> Array:
        """The solution (n,) at points (2, n) and a time."""

    def speed(self, x: Array, u: Array) -> Any:
        return None

    def source(self, x: Array, t: float) -> Any:
        return 0.0


class Burgers(Problem):
    """A front that crosses the square along its diagonal."""

    def __init__(self) -> None:
        super().__init__("Burgers front", 0.5, 1.3, 0.01, float(np.sqrt(0.5)), rounds=3)

    def exact(self, x: Array, t: float) -> Array:
        return 1 / (1 + np.exp((x[0] + x[1] - t) / (2 * self.diffusion)))

    def speed(self, x: Array, u: Array) -> Array:
        return np.stack([u, u])


class Rotation(Problem):
    """A bump on a quarter of its way round the middle, without diffusion."""

    def __init__(self) -> None:
        super().__init__("rotating bump", 0.0, 0.25, 0.0, np.pi / 2)

    def exact(self, x: Array, t: float) -> Array:
        turn = 2 * np.pi * t
        return np.exp(-150 * ((x[0] - 0.5 - 0.25 * np.cos(turn)) ** 2 + (x[1] - 0.5 - 0.25 * np.sin(turn)) ** 2))

    def speed(self, x: Array, u: Array) -> Array:
        return 2 * np.pi * np.stack([0.5 - x[1], x[0] - 0.5])


class Heat(Problem):
    """A spot of heat that a source drags along, with diffusion."""

    sharp = 200.0

    def __init__(self) -> None:
        super().__init__("heat source", 0.0, 0.5, 0.01, 1.0)

    def exact(self, x: Array, t: float) -> Array:
        return np.exp(-self.sharp * ((x[0] - 0.25 - self.pace * t) ** 2 + (x[1] - 0.5) ** 2))

    def source(self, x: Array, t: float) -> Array:
        a, dx, dy = self.sharp, x[0] - 0.25 - self.pace * t, x[1] - 0.5
        u = self.exact(x, t)
        return u * (2 * a * self.pace * dx - self.diffusion * (4 * a * a * (dx * dx + dy * dy) - 4 * a))


PROBLEMS = (Burgers(), Rotation(), Heat())


def square(n: int) -> skfem.MeshTri:
    return skfem.MeshTri.init_tensor(*[np.linspace(0, 1, n + 1)] * 2)


def error(problem: Problem, mesh: skfem.Mesh, u: Array, t: float) -> float:
    """L2."""
    basis = skfem.Basis(mesh, P1, intorder=8)
    form = skfem.Functional(lambda w: (w["u"] - problem.exact(w.x, t)) ** 2)
    return float(np.sqrt(form.assemble(basis, u=basis.interpolate(u))))


def followed(problem: Problem, n: int, steps: int) -> tuple[skfem.Mesh, Array, float]:
    """Mesh and values at the end of an ALE loop, and the largest speed of a node."""
    moving = meshmove.MovingMesh(square(n))
    moving.start(lambda x: problem.exact(x, problem.start))
    u, dt, fastest = problem.exact(moving.mesh.p, problem.start), (problem.end - problem.start) / steps, 0.0
    for k in range(steps):
        step = moving.step(u, dt)
        u = stepped(problem, step, step.material, problem.start + k * dt)
        fastest = max(fastest, step.report.largest_speed)
    return moving.mesh, u, fastest


def rezoned(problem: Problem, n: int, steps: int, transfer: str, start: bool) -> tuple[skfem.Mesh, Array]:
    """The same with values that are carried, by a `transfer` of `MovingMesh`; the equation is solved on the new mesh at
    rest."""
    moving = meshmove.MovingMesh(square(n), transfer=transfer)
    if start:
        moving.start(lambda x: problem.exact(x, problem.start))
    u, dt = problem.exact(moving.mesh.p, problem.start), (problem.end - problem.start) / steps
    for k in range(steps):
        step = moving.step(u, dt)
        u = stepped(problem, Rest(step.mesh, dt), step.carried, problem.start + k * dt)
    return moving.mesh, u


class Rest:
    """A step of a mesh that stands."""

    def __init__(self, mesh: skfem.Mesh, dt: float) -> None:
        self.old = self.middle = self.mesh = mesh
        self.dt = dt


def stepped(problem: Problem, step: Any, u: Array, t: float) -> Array:
    """Crank-Nicolson; where the speed depends on the solution, rounds of fixed point iteration."""
    ids, new, middle = step.mesh.boundary_nodes(), u, t + step.dt / 2
    values = problem.exact(step.mesh.p[:, ids], t + step.dt)
    rounds, given = problem.rounds, {"diffusion": problem.diffusion, "source": lambda x: problem.source(x, middle)}
    basis = skfem.Basis(step.middle, P1, intorder=2) if rounds > 1 else None
    still = problem.speed(step.mesh.p, u) is None
    for _ in range(rounds):
        mean = None if basis is None else np.asarray(basis.interpolate((u + new) / 2))
        speed = None if still else lambda x, u=mean: problem.speed(x, u)
        matrices = convective(step, P1, speed=speed, **given)
        new = matrices.solve(u, fixed=ids, values=values)
    return new


class Fixed:
    """The rival: the same scheme on the mesh at rest, which assembles and factorises what does not change but once."""

    def __init__(self, problem: Problem, n: int, steps: int) -> None:
        self.problem, self.mesh = problem, square(n)
        self.steps, self.dt = steps, (problem.end - problem.start) / steps
        self.basis = skfem.Basis(self.mesh, P1, intorder=2)
        self.x = np.asarray(self.basis.global_coordinates())
        self.mass = skfem.BilinearForm(lambda u, v, w: u * v).assemble(self.basis)
        self.stiff = skfem.BilinearForm(lambda u, v, w: dot(grad(u), grad(v))).assemble(self.basis) * problem.diffusion
        self.ids = self.mesh.boundary_nodes()
        self.inside = np.setdiff1d(np.arange(self.mesh.nvertices), self.ids)

    def run(self) -> Array:
        p, half, inside, ids = self.problem, self.dt / 2, self.inside, self.ids
        transport = skfem.BilinearForm(lambda u, v, w: dot(w["c"], grad(u)) * v)
        load = skfem.LinearForm(lambda v, w: w["f"] * v)
        u, factors, operator = p.exact(self.mesh.p, p.start), None, self.stiff
        for k in range(self.steps):
            t = p.start + k * self.dt
            new = u.copy()
            new[ids] = p.exact(self.mesh.p[:, ids], t + self.dt)
            f = p.source(self.x, t + half)
            force = 0.0 if np.ndim(f) == 0 else self.dt * load.assemble(self.basis, f=f)
            for _ in range(p.rounds):
                if factors is None or p.rounds > 1:
                    c = p.speed(self.x, np.asarray(self.basis.interpolate((u + new) / 2)))
                    operator = self.stiff if c is None else self.stiff + transport.assemble(self.basis, c=c)
                    left = (self.mass + half * operator).tocsr()
                    factors = splu(left[inside][:, inside].tocsc())
                right = (self.mass - half * operator) @ u + force - left[:, ids] @ new[ids]
                new[inside] = factors.solve(right[inside])
            u = new
        return u
