"""Burgers' equation on families of meshes, viscosities and heights: what `burgers-corrected` learns from.

The truth is that of 192 x 192 finite volumes. Each of its trajectories is taken to the nodes of one mesh, drawn from
grids with diagonals at random, jiggled ones, Delaunay meshes and other resolutions, as it is or as one of the
equation's symmetries has it: x and y change places, or the square turns by half a turn and the field changes its sign.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay

from meshmove.geometry import CellMesh
from meshmove.solvers.data import Trajectories, TrajectoryDataset, cached
from meshmove.solvers.data.symmetry import Symmetry
from meshmove.solvers.generators.burgers import burgers_mesh, burgers_trajectories

__all__ = ["delaunay", "diagonals", "families", "jiggled", "truth"]

Array = NDArray[np.float64]

#: cells a side of the solver whose fields are the truth, and of the mesh that most training is on
CELLS, COARSE = 192, 48
#: decades of viscosity and of height, of which so many pairs are drawn
VISCOSITY, HEIGHT, DRAWN = (0.001, 0.02), (0.3, 3.0), 72
#: trajectories of all of them, and of those of the other models' training
BROAD, USUAL = 54, 26


def truth(n: int, seed: int, folder: Path, progress: bool = False) -> Trajectories:
    """Trajectories of all viscosities and heights, from `folder`; made and written where they are not there."""
    rng = np.random.default_rng([seed, 1])
    viscosity, height = (np.exp(rng.uniform(*np.log(r), DRAWN))[:n] for r in (VISCOSITY, HEIGHT))

    def make() -> Trajectories:
        given = {"viscosity": tuple(viscosity), "height": tuple(height), "progress": progress}
        return burgers_trajectories(n, seed=seed, cells=CELLS, stride=1, **given)

    return cached(folder / f"burgers-families-{seed}-{n}.npz", make)


def usual(n: int, folder: Path, progress: bool = False) -> Trajectories:
    """The first of the trajectories from which the other models have learned."""
    given = {"seed": 11, "cells": CELLS, "stride": 1, "viscosity": (0.005, 0.002), "progress": progress}
    return cached(folder / f"burgers-families-11-{n}.npz", lambda: burgers_trajectories(n, **given))


def families(folder: Path, progress: bool = False) -> TrajectoryDataset:
    """The training data: every trajectory on a mesh of one of the families, in one of the four symmetric positions."""
    groups = []
    for seed, fine in ((21, truth(BROAD, 21, folder, progress)), (51, usual(USUAL, folder, progress))):
        shares = np.cumsum([0, *(count for count, _ in MESHES)])
        ends = np.round(shares / shares[-1] * len(fine)).astype(int)
        for k, (_, make) in enumerate(MESHES):
            part = fine[slice(ends[k], ends[k + 1])]
            groups.append(SYMMETRIES[k % len(SYMMETRIES)](part).on(make(seed + k)))
    return TrajectoryDataset(tuple(groups))


def diagonals(cells: int, seed: int) -> CellMesh:
    """A grid of the square whose squares are cut along diagonals at random."""
    mesh, rng = burgers_mesh(cells), np.random.default_rng(seed)
    first, second = mesh.blocks[0].nodes.reshape(2, -1, 3)  # a b c and a c d
    a, b, c, d = first[:, 0], first[:, 1], first[:, 2], second[:, 2]
    other = rng.random(len(a)) < 0.5
    one = np.where(other[:, None], np.stack([a, b, d], 1), np.stack([a, b, c], 1))
    two = np.where(other[:, None], np.stack([b, c, d], 1), np.stack([a, c, d], 1))
    return _triangles(mesh.points, np.concatenate([one, two]))


def mirrored(cells: int) -> CellMesh:
    """The grid whose diagonals all go the other way."""
    mesh = burgers_mesh(cells)
    return _triangles(np.stack([1 - mesh.points[:, 0], mesh.points[:, 1]], axis=1), mesh.blocks[0].nodes[:, ::-1])


def jiggled(cells: int, share: float, seed: int) -> CellMesh:
    """A grid whose inner nodes are moved by up to a share of a cell along each axis."""
    mesh, rng = burgers_mesh(cells), np.random.default_rng(seed)
    x = mesh.points.copy()
    inner = (np.abs(x - 0.5) < 0.5 - 1e-9).all(axis=1)
    x[inner] += rng.uniform(-share, share, (inner.sum(), 2)) / cells
    return _triangles(x, mesh.blocks[0].nodes)


def delaunay(cells: int, seed: int) -> CellMesh:
    """Delaunay's triangles of about cells x cells nodes: rows of a hexagonal lattice, jiggled by a quarter cell."""
    rng, h = np.random.default_rng(seed), 1 / cells
    rows = np.linspace(0, 1, round(cells * 2 / 3**0.5) + 1)[1:-1]
    inner = [(np.arange(cells - k % 2) + 0.5 + 0.5 * (k % 2)) * h for k in range(len(rows))]
    x = np.concatenate([np.stack([row, np.full(len(row), y)], 1) for row, y in zip(inner, rows, strict=True)])
    x += rng.uniform(-0.25, 0.25, x.shape) * h
    side = np.linspace(0, 1, cells + 1)
    ends, zero = side[:-1], np.zeros(cells)
    rim = [np.stack(p, 1) for p in ((ends, zero), (zero + 1, ends), (1 - ends, zero + 1), (zero, 1 - ends))]
    points = np.concatenate([*rim, x])
    cells_of = Delaunay(points).simplices
    a, b, c = points[cells_of].transpose(1, 0, 2)
    area = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
    return _triangles(points, cells_of[np.abs(area) > 1e-6 * h * h])


def _triangles(points: Array, cells: NDArray[np.integer]) -> CellMesh:
    """Without names of sides, which the data know."""
    return CellMesh.single(points, np.asarray(cells, np.int64), "triangle")


_NAMES = ("left", "bottom", "right", "top")
_HALF, _SWAP = (
    dict(zip(_NAMES, _NAMES[2:] + _NAMES[:2], strict=True)),
    dict(zip(_NAMES, ("bottom", "left", "top", "right"), strict=True)),
)
_TURN = ((-1.0, 0.0), (0.0, -1.0))
#: of the equation
SYMMETRIES: Sequence[Symmetry] = (
    Symmetry(((1.0, 0.0), (0.0, 1.0)), (0.0, 0.0)),
    Symmetry(((0.0, 1.0), (1.0, 0.0)), (0.0, 0.0), {}, _SWAP),
    Symmetry(_TURN, (1.0, 1.0), {"u": -1.0}, _HALF),
    Symmetry(((0.0, -1.0), (-1.0, 0.0)), (1.0, 1.0), {"u": -1.0}, {k: _SWAP[v] for k, v in _HALF.items()}),
)
#: shares of the trajectories, and what makes their mesh from a seed
MESHES: Sequence[tuple[int, Callable[[int], CellMesh]]] = (
    (8, lambda seed: burgers_mesh(COARSE)),
    (8, lambda seed: diagonals(COARSE, seed)),
    (8, lambda seed: mirrored(COARSE)),
    (8, lambda seed: diagonals(COARSE, seed)),
    (7, lambda seed: jiggled(COARSE, 0.25, seed)),
    (6, lambda seed: jiggled(COARSE, 0.15, seed)),
    (7, lambda seed: delaunay(COARSE, seed)),
    (6, lambda seed: delaunay(44, seed)),
    (7, lambda seed: diagonals(40, seed)),
    (7, lambda seed: diagonals(64, seed)),
)
