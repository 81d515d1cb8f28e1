"""What the parts of the benchmark of HyPINO share: the model, the problems with their solutions, and the measures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from benchmarks.harness import CPU

import numpy as np  # isort: skip
from numpy.typing import NDArray

from benchmarks.hypino.converged import CACHE, relative_l2
from benchmarks.hypino.heldout import KINDS, case, judged
from benchmarks.hypino.references import load
from meshmove.solvers.fem.published_problems import BENCHMARKS, grid
from meshmove.solvers.hypino import HyPINO
from meshmove.solvers.pde import LinearPDE

__all__ = ["GRID", "SEVEN", "Bench", "Sample", "at_level", "mse", "relative_l2", "smape", "values"]

Array = NDArray[np.float64]

SEVEN = ("HT", "HZ", "HZ-G", "PS-C", "PS-L", "PS-G", "WV")
#: points to a side of the grid on which the published measures are taken
GRID = 224


@dataclass(frozen=True, eq=False)
class Sample:
    """A problem, and its solution `u` (n,) at points `x` (2, n) inside its domain.

    `share`: of the bounding box that the domain covers; `doubt`: relative error of the reference.
    """

    name: str
    pde: LinearPDE
    x: Array
    u: Array
    share: float
    doubt: float = 0.0
    formula: bool = True

    @property
    def kind(self) -> str:
        """elliptic, parabolic, hyperbolic."""
        return self.pde.kind


@dataclass(frozen=True)
class Bench:
    """A run: quick or not, with which weights; what several parts need is made once."""

    quick: bool = False
    weights: str = "hypino-small"
    problems: int = 64  #: of the batch

    @cached_property
    def model(self) -> HyPINO:
        """The hypernetwork, on one thread."""
        import torch

        torch.set_num_threads(1)
        return HyPINO.from_pretrained(self.weights)

    @cached_property
    def held_out(self) -> list[Sample]:
        """The held-out set: all kinds, one to four holes."""
        return [_held_out(k) for k in range(8 if self.quick else 200)]

    @cached_property
    def shapes(self) -> list[Sample]:
        """Elliptic problems of the held-out set with formulas, as many as the batch has: no two domains are alike."""
        chosen = [k for k in range(200) if k % 3 != 2 and KINDS[k % len(KINDS)] == "elliptic"]
        return [_held_out(k) for k in chosen[: 2 if self.quick else self.problems]]

    @cached_property
    def projected(self) -> list[dict[str, float]]:
        """Projection on each problem of the held-out set: error, estimate, seconds, doubt."""
        return [judged(k) for k in range(8 if self.quick else 200)]

    @cached_property
    def seven(self) -> list[Sample]:
        """The published benchmarks, at some four thousand points of a grid."""
        return [_of_seven(name) for name in (SEVEN[2:5] if self.quick else SEVEN)]


def _held_out(k: int) -> Sample:
    it = case(k)
    unit = it.pde.unit
    x = unit.to_physical(unit.interior(2000, seed=99).points)
    u, doubt = it.reference(x)
    return Sample(it.name, it.pde, x, u, unit.area / 4, doubt, it.exact is not None)


def _of_seven(name: str) -> Sample:
    pde = BENCHMARKS[name].pde
    x, u = load(name)
    formula = BENCHMARKS[name].exact is not None
    return Sample(name, pde, x[:, ::4], u[::4], pde.unit.area / 4, formula=formula)


def published_grid(name: str) -> Sample:
    """One of the seven on the published grid; where there is no formula the reference is kept in .cache/."""
    benchmark = BENCHMARKS[name]
    x = grid(GRID)
    inside = benchmark.pde.domain.contains(x)
    x = x[:, inside]
    path = CACHE / f"{name}-{GRID}.npy"
    if benchmark.exact is not None:
        u = benchmark.exact(x)
    elif path.exists():
        u = np.load(path)
    else:
        u = benchmark.reference(x)
        CACHE.mkdir(parents=True, exist_ok=True)
        np.save(path, u)
    return Sample(name, benchmark.pde, x, u, float(inside.mean()))


# -- measures -------------------------------------------------------------------------------------------------------


def values(solution: Callable[[Array], Array], x: Array, chunk: int = 8192) -> Array:
    """Values (n,) at points (2, n), some at a time: all jets of all features are many numbers."""
    return np.concatenate([solution(x[:, i : i + chunk]) for i in range(0, x.shape[1], chunk)])


def mse(u: Array, exact: Array, share: float) -> float:
    """Mean squared error over the bounding box, both being 0 outside of the domain."""
    return float(((u - exact) ** 2).mean() * share)


def smape(u: Array, exact: Array, share: float) -> float:
    """Symmetric mean absolute percentage error over the bounding box, 0 outside of the domain."""
    return float(100 * (2 * np.abs(u - exact) / (np.abs(u) + np.abs(exact) + 1e-8)).mean() * share)


def at_level(level: float, rising: list[float], other: list[float]) -> float:
    """`other` where the monotone `rising` reaches a level, between measurements in logarithms; NaN beyond the last.

    Before the first it is the first: no cheaper measurement was made.

    >>> at_level(10.0, [1.0, 100.0], [1.0, 4.0]).round(12)
    2.0
    """
    a, b = np.log(rising), np.log(other)
    if np.log(level) > a[-1]:
        return float("nan")
    return np.exp(np.interp(np.log(level), a, b))


def seconds_of(call: Callable[[], Any], repeats: int = 1) -> tuple[float, Any]:
    """Median of the processor's seconds, and the last result."""
    spent = []
    for _ in range(repeats):
        start = CPU()
        result = call()
        spent.append(CPU() - start)
    return float(np.median(spent)), result
