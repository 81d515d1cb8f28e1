"""meshio: any number of cell blocks in any order, with point data, cell data, sets and Gmsh's tags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry.errors import FieldError, UnsupportedMeshError
from meshmove.geometry.mesh import CellMesh
from meshmove.meshes.files.cell_sets import cell_groups, plain_labels

from .blocks import Block, assemble, displaced, frame_of, plain_fields, top_blocks

if TYPE_CHECKING:
    import meshio

__all__ = ["MeshioConverter", "converter"]


_PARTS = ("points", "point_data", "cell_data", "field_data", "point_sets", "cell_sets", "gmsh_periodic", "info")


class MeshioConverter:
    """`meshio.Mesh` in and out.

    Named boundaries are the cell sets and the tagged groups of cells one dimension lower (a tag without a name is
    called by its number); subdomains those of the highest dimension, and cell data and consecutive blocks of one
    type as `meshmove.meshes.regions` says.
    """

    def read(self, mesh: meshio.Mesh) -> CellMesh:
        """Plain arrays of the mesh.

        >>> import meshio
        >>> cells = [("line", [[0, 1]]), ("triangle", [[0, 1, 2]])]
        >>> tags = {"gmsh:physical": [[7], [9]]}
        >>> mesh = meshio.Mesh(np.eye(3), cells, cell_data=tags, field_data={"wall": [7, 1]})
        >>> converter.read(mesh).facets
        {'wall': array([[0, 1]])}
        """
        blocks = _blocks(mesh)
        labels = plain_labels(mesh.cell_data)
        return assemble(
            mesh.points, blocks, sets=cell_groups(mesh), labels=labels, periodic=_periodic(mesh), by_block=True
        )

    def write(self, mesh: meshio.Mesh, displacement: NDArray[np.float64]) -> meshio.Mesh:
        """A deep copy with its nodes displaced; see `Converter.write`."""
        blocks, points = _blocks(mesh), np.asarray(mesh.points)
        frame = frame_of(points, blocks, top_blocks(blocks, len(points)))
        moved = displaced(points, displacement, frame)
        out = mesh.copy()
        out.points = moved
        return out

    def fields(self, mesh: meshio.Mesh) -> dict[str, NDArray]:
        """Point data by name."""
        return plain_fields(mesh.point_data, len(mesh.points))

    def with_fields(self, mesh: meshio.Mesh, fields: Mapping[str, NDArray]) -> meshio.Mesh:
        """A deep copy with these point data set; floating point data keep their type."""
        out = mesh.copy()
        for name, values in fields.items():
            out.point_data[name] = fitted(name, values, mesh.point_data.get(name), len(mesh.points))
        return out

    def dtype(self, mesh: meshio.Mesh) -> np.dtype:
        """How coordinates are stored; integers become float64 when they move."""
        dtype = np.asarray(mesh.points).dtype
        return dtype if dtype.kind == "f" else np.dtype(np.float64)

    def packed(self, mesh: meshio.Mesh) -> tuple[str, dict[str, Any]]:
        """What a mesh is made from; see `Converter`."""
        parts: dict[str, Any] = {name: getattr(mesh, name) for name in _PARTS}
        return "Mesh", {**parts, "cells": [(c.type, np.asarray(c.data)) for c in mesh.cells]}

    def unpacked(self, kind: str, parts: Mapping[str, Any]) -> meshio.Mesh:
        """The mesh that `packed` gave."""
        import meshio

        return meshio.Mesh(**parts)

    def to_meshio(self, mesh: meshio.Mesh) -> meshio.Mesh:
        """The mesh itself."""
        return mesh


def fitted(name: str, values: NDArray, old: NDArray | None, n_nodes: int) -> NDArray:
    """A copy of nodal values, in the floating type of the values that they replace."""
    new = np.array(values)
    if new.ndim == 0 or len(new) != n_nodes:
        raise FieldError(f"Expected {n_nodes} nodal values for {name!r} (got an array of shape {new.shape})")
    if old is not None and np.asarray(old).dtype.kind in "fc" and new.dtype.kind in "fc":
        new = new.astype(np.result_type(np.asarray(old).dtype, np.complex64) if new.dtype.kind == "c" else old.dtype)
    return new


def _blocks(mesh: meshio.Mesh) -> list[Block]:
    return [Block(block.type, block.data, block.dim) for block in mesh.cells]


def _periodic(mesh: meshio.Mesh) -> NDArray | None:
    """Pairs of nodes from Gmsh's periodic entities, which must be translates of each other."""
    if not mesh.gmsh_periodic:
        return None
    points = np.asarray(mesh.points, float)
    extent = float(np.linalg.norm(np.ptp(points, axis=0)))
    found = []
    for dim, (image, source), _, nodes in mesh.gmsh_periodic:
        pairs = np.asarray(nodes, np.int64).reshape(-1, 2)
        if not len(pairs):
            continue
        wrong = pairs.min() < 0 or pairs.max() >= len(points)
        if not wrong:
            offset = points[pairs[:, 0]] - points[pairs[:, 1]]
            wrong = bool(np.ptp(offset, axis=0).max() > 1e-6 * extent)
        if wrong:
            raise UnsupportedMeshError(
                f"Expected periodic entities to be translates of each other (got entity {source} and its image "
                f"{image} of dimension {dim}, which are rotated or do not match). "
                "Set mesh.gmsh_periodic = None to move the mesh without periodicity"
            )
        found.append(pairs)
    return np.concatenate(found) if found else None


converter = MeshioConverter()
