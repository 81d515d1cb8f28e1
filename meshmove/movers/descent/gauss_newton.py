"""The Gauss-Newton matrix of the functional E: the preconditioner that finishes a move in a few dozen steps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix, diags

from meshmove.geometry.arrays import Array
from meshmove.geometry.sliding import Slide
from meshmove.movers.laplacian import factorised, per_component
from meshmove.movers.objectives.equidistribution import Functional

__all__ = ["gauss_newton"]


def gauss_newton(functional: Functional, slide: Slide, points: Array) -> Callable[[Array], Array]:
    r"""Solver for A = B^T |K0| B + eps L on the admissible steps at `points`.

    B (n_cells, n dim) is the derivative of log q_K and L the Laplacian of each component on the moved mesh with
    weights |K0|. The plain Laplacian is a poor model of E where displacements have little divergence, since only
    the small distortion term resists those: it needs several times as many steps.
    """
    rows, columns, values, laplacian = functional.linearised(points)
    n, d = points.shape
    b = coo_matrix((values, (rows, columns)), shape=(functional.n_cells, n * d)).tocsr()
    matrix = b.T @ diags(functional.volume) @ b + per_component(laplacian, d)
    if functional.limit is not None:
        matrix = matrix + functional.limit.gauss_newton(points)
    slide.refresh(points)
    basis = slide.basis()
    transposed = basis.T.tocsr()
    reduced = (transposed @ matrix @ basis).tocsc()
    shift = 1e-10 * reduced.diagonal().max(initial=1e-300)
    solve = factorised(csr_matrix(reduced + diags(np.full(reduced.shape[0], shift))).tocsc())
    if functional.kept is not None:
        solve = _and_ranks(solve, transposed @ functional.kept.directions(points))
    return lambda force: (basis @ solve(transposed @ force.ravel())).reshape(n, d)


def _and_ranks(solve: Callable[[Array], Array], columns: Array) -> Callable[[Array], Array]:
    """Solver for A + G G^T, G the few columns (k, r), from one for A (Sherman, Morrison & Woodbury).

    G G^T is dense: each price on a volume couples all nodes around it.
    """
    spread = solve(columns)
    small = np.linalg.inv(np.eye(columns.shape[1]) + columns.T @ spread)

    def solver(force: Array) -> Array:
        step = solve(force)
        return step - spread @ (small @ (columns.T @ step))

    return solver
