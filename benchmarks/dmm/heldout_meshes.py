"""Meshes of the held-out suite: shapes, and ways to mesh them, that no network has been trained on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay

from meshmove.geometry import CellMesh, kind_of
from meshmove.geometry.domains import Disk, Domain, Polygon, Rectangle

__all__ = ["MESHES"]

Array = NDArray[np.float64]
Rng = np.random.Generator


def _meshed(rng: Rng, domain: Domain, nodes: int) -> CellMesh:
    """The package's own force-based mesher, which the training set does not use."""
    size = np.sqrt(2 / np.sqrt(3) * domain.area / nodes) * (1 + 0.4 * domain.perimeter / np.sqrt(domain.area * nodes))
    mesh = domain.mesh(float(size), engine="scipy", seed=int(rng.integers(1 << 30)))
    return CellMesh.single(mesh.points, mesh.blocks[0].nodes, "triangle")


def _gear(rng: Rng, nodes: int) -> CellMesh:
    teeth, depth = int(rng.integers(6, 13)), rng.uniform(0.1, 0.2)
    angle = (np.arange(4 * teeth) + np.tile([0.0, 0.25, 0.0, -0.25], teeth)) * np.pi / (2 * teeth)
    radius = np.where(np.arange(4 * teeth) % 4 < 2, 1.0 - depth, 1.0)
    outline = Polygon(radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1))
    return _meshed(rng, outline - Disk((0, 0), rng.uniform(0.2, 0.4)), nodes)


def _cross(rng: Rng, nodes: int) -> CellMesh:
    a, b = rng.uniform(0.25, 0.5, 2)
    return _meshed(rng, Rectangle((-1, -a), (1, a)) | Rectangle((-b, -1), (b, 1)), nodes)


def _tee(rng: Rng, nodes: int) -> CellMesh:
    a, b = rng.uniform(0.2, 0.45, 2)
    return _meshed(rng, Rectangle((-1, 1 - 2 * a), (1, 1)) | Rectangle((-b, -1), (b, 1)), nodes)


def _u_shape(rng: Rng, nodes: int) -> CellMesh:
    a, b = rng.uniform(0.25, 0.6), rng.uniform(-0.6, 0.2)
    return _meshed(rng, Rectangle((-1, -1), (1, 1)) - Rectangle((-a, b), (a, 2)), nodes)


def _stadium(rng: Rng, nodes: int) -> CellMesh:
    half = rng.uniform(0.4, 1.2)
    body = Rectangle((-half, -0.5), (half, 0.5)) | Disk((-half, 0), 0.5) | Disk((half, 0), 0.5)
    return _meshed(rng, body, nodes)


def _polar(rng: Rng, nodes: int, opening: float, graded: bool) -> CellMesh:
    """Triangles along rays and arcs, twisted; the full circle closes on itself."""
    inner = rng.uniform(0.2, 0.6)
    full = opening >= 2 * np.pi
    long = opening * 0.5 * (1 + inner)
    h = np.sqrt(long * (1 - inner) / nodes)
    rays, arcs = max(8, round(long / h)), max(4, round((1 - inner) / h))
    s = np.linspace(0, 1, arcs + 1)
    grade = rng.uniform(1, 2.5) if graded else 0.0
    r = inner + (1 - inner) * (np.expm1(grade * s) / np.expm1(grade) if grade else s)
    twist = rng.uniform(-1.0, 1.0) if full else 0.0
    t = opening * np.arange(rays + (not full)) / rays
    angle = t[:, None] + twist * s
    points = np.stack([r * np.cos(angle), r * np.sin(angle)], axis=-1).reshape(-1, 2)
    ids = np.arange(len(points)).reshape(len(t), arcs + 1)
    after = np.roll(ids, -1, axis=0) if full else ids[1:]
    here = ids if full else ids[:-1]
    a, b, c, d = here[:, :-1].ravel(), after[:, :-1].ravel(), after[:, 1:].ravel(), here[:, 1:].ravel()
    # the shorter diagonal, so that a twist makes no slivers
    first = np.linalg.norm(points[a] - points[c], axis=1) < np.linalg.norm(points[b] - points[d], axis=1)
    one = np.where(first[:, None], np.stack([a, b, c], 1), np.stack([a, b, d], 1))
    two = np.where(first[:, None], np.stack([a, c, d], 1), np.stack([b, c, d], 1))
    return CellMesh.single(points, np.concatenate([one, two]), "triangle")


def _annulus(rng: Rng, nodes: int) -> CellMesh:
    return _polar(rng, nodes, 2 * np.pi, graded=False)


def _annulus_sector(rng: Rng, nodes: int) -> CellMesh:
    return _polar(rng, nodes, rng.uniform(0.6, 5.0), graded=False)


def _graded_polar(rng: Rng, nodes: int) -> CellMesh:
    return _polar(rng, nodes, 2 * np.pi if rng.random() < 0.6 else rng.uniform(1.5, 5), graded=True)


def _sunflower(rng: Rng, nodes: int) -> CellMesh:
    """Delaunay triangles of Vogel's spiral in a disk."""
    rim = round(np.sqrt(4 * np.pi * nodes) * 0.93)
    k = np.arange(nodes - rim) + 0.5
    r = (1 - 2.6 / rim * np.sqrt(3)) * np.sqrt(k / len(k))
    angle = np.pi * (3 - np.sqrt(5)) * k + rng.uniform(0, 2 * np.pi)
    edge = 2 * np.pi * np.arange(rim) / rim
    points = np.concatenate([
        np.stack([np.cos(edge), np.sin(edge)], axis=1),
        np.stack([r * np.cos(angle), r * np.sin(angle)], axis=1),
    ])  # fmt: skip
    return CellMesh.single(points, Delaunay(points).simplices, "triangle")


def _lloyd(rng: Rng, nodes: int) -> CellMesh:
    """Points at random in a square, each moved to the middle of its triangles a few times (after Lloyd)."""
    side = max(3, round(0.9 * np.sqrt(nodes)))
    s = np.linspace(0, 1, side + 1)[:-1]
    rim = np.concatenate([np.c_[s, 0 * s], np.c_[0 * s + 1, s], np.c_[1 - s, 0 * s + 1], np.c_[0 * s, 1 - s]])
    x = rng.uniform(0.4 / side, 1 - 0.4 / side, (nodes - len(rim), 2))
    for _ in range(int(rng.integers(4, 16))):
        points = np.concatenate([rim, x])
        t = Delaunay(points).simplices
        corner = points[t]
        e, f = corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]
        area = 0.5 * np.abs(e[:, 0] * f[:, 1] - e[:, 1] * f[:, 0])
        total = np.bincount(t.ravel(), np.repeat(area, 3), len(points))
        pull = [np.bincount(t.ravel(), np.repeat(area * c, 3), len(points)) for c in corner.mean(axis=1).T]
        x = (np.stack(pull, axis=1) / total[:, None])[len(rim) :]
    points = np.concatenate([rim, x])
    t = Delaunay(points).simplices
    e, f = points[t[:, 1]] - points[t[:, 0]], points[t[:, 2]] - points[t[:, 0]]
    return CellMesh.single(points, t[np.abs(e[:, 0] * f[:, 1] - e[:, 1] * f[:, 0]) > 1e-9 / nodes], "triangle")


def _bricks(shape: tuple[int, ...]) -> tuple[Array, NDArray]:
    """Lattice points and boxes of a grid of unit side."""
    dim = len(shape)
    index = np.indices([c + 1 for c in shape]).reshape(dim, -1).T
    ids = np.arange(len(index)).reshape([c + 1 for c in shape])
    first = np.indices(shape).reshape(dim, -1).T
    corners = kind_of("quad" if dim == 2 else "hexahedron").reference.astype(int)
    return index / np.array(shape), np.stack([ids[tuple((first + c).T)] for c in corners], axis=1)


def _trapezoid(rng: Rng, nodes: int) -> CellMesh:
    """Quadrilaterals between two sides that are not parallel, straight lines throughout."""
    ratio = rng.uniform(1, 2)
    k = max(3, round(np.sqrt(nodes / ratio)))
    s, cells = _bricks((max(3, round(ratio * k)), k))
    left, right = rng.uniform(0.3, 1, 2)
    width = left + (right - left) * s[:, 0]
    return CellMesh.single(np.stack([ratio * s[:, 0], (s[:, 1] - 0.5) * width], axis=1), cells, "quad")


# -- 3-D ------------------------------------------------------------------------------------------------------------


def _cylinder(rng: Rng, nodes: int) -> CellMesh:
    """A disk of triangles drawn out to prisms, each split into three tetrahedra."""
    long = rng.uniform(0.6, 2)
    layers = max(3, round((nodes * long**2 / np.pi) ** (1 / 3)))
    disk = _sunflower(rng, max(40, nodes // (layers + 1)))
    n = disk.n_points
    points = np.concatenate([np.column_stack([disk.points, np.full(n, long * z / layers)]) for z in range(layers + 1)])
    # the lowest vertex first: diagonals of the walls then start at the lower number, on both sides of a wall
    base = np.sort(disk.blocks[0].nodes, axis=1)
    a, b, c = (base[None] + n * np.arange(layers)[:, None, None]).reshape(-1, 3).T
    tets = [np.stack(v, 1) for v in ((a, b, c, c + n), (a, b, b + n, c + n), (a, a + n, b + n, c + n))]
    return CellMesh.single(points, np.concatenate(tets), "tetra")


def _corner_bricks(rng: Rng, nodes: int) -> CellMesh:
    """Hexahedra of a cube less one of its eight corners (Fichera's)."""
    k = 2 * max(2, round(0.5 * ((nodes / 0.875) ** (1 / 3) - 1)))
    s, cells = _bricks((k,) * 3)
    used, cells = np.unique(cells[~(s[cells].mean(axis=1) > 0.5).all(axis=1)], return_inverse=True)
    return CellMesh.single(s[used] * rng.uniform(0.8, 1.6, 3), cells.reshape(-1, 8), "hexahedron")


def _shell(rng: Rng, nodes: int) -> CellMesh:
    """Hexahedra of one of six equal parts of a thick sphere."""
    k = max(4, round((nodes / 0.6) ** (1 / 3)))
    s, cells = _bricks((k, k, max(2, round(nodes / (k + 1) ** 2) - 1)))
    u = np.tan((s[:, :2] - 0.5) * np.pi / 2)
    x = np.column_stack([u, np.ones(len(s))])
    x *= ((1 + rng.uniform(0.3, 1) * s[:, 2]) / np.linalg.norm(x, axis=1))[:, None]
    return CellMesh.single(x, cells, "hexahedron")


def _beam(rng: Rng, nodes: int) -> CellMesh:
    """Tetrahedra of a beam with a T for its section."""
    third = max(1, round((nodes / 30) ** (1 / 3)))
    k, section = 3 * third, (third + 1) * (5 * third + 1)
    layers = max(3, round(nodes / section) - 1)
    s, boxes = _bricks((k, k, layers))
    x, y, _ = s[boxes].mean(axis=1).T
    boxes = boxes[(y > 2 / 3) | (np.abs(x - 0.5) < 1 / 6)]
    used, boxes = np.unique(boxes, return_inverse=True)
    cells = boxes.reshape(-1, 8)[:, kind_of("hexahedron").simplices].reshape(-1, 4)
    return CellMesh.single(s[used] * [1, 1, layers / k * rng.uniform(0.8, 1.3)], cells, "tetra")


#: dim -> name -> function of a generator and a number of nodes
MESHES: dict[int, dict[str, Callable[[Rng, int], CellMesh]]] = {
    2: {
        "annulus": _annulus,
        "annulus sector": _annulus_sector,
        "graded polar": _graded_polar,
        "sunflower": _sunflower,
        "lloyd": _lloyd,
        "gear": _gear,
        "cross": _cross,
        "tee": _tee,
        "u-shape": _u_shape,
        "stadium": _stadium,
        "trapezoid quads": _trapezoid,
    },
    3: {"cylinder": _cylinder, "corner bricks": _corner_bricks, "shell": _shell, "beam": _beam},
}
