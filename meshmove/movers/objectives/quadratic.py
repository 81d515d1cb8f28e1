"""The predicted H1 error of quadratic elements on simplices as a function of node positions."""

from __future__ import annotations

from meshmove.geometry import CellKind
from meshmove.monitors.cubic import CubicError

from .alignment import Alignment

__all__ = ["QuadraticAlignment"]


class QuadraticAlignment(Alignment):
    """F of `Alignment` with the J of interpolation in P2: `hessians` are third derivatives, as `NodalThirds`.

    The functional, its distortion and its barrier are the same; the error is exact for cubic fields (`CubicError`).
    """

    def _rule(self, kind: CellKind) -> CubicError:
        return CubicError(len(kind.reference[0]))
