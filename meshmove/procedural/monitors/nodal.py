"""Monitors from nodal values: piecewise linear on the original meshes, differentiable in positions and in values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from meshmove.geometry import CellMesh, PointLocator
from meshmove.geometry.arrays import Array
from meshmove.monitors import Monitor, Recovery

__all__ = ["NodalMonitors", "recovered_monitor"]

Rng = np.random.Generator

#: distance between meshes, each in a box of diagonal one, that one locator searches together
_APART = 4.0


class NodalMonitors:
    """Piecewise linear interpolants of positive values at the nodes of B meshes.

    The call has the signature of `MonitorBatch`: points x (n, dim) and their meshes graph (n,) to m (n,). The cell of
    a point is looked up on the CPU, the interpolation is done where the values are.

    Parameters
    ----------
    meshes
        Of one dimension, cells of any kind (split into simplices).
    values
        For each mesh one value a vertex, (n_i,): arrays, or tensors of which m is differentiable.

    Raises
    ------
    ValueError
        No meshes, of different dimensions, or values of another length.

    >>> square = CellMesh.single([[0, 0], [1, 0], [1, 1], [0, 1]], [[0, 1, 2], [0, 2, 3]], "triangle")
    >>> m = NodalMonitors([square], [np.array([1.0, 2.0, 3.0, 2.0])])
    >>> m(torch.tensor([[0.5, 0.25]]), torch.tensor([0]))
    tensor([1.7500])
    """

    def __init__(self, meshes: Sequence[CellMesh], values: Sequence[Array | Tensor]) -> None:
        if not meshes or len({m.dim for m in meshes}) > 1:
            raise ValueError(f"Expected meshes of one dimension (got {sorted({m.dim for m in meshes})})")
        sizes, lengths = [m.n_points for m in meshes], [len(v) for v in values]
        if sizes != lengths:
            raise ValueError(f"Expected one value a vertex, arrays of lengths {sizes} (got {lengths})")
        d = meshes[0].dim
        box = [(m.points.min(axis=0), m.points.max(axis=0)) for m in meshes]
        self._centre = np.stack([0.5 * (low + high) for low, high in box])
        self._scale = np.array([m.extent for m in meshes])
        first = np.cumsum([0, *sizes])
        points = np.concatenate([(m.points - c) / s for m, c, s in zip(meshes, self._centre, self._scale, strict=True)])
        parts = [m.simplicial().corners[0] + start for m, start in zip(meshes, first, strict=False)]
        cells = np.concatenate(parts)
        edges = points[cells[:, 1:]] - points[cells[:, :1]]
        self._inverse = torch.from_numpy(np.linalg.inv(edges).transpose(0, 2, 1).copy())
        self._origin = torch.from_numpy(points[cells[:, 0]])
        self._cells = torch.from_numpy(cells)
        self._boxes = torch.from_numpy(np.column_stack([self._centre, self._scale]))
        self.values = torch.cat([torch.as_tensor(v) for v in values])
        apart = points.copy()
        apart[:, 0] += _APART * np.repeat(np.arange(len(meshes)), sizes)
        self._locator = PointLocator(CellMesh.single(apart, cells, "triangle" if d == 2 else "tetra"))
        self._guess: dict[int, NDArray[np.int64]] = {}
        self._count = len(meshes)

    def __len__(self) -> int:
        return self._count

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> NodalMonitors:
        """The same monitors elsewhere, in another precision."""
        if (device is None or torch.device(device) == self.values.device) and dtype in (None, self.values.dtype):
            return self
        new = object.__new__(NodalMonitors)
        new.__dict__ = dict(self.__dict__)
        for name in ("_inverse", "_origin", "_boxes", "values"):
            setattr(new, name, getattr(self, name).to(device, dtype))
        new._cells = self._cells.to(device)
        return new

    def __call__(self, x: Tensor, graph: Tensor) -> Tensor:
        """m (n,) at x (n, dim), linear in each cell; beyond the boundary the barycentric weights are cut at zero."""
        work = x.dtype if x.dtype in (torch.float32, torch.float64) else torch.float32
        here = self.to(x.device, work)
        cell = torch.from_numpy(self._find(x, graph)).to(x.device)
        box = here._boxes[graph]
        y = (x.to(work) - box[:, :-1]) / box[:, -1:]
        tail = ((y - here._origin[cell])[:, None, :] * here._inverse[cell]).sum(2)
        weights = torch.cat([1 - tail.sum(1, keepdim=True), tail], 1)
        cut = weights.clamp_min(0)
        beyond = weights.amin(1, keepdim=True) < -1e-4
        weights = torch.where(beyond, cut / cut.sum(1, keepdim=True), weights)
        return (weights * here.values[here._cells[cell]]).sum(1).to(x.dtype)

    def _find(self, x: Tensor, graph: Tensor) -> NDArray[np.int64]:
        owner = graph.detach().cpu().numpy()
        points = (x.detach().cpu().double().numpy() - self._centre[owner]) / self._scale[owner, None]
        points[:, 0] += _APART * owner
        found = self._locator.find(points.T, guess=self._guess.get(len(points))).cells
        self._guess[len(points)] = found
        return found


def recovered_monitor(rng: Rng, mesh: CellMesh, field: Array) -> tuple[Array, str]:
    """Values (n,) of one of our own monitors of a nodal field (n,), of random intensity, and its kind."""
    kind = str(rng.choice(["hessian", "gradient", "curvature"], p=[0.5, 0.35, 0.15]))
    monitor = Monitor(
        kind,
        intensity=float(np.exp(rng.uniform(np.log(0.5), np.log(20)))) ** (2 if kind == "gradient" else 1),
        exponent=float(rng.uniform(0.4, 1)) if kind == "hessian" and rng.random() < 0.5 else None,
        smoothing=int(rng.integers(0, 5)),
    )
    # a little noise, as a solver leaves it
    noisy = field + 1e-4 * np.ptp(field) * rng.standard_normal(len(field))
    m = monitor.values(mesh, monitor.indicator(Recovery(mesh), noisy))
    return np.clip(m / m.min(), 1, 200.0), kind
