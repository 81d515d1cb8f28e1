"""Problems by which one of several checkpoints of the network that aligns is chosen: drawn, and none of those reported.

Steep rings, narrow peaks, fronts, layers and smooth fields of random places, widths and meshes (24 to 44 nodes a side,
half of them with jittered nodes), finite element solutions as fields, as in `benchmarks.dmm.aligning`:

    python -m benchmarks.dmm.choosing [WEIGHTS[@EFFORT] ...]     # shipped names, files, or "classical"
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np  # isort: skip
import skfem
import torch
from numpy.typing import NDArray

from benchmarks.dmm.aligning import Outcome, gaussians, outcome
from meshmove.neural import Aligner, Neural
from meshmove.solvers.fem.manufactured import (
    Problem,
    arctan,
    decay,
    distance,
    distance2,
    gaussian,
    line,
    summed,
    tanh,
)

torch.set_num_threads(1)
Array = NDArray[np.float64]
Rng = np.random.Generator

#: parts of a mesh size by which inner nodes of every second mesh are displaced
JITTER = 0.25


def _centre(rng: Rng) -> tuple[float, float]:
    x, y = rng.uniform(0.25, 0.75, 2)
    return float(x), float(y)


def _ring(rng: Rng) -> Problem:
    radius = rng.uniform(0.15, 0.35)
    profile = tanh(rng.uniform(40, 90)) if rng.random() < 0.5 else gaussian(rng.uniform(0.02, 0.05))
    return summed("ring", (profile, distance2(*_centre(rng), radius**2)))


def _peak(rng: Rng) -> Problem:
    return summed("peak", (decay(rng.uniform(100, 400)), distance2(*_centre(rng))))


def _peaks(rng: Rng) -> Problem:
    first = (decay(rng.uniform(100, 400)), distance2(*rng.uniform(0.15, 0.45, 2)))
    return summed("peaks", first, (decay(rng.uniform(100, 400), -0.8), distance2(*rng.uniform(0.55, 0.85, 2))))


def _front(rng: Rng) -> Problem:
    profile = tanh(rng.uniform(25, 50)) if rng.random() < 0.5 else arctan(rng.uniform(40, 80))
    if rng.random() < 0.5:
        return summed("front", (profile, line(rng.uniform(0, 180), *_centre(rng))))
    return summed("front", (profile, distance(-rng.uniform(0.05, 0.3), -rng.uniform(0.05, 0.3), rng.uniform(0.6, 1))))


def _crossed(rng: Rng) -> Problem:
    angle = rng.uniform(0, 90)
    return summed(
        "crossed",
        (tanh(rng.uniform(20, 40)), line(angle, *_centre(rng))),
        (tanh(rng.uniform(20, 40)), line(angle + 90, *_centre(rng))),
    )


def _smooth(rng: Rng) -> Problem:
    return gaussians(np.random.RandomState(rng.integers(2**31)), 2)


KINDS: tuple[Callable[[Rng], Problem], ...] = (_ring, _peak, _front, _smooth, _ring, _peaks, _crossed, _smooth)


def cases(count: int, seed: int = 2026) -> Iterator[tuple[Problem, skfem.MeshTri]]:
    """So many problems with a mesh each."""
    for k in range(count):
        rng = np.random.default_rng([seed, k])
        problem = KINDS[k % len(KINDS)](rng)
        smooth = KINDS[k % len(KINDS)] is _smooth
        n = int(rng.integers(13, 20) if smooth else rng.integers(24, 44))
        mesh = problem.mesh(n)
        if k % 2:
            inner = mesh.interior_nodes()
            points = mesh.p.copy()
            points[:, inner] += JITTER / n * rng.uniform(-1, 1, (2, len(inner)))
            mesh = skfem.MeshTri(points, mesh.t)
        yield problem, mesh


def gains(weights: str | None, count: int, effort: float | None = None) -> list[tuple[str, Outcome]]:
    """Of the network with these weights, alone by default; None: of the classical mover, at effort 1 by default."""
    found = Neural(aligner=Aligner.from_pretrained(weights)) if weights else None
    options: dict[str, Any] = {"mover": found, "effort": effort or 0.1} if found else {"effort": effort or 1.0}
    return [(p.name, outcome(p, mesh, options)) for p, mesh in cases(count)]


def main(names: list[str], count: int = 24) -> None:
    """Print how many times less L2 and H1 error the network leaves: by kind, and the geometric means."""
    for weights in names or ["aligner-2d"]:
        name, _, effort = weights.partition("@")
        found = gains(None if name == "classical" else name, count, float(effort) if effort else None)
        rows = np.log([[o.l2, o.h1] for _, o in found])
        print(f"{weights}: L2 {np.exp(-rows[:, 0].mean()):.3f}, H1 {np.exp(-rows[:, 1].mean()):.3f}", end="")
        print(f", CPU ms {1e3 * np.mean([o.seconds for _, o in found]):.0f}")
        for name in dict.fromkeys(name for name, _ in found):
            own = np.exp(-rows[[k for k, (n, _) in enumerate(found) if n == name]].mean(axis=0))
            print(f"  {name}: {own[0]:.2f}, {own[1]:.2f}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
