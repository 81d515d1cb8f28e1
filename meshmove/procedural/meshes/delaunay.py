"""Delaunay triangles of random outlines in milliseconds: lattice points, jittered, clipped to the domain."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import coo_matrix, diags
from scipy.spatial import Delaunay, cKDTree

from meshmove.geometry.arrays import Array, Ids

from .outlines import Loop

if TYPE_CHECKING:
    import shapely  # imported where meshes are made: training on ready ones does without

__all__ = ["Unmeshable", "near", "triangulate"]

#: wanted edge length at points (n, 2), up to a factor
Size = Callable[[Array], Array]

#: the thinnest triangle, area against the square of its longest side (a regular one has 0.43)
THINNEST = 0.02
#: most levels of halving from the coarsest to the finest lattice
LEVELS = 7


class Unmeshable(ValueError):
    """This draw gives no sound mesh: draw again."""


def near(points: Array, growth: float, most: float) -> Size:
    """Size 1 at the given points (k, 2), growing linearly with the distance up to `most`."""
    tree = cKDTree(points)
    return lambda x: np.minimum(1 + growth * tree.query(x)[0], most)


def triangulate(
    rng: np.random.Generator,
    loops: list[Loop],
    nodes: int,
    *,
    size: Size | None = None,
    jitter: float = 0.25,
    staggered: bool = False,
    sweeps: int = 0,
) -> tuple[Array, Ids]:
    """Points (n, 2), n about `nodes`, and Delaunay triangles (m, 3) of the domain inside the first loop.

    Parameters
    ----------
    loops
        The outline, then its holes.
    size
        Relative edge length; None: everywhere the same.
    jitter
        Of the lattice points, in edge lengths; above 0.35 triangles become thin.
    staggered
        A hexagonal lattice instead of a square one (uniform size only).
    sweeps
        Of Laplacian smoothing.

    Raises
    ------
    Unmeshable
        Gaps or corners too thin for this number of nodes.
    """
    import shapely

    wanted: Size = (lambda x: np.ones(len(x))) if size is None else size
    h = _scale(loops, wanted, nodes, staggered)
    rims = [_resampled(loop, wanted, h) for loop in loops]
    if min(map(len, rims)) < 3:
        raise Unmeshable("a loop shrinks to a line")
    domain = shapely.Polygon(rims[0], rims[1:])
    if not domain.is_valid:
        raise Unmeshable("loops cross")
    shapely.prepare(domain)
    first = np.cumsum([0, *map(len, rims)])
    boundary = np.concatenate(rims)
    ids = np.arange(len(boundary))
    after = ids + 1
    after[first[1:] - 1] = first[:-1]
    edges = np.stack([ids, after], axis=1)

    inner = _lattice(rng, domain, wanted, h, jitter, staggered and size is None)
    inner = _clear(boundary, edges, inner)
    for _ in range(sweeps):
        inner = _smoothed(boundary, inner)
    if sweeps:
        inner = _clear(boundary, edges, inner[shapely.contains_xy(domain, inner[:, 0], inner[:, 1])])
    points = np.concatenate([boundary, inner])
    cells = _delaunay(points)
    centre = points[cells].mean(axis=1)
    area, longest = _shape(points, cells)
    flat = area < 1e-9 * longest  # of points on a straight side of the hull
    cells = cells[~flat & shapely.contains_xy(domain, centre[:, 0], centre[:, 1])]
    _check(points, cells, edges)
    return points, cells


def _scale(loops: list[Loop], wanted: Size, nodes: int, staggered: bool) -> float:
    """Edge length h for so many nodes: of a size s they are about int 1/(hs)^2 dx + int 1/(2hs) ds."""
    import shapely

    dense = [np.concatenate([piece[:-1] for piece in loop]) for loop in loops]
    outline = shapely.Polygon(dense[0], dense[1:])
    if not outline.is_valid:
        raise Unmeshable("loops cross")
    low, high = np.reshape(outline.bounds, (2, 2))
    k = 24
    x = low + (np.indices((k, k)).reshape(2, -1).T + 0.5) / k * (high - low)
    inside = x[shapely.contains_xy(outline, x[:, 0], x[:, 1])]
    if not len(inside):
        raise Unmeshable("the domain is too thin")
    area = outline.area * (1 / wanted(inside) ** 2).mean() * (2 / np.sqrt(3) if staggered else 1)
    rim = 0.5 * sum(_density(p, wanted)[-1] for loop in loops for p in loop)
    return 2 * area / (np.sqrt(rim**2 + 4 * area * nodes) - rim)


def _density(piece: Array, wanted: Size) -> Array:
    """Cumulated length over size along a piece (k,)."""
    length = np.linalg.norm(np.diff(piece, axis=0), axis=1)
    return np.r_[0, np.cumsum(length / wanted(0.5 * (piece[1:] + piece[:-1])))]


def _resampled(loop: Loop, wanted: Size, h: float) -> Array:
    out = []
    for piece in loop:
        along = _density(piece, wanted)
        closed = np.ptp(piece, axis=0).max() > 0 and len(loop) <= 2
        count = max(4 if closed else 1, round(along[-1] / h))
        s = np.linspace(0, along[-1], count + 1)[:-1]
        out.append(np.stack([np.interp(s, along, c) for c in piece.T], axis=1))
    return np.concatenate(out)


def _lattice(
    rng: np.random.Generator, domain: shapely.Polygon, wanted: Size, h: float, jitter: float, staggered: bool
) -> Array:
    """Jittered lattice points in the domain, the lattice halved wherever the size asks for it."""
    import shapely

    low, high = np.reshape(domain.bounds, (2, 2))
    corners = low + np.indices((9, 9)).reshape(2, -1).T / 8 * (high - low)
    spacing = h * wanted(corners).max()
    width = spacing * np.array([1, np.sqrt(3) / 2 if staggered else 1])
    counts = np.ceil((high - low) / width).astype(int) + 2
    i, j = np.indices(counts).reshape(2, -1)
    start = low - rng.uniform(0, 1, 2) * width
    x = start + np.stack([i + (0.5 * (j % 2) if staggered else 0), j], axis=1) * width
    offsets = np.array([[-1, -1], [1, -1], [-1, 1], [1, 1]]) / 4
    found = []
    for level in range(LEVELS):
        fine = spacing <= np.sqrt(2) * h * wanted(x) if level < LEVELS - 1 else np.ones(len(x), bool)
        found.append(x[fine] + jitter * spacing * rng.uniform(-1, 1, (int(fine.sum()), 2)))
        x = (x[~fine, None] + spacing * offsets).reshape(-1, 2)
        spacing /= 2
        if not len(x):
            break
    out = np.concatenate(found)
    return out[shapely.contains_xy(domain, out[:, 0], out[:, 1])]


def _clear(boundary: Array, edges: Ids, inner: Array) -> Array:
    """Points outside the circles on boundary edges as diameters: those edges are then Delaunay."""
    a, b = boundary[edges[:, 0]], boundary[edges[:, 1]]
    length = np.linalg.norm(b - a, axis=1)
    tree = cKDTree(np.concatenate([0.5 * (a + b), a]))
    radius = np.concatenate([0.6 * length, 0.55 * length])
    distance, which = tree.query(inner, k=3)
    return inner[(distance > radius[which]).all(axis=1)]


def _delaunay(points: Array) -> Ids:
    return Delaunay(points - points.mean(axis=0)).simplices.astype(np.int64)


def _smoothed(boundary: Array, inner: Array) -> Array:
    """Each point half way to the mean of its neighbours."""
    points = np.concatenate([boundary, inner])
    n = len(points)
    t = _delaunay(points)
    i, j = t[:, [0, 1, 2, 1, 2, 0]].ravel(), t[:, [1, 2, 0, 0, 1, 2]].ravel()
    graph = coo_matrix((np.ones(len(i)), (i, j)), shape=(n, n)).tocsr()
    mean = diags(1 / np.asarray(graph.sum(axis=1)).ravel().clip(1)) @ (graph @ points)
    return 0.5 * (inner + mean[len(boundary) :])


def _check(points: Array, cells: Ids, edges: Ids) -> None:
    """The boundary is exactly the given edges, every point is used, no triangle is thin."""
    n = len(points)
    pairs = cells[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    keys, count = np.unique(pairs.min(axis=1) * n + pairs.max(axis=1), return_counts=True)
    rim = np.sort(edges.min(axis=1) * n + edges.max(axis=1))
    if not np.array_equal(keys[count == 1], rim) or len(np.unique(cells)) != n:
        raise Unmeshable("the triangles do not follow the boundary")
    area, longest = _shape(points, cells)
    if (area < THINNEST * longest).any():
        raise Unmeshable("a triangle is thin")


def _shape(points: Array, cells: Ids) -> tuple[Array, Array]:
    """Areas and squared longest sides."""
    e = np.roll(points[cells], -1, axis=1) - points[cells]
    area = 0.5 * np.abs(e[:, 0, 0] * e[:, 1, 1] - e[:, 0, 1] * e[:, 1, 0])
    return area, (e**2).sum(axis=2).max(axis=1)
