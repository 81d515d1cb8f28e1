"""Second-order fields: values at vertices and mid-side nodes, evaluated anywhere.

On a cell the field is the multilinear interpolant of its vertices plus a bubble for every further node,

    u(x) = sum_v N_v u_v + sum_e B_e s_e + sum_f B_f s_f + B_c s_c,

where s is what a node of an edge, a face or the middle has beyond what the sums before it give there. On triangles and
tetrahedra this is the quadratic Lagrange element, on quadrilaterals and hexahedra the serendipity one, or with nodes on
faces and in the middle the bi- and triquadratic one (Zienkiewicz, Taylor, Zhu: The Finite Element Method, hierarchical
shape functions).
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry.cells import CellKind
from meshmove.geometry.location import Location, PointLocator
from meshmove.geometry.mesh import CellBlock, CellMesh

__all__ = ["SecondOrder"]

Array = NDArray[np.float64]
Ids = NDArray[np.int64]

#: on curved cells a point's place in the straight cell is found by so many fixed-point steps
ROUNDS = 4
#: points evaluated together: their temporaries stay small
CHUNK = 1 << 15


class SecondOrder:
    """Evaluates nodal fields (n_nodes, k) of a mesh of second order at points.

    Exact for quadratic fields on straight simplices, parallelograms and parallelepipeds, up to the bounds: no value
    leaves the range of the nodes of its cell.

    Parameters
    ----------
    mesh
        With `lift` and `nodes`.
    vertex_nodes
        The node (n_vertices,) of each vertex.
    locator
        Of `mesh`.
    """

    def __init__(self, mesh: CellMesh, vertex_nodes: Ids, locator: PointLocator) -> None:
        self._mesh, self._locator = mesh, locator
        self._parts = [_Part(mesh, block, vertex_nodes) for block in mesh.blocks]
        self._first = np.cumsum([0, *(len(b) for b in mesh.blocks)])

    def find(self, points: Array) -> Location:
        """Where points (m, dim) lie: in the straight cells, at the place that the curved ones take there."""
        where = self._locator.find(points.T)
        if self._places is None:
            return where
        for _ in range(ROUNDS):
            bulge = self._evaluated(where, self._places, bounded=False) - where.interpolate(self._mesh.points)
            where = self._locator.find((points - bulge).T, guess=where.cells)
        return where

    def at(self, values: Array, where: Location) -> Array:
        """Nodal values (n_nodes, k) at places: (m, k), each within the range of the nodes of its cell."""
        return self._evaluated(where, values, bounded=True)

    @cached_property
    def _places(self) -> Array | None:
        """Coordinates of all nodes, where some are not in the middle."""
        mesh = self._mesh
        assert mesh.lift is not None and mesh.nodes is not None
        further = np.diff(mesh.lift.indptr) > 1
        off = mesh.nodes[further] - (mesh.lift @ mesh.points)[further]
        return mesh.nodes if np.abs(off).max(initial=0) > 1e-10 * mesh.extent else None

    def _evaluated(self, where: Location, values: Array, bounded: bool) -> Array:
        out = np.empty((len(where.cells), values.shape[1]))
        block = np.searchsorted(self._first, where.cells, side="right") - 1
        for k, part in enumerate(self._parts):
            rows = np.flatnonzero(block == k)
            for some in np.array_split(rows, len(rows) // CHUNK + 1):
                cells = where.cells[some] - self._first[k]
                out[some] = part.evaluated(cells, where.weights[some, : part.count], values, bounded)
        return out


class _Part:
    """The cells of one block, with the nodes (-1: none) of their edges, faces and middles."""

    def __init__(self, mesh: CellMesh, block: CellBlock, vertex_nodes: Ids) -> None:
        self.count = block.kind.vertices
        groups = [_edges(block.kind), _faces(block.kind), _middle(block.kind)]
        found = [(group, _further_nodes(mesh, block.nodes, group)) for group in groups if group]
        self._groups = [(group, nodes) for group, nodes in found if (nodes >= 0).any()]
        self._vertices = vertex_nodes[block.nodes]

    def evaluated(self, cells: Ids, weights: Array, values: Array, bounded: bool) -> Array:
        u = values[self._vertices[cells]]
        out = np.einsum("mv,mvk->mk", weights, u)
        low, high = u.min(axis=1), u.max(axis=1)
        before: list[tuple[tuple[_Bubble, ...], Array]] = []
        for group, nodes in self._groups:
            node = nodes[cells]
            here = values[node]
            centres = np.stack([_centre(bubble, self.count) for bubble in group])
            surplus = here - np.einsum("ev,mvk->mek", centres, u)
            for other, more in before:
                surplus -= np.einsum("eb,mbk->mek", _bubbles(other, centres), more)
            absent = (node < 0)[:, :, None]
            surplus[np.broadcast_to(absent, surplus.shape)] = 0
            out += np.einsum("me,mek->mk", _bubbles(group, weights), surplus)
            before.append((group, surplus))
            low = np.minimum(low, np.where(absent, np.inf, here).min(axis=1))
            high = np.maximum(high, np.where(absent, -np.inf, here).max(axis=1))
        return np.clip(out, low, high) if bounded else out


# A bubble: the vertices of its edge, face or cell; those of them whose weights are multiplied; those whose sum it is
# divided by; and the factor that makes it one in the middle.
_Bubble = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], float]


def _edges(kind: CellKind) -> tuple[_Bubble, ...]:
    """4 N_a N_b / (the sum of N over what the edge's quadratic runs through)."""
    everything = tuple(range(kind.vertices))
    out = []
    for a, b in kind.edges.tolist():
        among: tuple[int, ...] = (a, b)
        if kind.is_simplex or (kind.name == "pyramid" and b == 4):
            among = everything
        elif kind.name == "pyramid":
            among = (a, b, 4)
        elif kind.name == "wedge" and a // 3 == b // 3:
            among = (0, 1, 2) if a < 3 else (3, 4, 5)
        out.append(((a, b), (a, b), among, 4.0))
    return tuple(out)


def _faces(kind: CellKind) -> tuple[_Bubble, ...]:
    if kind.name != "hexahedron":
        return ()
    return tuple((f, (f[0], f[2]), f, 16.0) for f in kind.facets)


def _middle(kind: CellKind) -> tuple[_Bubble, ...]:
    everything = tuple(range(kind.vertices))
    if kind.name == "triangle":
        return ((everything, everything, everything, 27.0),)
    opposite = {"quad": ((0, 2), 16.0), "hexahedron": ((0, 6), 64.0)}.get(kind.name)
    return ((everything, opposite[0], everything, opposite[1]),) if opposite else ()


def _bubbles(group: tuple[_Bubble, ...], weights: Array) -> Array:
    """Values (m, e) of bubbles where vertices have weights (m, v)."""
    columns = []
    for _, factors, among, scale in group:
        top, bottom = weights[:, factors].prod(axis=1), weights[:, among].sum(axis=1)
        columns.append(scale * np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0))
    return np.stack(columns, axis=1)


def _centre(bubble: _Bubble, count: int) -> Array:
    out = np.zeros(count)
    out[list(bubble[0])] = 1 / len(bubble[0])
    return out


def _further_nodes(mesh: CellMesh, cells: Ids, group: tuple[_Bubble, ...]) -> Ids:
    """The node (m, e) that stands in the middle of each cell's edges, faces or in its own; -1 where there is none."""
    assert mesh.lift is not None
    size = len(group[0][0])
    ids = np.flatnonzero(np.diff(mesh.lift.indptr) == size)
    parents = mesh.lift.indices[mesh.lift.indptr[ids][:, None] + np.arange(size)].astype(np.int64)
    wanted = np.concatenate([cells[:, bubble[0]] for bubble in group])
    both = np.sort(np.concatenate([parents, wanted]), axis=1)
    if size == 2:
        key = both[:, 0] * mesh.n_points + both[:, 1]
    else:
        key = np.unique(both, axis=0, return_inverse=True)[1].reshape(-1)
    known, asked = key[: len(ids)], key[len(ids) :]
    order = np.argsort(known)
    at = np.searchsorted(known[order], asked).clip(max=max(len(ids) - 1, 0))
    out = np.full(len(asked), -1, np.int64)
    if len(ids):
        hit = known[order][at] == asked
        out[hit] = ids[order[at[hit]]]
    return out.reshape(len(group), len(cells)).T
