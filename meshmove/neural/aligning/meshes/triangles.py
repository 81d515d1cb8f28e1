"""Meshes of triangles, or of the corners of quadrilaterals, side by side as tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from meshmove.geometry import CellMesh, UnsupportedMeshError

__all__ = ["Triangles", "boxes_of"]


def boxes_of(meshes: Sequence[CellMesh]) -> bool:
    """Whether all cells are quadrilaterals.

    Raises
    ------
    UnsupportedMeshError
        Cells of several kinds, or of others than triangles and quadrilaterals.
    """
    kinds = sorted({b.kind.name for m in meshes for b in m.blocks})
    if kinds not in (["quad"], ["triangle"]):
        raise UnsupportedMeshError(
            f"Expected plane meshes of triangles, or of quadrilaterals (got {', '.join(kinds)}): move such meshes one "
            'by one, by adapt(mesh, field, mover="dmm")'
        )
    return kinds == ["quad"]


@dataclass(eq=False)
class Triangles:
    """The disjoint union of B triangle meshes, each of about size one, with its boundary's freedom.

    n nodes and c cells in all. Of quadrilaterals the cells are their corner triangles, four of each one after the
    other; they cover it twice, as they do in the Laplacian of the lift.

    Attributes
    ----------
    points : (n, 2) reference positions
    cells : (c, 3)
    edges : (2, e) node pairs, both ways
    node_graph, cell_graph : (n,), (c,) which mesh each belongs to
    projector : (n, 2, 2) onto the admissible directions
    rest : (c, 2, 2) inverse of the reference edge matrix
    slopes : (c, 3, 2) reference gradients of the barycentric coordinates
    area, sign : (c,) |K0|, and the orientation of its vertices
    lift : forces (n, 2) to displacements (n, 2), the inverse Laplacian of each component
    boxes : whether the cells are corners of quadrilaterals
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
    ) -> Triangles:
        """Join meshes of triangles, or of quadrilaterals, with the projectors (n_i, 2, 2) of their nodes."""
        first = np.cumsum([0, *(m.n_points for m in meshes)])
        cells = np.concatenate([m.corners[0] + k for m, k in zip(meshes, first, strict=False)])
        counts = [len(m.corners[0]) for m in meshes]
        one_way = np.concatenate([m.edges + k for m, k in zip(meshes, first, strict=False)]).T
        x = np.concatenate([m.points for m in meshes])
        edge = np.swapaxes(x[cells[:, 1:]] - x[cells[:, :1]], 1, 2)
        rest = np.linalg.inv(edge)
        signed = 0.5 * np.linalg.det(edge)
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
        return cls(lift=lift, boxes=boxes_of(meshes), **tensors)

    def to(self, device: torch.device | str) -> Triangles:
        """The same on another device, where the lift is a module that can be moved."""
        moved = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{k: v.to(device) for k, v in moved.items() if hasattr(v, "to")})

    @cached_property
    def identity(self) -> Tensor:
        """Components xx, xy, yy of I, (3, 1)."""
        return torch.tensor([1.0, 0.0, 1.0]).to(self.points)[:, None]

    @property
    def rest_components(self) -> Tensor:
        """`rest` as (2, 2, c)."""
        return self.rest.permute(1, 2, 0)

    @property
    def slope_components(self) -> Tensor:
        """`slopes` as (2, 3, c)."""
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
        """The first, second and third vertex of each cell, (c,)."""
        return tuple(v.contiguous() for v in self.cells.unbind(1))

    @cached_property
    def degree(self) -> Tensor:
        """Edges (n,) at each node."""
        return torch.bincount(self.edges[0], minlength=len(self.points)).clamp_min(1)

    def corners(self, values: Tensor) -> Tensor:
        """Nodal values (n, k) at the vertices of every cell, (c, 3, k)."""
        return values.index_select(0, self.cells.reshape(-1)).view(-1, 3, values.shape[1])

    def by_corner(self, x: Tensor) -> Tensor:
        """Positions (n, 2) of the vertices of every cell, (3, 2, c)."""
        return self.corners(x).permute(1, 2, 0)

    def ratio(self, x: Tensor) -> Tensor:
        """det J (c,) of the cells at x (n, 2), negative where they are inverted."""
        corner = self.by_corner(x)
        (a, b), (c, d) = (corner[1] - corner[0]), (corner[2] - corner[0])
        return 0.5 * (a * d - b * c) * self.sign / self.area

    def project(self, vectors: Tensor) -> Tensor:
        x, y = vectors[:, 0], vectors[:, 1]
        p = self.projector
        return torch.stack([p[:, 0, 0] * x + p[:, 0, 1] * y, p[:, 1, 0] * x + p[:, 1, 1] * y], 1)

    def at_nodes(self, values: Tensor) -> Tensor:
        """Sum of values (k, c) over the cells around each node, (k, n)."""
        return self.scatter(values.T[:, None].expand(-1, 3, -1)).T

    def least_at_nodes(self, values: Tensor) -> Tensor:
        """Least of values (c,) over the cells around each node, (n,)."""
        least = values.new_full((len(self.points),), torch.inf)
        return least.scatter_reduce(0, self.cells.reshape(-1), values.repeat_interleave(3), "amin")

    def scatter(self, forces: Tensor) -> Tensor:
        """Sum of forces (c, 3, k) on the vertices of cells, (n, k)."""
        k = forces.shape[2]
        return forces.new_zeros(len(self.points), k).index_add(0, self.cells.reshape(-1), forces.reshape(-1, k))

    def gathered(self, forces: Tensor) -> Tensor:
        """Sum of forces (k, 3, c) on the vertices of cells, (n, k)."""
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
