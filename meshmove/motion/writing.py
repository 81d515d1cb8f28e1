"""From the positions of a step to the user's mesh, and what it carries along."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshmove.adaptation.settle import settle
from meshmove.adaptation.unit_mesh import Stage
from meshmove.geometry import CellMesh
from meshmove.geometry.arrays import Array
from meshmove.meshes.source import Source
from meshmove.transfer.carrier import Carrier

from .unknowns import Unknowns

__all__ = ["Carrying", "Halfway", "with_stored", "written"]


class Carrying:
    """Carries the fields when asked; an object, not a closure, so that a step can be pickled."""

    def __init__(self, unknowns: Unknowns, carrier: Carrier, transfer: str | None) -> None:
        self._unknowns, self._carrier, self._transfer = unknowns, carrier, transfer

    def __call__(self) -> tuple[Any, dict[str, NDArray]]:
        return (None, {}) if self._transfer is None else self._unknowns.carried(self._carrier)


class Halfway:
    def __init__(self, source: Source, displacement: Array) -> None:
        self._source, self._displacement = source, displacement

    def __call__(self) -> Any:
        return self._source.converter.write(self._source.mesh, 0.5 * self._displacement)


def with_stored(source: Source, mesh: Any, unknowns: Unknowns, carrier: Carrier) -> Any:
    """The mesh with its floating-point point data carried along."""
    stored = source.converter.fields(source.mesh)
    if not stored:
        return mesh
    named = unknowns.carried(carrier)[1]
    return source.converter.with_fields(mesh, {k: v for k, v in named.items() if k in stored})


def written(source: Source, stage: Stage, points: Array) -> tuple[Any, CellMesh, Array, tuple[str, ...]]:
    """The user's mesh with its vertices at `points`, as plain arrays, the displacement, and what had to give way.

    Straight cells in double precision are as the follower has checked them; others are settled.
    """
    cells = source.cells
    if cells.nodes is None and cells.lift is None and source.converter.dtype(source.mesh) == np.float64:
        displacement = (points - stage.current.points) * stage.scale
        moved = replace(cells, points=cells.points + displacement)
        return source.converter.write(source.mesh, displacement), moved, displacement, ()
    settled = settle(source, stage, points)
    return settled.mesh, settled.moved, settled.displacement, settled.warnings
