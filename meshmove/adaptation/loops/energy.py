"""Energies that meshes are moved to lower: the user's own, as a form of the mesh's library or as a function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry.arrays import Array
from meshmove.geometry.errors import EnergyError
from meshmove.meshes.source import Source
from meshmove.options import as_numbers

__all__ = ["EnergyOfMesh", "Examined", "energy_of"]


@dataclass(frozen=True, eq=False)
class Examined:
    """What is known of an energy at a solution.

    `gap`: an estimate of how far its value is above the least one, None where there is none. `held`: nodes (n_nodes,)
    that must not move, since what is prescribed there changes with the place. `stationary`: the energy was found to be
    so at the solution.
    """

    gap: float | None
    held: NDArray[np.bool_]
    stationary: bool


class EnergyOfMesh(Protocol):
    """The energy of a solution on a mesh."""

    def __call__(self, mesh: Any, field: Any) -> tuple[float, Array]:
        """The value, and its derivatives (n_nodes, dim) by the positions of the mesh's nodes."""
        ...

    def finer(self, mesh: Any, field: Any) -> float | None:
        """The value by a finer rule of quadrature; None where there is none."""
        ...

    def examined(self, mesh: Any, field: Any, pinned: NDArray[np.bool_]) -> Examined:
        """See `Examined`; `pinned` (n_nodes,) are nodes that stay.

        Raises
        ------
        EnergyError
            The energy is not stationary at the solution.
        """
        ...


class _Called:
    """A function energy(mesh, field) of the user that returns the value and its derivatives."""

    def __init__(self, function: Callable[[Any, Any], Any], source: Source) -> None:
        self._function, self._cells = function, source.cells

    def __call__(self, mesh: Any, field: Any) -> tuple[float, Array]:
        out = self._function(mesh, field)
        shape = (self._cells.n_nodes, self._cells.dim)
        wanted = f"the energy to return its value and its derivatives by the nodes, {shape}"
        if not isinstance(out, tuple | list) or len(out) != 2:
            raise EnergyError(f"Expected {wanted} (got {type(out).__name__})")
        value, slope = out
        single = isinstance(value, Real) or (isinstance(value, np.ndarray) and value.size == 1)
        if not single:
            raise EnergyError(f"Expected {wanted} (got {type(value).__name__} for the value)")
        slope = as_numbers(slope, "the derivatives of the energy", f"numbers {shape}", EnergyError)
        frame = self._cells.frame
        if frame is not None and slope.shape == (shape[0], 3):  # a plane mesh in space
            slope = frame.project(slope)
        if slope.shape != shape:
            raise EnergyError(f"Expected {wanted} (got derivatives of shape {slope.shape})")
        return float(np.asarray(value).item()), np.asarray(slope, float)

    def finer(self, mesh: Any, field: Any) -> None:
        """A function's rule is the user's affair."""

    def examined(self, mesh: Any, field: Any, pinned: NDArray[np.bool_]) -> Examined:
        """Nothing is known: derivatives are tried by a difference, and what is prescribed is the user's affair."""
        return Examined(None, np.zeros(self._cells.n_nodes, bool), stationary=False)


def energy_of(source: Source, energy: Any) -> EnergyOfMesh:
    """An energy as its user gives it: a form that the mesh's library knows, or energy(mesh, field).

    Raises
    ------
    ValueError
        Neither.
    """
    of: Any = getattr(source.converter, "energy", None)
    known = None if of is None else of(energy)
    if known is not None:
        return known
    if isinstance(energy, type) or not callable(energy):
        raise ValueError(
            "Expected an energy as a form of the mesh's library (for scikit-fem a Functional of w['u'], or a list of "
            "such and of pairs with the name of a boundary or subdomain), or a function energy(mesh, field) -> value, "
            f"derivatives by the nodes (got {type(energy).__name__})"
        )
    return _Called(energy, source)
