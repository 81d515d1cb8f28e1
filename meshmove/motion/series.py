"""One moving mesh through all frames of a time series that was computed on a mesh at rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from meshmove.geometry import CellMesh, FieldError, InvalidMeshError, PointLocator
from meshmove.geometry.arrays import Array
from meshmove.geometry.errors import MeshmoveError
from meshmove.meshes.series.files import Moment
from meshmove.meshes.source import Source, read_fields, same_topology
from meshmove.transfer.carrier import Carrier

from .moving_mesh import MovingMesh
from .step import StepReport

__all__ = ["Followed", "followed"]

#: rounds in which the first mesh comes to where it should be for the first frame
ROUNDS = 3


@dataclass(frozen=True, eq=False)
class Followed:
    """A frame on the mesh that follows: the mesh with all its data, and how the step to it went (None: the first)."""

    time: float
    mesh: Any
    report: StepReport | None


def followed(frames: Iterable[Moment], field: str, transfer: str | None, **options: Any) -> Iterator[Followed]:
    """The frames of a series on a mesh that follows a field of theirs.

    The mesh starts where it should be for the first frame. Floating-point point data of each frame are carried from the
    frame's own mesh, so that nothing is interpolated twice; other data stay with their nodes and cells.

    Parameters
    ----------
    frames
        Times and meshes of the same cells.
    field
        The point data that the mesh follows.
    transfer
        "interpolate", "conservative", or None: point data stay with their nodes.
    options
        Of `MovingMesh`.

    Raises
    ------
    FieldError
        A frame lacks the field, or has values that are not finite; the message names the frame.
    InvalidMeshError
        A frame has other cells than the first.
    """
    coming, regions = iter(frames), options.get("regions", "auto")
    before = next(coming)
    first, values = last = _read(before, field, regions)
    moving = MovingMesh(before.mesh, transfer=None, **options)
    for _ in range(ROUNDS):
        moving.start(_there(first, values, moving.cells))
    yield Followed(before.time, _carried(first, moving, transfer), None)
    for frame in coming:
        source, values = _read(frame, field, regions)
        _same_cells(first, source, frame)
        report = moving.step(_there(*last, moving.cells), frame.time - before.time).report
        before, last = frame, (source, values)
        yield Followed(frame.time, _carried(source, moving, transfer), report)


def _read(frame: Moment, field: str, regions: Any) -> tuple[Source, Array]:
    try:
        source = Source.of(frame.mesh, regions)
        values = read_fields(source, field).values
    except MeshmoveError as why:
        raise type(why)(f"In {frame.name}: {why}") from why
    if values is None:
        raise FieldError(f"In {frame.name}: expected the name of point data (got {field!r})")
    return source, values


def _there(source: Source, values: Array, cells: CellMesh) -> Array:
    """Values (n_vertices, k) of a frame at the vertices of the mesh as it is now."""
    found = PointLocator(source.cells).find(cells.points.T).interpolate(values)
    return found[:, 0] if found.shape[1] == 1 else found


def _same_cells(first: Source, source: Source, frame: Moment) -> None:
    try:
        same_topology(source.cells, first.cells)
    except InvalidMeshError as why:
        raise InvalidMeshError(
            f"In {frame.name}: expected the cells of the first frame (got {source.cells} for {first.cells}). "
            "A series whose mesh was made anew has to be cut there"
        ) from why


def _carried(source: Source, moving: MovingMesh, transfer: str | None) -> Any:
    """A frame's mesh with its nodes where those of the moving mesh are, and its point data there."""
    cells, old = moving.cells, source.cells
    if old.nodes is not None and cells.nodes is not None:
        displacement = cells.nodes - old.nodes
    else:
        displacement = old.lifted(cells.points - old.points)
    displacement[np.abs(displacement) <= 1e-14 * old.extent] = 0
    mesh = source.converter.write(source.mesh, displacement)
    if transfer is None:
        return mesh
    moved = replace(old, points=cells.points, nodes=cells.nodes)
    carrier = Carrier(source, mesh, moved, displacement, transfer)
    return source.converter.with_fields(mesh, carrier.all(read_fields(source, None)))
