"""What a picture shows: a mesh as PyVista's grid, and the values that colour it before and after."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from meshmove.geometry.errors import FieldError, InvalidMeshError
from meshmove.geometry.mesh import CellMesh
from meshmove.plugins.grids import cellmesh_to_pyvista

if TYPE_CHECKING:
    pass

__all__ = ["VALUES", "as_adaptation", "colour", "first_grid"]

#: name of the point data that are shown
VALUES = "shown"


def colour(adaptation: Any, color: str | None, grids: list[Any]) -> str | None:
    """Puts the values to show on both grids; returns their title, or None where there are none."""
    fields = dict(adaptation.fields or {})
    monitor = adaptation.monitor
    names = [*(["monitor"] if monitor is not None else []), *fields]
    color = color if color is not None else (names[0] if names else None)
    if color is None:
        return None
    if color not in names:
        raise FieldError(
            f"Expected the colour to be one of {', '.join(names) or 'none (there is no field)'} (got {color!r})"
        )
    if color in fields:
        grids[1][VALUES] = _scalar(_at_vertices(adaptation.cells, fields[color]))
        grids[0][VALUES] = _original(adaptation, color, grids)
    else:
        grids[0][VALUES] = _scalar(_at_vertices(adaptation.cells, monitor))
        grids[1][VALUES] = _sampled(grids[0], grids[1])
    return color


def _original(adaptation: Any, name: str, grids: list[Any]) -> NDArray:
    """A field before the move: from the mesh where it carries fields, else looked up in the moved one."""
    from meshmove.meshes.registry import converter_for

    own = converter_for(adaptation.original).fields(adaptation.original)
    return _scalar(_at_vertices(adaptation.cells, own[name])) if name in own else _sampled(grids[1], grids[0])


def _at_vertices(mesh: CellMesh, values: NDArray) -> NDArray:
    values = np.asarray(values)
    if len(values) == mesh.n_points:
        return values
    return values[mesh.vertex_nodes]  # there are more nodes than vertices


def _scalar(values: NDArray) -> NDArray:
    values = values.reshape(len(values), -1)
    if values.shape[1] == 1 and values.dtype.kind != "c":
        return values[:, 0].astype(float)
    return np.linalg.norm(values, axis=1)


def _sampled(source: Any, target: Any) -> NDArray:
    """Values of one grid at the vertices of another; those a little outside take the nearest vertex's."""
    found = target.copy().sample(source)
    values = np.array(found[VALUES], float)
    outside = ~np.asarray(found["vtkValidPointMask"], bool)
    if outside.any():
        nearest = cKDTree(source.points).query(target.points[outside])[1]
        values[outside] = np.asarray(source[VALUES])[nearest]
    return values


def as_adaptation(mesh: Any) -> Any:
    """A mesh, drawn as one that did not move."""
    from meshmove.meshes.registry import converter_for

    converter = converter_for(mesh)
    cells = converter.read(mesh)
    return SimpleNamespace(cells=cells, moved=cells, original=mesh, fields=converter.fields(mesh), monitor=None)


def first_grid(mesh: Any, cells: CellMesh, grids: list[Any], color: str | None) -> Any:
    """Another mesh of the same cells, with its own values of the field shown, or those of `grids` looked up."""
    from meshmove.meshes.registry import converter_for

    converter = converter_for(mesh)
    found = converter.read(mesh)
    if (found.n_points, found.n_cells) != (cells.n_points, cells.n_cells):
        raise InvalidMeshError(
            f"Expected `before` to have the cells of the moved mesh (got {found} for {cells}). "
            "Pass the first mesh of the loop"
        )
    grid, own = cellmesh_to_pyvista(found), converter.fields(mesh)
    if color in own:
        grid[VALUES] = _scalar(_at_vertices(found, own[color]))
    elif color is not None:
        grid[VALUES] = _sampled(grids[1], grid)
    return grid
