"""Layers, a front and a peak that even grids do not resolve: error, estimate and seconds of `project`.

    python -m benchmarks.hypino.layers [--quick] [--record]

Seconds are the processor's on one thread, from the problem stated to the solution ready. `even` is the error of
the same projection without graded grids, at the same budget.
"""

from __future__ import annotations

from benchmarks.harness import CPU, Rows, main, row, timed

import numpy as np  # isort: skip
from numpy.typing import NDArray

from benchmarks.hypino.hard import points
from benchmarks.hypino.hard_kinds import UNIT, Hard, Jet, around, channel, gauss, jets, layer, stated
from meshmove.solvers import project
from meshmove.solvers.fem.refining import MeshLevel
from meshmove.solvers.pde import LinearPDE
from meshmove.solvers.projection.grids import Level
from meshmove.solvers.projection.refinement import project_unit

__all__ = ["CASES", "error_of", "eriksson_johnson", "front", "outflow", "peak", "reaction", "run"]

BY_DEFAULT = False  #: a part of benchmarks.hypino.run
Array = NDArray[np.float64]


def outflow(eps: float) -> Hard:
    """-eps Laplace u + u_x = 1, no flux through top and bottom: the data know nothing of the layer at x = 1."""
    pde = LinearPDE(UNIT, uxx=-eps, uyy=-eps, ux=1.0, source=1.0, conditions=channel())
    return Hard(f"outflow {eps:.0e}", pde, lambda x: x[0] - layer(x[0], eps), ((1.0,), ()))


def eriksson_johnson(eps: float) -> Hard:
    """-eps Laplace u + u_x = 0, one sine across (Eriksson & Johnson, Math. Comp. 60, 1993)."""
    root = np.sqrt(1 + 4 * eps**2 * np.pi**2)
    one, other = (1 + root) / (2 * eps), (1 - root) / (2 * eps)

    def exact(x: Array) -> Array:
        along = (np.exp(one * (x[0] - 1)) - np.exp(other * (x[0] - 1))) / (np.exp(-one) - np.exp(-other))
        return along * np.sin(np.pi * x[1])

    pde = LinearPDE(UNIT, uxx=-eps, uyy=-eps, ux=1.0, conditions=around(exact))
    return Hard(f"Eriksson-Johnson {eps:.0e}", pde, exact, ((1.0,), ()))


def reaction(eps: float) -> Hard:
    """-eps Laplace u + u = f, zero all around: layers of width sqrt(eps) at all four sides, the source given."""
    d = np.sqrt(eps)
    profile = lambda s: 1 - (np.exp(-s / d) + np.exp((s - 1) / d)) / (1 + np.exp(-1 / d))  # noqa: E731

    def source(x: Array) -> Array:
        a, b = profile(x[0]), profile(x[1])
        return (1 - a) * b + (1 - b) * a + a * b

    pde = LinearPDE(UNIT, uxx=-eps, uyy=-eps, u=1.0, source=source, conditions=around(0.0))
    return Hard(f"reaction {eps:.0e}", pde, lambda x: profile(x[0]) * profile(x[1]), ((0.0, 1.0), (0.0, 1.0)))


def peak(a: float, p: float = 0.5, q: float = 0.5) -> Hard:
    """exp(-a r^2) (Mitchell, A collection of 2D elliptic problems, 2013)."""

    def jet(x: Array) -> Jet:
        s, t = jets(x)
        return s.scaled(1, -p).through(gauss(a)) * t.scaled(1, -q).through(gauss(a))

    return stated(f"peak {a:.0e}", jet, ((p,), (q,)), uxx=-1, uyy=-1)


def front(a: float, r0: float = 0.7, p: float = -0.05, q: float = -0.05) -> Hard:
    """arctan(a (r - r0)) around a point outside (Mitchell): steep across a circle, along no axis."""

    def jet(x: Array) -> Jet:
        s, t = (j.scaled(1, -c) for j, c in zip(jets(x), (p, q), strict=True))
        r = (s * s + t * t).through(lambda v: (v**0.5, 0.5 * v**-0.5, -0.25 * v**-1.5))
        return r.scaled(a, -a * r0).through(lambda v: (np.arctan(v), 1 / (1 + v**2), -2 * v / (1 + v**2) ** 2))

    return stated(f"front {a:.0e}", jet, ((), ()), uxx=-1, uyy=-1)


#: problems with the errors that they are to reach
CASES = (
    (outflow(1e-3), 1e-5),
    (outflow(1e-4), 1e-5),
    (eriksson_johnson(1e-3), 1e-6),
    (reaction(1e-6), 1e-6),
    (peak(1e5), 1e-4),
    (front(1e3), 1e-4),
)


def error_of(it: Hard, u: Array, x: Array, w: Array) -> float:
    """Relative L2 error of values at Gauss points."""
    exact = it.exact(x)
    return float(np.sqrt((w * (u - exact) ** 2).sum() / (w * exact**2).sum()))


def _cells(last: Level | MeshLevel) -> str:
    return f"{last.triangles} triangles" if isinstance(last, MeshLevel) else "x".join(map(str, last.cells))


def run(quick: bool = False) -> Rows:
    """A row for each problem."""
    rows: Rows = []
    for it, target in CASES[: 3 if quick else None]:
        x, w = points(it)
        seconds, solution = timed(lambda it=it, target=target: project(it.pde, tolerance=min(3e-5, target)), 1, CPU)
        error = error_of(it, solution(x), x, w)
        even = project_unit(it.pde.unit, tolerance=min(3e-5, target), graded=False)
        rows.append(
            row(
                it.name,
                error,
                f"<= {target:g} in 3 s",
                error <= target and seconds <= 3,
                seconds=seconds,
                estimate=solution.error_estimate,
                cells=_cells(solution.history[-1]),
                even=error_of(it, even.field.jets(it.pde.unit.to_unit(x))[0], x, w),
            )
        )
    return rows


if __name__ == "__main__":
    main(run)
