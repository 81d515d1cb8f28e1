"""Carrying nodal fields of a library's mesh, mid-side nodes included, to the moved mesh."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry import CellMesh, PointLocator

from .inputs import Fields, Source
from .transfer import conservative

__all__ = ["Carrier"]

Array = NDArray[np.float64]


class Carrier:
    """Transfers fields with one row a node from a mesh to the same mesh moved."""

    def __init__(self, source: Source, moved: CellMesh, displacement: Array) -> None:
        self._source, self._moved = source, moved
        self._still = not displacement.any()

    @cached_property
    def _locator(self) -> PointLocator:
        return PointLocator(self._source.cells)

    @cached_property
    def _where(self):
        return self._locator.find(self._moved.points.T)

    def all(self, fields: Fields, transfer: str) -> dict[str, NDArray]:
        """All nodal fields by name; one given as a function is evaluated at the new nodes."""
        out = {name: self.one(values, transfer) for name, values in fields.nodal.items()}
        if fields.function is not None:
            values = self._source.called(fields.function, self._moved.points, "the field function f(x)")
            out["field"] = self._at_nodes(values)
        return out

    def one(self, values: NDArray, transfer: str) -> NDArray:
        """One field (n_nodes, ...) or (n_vertices, ...), in its own precision."""
        values = np.asarray(values)
        vertex = self._source.at_vertices(values, "the field")
        if self._still or values.dtype.kind not in "fc":
            return values.copy()
        flat = vertex.reshape(len(vertex), -1)
        if transfer == "conservative":
            carried = conservative(self._source.cells, self._moved, flat, locator=self._locator)
        else:
            carried = self._where.interpolate(flat)
        carried = carried.reshape(vertex.shape)
        if len(values) == self._source.cells.n_nodes:
            # what a mid-side node had beyond its edge's mean moves with it; unused nodes keep their value
            carried = values + self._at_nodes(carried) - self._at_nodes(vertex)
        return carried.astype(values.dtype, copy=False)

    def _at_nodes(self, vertex: NDArray) -> NDArray:
        lift = self._source.cells.lift
        if lift is None:
            return vertex
        return (lift @ vertex.reshape(len(vertex), -1)).reshape(-1, *vertex.shape[1:])
