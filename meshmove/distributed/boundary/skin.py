"""What nodes of all pieces may glide along: the facets of the boundary and of interfaces, which every process has.

Corners, lines, arcs and surfaces go on from piece to piece. There are N^(1/2) such facets in the plane and N^(2/3) in
space for N cells, so that each process finds them by itself, from the cells at these facets, in the same way as on a
mesh in one piece; then it keeps what concerns its own nodes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, identity, vstack

from meshmove.geometry import CellMesh, Facets, Slide
from meshmove.geometry.arrays import Array, Ids
from meshmove.geometry.curved import MidNodes
from meshmove.geometry.facets import labels_of
from meshmove.geometry.sliding.constraints import Constraints
from meshmove.geometry.sliding.middles import edge_index

from ..layout import Layout
from ..mesh import DistributedMesh
from ..ranks import Ranks, together
from .facets import PieceFacets

__all__ = ["Skin", "skin_of", "slide_of"]


@dataclass(frozen=True, eq=False)
class _Facets(Facets):
    """Those of the skin, of which the components of cells in the whole mesh are known."""

    component: Ids

    def components(self, n_cells: int) -> Ids:
        return self.component


@dataclass(frozen=True, eq=False)
class Skin:
    """The cells at constraint facets of all processes, and their facets.

    `ids` (s,): global numbers of the vertices, rising; `process` (m,) of each cell; `held` (s,): vertices that stay.
    """

    mesh: CellMesh
    facets: Facets
    ids: Ids
    process: Ids
    held: NDArray[np.bool_]


def skin_of(
    mesh: DistributedMesh, ranks: Ranks, across: PieceFacets, points: Array, fixed: NDArray[np.bool_], scale: float
) -> Skin:
    """`points` (n, dim) of the vertices of the piece, 1 / scale of the mesh's; `fixed` (n,): those that stay."""
    keep = np.flatnonzero(across.constrained)
    sides = across.facets.cells[keep]
    ids = np.unique(sides[sides >= 0])
    nodes = mesh.cells[ids]
    used = np.unique(nodes)
    mine = {
        "cells": mesh.global_ids[nodes],
        "ids": mesh.global_ids[used],
        "points": points[used],
        "held": mesh.global_ids[used[fixed[used]]],
        "region": np.zeros(len(ids), np.int64) if mesh.regions is None else np.asarray(mesh.regions)[ids],
        "component": across.component[ids],
        "facets": np.where(across.facets.nodes[keep] >= 0, mesh.global_ids[across.facets.nodes[keep]], -1),
        "sides": np.where(sides >= 0, np.searchsorted(ids, sides), -1),
        "names": across.names[keep],
        **_curved(mesh, used, scale),
    }
    return _merged(mesh, ranks.gather(mine))


def _curved(mesh: DistributedMesh, used: Ids, scale: float) -> dict[str, NDArray]:
    """Edges (k, 2) between vertices of `used` that are curved, in global numbers, and their bulges (k, dim)."""
    if mesh.second is None:
        return {}
    middle = MidNodes(mesh.second.cells)
    on = np.isin(middle.ends, used).all(axis=1) & middle.bulge.any(axis=1)
    return {"edges": mesh.global_ids[middle.ends[on]], "bulges": middle.bulge[on] / scale}


def _bent(whole: CellMesh, ends: Ids, bulges: Array) -> CellMesh:
    """The mesh with mid-side nodes so far from the middles of edges (k, 2), of which some are there twice."""
    _, one = np.unique(np.sort(ends, axis=1), axis=0, return_index=True)
    ends, n = ends[one], whole.n_points
    means = csr_matrix((np.full(ends.size, 0.5), ends.ravel(), np.arange(0, ends.size + 1, 2)), (len(ends), n))
    lift = vstack([identity(n), means])
    nodes = np.concatenate([whole.points, whole.points[ends].mean(axis=1) + bulges[one]])
    return replace(whole, lift=lift.tocsr(), nodes=nodes)


def _merged(mesh: DistributedMesh, parts: list[dict[str, Any]]) -> Skin:
    every = {name: np.concatenate([p[name] for p in parts]) for name in parts[0] if name != "sides"}
    counts = [len(p["cells"]) for p in parts]
    first = np.cumsum([0, *counts[:-1]])
    sides = np.concatenate([np.where(p["sides"] >= 0, p["sides"] + k, -1) for p, k in zip(parts, first, strict=True)])
    ids, row = np.unique(every["ids"], return_index=True)
    cells = np.searchsorted(ids, every["cells"])
    regions = None if mesh.regions is None else every["region"]
    whole = CellMesh.single(every["points"][row], cells, mesh.kind, regions=regions)
    if mesh.second is not None:
        whole = _bent(whole, np.searchsorted(ids, every["edges"]), every["bulges"])
    nodes = np.where(every["facets"] >= 0, np.searchsorted(ids, every["facets"]), -1)
    # a facet between two processes came from both, with a cell each
    _, one, which = np.unique(np.sort(nodes, axis=1), axis=0, return_index=True, return_inverse=True)
    which = which.ravel()
    pair = sides[one].copy()
    other = np.ones(len(nodes), bool)
    other[one] = False
    pair[which[other], 1] = sides[other, 0]
    names = {name: np.flatnonzero(every["names"][one, k]) for k, name in enumerate(sorted(mesh.facets))}
    facets = _Facets(nodes[one], pair, labels_of(pair, regions, names), names, every["component"])
    return Skin(whole, facets, ids, np.repeat(np.arange(len(parts)), counts), np.isin(ids, every["held"]))


def slide_of(
    skin: Skin,
    mesh: DistributedMesh,
    ranks: Ranks,
    layout: Layout,
    points: Array,
    boundary: str | Mapping[str, str],
    fixed: NDArray[np.bool_],
    frame: Array,
) -> Slide:
    """How the vertices of a piece may glide. `frame`: `inertia_frame` of the whole mesh."""
    with together(ranks):
        found = Constraints(skin.mesh, skin.facets, boundary, skin.held, frame)
        where = np.searchsorted(skin.ids, mesh.global_ids).clip(max=max(len(skin.ids) - 1, 0))
        where = np.where(skin.ids[where] == mesh.global_ids, where, -1)
        process = _counted(skin)
        number = np.full(len(skin.ids), -1, np.int64)
        number[where[where >= 0]] = np.flatnonzero(where >= 0)

        def mine(members: Ids) -> NDArray[np.bool_]:
            if members.shape[1] == 2:
                return np.asarray(process(members) == ranks.rank)
            return np.asarray((number[members] >= 0).all(axis=1))

        own = skin.process[found.shells.cell] == ranks.rank
        shells = found.shells.piece(number, len(points), own, float(ranks.rank == 0), layout.sum)
        piece = found.piece(where, points, mine, shells)
        piece.fixed |= fixed
        free = ~piece.fixed[piece.flat]
        piece.flat, piece.projector = piece.flat[free], piece.projector[free]
    return Slide.under(piece, Slide.under(found).frame)


def _counted(skin: Skin) -> Any:
    """A function from edges or triangles (k, v) of the skin to the process that counts each of them."""
    f, nodes = skin.facets, skin.facets.nodes
    process, n = skin.process[f.cells[:, 0]], len(skin.ids)
    following = np.where(np.roll(nodes, -1, axis=1) >= 0, np.roll(nodes, -1, axis=1), nodes[:, :1])
    pairs = np.stack([nodes, following], axis=2).reshape(-1, 2)
    owner = np.repeat(process, nodes.shape[1])[(pairs >= 0).all(axis=1)]
    pairs = pairs[(pairs >= 0).all(axis=1)]

    def of(members: Ids) -> Ids:
        at = edge_index(pairs, members[:, :2], n)
        return np.where(at >= 0, owner[at], -1) if len(owner) else np.full(len(members), -1)

    return of
