"""From the positions of a step to the user's mesh, and what it carries along."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshmove.adaptation.settle import settle
from meshmove.adaptation.unit_mesh import UnitMesh
from meshmove.geometry import CellMesh
from meshmove.geometry.arrays import Array
from meshmove.meshes.source import Source
from meshmove.transfer.carrier import Carrier

from .following.state import Went
from .step import Step, report_of
from .unknowns import Unknowns

__all__ = ["step_of"]

#: up to so many times the speed of the field's features nodes ride on these
RIDING = 3.0
#: a field that changes by so many of its time scales in a step is another one
ANOTHER = 2.0


def step_of(
    source: Source, unit: UnitMesh, points: Array, unknowns: Unknowns, transfer: str | None, went: Went, dt: float
) -> Step:
    """The step from a mesh to vertices at `points` (n, dim), in unit coordinates; its time counts from zero."""
    mesh, moved, displacement, warnings = _written(source, unit, points)
    in_space = displacement if source.cells.frame is None else source.cells.frame.raise_(displacement)
    velocity = in_space / dt if dt else np.zeros_like(in_space)
    far = _far(went, velocity / unit.scale, dt)
    carrier = Carrier(source, mesh, moved, displacement, transfer or "interpolate", far)
    if transfer is not None:
        mesh = _with_stored(source, mesh, unknowns, carrier)
    told = () if transfer is None else unknowns.notes(carrier)
    words = (*went.warnings, *unknowns.warnings, *told, *warnings, *unit.lost_shape(moved))
    report = replace(
        report_of(went, displacement, velocity),
        feature_speed=None if went.pace is None else went.pace.speed * unit.scale,
        regions=source.cells.region_names,
        warnings=tuple(dict.fromkeys(words)),
    )
    return Step(
        old=source.mesh,
        mesh=mesh,
        displacement=displacement,
        velocity=velocity,
        reference=source.mesh,
        dt=dt,
        time=dt,
        report=report,
        cells=source.cells,
        moved=moved,
        _given=unknowns.material(mesh),
        _carry=_Carrying(unknowns, carrier, transfer),
        _one=carrier.asked,
        _halfway=_Halfway(source, displacement),
    )


def _far(went: Went, velocity: Array, dt: float) -> bool:
    """Whether nodes went for their own sake, much faster than what moves in the field, or after one that is new."""
    if went.pace is None:
        return False
    fastest = np.sqrt((velocity**2).sum(axis=1)).max()
    return bool(fastest > RIDING * went.pace.speed or went.pace.rate * dt > ANOTHER)


class _Carrying:
    """Carries the fields when asked; an object, not a closure, so that a step can be pickled."""

    def __init__(self, unknowns: Unknowns, carrier: Carrier, transfer: str | None) -> None:
        self._unknowns, self._carrier, self._transfer = unknowns, carrier, transfer

    def __call__(self) -> tuple[Any, dict[str, NDArray]]:
        return (None, {}) if self._transfer is None else self._unknowns.carried(self._carrier)


class _Halfway:
    def __init__(self, source: Source, displacement: Array) -> None:
        self._source, self._displacement = source, displacement

    def __call__(self) -> Any:
        return self._source.converter.write(self._source.mesh, 0.5 * self._displacement)


def _with_stored(source: Source, mesh: Any, unknowns: Unknowns, carrier: Carrier) -> Any:
    """The mesh with its floating-point point data carried along."""
    stored = source.converter.fields(source.mesh)
    if not stored:
        return mesh
    named = unknowns.carried(carrier)[1]
    return source.converter.with_fields(mesh, {k: v for k, v in named.items() if k in stored})


def _written(source: Source, unit: UnitMesh, points: Array) -> tuple[Any, CellMesh, Array, tuple[str, ...]]:
    """The user's mesh with its vertices at `points`, as plain arrays, the displacement, and what had to give way.

    Straight cells in double precision are as the follower has checked them; others are settled.
    """
    cells = source.cells
    if cells.nodes is None and cells.lift is None and source.converter.dtype(source.mesh) == np.float64:
        displacement = (points - unit.current.points) * unit.scale
        moved = replace(cells, points=cells.points + displacement)
        return source.converter.write(source.mesh, displacement), moved, displacement, ()
    settled = settle(source, unit, points)
    return settled.mesh, settled.moved, settled.displacement, settled.warnings
