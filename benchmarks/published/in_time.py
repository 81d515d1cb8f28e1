"""Tasks in time that learned movers were published with: Burgers' equation of G-Adaptivity, the swirl of UM2N.

Burgers: u_t + (u . grad) u = nu Laplace(u) on the square of n x n nodes, nu = 0.001, ten steps of 0.02, the first
component at first 0.6 times the sum of two Gaussians as in the Poisson task, the second 0 (which it stays; what was
published does not say more). The error is against the solution on 128 x 128 cells with a quarter of the step.
Swirl: a ring exp(-(|x - x0| - 0.2)^2 / (2 0.05 / 3)), x0 = (0.25, 0.25), carried by 3/2 (sin^2(pi x) sin(2 pi y),
-sin^2(pi y) sin(2 pi x)), reversed at half time, and at time 1 back where it was: the error is against that. Gmsh's
square, h = 0.05. Published with steps of 0.001; here they are longer, since Crank-Nicolson is of second order.

P1 elements, natural conditions on the boundary. The mesh follows the solution (`MovingMesh`), values ride on the nodes,
and `meshmove.plugins.skfem.ale` steps; cuts of the L2 error are against the same scheme on the mesh at rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import skfem
from numpy.typing import NDArray

import meshmove
from benchmarks.harness import CPU, row, timed
from benchmarks.time.problems import Rest
from meshmove.geometry import CellMesh, PointLocator, inverted_cells
from meshmove.plugins.skfem.ale import convective
from meshmove.solvers.fem.poisson import l2_error

__all__ = ["MOVERS", "burgers", "swirl"]

Array = NDArray[np.float64]
P1 = skfem.ElementTriP1()

#: options of `MovingMesh`; the network goes all the way in every step
MOVERS: dict[str, dict[str, Any]] = {"network": {"mover": "dmm", "effort": 0.1}, "classical": {}}
#: cells to a side of the reference, and steps of it to one
FINE, FINER = 128, 4


@dataclass(frozen=True)
class Flow:
    """u_t + speed(x, u, t) . grad u = diffusion Laplace(u); `rounds` of fixed point iteration where that hangs on u."""

    start: Callable[[Array], Array]
    speed: Callable[[Array, Array, float], Array]
    diffusion: float
    end: float
    rounds: int = 1

    def stepped(self, step: Any, u: Array, t: float) -> Array:
        """One step of Crank-Nicolson from nodal values (n,) that ride on the nodes."""
        basis, new = skfem.Basis(step.middle, P1, intorder=2), u
        x = np.asarray(basis.global_coordinates())
        for _ in range(self.rounds):
            speed = self.speed(x, np.asarray(basis.interpolate((u + new) / 2)), t + step.dt / 2)
            new = convective(step, P1, speed=speed, diffusion=self.diffusion).solve(u)
        return new

    def fixed(self, mesh: skfem.MeshTri, steps: int) -> Array:
        """Values at the end on the mesh at rest."""
        u, step = self.start(mesh.p), Rest(mesh, self.end / steps)
        for k in range(steps):
            u = self.stepped(step, u, k * step.dt)
        return u

    def followed(self, mesh: skfem.MeshTri, steps: int, options: dict[str, Any]) -> tuple[skfem.MeshTri, Array, float]:
        """Mesh and values at the end on a mesh that follows, and CPU seconds that a move took on average."""
        moving, dt, spent = meshmove.MovingMesh(mesh, **options), self.end / steps, 0.0
        moving.start(self.start)
        u = self.start(moving.mesh.p)
        for k in range(steps):
            seconds, step = timed(partial(moving.step, u, dt), clock=CPU)
            u, spent = self.stepped(step, step.material, k * dt), spent + seconds
        return moving.mesh, u, spent / steps


def compared(
    name: str, cases: list[tuple[Flow, skfem.MeshTri, Callable[[Array], Array]]], steps: int
) -> Iterator[dict]:
    """A row a mover: mean and least cut of the L2 error at the end, tangled meshes, and milliseconds a move."""
    rest = [l2_error(mesh, flow.fixed(mesh, steps), exact) for flow, mesh, exact in cases]
    for mover, options in MOVERS.items():
        cuts, tangled, times = [], 0, []
        for (flow, mesh, exact), before in zip(cases, rest, strict=True):
            moved, u, seconds = flow.followed(mesh, steps, options)
            cells = CellMesh.single(mesh.p.T, mesh.t.T, "triangle")
            wrong = bool(len(inverted_cells(cells, moved.p.T)))
            tangled += wrong
            cuts.append(0.0 if wrong else 100 * (1 - l2_error(moved, u, exact) / before))
            times.append(1e3 * seconds)
        shown = f"{np.mean(cuts):.1f}, {np.min(cuts):.1f} %; {tangled} of {len(cases)}; {np.mean(times):.0f} ms"
        yield row(f"{name}, {mover}: mean cut, least; tangled; CPU ms a move", shown, "0 tangled", tangled == 0)


def burgers(count: int, nodes: int = 15) -> Iterator[dict]:
    """So many samples of seed 42."""
    rng, mesh = np.random.RandomState(42), skfem.MeshTri.init_tensor(*[np.linspace(0, 1, nodes)] * 2)
    cases = [(flow, mesh, _reference(flow)) for flow in (_burgers(rng) for _ in range(count))]
    yield from compared(f"Burgers {nodes}x{nodes}, 10 steps", cases, 10)


def _burgers(rng: np.random.RandomState) -> Flow:
    parts = [(rng.uniform(0, 1, 2), rng.uniform(0.1, 0.5)) for _ in range(2)]

    def start(x: Array) -> Array:
        return 0.6 * np.sum([np.exp(-((x[0] - c[0]) ** 2 + (x[1] - c[1]) ** 2) / s**2) for c, s in parts], axis=0)

    return Flow(start, lambda x, u, t: np.stack([u, 0 * u]), 0.001, 0.2, rounds=3)


def _reference(flow: Flow) -> Callable[[Array], Array]:
    mesh = skfem.MeshTri.init_tensor(*[np.linspace(0, 1, FINE + 1)] * 2)
    values = flow.fixed(mesh, 10 * FINER)
    locator = PointLocator(CellMesh.single(mesh.p.T, mesh.t.T, "triangle"))
    return lambda x: locator.interpolate(values, x.reshape(2, -1)).reshape(x.shape[1:])


def swirl(mesh: skfem.MeshTri, steps: int) -> Iterator[dict]:
    """There and back on this mesh."""

    def ring(x: Array) -> Array:
        return np.exp(-((np.hypot(x[0] - 0.25, x[1] - 0.25) - 0.2) ** 2) / (2 * 0.05 / 3))

    def speed(x: Array, u: Array, t: float) -> Array:
        there = 1.5 * (1 if t < 0.5 else -1)
        s, c = np.sin(np.pi * x), np.sin(2 * np.pi * x)
        return there * np.stack([s[0] ** 2 * c[1], -(s[1] ** 2) * c[0]])

    yield from compared(f"swirl, h 0.05, {steps} steps", [(Flow(ring, speed, 0.0, 1.0), mesh, ring)], steps)
