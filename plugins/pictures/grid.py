"""A moved mesh as PyVista's grid, with all that is known of its nodes and cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry.quality import scaled_jacobian
from meshmove.plugins.figures.view import in_space
from meshmove.plugins.grids import cellmesh_to_pyvista

if TYPE_CHECKING:
    import pyvista

    from meshmove import Adaptation

__all__ = ["grid_of"]


def grid_of(adaptation: Adaptation) -> pyvista.UnstructuredGrid:
    """See `meshmove.Adaptation.grid`."""
    cells, moved = adaptation.cells, adaptation.moved
    grid = cellmesh_to_pyvista(moved)
    grid.points = in_space(moved.in_space(moved.points))
    for name, values in adaptation.fields.items():
        at = _at_vertices(adaptation, np.asarray(values))
        if at is not None:
            grid.point_data[name] = at
    step = moved.points - cells.points
    grid.point_data["displacement"] = in_space(step if cells.frame is None else cells.frame.raise_(step))
    grid.cell_data["quality"] = scaled_jacobian(moved)
    if adaptation.balance is not None:
        grid.cell_data["imbalance"] = adaptation.balance
    if adaptation.moved_for is not None and adaptation.moved_for.known:
        grid.cell_data["error"] = adaptation.moved_for.at(moved.points)
    return grid


def _at_vertices(adaptation: Adaptation, values: NDArray) -> NDArray | None:
    """Rows of the vertices; None of what has none for each node, as the degrees of freedom of an element."""
    cells = adaptation.cells
    if values.ndim and len(values) == cells.n_nodes:
        return values[cells.vertex_nodes]
    return values if values.ndim and len(values) == cells.n_points else None
