r"""Random analytic fields u(x) on unit meshes: sums of the terms of `terms`, and of singular ones |x - c|^a.

What a network that aligns is trained on: it sees what is recovered from nodal values, and is judged by the field.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from meshmove.geometry import CellMesh
from meshmove.geometry.arrays import Array

from .monitors.analytic_terms import TERM, evaluate, random_term
from .monitors.random_terms import Frame

__all__ = ["KINDS", "AnalyticFields", "random_field"]

Rng = np.random.Generator

#: terms of one field at most, and singular points
MOST, SINGULAR = 4, 2
#: what a field is made of, and how often
KINDS: dict[str, tuple[tuple[str, ...], float]] = {
    "wide bumps": (("bump",), 0.18),
    "bumps": (("bump",), 0.14),
    "rings": (("ring",), 0.08),
    "steps": (("step",), 0.16),
    "fronts": (("front", "shear"), 0.08),
    "modes": (("mode",), 0.06),
    "several": (("bump", "ring", "front", "step", "mode"), 0.14),
    "singular": ((), 0.06),
    "thin": (("bump", "bump", "ring", "ring", "step", "front"), 0.3),
    "crowded": (("step", "front", "ring", "mode"), 0.1),
}
#: least width of a feature in mesh sizes, and the largest of those that are called thin, or that crowd the mesh
THIN, THICK = 0.9, 3.0


@dataclass(frozen=True)
class AnalyticFields:
    """One field for each of B meshes, differentiable in space.

    `table` (B, MOST, columns): the terms. `points` (B, SINGULAR, dim), `numbers` (B, SINGULAR, 3): singular points, and
    the amplitude, the exponent and the square of the radius within which it is smooth.
    """

    table: Tensor
    points: Tensor
    numbers: Tensor

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, which: Tensor) -> AnalyticFields:
        return AnalyticFields(self.table[which], self.points[which], self.numbers[which])

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> AnalyticFields:
        return AnalyticFields(*(t.to(device, dtype) for t in (self.table, self.points, self.numbers)))

    @classmethod
    def joined(cls, parts: list[AnalyticFields]) -> AnalyticFields:
        return cls(*(torch.cat([getattr(p, k) for p in parts]) for k in ("table", "points", "numbers")))

    def value(self, x: Tensor, graph: Tensor) -> Tensor:
        """u (k,) at points (k, dim) of the meshes `graph` (k,)."""
        return self._sum(x, graph, 0)[0]

    def gradient(self, x: Tensor, graph: Tensor) -> Tensor:
        """grad u (k, dim)."""
        return self._sum(x, graph, 1).T

    def _sum(self, x: Tensor, graph: Tensor, order: int) -> Tensor:
        y = x.T
        total = x.new_zeros((len(y) if order else 1, len(x)))
        for k in range(self.table.shape[1]):
            there = (self.table[:, k] != 0).any(1)
            if bool(there.all()):
                total = total + evaluate(self.table[graph, k].T, y, order)
            elif bool(there.any()):  # half of all terms are none
                at = torch.nonzero(there[graph])[:, 0]
                total = total.index_add(1, at, evaluate(self.table[graph[at], k].T, y[:, at], order))
        if bool((self.numbers[:, :, 0] == 0).all()):
            return total
        for k in range(self.points.shape[1]):
            amplitude, power, smooth = self.numbers[graph, k].T
            offset = y - self.points[graph, k].T
            square = (offset * offset).sum(0) + smooth
            if order:
                total = total + amplitude * power * square ** (0.5 * power - 1) * offset
            else:
                total = total + amplitude * square ** (0.5 * power)
        return total


def random_field(rng: Rng, mesh: CellMesh, frame: Frame | None = None, kind: str | None = None) -> AnalyticFields:
    """A field for one mesh, centred at 0 and of size about 1; see `KINDS`."""
    frame = frame or Frame.of(mesh)
    if kind is None:
        shares = np.array([share for _, share in KINDS.values()])
        kind = str(rng.choice(list(KINDS), p=shares / shares.sum()))
    terms = KINDS[kind][0]
    dim, rows = mesh.dim, mesh.dim + 2
    size = rows * (dim + 1)
    columns = size + len(TERM)
    table = np.zeros((1, MOST, columns))
    points, numbers = np.zeros((1, SINGULAR, dim)), np.tile([0.0, 1.0, 1.0], (1, SINGULAR, 1))
    count = (
        int(rng.integers(2, MOST + 1))
        if kind in ("several", "modes", "crowded")
        else int(rng.choice([1, 2, 3], p=[0.5, 0.3, 0.2]))
    )
    for k in range(count if terms else 0):
        table[0, k] = _term(rng, frame, str(rng.choice(terms)), kind, 1.0 if k == 0 else rng.uniform(0.3, 1))
    if kind == "singular":
        for k in range(int(rng.integers(1, SINGULAR + 1))):
            at = mesh.points[rng.integers(mesh.n_points)]
            radius = 0.3 * np.median(frame.sizes) * frame.scale
            points[0, k], numbers[0, k] = at, (rng.choice([-1, 1]), rng.uniform(0.4, 1.2), radius**2)
        if rng.random() < 0.5:
            table[0, 0] = _term(rng, frame, str(rng.choice(["bump", "mode"])), "wide bumps", rng.uniform(0.1, 0.5))
    # terms are written for normalised coordinates: (x - centre) / scale
    forms = table[0, :, :size].reshape(MOST, rows, dim + 1)
    forms[:, :, dim] -= forms[:, :, :dim] @ frame.centre / frame.scale
    forms[:, :, :dim] /= frame.scale
    return AnalyticFields(*(torch.from_numpy(a) for a in (table, points, numbers)))


def _term(rng: Rng, frame: Frame, name: str, kind: str, amplitude: float) -> Array:
    node = rng.choice(len(frame.places), p=frame.weights)
    size = frame.sizes[node] if name == "bump" else np.quantile(frame.sizes, 0.75)
    extent = rng.uniform(frame.low, frame.high)
    low, high = THIN * size, max(2 * size, 0.5 * frame.high)
    if kind == "wide bumps":
        low = min(max(0.08 * frame.high, 1.5 * size), 0.5 * high)
    elif name != "bump":
        high = max(2 * size, 0.25 * frame.low)
    if kind in ("thin", "crowded"):
        high = THICK * size
    width = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    rows, numbers = random_term(rng, name, frame.places[node], width, extent)
    rows[:, :-1] = rows[:, :-1] @ frame.metric
    numbers[TERM.index("delta") : TERM.index("gamma") + 1] *= amplitude * rng.choice([-1, 1])
    return np.concatenate([rows.ravel(), numbers])
