"""Carrying nodal fields of a library's mesh, mid-side nodes included, to the moved mesh."""

from __future__ import annotations

import warnings
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry import CellMesh, Location, PointLocator
from meshmove.geometry.arrays import Array
from meshmove.meshes.source import Fields, Source, is_pair
from meshmove.options import as_numbers
from meshmove.outcomes import Outcome

from . import conservative, swept
from .cells import swept_means
from .conservative import first_cells, mass_matrix
from .second_order import SecondOrder

__all__ = ["Carrier"]


class Carrier:
    """Transfers fields from a mesh to the same mesh moved: with a row a node, or as degrees of freedom of a basis.

    Parameters
    ----------
    source
        The mesh.
    mesh, moved
        The moved one, of the library's class and as plain arrays.
    displacement
        (n_nodes, dim) of its nodes.
    transfer
        "interpolate", "conservative" or "swept".
    far
        Nodes have gone farther than what moves in the fields: with "swept", project.
    """

    def __init__(
        self, source: Source, mesh: Any, moved: CellMesh, displacement: Array, transfer: str, far: bool = False
    ) -> None:
        self._source, self._mesh, self._moved, self._transfer, self._far = source, mesh, moved, transfer, far
        self._stays: NDArray[np.bool_] = np.asarray(~displacement.any(axis=1))

    def __getstate__(self) -> dict[str, Any]:
        made = {k for k, v in vars(type(self)).items() if isinstance(v, cached_property)}
        return {k: v for k, v in self.__dict__.items() if k not in made}  # the rest is made again where it is needed

    @property
    def _locator(self) -> PointLocator:
        return self._source.locator

    @cached_property
    def _where(self) -> Location:
        return self._locator.find(self._moved.points.T, guess=first_cells(self._source.cells))

    @cached_property
    def _second(self) -> SecondOrder | None:
        """How fields with values at mid-side nodes are evaluated; None where there are no such nodes."""
        cells = self._source.cells
        if cells.nodes is None or cells.lift is None:
            return None
        return SecondOrder(cells, self._source.cells.vertex_nodes, self._locator)

    @cached_property
    def _used(self) -> NDArray[np.int64]:
        """Nodes that cells have."""
        lift = self._source.cells.lift
        return np.arange(self._source.cells.n_nodes) if lift is None else np.flatnonzero(np.diff(lift.indptr))

    def find(self, points: Array) -> Location:
        """Where points (m, dim) of the moved mesh lie in the mesh as it was."""
        return self._locator.find(points.T) if self._second is None else self._second.find(points)

    def all(self, fields: Fields) -> dict[str, NDArray]:
        """All fields by name; one given as a function is evaluated at the new nodes, a pair comes as its dofs."""
        out = {name: self.one(values, f"point data {name!r}") for name, values in fields.nodal.items()}
        if fields.pair is not None:
            out["field"] = self.one(fields.pair)
        if fields.function is not None:
            out["field"] = self._called(fields.function)
        return out

    def _called(self, function: Any) -> NDArray:
        what = "the field function f(x)"
        if self._second is None or self._moved.nodes is None:
            return self._at_nodes(self._source.called(function, self._moved.points, what))
        values = self._source.called(function, self._moved.nodes[self._used], what)
        out = np.zeros((self._source.cells.n_nodes, *values.shape[1:]), values.dtype)
        out[self._used] = values
        return out

    def asked(self, values: Any) -> NDArray:
        """One more field, as `one`; a warning where the transfer that was asked for does not keep its integral."""
        for note in self._lost(values) if is_pair(self._source, values) else ():
            warnings.warn(note, stacklevel=3)
        return self.one(values)

    def one(self, values: Any, name: str = "the field") -> NDArray:
        """One field (n_nodes, ...) or (n_vertices, ...), in its own precision, or a library's pair (basis, dofs)."""
        if is_pair(self._source, values):
            return self._dofs(values)
        values = as_numbers(values, name)
        if values.dtype.kind not in "fc":
            values = values.astype(float)
        vertex = self._source.at_vertices(values, name)
        if self._stays.all():
            return values.copy()
        flat = vertex.reshape(len(vertex), -1)
        at_nodes = len(values) == self._source.cells.n_nodes
        if at_nodes and self._second is not None:
            carried = _by_parts(self._of_second_order, values.reshape(len(values), -1)).reshape(values.shape)
        else:
            carried = self._of_vertices(flat).reshape(vertex.shape)
            if at_nodes and self._source.cells.lift is not None:
                carried = values + self._at_nodes(carried) - self._at_nodes(vertex)  # unused nodes keep their value
            elif len(values) not in (len(vertex), self._source.cells.n_nodes):
                carried = self._source.at_numbers(carried)
        return carried.astype(values.dtype, copy=False)

    def _of_vertices(self, flat: NDArray) -> NDArray:
        if self._transfer == "interpolate":
            return self._where.between(flat)
        if self._transfer == "conservative":
            new = conservative(self._source.cells, self._moved, flat, locator=self._locator)
        else:
            new = swept(self._source.cells, self._moved, flat, locator=self._locator, far=self._far)
        numbers = self._source.numbers
        return new if numbers is None else _by_parts(lambda part: self._alike(part, numbers), new)

    def _alike(self, values: NDArray, numbers: NDArray[np.int64]) -> NDArray:
        """Values (n_vertices, k) that are the same at images: their mean by volume, so that the integral is kept."""
        volume = mass_matrix(self._moved)[1]
        whole = np.bincount(numbers, volume)
        parts = [np.bincount(numbers, volume * column) / whole for column in values.T]
        return np.stack(parts, axis=1)[numbers]

    def _of_numbers(self, values: NDArray) -> NDArray:
        """Values of a periodic mesh, once for each number that its cells have."""
        assert self._source.numbers is not None
        used, row = np.unique(self._source.numbers, return_inverse=True)
        out = np.empty((len(used), values.shape[1]), values.dtype)
        out[row] = self._of_vertices(values[row])
        return out

    def _of_second_order(self, values: Array) -> Array:
        """Values (n_nodes, k) at the new nodes: the quadratic field there, conservative at vertices if wanted."""
        second, moved = self._second, self._moved
        assert second is not None and moved.nodes is not None
        out = np.array(values, float)
        go = self._used[~self._stays[self._used]]
        out[go] = second.at(out, second.find(moved.nodes[go]))
        if self._transfer != "interpolate":
            vertices = self._source.cells.vertex_nodes
            out += self._at_nodes(self._of_vertices(values[vertices]) - out[vertices])
        return out

    def _dofs(self, pair: Any) -> NDArray:
        converter: Any = self._source.converter
        linear = None
        if self._transfer != "interpolate":
            linear = self._of_vertices if self._source.numbers is None else self._of_numbers
        means = self._of_cells if self._transfer == "swept" else None
        return converter.carried(self._source.mesh, self._mesh, pair, self.find, linear, means)

    def _of_cells(self, means: Array, slopes: Array | None) -> Array:
        return swept_means(self._source.cells, self._moved, means, slopes)

    def notes(self, fields: Fields) -> tuple[str, ...]:
        """What the transfer that was asked for does not do for a field."""
        return () if fields.pair is None else self._lost(fields.pair)

    def _lost(self, pair: Any) -> tuple[str, ...]:
        converter: Any = self._source.converter
        if self._transfer == "interpolate" or self._stays.all():
            return ()
        if converter.keeps_integrals(self._source.mesh, pair, self._transfer == "swept"):
            return ()
        kept = "values at vertices" + (" and means of cells" if self._transfer == "swept" else "")
        text = f"the field's integral is not kept: {self._transfer!r} is for {kept}, other dofs are interpolated"
        return (Outcome.INTEGRAL_NOT_KEPT.told(text),)

    def _at_nodes(self, vertex: NDArray) -> NDArray:
        lift = self._source.cells.lift
        if lift is None:
            return vertex
        return (lift @ vertex.reshape(len(vertex), -1)).reshape(-1, *vertex.shape[1:])


def _by_parts(function: Any, values: NDArray) -> NDArray:
    """A real function of columns, of complex ones too."""
    if not np.iscomplexobj(values):
        return function(values)
    return function(values.real) + 1j * function(values.imag)
