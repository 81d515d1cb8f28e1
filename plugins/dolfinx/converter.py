"""DOLFINx: triangles, quadrilaterals, tetrahedra and hexahedra, of first and second order, with tags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry.errors import InvalidMeshError, UnsupportedMeshError
from meshmove.geometry.mesh import CellMesh
from meshmove.plugins.blocks import Block, assemble, displaced

from .carried import carried, gone_along, is_constant, is_linear
from .cells import kind_of_cells, vtk_order
from .functions import cell_values, check_field, element_of, node_values, owns
from .tags import attached, cell_labels, named_facets, tags_of
from .versions import cell_name, coordinate_degree, node_table, with_geometry

if TYPE_CHECKING:
    import meshio

__all__ = ["DolfinxConverter", "converter"]


class DolfinxConverter:
    """`dolfinx.mesh.Mesh` in and out, on one process.

    Nodes are those of the geometry, in its order. The moved mesh has the topology of the one that came: tags are valid
    on both, and function spaces of one element have the same degrees of freedom. Boundaries and regions are those of
    the tags that `with_tags` attaches.
    """

    def read(self, mesh: Any) -> CellMesh:
        """Plain arrays of the mesh.

        Raises
        ------
        UnsupportedMeshError
            It is distributed over several processes, or has cells of another kind.
        """
        if mesh.comm.size > 1:
            raise UnsupportedMeshError(
                f"Expected a mesh on one process (got one on {mesh.comm.size}). "
                "Move a distributed mesh by meshmove.plugins.dolfinx.adapt(mesh, u)"
            )
        if mesh.geometry.dim != mesh.topology.dim:
            raise UnsupportedMeshError(
                f"Expected cells of the dimension of space (got cells of dimension {mesh.topology.dim} in "
                f"{mesh.geometry.dim} dimensions). Surfaces are not moved"
            )
        blocks = self._blocks(mesh)
        if not len(blocks[0]):
            raise InvalidMeshError("Expected a mesh with cells (got none)")
        points = np.asarray(mesh.geometry.x)[:, : mesh.geometry.dim]
        labels = {name: [values] for name, values in cell_labels(mesh, len(blocks[0])).items()}
        return assemble(points, blocks, labels=labels, facets=named_facets(mesh))

    def _blocks(self, mesh: Any) -> list[Block]:
        cell, degree = cell_name(mesh), coordinate_degree(mesh)
        kind = kind_of_cells(cell, degree)
        return [Block(kind, node_table(mesh)[:, vtk_order(cell, degree)], mesh.topology.dim)]

    def write(self, mesh: Any, displacement: NDArray[np.float64]) -> Any:
        """A new mesh of the same topology; see `Converter.write`."""
        points = np.asarray(mesh.geometry.x)[:, : mesh.geometry.dim]
        out = with_geometry(mesh)
        out.geometry.x[:, : mesh.geometry.dim] = displaced(points, displacement, None)
        return attached(out, tags_of(mesh))

    def fields(self, mesh: Any) -> dict[str, NDArray]:
        """Nothing: DOLFINx's meshes carry no point data."""
        return {}

    def with_fields(self, mesh: Any, fields: Mapping[str, NDArray]) -> Any:
        """The mesh itself: DOLFINx's meshes carry no point data."""
        return mesh

    def dtype(self, mesh: Any) -> np.dtype:
        """That of the geometry."""
        return np.asarray(mesh.geometry.x).dtype

    owns = staticmethod(owns)  #: a `Function` or a UFL expression
    node_values, cell_values = staticmethod(node_values), staticmethod(cell_values)
    check_field, carried = staticmethod(check_field), staticmethod(carried)

    def element(self, mesh: Any, field: Any) -> tuple[str, int | None]:
        """Name and degree of the element of a field; see `Converter`."""
        return element_of(field)

    def keeps_integrals(self, mesh: Any, field: Any, broken: bool = False) -> bool:
        """Whether `carried` makes use of `linear` for such a field, or, for a `broken` one, of `means`."""
        return is_linear(field) or (broken and is_constant(field))

    gone_along = staticmethod(gone_along)

    def to_meshio(self, mesh: Any) -> meshio.Mesh:
        """Nodes and cells; tags of cells as cell data."""
        import meshio

        (block,) = self._blocks(mesh)
        labels = {name: [values] for name, values in cell_labels(mesh, len(block)).items()}
        return meshio.Mesh(np.array(mesh.geometry.x), [(block.name, block.nodes)], cell_data=labels)


converter = DolfinxConverter()
