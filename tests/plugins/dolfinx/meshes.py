"""Meshes of DOLFINx for the tests."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["CELLS", "box", "function", "second_order", "tagged"]

#: cells by name, with their dimension
CELLS = {"triangle": 2, "quadrilateral": 2, "tetrahedron": 3, "hexahedron": 3}


def box(cell: str, n: int = 6) -> Any:
    """The unit square or cube."""
    from dolfinx import mesh
    from mpi4py import MPI

    kind, comm = getattr(mesh.CellType, cell), MPI.COMM_WORLD
    if CELLS[cell] == 2:
        return mesh.create_unit_square(comm, n, n, kind)
    return mesh.create_unit_cube(comm, n, n, n, kind)


def second_order(flat: Any, bend: Any = lambda x: x) -> Any:
    """The same cells with nodes on edges, faces and inside, where `bend` puts points (3, n)."""
    import ufl
    from dolfinx import fem, mesh

    space = fem.FunctionSpace(flat, ("Lagrange", 2))
    dim = flat.geometry.dim
    numbers = space.dofmap.index_map
    x = bend(space.tabulate_dof_coordinates()[: numbers.size_local].T.copy()).T[:, :dim]
    own = flat.topology.index_map(dim).size_local
    local = space.dofmap.list.array.reshape(-1, space.dofmap.dof_layout.num_dofs)[:own]
    cells = np.asarray(numbers.local_to_global(local.ravel()), np.int64).reshape(local.shape)
    domain = ufl.Mesh(ufl.VectorElement("Lagrange", flat.ufl_cell(), 2))
    return mesh.create_mesh(flat.comm, cells, np.ascontiguousarray(x), domain)


def function(domain: Any, values: Any, degree: int = 1, family: str = "Lagrange", components: int = 1) -> Any:
    """A function of an element that interpolates values f(x)."""
    from dolfinx import fem

    if components == 1:
        space = fem.FunctionSpace(domain, (family, degree))
    else:
        space = fem.VectorFunctionSpace(domain, (family, degree), dim=components)
    out = fem.Function(space)
    out.interpolate(values)
    return out


def tagged(domain: Any, dim: int, places: dict[int, Any]) -> Any:
    """`MeshTags` of the entities of a dimension at places f(x)."""
    from dolfinx import mesh

    found = {value: mesh.locate_entities(domain, dim, where) for value, where in places.items()}
    indices = np.concatenate(list(found.values()))
    values = np.concatenate([np.full(len(v), k) for k, v in found.items()])
    order = np.argsort(indices, kind="stable")
    return mesh.meshtags(domain, dim, indices[order].astype(np.int32), values[order].astype(np.int32))
