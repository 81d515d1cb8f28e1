"""The piece of a mesh that a process holds, as plain arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry import CellMesh, InvalidMeshError, UnsupportedMeshError
from meshmove.geometry.arrays import Ids
from meshmove.geometry.cells import kind_of
from meshmove.geometry.errors import first_ids

__all__ = ["DistributedMesh", "SecondOrder"]


KINDS = ("triangle", "tetra", "quad", "hexahedron")


@dataclass(frozen=True, eq=False)
class SecondOrder:
    """The cells of a piece with the nodes between their vertices.

    `cells`: with the vertices of the piece, and with `lift` and `nodes` of all nodes (k). `ids`, `owners` (k,): of
    these, of which this process owns the first `n_owned`.
    """

    cells: CellMesh
    ids: Ids
    owners: Ids
    n_owned: int


@dataclass(frozen=True, eq=False)
class DistributedMesh:
    """A piece of a mesh: the cells that this process owns, with their vertices.

    Parameters
    ----------
    points
        Positions (n, dim) of the vertices: first those that this process owns, then ghosts, which others own.
    cells
        Vertices (m, v) of the cells that this process owns, in the order of meshio. Each cell is on one process.
    kind
        "triangle", "tetra", "quad" or "hexahedron", the same on all processes.
    n_owned
        Number of vertices that this process owns.
    global_ids
        Number (n,) of each vertex in the whole mesh.
    owners
        Process (n,) that owns each vertex.
    facets
        Named boundaries or interfaces, vertices (k, w) each: the same names on all processes, whoever has facets.
    regions
        Number (m,) of the subdomain of each cell, or None, on all processes alike.
    second
        The same cells of second order where edges of any are curved, on all processes alike.
    """

    points: NDArray[np.float64]
    cells: Ids
    kind: str
    n_owned: int
    global_ids: Ids
    owners: Ids
    facets: Mapping[str, Ids] = field(default_factory=dict)
    regions: Ids | None = None
    second: SecondOrder | None = None

    @property
    def dim(self) -> int:
        return self.points.shape[1]

    def check(self, rank: int) -> None:
        """Raise unless the arrays fit together.

        Raises
        ------
        InvalidMeshError
            They do not.
        UnsupportedMeshError
            Another kind of cell.
        """
        if self.kind not in KINDS:
            raise UnsupportedMeshError(f"Expected cells of {', '.join(map(repr, KINDS))} (got {self.kind!r})")
        n, width = len(self.points), kind_of(self.kind).vertices
        if self.points.ndim != 2 or self.dim != len(kind_of(self.kind).reference[0]):
            raise InvalidMeshError(f"Expected points of as many coordinates as cells have (got {self.points.shape})")
        if not 0 <= self.n_owned <= n or self.global_ids.shape != (n,) or self.owners.shape != (n,):
            raise InvalidMeshError(
                f"Expected a global number and an owner for each of {n} vertices, of which this process owns some (got "
                f"{self.global_ids.shape}, {self.owners.shape} and {self.n_owned})"
            )
        wrong = np.flatnonzero((self.owners == rank) != (np.arange(n) < self.n_owned))
        if len(wrong):
            raise InvalidMeshError(f"Expected vertices owned by process {rank} first (vertices {first_ids(wrong)})")
        if self.cells.ndim != 2 or self.cells.shape[1] != width:
            raise InvalidMeshError(f"Expected {width} vertices for each {self.kind} (got shape {self.cells.shape})")
        bad = np.flatnonzero(((self.cells < 0) | (self.cells >= n)).any(axis=1))
        if len(bad):
            raise InvalidMeshError(f"Expected cells of vertices from 0 to {n - 1} (not so in cells {first_ids(bad)})")
        if not np.isfinite(self.points).all():
            bad = np.flatnonzero(~np.isfinite(self.points).all(axis=1))
            raise InvalidMeshError(f"Expected finite coordinates (got others at vertices {first_ids(bad)})")
        if self.regions is not None and self.regions.shape != (len(self.cells),):
            raise InvalidMeshError(f"Expected a region for each of {len(self.cells)} cells (got {self.regions.shape})")

    def local(self, points: NDArray[np.float64] | None = None) -> CellMesh:
        """The cells of this process as a mesh of its own."""
        return CellMesh.single(self.points if points is None else points, self.cells, self.kind)
