"""Where a point lies in a cell: Newton's inverse of the isoparametric map, and closest points of simplices."""

from __future__ import annotations

import numpy as np

from meshmove.geometry.arrays import Array

from ..cells import CellKind

__all__ = ["closest_in_cell", "closest_in_simplex", "reference_weights"]


def _solve(a: Array, b: Array) -> Array:
    """Solve a x = b by cofactors: a (d, d, m) with rows first, b (d, m), d = 2, 3. Singular ones give inf or nan."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if len(b) == 2:
            det = a[0, 0] * a[1, 1] - a[0, 1] * a[1, 0]
            return np.stack([b[0] * a[1, 1] - b[1] * a[0, 1], b[1] * a[0, 0] - b[0] * a[1, 0]]) / det
        c = [np.stack([a[i - 2, j - 2] * a[i - 1, j - 1] - a[i - 2, j - 1] * a[i - 1, j - 2]
                       for i in range(3)]) for j in range(3)]  # fmt: skip
        det = (c[0] * a[:, 0]).sum(0)
        return np.stack([(c[j] * b).sum(0) for j in range(3)]) / det


def _least_squares(edge: Array, rest: Array) -> Array:
    """Coefficients (e, m) of `rest` (d, m) on one or two edges (e, d, m): no normal equations, for thin triangles."""
    with np.errstate(divide="ignore", invalid="ignore"):
        first = (edge[0] * rest).sum(0) / (edge[0] ** 2).sum(0)
        if len(edge) == 1:
            return first[None]
        along = (edge[0] * edge[1]).sum(0) / (edge[0] ** 2).sum(0)
        across = edge[1] - along * edge[0]
        second = (across * (rest - first * edge[0])).sum(0) / (across**2).sum(0)
        return np.stack([first - along * second, second])


def reference_weights(kind: CellKind, x: Array, target: Array, start: Array | None = None) -> tuple[Array, Array]:
    """Shape functions (m, v) of cells with vertices `x` (m, v, dim) at the points `target` (m, dim).

    Newton's method on the reference coordinates, kept within half a cell of the cell, from `start` (m, dim) or
    the centre. The second result (m,) says where it converged; where it did not, the weights are those of the
    place where it gave up, which still tell on which side of the cell the point is.
    """
    x, target = np.ascontiguousarray(x.transpose(2, 1, 0)), np.ascontiguousarray(target.T)
    m = target.shape[1]
    centre = kind.reference.mean(0)[:, None]
    xi = np.repeat(centre, m, axis=1) if start is None else start.T.copy()
    done = np.zeros(m, bool)
    active = np.arange(m)
    for _ in range(25):
        every = len(active) == m
        cell, goal, here = (x, target, xi) if every else (x[:, :, active], target[:, active], xi[:, active])
        shape, slope = kind.shape(here)
        jacobian = np.einsum("dvm,vcm->dcm", cell, slope)
        step = _solve(jacobian, goal - np.einsum("dvm,vm->dm", cell, shape))
        # the map of a pyramid is singular at its apex, where the remaining step is nought
        step[~np.isfinite(step)] = 0
        new = np.clip(here + step, -0.5, 1.5)
        # Newton squares the error: a step this small leaves nothing to do
        settled = (np.abs(step).max(0) < 1e-9) & (new == here + step).all(0)
        xi[:, active] = new
        done[active[settled]] = True
        active = active[~settled]
        if not len(active):
            break
    return kind.shape(xi)[0].T, done


def closest_in_simplex(x: Array, target: Array) -> tuple[Array, Array]:
    """Barycentric weights (m, k) of the closest point of simplices `x` (m, k, dim), and squared distances (m,).

    Simplices of any dimension: project on the affine hull; where that falls outside, the answer is on one of
    the facets beyond which it fell.

    >>> closest_in_simplex(np.array([[[0.0, 0], [1, 0], [0, 1]]]), np.array([[2.0, -1.0]]))
    (array([[0., 1., 0.]]), array([2.]))
    """
    m, k, dim = x.shape
    if k == 1:
        return np.ones((m, 1)), ((target - x[:, 0]) ** 2).sum(1)
    edge = (x[:, 1:] - x[:, :1]).transpose(1, 2, 0)
    rest = (target - x[:, 0]).T
    if k == dim + 1:
        inner = _solve(edge.transpose(1, 0, 2), rest)
    else:
        inner = _least_squares(edge, rest)
    inner[~np.isfinite(inner)] = np.nan
    weights = np.concatenate([1 - inner.sum(0, keepdims=True), inner]).T
    flat = np.isnan(weights).any(1)
    weights[flat] = -1
    squared = np.where(flat, np.inf, ((target - np.einsum("mk,mkd->md", weights, x)) ** 2).sum(1))
    beyond = weights < 0
    # rounding: squares of distances to interior points are not compared with those of facets
    squared[beyond.any(1)] = np.inf
    for i in range(k):
        rows = np.flatnonzero(beyond[:, i])
        if not len(rows):
            continue
        others = [j for j in range(k) if j != i]
        w, s = closest_in_simplex(x[rows][:, others], target[rows])
        better = s < squared[rows]
        rows = rows[better]
        squared[rows] = s[better]
        weights[rows, i] = 0
        weights[rows[:, None], others] = w[better]
    return weights, squared


def closest_in_cell(kind: CellKind, x: Array, target: Array) -> tuple[Array, Array]:
    """Convex weights (m, v) of the closest point of cells `x` (m, v, dim), and squared distances (m,).

    Cells are split into simplices: exact for flat facets, to second order in the warp for curved ones.
    """
    weights, squared = np.zeros(x.shape[:2]), np.full(len(x), np.inf)
    for simplex in kind.simplices:
        w, s = closest_in_simplex(x[:, simplex], target)
        better = np.flatnonzero(s < squared)
        squared[better] = s[better]
        weights[better] = 0
        weights[better[:, None], simplex] = w[better]
    return weights, squared
