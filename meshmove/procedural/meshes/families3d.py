"""Families of 3-D meshes: boxes and balls of tetrahedra, boxes of hexahedra."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry import CellMesh, corner_volumes
from meshmove.geometry.arrays import Array, Ids

from .delaunay import Unmeshable
from .grids import bent, boxes, grid_shape, perturbed
from .tetrahedra import body_centred, delaunay_tetrahedra, lattice, spacing, split_boxes

__all__ = ["FAMILIES", "is_sound", "sound"]

Rng = np.random.Generator


def is_sound(mesh: CellMesh, least: float = 0.02) -> bool:
    """No corner of a cell is flat (against the product of its edges), and all corners of a cell agree in sign."""
    simplices, owner = mesh.corners
    volume = corner_volumes(mesh)
    e = np.linalg.norm(mesh.points[simplices[:, 1:]] - mesh.points[simplices[:, :1]], axis=2)
    factor = 2 if mesh.dim == 2 else 6
    positive = np.bincount(owner, volume > 0, mesh.n_cells)
    same = (positive == 0) | (positive == np.bincount(owner, minlength=mesh.n_cells))
    return bool(same.all() and (factor * np.abs(volume) > least * e.prod(axis=1)).all())


def sound(mesh: CellMesh) -> CellMesh:
    """The mesh itself.

    Raises
    ------
    Unmeshable
        It is not sound.
    """
    if not is_sound(mesh):
        raise Unmeshable("a cell is flat or inverted")
    return mesh


def _sides(rng: Rng) -> Array:
    return np.exp(rng.uniform(0, np.log(2.5), 3))


def _grid(rng: Rng, nodes: int) -> tuple[tuple[int, ...], Array, Ids]:
    sides = _sides(rng)
    stretch = np.exp(rng.uniform(-0.6, 0.6, 3)) if rng.random() < 0.5 else np.ones(3)
    shape = grid_shape(nodes, sides * stretch)
    return shape, *boxes(rng, shape, sides, rng.uniform(0.5, 1.8) if rng.random() < 0.4 else 0.0)


def _box_tets(rng: Rng, nodes: int) -> CellMesh:
    style = ("kuhn", "five", "centred")[rng.integers(3)]
    shape, points, hexes = _grid(rng, nodes if style != "centred" else round(0.6 * nodes))
    if style == "centred":
        points, cells = body_centred(points, hexes)
    else:
        cells = split_boxes(hexes, shape, style)
    mesh = CellMesh.single(points, cells, "tetra")
    if rng.random() < 0.3:
        mesh = sound(mesh.moved(bent(rng, points)))
    return perturbed(rng, mesh, rng.uniform(0.05, 0.3)) if rng.random() < 0.7 else mesh


def _box_surface(rng: Rng, sides: Array, s: float) -> tuple[Array, NDArray[np.bool_]]:
    """Points on a box, and which of their coordinates may move (n, 3)."""
    shape = np.maximum(np.round(sides / (1.05 * s)), 2).astype(int)
    x = np.indices(tuple(shape + 1)).reshape(3, -1).T
    free = (x > 0) & (x < shape)
    x, free = x[~free.all(axis=1)], free[~free.all(axis=1)]
    points = (x + 0.2 * rng.uniform(-1, 1, x.shape) * free) / shape * sides
    return points, free


def _box_delaunay(rng: Rng, nodes: int) -> CellMesh:
    sides = _sides(rng)
    s = spacing(sides.prod(), 2 * sides.prod() * (1 / sides).sum(), nodes)
    surface, free = _box_surface(rng, sides, s)
    home = surface.copy()
    inner = lattice(rng, np.zeros(3), sides, s, rng.uniform(0.02, 0.2))
    inner = inner[((inner > 0.5 * s) & (inner < sides - 0.5 * s)).all(axis=1)]
    return delaunay_tetrahedra(rng, surface, inner, s, lambda x: np.where(free, x, home))


def _sphere(rng: Rng, count: int) -> Array:
    """About evenly spread points of the unit sphere (a Fibonacci lattice, turned at random)."""
    k = np.arange(count) + 0.5
    z = 1 - 2 * k / count
    angle = np.pi * (1 + np.sqrt(5)) * k
    x = np.stack([np.sqrt(1 - z * z) * np.cos(angle), np.sqrt(1 - z * z) * np.sin(angle), z], axis=1)
    return x @ np.linalg.qr(rng.standard_normal((3, 3)))[0]


def _unit(x: Array) -> Array:
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def _ball(rng: Rng, nodes: int) -> CellMesh:
    s = spacing(4 / 3 * np.pi, 4 * np.pi, nodes)
    surface = _sphere(rng, round(4 * np.pi / (1.05 * s) ** 2))
    inner = lattice(rng, np.full(3, -1.0), np.full(3, 1.0), s, rng.uniform(0.02, 0.2))
    inner = inner[np.linalg.norm(inner, axis=1) < 1 - 0.6 * s]
    mesh = delaunay_tetrahedra(rng, surface, inner, s, _unit)
    return mesh.moved(mesh.points * np.exp(rng.uniform(0, np.log(2), 3))) if rng.random() < 0.5 else mesh


def _box_hole(rng: Rng, nodes: int) -> CellMesh:
    sides = _sides(rng)
    radius = rng.uniform(0.15, 0.3) * sides.min()
    centre = sides * rng.uniform(0.45, 0.55, 3)
    volume = sides.prod() - 4 / 3 * np.pi * radius**3
    s = spacing(volume, 2 * sides.prod() * (1 / sides).sum() + 4 * np.pi * radius**2, nodes)
    if radius < s:
        raise Unmeshable("the hole is smaller than a cell")
    surface, free = _box_surface(rng, sides, s)
    home, split = surface.copy(), len(surface)
    hole = centre + radius * _sphere(rng, max(16, round(4 * np.pi * (radius / s) ** 2)))
    inner = lattice(rng, np.zeros(3), sides, s, rng.uniform(0.02, 0.2))
    inner = inner[((inner > 0.5 * s) & (inner < sides - 0.5 * s)).all(axis=1)]
    inner = inner[np.linalg.norm(inner - centre, axis=1) > radius + 0.6 * s]

    def slide(x: Array) -> Array:
        return np.concatenate([np.where(free, x[:split], home), centre + radius * _unit(x[split:] - centre)])

    boundary = np.concatenate([surface, hole])

    def inside(cells: Ids) -> NDArray[np.bool_]:
        return np.any((cells < split) | (cells >= len(boundary)), axis=1)  # not a cell between points of the hole

    return delaunay_tetrahedra(rng, boundary, inner, s, slide, inside)


def _box_hexes(rng: Rng, nodes: int) -> CellMesh:
    _, points, hexes = _grid(rng, nodes)
    mesh = CellMesh.single(points, hexes, "hexahedron")
    return perturbed(rng, mesh, rng.uniform(0.05, 0.3)) if rng.random() < 0.7 else mesh


def _bent_hexes(rng: Rng, nodes: int) -> CellMesh:
    mesh = _box_hexes(rng, nodes)
    return sound(mesh.moved(bent(rng, mesh.points)))


#: name -> function of a generator and a number of nodes
FAMILIES: dict[str, Callable[[Rng, int], CellMesh]] = {
    "box_tets": _box_tets,
    "box_delaunay": _box_delaunay,
    "ball": _ball,
    "box_hole": _box_hole,
    "box_hexes": _box_hexes,
    "bent_hexes": _bent_hexes,
}
