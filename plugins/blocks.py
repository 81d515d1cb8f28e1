"""From a library's cell blocks to a `CellMesh`, and from displacements to new coordinates.

Shared by the converters: they only say which arrays a mesh holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from meshmove.geometry.arrays import Ids
from meshmove.geometry.cells import KINDS
from meshmove.geometry.cells.curvilinear import QUADRATIC
from meshmove.geometry.errors import InvalidMeshError, UnsupportedMeshError, first_ids
from meshmove.geometry.mesh import CellBlock, CellMesh
from meshmove.geometry.plane import PlaneFrame, flatten
from meshmove.meshes.regions import BLOCKS, select

__all__ = ["Block", "assemble", "displaced", "frame_of", "plain_fields", "top_blocks"]


SUPPORTED = (*KINDS, *QUADRATIC)


@dataclass(frozen=True, eq=False)
class Block:
    """Cells of one kind as a library holds them: meshio's name, node ids (m, k) in VTK order, dimension."""

    name: str
    nodes: NDArray
    dim: int

    def __len__(self) -> int:
        return len(self.nodes)

    @property
    def linear(self) -> str | None:
        """The linear kind with the same vertices; None where the kind is not supported."""
        return self.name if self.name in KINDS else QUADRATIC.get(self.name, (None,))[0]

    @property
    def corners(self) -> Ids:
        """Vertices (m, v) without mid-side nodes; also of lines."""
        count = 2 if self.dim == 1 else KINDS[self.linear].vertices if self.linear else 0
        return np.asarray(self.nodes)[:, :count]


#: what makes cells of kinds that are not taken into others
_CONVERT = dict.fromkeys(
    ("wedge18", "pyramid14"),
    "Set Mesh.SecondOrderIncomplete = 1 in Gmsh, which then makes them without nodes amid their faces",
)


def top_blocks(blocks: Sequence[Block], n_nodes: int, hint: str = "") -> list[int]:
    """Positions of the blocks whose cells are moved: those of the highest dimension.

    Raises
    ------
    InvalidMeshError
        There are no cells, or they name nodes that do not exist.
    UnsupportedMeshError
        The cells of the highest dimension are lines or points, or of a kind that is not supported.
    """
    filled = [i for i, b in enumerate(blocks) if len(b)]
    if not filled or not n_nodes:
        raise InvalidMeshError(
            f"Expected a mesh with cells (got an empty mesh: {n_nodes} nodes and no cells that use them)"
        )
    top = max(blocks[i].dim for i in filled)
    chosen = [i for i in filled if blocks[i].dim == top]
    names = ", ".join(dict.fromkeys(blocks[i].name for i in chosen))
    if top < 2:
        raise UnsupportedMeshError(
            f"Expected cells of dimension 2 or 3 (got a mesh whose highest cells are {names}). 1-D meshes are not moved"
        )
    unknown = dict.fromkeys(blocks[i].name for i in chosen if blocks[i].linear is None)
    if unknown:
        raise UnsupportedMeshError(
            f"Expected cells of the kinds {', '.join(SUPPORTED)} (got {', '.join(unknown)}). "
            + (hint or _CONVERT.get(next(iter(unknown)), "Split or convert these cells first"))
        )
    for i in chosen:
        nodes = np.asarray(blocks[i].nodes)
        bad = np.flatnonzero(((nodes < 0) | (nodes >= n_nodes)).any(axis=1))
        if len(bad):
            raise InvalidMeshError(
                f"Expected node ids from 0 to {n_nodes - 1} in {blocks[i].name} cells "
                f"(got others in {len(bad)} cells: {first_ids(bad)})"
            )
    return chosen


def frame_of(points: NDArray, blocks: Sequence[Block], top: Sequence[int]) -> PlaneFrame | None:
    """The plane of 2-D cells held in 3-D coordinates; None where coordinates have the cells' dimension."""
    dim, space = blocks[top[0]].dim, points.shape[1]
    used = np.zeros(len(points), bool)
    for i in top:
        used[np.asarray(blocks[i].nodes).ravel()] = True
    bad = np.flatnonzero(used & ~np.isfinite(points).all(axis=1))
    if len(bad):
        raise InvalidMeshError(
            f"Expected finite coordinates (got NaN or infinity at {len(bad)} nodes: {first_ids(bad)})"
        )
    if space == dim:
        return None
    if (space, dim) == (3, 2):
        return flatten(points[used])[1]
    raise InvalidMeshError(f"Expected {dim}-D cells to have {dim} coordinates a node (got {space})")


def assemble(
    points: NDArray,
    blocks: Sequence[Block],
    *,
    sets: Mapping[str, Sequence[NDArray | None]] | None = None,
    labels: Mapping[str, Sequence[NDArray]] | None = None,
    facets: Mapping[str, NDArray] | None = None,
    periodic: NDArray | None = None,
    by_block: bool = False,
    hint: str = "",
) -> CellMesh:
    """The `CellMesh` of a library's blocks.

    Parameters
    ----------
    points
        Node coordinates (n_nodes, 2 or 3).
    blocks
        All cells; those of the highest dimension are moved.
    sets
        Name -> ids of its cells in each block. Cells one dimension lower make a named boundary, cells of the
        highest dimension a subdomain.
    labels
        Numbers by name, an array per block: what may tell subdomains apart.
    facets
        Named boundaries given directly, as node ids (f, k), -1 where a triangle stands among quadrilaterals.
    periodic
        Pairs of nodes (k, 2).
    by_block
        Whether consecutive blocks of cells of one type may be subdomains.
    hint
        What to do about cells of a kind that is not supported.
    """
    points = np.asarray(points)
    top = top_blocks(blocks, len(points), hint)
    frame = frame_of(points, blocks, top)
    dim, n = blocks[top[0]].dim, len(points)

    vertex = np.zeros(n, bool)
    for i in top:
        vertex[blocks[i].corners.ravel()] = True
    ids = np.flatnonzero(vertex)
    number = np.full(n + 1, -1, np.int64)  # the last entry keeps a padding of -1
    number[ids] = np.arange(len(ids))

    named = {name: number[np.asarray(f, np.int64)] for name, f in (facets or {}).items()}
    for name, members in (sets or {}).items():
        found = [blocks[i].corners[m] for i, m in enumerate(members) if _has(m) and blocks[i].dim == dim - 1]
        found = [number[f] for f in found if f.shape[1]]
        if found:
            both = _stack(found)
            named[name] = _stack([named[name], both]) if name in named else both
    named = {name: f[(f[:, :dim] >= 0).all(axis=1)] for name, f in named.items()}

    pairs = None
    if periodic is not None:
        pairs = number[np.asarray(periodic, np.int64).reshape(-1, 2)]
        pairs = np.unique(pairs[(pairs >= 0).all(axis=1) & (pairs[:, 0] != pairs[:, 1])], axis=0)
    cells = CellMesh(
        frame.project(points[ids]) if frame else points[ids],
        tuple(_cells(blocks[i], number) for i in top),
        facets=named,
        labels=_labels(blocks, top, sets or {}, labels or {}, by_block),
        periodic=pairs if pairs is not None and len(pairs) else None,
        lift=_lift(blocks, top, number, len(ids), n),
        nodes=_nodes(points, frame) if any(blocks[i].name in QUADRATIC for i in top) else None,
        frame=frame,
    )
    return select(cells)


def _cells(block: Block, number: Ids) -> CellBlock:
    linear = CellBlock(KINDS[block.linear or ""], number[block.corners])
    if block.name not in QUADRATIC:
        return linear
    return replace(linear, second=block.name, second_nodes=np.asarray(block.nodes))


def _nodes(points: NDArray, frame: PlaneFrame | None) -> NDArray[np.float64]:
    return np.asarray(frame.project(points) if frame else points, float)


def _has(members: NDArray | None) -> bool:
    return members is not None and len(members) > 0


def _stack(parts: Sequence[Ids]) -> Ids:
    width = max(p.shape[1] for p in parts)
    return np.concatenate([np.pad(p, ((0, 0), (0, width - p.shape[1])), constant_values=-1) for p in parts])


def _labels(
    blocks: Sequence[Block],
    top: Sequence[int],
    sets: Mapping[str, Sequence[NDArray | None]],
    data: Mapping[str, Sequence[NDArray]],
    by_block: bool,
) -> dict[str, NDArray]:
    """What may tell the cells of the highest dimension apart, by name: numbers, membership in a set, the block."""
    first = np.cumsum([0, *(len(blocks[i]) for i in top)])
    found = {name: np.concatenate([values[i] for i in top]) for name, values in data.items()}
    found = {name: values for name, values in found.items() if len(values) == first[-1]}
    for name, members in sets.items():
        inside = np.zeros(first[-1], bool)
        for start, i in zip(first, top, strict=False):
            if _has(members[i]):
                inside[start + np.asarray(members[i], np.int64)] = True  # unsigned from Gmsh
        if inside.any():
            found.setdefault(name, inside)
    if by_block and any(blocks[a].name == blocks[b].name for a, b in zip(top, top[1:], strict=False)):
        # readers gather cells of one type that follow each other, unless the file keeps them apart
        found[BLOCKS] = np.repeat(np.arange(len(top)), np.diff(first))
    return found


def _lift(blocks: Sequence[Block], top: Sequence[int], number: Ids, n_vertices: int, n: int) -> csr_matrix | None:
    """Vertex displacements to node displacements: a mid-side node gets the mean over its edge, face or cell.

    So a straight edge stays straight, and a curved one keeps its offset from the chord.
    """
    if n_vertices == n:
        return None
    vertices = np.flatnonzero(number[:n] >= 0)
    rows, columns, weights = [vertices], [np.arange(n_vertices)], [np.ones(n_vertices)]
    seen = np.zeros(n, bool)
    for i in top:
        nodes = np.asarray(blocks[i].nodes)
        linear, parents = QUADRATIC.get(blocks[i].name, (blocks[i].name, ()))
        for j, parent in enumerate(parents, start=KINDS[linear].vertices):
            middle, cell = np.unique(nodes[:, j], return_index=True)
            both = middle[number[middle] >= 0]
            if len(both):
                raise InvalidMeshError(
                    "Expected mid-side nodes to be no vertices of other cells (got hanging nodes, "
                    f"{len(both)}: {first_ids(both)}). Use a conforming mesh"
                )
            new = ~seen[middle]
            middle, cell = middle[new], cell[new]
            seen[middle] = True
            rows.append(np.repeat(middle, len(parent)))
            columns.append(number[nodes[cell][:, parent]].ravel())
            weights.append(np.full(len(middle) * len(parent), 1 / len(parent)))
    data = np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns))
    return csr_matrix(data, shape=(n, n_vertices))


def displaced(points: NDArray, displacement: NDArray, frame: PlaneFrame | None) -> NDArray:
    """New coordinates in the type of the old; nodes with displacement zero are equal to the bit.

    Raises
    ------
    ValueError
        The displacement has not one row a node.
    """
    d = np.asarray(displacement, float)
    dim = points.shape[1] if frame is None else 2
    if d.shape != (len(points), dim):
        raise ValueError(f"Expected displacements of shape ({len(points)}, {dim}) (got {d.shape})")
    if frame is not None:
        d = frame.raise_(d)
    moved = points.astype(points.dtype if points.dtype.kind == "f" else np.float64)
    where = d != 0
    moved[where] = points[where] + d[where]
    return moved


def plain_fields(data: Mapping[str, NDArray], n_nodes: int) -> dict[str, NDArray]:
    """Copies of the numeric arrays that have a row a node; masked ones stay masked."""
    arrays = {str(k): np.asanyarray(v) if isinstance(v, np.ma.MaskedArray) else np.asarray(v) for k, v in data.items()}
    return {k: v.copy() for k, v in arrays.items() if v.ndim and len(v) == n_nodes and v.dtype.kind in "biufc"}
