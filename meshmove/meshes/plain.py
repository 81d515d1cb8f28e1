"""Meshes as plain arrays, which need no library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry import CellMesh
from meshmove.geometry.arrays import Array

__all__ = ["Plain"]


class Plain:
    """Converter of `CellMesh` itself."""

    def read(self, mesh: CellMesh) -> CellMesh:
        return mesh

    def write(self, mesh: CellMesh, displacement: Array) -> CellMesh:
        vertices = mesh.vertex_nodes
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
