"""What the network that emits knots is worth: seconds of projection to 1e-5 on held-out layers, with and without it.

    python -m benchmarks.hypino.space [--quick] [--record]

Layers at one, two and four sides, of widths that are drawn anew; nothing of these problems was trained on: the network
has seen operators along one axis only. Beside it the same rounds without it ("classical"), with all its weights zero,
and from knots by a rule: the roots of the operator along each axis at the middle, an exponential at each end that holds
a value (Bakhvalov's meshes). Seconds are the processor's, paired, the median of the ratios.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import Any

from benchmarks.harness import CPU, Rows, main, row

import numpy as np  # isort: skip
import torch
from numpy.typing import NDArray

from benchmarks.hypino.hard import points
from benchmarks.hypino.hard_kinds import KINDS, Hard
from benchmarks.hypino.layers import eriksson_johnson, error_of, outflow, reaction
from meshmove.solvers import project
from meshmove.solvers.hypino.space import STATIONS, Space, inputs
from meshmove.solvers.pde import UnitProblem
from meshmove.solvers.projection.features.knots import Knots
from meshmove.solvers.projection.grading import placed

__all__ = ["Rule", "held_out", "run"]

BY_DEFAULT = False  #: a part of benchmarks.hypino.run
Array = NDArray[np.float64]
SEED, TOLERANCE = 5_113, 1e-5


def held_out(n: int, seed: int = SEED) -> list[Hard]:
    """n problems with layers; kinds take turns."""
    rng = np.random.default_rng(seed)
    kinds: list[Callable[[], Hard]] = [
        lambda: outflow(10 ** rng.uniform(-4, -2.5)),
        lambda: eriksson_johnson(10 ** rng.uniform(-3.5, -2.5)),
        lambda: reaction(10 ** rng.uniform(-7, -5)),
        lambda: KINDS["two_sided_layer"](rng, int(rng.integers(3, 7))),
        lambda: KINDS["corner_layers"](rng, int(rng.integers(3, 7))),
        lambda: KINDS["product_layer"](rng, int(rng.integers(3, 7))),
    ]
    return [kinds[k % len(kinds)]() for k in range(n)]


class Rule:
    """Knots in closed form: the density 1 + sum of exp(-distance / (7.5 width)) / width over the layers."""

    def knots(self, unit: UnitProblem) -> tuple[Knots, Knots]:
        """Along X and along Y."""
        return self._along(unit, 0), self._along(unit, 1)

    def _along(self, unit: UnitProblem, axis: int) -> Knots:
        c = unit.means
        if c[3 + axis] == 0:
            return Knots.even(16)
        roots = np.roots([c[3 + axis], c[1 + axis], c[0]]) if c[0] or c[1 + axis] else np.zeros(2)
        ends = inputs(unit, axis)[-4:]
        fine = np.interp(np.arange((len(STATIONS) - 1) * 40 + 1) / 40, np.arange(len(STATIONS)), STATIONS)
        base = Knots(fine)
        s, density = base.nodes(np.zeros(1)), np.full(len(fine) - 1, 8.0)
        for root in roots.real:
            if abs(root) > 8 and ends[2 if root > 0 else 0]:
                distance = 1 - s if root > 0 else 1 + s
                density += 2 * abs(root) ** (14 / 15) * np.exp(-abs(root) * distance / 7.5)
        n = int(np.clip((density * base.lengths).sum(), 12, 64))
        return placed(base, density * (n / (density * base.lengths).sum()), n)


def _zeroed() -> Space:
    space = Space.from_pretrained()
    with torch.no_grad():
        for p in space.parameters():
            p.zero_()
    return space


def run(quick: bool = False) -> Rows:
    """A row for each way to begin."""
    problems = held_out(6 if quick else 24)
    ways: dict[str, Any] = {"classical": None, "network": Space.from_pretrained(), "zeroed": _zeroed(), "rule": Rule()}
    for space in ways.values():  # first calls load code
        project(problems[0].pde, tolerance=TOLERANCE, space=space)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    errors: dict[str, list[float]] = {name: [] for name in ways}
    below: dict[str, list[bool]] = {name: [] for name in ways}
    for it in problems:
        x, w = points(it)
        for name, space in ways.items():
            start = CPU()
            solution = project(it.pde, tolerance=TOLERANCE, space=space)
            seconds[name].append(CPU() - start)
            errors[name].append(error_of(it, solution(x), x, w))
            below[name].append(errors[name][-1] <= solution.error_estimate)
    rows: Rows = []
    for name in ways:
        ratio = median(a / b for a, b in zip(seconds[name], seconds["classical"], strict=True))
        target = "<= 0.6" if name == "network" else None
        rows.append(
            row(
                f"{len(problems)} layers to 1e-5, {name}: seconds over classical",
                ratio,
                target,
                ratio <= 0.6 if target else None,
                seconds=median(seconds[name]),
                median_error=median(errors[name]),
                solved=float(np.mean(np.array(errors[name]) <= TOLERANCE)),
                below=float(np.mean(below[name])),
            )
        )
    return rows


if __name__ == "__main__":
    main(run)
