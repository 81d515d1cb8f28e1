"""Projection on the seven problems of HyPINO's evaluation: error against converged references, and time.

Seconds are from the problem stated to the solution ready, median of three, on one thread; "random" is the same count
of unknowns at most 1,000 as random tanh features alone, solved by dense least squares.
"""

from __future__ import annotations

from benchmarks.harness import CPU, main, row, timed

import numpy as np  # isort: skip
from numpy.typing import NDArray

from meshmove.solvers import project
from meshmove.solvers.fem.published_problems import BENCHMARKS
from meshmove.solvers.pde import LinearPDE
from meshmove.solvers.projection import Tanh
from meshmove.solvers.projection.boundary_rows import conditions

BY_DEFAULT = False  #: a part of benchmarks.hypino.run
Array = NDArray[np.float64]

TARGETS = {"HT": 1e-5, "HZ": 1e-5, "WV": 1e-5, "PS-C": 5e-4, "PS-G": 5e-4, "HZ-G": 1e-3, "PS-L": 2.5e-4}


def restated(pde: LinearPDE) -> LinearPDE:
    """The same problem with nothing computed ahead."""
    time = "y" if pde.timed else None
    terms = dict(zip(pde.terms, pde.coefficients, strict=True))
    return LinearPDE(
        pde.domain,
        **terms,
        source=pde.source,
        conditions=pde.conditions,
        time=time,
        initial=pde.initial,
        velocity=pde.velocity,
    )


def random_features(pde: LinearPDE, count: int, slope: float = 6.0) -> tuple[Tanh, Array]:
    """Random tanh features and their weights by dense least squares on points spread evenly."""
    unit, features = pde.unit, Tanh(count, (1.0, slope))
    inside = unit.interior(4 * count, seed=1)
    magnitude = np.sqrt((inside.coefficients**2).mean(axis=1))
    rows = conditions(unit, magnitude, 0.05, 0.02)
    root = np.sqrt(inside.weights)
    X = np.concatenate([inside.points, rows.points], axis=1)
    operator = np.concatenate([inside.coefficients * root, rows.coefficients], axis=1)
    A = np.einsum("dn,dsn->ns", operator, features.jets(X), optimize=True)
    size = np.linalg.norm(A, axis=0)
    weights, *_ = np.linalg.lstsq(A / size, np.concatenate([inside.source * root, rows.values]), rcond=1e-13)
    return features, weights / size


def run(quick: bool = False) -> list[dict[str, object]]:
    """A row for each problem."""
    rows = []
    for name, target in TARGETS.items():
        problem = BENCHMARKS[name]
        pde = problem.pde
        X = pde.unit.interior(4000, seed=99).points
        exact = problem.reference(pde.unit.to_physical(X))
        seconds, solution = timed(lambda pde=pde: project(restated(pde)), 1 if quick else 3, CPU)
        error = _relative(solution.field.jets(X)[0], exact)
        count = 200 if quick else min(1000, solution.history[-1].unknowns)
        dense, (features, weights) = timed(lambda pde=pde, count=count: random_features(pde, count), 1, CPU)
        rows.append(
            row(
                name,
                error,
                target,
                error <= target and seconds <= 2,
                seconds=seconds,
                estimate=solution.error_estimate,
                unknowns=solution.history[-1].unknowns,
                random=_relative(weights @ features.jets(X)[0], exact),
                random_seconds=dense,
            )
        )
    return rows


def _relative(u: Array, exact: Array) -> float:
    return float(np.linalg.norm(u - exact) / np.linalg.norm(exact))


if __name__ == "__main__":
    main(run)
