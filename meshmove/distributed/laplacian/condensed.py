r"""Exact inverses of a Laplacian in pieces: what lies inside of a piece is eliminated by its process.

With the unknowns I inside of a piece and those B that pieces share,

.. math:: S = \sum_p A^p_{BB} - A^p_{BI} (A^p_{II})^{-1} A^p_{IB}

is left for B (Przemieniecki, AIAA Journal 1, 1963), a dense matrix that every process has and factorises. A solve is
one reduction of as many numbers as there are unknowns in B. What comes of it depends on the partition by rounding only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_matrix, diags

from meshmove.geometry.arrays import Array, Ids
from meshmove.movers.laplacian import DIRECT, Inverse, factorised

from ..layout import Layout
from ..ranks import Ranks
from .schwarz import Schwarz, shift_and_width

__all__ = ["Condensed"]


#: unknowns that pieces may share: S of so many takes 32 MB on each process, and a second to factorise
SHARED = 2_000
#: columns of S that are made at a time
COLUMNS = 8


class Condensed:
    """Makes an `Inverse` of the sum of all processes' matrices: an exact one where pieces share few unknowns and are
    small, else that of `Schwarz`."""

    def __init__(self, ranks: Ranks, layout: Layout) -> None:
        self._layout, self._large = layout, Schwarz(ranks, layout)

    def __call__(self, matrix: csr_matrix, mass: Array, dim: int, free: NDArray | None = None) -> Inverse:
        n, layout = matrix.shape[0], self._layout
        shift, width = shift_and_width(matrix, mass, layout)
        on = np.ones(n, bool) if free is None else np.asarray(free)
        split = _split(matrix, on, width, layout)
        if split.count > SHARED or layout.maximum(np.array(float(len(split.inside)))) > DIRECT[dim]:
            return self._large(matrix, mass, dim, free)
        solve = _solver((matrix + diags(shift * mass)).tocsr(), split, layout)
        return Inverse(None, solve, solve)


@dataclass(frozen=True, eq=False)
class _Split:
    """`inside`: unknowns of no other piece; `rim`: the others of this piece, of numbers `at` among `count` of all
    pieces; `own`: a mask of those of them that this process owns, `held` of numbers that nothing is solved for."""

    inside: Ids
    rim: Ids
    at: Ids
    own: NDArray[np.bool_]
    held: NDArray[np.bool_]
    count: int


def _split(matrix: csr_matrix, on: NDArray[np.bool_], width: int, layout: Layout) -> _Split:
    """A node is inside where the process that owns it is the only one that has cells there."""
    n = len(layout.ids)
    here = (matrix.diagonal().reshape(n, width) > 0).any(axis=1)
    others = layout.update(layout.accumulate(np.where(np.arange(n) < layout.n_owned, 0.0, here)))
    shared = others > 0
    mine = np.flatnonzero(shared[: layout.n_owned])
    number = np.full(n, -1.0)
    number[mine] = layout.before(len(mine)) + np.arange(len(mine))
    number = layout.update(number)
    count = int(layout.sum(np.array(float(len(mine))))) * width
    unknown = np.arange(n * width)
    rim = np.flatnonzero(np.repeat(shared, width) & on)
    at = number.astype(np.int64)[rim // width] * width + rim % width
    own = rim < layout.n_owned * width
    left = np.ones(count)
    left[at[own]] = 0
    held = layout.minimum(left) > 0
    inside = np.flatnonzero(on & np.repeat(here & ~shared, width) & (unknown < layout.n_owned * width))
    return _Split(inside, rim, at, own, held, count)


def _solver(system: csr_matrix, split: _Split, layout: Layout) -> Callable[[Array], Array]:
    """Values (n,) of owned unknowns for a right side that is right where they are owned."""
    inside, rim, at, own = split.inside, split.rim, split.at, split.own
    inner = factorised(system[inside][:, inside].tocsc()) if len(inside) else _nothing
    across = system[inside][:, rim]
    back = across.T.tocsr()
    schur = np.zeros((split.count, split.count))
    block = system[rim][:, rim].toarray()
    for k in range(0, len(rim), COLUMNS):
        block[:, k : k + COLUMNS] -= back @ inner(across[:, k : k + COLUMNS].toarray())
    schur[np.ix_(at, at)] = block
    schur = layout.sum(schur)
    schur = (schur + schur.T) / 2
    empty = split.held | ~(np.diag(schur) > 0)
    schur[empty], schur[:, empty] = 0, 0
    schur[empty, empty] = 1
    factors = cho_factor(schur, overwrite_a=True, check_finite=False) if split.count else None

    def solve(rhs: Array) -> Array:
        out = np.zeros(len(rhs))
        first = inner(rhs[inside])
        if factors is not None:
            right = np.zeros(split.count)
            np.add.at(right, at, -(back @ first))
            right[at[own]] += rhs[rim[own]]
            right = layout.sum(right)
            right[empty] = 0
            out[rim] = cho_solve(factors, right, check_finite=False)[at]
            first -= inner(across @ out[rim])
        out[inside] = first
        return out

    return solve


def _nothing(rhs: Array) -> Array:
    return np.zeros(rhs.shape)
