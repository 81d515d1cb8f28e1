"""Facets of a mesh: which are exterior, which are interfaces, and which cells hang together."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from meshmove.geometry.arrays import Ids

from .errors import InvalidMeshError, first_ids
from .given import as_numbers, by_name, integers
from .mesh import CellMesh

__all__ = ["Facets", "facets_of", "labels_of", "without_interfaces"]

_A_CELL = "numbers, one a cell"


@dataclass(frozen=True, eq=False)
class Facets:
    """Unique facets of a mesh.

    `nodes` (f, k): vertices in cyclic order, padded with -1. `cells` (f, 2): adjacent cells, -1 outside.
    `label` (f,): 0 for an ordinary interior facet; other labels tell the constraint facets (exterior,
    interface, named) apart: two facets share a label when they have the same names and separate the same regions.
    `names`: facet ids by name.
    """

    nodes: Ids
    cells: Ids
    label: Ids
    names: dict[str, Ids]

    @property
    def exterior(self) -> NDArray[np.bool_]:
        return self.cells[:, 1] < 0

    @property
    def constrained(self) -> NDArray[np.bool_]:
        """Facets that nodes may only glide along: exterior, between regions, or named."""
        return self.label > 0

    def components(self, n_cells: int) -> Ids:
        """Component of each cell (n_cells,), neighbours across unconstrained facets being connected.

        Nothing crosses a constraint facet, so each component keeps its own volume and its own monitor mass.
        """
        a, b = self.cells[~self.constrained].T
        graph = coo_matrix((np.ones(len(a), bool), (a, b)), shape=(n_cells, n_cells))
        return connected_components(graph, directed=False)[1].astype(np.int64)


def _keys(nodes: Ids, base: int) -> NDArray:
    """One sortable key per facet, the same whatever the order of its vertices (padding -1 included)."""
    s = np.sort(nodes, axis=1) + 1
    if nodes.shape[1] * np.log2(base + 2) < 63:
        return s @ (np.int64(base + 1) ** np.arange(nodes.shape[1], dtype=np.int64))
    return np.ascontiguousarray(s).view([("", s.dtype)] * s.shape[1]).ravel()


def _match(table: NDArray, keys: NDArray, names: str) -> Ids:
    order = np.argsort(table)
    position = np.searchsorted(table[order], keys).clip(max=len(table) - 1)
    found = order[position]
    missing = np.flatnonzero(table[found] != keys)
    if len(missing):
        raise InvalidMeshError(
            f"Expected every facet of boundary {names!r} to be a facet of some cell (facets {first_ids(missing)} of "
            "it are not). Hanging or orphaned facets cannot be moved with the mesh: remove or re-mesh them."
        )
    return found


def facets_of(mesh: CellMesh) -> Facets:
    """All facets of the mesh, each once.

    Raises
    ------
    InvalidMeshError
        Three or more cells share a facet, or a named facet belongs to no cell.

    >>> mesh = CellMesh.single([[0, 0], [1, 0], [1, 1], [0, 1]], [[0, 1, 2], [0, 2, 3]], "triangle")
    >>> int(facets_of(mesh).exterior.sum())
    4
    """
    width = max(len(f) for b in mesh.blocks for f in b.kind.facets)
    rows, owners, first = [], [], 0
    for block in mesh.blocks:
        for facet in block.kind.facets:
            row = np.full((len(block), width), -1, dtype=np.int64)
            row[:, : len(facet)] = block.nodes[:, facet]
            rows.append(row)
            owners.append(np.arange(first, first + len(block)))
        first += len(block)
    nodes, owner = np.concatenate(rows), np.concatenate(owners)
    keys = _keys(nodes, mesh.n_points)
    order = np.argsort(keys, kind="stable")
    new = np.ones(len(order), bool)
    new[1:] = keys[order][1:] != keys[order][:-1]
    start = np.flatnonzero(new)
    count = np.diff(np.append(start, len(order)))
    if count.max(initial=0) > 2:
        bad = owner[order[start[np.argmax(count > 2)] :][:3]]
        raise InvalidMeshError(
            f"Expected at most two cells on a facet (cells {first_ids(bad)} share one). "
            "Remove doubled cells, or split the mesh along the branching surface."
        )
    cells = np.full((len(start), 2), -1, dtype=np.int64)
    cells[:, 0] = owner[order[start]]
    two = count == 2
    cells[two, 1] = owner[order[start[two] + 1]]
    unique, table = nodes[order[start]], keys[order[start]]

    names = {}
    for name, given in by_name(mesh.facets, "facets", InvalidMeshError).items():
        wanted = integers(given, f"the facets {name!r}", "ids of vertices, a row a facet", InvalidMeshError)
        if wanted.ndim != 2 and wanted.size:
            raise InvalidMeshError(f"Expected the facets {name!r} with a row a facet (got shape {wanted.shape})")
        padded = np.full((len(wanted), width), -1, dtype=np.int64)
        if len(wanted):
            padded[:, : wanted.shape[1]] = wanted[:, :width]
        names[name] = _match(table, _keys(padded, mesh.n_points), name) if len(wanted) else np.zeros(0, np.int64)
    return Facets(unique, cells, labels_of(cells, mesh.regions, names), names)


def labels_of(cells: Ids, regions: Ids | None, names: dict[str, Ids]) -> Ids:
    """Labels (f,) of facets between cells (f, 2) of regions, with names; see `Facets`."""
    n = cells.max(initial=-1) + 1
    region: NDArray = np.zeros(max(n, 1), dtype=np.int64)
    if regions is not None:
        region = as_numbers(regions, "regions", _A_CELL, InvalidMeshError)
    if region.ndim != 1 or len(region) < n:
        raise InvalidMeshError(f"Expected regions as {_A_CELL}, {n} of them (got shape {region.shape})")
    _, region = np.unique(region, return_inverse=True)
    left, right = region[cells[:, 0]], np.where(cells[:, 1] < 0, -1, region[cells[:, 1]])
    columns = [np.minimum(left, right), np.maximum(left, right)]
    constrained = left != right
    for ids in names.values():
        member = np.zeros(len(cells), dtype=np.int64)
        member[ids] = 1
        constrained |= member > 0
        columns.append(member)
    label = np.zeros(len(cells), dtype=np.int64)
    if constrained.any():
        table = np.stack(columns, axis=1)[constrained]
        label[constrained] = np.unique(table, axis=0, return_inverse=True)[1].ravel() + 1
    return label


def without_interfaces(mesh: CellMesh, keep: Collection[str] = ()) -> CellMesh:
    """The same mesh in one region, with names of exterior facets only; those in `keep` are of interior ones, too.

    >>> square, triangles = [[0, 0], [1, 0], [1, 1], [0, 1]], [[0, 1, 2], [0, 2, 3]]
    >>> mesh = CellMesh.single(square, triangles, "triangle", facets={"line": [[0, 2]], "bottom": [[0, 1]]})
    >>> {name: len(facets) for name, facets in without_interfaces(mesh).facets.items()}
    {'line': 0, 'bottom': 1}
    """
    mesh = replace(mesh, regions=None, region_names=())
    if not mesh.facets:
        return mesh
    found = facets_of(mesh)
    return replace(
        mesh,
        facets={
            name: given if name in keep else np.asarray(given)[found.exterior[found.names[name]]]
            for name, given in mesh.facets.items()
        },
    )
