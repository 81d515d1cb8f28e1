"""A problem as a picture, which the hypernetwork reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..functions import Array, ProblemError
from ..sides import DIRICHLET, ROBIN, VELOCITY
from ..terms import TERMS

if TYPE_CHECKING:
    from ..statement import Statement
    from .problem import UnitProblem

__all__ = ["raster"]

#: boundary samples in the length of a pixel of a raster
PER_PIXEL = 6


def raster(unit: UnitProblem, n: int) -> Array:
    """Six channels (6, n, n) over [-1, 1]^2, pixel centres at -1 + 1/n, ..., 1 - 1/n; row 0 has the lowest Y.

    Channels: Dirichlet mask, Neumann mask, Dirichlet values, Neumann values, source, inside. A pixel belongs to a
    boundary that passes through it, and has the mean of the values along what is in it. Neumann values are
    derivatives along the unit direction of the row's derivative in X; an initial velocity is -dU/dY, the
    derivative along the outward normal. The source is 0 outside.
    """
    if n < 2:
        raise ProblemError(f"Expected at least two pixels a side (got {n})")
    _check_drawable(unit.pde)
    out = np.zeros((6, n * n))
    line = (2 * np.arange(n) + 1) / n - 1
    X = np.stack([np.tile(line, n), np.repeat(line, n)])
    inside = unit.contains(X)
    out[5] = inside
    out[4, inside] = unit.pde.source_at(unit.to_physical(X[:, inside]))
    rows = unit.boundary(int(PER_PIXEL * n / 2 * unit.perimeter))  # many samples in every pixel on the way
    column, row = np.clip((rows.points + 1) * (n / 2), 0, n - 1).astype(int)
    pixel = row * n + column
    for channel, at in enumerate((rows.kinds == DIRICHLET, rows.kinds != DIRICHLET)):
        size = np.hypot(rows.coefficients[1, at], rows.coefficients[2, at]) if channel else 1.0
        sign = np.where(rows.kinds[at] == VELOCITY, -1.0, 1.0)
        count = np.bincount(pixel[at], minlength=n * n)
        total = np.bincount(pixel[at], sign * rows.values[at] / size, minlength=n * n)
        out[channel] = count > 0
        out[2 + channel] = total / np.maximum(count, 1)
    return out.reshape(6, n, n)


def _check_drawable(pde: Statement) -> None:
    """The picture, and the network that reads it, know the terms of every operator and two kinds of conditions."""
    robin = dict.fromkeys(side.name for side in pde.sides if any(row.kind == ROBIN for row in side.rows))
    what = [f"the term {name}" for name in pde.extra]
    what += ["a conductivity that jumps between regions"] if pde.regions else []
    what += [f"Robin conditions on {', '.join(map(repr, robin))}"] if robin else []
    if what:
        raise ProblemError(
            f"Expected an equation and conditions that the network reads: {', '.join(TERMS)}, Dirichlet, Neumann "
            f"(got {' and '.join(what)}); project(pde), or solve(pde, project=True), solves it without the network"
        )
