"""What the network sees of a mesh and a field: invariants of cells, edges and nodes, free of size and resolution.

Written out by components, (k, c), for cells run along memory: a product of small matrices costs several times as much.
For tensors (a batch, with derivatives) and for arrays (one mesh) alike; see `meshes.arrays`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

from meshmove.geometry.arrays import Array

from .meshes.arrays import Values, library_of
from .meshes.one_mesh import OneMesh
from .meshes.simplices import Simplices
from .meshes.tensors import PAIRS, commutator, determinant, dot, form, gradients, product, trace

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

Mesh = Simplices | OneMesh

#: how many there are of a cell and a node, by dimension, and of an edge
CELL, NODE, EDGE = {2: 11, 3: 16}, {2: 16, 3: 21}, 6
#: Hessians below this share of the mesh's mean count as none
NOTHING = 0.02
#: part of the identity in the metric that a cell's stretch is measured in
ROUND = 0.05
#: the sum of squared edges of a regular simplex of volume 1
REGULAR = {2: 48**0.5, 3: 6 * 72 ** (1 / 3)}


@dataclass(eq=False)
class View:
    """A mesh at some positions: features, and what strains are made of.

    `basis` (3, 4, c): components xx, xy, yy of I, the Hessian, the cell's shape and its deformation, each of size
    about one; in space (6, 6, c), with the square of the Hessian, and its product with the shape. `turns` (1, 2, c):
    component xy of the commutators of the Hessian with shape and deformation, which are none where the cell lies along
    the Hessian's axes; in space (3, 3, c), with that of the Hessian's square and the shape. `jacobian` (dim, dim, c)
    from rest; `slopes` (dim, dim+1, c) gradients of the barycentric coordinates; `size` (c,) volumes; `curved` (B,)
    whether the field has second derivatives, as 1 or 0.
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
    """Edges (dim, c) between all vertices, 01 first, volumes (c,) and gradients (dim, dim+1, c) of the barycentric
    coordinates.

    `boxes`: they are corners of quadrilaterals or hexahedra, one at each vertex.
    """

    edges: tuple[Values, ...]
    size: Values
    slopes: Values
    boxes: bool = False

    @classmethod
    def of(cls, mesh: Mesh, x: Values) -> Cells:
        corner = mesh.by_corner(x)
        first = [v - corner[0] for v in corner[1:]]
        size, slopes = gradients(first)
        others = [b - a for a, b in combinations(first, 2)]
        return cls((*first, *others), abs(size), slopes, mesh.boxes)

    @property
    def first(self) -> tuple[Values, ...]:
        """Edges from vertex 0."""
        return self.edges[: len(self.slopes)]


def magnitude(h: Values) -> Values:
    """|H| in the plane, the matrix with the absolute eigenvalues: (H^2 + |det H| I) / (|l1| + |l2|).

    In space H^2 over the norm of H: the same axes, without eigenvalues, which have no derivative where they meet.
    """
    xp = library_of(h)
    if len(h) == 6:
        return product(h, h) / xp.sqrt(dot(h, h) + 1e-24)
    xx, xy, yy = h[0], h[1], h[2]
    across = xy * xy
    det = abs(xx * yy - across)
    square = xp.stack([xx * xx + across + det, xy * (xx + yy), yy * yy + across + det])
    return square / xp.sqrt(square[0] + square[2] + 1e-24)


def bends(cells: Cells, h: Values) -> tuple[Values, ...]:
    """e^T H e (c,) along all edges of every cell, for one Hessian (k, c) a cell, or (v, c) for several (k, v, c)."""
    return tuple(form(h, e) for e in cells.edges)


def square_of(cells: Cells, along: tuple[Values, ...]) -> Values:
    """Mean (c,) over a cell of the squared gradient of the interpolant's error, for the `bends` of its Hessian, or of
    several.

    The linear interpolant errs by -1/2 sum_i<j d_ij l_i l_j, the multilinear one on a parallelepiped by
    -1/2 sum_k d_k s_k (1 - s_k), d_k along its sides.
    """
    dim, vertices = len(cells.slopes), len(cells.slopes) + 1
    g = [cells.slopes[:, k] for k in range(vertices)]
    if along[0].ndim == 2:
        g = [v[:, None] for v in g]
    if cells.boxes:
        return sum(d * d * (v * v).sum(0) for d, v in zip(along[:dim], g[1:], strict=True)) / 12
    a: list[Values] = [0.0] * vertices
    for (i, j), d in zip(combinations(range(vertices), 2), along, strict=True):
        a[i], a[j] = a[i] + d * g[j], a[j] + d * g[i]
    return sum((v * v).sum(0) for v in (*a, sum(a))) / (4 * vertices * (vertices + 1))


def predicted(cells: Cells, h: Values) -> Values:
    """Predicted squared H1 error (c,) of the interpolant for one Hessian (k, c) a cell; see `movers.alignment`."""
    return cells.size * square_of(cells, bends(cells, h))


def predicted_sum(cells: Cells, h: Array) -> float:
    """Sum over all cells of the mean of `predicted` over Hessians (k, v, c) at v points of each.

    In the plane as `square_of`, whose products of gradients are differences of their squares here: less work, and in
    double precision as exact. 2 g_i . g_j = |g_k|^2 - |g_i|^2 - |g_j|^2.
    """
    if len(h) == 6:
        return float((square_of(cells, bends(cells, h)) @ cells.size).mean())
    d01, d02, d12 = bends(cells, h)
    square = (cells.slopes * cells.slopes).sum(0)
    whole = square.sum(0)
    across = 2 * square - whole
    plain = (d01 * d01 + d02 * d02 + d12 * d12).sum(0)
    mixed = (d01 * d02).sum(0) * across[0] + (d01 * d12).sum(0) * across[1] + (d02 * d12).sum(0) * across[2]
    return float(cells.size @ (whole * plain + 2 * mixed)) / (48 * h.shape[1])


def viewed(mesh: Mesh, x: Values, h: Values) -> View:
    """The mesh at x (n, dim), with the mean Hessian (k, c) of every cell there."""
    xp, cells = library_of(x), Cells.of(mesh, x)
    size = cells.size
    square = dot(h, h)
    norm = xp.sqrt(square + 1e-36)
    typical = xp.atleast(mesh.per_mesh(norm * size) / mesh.per_mesh(size), 1e-20)
    at_cell = mesh.to_cells(typical)
    unit = h / (norm + NOTHING * at_cell)
    jacobian = deformation(mesh, cells)
    shape, strain = _shape(cells), _strain(jacobian)
    basis, turns = _tensors(mesh, unit, shape, strain)
    level = xp.log(norm / at_cell + 1e-3)
    of_cell = _of_cell(mesh, cells, h, level, unit, shape, jacobian)
    if len(h) == 6:
        of_cell = xp.concatenate([of_cell, _more_of_cell(unit, shape, strain)])
    gathered = mesh.at_nodes(xp.concatenate([size[None], of_cell * size, h * size]))
    around, gathered = gathered[0], gathered[1:] / gathered[0]
    of_node, here = gathered[: len(of_cell)], gathered[len(of_cell) :]
    of_node = xp.concatenate([of_node, _of_node(mesh, x, of_cell, around)])
    curved = mesh.per_mesh(square) > 0
    return View(
        of_node.T, _of_edge(mesh, x, here, typical), of_cell.T, basis, turns, jacobian, cells.slopes, size, curved
    )


def _tensors(mesh: Mesh, unit: Values, shape: Values, strain: Values) -> tuple[Values, Values]:
    """The `basis` and the `turns` of a `View`."""
    xp, eye = library_of(unit), mesh.identity
    if len(unit) == 3:
        basis = [eye + 0 * unit, unit, 2 * shape - eye, 2 * strain - eye]
        turns = [commutator(unit, 2 * shape), commutator(unit, 2 * strain)]
        return xp.stack(basis, 1), xp.stack(turns, 1)
    square, shape, strain = product(unit, unit), 3 * shape, 3 * strain
    basis = [eye + 0 * unit, unit, shape - eye, strain - eye, square, product(unit, shape)]
    turns = [commutator(unit, shape), commutator(unit, strain), commutator(square, shape)]
    return xp.stack(basis, 1), xp.stack(turns, 1)


def deformation(mesh: Mesh, cells: Cells) -> Values:
    """(dim, dim, c): rows of the moved edges, columns of the reference."""
    return sum(e[:, None] * row for e, row in zip(cells.first, mesh.rest_components, strict=True))


def _shape(cells: Cells) -> Values:
    """Second moments (k, c) of the edges, of trace 1."""
    moments = library_of(cells.size).stack([sum(e[a] * e[b] for e in cells.edges) for a, b in PAIRS[len(cells.slopes)]])
    return moments / trace(moments)


def _strain(j: Values) -> Values:
    """J J^T (k, c), of trace 1."""
    square = library_of(j).stack([sum(p * q for p, q in zip(j[a], j[b], strict=True)) for a, b in PAIRS[len(j)]])
    return square / trace(square)


def _of_cell(mesh: Mesh, cells: Cells, h: Values, level: Values, unit: Values, shape: Values, j: Values) -> Values:
    """(11, c)"""
    xp, dim = library_of(h), len(j)
    size, mean = cells.size, mesh.to_cells(mesh.mean)
    share = predicted(cells, h)
    usual = mesh.per_mesh(share) * mesh.mean / mesh.total  # the mean over a mesh's cells
    share = share / mesh.to_cells(xp.atleast(usual, 1e-30))
    ratio = size / mesh.area
    rounded = sum((e * e).sum(0) for e in cells.edges) / (REGULAR[dim] * size ** (2 / dim))
    positive = magnitude(unit)
    metric = positive + ROUND * mesh.identity
    root = xp.atleast((3 if dim == 2 else 27) * determinant(metric), 1e-12) ** (1 / dim)
    spent = (j * j).sum((0, 1)) / (dim * ratio ** (2 / dim))
    spread = [ratio, size / mean, mesh.area / mean, rounded, 3 * dot(metric, shape) * rounded / root, spent]
    log = xp.log(xp.stack(spread))
    turned = [trace(unit), 0.5 * xp.log(share + 1e-5), dot(unit, shape), dot(positive, shape)]
    return xp.stack([*(log[k] for k in range(4)), level, *turned, log[4], log[5]])


def _more_of_cell(unit: Values, shape: Values, strain: Values) -> Values:
    """(5, c), of three eigenvalues of each tensor."""
    square = product(unit, unit)
    found = [dot(square, unit), 9 * dot(shape, shape) - 3, 9 * dot(unit, product(shape, shape))]
    return library_of(unit).stack([*found, 3 * dot(unit, strain), 3 * dot(square, strain)])


def _of_node(mesh: Mesh, x: Values, of_cell: Values, around: Values) -> Values:
    """(5, n): what means over the cells around do not tell."""
    xp, dim = library_of(x), x.shape[1]
    share = xp.exp(2 * of_cell[6])  # of the error, relative to the mean over cells
    uneven = xp.log(mesh.per_mesh(share * share) * mesh.mean / mesh.total)
    freedom = sum(mesh.projector[:, k, k] for k in range(dim)) / dim
    went = x - mesh.points
    went = (went * went).sum(1) / around ** (2 / dim)
    held = xp.where(freedom < 0.25, 1 + 0 * freedom, 0 * freedom)
    flattest = mesh.least_at_nodes(of_cell[0])
    return xp.stack([freedom, held, 0.5 * xp.log(went + 1e-2), flattest, 0.5 * mesh.to_nodes(uneven)])


def _of_edge(mesh: Mesh, x: Values, here: Values, typical: Values) -> Values:
    """(e, EDGE); both ways of an edge are alike but for the change of the Hessian along it."""
    xp, k = library_of(x), len(here)
    i, j = mesh.one_way
    place = x.T
    e = xp.take(place, j, 1) - xp.take(place, i, 1)
    square = (e * e).sum(0) + 1e-20
    there = xp.concatenate([here, trace(magnitude(here))[None]])
    hi, hj = xp.take(there, i, 1), xp.take(there, j, 1)
    h = 0.5 * (hi[:k] + hj[:k])
    scale, mean = mesh.to_edges(typical), mesh.to_edges(mesh.mean) ** (2 / x.shape[1])
    along = form(h, e)
    norm = xp.sqrt(dot(h, h) + 1e-24) + NOTHING * scale
    swing = along / (scale * mean)
    bend = xp.asinh(xp.stack([swing, (hj[k] - hi[k]) / scale]))
    log = xp.log(xp.stack([square / mean, square / mesh.square, abs(swing) + 1e-3]))
    same = [0.5 * log[0], 0.5 * log[1], along / (norm * square), bend[0], log[2]]
    both = xp.stack([*same, bend[1]], 1)
    back = xp.stack([*same, -bend[1]], 1)
    return xp.concatenate([both, back])
