"""PyVista: grids of any supported cells, and `PolyData` of triangles and quadrilaterals in a plane."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry.mesh import CellMesh
from meshmove.meshes.files.cell_sets import groups_of, plain_labels
from meshmove.optional import require

from .blocks import Block, assemble, displaced, frame_of, plain_fields, top_blocks
from .casting import movable
from .grids import cellmesh_to_pyvista
from .meshio import fitted
from .pictures.meshes import plot
from .vtk_files import reader_for

if TYPE_CHECKING:
    import meshio
    import pyvista

__all__ = ["VTK_TYPES", "PyVistaConverter", "cellmesh_to_pyvista", "converter", "plot"]

# VTK's number -> meshio's name and the dimension
VTK_TYPES: dict[int, tuple[str, int]] = {
    1: ("vertex", 0), 2: ("polyvertex", 0), 3: ("line", 1), 4: ("polyline", 1), 5: ("triangle", 2),
    6: ("triangle strip", 2), 7: ("polygon", 2), 8: ("pixel", 2), 9: ("quad", 2), 10: ("tetra", 3),
    11: ("voxel", 3), 12: ("hexahedron", 3), 13: ("wedge", 3), 14: ("pyramid", 3), 21: ("line3", 1),
    22: ("triangle6", 2), 23: ("quad8", 2), 24: ("tetra10", 3), 25: ("hexahedron20", 3), 26: ("wedge15", 3),
    27: ("pyramid13", 3), 28: ("quad9", 2), 29: ("hexahedron27", 3), 34: ("triangle7", 2), 35: ("line4", 1),
    68: ("Lagrange curve", 1), 69: ("Lagrange triangle", 2), 70: ("Lagrange quadrilateral", 2),
}  # fmt: skip
_EMPTY = 0
_HINT = "Triangulate polygons and strips (mesh.triangulate())"
_NATIVE = {"UnstructuredGrid": (".vtu", ".vtk"), "PolyData": (".vtp", ".vtk", ".ply", ".stl")}


_CELLS = {"UnstructuredGrid": ("cells", "celltypes"), "PolyData": ("verts", "lines", "faces", "strips")}
_DATA = ("point_data", "cell_data", "field_data")


class PyVistaConverter:
    """`pyvista.UnstructuredGrid` and `pyvista.PolyData` in and out.

    `StructuredGrid`, `RectilinearGrid` and `ImageData` go in too, and come out as `UnstructuredGrid`; see `movable`.
    Cells of lower dimension (points, lines, boundary triangles) come back untouched. Cell data make
    named boundaries and subdomains as in meshio.
    """

    def read(self, mesh: pyvista.UnstructuredGrid | pyvista.PolyData) -> CellMesh:
        """Plain arrays of the mesh.

        >>> import pyvista
        >>> grid = pyvista.UnstructuredGrid({5: np.array([[0, 1, 2]])}, np.eye(3, dtype="f4"))
        >>> converter.read(grid)
        CellMesh(2-D: 3 points, 1 triangle)
        """
        mesh = movable(mesh)
        blocks, order = _blocks(mesh)
        arrays = {k: np.asarray(mesh.cell_data[k]) for k in mesh.cell_data}
        per_block = {
            k: [v[cells] for cells in order] for k, v in arrays.items() if v.ndim == 1 and v.dtype.kind in "biuf"
        }
        names = {k: np.asarray(mesh.field_data[k]) for k in mesh.field_data}
        sets = groups_of([(b.dim, len(b)) for b in blocks], per_block, names, {})
        return assemble(mesh.points, blocks, sets=sets, labels=plain_labels(per_block), hint=_HINT)

    def write(self, mesh: Any, displacement: NDArray[np.float64]) -> Any:
        """A deep copy with its nodes displaced, points in the type they came in; see `Converter.write`."""
        mesh = movable(mesh)
        blocks, points = _blocks(mesh)[0], np.asarray(mesh.points)
        frame = frame_of(points, blocks, top_blocks(blocks, len(points), _HINT))
        moved = displaced(points, displacement, frame)
        out = mesh.copy(deep=True)
        out.points = moved
        return out

    def fields(self, mesh: Any) -> dict[str, NDArray]:
        """Point data by name."""
        mesh = movable(mesh)
        return plain_fields({k: mesh.point_data[k] for k in mesh.point_data}, mesh.n_points)

    def cell_fields(self, mesh: Any) -> dict[str, NDArray]:
        """Cell data by name, each (n_cells, ...), of the cells that are moved, in the order of `read`."""
        mesh = movable(mesh)
        blocks, order = _blocks(mesh)
        moved = np.concatenate([order[i] for i in top_blocks(blocks, mesh.n_points, _HINT)])
        return {k: np.asarray(mesh.cell_data[k])[moved] for k in mesh.cell_data}

    def with_fields(self, mesh: Any, fields: Mapping[str, NDArray]) -> Any:
        """A deep copy with these point data set; floating point data keep their type, active arrays stay active."""
        mesh = movable(mesh)
        out = mesh.copy(deep=True)
        active = [getattr(out.point_data, f"active_{kind}_name") for kind in ("scalars", "vectors")]
        for name, values in fields.items():
            old = mesh.point_data[name] if name in mesh.point_data else None
            # `set_array` would leave active arrays alone, but it also refuses to replace an array of another shape
            out.point_data[name] = fitted(name, values, old, mesh.n_points)
        out.point_data.active_scalars_name, out.point_data.active_vectors_name = active
        return out

    def dtype(self, mesh: Any) -> np.dtype:
        """float32 for most PyVista meshes."""
        return np.asarray(movable(mesh).points).dtype

    def made_of(self, cells: CellMesh) -> pyvista.UnstructuredGrid:
        """A grid of the vertices and linear cells of plain arrays."""
        return cellmesh_to_pyvista(cells)

    def collection(self, grids: Mapping[str, pyvista.UnstructuredGrid]) -> pyvista.MultiBlock:
        """Grids by name in one object."""
        import pyvista

        blocks = pyvista.MultiBlock()
        for name, grid in grids.items():
            blocks.append(grid, name)
        return blocks

    def animate(self, frames: Any, path: str | Path, **options: Any) -> Path:
        """A film of a rollout; see `meshmove.plugins.animate`."""
        from .pictures.animation import animate

        return animate(frames, path, **options)

    def film(self, moving: Any, path: str | Path, field: Any = None, **options: Any) -> Any:
        """A film of a loop; see `MovingMesh.record`."""
        from .pictures.films import Film

        return Film(moving, path, field, **options)

    def grid_of(self, adaptation: Any) -> pyvista.UnstructuredGrid:
        """See `meshmove.Adaptation.grid`."""
        from .pictures.grid import grid_of

        return grid_of(adaptation)

    def plotted(self, adaptation: Any, kind: str | None, options: Mapping[str, Any]) -> Any:
        """See `meshmove.Adaptation.plot`."""
        from .pictures.meshes import plotted

        return plotted(adaptation, kind, options)

    def viewed(self, adaptation: Any, filename: Any, options: Mapping[str, Any]) -> Any:
        """See `meshmove.Adaptation.view`."""
        from .pictures.slider import viewed

        return viewed(adaptation, filename, options)

    def packed(self, mesh: Any) -> tuple[str, dict[str, Any]]:
        """What a data set is made from; see `Converter`."""
        mesh = movable(mesh)
        kind = "PolyData" if hasattr(mesh, "faces") else "UnstructuredGrid"
        parts: dict[str, Any] = {name: np.array(getattr(mesh, name)) for name in ("points", *_CELLS[kind])}
        for where in _DATA:
            parts[where] = {k: np.array(v) for k, v in getattr(mesh, where).items()}
        data = mesh.point_data
        return kind, {**parts, "active": (data.active_scalars_name, data.active_vectors_name)}

    def unpacked(self, kind: str, parts: Mapping[str, Any]) -> Any:
        """The data set that `packed` gave."""
        pyvista = require("pyvista", extra="pyvista")
        cells = {name: parts[name] for name in _CELLS[kind]}
        if kind == "PolyData":
            mesh = pyvista.PolyData(parts["points"], **{k: v for k, v in cells.items() if len(v)})
        else:
            mesh = pyvista.UnstructuredGrid(*cells.values(), parts["points"])
        for where in _DATA:
            for name, values in parts[where].items():
                getattr(mesh, where)[name] = values
        mesh.point_data.active_scalars_name, mesh.point_data.active_vectors_name = parts["active"]
        return mesh

    def to_meshio(self, mesh: Any) -> meshio.Mesh:
        """PyVista's own conversion."""
        import pyvista

        return pyvista.to_meshio(movable(mesh))

    def writer(self, mesh: Any, suffix: str) -> Callable[[str], None] | None:
        """VTK's own writer for its own formats: it keeps field data, active arrays and types."""
        kinds = [suffixes for name, suffixes in _NATIVE.items() if any(c.__name__ == name for c in type(mesh).__mro__)]
        return mesh.save if kinds and suffix in kinds[0] else None

    def reader(self, suffix: str) -> Callable[[Path], meshio.Mesh] | None:
        """VTK's readers as a second try, for files that meshio does not read."""
        return reader_for(suffix)


def _blocks(mesh: Any) -> tuple[list[Block], list[NDArray]]:
    """One block for each type of cell, and the numbers of its cells in the grid."""
    import pyvista

    mesh = movable(mesh)
    if isinstance(mesh, pyvista.PolyData):
        types, connectivity, offset = _polydata_cells(mesh)
    else:
        offset = mesh.cell_offsets if hasattr(mesh, "cell_offsets") else mesh.offset  # renamed in PyVista 0.49
        types, connectivity, offset = (np.asarray(a) for a in (mesh.celltypes, mesh.cell_connectivity, offset))
    blocks, order = [], []
    for number in np.unique(types):
        cells = np.flatnonzero(types == number)
        if number == _EMPTY:
            continue
        name, dim = VTK_TYPES.get(int(number), (f"VTK type {number}", 3))
        size = np.diff(offset)[cells]
        if size.min() == size.max():
            nodes = connectivity[offset[cells][:, None] + np.arange(size[0])]
        else:
            nodes = np.zeros((len(cells), 0), np.int64)  # polygons and polylines: only their number counts
        blocks.append(Block(name, nodes, dim))
        order.append(cells)
    return blocks, order


def _polydata_cells(mesh: Any) -> tuple[NDArray, NDArray, NDArray]:
    """Types, connectivity and offsets of a `PolyData`, in VTK's order: points, lines, polygons, strips."""
    types: list[NDArray] = []
    connectivity: list[NDArray] = []
    sizes: list[NDArray] = []
    for array, by_size in (
        (mesh.GetVerts(), {1: 1}),
        (mesh.GetLines(), {2: 3}),
        (mesh.GetPolys(), {3: 5, 4: 9}),
        (mesh.GetStrips(), {}),
    ):
        fallback = (2, 4, 7, 6)[len(types)]
        size = np.diff(_numpy(array.GetOffsetsArray())) if array.GetNumberOfCells() else np.empty(0, int)
        types.append(np.array([by_size.get(int(s), fallback) for s in range(int(size.max(initial=0)) + 1)])[size])
        connectivity.append(_numpy(array.GetConnectivityArray()) if len(size) else np.empty(0, int))
        sizes.append(size)
    offset = np.concatenate([[0], np.cumsum(np.concatenate(sizes))]).astype(np.int64)
    return np.concatenate(types), np.concatenate(connectivity).astype(np.int64), offset


def _numpy(array: Any) -> NDArray:
    from vtkmodules.util.numpy_support import vtk_to_numpy

    return vtk_to_numpy(array)


converter = PyVistaConverter()
