"""The Laplacian lift that all rounds share: smooth displacements of least energy that heed the boundary.

With the projector P onto the admissible directions of the nodes it is the inverse of P (L x I) P on its range, L the
Laplacian of the mesh at rest: sides of any direction are heeded, not only those along the axes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from meshmove.geometry import CellMesh, Slide
from meshmove.geometry.arrays import Array
from meshmove.movers.laplacian import inverse, per_component, stiffness
from meshmove.movers.lift import Lift as MoversLift

__all__ = ["DenseLift", "sparse_lift"]

ArrayLift = Callable[[Array], Array]

#: a tiny multiple of the diagonal, which keeps meshes without a boundary condition solvable
SHIFT = 1e-6
#: numbers (of eight bytes) of the dense systems that are inverted together
ROOM = 2**28


def sparse_lift(mesh: CellMesh, slide: Slide, points: Array, workspace: dict[Any, Any] | None = None) -> ArrayLift:
    """For arrays on one mesh, its boundary's tangents taken at `points` (n, dim): sparse factors, or multigrid.

    Where no side is oblique or curved, components do not depend on each other: then the inverse is that of the movers,
    which `workspace` may have.
    """
    if _apart(slide):
        known = {} if workspace is None else workspace
        if "lift" not in known:
            known["lift"] = MoversLift(mesh, slide)
        return known["lift"].solve
    matrix, mass = stiffness(mesh)
    slide.refresh(points)
    basis = slide.basis()
    reduced = (basis.T @ per_component(matrix, mesh.dim) @ basis).tocsr()
    weights = basis.multiply(basis).T @ np.repeat(mass, mesh.dim)
    solver = inverse(reduced, weights, mesh.dim) if reduced.shape[0] else None

    def lift(forces: Array) -> Array:
        if solver is None:
            return np.zeros_like(forces)
        return (basis @ solver.solve(basis.T @ forces.ravel())).reshape(-1, mesh.dim)

    return lift


def _apart(slide: Slide) -> bool:
    """Whether a force along one of the frame's directions displaces nodes along that one only."""
    frame = slide.frame
    free = ~slide.locked(frame)
    return bool(free.any(axis=0).all()) and not len(slide.tied[0]) and bool((slide.held_back(frame)[free] < 1e-9).all())


class DenseLift(nn.Module):
    """For many small meshes at once, as dense inverses: exact, differentiable, and one product for all.

    Parameters
    ----------
    meshes, projectors
        With the projectors (n_i, dim, dim) of their nodes.
    """

    place: Tensor
    inverse: Tensor

    def __init__(
        self,
        meshes: Sequence[CellMesh],
        projectors: Sequence[Array],
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        width, dim = max(m.n_points for m in meshes), meshes[0].dim
        systems = torch.zeros(len(meshes), width, width, dtype=torch.float64, device=device)
        projector = torch.zeros(len(meshes), width, dim, dim, dtype=torch.float64, device=device)
        place = []
        for k, (mesh, own) in enumerate(zip(meshes, projectors, strict=True)):
            n = mesh.n_points
            systems[k, :n, :n] = torch.from_numpy(stiffness(mesh)[0].toarray()).to(device)
            projector[k, :n] = torch.from_numpy(own).to(device)
            place.append(k * width + np.arange(n))
        each = max(1, ROOM // (dim * width) ** 2)
        parts = zip(systems.split(each), projector.split(each), strict=True)
        found = torch.cat([_inverses(*part).to(dtype) for part in parts])
        self.register_buffer("inverse", found, persistent=False)
        self.register_buffer("place", torch.from_numpy(np.concatenate(place)).to(device), persistent=False)

    def forward(self, forces: Tensor) -> Tensor:
        b, size, dim = len(self.inverse), self.inverse.shape[1], forces.shape[1]
        padded = forces.new_zeros(b * size // dim, dim).index_copy(0, self.place, forces).view(b, size, 1)
        return (self.inverse.to(forces) @ padded).view(-1, dim).index_select(0, self.place)


def _inverses(systems: Tensor, projector: Tensor) -> Tensor:
    """(B, n dim, n dim), of P (L x I) P + (1 - P) on the range of P, zero elsewhere, for L (B, n, n) and P (B, n, dim,
    dim)."""
    (b, n, _), d = systems.shape, projector.shape[2]
    systems = systems + torch.diag_embed(SHIFT * systems.diagonal(dim1=1, dim2=2))
    blocks = torch.einsum("bmij,bmn,bnjk->bmink", projector, systems, projector)
    rest = torch.eye(d).to(projector) - projector
    node = torch.arange(n, device=systems.device)
    blocks[:, node, :, node, :] += rest.transpose(0, 1)
    whole = torch.linalg.inv(blocks.reshape(b, d * n, d * n)).view(b, n, d, n, d)
    return torch.einsum("bmij,bmjnk->bmink", projector, whole).reshape(b, d * n, d * n)
