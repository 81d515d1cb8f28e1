"""Are cells valid? Not at their corners or at a few points: everywhere, by bounds on the Jacobian determinant.

A cell is *valid* when the determinant of the map from its reference cell has one sign on all of the closed cell. Where
its Bernstein coefficients do not say so at once, the cell is subdivided until they do, see `bernstein` and
`curvilinear`. Triangles and tetrahedra have one determinant, quadrilaterals one that is linear, and that of a pyramid
is bilinear in the coordinates of its base (the tangent planes of a bilinear patch have bilinear distances from a
point): for these the determinants at the corners are all that there is to know.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry.arrays import Array, Ids

from .cells.bernstein import NEGATIVE, POSITIVE, TOUCHING
from .cells.curvilinear import QUADRATIC, Curvilinear, curvilinear
from .mesh import CellMesh
from .quality import corner_volumes

__all__ = ["NEGATIVE", "POSITIVE", "TOUCHING", "Validity", "inverted_cells"]


#: linear kinds of which the corners say all
CORNERS_SUFFICE = ("triangle", "quad", "tetra", "pyramid")
#: corners of which no more than this share of their volume is left are flat: their sign is one of rounding
FLAT = 1e-12


class Validity:
    """Whether the cells of `mesh` are valid, and whether they still are when their nodes have moved.

    >>> mesh = CellMesh.single([[0, 0], [1, 0], [0, 1]], [[0, 1, 2]], "triangle")
    >>> Validity(mesh).state, Validity(mesh).lost(np.array([[0, 0], [1, 0], [0, -1.0]]))
    (array([1]), array([0]))
    """

    def __init__(self, mesh: CellMesh) -> None:
        self._mesh = mesh
        volume = corner_volumes(mesh)
        self._corners, self._flat = np.sign(volume), FLAT * np.abs(volume)
        #: sign (n_cells,) of the determinant of each cell: meshes mix orientations
        self.sign = np.where(np.bincount(mesh.corners[1], self._corners, mesh.n_cells) < 0, -1.0, 1.0)
        self._parts = list(_parts(mesh))

    @cached_property
    def _rest(self) -> list[NDArray[np.int64]]:
        return [p.state(self._mesh.points, self._mesh.nodes, self.sign) for p in self._parts]

    @property
    def inner(self) -> list[tuple[slice, Ids, Curvilinear, Array]]:
        """Of the cells whose corners do not say all, block by block: which they are, vertices, rule and signs.

        Empty where cells are valid, mid-side nodes aside, as soon as they are at their corners.
        """
        return [(p.cells, p.ids, p.rule, self.sign[p.cells]) for p in self._parts if not p.second]

    @cached_property
    def straight(self) -> NDArray[np.int64]:
        """POSITIVE, TOUCHING or NEGATIVE (n_cells,): what the cells of the vertices alone are."""
        return self._state(second=False)

    @cached_property
    def state(self) -> NDArray[np.int64]:
        """The same with mid-side nodes: valid, valid but for points where the determinant is zero, and invalid."""
        return self._state(second=True)

    def _state(self, second: bool) -> NDArray[np.int64]:
        simplices = self.sign[self._mesh.corners[1]] * self._corners
        out = np.full(self._mesh.n_cells, POSITIVE)
        np.minimum.at(out, self._mesh.corners[1], simplices.astype(np.int64))
        for part, state in zip(self._parts, self._rest, strict=True):
            if second or not part.second:
                np.minimum(out[part.cells], state, out=out[part.cells])
        return out

    def lost(self, points: Array, nodes: Array | None = None) -> Ids:
        """Cells that have lost the sign they have in the mesh somewhere, with vertices at `points` (n, dim).

        With `nodes` (n_nodes, dim) curved cells are judged with their mid-side nodes, too. A cell that was valid is
        lost unless it still is; one that touched zero is, unless it does no worse; NaN is lost.
        """
        bad = np.zeros(self._mesh.n_cells, bool)
        bad[self._mesh.corners[1][~self._kept(points)]] = True
        for part, rest in zip(self._parts, self._rest, strict=True):
            if not part.second or nodes is not None:
                bad[part.cells] |= part.state(points, nodes, self.sign) < rest
        return np.flatnonzero(bad)

    def _kept(self, points: Array) -> NDArray[np.bool_]:
        """Corners (s,) that have kept their sign, and more of their volume than rounding leaves."""
        return self._corners * corner_volumes(self._mesh, points) > self._flat

    def keeps(self, points: Array) -> bool:
        """Whether no cell has lost its sign, mid-side nodes aside."""
        if not self._kept(points).all():
            return False
        parts = zip(self._parts, self._rest, strict=True)
        return all(p.second or bool((p.state(points, None, self.sign) >= rest).all()) for p, rest in parts)


@dataclass(frozen=True, eq=False)
class _Part:
    """Cells of one block; their nodes `ids` (m, v) are vertices, or all nodes where they are of second order."""

    cells: slice
    ids: Ids
    rule: Curvilinear
    parents: tuple[tuple[int, ...], ...] = ()

    @property
    def second(self) -> bool:
        return bool(self.parents)

    def state(self, points: Array, nodes: Array | None, sign: Array) -> NDArray[np.int64]:
        x = (nodes if self.second and nodes is not None else points)[self.ids]
        if not self.second:
            return self._judged(x, sign[self.cells])
        out = np.full(len(x), POSITIVE)
        curved = ~self._are_straight(x)
        out[curved] = self._judged(x[curved], sign[self.cells][curved])
        return out

    def _judged(self, x: Array, sign: Array) -> NDArray[np.int64]:
        with np.errstate(all="ignore"):  # positions may be wild; what is not finite is not valid
            return self.rule.determinant.signs(self.rule.coefficients(x) * sign[:, None])

    def _are_straight(self, x: Array) -> NDArray[np.bool_]:
        """Cells whose mid-side nodes are where those of the linear cell are: its corners or itself are judged."""
        first = x.shape[1] - len(self.parents)
        off = np.stack([x[:, first + k] - x[:, p].mean(axis=1) for k, p in enumerate(map(list, self.parents))])
        limit = 4 * np.finfo(float).eps * np.abs(x).max(axis=(1, 2), initial=0)
        return np.abs(off).max(axis=(0, 2), initial=0) <= limit


def _parts(mesh: CellMesh) -> Iterator[_Part]:
    first = 0
    for block in mesh.blocks:
        cells = slice(first, first + len(block))
        first += len(block)
        if block.kind.name not in CORNERS_SUFFICE:
            yield _Part(cells, block.nodes, curvilinear(block.kind.name))
        if block.second is not None and block.second_nodes is not None and mesh.nodes is not None:
            yield _Part(cells, block.second_nodes, curvilinear(block.second), QUADRATIC[block.second][1])


def inverted_cells(mesh: CellMesh, points: Array, nodes: Array | None = None) -> Ids:
    """Ids of cells of which the Jacobian determinant has lost, somewhere, the sign that it has in `mesh`.

    Counted against the original sign, since meshes mix orientations. With `nodes` (n_nodes, dim), the positions of all
    nodes, second-order cells are judged as the curved cells that they are.

    >>> mesh = CellMesh.single([[0, 0], [1, 0], [0, 1]], [[0, 1, 2]], "triangle")
    >>> inverted_cells(mesh, np.array([[0, 0], [1, 0], [0, -1.0]]))
    array([0])
    """
    return Validity(mesh).lost(points, nodes)
