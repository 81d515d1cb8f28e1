"""Training samples: a pool of procedural meshes, and a fresh monitor for each time that one is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from meshmove.geometry import CellMesh, Slide, facets_of
from meshmove.neural.batch import MeshBatch
from meshmove.procedural import MonitorBatch, NodalMonitors, random_mesh

__all__ = ["Samples", "unit"]


def unit(mesh: CellMesh) -> CellMesh:
    """The mesh centred at 0 and scaled to size 1."""
    low, high = mesh.points.min(axis=0), mesh.points.max(axis=0)
    return mesh.moved((mesh.points - (low + high) / 2) / (high - low).max())


@dataclass(frozen=True)
class Samples:
    """Sample i is the same on every machine, in every batch and at any number of processes.

    `pool`: distinct meshes; `nodes`: range of their sizes.
    """

    dim: int
    seed: int
    pool: int
    nodes: tuple[int, int]

    def batch(self, numbers: range | list[int]) -> tuple[MeshBatch, MonitorBatch]:
        """The samples of these numbers side by side, with their monitors."""
        meshes, slides, components = [], [], []
        draws = [np.random.default_rng([self.seed, 1, i]) for i in numbers]
        for rng in draws:
            mesh, slide, component = _mesh(self.dim, self.seed, int(rng.integers(self.pool)), self.nodes)
            meshes.append(mesh)
            slides.append(slide)
            components.append(component)
        parts = [MonitorBatch.sample(rng, [mesh]) for rng, mesh in zip(draws, meshes, strict=True)]
        return MeshBatch.of(meshes, slides, components), _side_by_side(parts, meshes)


def _side_by_side(parts: list[MonitorBatch], meshes: list[CellMesh]) -> MonitorBatch:
    """One batch of the monitors of one mesh each."""
    terms = max(p.table.shape[1] for p in parts)
    tables = [torch.nn.functional.pad(p.table, (0, 0, 0, terms - p.table.shape[1])) for p in parts]
    joined = {
        name: torch.cat([getattr(p, name) for p in parts])
        for name in ("centre", "scale", "count", "order", "constants")
    }
    recovered = [(m, p.nodal.values) for m, p in zip(meshes, parts, strict=True) if p.nodal is not None]
    nodal = NodalMonitors(*map(list, zip(*recovered, strict=True))) if recovered else None
    return MonitorBatch(table=torch.cat(tables), kinds=sum((p.kinds for p in parts), ()), nodal=nodal, **joined)


@lru_cache(maxsize=4096)
def _mesh(dim: int, seed: int, number: int, nodes: tuple[int, int]) -> tuple[CellMesh, Slide, NDArray[np.int64]]:
    mesh = unit(random_mesh(np.random.default_rng([seed, 0, number]), dim, nodes=nodes))
    facets = facets_of(mesh)
    return mesh, Slide(mesh, facets), facets.components(mesh.n_cells)
