"""The three systems on inputs that any machine makes alike: a call on a device, and what comes out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from meshmove import DMM, MeshBatch
from meshmove.geometry import CellMesh
from meshmove.neural.training.samples import Samples
from meshmove.procedural import MonitorBatch
from meshmove.solvers import MMPDE, HyPINO
from meshmove.solvers.hypino.training.problems import build, draw
from meshmove.solvers.mmpde.graph import Graph
from meshmove.solvers.mmpde.state import state_of

__all__ = ["Emission", "Moves", "Rollouts", "synchronised"]

Call = Callable[[], Tensor]


def synchronised(call: Call, device: str) -> Tensor:
    """The result of a call, once the device has it."""
    out = call()
    if device == "cuda":
        torch.cuda.synchronize()
    return out


@dataclass(frozen=True)
class Moves:
    """So many procedural meshes of about so many nodes, each with a monitor, through the shipped mover."""

    count: int
    nodes: int
    dim: int = 2

    @cached_property
    def _made(self) -> tuple[MeshBatch, MonitorBatch]:
        size = (int(0.95 * self.nodes), int(1.05 * self.nodes))
        return Samples(self.dim, 20, self.count, size).batch(range(self.count))

    def on(self, device: str, half: bool = False) -> Call:
        """The mover's call: positions (n, d) of all nodes."""
        batch, monitor = (part.to(device) for part in self._made)
        model = DMM.from_pretrained(f"dmm-{self.dim}d").to(device)

        @torch.no_grad()
        def call() -> Tensor:
            with torch.autocast(device, torch.bfloat16, enabled=half):
                points = model(batch, monitor, adaptive=True).points
            assert points is not None
            return points

        return call

    def displacement(self, points: Tensor) -> Tensor:
        """What nodes have moved."""
        return points.cpu() - self._made[0].points

    def pairs(self) -> Iterator[tuple[CellMesh, Callable[[NDArray], NDArray]]]:
        """Each mesh with its monitor as a function of points (d, n)."""
        batch, monitor = self._made
        for k, mesh in enumerate(batch.meshes):
            yield mesh, monitor.function(k)

    def valid(self, points: Tensor) -> bool:
        """Whether no cell is inverted, in double precision."""
        batch = self._made[0]
        x = points.cpu().double()[batch.simplices]
        at_rest = batch.points.double()[batch.simplices]
        sign = torch.linalg.det(x[:, 1:] - x[:, :1]) * torch.linalg.det(at_rest[:, 1:] - at_rest[:, :1])
        return bool((sign > 0).all())


@dataclass(frozen=True)
class Emission:
    """So many random linear problems, answered by the shipped hypernetwork on a lattice of points."""

    count: int

    def on(self, device: str, half: bool = False) -> Call:
        """The call: values (count, points)."""
        model = HyPINO.from_pretrained().to(device)
        problems = build(draw(self.count, (11, 0), 64, 32, 0.0).to(device), model.settings.raster)
        axis = torch.linspace(-0.95, 0.95, 20, device=device)
        points = torch.stack(torch.meshgrid(axis, axis, indexing="ij")).reshape(2, -1)

        @torch.no_grad()
        def call() -> Tensor:
            return model(problems.coefficients, problems.raster, torch.bfloat16 if half else None)(points)

        return call


@dataclass(frozen=True)
class Rollouts:
    """So many initial fields of Burgers' equation through the shipped model of one branch, for so many bundles."""

    count: int
    bundles: int

    def on(self, device: str, half: bool = False) -> Call:
        """The call: normalised values (nodes of all fields, F) of the last frame."""
        model = MMPDE.from_pretrained("burgers-still").to(device)
        mesh = _grid(48)
        graph = Graph.of(mesh, model.settings.boundaries, model.settings.reach, model.settings.directions)
        rng = np.random.default_rng(3)
        size = 2 * float(model.std)  # as in training: far beyond it a rollout makes much of the last bit
        starts = [size * _waves(mesh.points, rng) for _ in range(self.count)]
        state = state_of(model, [graph] * self.count, starts, [(0.005,)] * self.count).to(device)

        @torch.no_grad()
        def call() -> Tensor:
            now = state
            for _ in range(self.bundles):
                with torch.autocast(device, torch.bfloat16, enabled=half):
                    out = model.predicted(now)
                now = replace(now, values=out[:, -1].float())
            return now.values

        return call


def _grid(n: int) -> CellMesh:
    """Triangles on the unit square, n to a side, as the model was trained on, with its four sides by name."""
    i, j = np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij")
    corner = (i[:-1, :-1] * (n + 1) + j[:-1, :-1]).ravel()
    right, up = corner + n + 1, corner + 1
    cells = np.concatenate([np.stack([corner, right, right + 1], 1), np.stack([corner, right + 1, up], 1)])
    mesh = CellMesh.single(np.stack([i.ravel(), j.ravel()], 1) / n, cells, "triangle")
    k = np.arange(n)
    left, bottom = np.stack([k, k + 1], 1), np.stack([k * (n + 1), (k + 1) * (n + 1)], 1)
    sides = {"left": left, "right": left + n * (n + 1), "bottom": bottom, "top": bottom + n}
    return replace(mesh, facets=sides)


def _waves(points: NDArray, rng: np.random.Generator) -> NDArray:
    """A few random sine waves that vanish on the sides, of size 1, (n, 1)."""
    a = rng.normal(size=(3, 3)) / (1 + np.add.outer(np.arange(3), np.arange(3)))
    x, y = (np.sin(np.pi * np.outer(np.arange(1, 4), c)) for c in points.T)
    u = np.einsum("kn,kl,ln->n", x, a, y)[:, None]
    return u / np.abs(u).max()
