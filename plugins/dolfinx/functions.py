"""Values of DOLFINx's functions and of UFL expressions: at points of every cell, and at nodes."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry.arrays import Array
from meshmove.geometry.errors import FieldError
from meshmove.outcomes import Outcome

from .versions import (
    cell_name,
    compiled,
    coordinate_degree,
    evaluated,
    native,
    node_table,
    reference_nodes,
    sub_degrees,
)

__all__ = [
    "cell_values",
    "check_field",
    "element_of",
    "is_function",
    "main_parts",
    "node_values",
    "owns",
    "ufl_of",
    "whole",
]


def owns(field: Any) -> bool:
    """Whether a field is a `dolfinx.fem.Function`, a UFL expression, or a `dolfinx.fem.Expression` of one."""
    ufl: Any = sys.modules.get("ufl")
    return ufl is not None and isinstance(ufl_of(field), ufl.core.expr.Expr)


def is_function(field: Any) -> bool:
    """Whether a field has degrees of freedom of its own."""
    return hasattr(field, "function_space") and hasattr(field, "x")


def whole(function: Any) -> Any:
    """A function with degrees of freedom of its own, where the one given is a part of another."""
    return function.collapse() if len(function.function_space.component()) else function


def ufl_of(field: Any) -> Any:
    """The UFL expression of a field."""
    return getattr(field, "ufl_expression", field)


def check_field(mesh: Any, field: Any) -> tuple[str, ...]:
    """Warnings about a field.

    Raises
    ------
    FieldError
        It is on another mesh, or on none, or has free indices or arguments.
    """
    import ufl

    expression = ufl_of(field)
    domain = _domain(expression)
    if domain is None:
        raise FieldError(
            f"Expected an expression on the mesh, of functions or ufl.SpatialCoordinate(mesh) (got {expression})"
        )
    if domain is not mesh.ufl_domain() and native(domain.ufl_cargo()) is not native(mesh):
        raise FieldError(
            "Expected a field on the mesh that is moved (got one on another mesh). "
            "Interpolate it first, or move the mesh of field.function_space"
        )
    if expression.ufl_free_indices or ufl.algorithms.extract_arguments(expression):
        raise FieldError(f"Expected an expression with values (got free indices or arguments in {expression})")
    return _which_part(field)


def _domain(expression: Any) -> Any:
    from ufl.domain import extract_domains

    found = list(extract_domains(expression))
    return found[0] if len(found) == 1 else None


def main_parts(field: Any) -> list[int]:
    """Of a function of several fields those that a mesh is moved to: vectors before scalars, then the highest degree.

    Of a flow that is the velocity. Empty where there is one field.
    """
    ranks = sub_degrees(field.function_space) if is_function(field) else []
    return [k for k, rank in enumerate(ranks) if rank == max(ranks)]


def _which_part(field: Any) -> tuple[str, ...]:
    taken = main_parts(field)
    count = len(sub_degrees(field.function_space)) if taken else 0
    if len(taken) == count:
        return ()
    which = ", ".join(map(str, taken))
    return (
        Outcome.PART_OF_FIELDS.told(
            f"the function has {count} fields: the mesh moves to field {which}, as to the velocity of a flow. "
            "To move it to another, pass u.sub(k).collapse()"
        ),
    )


def _followed(field: Any) -> Any:
    """The UFL expression that a mesh is moved to, as a vector where it has several parts."""
    import ufl

    taken = main_parts(field)
    if not taken:
        return ufl_of(field)
    parts = ufl.split(field)
    flat = [parts[k][i] if parts[k].ufl_shape else parts[k] for k in taken for i in range(_size(parts[k]))]
    return ufl.as_vector(flat)


def _size(expression: Any) -> int:
    return int(np.prod(expression.ufl_shape, dtype=int))


def cell_values(mesh: Any, field: Any, points: Array) -> NDArray:
    """Values (k, cells, points) at reference points (dim, points) of every cell of this process, ghosts last."""
    count = len(node_table(mesh))
    expression = compiled(_followed(_fresh(field)), np.asarray(points, float).T)
    return evaluated(expression, mesh, np.arange(count, dtype=np.int32)).transpose(2, 0, 1)


def _fresh(field: Any) -> Any:
    """A function with its ghosts as their owners have them; a copy, so that the one given stays as it is."""
    if not is_function(field) or field.function_space.mesh.comm.size == 1:
        return field
    out = field.copy()
    out.x.scatter_forward()
    return out


def node_values(mesh: Any, field: Any) -> NDArray:
    """Values (n_nodes,) or (n_nodes, k) at the nodes of the geometry: the mean over the cells that meet there.

    Nodes that no cell of this process has are NaN.
    """
    nodes = node_table(mesh)
    local = reference_nodes(cell_name(mesh), coordinate_degree(mesh))
    values = cell_values(mesh, field, local.T).reshape(-1, nodes.size)
    n = len(mesh.geometry.x)
    count = np.bincount(nodes.ravel(), minlength=n)
    sums = np.stack([_summed(nodes.ravel(), part, n) for part in values], axis=-1)
    mean = np.divide(sums, count[:, None], out=np.full(sums.shape, np.nan, sums.dtype), where=count[:, None] > 0)
    return mean if _followed(field).ufl_shape else mean[:, 0]


def _summed(nodes: NDArray, values: NDArray, n: int) -> NDArray:
    if np.iscomplexobj(values):
        return _summed(nodes, values.real, n) + 1j * _summed(nodes, values.imag, n)
    return np.bincount(nodes, values, minlength=n)


def element_of(field: Any) -> tuple[str, int | None]:
    """Name and degree of a field's element, as far as its errors can be predicted: 1, 2 or None.

    Of an expression only its values at nodes count, so that it is of linear elements.
    """
    if not is_function(field):
        return "linear elements", 1
    taken = main_parts(field)
    if taken:
        degree = sub_degrees(field.function_space)[taken[0]][1]
        return f"elements of degree {degree}", degree if degree in (1, 2) else None
    element = field.function_space.element.basix_element
    known = element.family.name == "P" and element.degree in (1, 2)
    return f"{element.family.name}{element.degree} elements", element.degree if known else None
