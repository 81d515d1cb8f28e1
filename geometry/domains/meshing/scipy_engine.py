"""The SciPy engine: vertices spread like a truss under pressure, retriangulated with `scipy.spatial.Delaunay`.

Bars push when shorter than wanted (Persson and Strang 2004); unlike there, boundary vertices are given and fixed, so
the boundary is exact. An edge of the boundary that is missing from the Delaunay triangulation is halved.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import Delaunay, cKDTree

from meshmove.geometry.arrays import Array, Ids
from meshmove.geometry.domains.boundary import Boundary
from meshmove.geometry.errors import DomainError

from .sizes import BoundaryEdges, SizeField

__all__ = ["delaunay", "scatter", "triangulate"]


SWEEPS = 60
RECOUNTS = (12, 24, 36, 48)
PRESSURE = 1.2  #: bars want to be this much longer than the size asked for
STEP = 0.2
CLEAR = 0.45  #: interior vertices keep this part of the edge length away from the boundary
REPAIRS = 30
REFINE = 24
THIN = np.sin(np.radians(26))  #: triangles with a smaller sine are refined, as far as the boundary lets them


def triangulate(edges: BoundaryEdges, field: SizeField, rng: np.random.Generator) -> tuple[BoundaryEdges, Array, Ids]:
    """Boundary edges (refined where need be), points (2, n) with the boundary vertices first, triangles (m, 3)."""
    edges, field = _conforming(edges, field)
    inner = _relaxed(edges, scatter(edges.boundary, field, rng), field)
    best, refined = None, 0
    for _ in range(REPAIRS + REFINE):
        inner = _clear(edges, inner)
        points = np.concatenate([edges.points, inner], axis=1)
        cells = delaunay(points)
        missing = _missing(cells, edges.edges, points.shape[1])
        if len(missing):
            if best is not None:  # the last refinement went too far
                return best
            edges = edges.split(missing)
            continue
        cells = _inside(cells, edges.edges, points.shape[1])
        best, refined = (edges, points, cells), refined + 1
        centers = _clear(edges, _thin_centers(points, cells))
        if not centers.shape[1] or refined > REFINE:
            return best
        inner = np.concatenate([inner, centers], axis=1)
    raise DomainError(_STUCK.format(len(missing)))


_STUCK = (
    f"Expected a boundary that Delaunay triangles can follow (got {{}} edges that are still missing after {REPAIRS} "
    "refinements); try a smaller size or engine='gmsh'"
)


def _conforming(edges: BoundaryEdges, field: SizeField) -> tuple[BoundaryEdges, SizeField]:
    """Boundary edges that are in the Delaunay triangulation of their vertices, and a field that knows the new ones."""
    start = len(edges.edges)
    for _ in range(REPAIRS):
        missing = _missing(delaunay(edges.points), edges.edges, edges.points.shape[1])
        if not len(missing):
            break
        edges = edges.split(missing)
    if len(edges.edges) > start:
        a, b = edges.points[:, edges.edges[:, 0]], edges.points[:, edges.edges[:, 1]]
        field = field.refined(0.5 * (a + b), np.linalg.norm(b - a, axis=0))
    return edges, field


def scatter(boundary: Boundary, field: SizeField, rng: np.random.Generator) -> Array:
    """Vertices on a staggered lattice, refined and thinned to the density that the size asks for."""
    low, high = boundary.bounds
    width = np.array([1, np.sqrt(3) / 2]) * field.size
    nx, ny = np.ceil((high - low) / width).astype(int) + 1
    i, j = np.meshgrid(np.arange(nx), np.arange(ny), indexing="ij")
    x = np.stack([low[0] + (i + 0.5 * (j % 2)) * width[0], low[1] + (j + 0.5) * width[1]]).reshape(2, -1)
    h_cell, found = field.size, []
    offsets = np.array([[-1, 1, -1, 1], [-1, -1, 1, 1]]) / 4
    while x.shape[1]:
        distance = boundary.signed_distance(x)
        reach = 0.75 * h_cell
        x, distance = x[:, distance < reach], distance[distance < reach]
        h = field(x)
        fine = h_cell <= 1.05 * h
        keep = fine & (distance < -CLEAR * h) & (rng.random(len(h)) < (h_cell / h) ** 2)
        found.append(x[:, keep] + 0.02 * h[keep] * rng.standard_normal((2, int(keep.sum()))))
        x = (x[:, ~fine, None] + (width * h_cell / field.size)[:, None, None] * offsets[:, None]).reshape(2, -1)
        h_cell /= 2
    return np.concatenate(found, axis=1)


def delaunay(points: Array) -> Ids:
    """Counter-clockwise Delaunay triangles (m, 3) without flat ones; none if all points are on a line."""
    middle = points.mean(1, keepdims=True)
    x = (points - middle) / np.abs(points - middle).max()
    cells = Delaunay(x.T).simplices.astype(np.int64)
    a, b = x[:, cells[:, 1]] - x[:, cells[:, 0]], x[:, cells[:, 2]] - x[:, cells[:, 0]]
    area = a[0] * b[1] - a[1] * b[0]
    cells = np.where((area < 0)[:, None], cells[:, ::-1], cells)
    # triangles of collinear boundary vertices on the hull
    return cells[np.abs(area) > 1e-12 * np.maximum((a * a).sum(0), (b * b).sum(0))]


def _keys(pairs: Ids, n: int) -> Ids:
    return pairs.min(1) * n + pairs.max(1)


def _sides(cells: Ids) -> Ids:
    return cells[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)


def _bars(cells: Ids, n: int) -> Ids:
    keys = np.unique(_keys(_sides(cells), n))
    return np.stack([keys // n, keys % n])


def _missing(cells: Ids, edges: Ids, n: int) -> Ids:
    return np.flatnonzero(~np.isin(_keys(edges, n), _keys(_sides(cells), n)))


def _inside(cells: Ids, edges: Ids, n: int) -> Ids:
    """The triangles that the directed boundary edges have on their left, and all connected with them."""
    sides = _sides(cells)
    owner = np.repeat(np.arange(len(cells)), 3)
    directed = sides[:, 0] * n + sides[:, 1]
    walls = np.isin(_keys(sides, n), _keys(edges, n))
    order = np.argsort(_keys(sides, n), kind="stable")
    order = order[~walls[order]]
    key = _keys(sides, n)[order]
    twin = np.flatnonzero(key[1:] == key[:-1])
    a, b = owner[order[twin]], owner[order[twin + 1]]
    _, part = connected_components(coo_matrix((np.ones(len(a)), (a, b)), shape=(len(cells),) * 2), directed=False)
    left = np.isin(directed, edges[:, 0] * n + edges[:, 1])
    return cells[np.isin(part, part[owner[left]])]


def _relaxed(edges: BoundaryEdges, inner: Array, field: SizeField) -> Array:
    fixed = edges.points.shape[1]
    x, last = np.concatenate([edges.points, inner], axis=1), None
    bars = np.empty((2, 0), dtype=np.int64)
    for sweep in range(SWEEPS):
        if x.shape[1] == fixed:
            break
        h = field(x)
        if last is None or (np.linalg.norm(x - last, axis=0) > 0.1 * h).any():
            bars, last = _bars(delaunay(x), x.shape[1]), x.copy()
            bars = bars[:, bars.max(0) >= fixed]  # not those between fixed vertices, some of which are outside
        d = x[:, bars[0]] - x[:, bars[1]]
        length, wanted = np.linalg.norm(d, axis=0), 0.5 * (h[bars[0]] + h[bars[1]])
        wanted = wanted * PRESSURE * np.sqrt((length**2).sum() / (wanted**2).sum())
        push = np.maximum(wanted - length, 0) / length * d
        move = np.stack([np.bincount(bars.ravel(), np.r_[p, -p], x.shape[1]) for p in push])
        move *= STEP * h / np.maximum(np.linalg.norm(move, axis=0), h)
        x[:, fixed:] += move[:, fixed:]
        if sweep in RECOUNTS:
            x, last = _recount(edges, x, bars, field), None
    return x[:, fixed:]


def _recount(edges: BoundaryEdges, x: Array, bars: Ids, field: SizeField) -> Array:
    """Fewer vertices where they crowd or have left the domain, more where bars are long."""
    fixed = edges.points.shape[1]
    h = field(x)
    length = np.linalg.norm(x[:, bars[0]] - x[:, bars[1]], axis=0)
    short = bars[:, length < 0.6 * 0.5 * (h[bars[0]] + h[bars[1]])]
    drop = np.unique(short.max(0))  # the boundary vertices come first, so they stay
    inner = np.setdiff1d(np.arange(fixed, x.shape[1]), drop)
    long = bars[:, length > 1.6 * 0.5 * (h[bars[0]] + h[bars[1]])]
    middle = 0.5 * (x[:, long[0]] + x[:, long[1]])
    new = np.concatenate([x[:, inner], middle], axis=1)
    new = new[:, edges.boundary.signed_distance(new) < -CLEAR * field(new)]
    if new.shape[1] > 1:  # middles of neighbouring bars are close to each other
        near = cKDTree(new.T).query_pairs(0.5 * field.size, output_type="ndarray")
        close = np.linalg.norm(new[:, near[:, 0]] - new[:, near[:, 1]], axis=0) < 0.5 * field(new)[near[:, 0]]
        new = np.delete(new, np.unique(near[close, 1]), axis=1)
    return np.concatenate([x[:, :fixed], _clear(edges, new)], axis=1)


def _clear(edges: BoundaryEdges, inner: Array) -> Array:
    """Interior vertices outside the circles on boundary edges as diameters, which makes those edges Delaunay."""
    inner = inner[:, edges.boundary.signed_distance(inner) < 0]
    a, b = edges.points[:, edges.edges[:, 0]], edges.points[:, edges.edges[:, 1]]
    middle, radius = 0.5 * (a + b), 0.5 * np.linalg.norm(b - a, axis=0)
    if not inner.shape[1]:
        return inner
    hit = cKDTree(inner.T).query_ball_point(middle.T, 1.02 * radius)
    return np.delete(inner, np.unique(np.concatenate([np.array(k, dtype=np.int64) for k in hit])), axis=1)


def _thin_centers(points: Array, cells: Ids) -> Array:
    """Circumcentres of thin triangles, thinned out: as new vertices they are far from all others (Chew 1989)."""
    p = points[:, cells.T]  # (2, 3, m)
    side = np.linalg.norm(np.roll(p, -1, axis=1) - p, axis=0)
    b, c = p[:, 1] - p[:, 0], p[:, 2] - p[:, 0]
    area = b[0] * c[1] - b[1] * c[0]
    radius = side.prod(0) / (2 * area)
    thin = np.flatnonzero(side.min(0) < 2 * THIN * radius)
    thin = thin[np.argsort(radius[thin], kind="stable")]
    b, c, radius = b[:, thin], c[:, thin], radius[thin]
    bb, cc = (b * b).sum(0), (c * c).sum(0)
    x = p[:, 0, thin] + np.stack([c[1] * bb - b[1] * cc, b[0] * cc - c[0] * bb]) / (2 * area[thin])
    if not len(thin):
        return x
    # of crowded centres only the one of the smallest circle
    distance, other = cKDTree(x.T).query(x.T, k=min(8, len(thin)))
    crowded = (distance.reshape(len(thin), -1) < radius[:, None]) & (
        other.reshape(len(thin), -1) < np.arange(len(thin))[:, None]
    )
    return x[:, ~crowded.any(1)]
