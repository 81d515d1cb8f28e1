r"""Procedural monitors of a batch of meshes, as one differentiable function of positions.

With an indicator s of a random field u (its value, the norm of its gradient, or that of its Hessian; see `terms`)

    m = (1 + a ((s / s0)^2 + floor^2)^(p/2))^r,

s0 the mean (of values: the maximum) of s over the mesh's nodes. r = 1/2 and p = 2 is arc length. The intensity a is
set so that the contrast max m / min m over the nodes is log-uniform from 3 to 100, within what keeps the imbalance
at rest between 0.35 and 2.2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from meshmove.geometry import CellMesh
from meshmove.geometry.arrays import Array

from .analytic_terms import evaluate
from .nodal import NodalMonitors, recovered_monitor
from .random_terms import Frame, Recipe, random_recipe

__all__ = ["MonitorBatch"]

Rng = np.random.Generator

CONTRAST, IMBALANCE = (3.0, 100.0), (0.35, 2.2)
#: of the indicator, relative: keeps powers smooth where it vanishes
FLOOR = 1e-2
_INTENSITIES = np.geomspace(1e-2, 1e3, 41)


@dataclass(frozen=True, eq=False)
class MonitorBatch:
    """One positive monitor for each of B meshes; call it with points x (n, dim) and their meshes graph (n,).

    Made by `sample`. All numbers are tensors stacked over the meshes, and padded: evaluation loops over terms and
    orders, never over meshes.

    Parameters
    ----------
    centre, scale
        Of each mesh's bounding box, (B, dim) and (B,).
    table, count
        Terms (B, k, columns), and how many of them are in use (B,).
    order
        0: of the value, 1: gradient, 2: Hessian, 3: of nodal values; (B,).
    constants
        Columns offset, s0, a, p, r; (B, 5).
    kinds
        The recipe of each monitor.
    nodal
        The monitors of order 3, in order.

    >>> rng = np.random.default_rng(0)
    >>> from meshmove.procedural import random_mesh
    >>> meshes = [random_mesh(rng, 2) for _ in range(3)]
    >>> batch = MonitorBatch.sample(rng, meshes, nodal=0)
    >>> x = torch.from_numpy(meshes[2].points)
    >>> bool((batch(x, torch.full((len(x),), 2)) > 0).all())
    True
    """

    centre: Tensor
    scale: Tensor
    table: Tensor
    count: Tensor
    order: Tensor
    constants: Tensor
    kinds: tuple[str, ...]
    nodal: NodalMonitors | None = None

    @classmethod
    def sample(
        cls, rng: Rng, meshes: Sequence[CellMesh], *, nodal: float = 0.1, kinds: Sequence[str] | None = None
    ) -> MonitorBatch:
        """A random monitor for each mesh; all of one dimension.

        Parameters
        ----------
        nodal
            Share of monitors that are made of nodal values by our own recovery.
        kinds
            Names out of `recipes.RECIPES` to choose from; None: all, in their shares.

        Raises
        ------
        ValueError
            No meshes, or of different dimensions.
        """
        if not meshes or len({m.dim for m in meshes}) > 1:
            raise ValueError(f"Expected meshes of one dimension (got {sorted({m.dim for m in meshes})})")
        frames = [Frame.of(mesh, rng.random() < 0.7) for mesh in meshes]
        names = [None if kinds is None else str(rng.choice(list(kinds))) for _ in meshes]
        recipes = [random_recipe(rng, f, name) for f, name in zip(frames, names, strict=True)]
        batch = cls._raw(frames, recipes)
        owner = np.repeat(np.arange(len(meshes)), [m.n_points for m in meshes])
        points = torch.from_numpy(np.concatenate([m.points for m in meshes]))
        graph = torch.from_numpy(owner)
        with torch.no_grad():
            squares = batch._squares(points, graph).numpy()
        first = np.cumsum([0, *(m.n_points for m in meshes)])
        constants = batch.constants.clone()
        for k, (frame, recipe) in enumerate(zip(frames, recipes, strict=True)):
            s = np.sqrt(squares[first[k] : first[k + 1]])
            reference = s.max() if recipe.order == 0 else frame.weights @ s
            constants[k, 1] = reference = max(float(reference), 1e-12)
            constants[k, 2] = _intensity(rng, s / reference, frame.weights, recipe)
        chosen = np.flatnonzero(rng.random(len(meshes)) < nodal)
        if not len(chosen):
            return replace(batch, constants=constants)
        order, labels = batch.order.clone(), list(batch.kinds)
        order[torch.from_numpy(chosen)] = 3
        values = []
        for k in map(int, chosen):
            u = batch._field(points[first[k] : first[k + 1]], k)
            m, kind = recovered_monitor(rng, meshes[k], u)
            labels[k] = f"recovered {kind}"
            values.append(m)
        some = NodalMonitors([meshes[int(k)] for k in chosen], values)
        return replace(batch, constants=constants, order=order, kinds=tuple(labels), nodal=some)

    @classmethod
    def _raw(cls, frames: list[Frame], recipes: list[Recipe]) -> MonitorBatch:
        constants = np.array([[r.offset, 1, 1, r.power, r.root] for r in recipes])
        return cls(
            centre=torch.from_numpy(np.stack([f.centre for f in frames])),
            scale=torch.tensor([f.scale for f in frames], dtype=torch.float64),
            table=torch.from_numpy(np.stack([r.table for r in recipes])),
            count=torch.tensor([r.count for r in recipes]),
            order=torch.tensor([r.order for r in recipes]),
            constants=torch.from_numpy(constants),
            kinds=tuple(r.name for r in recipes),
        )

    def __len__(self) -> int:
        return len(self.kinds)

    @property
    def device(self) -> torch.device:
        return self.table.device

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> MonitorBatch:
        """The same monitors elsewhere, in float32 or float64."""
        moved: dict[str, Any] = {}
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, NodalMonitors):
                moved[f.name] = value.to(device, dtype)
            elif isinstance(value, Tensor):
                moved[f.name] = value.to(device, dtype if value.is_floating_point() else None)
        return replace(self, **moved)

    def __call__(self, x: Tensor, graph: Tensor) -> Tensor:
        """m (n,) at x (n, dim) in the dtype of x; half precision is computed in the dtype of the parameters."""
        work = x.dtype if x.dtype in (torch.float32, torch.float64) else self.table.dtype
        batch, y = self.to(dtype=work), x.to(work)
        if batch.nodal is None:
            return batch._analytic(y, graph).to(x.dtype)
        recovered = batch.order[graph] == 3
        ours, theirs = (~recovered).nonzero()[:, 0], recovered.nonzero()[:, 0]
        place = (batch.order == 3).cumsum(0) - 1
        m = y.new_zeros(len(y)).index_add(0, ours, batch._analytic(y[ours], graph[ours]))
        m = m.index_add(0, theirs, batch.nodal(y[theirs], place[graph[theirs]]))
        return m.to(x.dtype)

    def function(self, mesh: int) -> Callable[[Array], Array]:
        """The monitor of one mesh as a NumPy function of points (dim, n), for `meshmove.adapt` and `imbalance`."""
        batch = self.to("cpu", torch.float64)

        def monitor(x: Array) -> Array:
            points = torch.from_numpy(np.ascontiguousarray(x.T, dtype=float))
            with torch.no_grad():
                return batch(points, torch.full((len(points),), mesh)).numpy()

        return monitor

    def _analytic(self, x: Tensor, graph: Tensor) -> Tensor:
        _, reference, a, p, r = self.constants.T.index_select(1, graph)
        return (1 + a * (self._squares(x, graph) / reference**2 + FLOOR**2) ** (p / 2)) ** r

    def _squares(self, x: Tensor, graph: Tensor) -> Tensor:
        """Squared indicator (n,)."""
        y = self._normalised(x, graph)
        order = self.order[graph]
        out = x.new_zeros(len(x))
        for k in range(3):
            rows = (order == k).nonzero()[:, 0]
            if len(rows):
                u = self._sum(y.index_select(1, rows), graph[rows], k)
                squares = u * u
                if k == 2:
                    pairs = torch.triu_indices(x.shape[1], x.shape[1], device=x.device)
                    squares = squares * (1 + (pairs[0] != pairs[1]).to(squares))[:, None]
                out = out.index_add(0, rows, squares.sum(0))
        return out

    def _normalised(self, x: Tensor, graph: Tensor) -> Tensor:
        """Coordinates (dim, n) relative to the meshes' boxes."""
        return (x.T - self.centre.T.index_select(1, graph)) / self.scale[graph]

    def _sum(self, y: Tensor, graph: Tensor, order: int) -> Tensor:
        """Values (1, n), gradients (dim, n) or second derivatives of the fields at y (dim, n)."""
        count = self.count[graph]
        total = self.constants[graph, 0][None] if order == 0 else 0
        for k in range(int(count.max())):
            rows = (count > k).nonzero()[:, 0]
            every = len(rows) == len(graph)
            mesh, z = (graph, y) if every else (graph[rows], y.index_select(1, rows))
            part = evaluate(self.table[:, k].T.index_select(1, mesh), z, order)
            total = total + (part if every else y.new_zeros(len(part), len(graph)).index_add(1, rows, part))
        return total

    def _field(self, x: Tensor, mesh: int) -> Array:
        """Values (n,) of the field of one mesh, whatever its monitor takes of it."""
        graph = torch.full((len(x),), mesh)
        with torch.no_grad():
            return self._sum(self._normalised(x, graph), graph, 0)[0].numpy()


def _intensity(rng: Rng, s: Array, weights: Array, recipe: Recipe) -> float:
    """a such that the contrast is about log-uniform and the imbalance within its limits, where some a does that."""
    q = (s**2 + FLOOR**2) ** (recipe.power / 2)
    m = (1 + _INTENSITIES[:, None] * q) ** recipe.root
    contrast = m.max(axis=1) / m.min(axis=1)
    mean = m @ weights
    imbalance = np.sqrt(((m / mean[:, None] - 1) ** 2) @ weights)
    wanted = np.exp(rng.uniform(*np.log(CONTRAST)))
    # far out of the limits costs more than far from the contrast
    outside = np.log(imbalance / np.clip(imbalance, *IMBALANCE)) ** 2 + np.log(contrast / contrast.clip(*CONTRAST)) ** 2
    return float(_INTENSITIES[np.argmin(np.log(contrast / wanted) ** 2 + 100 * outside)])
