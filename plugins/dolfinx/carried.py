"""DOLFINx's functions carried to the moved mesh, as functions of the same element on it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry import FieldError
from meshmove.geometry.arrays import Array, Ids
from meshmove.geometry.location import Location

from .cells import kind_of_cells, vtk_vertices
from .functions import is_function, node_values, whole
from .versions import (
    cell_name,
    coordinate_degree,
    dof_table,
    node_table,
    reference_nodes,
    same_element,
    sub_degrees,
    vector_space,
)

__all__ = [
    "Old",
    "carried",
    "function_on",
    "gone_along",
    "interpolated",
    "is_constant",
    "is_linear",
    "of_vertices",
    "vertex_blocks",
    "with_same_dofs",
]

#: discontinuous functions are looked up this much inside of a cell, to find its own piece
INSIDE = 1e-6

Find = Callable[[Array], Location]


def with_same_dofs(field: Any, mesh: Any) -> Any:
    """A function with the same degrees of freedom on another mesh of the same topology: it has gone along.

    Cell by cell, since a part that was collapsed has numbers of its own.
    """
    field = whole(field)
    out = function_on(field, mesh)
    vertex_blocks(out)[dof_table(out.function_space)] = vertex_blocks(field)[dof_table(field.function_space)]
    return out


def vertex_blocks(function: Any) -> NDArray:
    """Degrees of freedom (blocks, components), not copied."""
    return function.x.array.reshape(-1, function.function_space.dofmap.bs)


def gone_along(mesh: Any, moved: Any, field: Any) -> Any:
    """The field with its values gone along with the nodes: the same degrees of freedom on the moved mesh.

    Those of an expression are its values at vertices.
    """
    if is_function(field):
        return with_same_dofs(field, moved)
    return _of_expression(mesh, moved, field, None, np.copy)


def function_on(field: Any, mesh: Any) -> Any:
    from dolfinx.fem import Function

    return Function(same_element(field.function_space, mesh), name=field.name)


def carried(mesh: Any, moved: Any, field: Any, find: Find, linear: Any = None, means: Any = None) -> Any:
    """The field on the moved mesh: a function of the same element, of continuous linear ones for an expression.

    Parameters
    ----------
    mesh, moved
        Before and after.
    field
        A `Function` or a UFL expression on `mesh`.
    find
        Where points (m, dim) of the moved mesh lie in `mesh`.
    linear
        A transfer of vertex values (n, k) that keeps integrals, used for continuous linear elements and expressions.
    means
        One of means (m, k) of cells with slopes or None, used for constants on cells.
    """
    if not is_function(field):
        return _of_expression(mesh, moved, field, find, linear)
    field = whole(field)
    if np.array_equal(mesh.geometry.x, moved.geometry.x):
        return with_same_dofs(field, moved)
    if linear is not None and is_linear(field):
        return _of_vertices(mesh, moved, field, linear)
    if means is not None and is_constant(field):
        return _of_cells(moved, field, means)
    parts = sub_degrees(field.function_space)
    if not parts:
        return _interpolated(mesh, function_on(field, moved), field, find)
    out = function_on(field, moved)
    for k in range(len(parts)):
        part = _interpolated(mesh, out.sub(k).collapse(), field.sub(k).collapse(), find)
        out.sub(k).interpolate(part)
    out.x.scatter_forward()
    return out


def is_linear(field: Any) -> bool:
    """Whether degrees of freedom are values at vertices alone, once for each component."""
    if not is_function(field) or sub_degrees(field.function_space):
        return not is_function(field)
    element = field.function_space.element.basix_element
    return element.family.name == "P" and element.degree == 1 and not element.discontinuous


def is_constant(field: Any) -> bool:
    """Whether degrees of freedom are values of cells, once for each component."""
    if not is_function(field) or sub_degrees(field.function_space):
        return False
    element = field.function_space.element.basix_element
    return element.family.name == "P" and element.degree == 0


def _vertices(mesh: Any) -> Ids:
    """Geometry nodes (cells, v) of the vertices of each cell."""
    count = len(reference_nodes(cell_name(mesh), 1))
    return node_table(mesh)[:, :count]


def of_vertices(space: Any, mesh: Any) -> tuple[Ids, Ids]:
    """Geometry nodes of vertices in ascending order, as vertices are numbered, and the block of dofs of each."""
    nodes, at = np.unique(_vertices(mesh), return_index=True)
    return nodes, dof_table(space).ravel()[at]


def _of_vertices(mesh: Any, moved: Any, field: Any, linear: Callable[[NDArray], NDArray]) -> Any:
    out = function_on(field, moved)
    old, new = of_vertices(field.function_space, mesh)[1], of_vertices(out.function_space, mesh)[1]
    vertex_blocks(out)[new] = _by_parts(linear, vertex_blocks(field)[old])
    return out


def _of_cells(moved: Any, field: Any, means: Callable[[NDArray, Any], NDArray]) -> Any:
    out = function_on(field, moved)
    old, new = dof_table(field.function_space).ravel(), dof_table(out.function_space).ravel()
    vertex_blocks(out)[new] = _by_parts(lambda values: means(values, None), vertex_blocks(field)[old])
    return out


def _by_parts(function: Callable[[NDArray], NDArray], values: NDArray) -> NDArray:
    if not np.iscomplexobj(values):
        return function(values)
    return function(values.real) + 1j * function(values.imag)


def _of_expression(mesh: Any, moved: Any, field: Any, find: Any, linear: Any) -> Any:
    """Continuous linear functions of an expression's values at nodes."""
    from dolfinx.fem import Function

    values = node_values(mesh, field)
    values = values.reshape(len(values), -1)
    out = Function(vector_space(moved, values.shape[1]))
    nodes, blocks = of_vertices(out.function_space, moved)
    vertex = values[nodes]
    if linear is None:
        there = find(np.asarray(moved.geometry.x, float)[nodes, : moved.geometry.dim])
        new = there.interpolate(vertex)
    else:
        new = _by_parts(linear, vertex)
    vertex_blocks(out)[blocks] = new
    return out


def _interpolated(mesh: Any, out: Any, field: Any, find: Find) -> Any:
    old = Old(mesh, field)
    return interpolated(out, field, lambda points, beyond: old.at(find(points), beyond))


def interpolated(out: Any, field: Any, at: Callable[[Array, Array], NDArray]) -> Any:
    """The old function's values at the points of `out`, on the moved mesh, within its range on the old cell.

    `at`: values (m, k) of the old function in the cells that have points (m, dim), so far (m, dim) beyond these.
    """
    moved = out.function_space.mesh
    broken = bool(field.function_space.element.basix_element.discontinuous)

    def values(x: Array) -> NDArray:
        points = np.asarray(x, float)[: moved.geometry.dim].T
        inside = points + INSIDE * (_centres(moved, len(points)) - points) if broken else points
        return at(inside, points - inside).T

    out.interpolate(values)
    out.x.scatter_forward()
    return out


def _centres(mesh: Any, n: int) -> Array:
    """The centre (n, dim) of the cell of each of n points, as many in each cell."""
    x = np.asarray(mesh.geometry.x, float)[_vertices(mesh)].mean(axis=1)[:, : mesh.geometry.dim]
    return np.repeat(x, n // max(len(x), 1), axis=0)


class Old:
    """A function on the mesh as it was, evaluated at places in its cells."""

    def __init__(self, mesh: Any, field: Any) -> None:
        self.mesh, self.field = mesh, field
        self.nodes = np.asarray(mesh.geometry.x, float)[node_table(mesh)]
        self._cell, self._degree = cell_name(mesh), coordinate_degree(mesh)
        self._straight = self._degree == 1 and self._cell in ("triangle", "tetrahedron")

    def at(self, where: Location, beyond: Array) -> NDArray:
        """Values (m, k) at places, or so far (m, dim) beyond them, by the function of the same cell."""
        weights, cells = self._weights(where), where.cells.astype(np.int32)
        element = self.field.function_space.element.basix_element
        # in straight simplices DOLFINx finds reference points at once; elsewhere its search may fail
        if self._straight or element.map_type.name != "identity":
            values = self._found_by_dolfinx(weights, cells, beyond)
        else:
            shape = element.tabulate(0, self._reference_points(weights, cells, beyond))[0].reshape(len(cells), -1)
            dofs = vertex_blocks(self.field)[dof_table(self.field.function_space)[cells]]
            values = np.einsum("mv,mvk->mk", shape, dofs)
        low, high = self._range(values.shape[1])
        if low is None:
            return values
        return np.clip(values, low[cells], high[cells])

    def _weights(self, where: Location) -> Array:
        """Of the vertices (m, v) in DOLFINx's order."""
        out = np.zeros((len(where.cells), len(reference_nodes(self._cell, 1))))
        out[:, vtk_vertices(kind_of_cells(self._cell, 1))] = where.weights[:, : out.shape[1]]
        return out

    def _reference_points(self, weights: Array, cells: Ids, beyond: Array) -> Array:
        """Reference points (m, dim) of places with weights (m, v) of vertices, or a little `beyond` (m, dim)."""
        at = weights @ reference_nodes(self._cell, 1)
        if not beyond.any():
            return at
        slopes = np.moveaxis(self._geometry.tabulate(1, at)[1:, :, :, 0], 0, -1)
        jacobian = np.einsum("mvr,mvd->mdr", slopes, self.nodes[cells][..., : self.mesh.geometry.dim])
        return at + np.linalg.solve(jacobian, beyond[..., None])[..., 0]

    def _found_by_dolfinx(self, weights: Array, cells: Ids, beyond: Array) -> NDArray:
        """Values at places that DOLFINx looks for in their cells itself."""
        if self._degree > 1:
            at = weights @ reference_nodes(self._cell, 1)
            weights = self._geometry.tabulate(0, at)[0].reshape(len(at), -1)
        x = np.einsum("mv,mvd->md", weights, self.nodes[cells])
        x[:, : beyond.shape[1]] += beyond
        try:
            return np.asarray(self.field.eval(x, cells)).reshape(len(x), -1)
        except RuntimeError as error:
            family = self.field.function_space.element.basix_element.family.name
            text = (
                f"Expected DOLFINx to evaluate {self.field.name!r} (elements {family}) in curved cells (got: {error})"
            )
            raise FieldError(f"{text}. Try a field of Lagrange elements, or cells of first order") from error

    @cached_property
    def _geometry(self) -> Any:
        """The element of the cells' own coordinates."""
        import basix

        kind, variant = getattr(basix.CellType, self._cell), basix.LagrangeVariant.gll_warped
        return basix.create_element(basix.ElementFamily.P, kind, self._degree, variant)

    def _range(self, components: int) -> tuple[Any, Any]:
        """Least and largest value (cells, k) on each cell at its nodes; None for elements without values at points."""
        space = self.field.function_space
        element = space.element.basix_element
        if element.family.name != "P" or np.iscomplexobj(self.field.x.array):
            return None, None
        values = vertex_blocks(self.field)[dof_table(space)]
        return values.min(axis=1), values.max(axis=1)
