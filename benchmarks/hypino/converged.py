"""Converged finite element solutions of problems without a formula, kept in .cache/ after the first time.

Elliptic ones by elements of degree 4 with curved edges, halved at re-entrant corners; those in time by small steps on
fine grids. Cells and steps are halved until that changes the solution by less than `CONFIRMED`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import skfem
from numpy.typing import NDArray

from meshmove.solvers.fem.evaluation import function_of
from meshmove.solvers.fem.linear import solve_finite_elements
from meshmove.solvers.fem.meshes import mesh_of
from meshmove.solvers.pde import LinearPDE

__all__ = ["CACHE", "cached", "converged", "relative_l2"]

Array = NDArray[np.float64]
Field = Callable[[Array], Array]

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "hypino"
LAYERS = 24  # L2 errors of P4 elements fall by 2^(2 lambda) with each, lambda about 0.3 where conditions change kind
#: where it starts, elliptic and in time
SIZES = (0.12, 0.02)
CONFIRMED = 2e-4
HALVINGS = 3


def relative_l2(u: Array, exact: Array) -> float:
    """|u - exact| / |exact| over points spread evenly."""
    return float(np.linalg.norm(u - exact) / np.linalg.norm(exact))


def converged(pde: LinearPDE, x: Array) -> tuple[Array, float]:
    """Values (n,) at points (2, n), and how far those on cells twice as large are from them."""
    size = SIZES[pde.timed]
    fine, change = _solved(pde, size)(x), np.inf
    for _ in range(HALVINGS):
        size, coarse = size / 2, fine
        fine = _solved(pde, size)(x)
        change = relative_l2(coarse, fine)
        if change <= CONFIRMED:
            break
    return fine, change


def _solved(pde: LinearPDE, size: float) -> Field:
    if pde.timed:
        return function_of(*solve_finite_elements(pde, size=size))
    at = [pde.unit.to_physical(corner.at[:, None]) for corner in pde.unit.corners]
    mesh = mesh_of(pde.domain, size, np.concatenate(at, axis=1) if at else None, LAYERS)
    return function_of(*solve_finite_elements(pde, mesh, element=skfem.ElementTriP4()))


def cached(name: str, x: Array, solve: Callable[[], tuple[Array, float]]) -> tuple[Array, float]:
    """What `solve` gives for a problem of this name at points x, or gave before."""
    key = hashlib.sha256(x.tobytes() + repr((LAYERS, SIZES, CONFIRMED)).encode()).hexdigest()[:12]
    path = CACHE / f"{name}-{key}.npz"
    if not path.exists():
        values, error = solve()
        CACHE.mkdir(parents=True, exist_ok=True)
        np.savez(path, values=values, error=error)
    kept = np.load(path)
    return kept["values"], float(kept["error"])
