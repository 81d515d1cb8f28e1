"""Inverses of a Laplacian in pieces: each piece by itself, and one number for each of them.

The additive Schwarz preconditioner with the coarse space of Nicolaides (Toselli & Widlund, Domain Decomposition,
2005): symmetric and linear, and good for a few processes. For many, plugins have multigrid.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags

from meshmove.geometry.arrays import Array
from meshmove.movers.laplacian import Inverse, inverse

from ..layout import Layout
from ..ranks import Ranks

__all__ = ["Schwarz", "shift_and_width"]


#: accuracy of `Inverse.solve`, and steps of conjugate gradients that it may take: results of partitions are 2 % apart
#: so, and with 1e-2, in a quarter less time, 6 %
ACCURATE, STEPS = 1e-4, 60


def shift_and_width(matrix: csr_matrix, mass: Array, layout: Layout) -> tuple[float, int]:
    """The tiny multiple of the mass that keeps pure Neumann problems solvable, as in one piece, which is 0 without any
    mass; and how many unknowns a node has, the same on processes without nodes."""
    local = [matrix.diagonal().sum(), mass.sum(), matrix.shape[0], len(layout.ids)]
    trace, whole, unknowns, nodes = layout.sum(np.array(local, float))
    return float(1e-9 * trace / whole) if whole > 0 else 0.0, max(1, round(unknowns / max(nodes, 1)))


class Schwarz:
    """Makes an `Inverse` of the sum of all processes' matrices, of one unknown a node or several."""

    def __init__(self, ranks: Ranks, layout: Layout) -> None:
        self._ranks, self._layout = ranks, layout

    def __call__(self, matrix: csr_matrix, mass: Array, dim: int, free: NDArray | None = None) -> Inverse:
        n, nodes = matrix.shape[0], self._layout
        shift, width = shift_and_width(matrix, mass, nodes)
        layout = _Several(nodes, width)
        system = (matrix + diags(shift * mass)).tocsr()
        on = np.ones(n, bool) if free is None else np.asarray(free)
        counted = layout.update(layout.accumulate(np.ones(n)))  # in how many pieces each node is
        whole = layout.update(layout.accumulate(system.diagonal()))
        local = csr_matrix(system + diags(whole - system.diagonal()))  # as stiff as the whole at shared nodes
        used = on & (local.diagonal() > 0)
        ids = np.flatnonzero(used)
        solver = inverse(local[ids][:, ids], np.full(len(ids), 1e-300), dim) if len(ids) else None
        share = np.where(used, 1 / counted, 0.0)
        constants = [np.where(np.arange(n) % width == c, share, 0.0) for c in range(width)]
        coarse = self._coarse(system, constants, layout)
        mine = slice(self._ranks.rank * width, (self._ranks.rank + 1) * width)

        def apply(x: Array) -> Array:
            """The whole matrix times a vector that is right at ghosts; right where nodes are owned."""
            return layout.accumulate(system @ x) * on

        def once(rhs: Array) -> Array:
            r = layout.update(np.where(on, rhs, 0.0))
            part = np.zeros(n)
            if solver is not None:
                part[ids] = solver(r[ids])
            level: Array = coarse @ nodes.sum(self._of_pieces([float(np.vdot(c, r)) for c in constants]))
            part += np.stack(constants, axis=1) @ level[mine]
            return layout.update(layout.accumulate(part) * on)

        def accurate(rhs: Array) -> Array:
            return _conjugate(apply, once, layout.update(np.where(on, rhs, 0.0)), layout)

        return Inverse(None, once, accurate)

    def _of_pieces(self, values: list[float]) -> Array:
        out = np.zeros((self._ranks.size, len(values)))
        out[self._ranks.rank] = values
        return out.ravel()

    def _coarse(self, system: csr_matrix, constants: list[Array], layout: _Several) -> Array:
        """Inverse of what the matrix is on functions of which each component is one number in each piece."""
        rows = []
        for k in range(self._ranks.size):
            for mine in constants:
                step = mine if k == self._ranks.rank else np.zeros(len(mine))
                whole = layout.update(layout.accumulate(step.copy()))
                image = layout.update(layout.accumulate(system @ whole))
                rows.append(layout.nodes.sum(self._of_pieces([float(np.vdot(c, image)) for c in constants])))
        return np.linalg.pinv(np.array(rows))


class _Several:
    """Exchange of vectors with several unknowns a node."""

    def __init__(self, nodes: Layout, width: int) -> None:
        self.nodes, self._width = nodes, width

    def _rows(self, values: Array) -> Array:
        return values.reshape(-1, self._width)

    def update(self, values: Array) -> Array:
        return self.nodes.update(self._rows(values)).ravel()

    def accumulate(self, values: Array) -> Array:
        return self.nodes.accumulate(self._rows(values)).ravel()

    def dot(self, a: Array, b: Array) -> float:
        return self.nodes.dot(self._rows(a), self._rows(b))


def _conjugate(apply: Callable[[Array], Array], once: Callable[[Array], Array], rhs: Array, layout: _Several) -> Array:
    """Conjugate gradients (Hestenes & Stiefel 1952)."""
    x, r = np.zeros_like(rhs), rhs.copy()
    z = once(r)
    p, rz = z.copy(), layout.dot(r, z)
    least = ACCURATE**2 * layout.dot(rhs, rhs)
    for _ in range(STEPS):
        if not rz > 0 or layout.dot(r, r) <= least:
            break
        image = apply(p)
        a = rz / layout.dot(p, image)
        x += a * p
        r -= a * layout.update(image)
        z = once(r)
        rz, before = layout.dot(r, z), rz
        p = z + rz / before * p
    return x
