"""The mesh's own Laplacian: stiffness matrix, and fast (approximate) inverses of it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csc_matrix, csr_matrix, diags, identity, kron
from scipy.sparse.linalg import cg, splu

from meshmove.geometry import CellMesh
from meshmove.geometry.arrays import Array
from meshmove.geometry.quality import barycentric, simplex_volumes

__all__ = [
    "Inverse",
    "Inverses",
    "assemble",
    "corner_weights",
    "factorised",
    "inverse",
    "per_component",
    "simplex_gradients",
    "stiffness",
]


#: unknowns beyond which multigrid beats a sparse factorisation (time and memory), by dimension
DIRECT = {2: 150_000, 3: 6_000}


def corner_weights(mesh: CellMesh) -> Array:
    """Weight (s,) of every corner simplex, such that those of a (parallel) cell add up to its volume.

    The corners of a quadrilateral cover it twice, those of a hexahedron 4/3 times.
    """
    cover = [np.abs(simplex_volumes(b.kind.reference, b.kind.corners)).sum() for b in mesh.blocks]
    weight = [b.kind.quadrature(2)[1].sum() / c for b, c in zip(mesh.blocks, cover, strict=True)]
    return np.concatenate([np.full(len(b) * len(b.kind.corners), w) for b, w in zip(mesh.blocks, weight, strict=True)])


def simplex_gradients(points: Array, simplices: NDArray[np.int64]) -> Array:
    """Gradients (dim+1, dim, s) of the barycentric coordinates."""
    x = np.ascontiguousarray(points.T).take(simplices.T, axis=1)
    return barycentric(x)[0].swapaxes(0, 1)


def stiffness(mesh: CellMesh, weight: Array | float = 1.0) -> tuple[csr_matrix, Array]:
    """Stiffness matrix (n, n) and lumped mass (n,), both summed over the corner simplices.

    `weight` (s,) is the coefficient of the Laplacian on each of them.
    """
    simplices, _ = mesh.corners
    grads = simplex_gradients(mesh.points, simplices)
    volume = np.abs(simplex_volumes(mesh.points, simplices)) * weight
    matrix = assemble(simplices.T, np.einsum("ics,jcs->ijs", grads, grads * volume), mesh.n_points)
    v = mesh.dim + 1
    return matrix, np.bincount(simplices.T.ravel(), np.tile(volume / v, v), mesh.n_points)


def assemble(nodes: NDArray[np.int64], local: Array, n: int) -> csr_matrix:
    """Sum local matrices (v, v, s) of simplices with vertices (v, s) into (n, n)."""
    rows, cols = np.broadcast_to(nodes[:, None], local.shape), np.broadcast_to(nodes[None], local.shape)
    return coo_matrix((local.ravel(), (rows.ravel(), cols.ravel())), shape=(n, n)).tocsr()


def per_component(matrix: csr_matrix, dim: int) -> csr_matrix:
    """The matrix (n dim, n dim) that applies `matrix` to each component of a vector field (n, dim)."""
    return kron(matrix, identity(dim), format="csr")


@dataclass(frozen=True)
class Inverse:
    """Inverse of a Laplacian on its free unknowns, zero elsewhere.

    Calling it costs little and is symmetric and linear, as a preconditioner must be: a solve with the factors of a
    small system, a V-cycle for a large one. `solve` is accurate to about a percent at least.
    """

    free: NDArray[np.int64] | None
    once: Callable[[Array], Array]
    accurate: Callable[[Array], Array]

    def __call__(self, rhs: Array) -> Array:
        return self._restricted(self.once, rhs)

    def solve(self, rhs: Array) -> Array:
        return self._restricted(self.accurate, rhs)

    def _restricted(self, solver: Callable[[Array], Array], rhs: Array) -> Array:
        if self.free is None:
            return solver(rhs)
        out = np.zeros_like(rhs)
        out[self.free] = solver(rhs[self.free])
        return out


class Inverses(Protocol):
    """What makes an `Inverse` of a Laplacian, as `inverse` does.

    In pieces, of a matrix of dim unknowns a node, too: those of node k are k dim to k dim + dim - 1.
    """

    def __call__(self, matrix: csr_matrix, mass: Array, dim: int, free: NDArray | None = None) -> Inverse: ...


def factorised(system: csc_matrix) -> Callable[[Array], Array]:
    """Solves with a symmetric positive definite matrix, by a sparse factorisation."""
    return splu(system, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}).solve


def inverse(matrix: csr_matrix, mass: Array, dim: int, free: NDArray | None = None) -> Inverse:
    """Inverse of a Laplacian restricted to `free` unknowns (mask or ids).

    A sparse LU factorisation for small systems, smoothed-aggregation multigrid for large ones.
    A tiny multiple of the mass keeps pure Neumann problems solvable.
    """
    shift = 1e-9 * matrix.diagonal().sum() / mass.sum()
    system = (matrix + diags(shift * mass)).tocsr()
    ids = None
    if free is not None:
        ids = np.flatnonzero(free) if np.asarray(free).dtype == bool else np.asarray(free)
        system = system[ids][:, ids]
    if system.shape[0] <= DIRECT[dim]:
        solve = factorised(system.tocsc())
        return Inverse(ids, solve, solve)
    import pyamg

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sweep = ("gauss_seidel", {"sweep": "symmetric"})  # one-way sweeps made L-BFGS and the relaxation stall
        levels = pyamg.smoothed_aggregation_solver(system, max_coarse=500, presmoother=sweep, postsmoother=sweep)
    cycle = levels.aspreconditioner(cycle="V").matvec
    return Inverse(ids, cycle, lambda rhs: cg(system, rhs, rtol=1e-2, maxiter=8, M=levels.aspreconditioner())[0])
