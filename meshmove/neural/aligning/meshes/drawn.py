"""Meshes to train on: drawn from procedural families, kept in one file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from meshmove.geometry import CellMesh
from meshmove.procedural import random_mesh
from meshmove.procedural.meshes.grids import boxes
from meshmove.procedural.meshes.tetrahedra import split_boxes

from ...training.samples import unit

__all__ = ["FAMILIES", "make_meshes", "read_meshes", "uniform_cube", "uniform_square", "write_meshes"]

#: of triangles and tetrahedra, by dimension; most boundaries are straight
FAMILIES = {
    2: (
        "square",
        "rectangle",
        "polygon",
        "holes",
        "reentrant",
        "channel",
        "graded",
        "stretched",
        "structured",
        "structured",
    ),
    3: ("box_tets", "box_tets", "box_delaunay", "ball", "box_hole"),
}
#: of quadrilaterals and hexahedra
BOXES = {2: ("quads", "mapped_quads"), 3: ("box_hexes", "bent_hexes")}
#: share of squares and cubes as everybody meshes them
UNIFORM = 0.08


def make_meshes(count: int, nodes: tuple[int, int], seed: int, quads: bool = False, dim: int = 2) -> Iterator[CellMesh]:
    """So many meshes of triangles or tetrahedra, or of quadrilaterals or hexahedra, of size one about 0."""
    for k in range(count):
        rng = np.random.default_rng([seed, k])
        if not quads and rng.random() < UNIFORM:
            side = int(rng.integers(round(nodes[0] ** (1 / dim)), round(nodes[1] ** (1 / dim)) + 1))
            mesh = uniform_square(side) if dim == 2 else uniform_cube(side, ("kuhn", "five")[k % 2])
            yield mesh.moved(mesh.points * rng.choice([-1, 1], dim))
        else:
            families = BOXES[dim] if quads else FAMILIES[dim]
            yield unit(random_mesh(rng, dim, nodes=nodes, families=families))


def uniform_cube(side: int, style: str = "kuhn") -> CellMesh:
    """The cube about 0, with so many nodes to a side, each of its boxes in six tetrahedra ("kuhn"), or five."""
    shape = (side - 1,) * 3
    points, hexahedra = boxes(np.random.default_rng(0), shape, np.ones(3))
    return CellMesh.single(points - 0.5, split_boxes(hexahedra, shape, style), "tetra")


def uniform_square(side: int) -> CellMesh:
    """The square about 0 as everybody meshes it: even squares, with so many nodes to a side, one diagonal each."""
    i, j = np.meshgrid(np.arange(side), np.arange(side), indexing="ij")
    a = (i[:-1, :-1] * side + j[:-1, :-1]).ravel()
    cells = np.concatenate([np.stack([a, a + side, a + 1], 1), np.stack([a + side, a + side + 1, a + 1], 1)])
    return CellMesh.single(np.stack([i.ravel(), j.ravel()], 1) / (side - 1) - 0.5, cells, "triangle")


def write_meshes(path: str | Path, meshes: Sequence[CellMesh]) -> Path:
    """Points in single precision and cells, compressed."""
    path = Path(path)
    np.savez_compressed(
        path,
        points=np.concatenate([m.points for m in meshes]).astype(np.float32),
        cells=np.concatenate([m.corners[0] for m in meshes]).astype(np.uint16),
        n=np.array([m.n_points for m in meshes]),
        c=np.array([m.n_cells for m in meshes]),
    )
    return path


def read_meshes(path: str | Path) -> list[CellMesh]:
    """What `write_meshes` wrote."""
    with np.load(path) as file:
        points, cells, n, c = (file[k] for k in ("points", "cells", "n", "c"))
    ends, last = np.cumsum(n), np.cumsum(c)
    points = points.astype(np.float64)
    return [
        CellMesh.single(points[b - k : b], cells[e - m : e].astype(np.int64), "triangle")
        for b, k, e, m in zip(ends, n, last, c, strict=True)
    ]
