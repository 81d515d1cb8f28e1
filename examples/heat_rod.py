r"""A rod that cools: a parabolic problem, solved for all times at once.

.. math::
    u_t = k u_{xx}, \quad 0 < x < 2, \; 0 < t < 3, \qquad
    u = \sin(\pi x / 2) + \tfrac12 \sin(2 \pi x) \text{ at } t = 0,

u = 0 at both ends, k = 0.1. Time is the second row of every array of points: `solution(x)` takes places and times (2,
n), and `solution.gradient(x)` gives u_x and u_t. The exact solution is a sum of two modes, the finer of which fades 16
times faster.
"""

from pathlib import Path

import numpy as np
import typer

from meshmove.plugins import plot_solution
from meshmove.solvers import Dirichlet, HyPINO, Interval, LinearPDE, TimeInterval

K = 0.1


def exact(x):
    slow = np.sin(np.pi * x[0] / 2) * np.exp(-K * (np.pi / 2) ** 2 * x[1])
    return slow + 0.5 * np.sin(2 * np.pi * x[0]) * np.exp(-K * (2 * np.pi) ** 2 * x[1])


pde = LinearPDE(
    Interval(0, 2),
    time=TimeInterval(0, 3),
    ut=1,
    uxx=-K,
    initial=lambda x: np.sin(np.pi * x[0] / 2) + 0.5 * np.sin(2 * np.pi * x[0]),
    conditions={"left": Dirichlet(0.0), "right": Dirichlet(0.0)},
)


def main(out: Path = Path("out")) -> dict[str, float]:
    solution = HyPINO.from_pretrained().solve(pde, project=True)

    x = np.random.default_rng(0).uniform([[0], [0]], [[2], [3]], (2, 4000))
    times = np.array([0.0, 1.5, 3.0])
    left = solution.gradient(np.stack([np.zeros(3), times]))[0]  # u_x where the heat leaves
    numbers = {
        "error": float(np.linalg.norm(solution(x) - exact(x)) / np.linalg.norm(exact(x))),
        "estimated": solution.error_estimate,
        "flux": float(K * left[-1]),
    }
    print("{} equation, relative L2 error {error:.2g}, estimated {estimated:.2g}".format(pde.kind, **numbers))
    print("heat that leaves on the left at t = 0, 1.5, 3: " + ", ".join(f"{K * slope:.4f}" for slope in left))
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    plot_solution(solution, exact=exact, filename=out / "heat_rod.png")
    return numbers


if __name__ == "__main__":
    typer.run(main)
