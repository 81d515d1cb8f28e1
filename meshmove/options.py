"""Reading plain options: numbers, counts and names, whatever was handed over."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meshmove.geometry.errors import FieldError, MeshmoveError, first_ids

__all__ = ["as_numbers", "called", "check_names", "count", "number", "shown"]


def number(value: Any, what: str, low: float = 0.0, high: float = np.inf, open_low: bool = True) -> float:
    """A finite number above `low` (or from `low` on) and up to `high`.

    Raises
    ------
    ValueError
        Anything else: text, a truth value, an array, a number out of range, one too large for a float.

    Examples
    --------
    >>> number(2, "a positive effort")
    2.0
    >>> number(10**400, "a positive effort")
    Traceback (most recent call last):
    ValueError: Expected a positive effort (got an integer of 401 digits)
    """
    try:
        found = float(value) if isinstance(value, Real) and not isinstance(value, bool | np.bool_) else np.nan
    except (OverflowError, ValueError):
        found = np.nan
    if not (np.isfinite(found) and (found > low or (found == low and not open_low)) and found <= high):
        most = f"; at most {high:g}" if np.isfinite(high) else ""
        raise ValueError(f"Expected {what} (got {shown(value)}){most}")
    return found


def count(value: Any, what: str, low: int = 0, high: int = 1_000_000) -> int:
    """A whole number from `low` to `high`; 3.0 is none.

    >>> count(2.5, "a number of steps", low=1)
    Traceback (most recent call last):
    ValueError: Expected a number of steps (got 2.5); a whole number from 1 on
    """
    found = int(value) if isinstance(value, Integral) and not isinstance(value, bool | np.bool_) else None
    if found is None or not low <= found <= high:
        upto = f"to {high:,}" if found is not None and found > high else "on"
        raise ValueError(f"Expected {what} (got {shown(value)}); a whole number from {low} {upto}")
    return found


def shown(value: Any) -> str:
    """A value for an error message, however large it is."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**20:
        size, digits = abs(value), int(np.log10(2) * (value.bit_length() - 1))
        return f"an integer of {digits + 1 + (size >= 10 ** (digits + 1))} digits"
    if isinstance(value, np.ndarray) and value.ndim:
        return f"an array of shape {value.shape}"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def check_names(options: Mapping[str, Any], known: Iterable[str], of: str) -> None:
    """Raise ValueError for options by a name that is not known.

    >>> check_names({"montior": "gradient"}, ["monitor", "mover"], "adapt")
    Traceback (most recent call last):
    ValueError: Expected options of adapt: monitor, mover (got 'montior'; did you mean 'monitor'?)
    """
    names = list(known)
    for name in options:
        if name not in names:
            close = get_close_matches(name, names, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise ValueError(f"Expected options of {of}: {', '.join(names)} (got {name!r}{hint})")


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
    >>> as_numbers(np.ma.masked_greater([1.0, 2.0, 3.0], 1.5), "the field")
    Traceback (most recent call last):
    meshmove.geometry.errors.FieldError: Expected values everywhere in the field (masked at 2 nodes: 1, 2). \
Fill them first, such as by field.filled(0)
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


def called(
    function: Callable[[NDArray], Any], x: NDArray, what: str, error: type[MeshmoveError] = FieldError
) -> NDArray:
    """A copy of what a function of a user returns at points x (dim, n), which it may write to.

    Raises
    ------
    FieldError
        (or `error`) The function fails as one does that expects other points, or returns what are no numbers.
    """
    shape = x.shape
    try:
        values = function(x)
    except MeshmoveError:
        raise
    except (AttributeError, IndexError, TypeError, ValueError) as why:
        kind = type(why).__name__
        raise error(
            f"Expected {what} to take x of shape {shape}, a point a column (it raised {kind}: {_first_line(why)})"
        ) from why
    return np.array(as_numbers(values, f"the values of {what}", error=error))


def _first_line(why: Exception) -> str:
    return (str(why).splitlines() or [type(why).__name__])[0].rstrip(".")
