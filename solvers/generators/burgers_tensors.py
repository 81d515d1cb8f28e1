"""The steps of `BurgersStep` on tensors of torch, with gradients in the field and in the viscosity."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from meshmove.geometry import CellMesh

if TYPE_CHECKING:
    from .burgers_step import BurgersStep

__all__ = ["BurgersTensors"]

Rate = Callable[[Tensor, Tensor], Tensor]

#: steps after which their length is chosen anew on grids
STRETCH = 20


class BurgersTensors:
    """The same steps to rounding, in double precision; how many of them make one is taken as given.

    Examples
    --------
    >>> from meshmove.solvers.generators.burgers import burgers_mesh
    >>> from meshmove.solvers.generators.burgers_step import BurgersStep
    >>> mesh, nu = burgers_mesh(8), torch.tensor(0.01, requires_grad=True)
    >>> u = torch.from_numpy(np.sin(np.pi * mesh.points).prod(axis=1))
    >>> after = BurgersStep().tensors(mesh, {"u": u}, 0.1, {"viscosity": nu})["u"]
    >>> slope, = torch.autograd.grad(after.sum(), nu)
    >>> bool(slope < 0)  # viscosity takes through the walls
    True
    """

    def __init__(self, step: BurgersStep) -> None:
        self._step = step

    def __call__(
        self, mesh: CellMesh, fields: Mapping[str, Tensor], dt: float, attributes: Mapping[str, Any]
    ) -> dict[str, Tensor]:
        """The field (n,) after the time dt."""
        u, nu = fields["u"].double(), _scalar(attributes["viscosity"])
        n, place = self._step.grid(mesh)
        if n:
            where = torch.from_numpy(place)
            after = self._on_grid(u.new_zeros(n * n).index_put((where,), u).view(n, n), dt, nu)
            return {"u": after.reshape(-1)[where]}
        kernel = self._step.edges(mesh)
        u = u * torch.from_numpy(kernel.inside.astype(float))
        count = kernel.steps(u.detach().numpy(), dt, float(nu.detach()), self._step.cfl)
        return {"u": _stepped(_rate_on_edges(kernel), u, dt / count, nu, count)}

    def describe(
        self, mesh: CellMesh, fields: Mapping[str, Tensor], dt: float, attributes: Mapping[str, Any]
    ) -> Tensor:
        """The numbers (n, 3) of `BurgersStep.describe`."""
        u, nu = fields["u"].double(), _scalar(attributes["viscosity"]).clamp_min(1e-12)
        size = torch.from_numpy(self._step.edges(mesh).size)
        return torch.stack([(u * size / nu).asinh(), (nu * dt / size**2).log(), (u * dt / size).asinh()], dim=1)

    def _on_grid(self, u: Tensor, time: float, nu: Tensor) -> Tensor:
        h, left = 1 / (len(u) - 1), time
        inner = torch.zeros_like(u)
        inner[1:-1, 1:-1] = 1
        u = u * inner

        def rate(v: Tensor, viscosity: Tensor) -> Tensor:
            along_x, along_y = _along_rows(torch.stack([v, v.T]), h, viscosity)
            return inner * (along_x + along_y.T)

        while left > 1e-12:
            fastest = 4 * float(u.detach().abs().max()) / h + 4 * float(nu.detach()) / h**2
            count = int(np.ceil(left * max(fastest / self._step.cfl, 1e-12)))
            dt, some = left / count, min(count, STRETCH)
            u, left = _stepped(rate, u, dt, nu, some), left - some * dt
        return u


def _scalar(value: Any) -> Tensor:
    return value.double() if isinstance(value, Tensor) else torch.tensor(float(value), dtype=torch.float64)


def _stepped(rate: Rate, u: Tensor, dt: float, nu: Tensor, count: int) -> Tensor:
    """After some steps of Shu and Osher's method."""
    for _ in range(count):
        stage = u + dt * rate(u, nu)
        for weight in (0.25, 2 / 3):
            stage = weight * (stage + dt * rate(stage, nu)) + (1 - weight) * u
        u = stage
    return u


def _along_rows(u: Tensor, h: float, nu: Tensor) -> Tensor:
    """-(f(u) - nu u_x)_x of fields (2, n, n), along the first index of each, as `burgers_frames` has it."""
    v = torch.cat([-u[:, 1:3].flip(1), u, -u[:, -3:-1].flip(1)], 1)
    d = v[:, 1:] - v[:, :-1]
    slope = 0.5 * _limited(d[:, :-1], d[:, 1:])
    left, right = v[:, 1:-2] + slope[:, :-1], v[:, 2:-1] - slope[:, 1:]
    fastest = torch.maximum(left.abs(), right.abs())
    flux = 0.25 * (left * left + right * right) + 0.5 * (left - right) * fastest - d[:, 1:-1] * (nu / h)
    return (flux[:, :-1] - flux[:, 1:]) / h


def _limited(a: Tensor, b: Tensor) -> Tensor:
    """Van Albada's mean of two slopes, 0 at extrema."""
    return (a * b).clamp_min(0) * (a + b) / (a * a + b * b + 1e-30)


def _rate_on_edges(kernel: Any) -> Rate:
    i, j = torch.from_numpy(kernel.ends)
    (ex, ey), normal = torch.from_numpy(kernel.along), torch.from_numpy(kernel.normal)
    walls = torch.from_numpy(kernel.walls)
    gradient, rates = (_sparse(m) for m in (kernel.gradient, kernel.rates))

    def rate(u: Tensor, nu: Tensor) -> Tensor:
        gx, gy = (gradient @ u[:, None]).view(2, -1)
        left, right = u[i], u[j]
        step = right - left
        behind, beyond = (torch.where(walls[k], step, gx[e] * ex + gy[e] * ey - step) for k, e in enumerate((i, j)))
        left, right = left + 0.5 * _limited(behind, step), right - 0.5 * _limited(beyond, step)
        fastest = torch.maximum(left.abs(), right.abs())
        flux = 0.25 * normal * (left**2 + right**2) - 0.5 * normal.abs() * fastest * (right - left)
        return (rates @ torch.cat([flux, nu * u])[:, None])[:, 0]

    return rate


def _sparse(matrix: Any) -> Tensor:
    coo = matrix.tocoo()
    ids = torch.from_numpy(np.stack([coo.row, coo.col]).astype(np.int64))
    return torch.sparse_coo_tensor(ids, torch.from_numpy(coo.data), coo.shape, check_invariants=False).coalesce()
