"""Which nodes hear which, in the order in which messages are summed up on a processor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

__all__ = ["TOGETHER", "Neighbours", "rows_of"]

Ids = NDArray[np.int64]

#: edges, or cells, that are worked on together: their features stay in the cache
TOGETHER = 2048


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Edges (both ways) of n nodes, sorted by the node that hears.

    Attributes
    ----------
    order : (e,) what the sorted edges were numbered
    hears, sends : (e,) node ids
    ends : (n+1,) where in these those of each node begin, and end
    degree : (n, 1) edges of each node, at least 1
    parts : nodes, their edges, and the sum (nodes, edges) over these
    cells : (dim+1) x (c,) the first vertex of each cell, the second, and so on
    """

    order: Ids
    hears: Ids
    sends: Ids
    ends: Ids
    degree: NDArray[np.float32]
    parts: list[tuple[slice, slice, csr_matrix]]
    cells: list[Ids]

    def from_nodes(self, nodes: Ids) -> tuple[Ids, Ids]:
        """Edges out of some nodes: these (k,), and the nodes at their other ends (k,)."""
        edge, many = rows_of(self.ends, nodes)
        return np.repeat(nodes, many), self.sends[edge]

    @classmethod
    def of(cls, edges: Ids, cells: Ids, n: int) -> Neighbours:
        """Of edges (2, e), both ways, the first row hears; cells (c, dim+1)."""
        many = np.bincount(edges[0], minlength=n)
        order, ends = np.argsort(edges[0], kind="stable"), np.r_[0, np.cumsum(many)]
        parts, first = [], 0
        while first < n:
            last = max(first + 1, int(np.searchsorted(ends, ends[first] + TOGETHER, side="right")) - 1)
            start, stop = ends[first], ends[last]
            entries = np.ones(stop - start, np.float32), np.arange(stop - start), ends[first : last + 1] - start
            total = csr_matrix(entries, shape=(last - first, stop - start))
            parts.append((slice(first, last), slice(start, stop), total))
            first = last
        columns = [np.ascontiguousarray(v) for v in cells.T]
        hears, sends = edges[:, order]
        return cls(order, hears, sends, ends, many.clip(1)[:, None].astype(np.float32), parts, columns)


def rows_of(ends: Ids, rows: Ids) -> tuple[Ids, Ids]:
    """Places of all entries of some rows of a sparse matrix with these `ends`, and how many each row has."""
    first = ends[rows]
    many = ends[rows + 1] - first
    return np.repeat(first - np.cumsum(many) + many, many) + np.arange(many.sum()), many
