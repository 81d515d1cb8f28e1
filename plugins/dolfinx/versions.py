"""What differs between versions of DOLFINx, from 0.5 on, in one place: nothing else here asks for a version.

Objects in Python wrap C++ ones under other names, cell tables are arrays or adjacency lists, properties were methods,
and functions have other names or arguments. Each function here says in its comments which version does what.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry.arrays import Array, Ids
from meshmove.geometry.errors import UnsupportedMeshError
from meshmove.optional import require

__all__ = [
    "cell_name",
    "compiled",
    "coordinate_degree",
    "dof_table",
    "evaluated",
    "function_space",
    "native",
    "node_owners",
    "node_table",
    "owned_cells",
    "reference_nodes",
    "same_element",
    "sub_degrees",
    "vector_space",
    "with_geometry",
]


def native(thing: Any) -> Any:
    """The C++ object that a Python one wraps; itself where it is one already.

    Meshes kept it as `_mesh` in 0.5; topologies and geometries are wrapped since 0.8.
    """
    for name in ("_cpp_object", "_mesh"):
        inner = getattr(thing, name, None)
        if inner is not None:
            return inner
    return thing


def _rows(table: Any) -> Ids:
    """A table of as many numbers a cell as an array (cells, k): adjacency lists were used up to 0.6."""
    if hasattr(table, "offsets"):
        count = len(table.offsets) - 1
        return np.asarray(table.array, np.int64).reshape(count, -1 if count else 0)
    return np.asarray(table, np.int64)


def node_table(mesh: Any) -> Ids:
    """Nodes (cells, k) of the cells of this process, ghosts last: `dofmaps` is a list from 0.11 on."""
    many = getattr(mesh.geometry, "dofmaps", None)
    if isinstance(many, Sequence) and not callable(many):
        if len(many) != 1:
            text = f"Expected cells of one kind (got {len(many)} kinds): move a submesh of one of them"
            raise UnsupportedMeshError(text)
        return _rows(many[0])
    return _rows(mesh.geometry.dofmap)


def dof_table(space: Any) -> Ids:
    """Blocks of degrees of freedom (cells, k) of the cells of this process, ghosts last."""
    return _rows(space.dofmap.list)


def cell_name(mesh: Any) -> str:
    """ "triangle", "quadrilateral", "tetrahedron", "hexahedron" and so on."""
    return str(mesh.topology.cell_name())


def coordinate_degree(mesh: Any) -> int:
    """Degree of the cells' geometry: a list of maps from 0.10 on."""
    maps = getattr(mesh.geometry, "cmaps", None)
    one = maps[0] if isinstance(maps, Sequence) and len(maps) else mesh.geometry.cmap
    return int(one.degree)


def reference_nodes(cell: str, degree: int) -> Array:
    """Points (k, dim) of the nodes of a cell of this degree, in the order of `node_table`."""
    basix = require("basix")
    kind, variant = getattr(basix.CellType, cell), basix.LagrangeVariant.gll_warped
    return np.asarray(basix.create_element(basix.ElementFamily.P, kind, degree, variant).points, float)


def with_geometry(mesh: Any) -> Any:
    """A mesh of the same topology with a copy of the geometry.

    The C++ constructor takes topology and geometry in all versions, and copies the latter. The topology is shared since
    0.6, its tables and index maps before that, too.
    """
    ufl = require("ufl")
    inner = type(native(mesh))(mesh.comm, native(mesh.topology), native(mesh.geometry))
    out = type(mesh)(inner, ufl.Mesh(mesh.ufl_domain().ufl_coordinate_element()))
    out.name = mesh.name
    return out


def function_space(mesh: Any, element: Any) -> Any:
    """A function space of a UFL element, or of a family and a degree: a class up to 0.6, a function since."""
    fem = require("dolfinx.fem")
    make = getattr(fem, "functionspace", None) or fem.FunctionSpace
    return make(mesh, element)


def vector_space(mesh: Any, components: int, degree: int = 1) -> Any:
    """Continuous functions of so many components, linear ones or of another degree; one: scalars."""
    fem = require("dolfinx.fem")
    if components == 1:
        return function_space(mesh, ("Lagrange", degree))
    if hasattr(fem, "functionspace"):
        return function_space(mesh, ("Lagrange", degree, (components,)))
    return fem.VectorFunctionSpace(mesh, ("Lagrange", degree), dim=components)


def same_element(space: Any, mesh: Any) -> Any:
    """The space of the same element on another mesh."""
    return function_space(mesh, _element(space))


def _element(space: Any) -> Any:
    return space.ufl_element() if callable(space.ufl_element) else space.ufl_element


def compiled(expression: Any, points: Array) -> Any:
    """A UFL expression, compiled for reference points (k, dim) of every cell."""
    return require("dolfinx.fem").Expression(expression, np.ascontiguousarray(points))


def evaluated(expression: Any, mesh: Any, cells: NDArray[np.int32]) -> NDArray:
    """Values (cells, points, components) of what `compiled` gave: the mesh is an argument since 0.7."""
    from inspect import signature

    by_mesh = len(signature(expression.eval).parameters) > 2 or "mesh" in signature(expression.eval).parameters
    values = np.asarray(expression.eval(mesh, cells) if by_mesh else expression.eval(cells))
    points = expression.X() if callable(expression.X) else expression.X
    return values.reshape(len(cells), len(points), int(np.prod(values.shape[1:])) // len(points))


def sub_degrees(space: Any) -> list[tuple[bool, int]]:
    """For each part of a space of several fields whether it is one of vectors, and its degree; none where it is one.

    UFL's own elements had `sub_elements()` and `degree()`, Basix's have properties, since 0.7.
    """
    element = _element(space)
    mixed = type(element).__name__ in ("MixedElement", "_MixedElement")
    parts = element.sub_elements if mixed else []
    parts = parts() if callable(parts) else parts
    return [(_is_vector(part), _degree(part)) for part in parts]


def _is_vector(element: Any) -> bool:
    shape = getattr(element, "reference_value_shape", ())
    return len(shape() if callable(shape) else shape) > 0


def _degree(element: Any) -> int:
    degree = getattr(element, "embedded_superdegree", None)
    degree = element.degree if degree is None else degree
    return int(degree() if callable(degree) else degree)


def node_owners(mesh: Any) -> tuple[int, Ids, Ids]:
    """How many nodes this process owns, and of all of its nodes the numbers in the whole mesh and the owners (n,)."""
    numbers = mesh.geometry.index_map()
    owned, ghosts = int(numbers.size_local), int(numbers.num_ghosts)
    local = np.arange(owned + ghosts, dtype=np.int32)
    owners = np.concatenate([np.full(owned, mesh.comm.rank), np.asarray(numbers.owners, np.int64)])
    return owned, np.asarray(numbers.local_to_global(local), np.int64), owners


def owned_cells(mesh: Any) -> int:
    """How many cells this process owns; they come first."""
    return int(mesh.topology.index_map(mesh.topology.dim).size_local)
