"""SU2's mesh files with the names of their markers, which meshio's reader numbers and its writer cannot write."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry.errors import UnsupportedMeshError

from .cell_sets import cell_groups

if TYPE_CHECKING:
    import meshio

__all__ = ["named_markers", "write_su2"]

#: numbers that VTK, and so SU2, gives to kinds of cells
_KINDS = {"line": 3, "triangle": 5, "quad": 9, "tetra": 10, "hexahedron": 12, "wedge": 13, "pyramid": 14}
_REPLACED = re.compile(r"Surface tag (.+) will be replaced by (-?\d+)")


def named_markers(mesh: meshio.Mesh, said: Sequence[str]) -> meshio.Mesh:
    """The mesh with markers as cell sets under the names that meshio's reader only spoke of."""
    tags = mesh.cell_data.get("su2:tag", [])
    top = max((b.dim for b in mesh.cells), default=0)
    for name, tag in (m.groups() for m in map(_REPLACED.search, said) if m):
        members = [
            np.flatnonzero(np.asarray(v) == int(tag)) if b.dim == top - 1 else None
            for b, v in zip(mesh.cells, tags, strict=True)
        ]
        if any(m is not None and len(m) for m in members):
            mesh.cell_sets[name.strip()] = members
    return mesh


def write_su2(path: str, mesh: meshio.Mesh) -> None:
    """Write nodes, cells, and one marker for each group of boundary cells.

    Raises
    ------
    UnsupportedMeshError
        SU2 has no such kind of cell.

    References
    ----------
    https://su2code.github.io/docs_v7/Mesh-File
    """
    top = max((b.dim for b in mesh.cells if len(b)), default=0)
    unknown = [b.type for b in mesh.cells if len(b) and b.dim >= top - 1 and b.type not in _KINDS]
    if unknown or top < 2:
        raise UnsupportedMeshError(
            f"Expected cells of the kinds {', '.join(_KINDS)} (got {', '.join(unknown) or 'no cells'})"
        )
    points = np.asarray(mesh.points, float)
    if top == 2 and points.shape[1] == 3 and not points[:, 2].any():
        points = points[:, :2]
    with open(path, "w") as file:
        file.write(f"NDIME= {points.shape[1]}\n")
        inner = [(b.type, np.asarray(b.data)) for b in mesh.cells if b.dim == top]
        file.write(f"NELEM= {sum(len(n) for _, n in inner)}\n")
        _rows(file, inner)
        file.write(f"NPOIN= {len(points)}\n")
        np.savetxt(file, np.c_[points, np.arange(len(points))], fmt=["%.17g"] * points.shape[1] + ["%d"])
        markers = _markers(mesh, top)
        file.write(f"NMARK= {len(markers)}\n")
        for name, cells in markers.items():
            file.write(f"MARKER_TAG= {name}\nMARKER_ELEMS= {sum(len(n) for _, n in cells)}\n")
            _rows(file, cells)


def _rows(file: TextIO, cells: Sequence[tuple[str, NDArray]]) -> None:
    for kind, nodes in cells:
        np.savetxt(file, np.c_[np.full(len(nodes), _KINDS[kind]), nodes], fmt="%d")


def _markers(mesh: meshio.Mesh, top: int) -> dict[str, list[tuple[str, NDArray]]]:
    """Boundary cells by name; a cell is in one marker, and those of no group are called by no name."""
    free = [np.full(len(b), b.dim == top - 1) for b in mesh.cells]
    markers = {}
    for name, members in cell_groups(mesh).items():
        chosen = []
        for block, left, ids in zip(mesh.cells, free, members, strict=True):
            ids = np.asarray(ids if ids is not None else [], np.int64)
            ids = ids[left[ids]]
            left[ids] = False
            if len(ids):
                chosen.append((block.type, np.asarray(block.data)[ids]))
        if chosen:
            markers[re.sub(r"\s+", "_", name)] = chosen
    rest = [(b.type, np.asarray(b.data)[left]) for b, left in zip(mesh.cells, free, strict=True) if left.any()]
    return {**markers, "unnamed": rest} if rest else markers
