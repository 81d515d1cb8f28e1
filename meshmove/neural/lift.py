"""The global path: solves with the Gauss-Newton matrix that autograd sees through.

Equidistribution is elliptic, while messages travel one edge a layer; a solve carries them across the mesh.
The matrix is factorised, on a processor as a sparse one, on an accelerator as dense ones of all meshes at once; where
it is large, conjugate gradients take its place.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import block_diag, coo_matrix, csr_matrix, diags
from scipy.sparse.linalg import cg, splu
from torch import Tensor

from meshmove.movers.laplacian import assemble, per_component

from .batch import MeshBatch
from .dense import DENSE, dense_solver
from .energy import Linearised

__all__ = ["Lift", "conjugate_gradients", "gauss_newton_lift", "inverse_on"]

#: a tiny multiple of the diagonal, entry by entry, which keeps pure Neumann problems solvable
SHIFT = 1e-9
#: nodes of a mesh beyond which a factorisation costs more than conjugate gradients, by dimension
FACTORISE = {2: 100_000, 3: 2_000}
#: where those stop
RTOL, MOST = 1e-3, 400


class Lift:
    """z = A^-1 g on the admissible displacements, for a fixed symmetric A; g and z are (n, d).

    `operator`, where given, applies A differentiably: then z depends on all that A depends on. The trick is
    z = z0 + A^-1 (g - A z0) with z0 taken as constant: nothing changes but the (first) derivative.
    """

    def __init__(self, solve: Callable[[Tensor], Tensor], operator: Callable[[Tensor], Tensor] | None = None) -> None:
        self._solve, self._operator = solve, operator

    def __call__(self, forces: Tensor) -> Tensor:
        if not (torch.is_grad_enabled() and (forces.requires_grad or self._operator is not None)):
            return self._solve(forces.detach())
        if self._operator is None:
            return _Solve.apply(forces, self._solve)
        once = self._solve(forces.detach())
        return once + _Nothing.apply(forces - self._operator(once), self._solve)


class _Solve(torch.autograd.Function):
    """A symmetric solve; its backward pass is the same solve."""

    @staticmethod
    def forward(ctx, forces: Tensor, solve: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.solve = solve
        return solve(forces)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        return _Solve.apply(gradient, ctx.solve), None


class _Nothing(torch.autograd.Function):
    """Zero, for a residual that is zero up to rounding, with the backward pass of a symmetric solve."""

    @staticmethod
    def forward(ctx, residual: Tensor, solve: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.solve = solve
        return torch.zeros_like(residual)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient: Tensor):
        return ctx.solve(gradient), None


def inverse_on(matrix: csr_matrix, basis: csr_matrix, factorise: bool) -> Callable[[Tensor], Tensor]:
    """Solver on the columns of `basis`, which are the admissible directions."""
    reduced = (basis.T @ matrix @ basis).tocsc()
    diagonal = reduced.diagonal()
    if not (np.isfinite(reduced.data).all() and (diagonal > 0).all()):  # advice astray: no step, and the guard sees it
        return lambda forces: torch.full_like(forces, torch.nan)
    reduced = csr_matrix(reduced + diags(SHIFT * diagonal))
    if factorise:
        options = {"SymmetricMode": True}
        invert = splu(reduced.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=options).solve
    else:
        jacobi = diags(1 / reduced.diagonal())

        def invert(rhs: NDArray[np.float64]) -> NDArray[np.float64]:
            return cg(reduced, rhs, rtol=RTOL, maxiter=MOST, M=jacobi)[0]

    def solve(forces: Tensor) -> Tensor:
        g = forces.detach().cpu().double().numpy()
        z = basis @ invert(basis.T @ g.ravel())
        return torch.from_numpy(z.reshape(g.shape)).to(forces)

    return solve


def _basis(batch: MeshBatch, points: Tensor) -> csr_matrix:
    at = points.detach().cpu().double().numpy()
    parts = []
    for slide, a, b in zip(batch.slides, batch.first[:-1], batch.first[1:], strict=True):
        slide.refresh(at[a:b])
        parts.append(slide.basis())
    return block_diag(parts, format="csr")


def gauss_newton_lift(batch: MeshBatch, model: Linearised, points: Tensor) -> Lift:
    """A = B^T |K0| w B + eps L at `points`."""
    operator = model if model.values.requires_grad or model.weight.requires_grad or model.stiff.requires_grad else None
    largest = max(b - a for a, b in zip(batch.first[:-1], batch.first[1:], strict=True))
    if batch.points.is_cuda and largest * batch.dim <= DENSE:
        return Lift(dense_solver(batch, model, points, SHIFT), operator)
    if batch.points.is_cuda:
        diagonal = (model.values.detach() ** 2 * model.weight.detach()[batch.owner][:, None, None]).sum(2, keepdim=True)
        diagonal = diagonal / batch.dim + (model.gradients**2).sum(2, keepdim=True) * model.stiff.reshape(-1, 1, 1)

        def apply(step: Tensor) -> Tensor:
            with torch.no_grad():
                return model(step)

        return Lift(conjugate_gradients(batch, points, apply, batch.scatter(diagonal.detach())), operator)
    n, d = points.shape
    to_numpy = lambda t: t.detach().double().numpy()  # noqa: E731
    values, grads, nodes = to_numpy(model.values), to_numpy(model.gradients), batch.simplices.numpy()
    rows = np.repeat(batch.owner.numpy(), (d + 1) * d)
    columns = (nodes[:, :, None] * d + np.arange(d)).ravel()
    b = coo_matrix((values.ravel(), (rows, columns)), shape=(len(batch.volume), n * d)).tocsr()
    stiff = np.broadcast_to(to_numpy(model.stiff), len(nodes))
    local = np.einsum("sic,sjc,s->ijs", grads, grads, stiff, optimize=True)
    matrix = b.T @ diags(to_numpy(model.weight)) @ b + per_component(assemble(nodes.T, local, n), d)
    return Lift(inverse_on(matrix, _basis(batch, points), largest <= FACTORISE[d]), operator)


def conjugate_gradients(
    batch: MeshBatch, points: Tensor, apply: Callable[[Tensor], Tensor], diagonal: Tensor, rtol: float = RTOL
) -> Callable[[Tensor], Tensor]:
    """Jacobi-preconditioned conjugate gradients on the projected system, every mesh with its own step lengths."""
    projector = batch.projector(points)
    project = lambda v: torch.einsum("nij,nj->ni", projector, v)  # noqa: E731
    scale = 1 / diagonal.clamp_min(1e-30)
    graph, meshes = batch.node_graph, len(batch)

    def dot(a: Tensor, b: Tensor) -> Tensor:
        return a.new_zeros(meshes).index_add(0, graph, (a * b).sum(1))

    def solve(forces: Tensor) -> Tensor:
        residual = project(forces)
        z = torch.zeros_like(residual)
        y = project(scale * residual)
        direction, rho = y, dot(residual, y)
        stop = rtol**2 * rho
        for k in range(MOST):
            image = project(apply(direction))
            length = rho / dot(direction, image).clamp_min(1e-30)
            z = z + length[graph, None] * direction
            residual = residual - length[graph, None] * image
            y = project(scale * residual)
            new = dot(residual, y)
            if k % 20 == 19 and bool((new <= stop).all()):  # asking is a synchronisation
                break
            direction = y + (new / rho.clamp_min(1e-30))[graph, None] * direction
            rho = new
        return z

    return solve
