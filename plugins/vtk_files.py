"""Mesh files that VTK reads and meshio does not: surfaces, grids, collections, multi-block files, Exodus."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry.errors import InvalidMeshError
from meshmove.optional import require

if TYPE_CHECKING:
    import meshio

__all__ = ["SUFFIXES", "read", "reader_for"]

_log = logging.getLogger(__name__)

_XML = (".vtu", ".vtp", ".vts", ".vtr", ".vti", ".vtm", ".pvd", ".pvtu", ".pvtp", ".pvts", ".pvtr", ".pvti")
_EXODUS = (".e", ".ex2", ".exo", ".exii", ".g")
#: of the files that it may be asked for
SUFFIXES = (*_XML, *_EXODUS, ".vtk")

_OTHER_KINDS = re.compile(
    rb"\n\s*DATASET +(POLYDATA|STRUCTURED_POINTS|STRUCTURED_GRID|RECTILINEAR_GRID)\s", re.IGNORECASE
)

#: what another process runs; time that it is given, and bytes that it reads in a second at the least
_REHEARSAL = """
import sys, pathlib, pyvista
from meshmove.plugins.vtk_files import _found
_found(pyvista, pathlib.Path(sys.argv[1]))
"""
_SECONDS, _BYTES_A_SECOND = 60.0, 1e6

#: names of nodes across the blocks of an Exodus file
_GLOBAL, _PEDIGREE = "GlobalNodeId", "PedigreeNodeId"
_SETS = ("Node Sets", "Edge Sets", "Face Sets", "Side Sets", "Element Sets")


def read(path: Path) -> meshio.Mesh:
    """Read a file by PyVista; of several times the last.

    Blocks become cell sets under their names, side sets cell sets and node sets point sets. Nodes of several blocks
    that are one node of an Exodus file, or stand at the same place, are one.

    Raises
    ------
    InvalidMeshError
        The file is cut short or holds no mesh.
    """
    pyvista = require("pyvista", extra="pyvista")
    _check(path)
    _rehearse(path)
    return _joined(list(_leaves(_found(pyvista, path), path.stem, pyvista)))


def _found(pyvista: Any, path: Path) -> Any:
    reader = pyvista.get_reader(str(path))
    if getattr(reader, "number_time_points", 0) > 1:
        reader.set_active_time_point(reader.number_time_points - 1)
        _log.info("%s holds %d times; the last is read", path, reader.number_time_points)
    if path.suffix.lower() in _EXODUS:
        _all_of(reader)
    return reader.read()


def _rehearse(path: Path) -> None:
    """Read the file in another process first: VTK ends its own where a count asks for more memory than there is.

    What it says on the console on its way is the error's message.
    """
    if not sys.executable:
        return
    seconds = _SECONDS + path.stat().st_size / _BYTES_A_SECOND
    command = [sys.executable, "-c", _REHEARSAL, os.path.realpath(path)]
    try:
        run = subprocess.run(command, capture_output=True, timeout=seconds, text=True, errors="replace")
    except subprocess.TimeoutExpired:
        raise InvalidMeshError(f"VTK is not done with the file in {seconds:.0f} s") from None
    said = re.findall(r"ERR\| *(?:\w+ \(0x\w+\): *)?(.*)", run.stdout + run.stderr)
    if run.returncode or said:
        words = re.sub(r"\x1b\[\d*m", "", said[0]).strip() if said else "the process ends"
        raise InvalidMeshError(f"the file is damaged; VTK says: {words}")


def _check(path: Path) -> None:
    """What VTK would complain of on the console is found before."""
    with path.open("rb") as file:
        head = file.read(64).lstrip()
        file.seek(max(0, path.stat().st_size - 64))
        tail = file.read().rstrip()
    suffix = path.suffix.lower()
    if suffix in _XML:
        good = head.startswith(b"<") and tail.endswith(b"</VTKFile>")
    elif suffix in _EXODUS:
        good = head.startswith((b"CDF", b"\x89HDF"))
    else:
        good = head.startswith(b"# vtk DataFile") and _OTHER_KINDS.search(path.read_bytes()[:2048]) is not None
    if not good:
        raise InvalidMeshError("the file is not what its extension says, or it ends too early")


def _all_of(reader: Any) -> None:
    """Side sets and node sets too, the nodes' numbers, and nodes where they are without displacements."""
    reader.disable_displacements()
    exodus = reader.reader
    exodus.GenerateGlobalNodeIdArrayOn()
    for kind in (exodus.SIDE_SET, exodus.NODE_SET):
        for k in range(exodus.GetNumberOfObjects(kind)):
            exodus.SetObjectStatus(kind, k, 1)


def _leaves(found: Any, name: str, pyvista: Any, within: str = "") -> Iterator[tuple[str, str, Any]]:
    """(kind of block, name, grid) of everything that is not empty."""
    if isinstance(found, pyvista.MultiBlock):
        for key in found.keys():  # noqa: SIM118
            block = found[key]
            if block is not None:
                kind = key if isinstance(block, pyvista.MultiBlock) else within
                yield from _leaves(block, str(key), pyvista, kind)
        return
    if isinstance(found, pyvista.ImageData | pyvista.RectilinearGrid):
        found = found.cast_to_structured_grid()
    if isinstance(found, pyvista.DataSet) and found.n_points:
        yield within, name.removeprefix("Unnamed "), found.cast_to_unstructured_grid()


def _joined(leaves: list[tuple[str, str, Any]]) -> meshio.Mesh:
    import meshio
    import pyvista

    bodies = [(kind, name, grid) for kind, name, grid in leaves if kind != "Node Sets" and grid.n_cells]
    if not bodies:
        raise InvalidMeshError("the file holds no cells")
    parts = [pyvista.to_meshio(grid) for _, _, grid in bodies]
    nodes, points = _numbered([grid for _, _, grid in bodies])
    mesh = meshio.Mesh(points, [])
    for part, ids in zip(parts, nodes, strict=True):
        mesh.cells += [meshio.CellBlock(b.type, ids[np.asarray(b.data)]) for b in part.cells]
    main = [p for p, (kind, _, _) in zip(parts, bodies, strict=True) if kind not in _SETS]
    mesh.point_data = _point_data(main, [n for n, b in zip(nodes, bodies, strict=True) if b[0] not in _SETS], points)
    mesh.cell_data = _cell_data(parts)
    if len(bodies) > 1:
        mesh.cell_sets = _sets(parts, bodies, len(mesh.cells))
    mesh.point_sets = _point_sets(leaves, bodies, nodes)
    return mesh


def _numbered(grids: list[Any]) -> tuple[list[NDArray], NDArray]:
    """The number of each grid's nodes among the nodes of all, and their coordinates."""
    points = np.concatenate([np.asarray(g.points) for g in grids])
    sizes = np.cumsum([g.n_points for g in grids])[:-1]
    if len(grids) == 1:
        return [np.arange(len(points))], points
    if all(_GLOBAL in g.point_data for g in grids):
        keys = np.concatenate([np.asarray(g.point_data[_GLOBAL]) for g in grids])[:, None]
    else:
        places = [np.asarray(g.points) + 0.0 for g in grids]
        if any(len(np.unique(p, axis=0)) < len(p) for p in places):  # cracks: nodes at one place on purpose
            return np.split(np.arange(len(points)), sizes), points
        keys = np.concatenate(places)
    _, first, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(np.argsort(first))  # in the order of their first appearance
    return np.split(order[inverse.ravel()], sizes), points[np.sort(first)]


def _point_data(parts: list[meshio.Mesh], nodes: list[NDArray], points: NDArray) -> dict[str, NDArray]:
    out = {}
    for name, like in parts[0].point_data.items():
        if name in (_GLOBAL, _PEDIGREE) or not all(name in p.point_data for p in parts):
            continue
        values = np.zeros((len(points), *np.shape(like)[1:]), np.asarray(like).dtype)
        for part, ids in zip(parts, nodes, strict=True):
            values[ids] = part.point_data[name]
        out[name] = values
    return out


def _cell_data(parts: list[meshio.Mesh]) -> dict[str, list[NDArray]]:
    names = [n for n in parts[0].cell_data if all(n in p.cell_data for p in parts)]
    return {n: [np.asarray(v) for p in parts for v in p.cell_data[n]] for n in names}


def _sets(parts: list[meshio.Mesh], bodies: list[tuple[str, str, Any]], count: int) -> dict[str, list[NDArray | None]]:
    sets: dict[str, list[NDArray | None]] = {}
    first = 0
    for part, (_, name, _) in zip(parts, bodies, strict=True):
        members = sets.setdefault(name, [None] * count)
        for k, block in enumerate(part.cells, start=first):
            members[k] = np.arange(len(block))
        first += len(part.cells)
    return sets


def _point_sets(
    leaves: list[tuple[str, str, Any]], bodies: list[tuple[str, str, Any]], nodes: list[NDArray]
) -> dict[str, NDArray]:
    """Node sets, whose nodes are known by their number in the file."""
    wanted = {
        n: np.asarray(g.point_data[_GLOBAL]) for k, n, g in leaves if k == "Node Sets" and _GLOBAL in g.point_data
    }
    if not wanted or not all(_GLOBAL in g.point_data for _, _, g in bodies):
        return {}
    numbers = np.concatenate([np.asarray(g.point_data[_GLOBAL]) for _, _, g in bodies])
    ids = np.concatenate(nodes)
    return {name: np.unique(ids[np.isin(numbers, members)]) for name, members in wanted.items()}


def reader_for(suffix: str) -> Callable[[Path], meshio.Mesh] | None:
    """`read` for the suffixes that it takes."""
    return read if suffix in SUFFIXES else None
