"""What the words after ``--field``, ``--field-from`` and ``--monitor`` stand for."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry import FieldError
from meshmove.geometry.location import PointLocator
from meshmove.geometry.quality import vertex_means
from meshmove.meshes.source import Source
from meshmove.monitors.monitor import KINDS

from .expressions import Expression

__all__ = ["Chosen", "chosen", "monitor_of"]

#: integer arrays of these names number nodes, cells or groups; second derivatives of them mean nothing
_NUMBERS = re.compile(r"(gmsh|medit|nastran|su2|avsucd|tetgen|flac3d|ugrid|netgen)[:_]|vtk|.*(ids?|tags?|ref)$", re.I)
#: so much further out than a mesh's nodes may another's lie, as a share of the extent: then it is another body
_OUTSIDE = 1e-2


@dataclass(frozen=True)
class Chosen:
    """The field to adapt to, as `adapt` takes it, and the name that it has on the moved mesh."""

    field: Any
    name: str | None = None

    def put(self, result: Any) -> Any:
        """The moved mesh with the field as point data; that of a name is there already."""
        values = None if isinstance(self.field, str) else result.fields.get("field")
        if values is None or self.name is None:
            return result.mesh
        return Source.of(result.mesh).converter.with_fields(result.mesh, {self.name: values})


def chosen(source: Source, words: str | None, other: str | None, needed: bool = True) -> Chosen:
    """The field that ``--field words`` or ``--field-from other`` means on a mesh.

    Raises
    ------
    FieldError
        No data of that name, and no formula either; numbers of nodes or groups; values on another body.
    ValueError
        Both are given.
    """
    if words is not None and other is not None:
        raise ValueError(f"Expected --field or --field-from (got both: {words!r} and {other!r})")
    if other is not None:
        return _of_file(source, other)
    points = source.converter.fields(source.mesh)
    cells = {k: v for k, v in source.cells.labels.items() if not _numbers(k, v) and v.dtype.kind in "fiu"}
    if words is None:
        if needed:
            raise FieldError(
                "Expected --field NAME, a formula such as --field 'tanh(30*(x-1))', --field-from FILE, or a formula as "
                f"--monitor (got none of them; {_offers(points, cells)})"
            )
        return Chosen(None)
    if words in points:
        if _numbers(words, points[words]):
            raise FieldError(
                f"Expected a field (got {words!r}, which numbers nodes or groups; {_offers(points, cells)})"
            )
        return Chosen(words, words)
    if words in cells:
        return Chosen(source.cells.lifted(vertex_means(source.cells, cells[words])), words)
    if Expression.like(words):
        return Chosen(Expression(words), "field")
    raise FieldError(
        f"Expected the name of point data or cell data, or a formula such as 'tanh(30*(x-1))' "
        f"(got {words!r}; {_offers(points, cells)})"
    )


def monitor_of(words: str) -> str | Callable[[NDArray], NDArray]:
    """The monitor by its name, or as a formula."""
    return words if words in KINDS or not Expression.like(words) else Expression(words)


def _numbers(name: str, values: NDArray) -> bool:
    return np.asarray(values).dtype.kind in "iu" and _NUMBERS.match(name) is not None


def _offers(points: Any, cells: Any) -> str:
    names = [repr(k) for k, v in points.items() if not _numbers(k, v)] + [f"{k!r} on cells" for k in cells]
    return "the mesh has: " + (", ".join(names) or "none; a formula needs none")


def _of_file(source: Source, other: str) -> Chosen:
    """Values (n_vertices,) of a field in another file, on its own mesh, interpolated."""
    path, name = _file_and_name(other)
    there = Source.of(path, None)
    field = chosen(there, name or _only(there, path), None).field
    values = there.at_vertices(there.converter.fields(there.mesh)[field], field) if isinstance(field, str) else field
    points = _in_plane(there, source.cells.in_space(source.cells.points), path)
    found = PointLocator(there.cells).find(points.T)
    off = np.linalg.norm(found.interpolate(there.cells.points) - points, axis=1)
    far = off > _OUTSIDE * source.cells.extent
    if far.any():
        raise FieldError(
            f"Expected '{path}' to cover the mesh (got {far.sum()} of {len(points)} nodes outside of its cells, "
            f"the furthest by {off.max():.3g})"
        )
    return Chosen(source.cells.lifted(found.interpolate(values)), name or str(field))


def _in_plane(there: Source, points: NDArray, path: Path) -> NDArray:
    """Points as coordinates of the other mesh, of its plane where it is a plane one in space."""
    frame, cells = there.cells.frame, there.cells
    flat = points
    if frame is not None and points.shape[1] == 3:
        flat = frame.project(points)
        if np.abs(frame.place(flat) - points).max() > _OUTSIDE * cells.extent:
            raise FieldError(f"Expected '{path}' to lie in the plane of the mesh (got one in another plane)")
    if flat.shape[1] != cells.dim:
        raise FieldError(f"Expected '{path}' to hold a mesh of {flat.shape[1]} dimensions (got {cells.dim})")
    return flat


def _file_and_name(text: str) -> tuple[Path, str | None]:
    """``run.vtu:u`` as a path and a name; a path alone where a file goes by the whole text."""
    before, colon, after = text.rpartition(":")
    if not colon or Path(text).exists():
        return Path(text), None
    return Path(before), after


def _only(source: Source, path: Path) -> str:
    fields = [k for k, v in source.converter.fields(source.mesh).items() if not _numbers(k, v)]
    if len(fields) != 1:
        names = ", ".join(map(repr, fields)) or "none"
        raise FieldError(f"Expected --field-from {path}:NAME with the name of its field (it has: {names})")
    return fields[0]
