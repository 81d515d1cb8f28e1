"""Reading what users hand to `adapt`: the mesh, the field in its many forms, pinned nodes, the reference mesh."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry import CellMesh, FieldError, InvalidMeshError
from meshmove.geometry.errors import first_ids

from .registry import Converter, converter_for

__all__ = ["Fields", "Source", "fixed_vertices", "read_fields"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Source:
    """A user's mesh, its converter, and its plain arrays."""

    mesh: Any
    converter: Converter
    cells: CellMesh

    @classmethod
    def of(cls, mesh: Any) -> Source:
        if isinstance(mesh, (str, os.PathLike)):
            from .io import load

            mesh = load(mesh)
        if isinstance(mesh, CellMesh):
            return cls(mesh, _Plain(), mesh)
        converter = converter_for(mesh)
        return cls(mesh, converter, converter.read(mesh))

    @cached_property
    def vertex_nodes(self) -> NDArray[np.int64]:
        """One node (n_vertices,) of the library's mesh for each vertex."""
        lift = self.cells.lift
        if lift is None:
            return np.arange(self.cells.n_points)
        single = np.flatnonzero(np.diff(lift.indptr) == 1)
        out = np.empty(self.cells.n_points, dtype=np.int64)
        out[lift.indices[lift.indptr[single]]] = single
        return out

    def at_vertices(self, values: NDArray, name: str) -> NDArray:
        """Values (n_vertices, ...) of a nodal field with one row a node, or one row a vertex."""
        values = np.asarray(values)
        n, v = self.cells.n_nodes, self.cells.n_points
        if values.ndim and len(values) == n:
            return values[self.vertex_nodes]
        if values.ndim and len(values) == v:
            return values
        expected = f"{n}" if n == v else f"{n} (nodes) or {v} (vertices)"
        raise FieldError(f"Expected {name} with {expected} rows, one a node of the mesh (got shape {values.shape})")


@dataclass(frozen=True, eq=False)
class Fields:
    """The field to adapt to.

    `values`: (n_vertices, k), or None where none was given. `nodal`: fields to carry along, by name, with one row a
    node. `function`: the field as a callable, to be evaluated again on the moved mesh.
    """

    values: Array | None
    nodal: Mapping[str, NDArray]
    function: Callable[[Array], NDArray] | None = None


def read_fields(source: Source, field: Any) -> Fields:
    """A field in any of the forms that `adapt` takes.

    Raises
    ------
    FieldError
        Unknown name, wrong length, values that are not numbers or not finite.
    """
    stored = source.converter.fields(source.mesh)
    nodal = {k: v for k, v in stored.items() if np.asarray(v).dtype.kind in "fc"}
    if field is None:
        return Fields(None, nodal)
    if isinstance(field, str):
        if field not in stored:
            known = ", ".join(map(repr, stored)) or "none"
            raise FieldError(f"Expected the name of point data (got {field!r}; the mesh has: {known})")
        nodal.setdefault(field, stored[field])
        return Fields(_checked(source, stored[field], f"field {field!r}"), nodal)
    if callable(field):
        values = np.asarray(field(source.cells.points.T))
        if values.ndim == 2 and values.shape[1] == source.cells.n_points:
            values = values.T
        return Fields(_checked(source, values, "the values of the field function f(x)"), nodal, field)
    if isinstance(field, tuple) and len(field) == 2 and hasattr(source.converter, "node_values"):
        field = source.converter.node_values(source.mesh, field)
    try:
        values = np.asarray(field)
        if values.dtype.kind not in "fciub":
            raise TypeError
    except (TypeError, ValueError):
        raise FieldError(
            f"Expected a field as an array, a name of point data, a function f(x), or for scikit-fem a pair "
            f"(basis, dofs) (got {type(field).__name__})"
        ) from None
    checked = _checked(source, values, "the field")
    if len(values) == source.cells.n_nodes:
        nodal["field"] = values
    return Fields(checked, nodal)


def _checked(source: Source, values: NDArray, name: str) -> Array:
    at = source.at_vertices(values, name)
    at = np.asarray(at).reshape(len(at), -1)
    if np.iscomplexobj(at):
        at = np.concatenate([at.real, at.imag], axis=1)
    at = at.astype(float)
    if not at.shape[1]:
        raise FieldError(f"Expected {name} with at least one column (got shape {values.shape})")
    bad = np.flatnonzero(~np.isfinite(at).all(axis=1))
    if len(bad):
        nodes = source.vertex_nodes[bad]
        raise FieldError(f"Expected finite values (NaN or infinity at {len(bad)} nodes of {name}: {first_ids(nodes)})")
    return at


def fixed_vertices(source: Source, fixed: Iterable[int] | NDArray | None) -> NDArray[np.bool_]:
    """Mask (n_vertices,) of the vertices that a user's node ids or node mask pin.

    Pinning a mid-side node pins the ends of its edge.
    """
    cells = source.cells
    mask = np.zeros(cells.n_nodes, dtype=bool)
    if fixed is not None:
        ids = np.atleast_1d(np.asarray(list(fixed) if np.iterable(fixed) and not isinstance(fixed, str) else fixed))
        if ids.dtype == bool and ids.shape != mask.shape:
            raise ValueError(f"Expected a mask of shape {mask.shape} for `fixed` (got {ids.shape})")
        if ids.dtype != bool and ids.size and (ids.dtype.kind not in "iu" or ids.min() < 0 or ids.max() >= len(mask)):
            raise ValueError(f"Expected node ids from 0 to {len(mask) - 1} in `fixed` (got {ids.dtype} {ids})")
        if ids.size:
            mask[ids] = True
    if cells.lift is None:
        return mask
    return np.asarray(cells.lift[mask].getnnz(axis=0) > 0).ravel()


def same_topology(cells: CellMesh, reference: CellMesh) -> None:
    """Raise InvalidMeshError unless two meshes have the same cells."""
    same = cells.n_points == reference.n_points and len(cells.blocks) == len(reference.blocks)
    same = same and all(
        a.kind is b.kind and np.array_equal(a.nodes, b.nodes)
        for a, b in zip(cells.blocks, reference.blocks, strict=True)
    )
    if not same:
        raise InvalidMeshError(
            f"Expected a reference with the cells of the mesh, at other positions (got {reference} for {cells}). "
            "Pass the mesh from which this one was moved."
        )


class _Plain:
    """Converter of `CellMesh` itself."""

    def read(self, mesh: CellMesh) -> CellMesh:
        return mesh

    def write(self, mesh: CellMesh, displacement: Array) -> CellMesh:
        vertices = Source(mesh, self, mesh).vertex_nodes
        nodes = None if mesh.nodes is None else mesh.nodes + displacement
        return replace(mesh, points=mesh.points + displacement[vertices], nodes=nodes)

    def fields(self, mesh: CellMesh) -> dict[str, NDArray]:
        return {}

    def with_fields(self, mesh: CellMesh, fields: Mapping[str, NDArray]) -> CellMesh:
        return mesh

    def dtype(self, mesh: CellMesh) -> np.dtype:
        return np.dtype(float)

    def to_meshio(self, mesh: CellMesh) -> Any:
        import meshio

        return meshio.Mesh(mesh.points, [(b.kind.name, b.nodes) for b in mesh.blocks])
