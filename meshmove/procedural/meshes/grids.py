"""Tensor grids in 2-D and 3-D as points and boxes: graded, bent, perturbed, split into simplices."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from meshmove.geometry import CellMesh, corner_volumes, facets_of, kind_of
from meshmove.geometry.arrays import Array, Ids

__all__ = ["bent", "boxes", "grid_shape", "perturbed", "split_quads"]

Rng = np.random.Generator


def grid_shape(nodes: int, sides: Array) -> tuple[int, ...]:
    """Cells along each axis, so that boxes of these side lengths are about cubes and there are about so many nodes."""
    sides = np.asarray(sides, float)
    low, high = 0.0, float(nodes)
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if np.prod(middle * sides + 1) < nodes else (low, middle)
    return tuple(int(c) for c in np.maximum(np.round(low * sides), 2))


def boxes(rng: Rng, shape: tuple[int, ...], sides: Array, grading: float = 0.0) -> tuple[Array, Ids]:
    """Points (n, dim) and boxes (m, 2^dim) of a grid; `grading` 0 is even, 1 a ratio of sizes of about e."""
    axes = []
    for cells, side in zip(shape, sides, strict=True):
        s = np.linspace(0, 1, cells + 1)
        if grading and rng.random() < 0.7:
            strength, where = grading * rng.uniform(0.3, 1), rng.uniform(0, 1)
            size = np.exp(strength * np.abs(0.5 * (s[1:] + s[:-1]) - where) / max(where, 1 - where))
            s = np.r_[0, np.cumsum(size)] / size.sum()
        axes.append(side * s)
    dim = len(shape)
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, dim)
    ids = np.arange(len(points)).reshape([c + 1 for c in shape])
    first = np.indices(shape).reshape(dim, -1).T
    reference = kind_of("quad" if dim == 2 else "hexahedron").reference.astype(int)
    return points, np.stack([ids[tuple((first + corner).T)] for corner in reference], axis=1)


def split_quads(rng: Rng, quads: Ids, shape: tuple[int, ...], style: str) -> Ids:
    """Two triangles for each quadrilateral; style "right", "left", "alternate", "random" or "diamond"."""
    i, j = np.indices(shape).reshape(2, -1)
    left = {
        "right": np.zeros(len(quads), bool),
        "left": np.ones(len(quads), bool),
        "alternate": (i + j) % 2 == 1,
        "random": rng.random(len(quads)) < 0.5,
        "diamond": (i >= shape[0] / 2) ^ (j >= shape[1] / 2),
    }[style]
    a, b = quads[~left], quads[left]
    return np.concatenate([a[:, [0, 1, 2]], a[:, [0, 2, 3]], b[:, [0, 1, 3]], b[:, [1, 2, 3]]])


def perturbed(rng: Rng, mesh: CellMesh, amount: float, least: float = 0.15) -> CellMesh:
    """Interior nodes displaced by up to `amount` of the shortest edge; less where a corner would get too flat."""
    facets = facets_of(mesh)
    outer = facets.nodes[facets.exterior]
    edges = mesh.points[mesh.edges]
    length = np.linalg.norm(edges[:, 1] - edges[:, 0], axis=1)
    near = np.full(mesh.n_points, np.inf)
    np.minimum.at(near, mesh.edges.ravel(), np.repeat(length, 2))
    push = rng.uniform(-1, 1, mesh.points.shape) * amount * near[:, None]
    push[outer[outer >= 0]] = 0
    before = corner_volumes(mesh)
    simplices, _ = mesh.corners
    for _ in range(8):
        flat = corner_volumes(mesh, mesh.points + push) / before < least
        if not flat.any():
            return mesh.moved(mesh.points + push)
        push[np.unique(simplices[flat])] *= 0.6
    return mesh


def bent(rng: Rng, points: Array, sectors: bool = True) -> Array:
    """A smooth map of points (n, dim) of a box at the origin: a sector of an annulus, waves, a taper, a shear."""
    sides = points.max(axis=0)
    s = points / sides
    maps: list[Callable[[], Array]] = [
        lambda: _waves(rng, points, sides),
        lambda: _taper(rng, points, s),
        lambda: _sector(rng, points, s),
    ]
    return maps[rng.integers(3 if sectors else 2)]()


def _sector(rng: Rng, points: Array, s: Array) -> Array:
    opening = rng.uniform(0.5, 5.0)
    inner = rng.uniform(0.3, 2.0)
    radius = inner + s[:, 1] * opening * (inner + 0.5) * points[:, 1].max() / points[:, 0].max()
    angle = opening * (1 - s[:, 0])
    return np.column_stack([radius * np.cos(angle), radius * np.sin(angle), points[:, 2:] * opening * inner])


def _waves(rng: Rng, points: Array, sides: Array) -> Array:
    out = points.copy()
    dim = points.shape[1]
    for a in range(dim):
        b = (a + 1 + rng.integers(dim - 1)) % dim
        k = rng.uniform(1, 4) * np.pi / sides[b]
        out[:, a] += rng.uniform(0, 0.5) / k * np.sin(k * points[:, b] + rng.uniform(0, 2 * np.pi))
    return out


def _taper(rng: Rng, points: Array, s: Array) -> Array:
    out = points - 0.5 * points.max(axis=0)
    out[:, 1:] *= (1 - rng.uniform(0, 0.7) * s[:, :1]) * (1 + rng.uniform(-0.4, 0.4) * np.sin(np.pi * s[:, :1]))
    out[:, 1] += rng.uniform(-0.5, 0.5) * out[:, 0]
    return out
