"""scikit-fem: triangles, quadrilaterals, tetrahedra, hexahedra and wedges, of second order and periodic too."""

from __future__ import annotations

import copyreg
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from skfem.generic_utils import OrientedBoundary

from meshmove.geometry.cells import kind_of
from meshmove.geometry.errors import InvalidMeshError, UnsupportedMeshError, first_ids
from meshmove.geometry.location import Location
from meshmove.geometry.mesh import CellBlock, CellMesh
from meshmove.meshes.regions import select
from meshmove.plugins.blocks import displaced

from .bases import basis_on, check_pair, pair_of
from .carried_dofs import carried, is_broken, is_linear
from .elements import HEX, degree_of, element_of
from .energies import energy_of_forms
from .goals import goal_of
from .packing import packed, unpacked
from .periodic import is_periodic, unfolded
from .sampling import cell_values, main_parts, node_values, which_parts
from .second_order import lift_of, second_order

if TYPE_CHECKING:
    import meshio
    import skfem

__all__ = ["SkfemConverter", "basis_on", "converter"]

_KINDS = {
    "Triangular": "triangle",
    "Quadrilateral": "quad",
    "Tetrahedral": "tetra",
    "Hexahedral": "hexahedron",
    "Wedge": "wedge",
}
#: what a mesh knows of itself that does not hang on where its nodes are, once it was asked for: it goes on to the moved
#: one, which would sort its facets anew
TOPOLOGY = ("_facets", "_t2f", "_f2t", "_f2e", "_edges", "_t2e")


class SkfemConverter:
    """`skfem.Mesh*` in and out.

    Boundaries (with their orientation) and subdomains stay as they are. The periodic meshes `MeshTri1DG`,
    `MeshQuad1DG` and `MeshHex1DG` give pairs of vertices that move alike.
    """

    def read(self, mesh: skfem.Mesh) -> CellMesh:
        """Plain arrays of the mesh.

        >>> import skfem
        >>> mesh = skfem.MeshTri2().with_boundaries({"left": lambda x: x[0] == 0})
        >>> converter.read(mesh), converter.read(mesh).facets
        (CellMesh(2-D: 4 points, 2 triangle), {'left': array([[0, 2]])})
        """
        name = _kind(mesh)
        if is_periodic(mesh):
            points, cells, lift, periodic, _ = unfolded(mesh)
        else:
            ids, inverse = np.unique(mesh.t, return_inverse=True)
            cells = inverse.reshape(mesh.t.shape)
            points, periodic = mesh.p[:, ids].T, None
            lift = None if len(ids) == mesh.p.shape[1] else lift_of(mesh, cells, len(ids))
        curved = lift is not None and periodic is None
        block = CellBlock(kind_of(name), (cells[HEX] if name == "hexahedron" else cells).T)
        read = CellMesh(
            points,
            (second_order(mesh, block) if curved else block,),
            facets=_facets(mesh, cells, both=periodic is not None),
            labels=_labels(mesh),
            periodic=periodic,
            lift=lift,
            nodes=mesh.p.T if curved else None,
        )
        return select(read)

    def write(self, mesh: skfem.Mesh, displacement: NDArray[np.float64]) -> skfem.Mesh:
        """A new mesh without the caches of the old; see `Converter.write`."""
        _kind(mesh)
        d = np.asarray(displacement, float)
        moved = replace(
            mesh,
            doflocs=np.ascontiguousarray(displaced(mesh.p.T, d, None).T),
            _boundaries=_copied(mesh.boundaries),
            _subdomains=_copied(mesh.subdomains),
        )
        for name in TOPOLOGY:
            if hasattr(mesh, name):
                setattr(moved, name, getattr(mesh, name))
        if hasattr(mesh, "_orig"):  # `replace` drops what a periodic mesh knows of the mesh that it was made from
            original = np.zeros_like(mesh._orig.p.T)
            original[mesh._orig.t] = d[mesh.dofs.element_dofs]
            moved._orig = replace(mesh._orig, doflocs=np.ascontiguousarray(displaced(mesh._orig.p.T, original, None).T))
            moved._ix = mesh._ix.copy()
        return moved

    def fields(self, mesh: skfem.Mesh) -> dict[str, NDArray]:
        """Nothing: scikit-fem's meshes carry no point data."""
        return {}

    def with_fields(self, mesh: skfem.Mesh, fields: Mapping[str, NDArray]) -> skfem.Mesh:
        """The mesh itself: scikit-fem's meshes carry no point data."""
        return mesh

    def dtype(self, mesh: skfem.Mesh) -> np.dtype:
        """Always float64."""
        return mesh.p.dtype

    node_values, cell_values = staticmethod(node_values), staticmethod(cell_values)

    def element(self, mesh: skfem.Mesh, field: Any) -> tuple[str, int | None]:
        """Name and degree of the element of a pair of basis and dofs; see `Converter`."""
        element = element_of(main_parts(*pair_of(mesh, field))[0])
        return type(element).__name__, degree_of(element)

    def check_field(self, mesh: skfem.Mesh, field: Any) -> tuple[str, ...]:
        """Warnings about a pair (basis, dofs); see `Converter`."""
        return (*check_pair(mesh, field), *which_parts(*pair_of(mesh, field)))

    def carried(
        self,
        mesh: skfem.Mesh,
        moved: skfem.Mesh,
        field: Any,
        find: Callable[[NDArray], Location],
        linear: Callable[[NDArray], NDArray] | None = None,
        means: Callable[[NDArray, NDArray | None], NDArray] | None = None,
    ) -> NDArray:
        """The dofs of a pair (basis, dofs) for ``skfem.Basis(moved, basis.elem)``; see `Converter`."""
        return carried(mesh, moved, field, find, linear, means)

    def keeps_integrals(self, mesh: skfem.Mesh, field: Any, broken: bool = False) -> bool:
        """Whether `carried` makes use of `linear` for such a pair, or, for a `broken` one, of `means`."""
        basis = pair_of(mesh, field)[0]
        return is_linear(basis) or (broken and is_broken(basis))

    energy, goal = staticmethod(energy_of_forms), staticmethod(goal_of)

    def vertex_numbers(self, mesh: skfem.Mesh) -> NDArray[np.int64] | None:
        """Of a periodic mesh, the number in `mesh.t` of each vertex of `read`: images share theirs."""
        return unfolded(mesh)[4] if is_periodic(mesh) else None

    packed, unpacked = staticmethod(packed), staticmethod(unpacked)  #: see `Converter`

    def to_meshio(self, mesh: skfem.Mesh) -> meshio.Mesh:
        """As scikit-fem writes it, boundaries and subdomains encoded as its cell data ``skfem:*``."""
        from skfem.io.meshio import to_meshio

        if is_periodic(mesh):
            raise UnsupportedMeshError(
                f"Expected a mesh that scikit-fem can save (got the periodic {type(mesh).__name__}). "
                "Save the mesh that it was made from"
            )
        return to_meshio(mesh)


def _kind(mesh: Any) -> str:
    refdom = getattr(getattr(mesh, "elem", None), "refdom", None)
    name = _KINDS.get(getattr(refdom, "name", ""))
    if name is None or refdom is None or mesh.p.shape[0] != refdom.dim():
        raise UnsupportedMeshError(
            "Expected a scikit-fem mesh of triangles, quadrilaterals, tetrahedra, hexahedra or wedges in its own "
            f"dimension (got {type(mesh).__name__}). 1-D meshes and surfaces in 3-D are not moved"
        )
    if mesh.t.size == 0 or mesh.p.size == 0:
        raise InvalidMeshError(f"Expected a mesh with cells (got an empty {type(mesh).__name__})")
    used = mesh.dofs.element_dofs
    if mesh.t.min() < 0 or used.max() >= mesh.p.shape[1]:
        bad = np.flatnonzero((mesh.t < 0).any(axis=0) | (used >= mesh.p.shape[1]).any(axis=0))
        raise InvalidMeshError(
            f"Expected node ids from 0 to {mesh.p.shape[1] - 1} (got others in {len(bad)} cells: {first_ids(bad)})"
        )
    bad = np.flatnonzero(~np.isfinite(mesh.p).all(axis=0))
    bad = bad[np.isin(bad, used)]
    if len(bad):
        raise InvalidMeshError(
            f"Expected finite coordinates (got NaN or infinity at {len(bad)} nodes: {first_ids(bad)})"
        )
    return name


def _facets(mesh: skfem.Mesh, cells: NDArray, both: bool) -> dict[str, NDArray]:
    """Vertices of named facets in cyclic order, from both cells where the mesh is glued together."""
    local = np.array(mesh.elem.refdom.facets)
    found = {}
    for name, facet in (mesh.boundaries or {}).items():
        sides = []
        for side in mesh.f2t[: 2 if both else 1, np.asarray(facet, int)]:
            cell, which = side[side >= 0], np.asarray(facet, int)[side >= 0]
            slot = np.argmax(mesh.t2f[:, cell] == which, axis=0)
            sides.append(cells[local[slot].T, cell].T)
        found[name] = np.concatenate(sides)
        if local.shape[1] == 4:  # a wedge's triangles repeat their first vertex
            found[name][found[name][:, 3] == found[name][:, 0], 3] = -1
    return found


def _labels(mesh: skfem.Mesh) -> dict[str, NDArray]:
    cells = np.arange(mesh.t.shape[1])
    return {name: np.isin(cells, np.asarray(members, int)) for name, members in (mesh.subdomains or {}).items()}


def _copied(tags: dict | None) -> dict | None:
    return None if tags is None else {k: v.copy() for k, v in tags.items()}


def _keep_orientation(boundary: OrientedBoundary) -> tuple[Any, ...]:
    """scikit-fem's oriented boundaries lose their orientation when they are pickled as plain arrays."""
    return type(boundary), (np.asarray(boundary), boundary.ori)


copyreg.pickle(OrientedBoundary, _keep_orientation)

converter = SkfemConverter()
