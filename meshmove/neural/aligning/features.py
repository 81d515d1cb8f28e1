"""What the network sees of a mesh and a field: invariants of cells, edges and nodes, free of size and resolution.

Written out by components, (k, c), for cells run along memory: a product of small matrices costs several times as much.
For tensors (a batch, with derivatives) and for arrays (one mesh) alike; see `meshes.arrays`.
"""

from __future__ import annotations

from dataclasses import dataclass

from meshmove.geometry.arrays import Array

from .meshes.arrays import Values, library_of
from .meshes.one_mesh import OneMesh
from .meshes.triangles import Triangles

__all__ = [
    "CELL",
    "EDGE",
    "NODE",
    "Cells",
    "View",
    "bends",
    "deformation",
    "predicted",
    "predicted_sum",
    "square_of",
    "viewed",
]

Mesh = Triangles | OneMesh

#: how many there are of a cell, an edge and a node
CELL, EDGE, NODE = 11, 6, 16
#: Hessians below this share of the mesh's mean count as none
NOTHING = 0.02
#: part of the identity in the metric that a cell's stretch is measured in
ROUND = 0.05
TINY = 1e-12


@dataclass(eq=False)
class View:
    """A mesh at some positions: features, and what strains are made of.

    `basis` (3, 4, c): components xx, xy, yy of I, the Hessian, the cell's shape and its deformation, each of size
    about one. `turns` (2, c): component xy of the commutators of the Hessian with the other two, which are none where
    the cell lies along the Hessian's axes. `jacobian` (2, 2, c) from rest; `slopes` (2, 3, c) gradients of the
    barycentric coordinates; `size` (c,) areas; `curved` (B,) whether the field has second derivatives, as 1 or 0.
    """

    of_node: Values
    of_edge: Values
    of_cell: Values
    basis: Values
    turns: Values
    jacobian: Values
    slopes: Values
    size: Values
    curved: Values


@dataclass(eq=False)
class Cells:
    """Edges (2, c) from vertex 0, areas (c,) and gradients (2, 3, c) of the barycentric coordinates.

    `boxes`: they are corners of quadrilaterals, four of each, that cover it twice.
    """

    first: Values
    second: Values
    size: Values
    slopes: Values
    boxes: bool = False

    @classmethod
    def of(cls, mesh: Mesh, x: Values) -> Cells:
        xp = library_of(x)
        corner = mesh.by_corner(x)
        first, second = corner[1] - corner[0], corner[2] - corner[0]
        det = first[0] * second[1] - first[1] * second[0]
        safe = xp.where(abs(det) > TINY, det, TINY)
        one = xp.stack([second[1], -second[0]]) / safe
        two = xp.stack([-first[1], first[0]]) / safe
        return cls(first, second, 0.5 * abs(safe), xp.stack([-one - two, one, two], 1), mesh.boxes)


def dot(a: Values, b: Values) -> Values:
    """Of symmetric tensors (3, k), components xx, xy, yy."""
    return a[0] * b[0] + 2 * a[1] * b[1] + a[2] * b[2]


def form(h: Values, e: Values) -> Values:
    """e^T H e for symmetric tensors (3, k) and vectors (2, k)."""
    return h[0] * e[0] * e[0] + 2 * h[1] * e[0] * e[1] + h[2] * e[1] * e[1]


def _commutator(a: Values, b: Values) -> Values:
    """Component xy (k,) of a b - b a, which is antisymmetric, for symmetric tensors (3, k)."""
    return a[1] * (b[2] - b[0]) + b[1] * (a[0] - a[2])


def magnitude(h: Values) -> Values:
    """|H| (3, k), the matrix with the absolute eigenvalues: (H^2 + |det H| I) / (|l1| + |l2|)."""
    xp = library_of(h)
    xx, xy, yy = h[0], h[1], h[2]
    across = xy * xy
    det = abs(xx * yy - across)
    square = xp.stack([xx * xx + across + det, xy * (xx + yy), yy * yy + across + det])
    return square / xp.sqrt(square[0] + square[2] + 1e-24)


def bends(cells: Cells, h: Values) -> tuple[Values, Values, Values]:
    """e^T H e (c,) along the edges 01, 02, 12 of every cell, for one Hessian (3, c) a cell."""
    return form(h, cells.first), form(h, cells.second), form(h, cells.second - cells.first)


def square_of(cells: Cells, along: tuple[Values, Values, Values]) -> Values:
    """Mean (c,) over a cell of the squared gradient of the interpolant's error, for the `bends` of its Hessian.

    The bilinear interpolant on a parallelogram errs by -1/2 (a s (1 - s) + b t (1 - t)), a and b along its sides.
    """
    d01, d02, d12 = along
    g = [cells.slopes[:, k] for k in range(3)]
    if cells.boxes:
        return (d01 * d01 * (g[1] * g[1]).sum(0) + d02 * d02 * (g[2] * g[2]).sum(0)) / 12
    a = [d01 * g[1] + d02 * g[2], d01 * g[0] + d12 * g[2], d02 * g[0] + d12 * g[1]]
    total = a[0] + a[1] + a[2]
    return sum((v * v).sum(0) for v in (*a, total)) / 48


def predicted(cells: Cells, h: Values) -> Values:
    """Predicted squared H1 error (c,) of the interpolant for one Hessian (3, c) a cell; see `movers.alignment`."""
    return cells.size * square_of(cells, bends(cells, h))


def predicted_sum(cells: Cells, h: Array) -> float:
    """Sum over all cells of the mean of `predicted` over Hessians (3, v, c) at v points of each.

    As `square_of`, whose products of gradients are differences of their squares here: less work, and in double
    precision as exact. 2 g_i . g_j = |g_k|^2 - |g_i|^2 - |g_j|^2.
    """
    d01, d02, d12 = bends(cells, h)
    square = (cells.slopes * cells.slopes).sum(0)
    whole = square.sum(0)
    across = 2 * square - whole
    plain = (d01 * d01 + d02 * d02 + d12 * d12).sum(0)
    mixed = (d01 * d02).sum(0) * across[0] + (d01 * d12).sum(0) * across[1] + (d02 * d12).sum(0) * across[2]
    return float(cells.size @ (whole * plain + 2 * mixed)) / (48 * h.shape[1])


def viewed(mesh: Mesh, x: Values, h: Values) -> View:
    """The mesh at x (n, 2), with the mean Hessian (3, c) of every cell there."""
    xp, cells = library_of(x), Cells.of(mesh, x)
    size = cells.size
    square = dot(h, h)
    norm = xp.sqrt(square + 1e-36)
    typical = xp.atleast(mesh.per_mesh(norm * size) / mesh.per_mesh(size), 1e-20)
    at_cell = mesh.to_cells(typical)
    unit = h / (norm + NOTHING * at_cell)
    jacobian = deformation(mesh, cells)
    shape, strain = _shape(cells), _strain(jacobian)
    eye = mesh.identity
    basis = xp.stack([eye + 0 * h, unit, 2 * shape - eye, 2 * strain - eye], 1)
    turns = xp.stack([_commutator(unit, 2 * shape), _commutator(unit, 2 * strain)])
    of_cell = _of_cell(mesh, cells, h, xp.log(norm / at_cell + 1e-3), unit, shape, jacobian)
    gathered = mesh.at_nodes(xp.concatenate([size[None], of_cell * size, h * size]))
    around, gathered = gathered[0], gathered[1:] / gathered[0]
    of_node, here = gathered[:CELL], gathered[CELL:]
    of_node = xp.concatenate([of_node, _of_node(mesh, x, of_cell, around)])
    curved = mesh.per_mesh(square) > 0
    return View(
        of_node.T, _of_edge(mesh, x, here, typical), of_cell.T, basis, turns, jacobian, cells.slopes, size, curved
    )


def deformation(mesh: Mesh, cells: Cells) -> Values:
    """(2, 2, c): rows of the moved edges, columns of the reference."""
    rest = mesh.rest_components
    return cells.first[:, None] * rest[0] + cells.second[:, None] * rest[1]


def _shape(cells: Cells) -> Values:
    """Second moments (3, c) of the edges, of trace 1."""
    edges = (cells.first, cells.second, cells.second - cells.first)
    moments = [sum(e[a] * e[b] for e in edges) for a, b in ((0, 0), (0, 1), (1, 1))]
    return library_of(cells.size).stack(moments) / (moments[0] + moments[2])


def _strain(j: Values) -> Values:
    """J J^T (3, c), of trace 1."""
    square = [j[a, 0] * j[b, 0] + j[a, 1] * j[b, 1] for a, b in ((0, 0), (0, 1), (1, 1))]
    return library_of(j).stack(square) / (square[0] + square[2])


def _of_cell(mesh: Mesh, cells: Cells, h: Values, level: Values, unit: Values, shape: Values, j: Values) -> Values:
    """(CELL, c)"""
    xp = library_of(h)
    size, mean = cells.size, mesh.to_cells(mesh.mean)
    share = predicted(cells, h)
    usual = mesh.per_mesh(share) * mesh.mean / mesh.total  # the mean over a mesh's cells
    share = share / mesh.to_cells(xp.atleast(usual, 1e-30))
    ratio = size / mesh.area
    edges = (cells.first, cells.second, cells.second - cells.first)
    length = sum(e[0] * e[0] + e[1] * e[1] for e in edges)
    rounded = length / (48**0.5 * size)
    positive = magnitude(unit)
    metric = positive + ROUND * mesh.identity
    root = xp.sqrt(xp.atleast(3 * (metric[0] * metric[2] - metric[1] * metric[1]), 1e-12))
    spent = (j[0, 0] * j[0, 0] + j[0, 1] * j[0, 1] + j[1, 0] * j[1, 0] + j[1, 1] * j[1, 1]) / (2 * ratio)
    spread = [ratio, size / mean, mesh.area / mean, rounded, 3 * dot(metric, shape) * rounded / root, spent]
    log = xp.log(xp.stack(spread))
    turned = [unit[0] + unit[2], 0.5 * xp.log(share + 1e-5), dot(unit, shape), dot(positive, shape)]
    return xp.stack([*(log[k] for k in range(4)), level, *turned, log[4], log[5]])


def _of_node(mesh: Mesh, x: Values, of_cell: Values, around: Values) -> Values:
    """(NODE - CELL, n): what means over the cells around do not tell."""
    xp = library_of(x)
    share = xp.exp(2 * of_cell[6])  # of the error, relative to the mean over cells
    uneven = xp.log(mesh.per_mesh(share * share) * mesh.mean / mesh.total)
    freedom = 0.5 * (mesh.projector[:, 0, 0] + mesh.projector[:, 1, 1])
    went = x - mesh.points
    went = (went[:, 0] * went[:, 0] + went[:, 1] * went[:, 1]) / around
    held = xp.where(freedom < 0.25, 1 + 0 * freedom, 0 * freedom)
    flattest = mesh.least_at_nodes(of_cell[0])
    return xp.stack([freedom, held, 0.5 * xp.log(went + 1e-2), flattest, 0.5 * mesh.to_nodes(uneven)])


def _of_edge(mesh: Mesh, x: Values, here: Values, typical: Values) -> Values:
    """(e, EDGE); both ways of an edge are alike but for the change of the Hessian along it."""
    xp = library_of(x)
    i, j = mesh.one_way
    place = x.T
    e = xp.take(place, j, 1) - xp.take(place, i, 1)
    square = e[0] * e[0] + e[1] * e[1] + 1e-20
    size = magnitude(here)
    there = xp.concatenate([here, (size[0] + size[2])[None]])
    hi, hj = xp.take(there, i, 1), xp.take(there, j, 1)
    h = 0.5 * (hi[:3] + hj[:3])
    scale, mean = mesh.to_edges(typical), mesh.to_edges(mesh.mean)
    along = form(h, e)
    norm = xp.sqrt(dot(h, h) + 1e-24) + NOTHING * scale
    swing = along / (scale * mean)
    bend = xp.asinh(xp.stack([swing, (hj[3] - hi[3]) / scale]))
    log = xp.log(xp.stack([square / mean, square / mesh.square, abs(swing) + 1e-3]))
    same = [0.5 * log[0], 0.5 * log[1], along / (norm * square), bend[0], log[2]]
    both = xp.stack([*same, bend[1]], 1)
    back = xp.stack([*same, -bend[1]], 1)
    return xp.concatenate([both, back])
