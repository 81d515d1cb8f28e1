"""PyVista's data sets as those whose nodes can be moved: grids that know no single node, and voxels, are cast."""

from __future__ import annotations

from typing import Any

import numpy as np

from meshmove.geometry.errors import UnsupportedMeshError
from meshmove.optional import require

__all__ = ["movable"]

#: VTK's boxes along the axes -> the cells with the same corners that can be deformed, and the order of these
_BOXES = {8: (9, [0, 1, 3, 2]), 11: (12, [0, 1, 3, 2, 4, 5, 7, 6])}
_GHOSTS = "vtkGhostType"


def movable(mesh: Any) -> Any:
    """A `pyvista.UnstructuredGrid` or `pyvista.PolyData` as it is, a structured grid cast to the former.

    Nodes of an `ImageData` or a `RectilinearGrid` have no positions of their own, so what is moved is an
    `UnstructuredGrid` of the same cells in the same order, with all data. Cells that are hidden stay out. Pixels and
    voxels become quadrilaterals and hexahedra.

    Raises
    ------
    UnsupportedMeshError
        Another data set; the message says what to try.

    Examples
    --------
    >>> import pyvista
    >>> movable(pyvista.ImageData(dimensions=(3, 3, 3))).celltypes.tolist() == [12] * 8
    True
    """
    pyvista = require("pyvista", extra="pyvista")
    if isinstance(mesh, pyvista.PolyData):
        return mesh
    if isinstance(mesh, pyvista.UnstructuredGrid):
        return _unboxed(mesh)
    if isinstance(mesh, pyvista.StructuredGrid | pyvista.ImageData | pyvista.RectilinearGrid):
        structured = mesh if isinstance(mesh, pyvista.StructuredGrid) else mesh.cast_to_structured_grid()
        return _shown(structured.cast_to_unstructured_grid())
    if isinstance(mesh, pyvista.MultiBlock):
        hint = "Try its blocks one by one, or mesh.combine()"
    else:
        hint = "Try mesh.cast_to_unstructured_grid()"
    raise UnsupportedMeshError(
        "Expected a pyvista.UnstructuredGrid, PolyData, StructuredGrid, ImageData or RectilinearGrid "
        f"(got {type(mesh).__name__}). {hint}"
    )


def _unboxed(grid: Any) -> Any:
    """A grid whose pixels and voxels are quadrilaterals and hexahedra; itself where it has none."""
    types = np.asarray(grid.celltypes)
    if not np.isin(types, list(_BOXES)).any():
        return grid
    import pyvista

    cells, new = np.array(grid.cells), types.copy()
    offset = grid.cell_offsets if hasattr(grid, "cell_offsets") else grid.offset  # renamed in PyVista 0.49
    first = np.asarray(offset)[:-1] + np.arange(len(types))  # VTK's list has the number of nodes before each cell
    for number, (other, order) in _BOXES.items():
        rows = first[types == number][:, None] + 1
        cells[rows + np.arange(len(order))] = cells[rows + np.array(order)]
        new[types == number] = other
    out = pyvista.UnstructuredGrid(cells, new, np.array(grid.points))
    for where in ("point_data", "cell_data", "field_data"):
        for name, values in getattr(grid, where).items():
            getattr(out, where)[name] = values
    for kind in ("scalars", "vectors"):
        setattr(out.point_data, f"active_{kind}_name", getattr(grid.point_data, f"active_{kind}_name"))
        setattr(out.cell_data, f"active_{kind}_name", getattr(grid.cell_data, f"active_{kind}_name"))
    return out


def _shown(grid: Any) -> Any:
    """Without the cells that are hidden."""
    ghosts = np.asarray(grid.cell_data[_GHOSTS]) if _GHOSTS in grid.cell_data else None
    if ghosts is None or not ghosts.any():
        return grid
    return grid.extract_cells(np.flatnonzero(ghosts == 0))
