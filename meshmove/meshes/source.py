"""Reading what users hand to `adapt`: the mesh, the field in its many forms, pinned nodes, the reference mesh."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry import CellMesh, FieldError, InvalidMeshError, PointLocator
from meshmove.geometry.arrays import Array
from meshmove.geometry.errors import first_ids
from meshmove.geometry.quality import vertex_means
from meshmove.geometry.refine import edge_numbers
from meshmove.options import as_numbers, called

from .plain import Plain
from .regions import AUTO, check_choice, select
from .registry import Converter, converter_for

__all__ = ["Fields", "Source", "fixed_vertices", "is_pair", "read_fields", "same_topology"]


FORMS = "an array, a name of point or cell data, a function f(x), or for scikit-fem a pair (basis, dofs)"


@dataclass(frozen=True, eq=False)
class Source:
    """A user's mesh, its converter, its plain arrays, and which of its data tell regions apart."""

    mesh: Any
    converter: Converter
    cells: CellMesh
    regions: str | tuple[str, ...] | None = AUTO

    @classmethod
    def of(cls, mesh: Any, regions: str | Iterable[str] | None = AUTO) -> Source:
        choice = check_choice(regions)
        if isinstance(mesh, (str, os.PathLike)):
            from .files.io import load

            mesh = load(mesh)
        if isinstance(mesh, CellMesh):
            return cls(mesh, Plain(), select(mesh, choice), choice)
        converter = converter_for(mesh)
        cells = converter.read(mesh)  # converters choose as "auto" says
        return cls(mesh, converter, cells if choice == AUTO else select(cells, choice), choice)

    def read(self, mesh: Any) -> CellMesh:
        """The plain arrays of another mesh of the library, with the regions chosen as for this one."""
        cells = self.converter.read(mesh)
        return cells if self.regions == AUTO else select(cells, self.regions)

    def columns(self, points: Array) -> Array:
        """Points (n, dim) as a function of a user takes them: a copy, in the mesh's own coordinates, as columns."""
        return np.array(self.cells.in_space(points).T, order="C")

    def called(self, function: Callable[[Array], Any], points: Array, what: str) -> NDArray:
        """Values (n, ...) of a function f(x) at points (n, dim); it gets a copy, in the mesh's own coordinates."""
        values = called(function, self.columns(points), what)
        return values.T if values.ndim == 2 and values.shape[1] == len(points) else values

    @cached_property
    def locator(self) -> PointLocator:
        """Of the cells where they are."""
        return PointLocator(self.cells)

    @cached_property
    def numbers(self) -> NDArray[np.int64] | None:
        """Of a periodic mesh, the number (n_vertices,) that each vertex shares with its images."""
        numbers = getattr(self.converter, "vertex_numbers", None)
        return None if numbers is None else numbers(self.mesh)

    def at_numbers(self, values: NDArray) -> NDArray:
        """Values (n_vertices, ...) once for each number of a periodic mesh."""
        assert self.numbers is not None
        out = np.zeros((int(self.numbers.max()) + 1, *values.shape[1:]), values.dtype)
        out[self.numbers] = values
        return out

    def __reduce__(self) -> tuple[Any, ...]:
        if isinstance(self.converter, ModuleType):
            return Source.of, (self.mesh, self.regions)
        return Source, (self.mesh, self.converter, self.cells, self.regions)

    def at_vertices(self, values: NDArray, name: str) -> NDArray:
        """Values (n_vertices, ...) of a nodal field with one row a node, or one row a vertex."""
        values = np.asarray(values)
        n, v = self.cells.n_nodes, self.cells.n_points
        if values.ndim and len(values) == n:
            return values[self.cells.vertex_nodes]
        if values.ndim and len(values) == v:
            return values
        expected = f"{n}" if n == v else f"{n} (nodes) or {v} (vertices)"
        if self.numbers is not None:
            if values.ndim and len(values) == self.numbers.max() + 1:
                return values[self.numbers]
            expected += f" or {self.numbers.max() + 1} (images counted once)"
        raise FieldError(f"Expected {name} with {expected} rows, one a node of the mesh (got shape {values.shape})")


@dataclass(frozen=True, eq=False)
class Fields:
    """The field to adapt to.

    `values`: (n_vertices, k), or None where none was given. `nodal`: fields to carry along, by name, with one row a
    node. `function`: the field as a callable, to be evaluated again on the moved mesh. `pair`: the field in the
    library's own form, which it is carried in. `warnings`: what is to be known about it. `element`: of which the errors
    are to be predicted, by the library's name where one is known; `degree`: 1 or 2, None for elements of which nothing
    can be predicted. `dual`: so many of the last columns of `values` are the adjoint solution of a goal. `hessian`: the
    second derivatives that a field gives itself, as a function of points. `middles`: of quadratic elements on simplices
    the values (e, k) at the middles of edges, in the order of `geometry.refine.edges_of`. `name`: of the field.
    """

    values: Array | None
    nodal: Mapping[str, NDArray]
    function: Callable[[Array], NDArray] | None = None
    pair: Any = None
    warnings: tuple[str, ...] = ()
    element: str = "linear elements"
    degree: int | None = 1
    dual: int = 0
    hessian: Callable[[Array], Any] | None = None
    middles: Array | None = None
    name: str = "field"


def is_pair(source: Source, field: Any) -> bool:
    """Whether a field is of the library's own kind, for scikit-fem a basis and its dofs, for DOLFINx a function."""
    owns: Any = getattr(source.converter, "owns", None)
    if owns is not None:
        return owns(field)
    if not isinstance(field, tuple | list) or len(field) != 2 or not hasattr(source.converter, "node_values"):
        return False
    return isinstance(field, tuple) or any(hasattr(part, "elem") for part in field)


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
        values = as_numbers(stored[field] if field in stored else _of_cells(source, field, stored), f"field {field!r}")
        nodal.setdefault(field, _as_function(values))
        return Fields(_checked(source, values, f"field {field!r}"), nodal, name=field)
    if is_pair(source, field):  # before functions: DOLFINx's own can be called, too
        return _of_pair(source, field, nodal)
    if callable(field):
        if isinstance(field, type):
            raise FieldError(f"Expected a field, or a function f(x) (got the class {field.__name__})")
        values = source.called(field, source.cells.points, "the field function f(x)")
        checked = _checked(source, values, "the values of the field function f(x)")
        own = getattr(field, "hessian", None)
        return Fields(checked, nodal, field, hessian=own if callable(own) and checked.shape[1] == 1 else None)
    values = as_numbers(field, "the field", FORMS)
    checked = _checked(source, values, "the field")
    nodal["field"] = _as_function(values)
    return Fields(checked, nodal)


def _as_function(values: NDArray) -> NDArray:
    """What was given as a field is a function of space also where it is of integers, and no numbering."""
    return values if values.dtype.kind in "fc" else values.astype(float)


def _of_cells(source: Source, name: str, stored: Mapping[str, NDArray]) -> NDArray:
    """Values (n_nodes, ...) of floating-point cell data: the means about each vertex, linear in between."""
    own: Any = getattr(source.converter, "cell_fields", None)
    given = source.cells.labels if own is None else own(source.mesh)
    offered = {k: v for k, v in given.items() if np.asarray(v).dtype.kind == "f"}
    if name not in offered:
        known = ", ".join([*map(repr, stored), *(f"{k!r} on cells" for k in offered)]) or "none"
        raise FieldError(f"Expected the name of point data (got {name!r}; the mesh has: {known})")
    return source.cells.lifted(vertex_means(source.cells, offered[name]))


def _element(source: Source, pair: Any) -> dict[str, Any]:
    """What is known of the element that a field of the library's own kind is of."""
    of: Any = getattr(source.converter, "element", None)
    if of is None:
        return {}
    name, degree = of(source.mesh, pair)
    if degree == 2 and not all(b.kind.is_simplex for b in source.cells.blocks):
        degree = None
    told = {"element": {1: "linear elements", 2: "quadratic elements"}.get(degree, name), "degree": degree}
    return told if degree != 2 else {**told, "middles": _at_middles(source, pair)}


def _at_middles(source: Source, pair: Any) -> Array | None:
    """Values (e, k) of a field at the middles of the edges, the mean over the cells that meet there."""
    cells, of = source.cells, getattr(source.converter, "cell_values", None)
    if of is None or len(cells.blocks) > 1 or not cells.straight:
        return None
    kind = cells.blocks[0].kind
    values = of(source.mesh, pair, kind.reference[kind.edges].mean(axis=1).T)
    number = edge_numbers(cells)
    values = values.reshape(len(values), -1)
    values = np.concatenate([values.real, values.imag]) if np.iscomplexobj(values) else values
    return np.stack([np.bincount(number, v) for v in values], axis=1) / np.bincount(number)[:, None]


def _of_pair(source: Source, field: Any, nodal: dict[str, NDArray]) -> Fields:
    converter: Any = source.converter
    warnings = converter.check_field(source.mesh, field) if hasattr(converter, "check_field") else ()
    values = converter.node_values(source.mesh, field)
    checked = _checked(source, values, "the field")
    if hasattr(converter, "carried"):
        return Fields(checked, nodal, pair=field, warnings=tuple(warnings), **_element(source, field))
    return Fields(checked, {**nodal, "field": values}, warnings=tuple(warnings), **_element(source, field))


def _checked(source: Source, values: NDArray, name: str) -> Array:
    at = source.at_vertices(values, name)
    at = np.asarray(at).reshape(len(at), -1)
    if np.iscomplexobj(at):
        at = np.concatenate([at.real, at.imag], axis=1)
    with np.errstate(over="ignore"):  # long doubles beyond float64 are infinite there, and named below
        at = at.astype(float)
    if not at.shape[1]:
        raise FieldError(f"Expected {name} with at least one column (got shape {values.shape})")
    bad = np.flatnonzero(~np.isfinite(at).all(axis=1))
    if len(bad):
        nodes = source.cells.vertex_nodes[bad]
        raise FieldError(f"Expected finite values (NaN or infinity at {len(bad)} nodes of {name}: {first_ids(nodes)})")
    return at


def fixed_vertices(source: Source, fixed: Iterable[int] | NDArray | None) -> NDArray[np.bool_]:
    """Mask (n_vertices,) of the vertices that a user's node ids or node mask pin.

    Pinning a mid-side node pins the ends of its edge.
    """
    cells = source.cells
    mask = np.zeros(cells.n_nodes, dtype=bool)
    if fixed is not None:
        loose = np.iterable(fixed) and not isinstance(fixed, str) and not hasattr(fixed, "__array__")
        wanted = f"node ids from 0 to {len(mask) - 1} in `fixed`, or a mask"
        ids = np.atleast_1d(as_numbers(list(fixed) if loose else fixed, "the nodes", wanted))
        if ids.dtype == bool and ids.shape != mask.shape:
            raise ValueError(f"Expected a mask of shape {mask.shape} for `fixed` (got {ids.shape})")
        if ids.dtype != bool and ids.size and (ids.dtype.kind not in "iu" or ids.min() < 0 or ids.max() >= len(mask)):
            raise ValueError(f"Expected node ids from 0 to {len(mask) - 1} in `fixed` (got {ids.dtype} {_few(ids)})")
        if ids.size:
            mask[ids] = True
    if cells.lift is None:
        return mask
    return np.asarray(cells.lift[mask].getnnz(axis=0) > 0).ravel()


def _few(ids: NDArray) -> str:
    return np.array2string(ids, threshold=10, edgeitems=2)


def same_topology(cells: CellMesh, reference: CellMesh) -> None:
    """Raise InvalidMeshError unless two meshes have the same cells."""
    if not cells.same_cells(reference):
        raise InvalidMeshError(
            f"Expected a reference with the cells of the mesh, at other positions (got {reference} for {cells}). "
            "Pass the mesh from which this one was moved."
        )
    if cells.frame is not None and reference.frame is not None:
        if not cells.frame.same_plane(reference.frame, 1e-6 * cells.extent):
            raise InvalidMeshError(
                "Expected a reference in the plane of the mesh (got one in another plane). "
                "Pass the mesh from which this one was moved."
            )
