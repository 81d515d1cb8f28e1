"""A geometry with its training fields: the published monitor, and the points that the loss is sampled at."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch import Tensor

from meshmove.geometry import CellMesh, PointLocator, cell_volumes, facets_of
from meshmove.monitors import Recovery

__all__ = ["Case", "published_monitor"]

Array = NDArray[np.float64]


def published_monitor(mesh: CellMesh, fields: NDArray, recovery: Recovery | None = None) -> Array:
    """m = 1 + |grad u| / (0.01 mean |grad u|) at the nodes (n, k) of fields (n, k), the mean over the domain.

    Its own mean is 101 whatever the field: in effect the gradient's norm is equidistributed.
    """
    recovery = Recovery(mesh) if recovery is None else recovery
    slope = np.linalg.norm(recovery.gradient(np.asarray(fields, float)), axis=0)
    mean = _means(mesh, slope)
    return 1 + slope / np.maximum(0.01 * mean, 1e-300)


def _means(mesh: CellMesh, values: Array) -> Array:
    """Means over the domain (k,) of piecewise linear fields (n, k) on triangles."""
    volume = np.abs(cell_volumes(mesh))
    return volume @ values[mesh.blocks[0].nodes].mean(axis=1) / volume.sum()


class Case:
    """Fields (f, n) on a mesh of triangles, in coordinates scaled to the unit box, the longer side 1.

    The monitor at any point comes from a raster, since it must be cheap and differentiable in the point. Interior
    points are drawn with probability proportional to the monitor, boundary points by length.
    """

    def __init__(self, mesh: CellMesh, fields: NDArray, resolution: int = 96) -> None:
        self.mesh = mesh
        self.low, self.scale = mesh.points.min(axis=0), float(np.ptp(mesh.points, axis=0).max())
        self.points = (mesh.points - self.low) / self.scale
        self.fields = torch.tensor(np.asarray(fields, np.float32))
        self.spread = float(self.fields.std())
        monitor = published_monitor(mesh, np.asarray(fields, float).T)
        self.theta = torch.tensor(_means(mesh, monitor), dtype=torch.float32)
        self._rasters(monitor, resolution)
        self._cells = mesh.blocks[0].nodes
        volume = np.abs(cell_volumes(mesh))
        chance = np.cumsum(monitor[self._cells].mean(axis=1) * volume[:, None], axis=0)
        self._chance = np.ascontiguousarray((chance / chance[-1]).T)
        self._sides()

    def _rasters(self, monitor: Array, resolution: int) -> None:
        size = np.ptp(self.points, axis=0)
        counts = np.maximum(2, np.round(resolution * size).astype(int))
        axes = [np.linspace(0, s, c) for s, c in zip(size, counts, strict=True)]
        x = np.stack(np.meshgrid(*axes, indexing="ij")).reshape(2, -1)
        where = PointLocator(self.mesh).find(x * self.scale + self.low[:, None])
        rows = np.repeat(np.arange(x.shape[1]), where.nodes.shape[1])
        at = csr_matrix((where.weights.ravel(), (rows, where.nodes.ravel())), (x.shape[1], self.mesh.n_points))
        raster = (at @ monitor).T.reshape(-1, 1, *counts)
        self._raster = torch.tensor(raster, dtype=torch.float32)
        self._size = torch.tensor(size, dtype=torch.float32)

    def _sides(self) -> None:
        facets = facets_of(self.mesh)
        outer = facets.exterior
        a, b = (self.points[facets.nodes[outer][:, k]] for k in (0, 1))
        inside = self.points[self._cells[facets.cells[outer, 0]]].mean(axis=1)
        along = b - a
        length = np.linalg.norm(along, axis=1)
        normal = np.stack([along[:, 1], -along[:, 0]], axis=1) / length[:, None]
        normal *= np.sign((((a + b) / 2 - inside) * normal).sum(axis=1, keepdims=True))
        self._boundary = a, along, normal, np.cumsum(length)

    def inputs(self, which: NDArray) -> Tensor:
        """Fields (b, n) as the branch reads them: divided by their standard deviation over all frames."""
        return self.fields[which] / self.spread

    def monitor(self, which: NDArray) -> Callable[[Tensor], Tensor]:
        """The monitors of some frames, at points (b, p, 2) -> (b, p)."""
        raster = self._raster[which]

        def m(x: Tensor) -> Tensor:
            grid = (2 * x / self._size - 1).flip(-1)[:, None]
            return torch.nn.functional.grid_sample(
                raster, grid, mode="bilinear", padding_mode="border", align_corners=True
            )[:, 0, 0]

        return m

    def interior(self, which: NDArray, count: int, rng: np.random.Generator) -> Tensor:
        """Points (b, count, 2) with probability proportional to each frame's monitor."""
        pick = rng.random((len(which), count))
        cells = np.stack([np.searchsorted(self._chance[f], p) for f, p in zip(which, pick, strict=True)])
        corners = self.points[self._cells[np.minimum(cells, len(self._cells) - 1)]]
        s, t = rng.random((2, len(which), count, 1))
        s, t = np.where(s + t > 1, (1 - s, 1 - t), (s, t))
        x = corners[:, :, 0] + s * (corners[:, :, 1] - corners[:, :, 0]) + t * (corners[:, :, 2] - corners[:, :, 0])
        return torch.tensor(x, dtype=torch.float32)

    def boundary(self, batch: int, count: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Points and outward normals (batch, count, 2), uniformly by length."""
        a, along, normal, length = self._boundary
        k = np.searchsorted(length, rng.random((batch, count)) * length[-1]).clip(0, len(a) - 1)
        x = a[k] + rng.random((batch, count, 1)) * along[k]
        return torch.tensor(x, dtype=torch.float32), torch.tensor(normal[k], dtype=torch.float32)
