"""What is seen of a mesh in space: its faces, coloured, and edges that fade where cells are small in the picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry import CellMesh
from meshmove.geometry.arrays import Array
from meshmove.optional import require

from .view import in_space

__all__ = ["CLEAR", "FAINT", "INK", "STRONG", "Skin", "counted", "fading"]

#: pixels across a cell up to which its edges are left out, and from which on they are drawn in full
FAINT, CLEAR = 3.0, 12.0
#: opacity of edges in full, and their grey
STRONG, INK = 0.8, 32


def fading(across: Array) -> Array:
    """Opacity of an edge whose smaller cell is `across` pixels wide."""
    return STRONG * np.clip((across - FAINT) / (CLEAR - FAINT), 0, 1)


class Skin:
    """The whole of a plane mesh; of a volume mesh the surface of the cells whose centre is beyond a plane.

    `faces` and `edges` are `pyvista.PolyData`, `ids` the vertices that they have. When the mesh moves on, the cells
    stay the same: so one sees where a sheet of them goes.
    """

    def __init__(self, cells: CellMesh, plane: tuple[int, float] | None) -> None:
        pyvista = require("pyvista", extra="pyvista")
        self.cells = cells
        polygons, owners = _whole(cells) if cells.dim == 2 else _outside(cells, plane)
        used = np.unique(np.concatenate([p.ravel() for p in polygons]))
        self.ids, self._owner = used, np.concatenate(owners)
        self._polygons = [np.searchsorted(used, p) for p in polygons]
        points = np.zeros((len(used), 3))
        self.faces = pyvista.PolyData(points, np.concatenate([counted(p).ravel() for p in self._polygons]))
        pairs = [np.stack([p, np.roll(p, -1, axis=1)], axis=2).reshape(-1, 2) for p in self._polygons]
        every = np.sort(np.concatenate(pairs), axis=1)
        self._lines, self._edge_of = np.unique(every, axis=0, return_inverse=True)
        self.edges = pyvista.PolyData(points.copy(), lines=counted(self._lines).ravel())
        self.edges["rgba"] = np.zeros((len(self._lines), 4), np.uint8)

    def wear(self, points: Array, shown: NDArray | None, toward: Array, unit: float) -> None:
        """Take the positions (n, dim) and values, a vertex or a cell each; `unit`: pixels in a unit of length towards
        the viewer."""
        points = in_space(points)[self.ids]
        self.faces.points = points
        self.edges.points = points + self._ahead(points) * toward
        if shown is not None and len(shown) == self.cells.n_points:
            self.faces.point_data["shown"] = shown[self.ids]
        elif shown is not None:
            self.faces.cell_data["shown"] = shown[self._owner]
        self.edges["rgba"] = self._inked(points, unit)

    def _ahead(self, points: Array) -> float:
        """How far edges are in front of what they outline."""
        return 6e-3 * float(np.ptp(points, axis=0).max())

    def _inked(self, points: Array, unit: float) -> NDArray[np.uint8]:
        """Colours (n, 4) of the edges, for positions (p, 3) of the vertices `ids`."""
        across = np.concatenate([np.repeat(np.sqrt(_areas(points, p)), p.shape[1]) for p in self._polygons])
        least = np.full(len(self._lines), np.inf)
        np.minimum.at(least, self._edge_of.ravel(), unit * across)
        rgba = np.zeros((len(least), 4), np.uint8)
        rgba[:, :3] = INK
        rgba[:, 3] = np.rint(255 * fading(least))
        return rgba


def _areas(points: Array, polygons: NDArray) -> Array:
    """Of triangles or quadrilaterals (n,): half the cross product of their diagonals."""
    x = points[polygons]
    one, other = (x[:, 1] - x[:, 0], x[:, 2] - x[:, 0]) if x.shape[1] == 3 else (x[:, 2] - x[:, 0], x[:, 3] - x[:, 1])
    return 0.5 * np.linalg.norm(np.cross(one, other), axis=1)


def _whole(cells: CellMesh) -> tuple[list[NDArray], list[NDArray]]:
    """The cells of a plane mesh, and their numbers."""
    ends = np.cumsum([0, *(len(b) for b in cells.blocks)])
    return [np.asarray(b.nodes) for b in cells.blocks], [
        np.arange(a, b) for a, b in zip(ends[:-1], ends[1:], strict=True)
    ]


def _outside(cells: CellMesh, plane: tuple[int, float] | None) -> tuple[list[NDArray], list[NDArray]]:
    """Triangles (n, 3) and quadrilaterals (m, 4) about the cells whose centre is beyond a plane, if there are any, and
    the cell that each belongs to."""
    axis, at = (0, -np.inf) if plane is None else plane
    centres = [cells.points[b.nodes].mean(axis=1)[:, axis] for b in cells.blocks]
    beyond = any((c > at).any() for c in centres)
    found: dict[int, list[tuple[NDArray, NDArray]]] = {}
    first = 0
    for block, centre in zip(cells.blocks, centres, strict=True):
        inside = np.flatnonzero(centre > at) if beyond else np.arange(len(block))
        for face in block.kind.facets:
            found.setdefault(len(face), []).append((block.nodes[inside][:, list(face)], first + inside))
        first += len(block)
    polygons, owners = [], []
    for parts in found.values():
        faces, owner = (np.concatenate(part) for part in zip(*parts, strict=True))
        _, once, count = np.unique(np.sort(faces, axis=1), axis=0, return_index=True, return_counts=True)
        keep = once[count == 1]
        if len(keep):
            polygons.append(faces[keep])
            owners.append(owner[keep])
    return polygons, owners


def counted(rows: NDArray) -> NDArray:
    """Rows with their length before them, as VTK has it."""
    return np.column_stack([np.full(len(rows), rows.shape[1]), rows])
