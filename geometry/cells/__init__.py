"""Cells of every kind: vertices, shape functions, quadrature; second-order kinds, and bounds on their determinants."""

from .kinds import KINDS, CellKind, kind_of

__all__ = ["KINDS", "CellKind", "kind_of"]
