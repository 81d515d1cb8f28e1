"""XDMF time series: meshio's reader and writer, with nodes and cells of their own in each frame."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from meshmove.meshes.files.cell_sets import decode_sets, encode_sets
from meshmove.meshes.files.formats import MeshFileError
from meshmove.meshes.files.own_meshio import own
from meshmove.meshes.files.periodic import decode_periodic, encode_periodic
from meshmove.meshes.files.replacing import replacing
from meshmove.optional import require

from .xpointer import mesh_of

if TYPE_CHECKING:
    import meshio

__all__ = ["is_temporal", "write_xdmf", "xdmf_frames"]

#: XDMF's numbers of cells without a fixed number of nodes, which name it
_COUNTED = {"vertex": (1, 1), "line": (2, 2)}


def is_temporal(path: Path) -> bool:
    """Whether an XDMF file has a temporal collection of grids; not where it cannot be read."""
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError):
        return False
    return any(g.get("CollectionType") == "Temporal" for g in root.iter("Grid"))


def xdmf_frames(path: Path, values: bool = True) -> Iterator[tuple[float, Any]]:
    """Time and `meshio.Mesh` of each frame; without `values` the times alone, with None.

    Raises
    ------
    MeshFileError
        The collections of a file have different numbers of frames.
    Exception
        Of every kind: readers end so where files are damaged.
    """
    import meshio

    with own("xdmf").TimeSeriesReader(path) as reader:
        # some programs write a collection for each field
        series = [list(g) for g in reader.domain if g.get("GridType") == "Collection"]
        if len({len(grids) for grids in series}) > 1:
            raise MeshFileError(f"Expected as many frames of each field (got {[len(g) for g in series]} in '{path}')")
        if not values:
            yield from ((_time(grid), None) for grid in series[0])
            return
        (points, cells), reference = reader.read_points_cells(), _source(reader.mesh_grid)
        for k in range(reader.num_steps):
            time, point_data, cell_data = 0.0, {}, {}
            for grids in series:
                reader.collection = grids
                own_mesh = mesh_of(reader.domain, grids[k])
                source = _source(own_mesh)
                if source and source != reference:  # a mesh of its own, which the reader would not look at
                    reader.mesh_grid, reference = own_mesh, source
                    points, cells = reader.read_points_cells()
                time, of_points, of_cells = reader.read_data(k)
                point_data.update(of_points)
                cell_data.update(of_cells)
            mesh = decode_sets(meshio.Mesh(points, cells, point_data, cell_data))
            decode_periodic(mesh)
            yield time, mesh


def _time(grid: Any) -> float:
    return float(grid.find("Time").attrib["Value"])


def _source(grid: Any) -> tuple[str, ...]:
    """Where a grid's topology and geometry come from; nothing where it refers to another grid's."""
    items = [item for part in grid if part.tag in ("Topology", "Geometry") for item in part]
    return tuple((item.text or "").strip() for item in items)


def write_xdmf(path: Path, frames: Iterable[tuple[float, meshio.Mesh]]) -> None:
    """An .xdmf file and its .h5; neither where a frame fails."""
    with replacing(path) as written, _writer(written) as writer:
        for time, mesh in frames:
            frame = encode_sets(mesh)
            encode_periodic(frame)
            writer.moment(float(time), frame)


def _writer(path: Path) -> Any:
    from meshio.xdmf import TimeSeriesWriter

    h5py: Any = require("h5py")

    class Writer(TimeSeriesWriter):
        """With a mesh in each frame; arrays that were there before are not written again."""

        def __enter__(self) -> Writer:
            self.h5_filename = str(self.filename.with_suffix(".h5"))
            self.h5_file = h5py.File(self.h5_filename, "w")
            self._known: dict[tuple[Any, ...], str] = {}
            return self

        def moment(self, time: float, mesh: Any) -> None:
            grid = ElementTree.SubElement(self.collection, "Grid", Name=f"t{len(self.collection)}", GridType="Uniform")
            ElementTree.SubElement(grid, "Time", Value=repr(time))
            self.points(grid, np.ascontiguousarray(mesh.points))
            self.cells(mesh.cells, grid)
            self.point_data({k: np.ascontiguousarray(v) for k, v in mesh.point_data.items()}, grid)
            self.cell_data(mesh.cell_data, grid)

        def cells(self, cells: Any, grid: Any) -> None:
            if len(cells) == 1:
                super().cells(cells, grid)
                return
            data = np.concatenate([_numbered(c.type, np.asarray(c.data)) for c in cells])
            count = str(sum(len(c.data) for c in cells))
            topology = ElementTree.SubElement(grid, "Topology", TopologyType="Mixed", NumberOfElements=count)
            kind = {"DataType": "Int", "Precision": "8", "Dimensions": str(len(data)), "Format": "HDF"}
            ElementTree.SubElement(topology, "DataItem", kind).text = self.numpy_to_xml_string(data)

        def numpy_to_xml_string(self, data: NDArray) -> str:
            key = (data.shape, data.dtype.str, hashlib.sha256(data.tobytes()).digest())
            if key not in self._known:
                self._known[key] = super().numpy_to_xml_string(data)
            return self._known[key]

    return Writer(path)


def _numbered(kind: str, nodes: NDArray) -> NDArray[np.int64]:
    """The nodes of cells with XDMF's number of their kind before them."""
    from meshio.xdmf.common import meshio_type_to_xdmf_index

    head = _COUNTED.get(kind) or (meshio_type_to_xdmf_index[kind],)
    return np.column_stack([np.tile(np.array(head), (len(nodes), 1)), nodes]).astype(np.int64).ravel()
