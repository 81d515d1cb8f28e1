r"""The L2 error that a finite element solution will have, from the Hessian of the field.

The interpolation error alone does not tell, since it overlooks what distorted cells do to a Galerkin solution. By
duality (Aubin-Nitsche) the L2 error of the solution is at most

    eta^2 = sum_K |grad(u - Iu)|_K^2  rho_K^2,

where rho_K^2 is the mean square of grad(w - Iw) on K for a field w of unit isotropic Hessian: about h^2 on a regular
cell, the longest edge squared on a stretched one, more on an obtuse one. On regular meshes eta and the
interpolation error agree up to a constant; on distorted ones eta is pessimistic, as it supposes the worst dual field
on every cell, and the interpolation error optimistic. In a geometric mean, a third of eta was
enough to find the best intensity for the ring of `benchmarks/adapting/fem.py`, where the interpolation error alone goes
on to fall while the solution gets worse, and little enough to accept the slivers that a long domain needs.
"""

from __future__ import annotations

from itertools import combinations
from math import factorial

import numpy as np

from meshmove.geometry import CellBlock, CellMesh, quality
from meshmove.geometry.arrays import Array
from meshmove.geometry.cells.closed_form import CHUNK, closed_form

from .interpolation_error import checked_hessians, interpolation_error
from .isoparametric import Isoparametric, isoparametric, second_moments

__all__ = ["barycentric", "dual_error", "error_squares", "mixed_error", "moments_error", "solution_error", "unit_dual"]


#: weight of the dual error in the geometric mean
DUAL = 1 / 3


def solution_error(mesh: CellMesh, hessian: Array, points: Array | None = None) -> float:
    """Predicted L2 error of a (multi)linear finite element solution, up to a constant that no move changes.

    `hessian` (dim, dim, n) at the vertices, at their positions `points` (n, dim) (default: the mesh's own).

    >>> mesh = CellMesh.single([[0, 0], [1, 0], [0, 1]], [[0, 1, 2]], "triangle")
    >>> solution_error(mesh, np.zeros((2, 2, 3)))
    0.0
    """
    return mixed_error(error_squares(mesh, hessian, points))


def error_squares(mesh: CellMesh, hessian: Array, points: Array | None = None) -> Array:
    """Squares (2,) of the interpolation error and of eta, which are sums over cells."""
    if all(b.kind.is_simplex for b in mesh.blocks):
        h, x = checked_hessians(mesh, hessian, points)
        return np.array([_on_simplices(b, x.T, h) for b in mesh.blocks]).sum(axis=0)
    direct = interpolation_error(mesh, hessian, points, cellwise=False)[0]
    return np.array([direct**2, dual_error(mesh, hessian, points) ** 2])


def mixed_error(squares: Array) -> float:
    """The geometric mean of both."""
    direct, dual = np.sqrt(squares)
    return float(direct ** (1 - DUAL) * dual**DUAL)


def dual_error(mesh: CellMesh, hessian: Array, points: Array | None = None) -> float:
    """eta of the module's text."""
    x = (mesh.points if points is None else points).T
    squares = [
        _on_simplices(b, x, hessian)[1] if b.kind.is_simplex else _by_quadrature(b, x, hessian) for b in mesh.blocks
    ]
    return float(np.sqrt(sum(squares)))


def _on_simplices(block: CellBlock, points: Array, hessian: Array) -> tuple[float, float]:
    """Squares of the interpolation error and of eta, for points (dim, n) and Hessians (dim, dim, n)."""
    d = len(points)
    points = np.ascontiguousarray(points)
    h = np.stack([hessian[a, b] for a in range(d) for b in range(a, d)])
    mean, plain = 1 / (4 * (d + 1) * (d + 2)), factorial(d) / factorial(d + 4) / (2 * (d + 1))
    direct = dual = 0.0
    for first in range(0, len(block), CHUNK):
        nodes = block.nodes[first : first + CHUNK].T
        x = points.take(nodes, axis=1)
        gradients, det = quality.barycentric(x)
        size = np.where(det == 0, 1.0, np.abs(det))
        cells = closed_form(x, gradients * size)
        q = cells.products(h.take(nodes, axis=1))
        direct += float(np.abs(det) @ cells.plain_squares(q))
        dual += float(np.sign(np.abs(det)) @ (cells.squares(q) * (cells.squares(cells.lengths) / size**3)))
    return plain * direct / factorial(d), mean * mean / (d + 1) * dual / factorial(d)


def _by_quadrature(block: CellBlock, points: Array, hessian: Array) -> float:
    d = len(points)
    upper = [hessian[a, b] for a in range(d) for b in range(a, d)]
    moments = second_moments(np.stack(upper)[None, :, block.nodes.T])
    return _dual_square(isoparametric(block.kind), points[:, block.nodes.T], moments)


def _dual_square(rule: Isoparametric, x: Array, moments: Array) -> float:
    """eta^2 of cells x (dim, v, m) with second moments (p, p, m) of their Hessians."""
    d = len(x)
    isotropic = np.array([float(a == b) for a in range(d) for b in range(a, d)])
    unit = np.broadcast_to(np.outer(isotropic, isotropic)[:, :, None], moments.shape)
    return float((rule.squares(x, moments) * rule.squares(x, unit) / rule.volumes(x)).sum())


def moments_error(mesh: CellMesh, moments: list[Array], points: Array) -> float:
    """`solution_error` where of each block's Hessians the second moments (p, p, m) in its cells are known."""
    direct = dual = 0.0
    for block, m in zip(mesh.blocks, moments, strict=True):
        rule, x = isoparametric(block.kind), points.T[:, block.nodes.T]
        direct += float(rule.plain_squares(x, m).sum())
        dual += _dual_square(rule, x, m)
    return float(np.sqrt(direct) ** (1 - DUAL) * np.sqrt(dual) ** DUAL)


def unit_dual(x: Array, gradients: Array) -> Array:
    """rho^2 (s,) of simplices x (dim, dim+1, s) with gradients of their barycentric coordinates."""
    d = len(x)
    return _mean_square(x, gradients, np.broadcast_to(np.eye(d)[:, :, None], (d, d, x.shape[2])))


def _mean_square(x: Array, gradients: Array, h: Array) -> Array:
    """Mean (s,) over the simplex of |grad(u - Iu)|^2 for u with Hessians h (dim, dim, s), as in `Alignment`."""
    d, v = gradients.shape[:2]
    edge = {}
    for i, j in combinations(range(v), 2):
        e = x[:, j] - x[:, i]
        edge[i, j] = edge[j, i] = sum(e[a] * sum(h[a, b] * e[b] for b in range(d)) for a in range(d))
    square = np.zeros(x.shape[2])
    for c in range(d):
        total = np.zeros_like(square)
        for i in range(v):
            part = sum(edge[i, j] * gradients[c, j] for j in range(v) if j != i)
            square += part * part
            total += part
        square += total * total
    return square / (4 * (d + 1) * (d + 2))


def barycentric(x: Array) -> tuple[Array, Array]:
    """Gradients (dim, dim+1, s) of the barycentric coordinates, and volumes (s,), of simplices (dim, dim+1, s)."""
    gradients, det = quality.barycentric(x)
    return gradients, np.abs(det) / factorial(len(x))
