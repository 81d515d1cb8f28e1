"""Functions that take the place of meshio's in our copy of it, which read what its own read wrongly."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["MENDED"]

#: kinds whose number is followed by how many nodes they have
_COUNTED = (1, 2)
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


#: by module, and there by name
MENDED: dict[str, dict[str, Any]] = {
    "meshio.gmsh._gmsh22": {"cell_data_from_raw": _by_block},
    "meshio.xdmf.common": {"translate_mixed_cells": _mixed_cells},
}
