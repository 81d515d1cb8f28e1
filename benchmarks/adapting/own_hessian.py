"""One adapt by a function, then one P1 solve: recovered second derivatives against the function's own."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.adapting.aligned import Case
from benchmarks.harness import CPU, Rows, main, row, timed

import numpy as np  # isort: skip
from numpy.typing import NDArray

import meshmove
from meshmove.solvers.fem.manufactured import PROBLEMS

BY_DEFAULT = False
Array = NDArray[np.float64]
NAMES = ("ring", "shock", "corner", "peak")
STEP = 1e-4


class WithHessian:
    """A function and its second derivatives, by differences of exact values."""

    def __init__(self, function: Callable[[Array], Array]) -> None:
        self.function = function

    def __call__(self, x: Array) -> Array:
        return self.function(x)

    def hessian(self, x: Array) -> Array:
        """(dim, dim, n)"""
        shifts = STEP * np.eye(len(x))[:, :, None]
        signs = [(1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)]
        mixed = [[sum(s * self.function(x + i * a + j * b) for i, j, s in signs) for b in shifts] for a in shifts]
        return np.array(mixed) / (4 * STEP**2)


def run(quick: bool = False) -> Rows:
    """Factors by which L2 and H1 errors are lower than on the uniform mesh."""
    rows: Rows = []
    for name in NAMES[:2] if quick else NAMES:
        problem = PROBLEMS[name]
        case = Case(name, problem.mesh(20 if quick else 40), problem.exact, problem.source)
        before = case.errors(case.mesh)
        for label, field in (("recovered", problem.exact), ("own", WithHessian(problem.exact))):
            adapted = lambda: meshmove.adapt(case.mesh, field)  # noqa: B023, E731
            seconds, out = timed(adapted, clock=CPU)
            in_l2, in_h1 = (float(f) for f in before / case.errors(out.mesh))
            rows.append(row(f"{name}, {label}", f"{in_l2:.2f}, {in_h1:.2f}", seconds=seconds))
    return rows


if __name__ == "__main__":
    main(run)
