"""1,000 sources on one domain with one operator, by `project(problems)`: milliseconds a problem, and the errors.

    python -m benchmarks.hypino.sources [--quick] [--record]

Sources are sums of waves. Errors are those of every 25th problem against projections of these together to 1e-7.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

from benchmarks.harness import CPU, Rows, main, row

import numpy as np  # isort: skip
from numpy.typing import NDArray

from meshmove.geometry import Disk, Rectangle
from meshmove.solvers import Dirichlet, LinearPDE, Neumann, project

__all__ = ["run"]

BY_DEFAULT = False  #: a part of benchmarks.hypino.run
Array = NDArray[np.float64]
TOLERANCE = 1e-4


def _source(rng: np.random.Generator) -> Callable[[Array], Array]:
    k, phase, level = rng.uniform(0.5, 3, 2) * np.pi, rng.uniform(0, 2 * np.pi, 2), rng.uniform(0.1, 1)
    return lambda x: level + np.sin(k[0] * x[0] + phase[0]) * np.cos(k[1] * x[1] + phase[1])


def run(quick: bool = False) -> Rows:
    """A row for a square, and one for a square with a hole."""
    square = Rectangle((0, 0), (1, 1), "all")
    rows: Rows = []
    holed = square - Disk((0.6, 0.4), 0.15, "hole")
    for name, domain, conditions in (
        ("square", square, {"all": Dirichlet()}),
        ("with a hole", holed, {"all": Dirichlet(), "hole": Neumann()}),
    ):
        rng, n = np.random.default_rng(3), 100 if quick else 1000
        problems = [
            LinearPDE(domain, uxx=-1, uyy=-1, ux=0.5, source=_source(rng), conditions=conditions) for _ in range(n)
        ]
        project(problems[:2], tolerance=TOLERANCE)  # the first call loads code
        start = CPU()
        found = project(problems, tolerance=TOLERANCE)
        each = (CPU() - start) / n * 1000
        x, errors = domain.sample_interior(400), []
        for one, exact in zip(found[::25], project(problems[::25], tolerance=1e-7), strict=True):
            u = exact(x)
            errors.append((float(np.linalg.norm(one(x) - u) / np.linalg.norm(u)), one.error_estimate))
        good = each <= 1 and max(e for e, _ in errors) <= TOLERANCE
        rows.append(
            row(
                f"{n} sources, {name}: ms a problem",
                each,
                "<= 1 at 1e-4",
                good,
                largest_error=max(e for e, _ in errors),
                median_estimate=median(one.error_estimate for one in found),
                below=float(np.mean([e <= bound for e, bound in errors])),
                together=sum(one.how == "projected with others" for one in found) / n,
            )
        )
    return rows


if __name__ == "__main__":
    main(run)
