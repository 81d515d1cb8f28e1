"""Transfer through the facets that nodes sweep, of a mesh in pieces: see `transfer.swept`.

Each process has all cells around the vertices that it owns, and so the rows of the matrices of these; the systems are
solved by conjugate gradients for those that are not symmetric (van der Vorst, SIAM J. Sci. Stat. Comput. 13, 1992),
in some twenty steps, as mass matrices are. What rounding leaves of the sum of the equations is given back, so that the
integral is kept as in one piece.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.sparse import csr_matrix

from meshmove.communicator import Communicator
from meshmove.geometry import MeshmoveError, inverted_cells
from meshmove.geometry.arrays import Array
from meshmove.geometry.location import PointLocator
from meshmove.transfer.repair import repaired
from meshmove.transfer.swept import Sweep

from ..overlap import Overlap

__all__ = ["swept_across"]


#: cells that nodes may cross in a part of the way, and parts: the layers of an `Overlap` are three
COURANT, PARTS = 2.0, 64
#: accuracy, and steps that may be taken to it
ACCURATE, STEPS = 1e-14, 300


def swept_across(overlap: Overlap, before: Array, after: Array, values: Array, bounds: bool = True) -> Array:
    """Values (n, k) of vertices at `before` (n, dim), with what nodes sweep on their straight way to `after`.

    Conservative to rounding where the domain keeps its shape; constants stay. A long way is taken in parts.

    Parameters
    ----------
    overlap
        Of the mesh; all processes call it together.
    before, after, values
        At the vertices of the piece, right where they are owned.
    bounds
        Whether every value is kept within those of the old field around it.

    Raises
    ------
    MeshmoveError
        On all processes: cells would be inverted on the way.
    """
    u, x = overlap.spread(values), overlap.spread(before)
    by, layout = overlap.spread(after) - x, overlap.layout
    parts = _parts(overlap, x, by)
    for k in range(parts):
        start, end = (replace(overlap.mesh, points=x + (k + j) / parts * by) for j in (0, 1))
        if not layout.every(not len(inverted_cells(start, end.points))):
            error = MeshmoveError(
                "Expected nodes to go straight to where they moved without inverting cells on the way (some would). "
                "Carry values with transfer='interpolate'"
            )
            error.__dict__["agreed"] = True
            raise error
        u = _carried(Sweep(start, end), overlap, u, bounds)
    return overlap.taken(u)


def _parts(overlap: Overlap, x: Array, by: Array) -> int:
    sweep = Sweep(replace(overlap.mesh, points=x), replace(overlap.mesh, points=x + by))
    most = overlap.layout.maximum(overlap.layout.own(sweep.crossed).max(initial=0.0))
    return int(np.clip(np.ceil(most / COURANT), 1, PARTS))


def _carried(sweep: Sweep, overlap: Overlap, u: Array, bounds: bool) -> Array:
    across = overlap.layout
    matrix, right = sweep.system(u)
    mass = across.update(sweep.lumped.copy())
    rows = matrix[: across.n_owned]
    new = _solved(rows, right, u, across)
    left = right[: across.n_owned] - rows @ new
    sums = across.sum(np.append(left.sum(axis=0), across.own(mass).sum()))
    new += sums[:-1] / sums[-1]
    if not bounds:
        return new
    some = sweep.mesh.n_cells > 0
    w = across.update(PointLocator(sweep.mesh).find(sweep.moved.points.T).interpolate(u) if some else u.copy())
    least, most = (across.update(part) for part in (sweep.range_of(u, w) if some else (u.copy(), u.copy())))
    return repaired(new, mass, sweep.ends, least, most, across)


def _solved(rows: csr_matrix, right: Array, start: Array, across: Communicator) -> Array:
    """Values (n, k) with rows @ values = right where they are owned, columns by themselves."""
    n = rows.shape[0]
    scale = 1 / rows.diagonal()[:, None]
    goal = scale * right[:n]

    def image(x: Array) -> Array:
        whole = np.zeros_like(start)
        whole[:n] = x
        return scale * (rows @ across.update(whole))

    def dots(*pairs: tuple[Array, Array]) -> list[Array]:
        return list(across.sum(np.array([np.einsum("nk,nk->k", a, b) for a, b in pairs])))

    x = start[:n].copy()
    r = goal - image(x)
    shadow, p = r.copy(), r.copy()
    rho, size = dots((shadow, r), (goal, goal))
    for _ in range(STEPS):
        v = image(p)
        (along,) = dots((shadow, v))
        a = _ratio(rho, along)
        s = r - a * v
        t = image(s)
        ts, tt = dots((t, s), (t, t))
        w = _ratio(ts, tt)
        x += a * p + w * s
        r = s - w * t
        before = rho
        rho, left = dots((shadow, r), (r, r))
        if (left <= ACCURATE**2 * size).all():
            break
        p = r + _ratio(rho, before) * _ratio(a, w) * (p - w * v)
    out = np.zeros_like(start)
    out[:n] = x
    return across.update(out)


def _ratio(a: Array, b: Array) -> Array:
    return np.divide(a, b, out=np.zeros_like(a), where=b != 0)
