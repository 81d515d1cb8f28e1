"""Facets of pieces: which are exterior, which lie between pieces, and which components they join across these."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from meshmove.geometry import Facets, InvalidMeshError, facets_of
from meshmove.geometry.arrays import Ids
from meshmove.geometry.errors import first_ids

from ..layout import by_process
from ..mesh import DistributedMesh
from ..ranks import Ranks, together

__all__ = ["PieceFacets", "facets_across"]


@dataclass(frozen=True, eq=False)
class PieceFacets:
    """Facets of the cells of a process.

    `facets`: of its cells alone. `constrained` (f,): whether nodes may only glide along them, in the whole mesh.
    `names` (f, k): which of the k names, in sorted order, they have. `component` (m,): of each cell, among those of all
    processes.
    """

    facets: Facets
    constrained: NDArray[np.bool_]
    names: NDArray[np.bool_]
    component: Ids


def facets_across(mesh: DistributedMesh, ranks: Ranks) -> PieceFacets:
    """Match the facets that have one cell here with those of other processes."""
    with together(ranks):
        facets, names = _own(mesh)
        region = np.zeros(len(mesh.cells), np.int64) if mesh.regions is None else np.asarray(mesh.regions, np.int64)
        single = np.flatnonzero(facets.exterior)
        between = ~facets.exterior & (region[facets.cells[:, 0]] != region[facets.cells[:, 1]])
        loose = ~facets.exterior & ~between & ~names.any(axis=1)
        own = _joined(facets.cells[loose], len(mesh.cells))
    counts = ranks.gather(int(own.max(initial=-1)) + 1)
    own = own + sum(counts[: ranks.rank])
    cell = facets.cells[single, 0]
    bits = names[single] @ (1 << np.arange(names.shape[1], dtype=np.int64))
    partner, its = _matched(mesh, ranks, facets.nodes[single], np.stack([region[cell], own[cell], bits], axis=1))
    names[single] = ((bits | its[:, 2])[:, None] >> np.arange(names.shape[1])) & 1
    constrained = between | names.any(axis=1)
    constrained[single] |= ~partner | (its[:, 0] != region[cell])
    free = partner & ~constrained[single]
    pairs = np.unique(np.stack([own[cell][free], its[free, 1]], axis=1), axis=0)
    every = np.concatenate(ranks.gather(pairs))
    return PieceFacets(facets, constrained, names, _joined(every, sum(counts))[own])


def _own(mesh: DistributedMesh) -> tuple[Facets, NDArray[np.bool_]]:
    """Facets of the cells of this process, and the names of each."""
    facets = facets_of(mesh.local())
    names = np.zeros((len(facets.nodes), len(mesh.facets)), bool)
    if len(mesh.facets) > 62:
        raise InvalidMeshError(f"Expected up to 62 named boundaries (got {len(mesh.facets)})")
    keys = np.sort(facets.nodes, axis=1)
    for k, name in enumerate(sorted(mesh.facets)):
        given = np.asarray(mesh.facets[name], np.int64)
        if not given.size:
            continue
        bad = np.flatnonzero((given >= len(mesh.points)).any(axis=1))
        if len(bad):
            text = f"Expected facets {name!r} of vertices of the piece (facets {first_ids(bad)} are not)"
            raise InvalidMeshError(text)
        names[:, k] = np.isin(_keys(keys, len(mesh.points)), _keys(np.sort(given, axis=1), len(mesh.points)))
    return facets, names


def _keys(rows: Ids, base: int) -> NDArray:
    """Rows of sorted numbers as one value each."""
    width = rows.shape[1]
    if width * np.log2(base + 2) < 63:
        return (rows + 1) @ (np.int64(base + 2) ** np.arange(width, dtype=np.int64))
    return np.ascontiguousarray(rows).view([("", rows.dtype)] * width).ravel()


def _joined(pairs: Ids, n: int) -> Ids:
    """Labels (n,) of what hangs together by pairs (k, 2)."""
    if not n:
        return np.zeros(0, np.int64)
    graph = coo_matrix((np.ones(len(pairs), bool), tuple(pairs.T)), shape=(n, n))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def _matched(mesh: DistributedMesh, ranks: Ranks, nodes: Ids, known: Ids) -> tuple[NDArray[np.bool_], Ids]:
    """Of facets with one cell here: whether another process has one on the other side, and what it knows, (f, 3): the
    cell's region and component, and names.

    The process that owns the vertex of the lowest number hears from both.
    """
    ids = np.where(nodes >= 0, mesh.global_ids[nodes], np.iinfo(np.int64).max)
    first = nodes[np.arange(len(nodes)), ids.argmin(axis=1)] if len(nodes) else np.zeros(0, np.int64)
    table = np.concatenate([np.sort(ids, axis=1), known], axis=1)
    sent = by_process(mesh.owners[first])
    came = ranks.swap({k: table[rows] for k, rows in sent.items()})
    order = sorted(came)
    every = np.concatenate([table[:0], *(came[k] for k in order)])
    with together(ranks):
        answers = np.split(_answered(every), np.cumsum([len(came[k]) for k in order])[:-1]) if order else []
    back = ranks.swap(dict(zip(order, answers, strict=True)))
    out = np.zeros((len(nodes), 4), np.int64)
    for k, rows in sent.items():
        out[rows] = back[k]
    return out[:, 0] > 0, out[:, 1:]


def _answered(table: Ids) -> Ids:
    """Of each row whether there is another of the same vertices, and that one's region, component and names."""
    out = np.zeros((len(table), 4), np.int64)
    order = np.lexsort(table[:, :-3].T[::-1])
    same = np.flatnonzero((table[order[1:], :-3] == table[order[:-1], :-3]).all(axis=1))
    a, b = order[same], order[same + 1]
    if len(np.unique(np.concatenate([a, b]))) < 2 * len(a):
        raise InvalidMeshError("Expected at most two cells on a facet (more share one, on different processes)")
    out[a, 0] = out[b, 0] = 1
    out[a, 1:], out[b, 1:] = table[b, -3:], table[a, -3:]
    return out
