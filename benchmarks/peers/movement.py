"""Meshes by Movement's Monge-Ampere mover, where Firedrake is installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import skfem

__all__ = ["moved_by_movement"]


def moved_by_movement(n: int, m: Callable, rtol: float = 1e-3) -> skfem.MeshTri:
    """Its unit square with n cells to a side, moved by its relaxation."""
    import firedrake
    import movement

    mesh = firedrake.UnitSquareMesh(n, n)

    def monitor(current: Any) -> Any:
        out = firedrake.Function(firedrake.FunctionSpace(current, "CG", 1))
        out.dat.data[:] = m(current.coordinates.dat.data_ro.T)
        return out

    mover = movement.MongeAmpereMover(mesh, monitor, method="relaxation", rtol=rtol)
    mover.move()
    cells = mover.mesh.coordinates.cell_node_map().values
    return skfem.MeshTri(mover.mesh.coordinates.dat.data_ro.T.copy(), np.ascontiguousarray(cells.T.astype(np.int64)))
