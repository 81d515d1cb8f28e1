"""Names of data with letters that mean something else in a format: escaped as in addresses of the web, as VTK does."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from .cell_sets import shallow_copy

if TYPE_CHECKING:
    import meshio

__all__ = ["escaped", "unescaped"]

#: by format: what ends a name, or parts it; and the percent sign, so that names come back as they were
_MEANT = {
    "vtk": re.compile(r"[^!#$&-~]"),  # vtkDataWriter::EncodeString
    "med": re.compile("[/%]"),
    "gmsh": re.compile('["%]'),
    "gmsh22": re.compile('["%]'),
}
_ESCAPED = re.compile("(?:%[0-9A-Fa-f]{2})+")


def escaped(mesh: meshio.Mesh, file_format: str) -> meshio.Mesh:
    """The mesh with names of point and cell data that can be written; itself where all can be."""
    meant = _MEANT.get(file_format)
    if meant is None or not any(meant.search(name) for name in (*mesh.point_data, *mesh.cell_data)):
        return mesh
    return _renamed(shallow_copy(mesh), lambda name: meant.sub(lambda found: quote(found[0], safe=""), name))


def unescaped(mesh: meshio.Mesh, file_format: str) -> meshio.Mesh:
    """A mesh that was just read, with the names that were written; escapes that no writer makes are left."""
    meant = _MEANT.get(file_format)
    if meant is None:
        return mesh

    def plain(found: re.Match[str]) -> str:
        letters = unquote(found[0])
        return letters if meant.match(letters) else found[0]

    return _renamed(mesh, lambda name: _ESCAPED.sub(plain, name))


def _renamed(mesh: meshio.Mesh, called: Callable[[str], str]) -> meshio.Mesh:
    mesh.point_data = {called(name): values for name, values in mesh.point_data.items()}
    mesh.cell_data = {called(name): values for name, values in mesh.cell_data.items()}
    return mesh
