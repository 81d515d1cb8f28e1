"""Semilinear problems with exact solutions: error, estimate and seconds of `project`.

    python -m benchmarks.hypino.semilinear [--quick] [--record]

Seconds are the processor's on one thread, from the problem stated to the solution ready.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from benchmarks.harness import CPU, Rows, main, row, timed

import numpy as np  # isort: skip
from numpy.typing import NDArray

from meshmove.geometry import Disk, Rectangle
from meshmove.solvers import Dirichlet, Interval, Neumann, SemilinearPDE, TimeInterval, project

__all__ = ["CASES", "Case", "run"]

BY_DEFAULT = False  #: a part of benchmarks.hypino.run
Array = NDArray[np.float64]

SQUARE = Rectangle((0, 0), (1, 1), names=("south", "right", "north", "left"))
FREE = {"south": Neumann(), "north": Neumann()}
DISK = Disk((0, 0), 1, name="rim")


class Case(NamedTuple):
    """A problem, its exact solution, and what Newton's method starts with."""

    name: str
    pde: SemilinearPDE
    exact: Callable[[Array], Array]
    start: Any = None


def everywhere(value: Any) -> dict[str, Dirichlet]:
    """Values on all sides of the square."""
    return {name: Dirichlet(value) for name in SQUARE.boundary_names}


def burgers(nu: float) -> Case:
    """u u_x = nu Laplace u with a layer at the outflow."""
    exact = lambda x: -np.tanh((x[0] - 1) / (2 * nu))  # noqa: E731
    conditions = {"left": Dirichlet(exact), "right": Dirichlet()} | FREE
    reaction = lambda u, x, gradient: u * gradient[0]  # noqa: E731
    pde = SemilinearPDE(SQUARE, uxx=-nu, uyy=-nu, reaction=reaction, conditions=conditions)
    return Case(f"Burgers, layer, nu = {nu:g}", pde, exact)


def shock(nu: float) -> Case:
    """u (u_x + u_y) = nu Laplace u with a shock across the square."""
    exact = lambda x: -np.tanh((x[0] + x[1] - 1) / (2 * nu))  # noqa: E731
    reaction = lambda u, x, gradient: u * gradient.sum(axis=0)  # noqa: E731
    pde = SemilinearPDE(SQUARE, uxx=-nu, uyy=-nu, reaction=reaction, conditions=everywhere(exact))
    return Case(f"Burgers, oblique shock, nu = {nu:g}", pde, exact)


def allen_cahn(eps: float) -> Case:
    """-eps^2 Laplace u + u^3 - u = 0, an oblique interface."""
    exact = lambda x: np.tanh((x[0] + 0.5 * x[1] - 0.7) / np.sqrt(2.5) / eps)  # noqa: E731
    reaction = lambda u, x: u**3 - u  # noqa: E731
    pde = SemilinearPDE(SQUARE, uxx=-(eps**2), uyy=-(eps**2), reaction=reaction, conditions=everywhere(exact))
    return Case(f"Allen-Cahn, eps = {eps:g}", pde, exact)


def bratu(upper: bool, hole: bool = False) -> Case:
    """-Laplace u = exp(u) in the unit disk, both solutions; around a hole with the values of the exact one."""
    b = np.sort(np.roots([1.0, -6.0, 1.0]).real)[int(upper)]
    exact = lambda x: 2 * np.log((1 + b) / (1 + b * (x**2).sum(axis=0)))  # noqa: E731
    domain = DISK - Disk((0.3, 0.2), 0.25, name="hole") if hole else DISK
    conditions = {"rim": Dirichlet(), "hole": Dirichlet(exact)} if hole else {"rim": Dirichlet()}
    pde = SemilinearPDE(domain, uxx=-1, uyy=-1, reaction=lambda u, x: -np.exp(u), conditions=conditions)
    start = (lambda x: 4 * (1 - (x**2).sum(axis=0))) if upper else None
    return Case(f"Bratu, {'upper' if upper else 'lower'}{', with a hole' if hole else ''}", pde, exact, start)


def in_time(**terms: Any) -> SemilinearPDE:
    """On an interval, held at both ends."""
    exact = terms["initial"]
    ends = {"left": Dirichlet(exact), "right": Dirichlet(exact)}
    return SemilinearPDE(Interval(-8, 8), time=TimeInterval(0, 2), uxx=-1, conditions=ends, **terms)


def fisher() -> Case:
    """u_t - u_xx = u (1 - u) (Ablowitz & Zeppetella, 1979)."""
    exact = lambda x: (1 + np.exp((x[0] - 5 * x[1] / np.sqrt(6)) / np.sqrt(6))) ** -2.0  # noqa: E731
    return Case("Fisher, in time", in_time(ut=1, reaction=lambda u, x: u * (u - 1), initial=exact), exact)


def sine_gordon() -> Case:
    """u_tt - u_xx + sin u = 0, a kink at half the speed of light."""
    g = 1 / np.sqrt(0.75)
    exact = lambda x: 4 * np.arctan(np.exp(g * (x[0] - 0.5 * x[1])))  # noqa: E731
    velocity = lambda x: -g / np.cosh(g * x[0])  # noqa: E731
    reaction = lambda u, x: np.sin(u)  # noqa: E731
    return Case("sine-Gordon, in time", in_time(utt=1, reaction=reaction, initial=exact, velocity=velocity), exact)


CASES = (
    burgers(1e-1),
    burgers(1e-2),
    burgers(1e-3),
    shock(0.05),
    allen_cahn(0.1),
    allen_cahn(0.05),
    bratu(False),
    bratu(True),
    bratu(False, hole=True),
    bratu(True, hole=True),
    fisher(),
    sine_gordon(),
)


def run(quick: bool = False) -> Rows:
    """A row for each problem."""
    rows: Rows = []
    for it in CASES[:: 4 if quick else 1]:
        seconds, found = timed(lambda it=it: project(it.pde, start=it.start), 1, CPU)
        unit = it.pde.unit
        x = unit.to_physical(unit.interior(20_000, seed=11).points)
        exact = it.exact(x)
        error = float(np.linalg.norm(found(x) - exact) / np.linalg.norm(exact))
        rows.append(
            row(
                it.name,
                error,
                "<= 1e-5, below its estimate",
                error <= 1e-5 and error < found.error_estimate,
                seconds=seconds,
                estimate=found.error_estimate,
                solves=sum(level.steps for level in found.history),
                graded=found.history[-1].graded,
            )
        )
    return rows


if __name__ == "__main__":
    main(run)
