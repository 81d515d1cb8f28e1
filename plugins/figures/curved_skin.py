"""What is seen of a mesh of second order: faces and edges bent as they are, values of second order between nodes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry import CellMesh
from meshmove.geometry.arrays import Array, Ids
from meshmove.geometry.cells.curvilinear import QUADRATIC, curvilinear
from meshmove.optional import require

from .skin import Skin, counted
from .view import in_space

__all__ = ["CurvedSkin", "is_curved"]


#: parts that each side of a cell is drawn in: an arc of a right angle strays by 0.5 % of its radius from four chords
PARTS = 4


def is_curved(cells: CellMesh) -> bool:
    """Whether all cells are of second order, with nodes that are known."""
    return cells.nodes is not None and all(b.second in QUADRATIC for b in cells.blocks)


class CurvedSkin(Skin):
    """A `Skin` whose faces and edges are drawn in parts; positions and values are those of all nodes of the mesh."""

    def __init__(self, cells: CellMesh, plane: tuple[int, float] | None) -> None:
        super().__init__(cells, plane)
        pyvista = require("pyvista", extra="pyvista")
        middles, self._vertex = _middles(cells), cells.vertex_nodes
        self._bent, faces, parents, first = [], [], [], 0
        for polygons in self._polygons:
            nodes, shape, parts = self._patches(self.ids[polygons], middles)
            self._bent.append((nodes, shape))
            start = first + len(shape) * np.arange(len(nodes))
            faces.append(counted((start[:, None, None] + parts).reshape(-1, parts.shape[1])).ravel())
            parents.append(np.full(len(nodes), len(parts)))
            first += len(shape) * len(nodes)
        self.faces = pyvista.PolyData(np.zeros((first, 3)), np.concatenate(faces))
        self._owner = np.repeat(self._owner, np.concatenate(parents))
        ends = self.ids[self._lines]
        t = np.linspace(0, 1, PARTS + 1)
        shape = np.stack([(1 - t) * (1 - 2 * t), t * (2 * t - 1), 4 * t * (1 - t)], axis=1)
        self._bent_edges = np.column_stack([self._vertex[ends], _found(middles, ends)]), shape
        chains = np.arange(len(ends) * len(t)).reshape(len(ends), -1)
        self.edges = pyvista.PolyData(np.zeros((chains.size, 3)), lines=counted(chains).ravel())
        self.edges["rgba"] = np.zeros((len(ends), 4), np.uint8)

    def _patches(self, polygons: Ids, middles: dict[int, tuple[Ids, Ids]]) -> tuple[Ids, Array, Ids]:
        """Nodes (n, k) of faces, shape functions (p, k) at the points that each is drawn with, and parts (m, 3 or 4) of
        these."""
        corners = polygons.shape[1]
        kinds = ("triangle6", "triangle7") if corners == 3 else ("quad8", "quad9")
        sides = QUADRATIC[kinds[0]][1]
        nodes = [self._vertex[polygons], *(_found(middles, polygons[:, list(p)])[:, None] for p in sides)]
        centre = _found(middles, polygons)[:, None]
        known = bool((centre >= 0).all())
        x, parts = _lattice(corners)
        shape: Array = np.asarray(curvilinear(kinds[known]).values(x).T, float)
        return np.hstack([*nodes, centre] if known else nodes), shape, parts

    def wear(self, points: Array, shown: NDArray | None, toward: Array, unit: float) -> None:
        """As `Skin.wear`, of nodes: positions (n_nodes, dim), and values a node or a cell each."""
        points = in_space(points)
        at = points[self._vertex[self.ids]]
        self.faces.points = _of(self._bent, points)
        self.edges.points = _of([self._bent_edges], points) + self._ahead(at) * toward
        if shown is not None and len(shown) == len(points):
            self.faces.point_data["shown"] = _of(self._bent, shown[:, None])[:, 0]
        elif shown is not None:
            self.faces.cell_data["shown"] = shown[self._owner]
        self.edges["rgba"] = self._inked(at, unit)


def _of(patches: list[tuple[Ids, Array]], values: NDArray) -> NDArray:
    """Values (p, k) at all points that patches are drawn with, of those at nodes (n_nodes, k)."""
    parts = [np.einsum("pv,nvk->npk", shape, values[nodes]).reshape(-1, values.shape[1]) for nodes, shape in patches]
    return np.concatenate(parts)


def _middles(cells: CellMesh) -> dict[int, tuple[Ids, Ids]]:
    """The nodes in the middle of edges and faces, by number of vertices: sorted vertices (m, k), and nodes (m,)."""
    rows: dict[int, list[Ids]] = {}
    nodes: dict[int, list[Ids]] = {}
    for block in cells.blocks:
        assert block.second is not None and block.second_nodes is not None
        for k, around in enumerate(QUADRATIC[block.second][1], start=block.nodes.shape[1]):
            rows.setdefault(len(around), []).append(np.sort(block.nodes[:, list(around)], axis=1))
            nodes.setdefault(len(around), []).append(block.second_nodes[:, k])
    return {k: (np.concatenate(rows[k]), np.concatenate(nodes[k])) for k in rows}


def _found(middles: dict[int, tuple[Ids, Ids]], asked: Ids) -> Ids:
    """The nodes (n,) in the middle of vertices (n, k); -1 where there is none."""
    if asked.shape[1] not in middles:
        return np.full(len(asked), -1)
    rows, nodes = middles[asked.shape[1]]
    number = np.unique(np.concatenate([rows, np.sort(asked, axis=1)]), axis=0, return_inverse=True)[1].ravel()
    table = np.full(number.max() + 1, -1)
    table[number[: len(rows)]] = nodes
    return table[number[len(rows) :]]


def _lattice(corners: int) -> tuple[Array, Ids]:
    """Reference points (2, p) of a triangle or a quadrilateral, and its parts (m, corners)."""
    i, j = (k.ravel() for k in np.meshgrid(*[np.arange(PARTS + 1)] * 2, indexing="ij"))
    number = np.arange(len(i)).reshape(PARTS + 1, -1)
    quads = np.stack([number[:-1, :-1], number[1:, :-1], number[1:, 1:], number[:-1, 1:]], axis=2).reshape(-1, 4)
    x = np.stack([i, j]) / PARTS
    if corners == 4:
        return x, quads
    triangles = np.concatenate([quads[:, [0, 1, 3]], quads[:, [1, 2, 3]]])
    within = i + j <= PARTS
    kept = triangles[within[triangles].all(axis=1)]
    return x[:, within], np.searchsorted(np.flatnonzero(within), kept)
