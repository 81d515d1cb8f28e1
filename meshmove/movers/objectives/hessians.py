"""What alignment asks of the second derivatives of fields."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry import CellBlock
from meshmove.geometry.arrays import Array

__all__ = ["Hessians"]


class Hessians(Protocol):
    """Second derivatives of f fields as functions of space, at the vertices of a mesh cut apart along its interfaces.

    `blocks`: its cells among the s vertices of the cut mesh, `vertex` (s,): which of the n vertices each of them is.
    Components in the order xx, xy, yy or xx, xy, xz, yy, yz, zz, p in number.
    """

    @property
    def blocks(self) -> tuple[CellBlock, ...]: ...

    @property
    def vertex(self) -> NDArray[np.int64]: ...

    def value(self, points: Array) -> Array:
        """(f, p, s) at node positions (n, dim)."""
        ...

    def value_and_slope(self, points: Array) -> tuple[Array, Array]:
        """The same, and its derivatives (f, p, dim, s)."""
        ...

    @property
    def fields(self) -> int:
        """f"""
        ...

    @property
    def inside(self) -> bool:
        """Whether moments are taken at points inside of cells, so that values at vertices do not say all."""
        ...

    def moments(self, points: Array, weight: Array) -> tuple[list[Array], Callable[[list[Array]], Array]]:
        """Of each block the second moments (p, p, m) in its cells at node positions (n, dim), summed over fields with
        weights (f,); and what takes slopes by them to slopes (dim, s) by the vertices' positions."""
        ...
