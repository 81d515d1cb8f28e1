"""Procedural meshes: `random_mesh` draws one of any family, `FAMILIES` names them.

======= =============== ============================================================================================
dim     family          what it is
======= =============== ============================================================================================
2       square          jittered Delaunay triangles of the unit square
2       rectangle       the same, sides 1:1.5 to 1:5
2       polygon         star-shaped polygons of 3 to 9 corners
2       holes           polygons and rectangles with one to four round, elliptic or angular holes
2       reentrant       L-shapes, stairs, notches, wedges, disks less a sector, chevrons
2       airfoil         NACA four-digit sections in a box, fine at the section
2       channel         long boxes with obstacles, steps or constrictions
2       graded          fine towards points or a curve, sizes 1:3 to 1:20
2       stretched       polygons, holes and re-entrant forms with cells stretched 1:1.5 to 1:8
2       structured      triangles of a grid, either diagonal, both, or at random; even, graded or perturbed
2       quads           quadrilaterals of a grid: even, graded or perturbed
2       mapped_quads    the same on bent domains: sectors of annuli, waves, tapers
2       mixed           quadrilaterals and triangles side by side
3       box_tets        a box split into tetrahedra by Kuhn, in fives, or body-centred; even, graded, perturbed, bent
3       box_delaunay    Delaunay tetrahedra of jittered points in a box
3       ball            Delaunay tetrahedra of a ball or an ellipsoid
3       box_hole        Delaunay tetrahedra of a box with a round hole
3       box_hexes       hexahedra of a box: even, graded or perturbed
3       bent_hexes      hexahedra of a bent box
======= =============== ============================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry import CellBlock, CellMesh, kind_of
from meshmove.geometry.arrays import Array

from . import families3d as meshes3d
from .delaunay import Unmeshable, near, triangulate
from .grids import bent, boxes, grid_shape, perturbed, split_quads
from .outlines import Loop, airfoil_domain, channel, rectangle, reentrant, star_polygon, with_holes

__all__ = ["FAMILIES", "random_mesh"]

Rng = np.random.Generator
Family = Callable[[Rng, int], CellMesh]

#: draws of one family before another is tried; one draw in ten fails at worst
_ATTEMPTS = 10


def _triangles(rng: Rng, loops: list[Loop], nodes: int, **options: Any) -> CellMesh:
    staggered = rng.random() < 0.5
    if "size" not in options:
        options["jitter"] = rng.uniform(0, 0.32) if not staggered or rng.random() < 0.7 else rng.uniform(0, 0.05)
        options["sweeps"] = int(rng.integers(0, 3)) if rng.random() < 0.3 else 0
    return CellMesh.single(*triangulate(rng, loops, nodes, staggered=staggered, **options), "triangle")


def _square(rng: Rng, nodes: int) -> CellMesh:
    return _triangles(rng, [rectangle([0, 0], [1, 1])], nodes)


def _rectangle(rng: Rng, nodes: int) -> CellMesh:
    return _triangles(rng, [rectangle([0, 0], [np.exp(rng.uniform(np.log(1.5), np.log(5))), 1])], nodes)


def _polygon(rng: Rng, nodes: int) -> CellMesh:
    return _triangles(rng, [star_polygon(rng)], nodes)


def _holes(rng: Rng, nodes: int) -> CellMesh:
    outer = star_polygon(rng) if rng.random() < 0.5 else rectangle([0, 0], [rng.uniform(1, 2.5), 1])
    return _triangles(rng, with_holes(rng, outer, int(rng.integers(1, 5)), 3 / np.sqrt(nodes)), nodes)


def _reentrant(rng: Rng, nodes: int) -> CellMesh:
    return _triangles(rng, [reentrant(rng)], nodes)


def _airfoil(rng: Rng, nodes: int) -> CellMesh:
    loops, _ = airfoil_domain(rng)
    section = np.concatenate([p for loop in loops[1:] for p in loop])
    size = near(section, rng.uniform(3, 10), rng.uniform(4, 15))
    return _triangles(rng, loops, nodes, size=size, jitter=rng.uniform(0, 0.25), sweeps=int(rng.integers(1, 4)))


def _channel(rng: Rng, nodes: int) -> CellMesh:
    loops = channel(rng)
    if len(loops) == 1 or rng.random() < 0.5:
        return _triangles(rng, loops, nodes)
    obstacles = np.concatenate([p for loop in loops[1:] for p in loop])
    size = near(obstacles, rng.uniform(2, 6), rng.uniform(2, 5))
    return _triangles(rng, loops, nodes, size=size, jitter=rng.uniform(0, 0.25), sweeps=int(rng.integers(1, 4)))


def _graded(rng: Rng, nodes: int) -> CellMesh:
    loop = [rectangle([0, 0], [rng.uniform(1, 2), 1]), star_polygon(rng), reentrant(rng)][rng.integers(3)]
    ends = np.concatenate(loop)
    low, high = ends.min(axis=0), ends.max(axis=0)
    kind = rng.integers(4)
    if kind == 0:  # corners
        at = np.array([p[0] for p in loop])[rng.random(len(loop)) < 0.5]
    elif kind == 1:  # points inside
        at = rng.uniform(low, high, (int(rng.integers(1, 4)), 2))
    elif kind == 2:  # one side
        at = loop[rng.integers(len(loop))]
    else:  # a curve through the domain
        t = np.linspace(-1, 1, 60)
        angle, bend = rng.uniform(0, np.pi), rng.uniform(-1, 1)
        along = np.array([np.cos(angle), np.sin(angle)])
        reach = 0.5 * np.linalg.norm(high - low)
        at = 0.5 * (low + high) + reach * (t[:, None] * along + bend * t[:, None] ** 2 * [-along[1], along[0]])
    if not len(at):
        at = loop[0][:1]
    ratio = np.exp(rng.uniform(np.log(3), np.log(20)))
    scale = np.linalg.norm(high - low)
    size = near(at, (ratio - 1) / (rng.uniform(0.2, 0.7) * scale), ratio)
    return _triangles(rng, [loop], nodes, size=size, jitter=rng.uniform(0, 0.25), sweeps=int(rng.integers(1, 4)))


def _stretched(rng: Rng, nodes: int) -> CellMesh:
    """Stretched cells, in a domain that is stretched with them or keeps its form."""
    kind = rng.integers(4)
    if kind == 0:
        loops = [rectangle([0, 0], [rng.uniform(1, 3), 1])]
    elif kind == 1:
        loops = [star_polygon(rng)]
    elif kind == 2:
        loops = with_holes(rng, star_polygon(rng), int(rng.integers(1, 4)), 3 / np.sqrt(nodes))
    else:
        loops = [reentrant(rng)]
    angle = rng.uniform(0, np.pi)
    along = np.array([np.cos(angle), np.sin(angle)])
    ratio = np.exp(rng.uniform(np.log(1.5), np.log(8)))
    stretch = np.eye(2) + (ratio - 1) * np.outer(along, along)
    if rng.random() < 0.7:
        loops = [[piece @ np.linalg.inv(stretch) for piece in loop] for loop in loops]
    mesh = _triangles(rng, loops, nodes)
    return mesh.moved(mesh.points @ stretch)


def _grid(rng: Rng, nodes: int) -> tuple[tuple[int, ...], Array, NDArray[np.int64]]:
    """A grid, half of the time with boxes that are not square."""
    sides = np.array([np.exp(rng.uniform(0, np.log(4))), 1.0])
    shape = grid_shape(nodes, sides * (rng.uniform(0.4, 2.5) if rng.random() < 0.5 else 1, 1))
    grading = rng.uniform(0.5, 2.5) if rng.random() < 0.4 else 0.0
    return shape, *boxes(rng, shape, sides, grading)


def _structured(rng: Rng, nodes: int) -> CellMesh:
    shape, points, quads = _grid(rng, nodes)
    style = ("right", "left", "alternate", "random", "diamond")[rng.integers(5)]
    mesh = CellMesh.single(points, split_quads(rng, quads, shape, style), "triangle")
    if rng.random() < 0.3:
        mesh = meshes3d.sound(mesh.moved(bent(rng, mesh.points, sectors=False)))
    return perturbed(rng, mesh, rng.uniform(0.05, 0.35)) if rng.random() < 0.4 else mesh


def _quads(rng: Rng, nodes: int) -> CellMesh:
    _, points, quads = _grid(rng, nodes)
    mesh = CellMesh.single(points, quads, "quad")
    return perturbed(rng, mesh, rng.uniform(0.05, 0.4)) if rng.random() < 0.6 else mesh


def _mapped_quads(rng: Rng, nodes: int) -> CellMesh:
    mesh = _quads(rng, nodes)
    return meshes3d.sound(mesh.moved(bent(rng, mesh.points)))


def _mixed(rng: Rng, nodes: int) -> CellMesh:
    mesh = _quads(rng, nodes) if rng.random() < 0.7 else _mapped_quads(rng, nodes)
    quads = mesh.blocks[0].nodes
    centre = mesh.points[quads].mean(axis=1)
    if rng.random() < 0.5:
        split = rng.random(len(quads)) < rng.uniform(0.2, 0.8)
    else:
        split = (centre - np.median(centre, axis=0)) @ rng.standard_normal(2) > 0
    triangles = quads[split][:, kind_of("quad").simplices].reshape(-1, 3)
    blocks = (CellBlock(kind_of("triangle"), triangles), CellBlock(kind_of("quad"), quads[~split]))
    return CellMesh(mesh.points, tuple(b for b in blocks if len(b)))


#: dim -> name -> function of a generator and a number of nodes
FAMILIES: dict[int, dict[str, Family]] = {
    2: {
        "square": _square,
        "rectangle": _rectangle,
        "polygon": _polygon,
        "holes": _holes,
        "reentrant": _reentrant,
        "airfoil": _airfoil,
        "channel": _channel,
        "graded": _graded,
        "stretched": _stretched,
        "structured": _structured,
        "quads": _quads,
        "mapped_quads": _mapped_quads,
        "mixed": _mixed,
    },
    3: meshes3d.FAMILIES,
}


def random_mesh(
    rng: Rng,
    dim: int,
    *,
    nodes: tuple[int, int] = (150, 1000),
    families: Sequence[str] | None = None,
    affine: bool = True,
) -> CellMesh:
    """A mesh of a random family with a number of nodes that is about log-uniform in the given range.

    Parameters
    ----------
    rng
        The only source of randomness.
    dim
        2 or 3.
    nodes
        Least and greatest number wanted; a mesh may miss it by a fifth.
    families
        Names out of `FAMILIES[dim]`; None: all.
    affine
        Turn, mirror, scale (by 1e-2 to 1e2) and shift the mesh.

    Raises
    ------
    ValueError
        No such dimension or family, or a range that is empty.

    >>> mesh = random_mesh(np.random.default_rng(0), 2, nodes=(200, 200), families=["square"])
    >>> mesh.dim, 160 < mesh.n_points < 240
    (2, True)
    """
    if dim not in FAMILIES:
        raise ValueError(f"Expected dimension 2 or 3 (got {dim})")
    names = list(FAMILIES[dim]) if families is None else list(families)
    unknown = [n for n in names if n not in FAMILIES[dim]]
    if unknown or not names:
        raise ValueError(f"Expected families among {', '.join(FAMILIES[dim])} (got {families!r})")
    if not 20 <= nodes[0] <= nodes[1]:
        raise ValueError(f"Expected a range of at least 20 nodes, lower end first (got {nodes})")
    for _ in range(100):
        name = names[rng.integers(len(names))]
        wanted = round(np.exp(rng.uniform(np.log(nodes[0]), np.log(nodes[1]))))
        for _ in range(_ATTEMPTS):
            try:
                mesh = FAMILIES[dim][name](rng, wanted)
            except Unmeshable:
                continue
            mesh = _flipped(rng, mesh) if rng.random() < 0.3 else mesh
            return _transformed(rng, mesh) if affine else mesh
    raise ValueError(f"Expected families that can be meshed with {nodes} nodes (got {names}): allow more nodes")


def _flipped(rng: Rng, mesh: CellMesh) -> CellMesh:
    """Simplices of mixed orientation, as scikit-fem has them."""
    blocks = []
    for block in mesh.blocks:
        cells = block.nodes.copy()
        if block.kind.is_simplex:
            swap = rng.random(len(cells)) < 0.5
            cells[swap, :2] = cells[swap, 1::-1]
        blocks.append(CellBlock(block.kind, cells))
    return replace(mesh, blocks=tuple(blocks))


def _transformed(rng: Rng, mesh: CellMesh) -> CellMesh:
    """Turned or mirrored, scaled, and shifted by up to three times its size."""
    turn = np.linalg.qr(rng.standard_normal((mesh.dim, mesh.dim)))[0] * rng.choice([-1, 1], mesh.dim)
    scale = 10 ** rng.uniform(-2, 2)
    centred = mesh.points - 0.5 * (mesh.points.min(axis=0) + mesh.points.max(axis=0))
    return mesh.moved(scale * (centred @ turn.T + mesh.extent * rng.uniform(-3, 3, mesh.dim)))
