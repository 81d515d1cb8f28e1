"""What a picture of a move shows: by kind, values on the mesh before and after, and what they are called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry import CellMesh, FieldError, PointLocator
from meshmove.geometry.arrays import Array
from meshmove.geometry.quality import scaled_jacobian
from meshmove.meshes.registry import converter_for
from meshmove.options import check_names

__all__ = ["KINDS", "Shown", "shown", "title_of"]

KINDS = ("field", "mesh", "error", "quality", "displacement")
MONITOR = "monitor"


@dataclass(frozen=True, eq=False)
class Shown:
    """Meshes before and after, values of their vertices or cells, None for the mesh alone, and how these are drawn.

    `limits`: the range of values where it is known beforehand. `step`: where vertices (n, dim) go, to be drawn too.
    """

    meshes: tuple[CellMesh, CellMesh]
    values: tuple[NDArray, NDArray] | None = None
    label: str = ""
    cmap: str = "viridis"
    log: bool = False
    limits: tuple[float, float] | None = None
    step: Array | None = None


def shown(adaptation: Any, kind: str | None, color: str | None = None, before: Any = None) -> Shown:
    """What a picture of this kind shows; by default the field, or the mesh where there is none.

    `color`: which field, or "monitor". `before`: a mesh of the library in the place of the one that was moved.

    Raises
    ------
    ValueError
        Another kind.
    FieldError
        There is no such field, or none of linear elements where their error is to be shown.
    """
    if kind is None:
        kind = "field" if color is not None or _names(adaptation) else "mesh"
    if kind not in KINDS:
        check_names({kind: None}, KINDS, "pictures (kinds)")
    first = adaptation.cells if before is None else converter_for(before).read(before)
    meshes = (first, adaptation.moved)
    if kind == "mesh":
        return Shown(meshes)
    if kind == "quality":
        values = (scaled_jacobian(meshes[0]), scaled_jacobian(meshes[1]))
        return Shown(meshes, values, "quality: scaled Jacobian, 1 at best", "RdYlBu", limits=(0.0, 1.0))
    if kind == "displacement":
        step = meshes[1].points - meshes[0].points
        length = np.linalg.norm(step, axis=1)
        return Shown(meshes, (length, length), "displacement", "YlOrRd", step=step)
    if kind == "error":
        return _errors(adaptation, meshes)
    return _field(adaptation, color, meshes, before)


def _errors(adaptation: Any, meshes: tuple[CellMesh, CellMesh]) -> Shown:
    field = adaptation.moved_for
    if field is None:
        raise FieldError("Expected a mesh that was moved for a field (got one moved for a monitor: no error is known)")
    values = (field.at(meshes[0].points), field.at(meshes[1].points))
    what = field.name if field.name != "field" else "the field"
    return Shown(meshes, values, f"predicted error of {what} on each cell", "YlGnBu", log=True)


def _names(adaptation: Any) -> list[str]:
    """Of the fields, the one that the mesh moved to first; the monitor comes first where there was no such."""
    fields, own = list(adaptation.fields or {}), adaptation.moved_for
    monitor = [MONITOR] if adaptation.monitor is not None else []
    if own is None:
        return [*monitor, *fields]
    return [own.name, *(f for f in fields if f != own.name), *monitor]


def _field(adaptation: Any, color: str | None, meshes: tuple[CellMesh, CellMesh], before: Any) -> Shown:
    names = _names(adaptation)
    color = color if color is not None else (names[0] if names else None)
    if color is None or color not in names:
        raise FieldError(f"Expected a field among {', '.join(names) or 'none (there is no field)'} (got {color!r})")
    if color == MONITOR and color not in adaptation.fields:
        values = adaptation.monitor
        pair = (_looked_up(adaptation.cells, values, meshes[0]), _looked_up(adaptation.cells, values, meshes[1]))
        return Shown(meshes, pair, color, log=bool(values.max() > 200 * values.min() > 0))
    after = _after(adaptation, color)
    first = _before(adaptation, color, before)
    if first is None:
        first = _looked_up(meshes[1], after, meshes[0])
    return Shown(meshes, (first, after), color)


def _after(adaptation: Any, name: str) -> NDArray:
    """Of the moved mesh: as carried, or looked up where that is no value at each node."""
    carried, own = np.asarray(adaptation.fields.get(name, ())), adaptation.moved_for
    cells = adaptation.cells
    if carried.ndim and len(carried) in (cells.n_nodes, cells.n_points):
        return _scalar(carried if len(carried) == cells.n_points else carried[cells.vertex_nodes])
    if own is not None and own.name == name:
        return _looked_up(own.cells, _scalar(own.values), adaptation.moved)
    raise FieldError(
        f"Expected a field with a value at each of {cells.n_nodes} nodes (got {name!r} of shape {carried.shape})"
    )


def _before(adaptation: Any, name: str, before: Any) -> NDArray | None:
    """Of the mesh that came: its own data, or the field as it was given; None where neither is there."""
    mesh = adaptation.original if before is None else before
    own, cells = converter_for(mesh).fields(mesh), adaptation.cells
    if name in own:
        values = np.asarray(own[name])
        return _scalar(values if len(values) == cells.n_points else values[cells.vertex_nodes])
    if before is None and adaptation.moved_for is not None and adaptation.moved_for.name == name:
        return _scalar(adaptation.moved_for.values)
    return None


def _scalar(values: NDArray) -> NDArray:
    """Values (n,), of several components their length."""
    values = values.reshape(len(values), -1)
    if values.shape[1] == 1 and values.dtype.kind != "c":
        return values[:, 0].astype(float)
    return np.linalg.norm(values, axis=1)


def _looked_up(cells: CellMesh, values: NDArray, there: CellMesh) -> NDArray:
    """Values of the vertices of one mesh at those of another; a little outside, those of the closest cell."""
    if np.array_equal(cells.points, there.points):
        return values
    return PointLocator(cells.simplicial()).find(there.points.T).interpolate(values)


def title_of(first: Any, last: Any) -> str:
    """What a move, or a loop from one report to another, gained, and that no cell is invalid."""
    if last.energy_before is not None and first.energy_before is not None:
        gain = f"energy {first.energy_before:.4g} → {last.energy_after:.4g}"
    elif first.predicted_error_before and last.predicted_error_after:
        ratio = first.predicted_error_before / last.predicted_error_after
        change = f"{ratio:.1f} times less" if ratio >= 1.05 else f"{1 / ratio:.1f} times more"
        gain = f"predicted error {change if abs(np.log(ratio)) >= np.log(1.05) else 'unchanged'}"
    else:
        gain = f"imbalance {first.imbalance_before:.2g} → {last.imbalance_after:.2g}"
    return f"{gain}, {last.inverted_cells} cells invalid"
