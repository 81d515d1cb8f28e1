"""scikit-fem: triangles, quadrilaterals, tetrahedra, hexahedra and wedges, of second order and periodic too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from meshmove.geometry.cells import kind_of
from meshmove.geometry.curvilinear import QUADRATIC
from meshmove.geometry.errors import FieldError, InvalidMeshError, UnsupportedMeshError, first_ids
from meshmove.geometry.mesh import CellBlock, CellMesh

from ._assemble import displaced

if TYPE_CHECKING:
    import meshio
    import skfem

__all__ = ["SkfemConverter", "converter"]

_KINDS = {
    "Triangular": "triangle",
    "Quadrilateral": "quad",
    "Tetrahedral": "tetra",
    "Hexahedral": "hexahedron",
    "Wedge": "wedge",
}
# where each VTK vertex of a hexahedron stands in scikit-fem's numbering
_HEX = np.array([0, 3, 6, 2, 1, 5, 7, 4])


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
        if _is_periodic(mesh):
            points, cells, lift, periodic = _unfold(mesh)
        else:
            ids, inverse = np.unique(mesh.t, return_inverse=True)
            cells = inverse.reshape(mesh.t.shape)
            points, periodic = mesh.p[:, ids].T, None
            lift = None if len(ids) == mesh.p.shape[1] else _lift(mesh, cells, len(ids))
        curved = lift is not None and periodic is None
        block = CellBlock(kind_of(name), (cells[_HEX] if name == "hexahedron" else cells).T)
        return CellMesh(
            points,
            (_second_order(mesh, block) if curved else block,),
            facets=_facets(mesh, cells, both=periodic is not None),
            regions=_regions(mesh),
            periodic=periodic,
            lift=lift,
            nodes=mesh.p.T if curved else None,
        )

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

    def node_values(self, mesh: skfem.Mesh, field: tuple[skfem.CellBasis, NDArray]) -> NDArray:
        """A finite element function at the nodes: the mean over the cells that meet there.

        Parameters
        ----------
        mesh
            The mesh whose nodes are meant.
        field
            A pair (basis, dofs); the basis has one component field of any element, on cells of `mesh`.

        Returns
        -------
        (n_nodes,), or (n_nodes, k) for a field of vectors. NaN where no cell of the basis meets.

        Raises
        ------
        FieldError
            The pair is of another kind, or belongs to another mesh, or `dofs` has another length.

        Examples
        --------
        >>> import skfem
        >>> mesh = skfem.MeshTri()
        >>> basis = skfem.Basis(mesh, skfem.ElementTriP0())
        >>> converter.node_values(mesh, (basis, np.array([1.0, 3.0])))
        array([1., 2., 2., 3.])
        """
        import skfem

        basis, dofs = _pair(mesh, field)
        local = np.asarray(mesh.elem.doflocs).T
        cells = slice(None) if basis.tind is None else basis.tind
        sampled = skfem.CellBasis(
            basis.mesh, basis.elem, elements=basis.tind, quadrature=(local, np.ones(local.shape[1]))
        )
        if len(sampled.basis[0]) != 1:
            raise FieldError(
                f"Expected a basis of one field (got {type(basis.elem).__name__} of {len(sampled.basis[0])} fields). "
                "Use basis.split(dofs) and pass one of its pairs"
            )
        values = np.asarray(sampled.interpolate(dofs))  # (..., cells, nodes)
        nodes = mesh.dofs.element_dofs[:, cells].T.ravel()
        count = np.bincount(nodes, minlength=mesh.p.shape[1])
        parts = values.reshape(-1, len(nodes))
        sums = np.stack([np.bincount(nodes, part, minlength=len(count)) for part in parts], axis=-1)
        mean = np.divide(sums, count[:, None], out=np.full(sums.shape, np.nan), where=count[:, None] > 0)
        return mean[:, 0] if values.ndim == 2 else mean

    def to_meshio(self, mesh: skfem.Mesh) -> meshio.Mesh:
        """As scikit-fem writes it, boundaries and subdomains encoded as its cell data ``skfem:*``."""
        from skfem.io.meshio import to_meshio

        if _is_periodic(mesh):
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


def _is_periodic(mesh: skfem.Mesh) -> bool:
    from skfem.mesh.mesh_dg import MeshDG

    return isinstance(mesh, MeshDG)


def _parents(mesh: skfem.Mesh) -> list[tuple[int, ...]]:
    """The vertices that each node of the cell is the mean of, in scikit-fem's order."""
    refdom, elem = mesh.elem.refdom, mesh.elem
    parents: list[tuple[int, ...]] = [(v,) for v in range(refdom.nnodes)]
    parents += [tuple(e) for e in refdom.edges or []] if elem.edge_dofs else []
    parents += [tuple(f) for f in refdom.facets] if elem.facet_dofs else []
    parents += [tuple(range(refdom.nnodes))] if elem.interior_dofs else []
    return parents


def _second_order(mesh: skfem.Mesh, block: CellBlock) -> CellBlock:
    """The block with the mid-side nodes of its cells, where these are of a known kind."""
    vtk = np.argsort(_HEX) if block.kind.name == "hexahedron" else np.arange(block.kind.vertices)
    column = {frozenset(vtk[list(p)].tolist()): k for k, p in enumerate(_parents(mesh))}
    for name, (linear, further) in QUADRATIC.items():
        wanted = [frozenset((v,)) for v in range(block.kind.vertices)] + [frozenset(p) for p in further]
        if linear == block.kind.name and column.keys() == set(wanted):
            nodes = mesh.dofs.element_dofs[[column[w] for w in wanted]].T
            return replace(block, second=name, second_nodes=nodes)
    return block


def _lift(mesh: skfem.Mesh, cells: NDArray, n_vertices: int) -> csr_matrix:
    """Each node's displacement as the mean over the edge, facet or cell that it stands in; unused nodes: zero."""
    parents = _parents(mesh)
    nodes = mesh.dofs.element_dofs
    shape = (mesh.p.shape[1], n_vertices)
    rows, columns, weights = [], [], []
    seen = np.zeros(shape[0], bool)
    for local, parent in zip(nodes, parents, strict=True):
        node, cell = np.unique(local, return_index=True)
        new = ~seen[node]
        node, cell = node[new], cell[new]
        seen[node] = True
        rows.append(np.repeat(node, len(parent)))
        columns.append(cells[list(parent)][:, cell].T.ravel())
        weights.append(np.full(len(node) * len(parent), 1 / len(parent)))
    return csr_matrix((np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns))), shape=shape)


def _unfold(mesh: skfem.Mesh) -> tuple[NDArray, NDArray, csr_matrix, NDArray | None]:
    """A periodic mesh holds each cell's nodes apart, and images share their number in `t`.

    Vertices here are the distinct places of each number: (points, cells, lift, pairs of images).
    """
    nodes, ids = mesh.dofs.element_dofs.ravel(), mesh.t.ravel()
    place = mesh.p.T[nodes]
    first = np.zeros(int(ids.max()) + 1, int)
    first[ids[::-1]] = np.arange(len(ids))[::-1]
    # cells agree on a place up to rounding; images are at least a cell apart
    apart = np.rint((place - place[first[ids]]) / (1e-9 * np.linalg.norm(np.ptp(place, axis=0)))).astype(np.int64)
    apart = np.where(np.abs(apart) <= 10, 0, apart)
    keys = np.column_stack([ids, np.rint(apart / 100)])
    unique, index, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    inverse = inverse.reshape(-1)
    lift = csr_matrix((np.ones(len(nodes)), (nodes, inverse)), shape=(mesh.p.shape[1], len(index)))
    start = np.unique(unique[:, 0], return_index=True)[1]  # the first of each number's places
    owner = start[np.cumsum(np.isin(np.arange(len(unique)), start)) - 1]
    pairs = np.column_stack([np.arange(len(unique)), owner])
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    return place[index], inverse.reshape(mesh.t.shape), lift, pairs if len(pairs) else None


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


def _regions(mesh: skfem.Mesh) -> NDArray | None:
    region = np.zeros(mesh.t.shape[1], np.int64)
    for members in (mesh.subdomains or {}).values():
        inside = np.zeros_like(region)
        inside[np.asarray(members, int)] = 1
        region = np.unique(2 * region + inside, return_inverse=True)[1]
    return region if region.any() else None


def _copied(tags: dict | None) -> dict | None:
    return None if tags is None else {k: v.copy() for k, v in tags.items()}


def _pair(mesh: skfem.Mesh, field: Any) -> tuple[Any, NDArray]:
    import skfem

    basis, dofs = field if isinstance(field, tuple) and len(field) == 2 else (field, None)
    if not isinstance(basis, skfem.CellBasis) or dofs is None:
        raise FieldError(f"Expected a pair (skfem.CellBasis, dofs) (got {type(basis).__name__})")
    dofs = np.asarray(dofs)
    if dofs.shape != (basis.N,):
        raise FieldError(f"Expected {basis.N} degrees of freedom, as the basis has (got shape {dofs.shape})")
    if not np.array_equal(basis.mesh.t, mesh.t):
        raise FieldError(
            f"Expected a basis on the mesh that is moved, {mesh.t.shape[1]} cells "
            f"(got one on another mesh, {basis.mesh.t.shape[1]} cells)"
        )
    return basis, dofs


converter = SkfemConverter()
