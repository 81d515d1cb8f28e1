"""`MeshDomain`: what a finite element mesh in the plane covers, bounded by its own named boundaries."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry.arrays import Array, Ids
from meshmove.geometry.curved import MidNodes
from meshmove.geometry.domains import Domain
from meshmove.geometry.domains.boundary import Boundary
from meshmove.geometry.domains.meshing.gmsh_engine import shells
from meshmove.geometry.domains.pieces import Segment
from meshmove.geometry.errors import UnsupportedMeshError
from meshmove.geometry.given import shown
from meshmove.geometry.mesh import CellMesh
from meshmove.meshes.registry import converter_for

__all__ = ["MeshDomain"]


#: how far the polyline of a curved edge may be from it, relative to the extent
CHORD = 1e-6
STRAIGHT = 1e-9


class MeshDomain(Domain):
    """The region that a mesh of the plane covers; boundary facets without a name are called "boundary".

    Edges in line are one segment. Curved edges of second-order meshes are drawn by polylines of up to 16 segments.

    Parameters
    ----------
    mesh
        Plain arrays, of triangles and quadrilaterals.
    prefer
        Names that win where a facet has several.

    Raises
    ------
    UnsupportedMeshError
        The mesh is not one of the plane, or periodic.

    >>> cells = CellMesh.single([[0, 0], [1, 0], [1, 1], [0, 1]], [[0, 1, 2, 3]], "quad", facets={"in": [[3, 0]]})
    >>> sorted(MeshDomain(cells).boundary_names), MeshDomain(cells).area
    (['boundary', 'in'], 1.0)
    """

    def __init__(self, mesh: CellMesh, prefer: tuple[str, ...] = ()) -> None:
        if mesh.dim != 2:
            raise UnsupportedMeshError(
                f"Expected a mesh in the plane (got one in {mesh.dim} dimensions, {mesh!r}); "
                "only problems in two dimensions, or in one and time, are solved"
            )
        if mesh.periodic is not None:
            raise UnsupportedMeshError("Expected a mesh that is not periodic (got one with pairs of periodic nodes)")
        self.mesh_arrays = mesh
        self._prefer = prefer

    @classmethod
    def of(cls, mesh: Any, prefer: tuple[str, ...] = ()) -> MeshDomain:
        """From a mesh of any library that meshmove knows."""
        if isinstance(mesh, CellMesh):
            return cls(mesh, prefer)
        dim = mesh.dim() if callable(getattr(mesh, "dim", None)) else None
        if dim not in (None, 2):  # also where its converter has no use for such a mesh
            raise UnsupportedMeshError(
                f"Expected a mesh in the plane (got {type(mesh).__name__} in {dim} dimensions); "
                "only problems in two dimensions, or in one and time, are solved"
            )
        try:
            converter = converter_for(mesh)
        except UnsupportedMeshError as why:
            shapes = "a shape such as Rectangle or Disk, an Interval with time=, or a mesh"
            raise UnsupportedMeshError(f"Expected {shapes} (got {shown(mesh)}). {why}") from None
        return cls(converter.read(mesh), prefer)

    def part(self, cells: NDArray[np.bool_]) -> MeshDomain:
        """What some of the cells (n_cells,) cover."""
        mesh, ends = self.mesh_arrays, np.cumsum([len(block) for block in self.mesh_arrays.blocks])
        kept = zip(mesh.blocks, np.split(cells, ends[:-1]), strict=True)
        blocks = tuple(
            replace(block, nodes=block.nodes[own], second_nodes=None if second is None else second[own])
            for block, own in kept
            if own.any()
            for second in [block.second_nodes]
        )
        return MeshDomain(replace(mesh, blocks=blocks, facets={}, regions=None, labels={}, region_names=()))

    def _build(self) -> Boundary:
        mesh = self.mesh_arrays
        edges = _outline(mesh)
        labels = _labels(mesh, edges, self._prefer)
        x = mesh.points.T
        bulges = _bulges(mesh, edges)
        pieces: list[Segment] = []
        for shell in shells(x, edges):
            for loop in shell:
                pieces += _loop(x, edges[loop], labels[loop], bulges[loop], CHORD * mesh.extent)
        return Boundary(tuple(pieces))

    def __repr__(self) -> str:
        return f"MeshDomain({self.mesh_arrays!r}, boundaries: {', '.join(self.boundary_names)})"


def _outline(mesh: CellMesh) -> Ids:
    """Edges (e, 2) of one cell only, the cell on their left."""
    directed = []
    for block in mesh.blocks:
        nodes = block.nodes
        x, y = mesh.points[nodes].transpose(2, 0, 1)
        area = (x * np.roll(y, -1, axis=1) - np.roll(x, -1, axis=1) * y).sum(axis=1)
        nodes = np.where(area[:, None] < 0, nodes[:, ::-1], nodes)
        directed.append(np.stack([nodes, np.roll(nodes, -1, axis=1)], axis=2).reshape(-1, 2))
    edges = np.concatenate(directed)
    n = mesh.n_points
    there, back = edges[:, 0] * n + edges[:, 1], edges[:, 1] * n + edges[:, 0]
    return edges[~np.isin(there, back)]


def _labels(mesh: CellMesh, edges: Ids, prefer: tuple[str, ...]) -> NDArray[np.str_]:
    n = mesh.n_points
    keys = np.sort(edges, axis=1) @ np.array([n, 1])
    names = [k for k in mesh.facets if k not in prefer] + [k for k in reversed(prefer) if k in mesh.facets]
    labels = np.full(len(edges), "boundary", dtype=object)
    for name in names:
        facets = np.sort(np.asarray(mesh.facets[name])[:, :2].reshape(-1, 2), axis=1)
        labels[np.isin(keys, facets @ np.array([n, 1]))] = name
    return labels


def _bulges(mesh: CellMesh, edges: Ids) -> Array:
    """By how much the middle of each edge is off its chord, (e, 2)."""
    out = np.zeros((len(edges), 2))
    middle = MidNodes(mesh)
    if not middle.curved:
        return out
    n = mesh.n_points
    keys = np.sort(middle.ends, axis=1) @ np.array([n, 1])
    order = np.argsort(keys)
    wanted = np.sort(edges, axis=1) @ np.array([n, 1])
    at = np.searchsorted(keys[order], wanted).clip(max=len(keys) - 1)
    found = keys[order][at] == wanted
    out[found] = middle.bulge[order[at[found]]]
    return out


def _loop(x: Array, edges: Ids, labels: NDArray, bulges: Array, chord: float) -> list[Segment]:
    """Segments along one closed loop, those in line and of one name joined."""
    size = np.linalg.norm(bulges, axis=1)
    count = np.where(size > 0, np.ceil(np.sqrt(size / chord)).clip(2, 16), 1).astype(int)
    owner = np.repeat(np.arange(len(edges)), count)
    s = (np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)) / count[owner]
    a, b = x[:, edges[owner, 0]], x[:, edges[owner, 1]]
    p = (1 - s) * a + s * b + 4 * s * (1 - s) * bulges[owner].T
    names = labels[owner]
    d = np.roll(p, -1, axis=1) - p
    d /= np.linalg.norm(d, axis=0)
    before = np.roll(d, 1, axis=1)
    turn = np.abs(before[0] * d[1] - before[1] * d[0]) > STRAIGHT
    corner = np.flatnonzero(turn | (names != np.roll(names, 1)) | ((before * d).sum(0) < 0))
    ends = [(float(u), float(v)) for u, v in p[:, corner].T]
    return [Segment(u, v, str(k)) for u, v, k in zip(ends, [*ends[1:], *ends[:1]], names[corner], strict=True)]
