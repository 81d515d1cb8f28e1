"""Inverses that are exact, so that what is left between partitions is rounding."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix, csc_matrix, diags
from scipy.sparse.linalg import splu

from meshmove.distributed.laplacian import shift_and_width
from meshmove.movers.laplacian import Inverse


class Factors:
    """Inverses by factors of the whole matrix, which every process has: what PETSc's MUMPS gives for small meshes."""

    def __init__(self, ranks, layout):
        self._ranks, self._layout = ranks, layout

    def __call__(self, matrix, mass, dim, free=None):
        layout, (shift, width) = self._layout, shift_and_width(matrix, mass, self._layout)
        ids = (layout.ids[:, None] * width + np.arange(width)).ravel()
        on = np.ones(len(ids), bool) if free is None else np.asarray(free)
        part = coo_matrix(matrix + diags(shift * mass))
        keep = on[part.row] & on[part.col]
        parts = self._ranks.gather((ids[part.row[keep]], ids[part.col[keep]], part.data[keep]))
        row, column, value = (np.concatenate(p) for p in zip(*parts, strict=True))
        used, place = np.unique(row), lambda i: np.searchsorted(used, i).clip(max=len(used) - 1)
        factors = splu(csc_matrix((value, (place(row), place(column)))))
        owned, at = ids[: layout.n_owned * width], place(ids)

        def solve(rhs):
            whole = np.zeros(len(used))
            for i, v in self._ranks.gather((owned, rhs[: len(owned)])):
                hit = used[place(i)] == i
                whole[place(i)[hit]] = v[hit]
            return np.where((used[at] == ids) & on, factors.solve(whole)[at], 0.0)

        return Inverse(None, solve, solve)
