"""Arrays of numbers, and functions that return some; never one that silently leaves something out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry.arrays import Array
from meshmove.geometry.errors import FieldError, MeshmoveError, first_ids

__all__ = ["answered", "as_numbers", "called", "integers", "real"]


def as_numbers(
    values: Any, what: str, expected: str = "numbers in an array", error: type[MeshmoveError] = FieldError
) -> NDArray:
    """Values of a user as an array of numbers; never one that silently leaves something out.

    Raises
    ------
    FieldError
        (or `error`) Masked entries, sparse matrices, tensors that require gradients or are on another device, rows
        of different lengths, objects and text.

    Examples
    --------
    >>> from meshmove.geometry.errors import MeshmoveError
    >>> try:
    ...     as_numbers(np.ma.masked_greater([1.0, 2.0, 3.0], 1.5), "the field")
    ... except MeshmoveError as error:
    ...     print(error)
    Expected values everywhere in the field (masked at 2 nodes: 1, 2). Fill them first, such as by field.filled(0)
    """
    if isinstance(values, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(values)
        bad = np.unique(np.nonzero(mask)[0]) if mask.ndim else np.flatnonzero(mask)
        if len(bad):
            raise error(
                f"Expected values everywhere in {what} (masked at {len(bad)} nodes: {first_ids(bad)}). "
                "Fill them first, such as by field.filled(0)"
            )
        values = values.data
    kind = type(values).__name__
    if hasattr(values, "toarray") and not hasattr(values, "__array__"):
        raise error(f"Expected {what} as {expected} (got a sparse {kind}). Pass its .toarray()")
    if getattr(values, "requires_grad", False) is True:
        raise error(f"Expected {what} as {expected} (got a {kind} that requires gradients). Pass its .detach()")
    try:
        array = np.asarray(values)
    except (TypeError, ValueError, RuntimeError, OverflowError) as why:
        raise error(f"Expected {what} as {expected} (got a {kind} that is none: {_first_line(why)})") from None
    if array.dtype.kind not in "fciub":
        of = f" of {array.dtype}" if isinstance(values, np.ndarray) else ""
        raise error(f"Expected {what} as {expected} (got {kind}{of})")
    return array


def real(
    values: Any, what: str, expected: str = "numbers in an array", error: type[MeshmoveError] = FieldError
) -> Array:
    """The same as float64; an array of floats as it is, without a copy.

    Raises
    ------
    FieldError
        (or `error`) As `as_numbers`, and complex numbers.

    >>> real([1, 2], "the field")
    array([1., 2.])
    """
    if type(values) is np.ndarray and values.dtype == np.float64:
        return values
    array = as_numbers(values, what, expected, error)
    if array.dtype.kind == "c":
        raise error(f"Expected {what} as {expected} (got complex ones, {array.dtype})")
    with np.errstate(over="ignore"):  # long doubles beyond float64 are infinite there
        return array.astype(float)


def integers(
    values: Any, what: str, expected: str = "whole numbers", error: type[MeshmoveError] = FieldError
) -> NDArray[np.int64]:
    """Whole numbers as int64, which none is rounded to.

    Raises
    ------
    FieldError
        (or `error`) As `as_numbers`; truth values, fractions, and numbers that int64 does not hold.

    >>> integers([0.0, 2.0], "ids")
    array([0, 2])
    """
    array = as_numbers(values, what, expected, error)
    if array.dtype.kind == "f" or not array.size:
        whole = np.isfinite(array) & (array == np.floor(array)) & (np.abs(array) <= 2.0**53)
        if whole.all():
            return array.astype(np.int64)
    elif array.dtype.kind == "i" or (array.dtype.kind == "u" and array.max() < 2**63):
        return array.astype(np.int64, copy=False)
    raise error(f"Expected {expected} as {what} (got {array.dtype} of shape {array.shape} with others)")


def called(
    function: Callable[[NDArray], Any], x: NDArray, what: str, error: type[MeshmoveError] = FieldError
) -> NDArray:
    """A copy of what a function of a user returns at points x (dim, n), which it may write to.

    Raises
    ------
    FieldError
        (or `error`) The function fails as one does that expects other points, or returns what are no numbers.
    """
    return np.array(as_numbers(answered(function, x, what, error), f"the values of {what}", error=error))


def answered(function: Callable[[NDArray], Any], x: NDArray, what: str, error: type[MeshmoveError] = FieldError) -> Any:
    """What a function of a user returns at points x (dim, n), whatever it is; see `called` for what is raised."""
    shape = x.shape
    try:
        return function(x)
    except MeshmoveError:
        raise
    except (AttributeError, IndexError, TypeError, ValueError) as why:
        kind = type(why).__name__
        raise error(
            f"Expected {what} to take x of shape {shape}, a point a column (it raised {kind}: {_first_line(why)})"
        ) from why


def _first_line(why: Exception) -> str:
    return (str(why).splitlines() or [type(why).__name__])[0].rstrip(".")
