"""Fields that know their second derivatives: any function of points with a method `hessian`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from meshmove.geometry import FieldError
from meshmove.geometry.arrays import Array
from meshmove.meshes.source import Source
from meshmove.options import called

__all__ = ["OwnHessian"]


@dataclass(frozen=True)
class OwnHessian:
    """A field's values and second derivatives at points (n, dim) in the unit coordinates (x - centre) / scale.

    `field`: a function f(x) of x (d, n), and `hessian` its second derivatives, (d, d, n) or (n, d, d), with d the
    coordinates that points of the mesh have in space.
    """

    source: Source
    field: Callable[[Array], Any]
    hessian: Callable[[Array], Any]
    centre: Array
    scale: float

    def values(self, points: Array) -> Array:
        """(n,)"""
        return self.source.called(self.field, self.centre + self.scale * points, "the field function f(x)").reshape(-1)

    def hessians(self, points: Array) -> Array:
        """(dim, dim, n), by unit coordinates.

        Raises
        ------
        FieldError
            Another shape, or no numbers.
        """
        x = self.source.columns(self.centre + self.scale * points)
        d, n = x.shape
        h = called(self.hessian, x, "the field's `hessian`")
        if h.shape == (n, d, d):
            h = np.moveaxis(h, 0, 2)
        if h.shape != (d, d, n) or h.dtype.kind not in "fiu":
            raise FieldError(
                f"Expected real second derivatives ({d}, {d}, {n}) or ({n}, {d}, {d}) of the field's `hessian` at x of "
                f"shape {x.shape} (got {h.dtype} of shape {h.shape})"
            )
        h = (h + h.swapaxes(0, 1)).astype(float) / 2
        frame = self.source.cells.frame
        if frame is not None:
            h = np.einsum("ac,cen,be->abn", frame.axes, h, frame.axes)
        return h * self.scale**2
