"""What users give for coefficients of scikit-fem's forms and for what is fixed, at quadrature points and as ids."""

from __future__ import annotations

from typing import Any

import numpy as np
import skfem
from numpy.typing import NDArray

from meshmove.geometry.arrays import Array

__all__ = ["coefficient_at", "dofs_of", "speed_at"]


def dofs_of(fixed: Any, n: int) -> NDArray[np.int64]:
    """Dofs by their ids or by a mask (n,)."""
    given = np.asarray(fixed)
    if given.dtype == bool and given.shape == (n,):
        return np.flatnonzero(given)
    ids = given.astype(np.int64) if given.dtype.kind in "iu" or not given.size else None
    if ids is None or ids.ndim != 1 or not np.isin(ids, np.arange(n)).all():
        raise ValueError(
            f"Expected dofs to fix as ids below {n}, a mask of {n}, or what basis.get_dofs gives (got {given.dtype} of "
            f"shape {given.shape})"
        )
    return ids


def speed_at(basis: skfem.CellBasis, speed: Any) -> Any:
    """(dim, ...) at the quadrature points."""
    shape = basis.global_coordinates().shape
    if speed is None or (not callable(speed) and np.ndim(speed) == 0 and speed == 0):
        return np.zeros(shape)
    if callable(speed):
        return _vectors(speed(np.asarray(basis.global_coordinates())), shape)
    if np.shape(speed) == (basis.N * shape[0],):
        vector = basis.with_element(skfem.ElementVector(basis.elem))
        return np.asarray(vector.interpolate(speed))
    return _vectors(speed, shape)


def _vectors(values: Any, shape: tuple[int, ...]) -> Array:
    """Vectors (dim, ...) at the quadrature points, of one for all or one for each; a number is none in the plane."""
    given = np.stack(np.broadcast_arrays(*values)) if isinstance(values, list | tuple) else np.asarray(values)
    if given.shape == shape[:1]:
        given = given.reshape(-1, 1, 1)
    if shape[0] > 1 and given.shape[:1] != shape[:1]:
        raise ValueError(f"Expected a speed of {shape[0]} components, of shape {shape} (got {given.shape})")
    return _shaped(given, shape, "the speed")


def coefficient_at(basis: skfem.CellBasis, given: Any) -> Any:
    """A number, or values (cells, points) at the quadrature points."""
    if given is None:
        return 0.0
    if callable(given):
        return _shaped(given(np.asarray(basis.global_coordinates())), basis.dx.shape, "a coefficient", "biufc")
    if np.ndim(given) == 0:
        return given
    if np.shape(given) == (basis.N,):
        return np.asarray(basis.interpolate(given))
    return _shaped(given, basis.dx.shape, "a coefficient", "biufc")


def _shaped(values: Any, shape: tuple[int, ...], what: str, kinds: str = "biuf") -> Array:
    given = np.asarray(values)
    try:
        if given.dtype.kind not in kinds:
            raise ValueError
        return np.broadcast_to(given * 1.0, shape)
    except ValueError:
        raise ValueError(
            f"Expected {what} of shape {shape} at the quadrature points (got {given.dtype} of shape {given.shape})"
        ) from None
