"""Meshes of triangles or tetrahedra, or of the corners of quadrilaterals or hexahedra, side by side as tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from math import factorial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from meshmove.geometry import CellMesh, UnsupportedMeshError

from .neighbours import Neighbours
from .tensors import PAIRS, size_of

__all__ = ["Simplices", "boxes_of"]


def boxes_of(meshes: Sequence[CellMesh]) -> bool:
    """Whether all cells are quadrilaterals or hexahedra.

    Raises
    ------
    UnsupportedMeshError
        Cells of several kinds, or of others than triangles, quadrilaterals, tetrahedra and hexahedra.
    """
    kinds = sorted({b.kind.name for m in meshes for b in m.blocks})
    if kinds not in (["quad"], ["triangle"], ["tetra"], ["hexahedron"]):
        raise UnsupportedMeshError(
            "Expected meshes of triangles, of quadrilaterals, of tetrahedra, or of hexahedra "
            f'(got {", ".join(kinds)}): move such meshes one by one, by adapt(mesh, field, mover="dmm")'
        )
    return kinds in (["quad"], ["hexahedron"])


@dataclass(eq=False)
class Simplices:
    """The disjoint union of B meshes, each of about size one, with its boundary's freedom.

    n nodes and c cells in all. Of quadrilaterals the cells are their corner triangles, four of each one after the
    other, of hexahedra their eight corner tetrahedra; they cover it twice, or 4/3 times, as they do in the Laplacian of
    the lift.

    Attributes
    ----------
    points : (n, dim) reference positions
    cells : (c, dim+1)
    edges : (2, e) node pairs, both ways
    node_graph, cell_graph : (n,), (c,) which mesh each belongs to
    projector : (n, dim, dim) onto the admissible directions
    rest : (c, dim, dim) inverse of the reference edge matrix
    slopes : (c, dim+1, dim) reference gradients of the barycentric coordinates
    area, sign : (c,) |K0|, and the orientation of its vertices
    lift : forces (n, dim) to displacements (n, dim), the inverse Laplacian of each component
    boxes : whether the cells are corners of quadrilaterals or hexahedra
    """

    points: Tensor
    cells: Tensor
    edges: Tensor
    node_graph: Tensor
    cell_graph: Tensor
    projector: Tensor
    rest: Tensor
    slopes: Tensor
    area: Tensor
    sign: Tensor
    total: Tensor  # (B,) sum of |K0|
    mean: Tensor  # (B,) mean of |K0|
    lift: Callable[[Tensor], Tensor]
    boxes: bool = False

    def __len__(self) -> int:
        return len(self.total)

    @classmethod
    def of(
        cls,
        meshes: Sequence[CellMesh],
        projectors: Sequence[NDArray[np.float64]],
        lift: Callable[[Tensor], Tensor],
        dtype: torch.dtype = torch.float32,
    ) -> Simplices:
        """Join meshes of one kind of cells, with the projectors (n_i, dim, dim) of their nodes."""
        boxes = boxes_of(meshes)
        first = np.cumsum([0, *(m.n_points for m in meshes)])
        cells = np.concatenate([m.corners[0] + k for m, k in zip(meshes, first, strict=False)])
        counts = [len(m.corners[0]) for m in meshes]
        one_way = np.concatenate([m.edges + k for m, k in zip(meshes, first, strict=False)]).T
        x = np.concatenate([m.points for m in meshes])
        edge = np.swapaxes(x[cells[:, 1:]] - x[cells[:, :1]], 1, 2)
        rest = np.linalg.inv(edge)
        signed = np.linalg.det(edge) / factorial(edge.shape[1])
        graph = np.repeat(np.arange(len(meshes)), counts)
        total = np.bincount(graph, np.abs(signed))
        slopes = np.concatenate([-rest.sum(1, keepdims=True), rest], axis=1)
        parts = {
            "points": x,
            "cells": cells,
            "edges": np.concatenate([one_way, one_way[::-1]], axis=1),
            "node_graph": np.repeat(np.arange(len(meshes)), np.diff(first)),
            "cell_graph": graph,
            "projector": np.concatenate(projectors),
            "rest": rest,
            "slopes": slopes,
            "area": np.abs(signed),
            "sign": np.sign(signed),
            "total": total,
            "mean": total / counts,
        }
        tensors = {k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in parts.items()}
        tensors = {k: v.to(dtype) if v.is_floating_point() else v for k, v in tensors.items()}
        return cls(lift=lift, boxes=boxes, **tensors)

    def to(self, device: torch.device | str) -> Simplices:
        """The same on another device, where the lift is a module that can be moved."""
        moved = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{k: v.to(device) for k, v in moved.items() if hasattr(v, "to")})

    @cached_property
    def identity(self) -> Tensor:
        """Components of I, (3, 1) or (6, 1)."""
        return self.points.new_tensor([float(a == b) for a, b in PAIRS[self.dim]])[:, None]

    @property
    def dim(self) -> int:
        """Of space."""
        return self.points.shape[1]

    @property
    def rest_components(self) -> Tensor:
        """`rest` as (dim, dim, c)."""
        return self.rest.permute(1, 2, 0)

    @property
    def slope_components(self) -> Tensor:
        """`slopes` as (dim, dim+1, c)."""
        return self.slopes.permute(2, 1, 0)

    @property
    def one_way(self) -> Tensor:
        """Each edge once, (2, e / 2)."""
        return self.edges[:, : self.edges.shape[1] // 2]

    @cached_property
    def square(self) -> Tensor:
        """Squared lengths (e / 2,) of the edges at rest."""
        i, j = self.one_way
        return (self.points.index_select(0, j) - self.points.index_select(0, i)).square().sum(1)

    @cached_property
    def vertices(self) -> tuple[Tensor, ...]:
        """The first vertex of each cell (c,), the second, and so on."""
        return tuple(v.contiguous() for v in self.cells.unbind(1))

    @cached_property
    def neighbours(self) -> Neighbours:
        """For the network on a processor, without derivatives."""
        return Neighbours.of(self.edges.numpy(), self.cells.numpy(), len(self.points))

    @cached_property
    def degree(self) -> Tensor:
        """Edges (n,) at each node."""
        return torch.bincount(self.edges[0], minlength=len(self.points)).clamp_min(1)

    def corners(self, values: Tensor) -> Tensor:
        """Nodal values (n, k) at the vertices of every cell, (c, dim+1, k)."""
        return values.index_select(0, self.cells.reshape(-1)).view(*self.cells.shape, values.shape[1])

    def by_corner(self, x: Tensor) -> Tensor:
        """Positions (n, dim) of the vertices of every cell, (dim+1, dim, c)."""
        return self.corners(x).permute(1, 2, 0)

    def ratio(self, x: Tensor) -> Tensor:
        """det J (c,) of the cells at x (n, dim), negative where they are inverted."""
        corner = self.by_corner(x)
        return size_of([v - corner[0] for v in corner[1:]]) * self.sign / self.area

    def project(self, vectors: Tensor) -> Tensor:
        return torch.stack([(row * vectors).sum(1) for row in self.projector.unbind(1)], 1)

    def at_nodes(self, values: Tensor) -> Tensor:
        """Sum of values (k, c) over the cells around each node, (k, n)."""
        return self.scatter(values.T[:, None].expand(-1, self.cells.shape[1], -1)).T

    def least_at_nodes(self, values: Tensor) -> Tensor:
        """Least of values (c,) over the cells around each node, (n,)."""
        least = values.new_full((len(self.points),), torch.inf)
        return least.scatter_reduce(0, self.cells.reshape(-1), values.repeat_interleave(self.cells.shape[1]), "amin")

    def scatter(self, forces: Tensor) -> Tensor:
        """Sum of forces (c, dim+1, k) on the vertices of cells, (n, k)."""
        k = forces.shape[2]
        return forces.new_zeros(len(self.points), k).index_add(0, self.cells.reshape(-1), forces.reshape(-1, k))

    def gathered(self, forces: Tensor) -> Tensor:
        """Sum of forces (k, dim+1, c) on the vertices of cells, (n, k)."""
        return self.scatter(forces.permute(2, 1, 0))

    def to_cells(self, values: Tensor) -> Tensor:
        """Values (B,) of the meshes at their cells, (c,)."""
        return values.index_select(0, self.cell_graph)

    def to_nodes(self, values: Tensor) -> Tensor:
        """Values (B,) of the meshes at their nodes, (n,)."""
        return values.index_select(0, self.node_graph)

    def to_edges(self, values: Tensor) -> Tensor:
        """Values (B,) of the meshes at their edges, each once, (e / 2,)."""
        return values.index_select(0, self._edge_graph)

    @cached_property
    def _edge_graph(self) -> Tensor:
        return self.node_graph.index_select(0, self.one_way[0])

    def per_mesh(self, values: Tensor) -> Tensor:
        """Sum of cell values (c,) over each mesh."""
        return values.new_zeros(len(self)).index_add(0, self.cell_graph, values)
