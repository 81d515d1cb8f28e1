"""XDMF files, of time as well, read and written by all processes together: none of them ever holds the whole mesh.

DOLFINx reads the mesh and distributes it. Data of nodes and cells, which it does not read, lie in HDF5 next to it, in
the order of the file; each process goes through them piece by piece, and keeps the rows of its own nodes and cells.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry.arrays import Ids
from meshmove.geometry.errors import FieldError, InvalidMeshError, MeshmoveError, UnsupportedMeshError
from meshmove.meshes.files.formats import MeshFileError
from meshmove.meshes.regions import means_regions
from meshmove.optional import require
from meshmove.whole_files import unwritable

from .carried import of_vertices, vertex_blocks
from .tags import with_tags
from .versions import coordinate_degree, vector_space

__all__ = ["Series", "Stored", "check_writable", "read_file", "write_file"]

#: rows that are read at a time
CHUNK = 1 << 20


@dataclass(frozen=True)
class Stored:
    """A mesh of a file, with the data that the file has of its nodes and cells."""

    path: Path
    mesh: Any
    nodes: dict[str, tuple[Path, str]]
    cells: dict[str, tuple[Path, str]]

    def field(self, name: str) -> Any:
        """Data of nodes as a continuous linear function.

        Raises
        ------
        FieldError
            There are none of that name; the message lists the known ones.
        """
        from dolfinx.fem import Function

        if name not in self.nodes:
            known = ", ".join(map(repr, self.nodes)) or "none"
            raise FieldError(f"Expected the name of point data of '{self.path}' (got {name!r}; it has: {known})")
        rows = np.asarray(self.mesh.geometry.input_global_indices, np.int64)
        values = _rows(*self.nodes[name], rows)
        values = values.reshape(len(rows), -1)
        out = Function(vector_space(self.mesh, values.shape[1]))
        out.name = name
        nodes, blocks = of_vertices(out.function_space, self.mesh)
        vertex_blocks(out)[blocks] = values[nodes]
        return out

    def regions(self, wanted: str | list[str] | None) -> Any:
        """The mesh with the regions of cell data: of these names, or "auto" those whose names say so."""
        if wanted == "auto":
            names = [name for name in self.cells if means_regions(name)]
        else:
            names = list(wanted or [])
        unknown = [name for name in names if name not in self.cells]
        if unknown:
            known = ", ".join(map(repr, self.cells)) or "none"
            raise ValueError(
                f"Expected --regions to name cell data of '{self.path}' (got {unknown[0]!r}; it has: {known})"
            )
        if not names:
            return self.mesh
        rows = np.asarray(self.mesh.topology.original_cell_index, np.int64)
        code = np.zeros(len(rows), np.int64)
        for name in names:
            values = np.asarray(np.rint(_rows(*self.cells[name], rows)), np.int64).ravel()
            code = code * (1 + self._most(values)) + values - self._least(values)
        if self._most(code) > np.iinfo(np.int32).max:
            raise ValueError(f"Expected cell data of fewer values to tell regions apart (got {', '.join(names)})")
        from dolfinx.mesh import meshtags

        cells = np.arange(len(rows), dtype=np.int32)
        return with_tags(self.mesh, None, meshtags(self.mesh, self.mesh.topology.dim, cells, code.astype(np.int32)))

    def _most(self, values: Ids) -> int:
        return max(self.mesh.comm.allgather(int(values.max(initial=0))))

    def _least(self, values: Ids) -> int:
        return min(self.mesh.comm.allgather(int(values.min(initial=0))))


def read_file(comm: Any, path: Path) -> Stored:
    """The mesh of an XDMF file, distributed, and where its data are.

    Raises
    ------
    UnsupportedMeshError
        It is no XDMF file, its arrays are not in HDF5, or it is a time series.
    """
    from dolfinx.io import XDMFFile

    if path.suffix.lower() != ".xdmf":
        raise UnsupportedMeshError(
            f"Expected an .xdmf file to read on several processes (got '{path.name}'). "
            "Convert it on one process: meshio.read(...).write('mesh.xdmf')"
        )
    grid, nodes, cells = _described(path)
    with XDMFFile(comm, str(path), "r") as file:
        mesh = file.read_mesh(name=grid)
    return Stored(path, mesh, nodes, cells)


def _described(path: Path) -> tuple[str, dict[str, tuple[Path, str]], dict[str, tuple[Path, str]]]:
    """The name of the grid with the mesh, and data of nodes and cells: file and path in it, by name."""
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise InvalidMeshError(f"Expected '{path}' to be an XDMF file (got: {error})") from error
    grids = [g for g in root.iter("Grid") if g.find("Topology") is not None and g.find("Geometry") is not None]
    if len(grids) != 1:
        raise UnsupportedMeshError(f"Expected one grid with a mesh in '{path}' (got {len(grids)})")
    found: dict[str, dict[str, tuple[Path, str]]] = {"Node": {}, "Cell": {}}
    for attribute in root.iter("Attribute"):
        item = attribute.find("DataItem")
        center = attribute.get("Center", "Node")
        if item is None or center not in found:
            continue
        if item.get("Format") != "HDF":
            raise UnsupportedMeshError(
                f"Expected the arrays of '{path}' in HDF5 (got {attribute.get('Name')!r} in {item.get('Format')})"
            )
        file, _, inner = (item.text or "").strip().partition(":")
        found[center][str(attribute.get("Name"))] = (path.parent / file, inner)
    return str(grids[0].get("Name", "mesh")), found["Node"], found["Cell"]


def _rows(file: Path, inner: str, rows: Ids) -> NDArray:
    """Rows (n, ...) of an array in HDF5, in any order, without having the whole."""
    h5py = _hdf5()
    order = np.argsort(rows, kind="stable")
    ascending = rows[order]
    with h5py.File(file, "r") as opened:
        data = opened[inner]
        if len(rows) and ascending[-1] >= len(data):
            raise FieldError(f"Expected at least {ascending[-1] + 1} rows in '{file}:{inner}' (got {len(data)})")
        out = np.empty((len(rows), *data.shape[1:]), data.dtype)
        for start in range(0, len(data), CHUNK):
            first, last = np.searchsorted(ascending, [start, start + CHUNK])
            if last > first:
                out[order[first:last]] = data[start : start + CHUNK][ascending[first:last] - start]
    return out


def _hdf5() -> Any:
    """h5py, where the HDF5 library that it found is the one that it was built for.

    Raises
    ------
    MeshmoveError
        It is not: DOLFINx's was loaded before it, and is of another version.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of what is refused below
        h5py = require("h5py")
    built, found = h5py.version.hdf5_built_version_tuple, h5py.h5.get_libversion()
    if tuple(built[:2]) != tuple(found[:2]):
        raise MeshmoveError(
            f"Expected h5py to find HDF5 {built[0]}.{built[1]}, for which it was built (got {found[0]}.{found[1]}, "
            "which DOLFINx has loaded). Import h5py before dolfinx, or install the h5py that belongs to DOLFINx's HDF5"
        )
    return h5py


def write_file(path: Path, mesh: Any, functions: list[Any]) -> None:
    """A mesh with continuous linear functions on it, written by all processes.

    Raises
    ------
    UnsupportedMeshError
        The path is no XDMF file's, or cells are of second order and there are functions.
    """
    from dolfinx.io import XDMFFile

    check_writable(path, mesh if functions else None)
    with XDMFFile(mesh.comm, str(path), "w") as file:
        file.write_mesh(mesh)
        for function in functions:
            file.write_function(function)


def check_writable(path: Path, mesh: Any = None) -> None:
    """Raise unless it is an XDMF file's path in a folder that takes files, which holds linear functions on the mesh."""
    if path.suffix.lower() != ".xdmf":
        raise UnsupportedMeshError(f"Expected an .xdmf file to write on several processes (got '{path.name}')")
    why_not = unwritable(path.parent)
    if why_not is not None:
        raise MeshFileError(f"Expected a folder that can be written (got '{path.parent}', which cannot: {why_not})")
    if mesh is not None and coordinate_degree(mesh) > 1:
        raise UnsupportedMeshError("Expected straight cells of first order to write fields (got second order)")


class Series:
    """Meshes of one topology at different times, with functions on them, as one XDMF file that ParaView plays.

    All processes write together. The file is whole when it is closed, as a ``with`` does.

    Raises
    ------
    UnsupportedMeshError
        The path is no XDMF file's.
    """

    def __init__(self, comm: Any, path: str | Path) -> None:
        from dolfinx.io import XDMFFile

        check_writable(Path(path))
        self._file = XDMFFile(comm, str(path), "w")
        self._times: list[float] = []

    def add(self, mesh: Any, functions: Mapping[str, Any], time: float) -> None:
        """A frame: continuous linear functions on a mesh, by name.

        Raises
        ------
        UnsupportedMeshError
            Cells of second order.
        ValueError
            A time that there was before.
        """
        check_writable(Path("series.xdmf"), mesh)
        if time in self._times:
            raise ValueError(f"Expected a time of its own for each frame (got {time:g} again)")
        self._times.append(time)
        name, mesh.name = mesh.name, f"mesh_{len(self._times) - 1}"
        try:
            self._file.write_mesh(mesh)
            for key, function in functions.items():
                function.name = key
                self._file.write_function(function, time, f"/Xdmf/Domain/Grid[@Name='{mesh.name}'][1]")
        finally:
            mesh.name = name

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Series:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
