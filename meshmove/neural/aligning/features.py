"""What the network sees of a mesh and a field: invariants of cells, edges and nodes, free of size and resolution.

Written out by components, (k, c), for cells run along memory: a product of small matrices costs several times as much.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .triangles import Triangles

__all__ = ["CELL", "EDGE", "NODE", "Cells", "View", "deformation", "predicted", "viewed"]

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
    about one. `jacobian` (2, 2, c) from rest; `slopes` (2, 3, c) gradients of the barycentric coordinates; `size` (c,)
    areas; `curved` (B,) whether the field has second derivatives at all, as 1 or 0.
    """

    of_node: Tensor
    of_edge: Tensor
    of_cell: Tensor
    basis: Tensor
    jacobian: Tensor
    slopes: Tensor
    size: Tensor
    curved: Tensor


@dataclass(eq=False)
class Cells:
    """Edges (2, c) from vertex 0, areas (c,) and gradients (2, 3, c) of the barycentric coordinates."""

    first: Tensor
    second: Tensor
    size: Tensor
    slopes: Tensor

    @classmethod
    def of(cls, batch: Triangles, x: Tensor) -> Cells:
        corner = batch.corners(x).permute(1, 2, 0)
        first, second = corner[1] - corner[0], corner[2] - corner[0]
        det = first[0] * second[1] - first[1] * second[0]
        safe = torch.where(det.abs() > TINY, det, TINY)
        one = torch.stack([second[1], -second[0]]) / safe
        two = torch.stack([-first[1], first[0]]) / safe
        return cls(first, second, 0.5 * safe.abs(), torch.stack([-one - two, one, two], 1))


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Of symmetric tensors (3, k), components xx, xy, yy."""
    return a[0] * b[0] + 2 * a[1] * b[1] + a[2] * b[2]


def form(h: Tensor, e: Tensor) -> Tensor:
    """e^T H e for symmetric tensors (3, k) and vectors (2, k)."""
    return h[0] * e[0] * e[0] + 2 * h[1] * e[0] * e[1] + h[2] * e[1] * e[1]


def magnitude(h: Tensor) -> Tensor:
    """|H| (3, k), the matrix with the absolute eigenvalues: (H^2 + |det H| I) / (|l1| + |l2|)."""
    det = (h[0] * h[2] - h[1] * h[1]).abs()
    square = torch.stack([h[0] * h[0] + h[1] * h[1] + det, h[1] * (h[0] + h[2]), h[2] * h[2] + h[1] * h[1] + det])
    return square / (square[0] + square[2] + 1e-24).sqrt()


def predicted(cells: Cells, h: Tensor) -> Tensor:
    """Predicted squared H1 error (c,) of the interpolant for one Hessian (3, c) a cell; see `movers.alignment`."""
    d01, d02, d12 = form(h, cells.first), form(h, cells.second), form(h, cells.second - cells.first)
    g = cells.slopes.unbind(1)
    a = [d01 * g[1] + d02 * g[2], d01 * g[0] + d12 * g[2], d02 * g[0] + d12 * g[1]]
    total = a[0] + a[1] + a[2]
    square = sum((v * v).sum(0) for v in (*a, total))
    return cells.size * square / 48


def viewed(batch: Triangles, x: Tensor, hessian: Tensor) -> View:
    """The mesh at x (n, 2), with Hessians (c, 3, 3) at the vertices of every cell there, components last."""
    cells = Cells.of(batch, x)
    size = cells.size
    h = hessian.mean(1).T.contiguous()
    norm = (dot(h, h) + 1e-36).sqrt()
    typical = (batch.per_mesh(norm * size) / batch.per_mesh(size)).clamp_min(1e-20)
    at_cell = typical.index_select(0, batch.cell_graph)
    unit = h / (norm + NOTHING * at_cell)
    jacobian = deformation(batch, cells)
    shape, strain = _shape(cells), _strain(jacobian)
    eye = torch.tensor([1.0, 0.0, 1.0]).to(x)[:, None]
    basis = torch.stack([eye.expand_as(h), unit, 2 * shape - eye, 2 * strain - eye], 1)
    of_cell = _of_cell(batch, cells, h, torch.log(norm / at_cell + 1e-3), unit, shape, jacobian)
    around = batch.at_nodes(size[:, None])
    gathered = batch.at_nodes(torch.cat([of_cell, h]).T * size[:, None]) / around
    of_node, here = gathered[:, :CELL], gathered[:, CELL:].T.contiguous()
    of_node = torch.cat([of_node, _of_node(batch, x, of_cell, around)], 1)
    curved = (batch.per_mesh(dot(h, h)) > 0).to(x)
    return View(of_node, _of_edge(batch, x, here, typical), of_cell.T, basis, jacobian, cells.slopes, size, curved)


def deformation(batch: Triangles, cells: Cells) -> Tensor:
    """(2, 2, c): rows of the moved edges, columns of the reference."""
    rest = batch.rest.permute(1, 2, 0)
    return cells.first[:, None] * rest[0] + cells.second[:, None] * rest[1]


def _shape(cells: Cells) -> Tensor:
    """Second moments (3, c) of the edges, of trace 1."""
    edges = (cells.first, cells.second, cells.second - cells.first)
    moment = torch.stack([sum(e[a] * e[b] for e in edges) for a, b in ((0, 0), (0, 1), (1, 1))])
    return moment / (moment[0] + moment[2])


def _strain(j: Tensor) -> Tensor:
    """J J^T (3, c), of trace 1."""
    square = torch.stack([(j[a] * j[b]).sum(0) for a, b in ((0, 0), (0, 1), (1, 1))])
    return square / (square[0] + square[2])


def _of_cell(
    batch: Triangles, cells: Cells, h: Tensor, level: Tensor, unit: Tensor, shape: Tensor, jacobian: Tensor
) -> Tensor:
    """(CELL, c)"""
    size, mean = cells.size, batch.mean.index_select(0, batch.cell_graph)
    share = predicted(cells, h)
    usual = batch.per_mesh(share) * batch.mean / batch.total  # the mean over a mesh's cells
    share = share / usual.clamp_min(1e-30).index_select(0, batch.cell_graph)
    ratio = size / batch.area
    edges = (cells.first, cells.second, cells.second - cells.first)
    length = sum((e * e).sum(0) for e in edges)
    rounded = length / (48**0.5 * size)
    positive = magnitude(unit)
    metric = positive + ROUND * torch.tensor([1.0, 0.0, 1.0]).to(h)[:, None]
    root = (3 * (metric[0] * metric[2] - metric[1] * metric[1])).clamp_min(1e-12).sqrt()
    spent = (jacobian * jacobian).sum((0, 1)) / (2 * ratio)
    return torch.stack(
        [
            torch.log(ratio),
            torch.log(size / mean),
            torch.log(batch.area / mean),
            torch.log(rounded),
            level,
            unit[0] + unit[2],
            0.5 * torch.log(share + 1e-5),
            dot(unit, shape),
            dot(positive, shape),
            torch.log(3 * dot(metric, shape) * rounded / root),
            torch.log(spent),
        ]
    )


def _of_node(batch: Triangles, x: Tensor, of_cell: Tensor, around: Tensor) -> Tensor:
    """(n, NODE - CELL): what means over the cells around do not tell."""
    compressed = of_cell[0]
    share = torch.exp(2 * of_cell[6])  # of the error, relative to the mean over cells
    uneven = torch.log(batch.per_mesh(share * share) * batch.mean / batch.total)
    freedom = 0.5 * (batch.projector[:, 0, 0] + batch.projector[:, 1, 1])
    went = (x - batch.points).square().sum(1) / around[:, 0]
    flattest = compressed.new_full((len(x),), torch.inf)
    for k in range(3):
        flattest = flattest.scatter_reduce(0, batch.cells[:, k], compressed, "amin")
    own = [freedom, (freedom < 0.25).to(x), 0.5 * torch.log(went + 1e-2), flattest]
    return torch.stack([*own, 0.5 * uneven.index_select(0, batch.node_graph)], 1)


def _of_edge(batch: Triangles, x: Tensor, here: Tensor, typical: Tensor) -> Tensor:
    """(e, EDGE); both ways of an edge are alike but for the change of the Hessian along it."""
    half = batch.edges.shape[1] // 2
    i, j = batch.edges[:, :half]
    e = (x.index_select(0, j) - x.index_select(0, i)).T
    square = (e * e).sum(0) + 1e-20
    before = (batch.points.index_select(0, j) - batch.points.index_select(0, i)).square().sum(1)
    hi, hj = here.index_select(1, i), here.index_select(1, j)
    h = 0.5 * (hi + hj)
    graph = batch.node_graph.index_select(0, i)
    scale, mean = typical.index_select(0, graph), batch.mean.index_select(0, graph)
    along = form(h, e)
    norm = (dot(h, h) + 1e-24).sqrt() + NOTHING * scale
    size = magnitude(here)
    size = size[0] + size[2]
    change = torch.asinh((size.index_select(0, j) - size.index_select(0, i)) / scale)
    same = torch.stack(
        [
            0.5 * torch.log(square / mean),
            0.5 * torch.log(square / before),
            along / (norm * square),
            torch.asinh(along / (scale * mean)),
            torch.log(along.abs() / (scale * mean) + 1e-3),
        ],
        1,
    )
    return torch.cat([torch.cat([same, change[:, None]], 1), torch.cat([same, -change[:, None]], 1)])
