"""From the inverse map to the move: x <- x o y^-1."""

from __future__ import annotations

import torch
from torch import Tensor

from meshmove.geometry import PointLocator

from .batch import MeshBatch
from .energy import determinant

__all__ = ["compose"]


def compose(batch: MeshBatch, image: Tensor, points: Tensor) -> Tensor:
    """Where the reference nodes lie in the mesh with nodes at `image` (n, d), carried to the mesh at `points`.

    Node i of the result is sum_k lambda_k points_k, where lambda are the barycentric coordinates of the reference
    node i in the image cell that holds it: differentiable with respect to both meshes within cells.
    """
    found = []
    at = image.detach().cpu().double().numpy()
    home = batch.points.detach().cpu().double().numpy()
    for mesh, a, b in zip(batch.meshes, batch.first[:-1], batch.first[1:], strict=True):
        moved = mesh.moved(at[a:b]).simplicial()
        cells = PointLocator(moved).find(home[a:b].T).cells
        found.append(torch.from_numpy(moved.corners[0][cells] + a))
    nodes = torch.cat(found).to(batch.points.device)  # (n, d+1)
    y = image[nodes]
    edges = (y[:, 1:] - y[:, :1]).transpose(1, 2)
    # Cramer's rule: on a sliver the coordinates may be large, and are then kept within the cell
    det = determinant(edges)
    det = torch.where(det.abs() < 1e-14, torch.full_like(det, 1e-14), det)
    offset = batch.points - y[:, 0]
    parts = []
    for k in range(batch.dim):
        replaced = edges.clone()
        replaced[:, :, k] = offset
        parts.append(determinant(replaced) / det)
    rest = torch.stack(parts, 1)
    weights = torch.cat([1 - rest.sum(1, keepdim=True), rest], 1)
    weights = weights.clamp(0, 1)
    weights = weights / weights.sum(1, keepdim=True)
    return batch.retract((weights[:, :, None] * points[nodes]).sum(1))
