"""Burgers' equation on what a model was not made for: twelve cases, each off in one way, and four farther off.

The truth is that of 192 x 192 finite volumes, as in training; errors are relative L2 errors at the nodes of the mesh.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.mmpde.families import CELLS, COARSE, delaunay, diagonals, jiggled, mirrored
from meshmove.geometry import CellMesh
from meshmove.geometry.quality import vertex_volumes
from meshmove.solvers.data import Trajectories, cached
from meshmove.solvers.generators.burgers import Start, burgers_mesh, burgers_trajectories, random_field

__all__ = ["BEYOND", "SHIFTED", "USUAL", "Shift"]

Array = NDArray[np.float64]


def bump(n: int, rng: np.random.Generator, *, width: tuple[float, float] = (0.07, 0.12), **_: object) -> Array:
    """A Gaussian of height 1 somewhere in the middle, held at 0 on walls, either way up."""
    x = np.linspace(0, 1, n)
    (a, b), w = rng.uniform(0.3, 0.7, 2), rng.uniform(*width)
    u = np.exp(-((x[:, None] - a) ** 2 + (x - b) ** 2) / (2 * w**2)) * np.sin(np.pi * x[:, None]) * np.sin(np.pi * x)
    return rng.choice([-1.0, 1.0]) * u / np.abs(u).max()


@dataclass(frozen=True)
class Shift:
    """A case: how many trajectories of how many frames from which starts, and the mesh."""

    name: str
    viscosity: tuple[float, ...] = (0.005, 0.002)
    height: float = 1.0
    start: Start = random_field
    mesh: Callable[[], CellMesh] = partial(burgers_mesh, COARSE)
    frames: int = 30
    count: int = 2

    def truth(self, folder: Path, count: int | None = None, cells: int = CELLS) -> Trajectories:
        """At the nodes of the mesh, from `folder`; made and written where it is not there. All frames start alike on
        all meshes, so cases that differ in the mesh alone share one file."""
        n = count or self.count
        kind = self.start.__name__ if hasattr(self.start, "__name__") else "-".join(map(str, self.start.keywords))  # type: ignore[attr-defined]
        parts = (kind, *self.viscosity, self.height, self.frames, n, cells)
        file = folder / f"burgers-shifted-{'-'.join(map(str, parts))}.npz"

        def make() -> Trajectories:
            return burgers_trajectories(
                n, seed=31, cells=cells, stride=1, frames=self.frames + 1, end=self.frames / 30,
                viscosity=self.viscosity, height=self.height, start=self.start,
            )  # fmt: skip

        return cached(file, make).on(self.mesh())


def error(mesh: CellMesh, values: Array, truth: Array) -> float:
    """Relative L2 error by the lumped mass of values (n,)."""
    weight = vertex_volumes(mesh)
    return float(np.sqrt((weight * (values - truth) ** 2).sum() / (weight * truth**2).sum()))


USUAL = Shift("in distribution", count=6)
SHIFTED = (
    Shift("viscosity 0.001", viscosity=(0.001,)),
    Shift("viscosity 0.02", viscosity=(0.02,)),
    Shift("height 0.3", height=0.3),
    Shift("height 3", height=3.0),
    Shift("a Gaussian", start=bump),
    Shift("ten modes", start=partial(random_field, modes=10)),
    Shift("mirrored diagonals", mesh=partial(mirrored, COARSE), count=6),
    Shift("jiggled by a quarter of a cell", mesh=partial(jiggled, COARSE, 0.25, 99), count=6),
    Shift("Delaunay's triangles", mesh=partial(delaunay, COARSE, 99), count=6),
    Shift("40 x 40 cells", mesh=partial(burgers_mesh, 40), count=6),
    Shift("64 x 64 cells", mesh=partial(burgers_mesh, 64), count=6),
    Shift("120 frames", frames=120),
)
#: outside of all that training had
BEYOND = (
    Shift("viscosity 0.05", viscosity=(0.05,), count=1),
    Shift("height 6", height=6.0),
    Shift("a narrow Gaussian", start=partial(bump, width=(0.03, 0.04))),
    Shift("96 x 96 cells, diagonals at random", mesh=partial(diagonals, 96, 99), count=6),
)
