"""Functions that take the place of meshio's in our copy of it, which read and write what its own do wrongly."""

from __future__ import annotations

import re
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

__all__ = ["MENDED"]

#: kinds whose number is followed by how many nodes they have
_COUNTED = (1, 2)
#: a line of Gmsh's: dimension, number and name of a physical group
_PHYSICAL = re.compile(r"\s*(\d+)\s+(-?\d+)\s+(\S.*?)\s*")
#: VTK's names of types; meshio's "vtktypeint32" and the like are none, and VTK's "int" has four bytes
_TO_VTK = {
    "float32": "float",
    "float64": "double",
    "int8": "signed_char",
    "uint8": "unsigned_char",
    "int16": "short",
    "uint16": "unsigned_short",
    "int32": "int",
    "uint32": "unsigned_int",
    "int64": "vtktypeint64",
    "uint64": "vtktypeuint64",
}
_FROM_VTK = {name: kind for kind, name in _TO_VTK.items()} | {
    "char": "int8",
    **{f"vtktype{kind}": kind for kind in _TO_VTK if "int" in kind},  # as meshio has written them
}
#: cells that are looked at at a time
_WINDOW = 4096


def _mixed_cells(data: NDArray) -> list[Any]:
    """Blocks of cells from a list of an .xdmf file: numbers of kinds, each followed by a cell's nodes.

    meshio's own takes the number of nodes of a Polyvertex for its node, and knows no cells of second order, though it
    writes both.

    Raises
    ------
    ReadError
        A number of no kind, a Polyvertex or Polyline of several nodes, or an end within a cell.
    """
    import meshio
    from meshio._common import num_nodes_per_cell
    from meshio.xdmf.common import xdmf_idx_to_meshio_type

    blocks, at = [], 0
    while at < len(data):
        number = int(data[at])
        kind = xdmf_idx_to_meshio_type.get(number)
        if kind is None:
            raise meshio.ReadError(f"XDMF has no cells of kind {number}")
        head = [number] + ([num_nodes_per_cell[kind]] if number in _COUNTED else [])
        width = len(head) + num_nodes_per_cell[kind]
        rows = data[at : at + (len(data) - at) // width * width].reshape(-1, width)
        count = _alike(rows, head)
        if not count:
            raise meshio.ReadError(f"Expected cells {kind} of {width - len(head)} nodes")
        blocks.append(meshio.CellBlock(kind, rows[:count, len(head) :]))
        at += count * width
    return blocks


def _alike(rows: NDArray, head: list[int]) -> int:
    """How many of the first rows begin so."""
    for start in range(0, len(rows), _WINDOW):
        same = (rows[start : start + _WINDOW, : len(head)] == head).all(axis=1)
        if not same.all():
            return start + int(np.argmin(same))
    return len(rows)


def _by_block(cells: Any, raw: dict[str, Any]) -> dict[str, Any]:
    """Cell data of all cells split by block; meshio counts its pairs (type, nodes) as blocks of two cells."""
    ends = np.cumsum([len(nodes) for _, nodes in cells])[:-1]
    return {name: np.split(values, ends) for name, values in raw.items()}


def _physical_names(file: Any, field_data: dict[str, Any]) -> None:
    """Names of Gmsh's physical groups, whatever stands between the first and the last quotation mark.

    Gmsh escapes nothing; meshio's own takes quotation marks within a name away, or fails at a single one (3" pipe).

    Raises
    ------
    ReadError
        A line is none of numbers of a dimension and a group, and a name.
    """
    import meshio

    for _ in range(int(file.readline())):
        line = file.readline().decode(errors="replace")
        found = _PHYSICAL.fullmatch(line)
        if found is None:
            raise meshio.ReadError(
                f"Expected the dimension, number and name of a physical group (got {line.strip()!r})"
            )
        dim, number, name = found.groups()
        field_data[_unquoted(name)] = np.array([number, dim], dtype=int)
    while (line := file.readline()).strip() != b"$EndPhysicalNames":
        if not line:
            raise meshio.ReadError("$PhysicalNames not closed by $EndPhysicalNames")


def _unquoted(name: str) -> str:
    name = name.strip()
    return name[1:-1] if len(name) > 1 and name[0] == name[-1] == '"' else name


def _write_element(self: Any, file: Any) -> None:
    """An element of XML; meshio's own does not escape what stands for something else in names."""
    file.write(" ".join([f"<{self.name}", *(f"{k}={quoteattr(str(v))}" for k, v in self.attrib.items())]) + ">\n")
    if self.text:
        file.write(f"{self.text}\n")
    if self.text_writer:
        self.text_writer(file)
        file.write("\n")
    for child in self._children:
        child.write(file)
    file.write(f"</{self.name}>\n")


#: by module, and there by name
MENDED: dict[str, dict[str, Any]] = {
    "meshio._cxml.etree": {"Element.write": _write_element},
    "meshio.gmsh.common": {"_read_physical_names": _physical_names},
    "meshio.vtk._vtk_51": {"vtk_to_numpy_dtype_name": _FROM_VTK, "numpy_to_vtk_dtype": _TO_VTK},
    "meshio.gmsh._gmsh22": {"cell_data_from_raw": _by_block},
    "meshio.xdmf.common": {"translate_mixed_cells": _mixed_cells},
}
