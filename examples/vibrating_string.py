r"""A plucked string: a hyperbolic problem, which needs the velocity at the start.

.. math::
    u_{tt} = c^2 u_{xx}, \quad 0 < x < 1, \; 0 < t < 2, \qquad
    u = e^{-((x - 0.3) / 0.08)^2}, \; u_t = 0 \text{ at } t = 0,

u = 0 at both ends, c = 1.

By d'Alembert half of the pulse runs to the left and half to the right; each comes back upside down from a fixed end,
and after the time 2 / c the string is as it was. The exact solution is a sum of images of the first pulse.
"""

from pathlib import Path

import numpy as np
import typer

from meshmove.plugins import plot_solution
from meshmove.solvers import Dirichlet, HyPINO, Interval, LinearPDE, TimeInterval


def pulse(s):
    return np.exp(-(((s - 0.3) / 0.08) ** 2))


def shape(s):
    """The odd continuation of the pulse with period 2."""
    return sum(pulse(s - 2 * k) - pulse(2 * k - s) for k in range(-2, 3))


def exact(x):
    return (shape(x[0] - x[1]) + shape(x[0] + x[1])) / 2


pde = LinearPDE(
    Interval(0, 1),
    time=TimeInterval(0, 2),
    utt=1,
    uxx=-1,
    initial=lambda x: shape(x[0]),
    velocity=0.0,
    conditions={"left": Dirichlet(0.0), "right": Dirichlet(0.0)},
)


def main(out: Path = Path("out")) -> dict[str, float]:
    solution = HyPINO.from_pretrained().solve(pde, project=True)

    x = np.random.default_rng(0).uniform([[0], [0]], [[1], [2]], (2, 4000))
    s = np.linspace(0, 1, 101)
    first, last = (solution(np.stack([s, np.full_like(s, t)])) for t in (0, 2))
    numbers = {
        "error": float(np.linalg.norm(solution(x) - exact(x)) / np.linalg.norm(exact(x))),
        "estimated": solution.error_estimate,
        "period": float(np.abs(last - first).max()),
    }
    print("{} equation, relative L2 error {error:.2g}, estimated {estimated:.2g}".format(pde.kind, **numbers))
    print("after one period the string is off by {period:.2g} at most".format(**numbers))
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    plot_solution(solution, exact=exact, filename=out / "vibrating_string.png")
    return numbers


if __name__ == "__main__":
    typer.run(main)
