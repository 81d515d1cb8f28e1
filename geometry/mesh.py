"""`CellMesh`: the plain arrays that everything below the converters works on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from meshmove.geometry.arrays import Ids

from .cells import CellKind, kind_of
from .errors import InvalidMeshError
from .given import as_list, integers, real
from .plane import PlaneFrame

__all__ = ["CellBlock", "CellMesh", "meshes_of"]


@dataclass(frozen=True, eq=False)
class CellBlock:
    """Cells of one kind: `nodes` (m, v) are vertex ids in VTK order.

    Of second-order cells, `second` is the kind ("triangle6") and `second_nodes` (m, k) are rows of `CellMesh.nodes`,
    in VTK order, too.
    """

    kind: CellKind
    nodes: Ids
    second: str | None = None
    second_nodes: Ids | None = None

    def __post_init__(self) -> None:
        for name in ("nodes", "second_nodes"):
            given = getattr(self, name)
            if given is not None or name == "nodes":
                ids = integers(given, "the nodes of cells", "ids of nodes, a row a cell", InvalidMeshError)
                object.__setattr__(self, name, np.ascontiguousarray(ids))
        if self.nodes.ndim != 2 or self.nodes.shape[1] != self.kind.vertices:
            shape = f"(m, {self.kind.vertices})"
            raise InvalidMeshError(f"Expected the nodes of {self.kind.name} cells, {shape} (got {self.nodes.shape})")

    def __len__(self) -> int:
        return len(self.nodes)


@dataclass(frozen=True, eq=False)
class CellMesh:
    """A mesh of linear cells as plain arrays; a converter makes it from a library's mesh.

    Parameters
    ----------
    points
        Vertex coordinates, (n, dim), dim 2 or 3.
    blocks
        Cells by kind; cell numbers run through the blocks in order.
    facets
        Named boundaries or interior interfaces: name -> vertex ids (f, k), padded with -1 where triangles
        stand among quadrilaterals.
    regions
        Label of each cell's subdomain, (n_cells,), or None. Facets between two labels are interfaces.
    labels
        What may tell subdomains apart, by name, (n_cells,) each: numbers, or True for the cells of a set.
    region_names
        Those of `labels` that `regions` was made of.
    periodic
        Pairs of vertices (k, 2) that are images of each other, or None. They move by the same displacement.
    lift
        Sparse (n_nodes, n): carries vertex displacements to all nodes of the library's mesh (mid-side nodes,
        nodes that no cell uses). None: nodes are the vertices, in order.
    nodes
        Coordinates (n_nodes, dim) of all nodes where some are mid-side nodes, else None.
    frame
        Where a plane mesh lies in space, or None where coordinates are the library's own.
    """

    points: NDArray[np.float64]
    blocks: tuple[CellBlock, ...]
    facets: Mapping[str, Ids] = field(default_factory=dict)
    regions: Ids | None = None
    labels: Mapping[str, NDArray] = field(default_factory=dict)
    region_names: tuple[str, ...] = ()
    periodic: Ids | None = None
    lift: csr_matrix | None = None
    nodes: NDArray[np.float64] | None = None
    frame: PlaneFrame | None = None

    def __post_init__(self) -> None:
        points = real(self.points, "coordinates", "numbers, a row a point", InvalidMeshError)
        if points.ndim != 2:
            raise InvalidMeshError(f"Expected coordinates of points, (n, 2) or (n, 3) (got shape {points.shape})")
        object.__setattr__(self, "points", np.ascontiguousarray(points))
        object.__setattr__(self, "blocks", tuple(self.blocks))

    @classmethod
    def single(cls, points: NDArray, cells: NDArray, kind: str, **rest: Any) -> CellMesh:
        """A mesh with cells of one kind.

        >>> CellMesh.single([[0, 0], [1, 0], [0, 1]], [[0, 1, 2]], "triangle")
        CellMesh(2-D: 3 points, 1 triangle)
        """
        return cls(points, (CellBlock(kind_of(kind), cells),), **rest)

    @property
    def dim(self) -> int:
        return self.points.shape[1]

    @property
    def n_points(self) -> int:
        return len(self.points)

    @property
    def n_cells(self) -> int:
        return sum(len(b) for b in self.blocks)

    @property
    def n_nodes(self) -> int:
        """Nodes of the library's mesh: vertices, mid-side nodes and unused nodes."""
        return self.n_points if self.lift is None else self.lift.shape[0]

    @cached_property
    def extent(self) -> float:
        """Diagonal of the bounding box: the length that tolerances are relative to."""
        return float(np.linalg.norm(np.ptp(self.points, axis=0))) if self.n_points else 0.0

    @cached_property
    def corners(self) -> tuple[Ids, Ids]:
        """Vertices of all corner simplices (s, dim+1), and the cell that each belongs to (s,)."""
        simplices, owners, first = [], [], 0
        for block in self.blocks:
            table = block.kind.corners
            simplices.append(block.nodes[:, table].reshape(-1, self.dim + 1))
            owners.append(np.repeat(np.arange(first, first + len(block)), len(table)))
            first += len(block)
        return np.concatenate(simplices), np.concatenate(owners)

    @cached_property
    def edges(self) -> Ids:
        """Unique edges (e, 2), lower vertex first."""
        pairs = np.concatenate([b.nodes[:, b.kind.edges].reshape(-1, 2) for b in self.blocks])
        pairs.sort(axis=1)
        keys = np.unique(pairs[:, 0] * self.n_points + pairs[:, 1])
        return np.stack([keys // self.n_points, keys % self.n_points], axis=1)

    @cached_property
    def vertex_nodes(self) -> Ids:
        """Of the library's nodes the one (n_points,) at each vertex: the first of those that move with it alone."""
        if self.lift is None:
            return np.arange(self.n_points)
        lift = csr_matrix(self.lift)
        own = np.flatnonzero(np.diff(lift.indptr) == 1)[::-1]  # the first wins
        nodes = np.full(self.n_points, -1, np.int64)
        nodes[lift.indices[lift.indptr[own]]] = own
        return nodes

    @cached_property
    def straight(self) -> bool:
        """Whether all edges are straight, their mid-side nodes in the middle."""
        if self.nodes is None or self.lift is None:
            return True
        used = np.diff(csr_matrix(self.lift).indptr) > 0
        off = np.abs(self.nodes - self.lift @ self.points)[used]
        return bool(off.max(initial=0.0) <= 1e-9 * self.extent)

    def same_cells(self, other: CellMesh) -> bool:
        """Whether another mesh has the same cells of as many points, wherever these are."""
        return (
            self.points.shape == other.points.shape
            and len(self.blocks) == len(other.blocks)
            and all(
                a.kind is b.kind and np.array_equal(a.nodes, b.nodes)
                for a, b in zip(self.blocks, other.blocks, strict=True)
            )
        )

    def simplicial(self) -> CellMesh:
        """The mesh with every cell split into simplices: on these a nodal field is linear, and looked up fastest."""
        if all(b.kind.is_simplex for b in self.blocks):
            return self
        parts = [b.nodes[:, b.kind.simplices].reshape(-1, self.dim + 1) for b in self.blocks]
        return CellMesh.single(self.points, np.concatenate(parts), "triangle" if self.dim == 2 else "tetra")

    def split_along(self, field: NDArray[np.float64]) -> CellMesh:
        """The mesh split into simplices by those diagonals of each cell along which nodal values (n, ...) differ most.

        But for ties it is the same however the vertices of a cell are numbered.
        """
        if all(b.kind.is_simplex for b in self.blocks):
            return self
        parts = []
        for block in self.blocks:
            simplices, diagonals = block.kind.splits
            if not diagonals.size:
                parts.append(block.nodes)
                continue
            ends = field[block.nodes[:, diagonals]]  # (m, t, k, 2, ...)
            leaps = ((ends[:, :, :, 0] - ends[:, :, :, 1]) ** 2).reshape(len(block), len(diagonals), -1)
            chosen = simplices[leaps.sum(axis=2).argmax(axis=1)]
            rows = np.arange(len(block))[:, None, None]
            parts.append(block.nodes[rows, chosen].reshape(-1, self.dim + 1))
        return CellMesh.single(self.points, np.concatenate(parts), "triangle" if self.dim == 2 else "tetra")

    def moved(self, points: NDArray[np.float64]) -> CellMesh:
        """The same cells with vertices elsewhere."""
        return replace(self, points=points)

    def in_space(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points (n, dim) in the coordinates of the library's mesh, (n, 3) where a plane mesh lies in space."""
        return points if self.frame is None else self.frame.place(points)

    def lifted(self, displacement: NDArray[np.float64]) -> NDArray[np.float64]:
        """Vertex displacements (n, dim) carried to all nodes (n_nodes, dim)."""
        return displacement if self.lift is None else self.lift @ displacement

    def __repr__(self) -> str:
        cells = ", ".join(f"{len(b)} {b.kind.name}" for b in self.blocks)
        return f"CellMesh({self.dim}-D: {self.n_points} points, {cells})"


def meshes_of(meshes: Any) -> list[CellMesh]:
    """Several meshes, at least one.

    Raises
    ------
    InvalidMeshError
        There is none, or one of them is no `CellMesh`.
    """
    several = as_list(meshes, "meshes", InvalidMeshError)
    if not several:
        raise InvalidMeshError("Expected at least one mesh in the batch (got none)")
    wrong = [i for i, mesh in enumerate(several) if not isinstance(mesh, CellMesh)]
    if wrong:
        raise InvalidMeshError(
            f"Expected a CellMesh each (got {type(several[wrong[0]]).__name__} as number {wrong[0]})"
        )
    return several
