"""Tetrahedra in milliseconds: splits of boxes, and Delaunay meshes of points whose slivers are shaken out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay, cKDTree

from meshmove.geometry import CellMesh, facets_of, kind_of
from meshmove.geometry.arrays import Array, Ids

from .delaunay import Unmeshable

__all__ = ["body_centred", "delaunay_tetrahedra", "lattice", "spacing", "split_boxes"]

Rng = np.random.Generator

#: the flattest tetrahedron: 6 sqrt(2) volume over the cube of the root mean square edge (a regular one has 1)
FLATTEST = 0.12
ROUNDS = 25

_EVEN = np.array([(0, 1, 2, 5), (0, 2, 3, 7), (0, 5, 7, 4), (2, 5, 6, 7), (0, 2, 5, 7)])
_ODD = np.array([(0, 1, 3, 4), (1, 2, 3, 6), (1, 5, 6, 4), (3, 6, 7, 4), (1, 3, 4, 6)])


def split_boxes(boxes: Ids, shape: tuple[int, ...], style: str) -> Ids:
    """Hexahedra of a grid split into six tetrahedra each ("kuhn"), or into five, by turns ("five")."""
    if style == "kuhn":
        return boxes[:, kind_of("hexahedron").simplices].reshape(-1, 4)
    odd = np.indices(shape).reshape(3, -1).sum(axis=0) % 2 == 1
    return np.concatenate([boxes[~odd][:, _EVEN].reshape(-1, 4), boxes[odd][:, _ODD].reshape(-1, 4)])


def body_centred(points: Array, boxes: Ids) -> tuple[Array, Ids]:
    """Four tetrahedra around each inner face, between the centres of its boxes, and two behind each outer face."""
    facets = facets_of(CellMesh.single(points, boxes, "hexahedron"))
    centres = len(points) + np.arange(len(boxes))
    inner, outer = ~facets.exterior, facets.exterior
    a, b = centres[facets.cells[inner]].T
    quad = facets.nodes[inner]
    around = [np.stack([a, b, quad[:, k], quad[:, (k + 1) % 4]], axis=1) for k in range(4)]
    c, rim = centres[facets.cells[outer, 0]], facets.nodes[outer]
    behind = [np.column_stack([c, rim[:, list(corner)]]) for corner in ((0, 1, 2), (0, 2, 3))]
    return np.concatenate([points, points[boxes].mean(axis=1)]), np.concatenate(around + behind)


def spacing(volume: float, surface: float, nodes: int) -> float:
    """s such that volume / s^3 inner nodes, less a layer of half an s, and surface / s^2 outer ones are `nodes`."""
    low, high = 0.0, (volume + surface) ** 0.5
    for _ in range(60):
        s = 0.5 * (low + high)
        low, high = (s, high) if volume / s**3 + 0.4 * surface / s**2 > nodes else (low, s)
    return high


def lattice(rng: Rng, low: Array, high: Array, s: float, jitter: float) -> Array:
    """A body-centred lattice with one point in s^3, jittered by `jitter` s and shifted at random."""
    a = 2 ** (1 / 3) * s
    counts = np.ceil((np.asarray(high) - low) / a).astype(int) + 2
    x = np.indices(tuple(counts)).reshape(3, -1).T
    x = low + a * (np.concatenate([x, x + 0.5]) - rng.uniform(0, 1, 3))
    return x + jitter * s * rng.uniform(-1, 1, x.shape)


def delaunay_tetrahedra(
    rng: Rng,
    boundary: Array,
    inner: Array,
    s: float,
    slide: Callable[[Array], Array],
    inside: Callable[[Ids], NDArray[np.bool_]] | None = None,
) -> CellMesh:
    """Delaunay tetrahedra of boundary and inner points, of spacing s, without slivers.

    Corners of slivers are shaken until none is left; what lies flat on a curved boundary is taken off.

    Parameters
    ----------
    slide
        Boundary points put back on the boundary, near where they are: (b, 3) to (b, 3).
    inside
        Which tetrahedra (m, 4) are in the domain; None: all. Boundary points come first, in their order.

    Raises
    ------
    Unmeshable
        Slivers remain.
    """
    count = len(boundary)
    inner = inner[cKDTree(boundary).query(inner)[0] > 0.62 * s]
    points = np.concatenate([boundary, inner])
    for trial in range(ROUNDS):
        cells = Delaunay(points).simplices.astype(np.int64)
        cells = cells if inside is None else cells[inside(cells)]
        quality = _quality(points, cells)
        flat = quality < 1e-8  # on a flat face of the hull
        cells, quality = cells[~flat], quality[~flat]
        cells = _peeled(points, cells, count)
        bad = _quality(points, cells) < FLATTEST
        if not bad.any():
            break
        if trial == ROUNDS - 1:
            raise Unmeshable("slivers remain")
        shaken = np.unique(cells[bad])
        points[shaken] += 0.12 * s * rng.uniform(-1, 1, (len(shaken), 3))
        points[:count] = slide(points[:count])
    if len(np.unique(cells)) != len(points):
        raise Unmeshable("points are left over")
    return CellMesh.single(points, cells, "tetra")


def _quality(points: Array, cells: Ids) -> Array:
    x = points[cells]
    volume = np.abs(np.linalg.det(x[:, 1:] - x[:, :1])) / 6
    i, j = np.triu_indices(4, 1)
    square = ((x[:, i] - x[:, j]) ** 2).sum(axis=2).mean(axis=1)
    return 6 * np.sqrt(2) * volume / square**1.5


def _peeled(points: Array, cells: Ids, count: int) -> Ids:
    """Without flat tetrahedra between boundary vertices that show two faces: the boundary flips an edge there."""
    for _ in range(3):
        flat = np.flatnonzero((cells < count).all(axis=1) & (_quality(points, cells) < FLATTEST))
        if not len(flat):
            break
        facets = facets_of(CellMesh.single(points, cells, "tetra"))
        shown = np.bincount(facets.cells[facets.exterior, 0], minlength=len(cells))
        off = flat[shown[flat] == 2]
        if not len(off):
            break
        cells = np.delete(cells, off, axis=0)
    return cells
